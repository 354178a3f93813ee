//! The commit thread, which owns every ledger and the store.
//!
//! It takes the writes that wait, by count and by rows, without a timer: under load groups grow by
//! themselves, alone a write goes at once. Each is worked into its ledger; the changes of the group
//! become one durable batch; then readers see them and the callers are answered. While the disk has one group, the
//! next is worked in: it is sent once that has landed, and goes back with it where it does not land.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use arc_swap::ArcSwap;
use tokio::sync::oneshot;

use super::background::Background;
use super::changed::Changed;
use super::clock::now_unix;
use super::ledger::{Ledger, check_recipe};
use super::sales::EarlierSales;
use super::tenant::{Tenant, Tenants};
use super::{Answer, Book, EngineError, FairQueue, Refusal, Write, WriteRequest};
use crate::domain::{PortfolioId, PortfolioNo};
use crate::store::{SaleEntry, SaleHash, Store, StoreError, Unit};

/// At most this many writes in one group: what a caller waits for at worst.
const GROUP_WRITES: usize = 256;
/// A group that has this many changes takes no further write.
const GROUP_CHANGES: usize = 50_000;

pub(super) type Reply = oneshot::Sender<Result<Answer, EngineError>>;

/// What the commit thread is asked to do.
pub(super) enum Job {
    /// To apply a write and answer it.
    Write(Box<WriteRequest>, Reply),
    /// To write a checkpoint, where there is none of the last commit.
    Checkpoint,
}

/// What the commit thread owns.
pub(super) struct Committer {
    pub(super) store: Store,
    pub(super) ledgers: BTreeMap<PortfolioId, Ledger>,
    pub(super) next_no: u32,
    pub(super) tenants: Arc<ArcSwap<Tenants>>,
    pub(super) background: Background,
    /// Why nothing is written any more.
    pub(super) failed: Option<String>,
    pub(super) read_only: Arc<AtomicBool>,
}

/// A group of writes.
#[derive(Default)]
struct Group {
    units: Vec<Unit>,
    changes: usize,
    touched: BTreeSet<PortfolioId>,
    created: Vec<PortfolioId>,
    deleted: Option<PortfolioId>,
    then_checkpoint: bool,
    replies: Vec<(Reply, Result<Answer, EngineError>)>,
}

impl Group {
    /// A removed portfolio ends its group, so that its id may be given again in the next.
    fn is_last_of_its_kind(&self) -> bool {
        self.deleted.is_some() || self.then_checkpoint
    }

    fn takes_more(&self) -> bool {
        self.replies.len() < GROUP_WRITES
            && self.changes < GROUP_CHANGES
            && !self.is_last_of_its_kind()
    }

    fn answer(self) {
        for (reply, answer) in self.replies {
            // A caller that went away needs no answer.
            let _ = reply.send(answer);
        }
    }
}

/// A group that is on its way to the disk, with what readers are to see once it is there.
struct Sent {
    group: Group,
    books: Vec<(PortfolioId, Book, Changed)>,
}

impl Committer {
    /// Takes writes until the queue is closed and empty.
    pub(super) fn run(mut self, jobs: &FairQueue<Job>) {
        let mut sent: Option<Sent> = None;
        loop {
            let first = match sent {
                Some(_) => jobs.try_take(),
                None => match jobs.take() {
                    Some(job) => Some(job),
                    None => return,
                },
            };
            let mut group = Group::default();
            self.fill(&mut group, first, jobs);
            if let Some(sent) = sent.take() {
                self.land(sent, &mut group);
                self.fill(&mut group, None, jobs);
            }
            let alone = group.is_last_of_its_kind();
            let then_checkpoint = group.then_checkpoint;
            sent = self.send(group);
            if alone && let Some(sent) = sent.take() {
                self.land(sent, &mut Group::default());
            }
            if then_checkpoint {
                self.checkpoint();
            }
        }
    }

    /// Takes a write, if there is one, and those that wait behind it.
    fn fill(&mut self, group: &mut Group, first: Option<Job>, jobs: &FairQueue<Job>) {
        let mut next = first;
        while group.takes_more() {
            match next.take().or_else(|| jobs.try_take()) {
                Some(job) => self.take(group, job),
                None => return,
            }
        }
    }

    /// Writes a checkpoint; writes wait meanwhile. That it fails harms nothing that is stored.
    fn checkpoint(&self) {
        let began = Instant::now();
        match self.store.checkpoint() {
            Ok(None) => {}
            Ok(Some((path, report))) => tracing::info!(
                path = %path.display(),
                commit = report.commit,
                records = report.records,
                took_ms = began.elapsed().as_millis() as u64,
                "checkpoint written"
            ),
            Err(error) => tracing::error!(%error, "no checkpoint could be written"),
        }
    }

    /// Works one write into its ledger and the group.
    fn take(&mut self, group: &mut Group, job: Job) {
        let (request, reply) = match job {
            Job::Write(request, reply) => (request, reply),
            Job::Checkpoint => {
                group.then_checkpoint = true;
                return;
            }
        };
        let answer = match &self.failed {
            Some(why) => Err(EngineError::ReadOnly(why.clone())),
            None => self.apply(group, &request),
        };
        group.replies.push((reply, answer));
    }

    fn apply(&mut self, group: &mut Group, request: &WriteRequest) -> Result<Answer, EngineError> {
        let id = &request.portfolio;
        let missing = || Refusal::NotFound {
            what: "portfolio",
            id: id.to_string(),
        };
        if let Write::CreatePortfolio(portfolio) = &request.write {
            if let Some(ledger) = self.ledgers.get(id) {
                return ledger.answered(request)?.ok_or_else(|| {
                    Refusal::AlreadyExists {
                        what: "portfolio",
                        id: id.to_string(),
                    }
                    .into()
                });
            }
            check_recipe(portfolio)?;
            let no = PortfolioNo(self.next_no);
            self.next_no += 1;
            self.ledgers
                .insert(id.clone(), Ledger::create(no, portfolio.clone()));
            group.created.push(id.clone());
        }
        let ledger = self.ledgers.get_mut(id).ok_or_else(missing)?;
        if let Some(answer) = ledger.answered(request)? {
            return Ok(answer);
        }
        let earlier = InStore {
            store: &self.store,
            portfolio: ledger.no(),
        };
        let (answer, changes) = ledger.apply(request, &earlier, now_unix())?;
        group.changes += changes.len();
        group.units.push(Unit {
            portfolio: ledger.no(),
            changes,
        });
        group.touched.insert(id.clone());
        if matches!(request.write, Write::DeletePortfolio) {
            group.deleted = Some(id.clone());
        }
        Ok(answer)
    }

    /// Puts a group on its way to the disk. One that has nothing for the disk, or is refused by it, is answered.
    fn send(&mut self, mut group: Group) -> Option<Sent> {
        if group.units.is_empty() {
            group.answer();
            return None;
        }
        if let Err(error) = self.store.send(&group.units) {
            let failure = self.failure_of(&error);
            self.take_back(&mut group, &failure);
            group.answer();
            return None;
        }
        // The disk is at work by now.
        let mut books = Vec::with_capacity(group.touched.len());
        for id in &group.touched {
            if let Some(ledger) = self.ledgers.get_mut(id) {
                let (book, changed) = ledger.send();
                books.push((id.clone(), book, changed));
            }
        }
        Some(Sent { group, books })
    }

    /// Waits until a group is durable, shows it to readers and answers its callers. If it does not become so, the group
    /// that was worked in after it goes back with it: what it was answered rests on what is not there.
    fn land(&mut self, sent: Sent, next: &mut Group) {
        let Sent { mut group, books } = sent;
        match self.store.land() {
            Ok(_) => self.publish(&group, books),
            Err(error) => {
                let failure = self.failure_of(&error);
                self.take_back(&mut group, &failure);
                self.take_back(next, &failure);
            }
        }
        group.answer();
    }

    /// Takes a group back that does not become durable.
    fn take_back(&mut self, group: &mut Group, failure: &EngineError) {
        for id in &group.touched {
            if let Some(ledger) = self.ledgers.get_mut(id) {
                ledger.roll_back();
            }
        }
        for id in &group.created {
            self.ledgers.remove(id);
        }
        let replies = std::mem::take(&mut group.replies).into_iter();
        *group = Group {
            replies: replies
                .map(|(reply, answer)| (reply, answer.and(Err(failure.clone()))))
                .collect(),
            then_checkpoint: group.then_checkpoint,
            ..Group::default()
        };
    }

    /// What callers are told of a group that the store did not take.
    fn failure_of(&mut self, error: &StoreError) -> EngineError {
        if let StoreError::ReadOnly(why) = error {
            return EngineError::ReadOnly(why.clone());
        }
        if let StoreError::DiskFull { .. } = error {
            tracing::warn!(%error, "refused a group of writes");
            return EngineError::DiskFull(error.to_string());
        }
        let final_until_restart = matches!(
            error,
            StoreError::WriteFailed(_) | StoreError::Damaged { .. }
        );
        if !final_until_restart {
            tracing::error!(%error, "the store refused a group of writes; nothing of it was kept");
            return Refusal::Precondition(error.to_string()).into();
        }
        let why = error.to_string();
        tracing::error!(%error, "a write failed; the store is read-only until a restart");
        self.failed = Some(why.clone());
        self.read_only.store(true, Ordering::Release);
        EngineError::ReadOnly(why)
    }

    fn publish(&mut self, group: &Group, books: Vec<(PortfolioId, Book, Changed)>) {
        for (id, book, changed) in books {
            if group.deleted.as_ref() == Some(&id) {
                self.ledgers.remove(&id);
                self.tenants
                    .store(Arc::new(self.tenants.load().without(&id)));
                continue;
            }
            if let Some(ledger) = self.ledgers.get_mut(&id) {
                ledger.landed();
            }
            let tenants = self.tenants.load();
            match tenants.get(&id) {
                Some(tenant) => {
                    tenant.publish(book, changed);
                    self.background.touch(tenant);
                }
                None => {
                    let tenant = Arc::new(Tenant::new(book));
                    self.tenants.store(Arc::new(tenants.update(id, tenant)));
                }
            }
        }
    }
}

/// Sales by name as the store has them.
struct InStore<'a> {
    store: &'a Store,
    portfolio: PortfolioNo,
}

impl EarlierSales for InStore<'_> {
    fn find(&self, hash: SaleHash) -> Result<Option<SaleEntry>, EngineError> {
        let found = self.store.sale(self.portfolio, hash);
        found.map_err(|error| EngineError::ReadOnly(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::books::{client, portfolio, product};
    use super::super::{Engine, Patience, SaleDraft};
    use super::*;
    use crate::domain::{Day, RequestId, SaleId};
    use crate::store::{Platter, in_memory};

    const WRITERS: usize = 12;

    fn request(write: Write) -> WriteRequest {
        WriteRequest {
            portfolio: portfolio().id,
            request_id: None,
            write,
        }
    }

    async fn apply(engine: &Engine, write: Write) -> Result<Answer, EngineError> {
        let request = request(write);
        let patience = Patience::until(Instant::now() + Duration::from_secs(60));
        engine.apply(request, &patience).await
    }

    /// What makes a book with a client for each writer, and one product.
    fn founding() -> [Write; 3] {
        [
            Write::CreatePortfolio(portfolio()),
            Write::UpsertClients((0..WRITERS).map(client).collect()),
            Write::UpsertProducts(vec![product(0)]),
        ]
    }

    fn sale(of: usize, amount_minor: i64) -> Write {
        Write::RecordSales(vec![SaleDraft {
            client: client(of).id,
            product: product(0).id,
            day: Day::parse("2026-03-02").unwrap(),
            amount_minor,
            quantity_milli: 1_000,
            sale_id: Some(SaleId::parse(&format!("of {of}")).unwrap()),
        }])
    }

    /// Money of a client's sales, as readers see it.
    fn bought(engine: &Engine, of: usize) -> i64 {
        let book = engine.tenant(&portfolio().id).unwrap().book();
        let (number, _) = book.client(&client(of).id).unwrap();
        let lines = book.tickets(number);
        lines.iter().map(|line| line.sales_amount_minor).sum()
    }

    /// Records a client's one sale again and again, twice at once, until the disk fails; answers what it came to last.
    async fn correct_until_refused(engine: Arc<Engine>, of: usize) -> i64 {
        let mut seen = 0;
        for round in 1.. {
            let amounts = [10 * round + 1, 10 * round + 2];
            let (a, b) = tokio::join!(
                apply(&engine, sale(of, amounts[0])),
                apply(&engine, sale(of, amounts[1]))
            );
            let kept: Vec<i64> = [(a.is_ok(), amounts[0]), (b.is_ok(), amounts[1])]
                .iter()
                .filter_map(|(kept, amount)| kept.then_some(*amount))
                .collect();
            if !kept.is_empty() {
                seen = bought(&engine, of);
                assert!(kept.contains(&seen), "{seen} of {kept:?}");
            }
            if kept.len() < 2 {
                return seen;
            }
        }
        seen
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_group_that_fails_takes_the_one_worked_in_meanwhile_with_it() {
        for fuse in 0..40 {
            let (home, platter) = (tempfile::tempdir().unwrap(), Platter::whole());
            let (store, loaded) = in_memory(&platter, home.path());
            let engine = Arc::new(Engine::over(store, loaded).unwrap());
            for write in founding() {
                apply(&engine, write).await.unwrap();
            }
            platter.fuse.store(fuse, Ordering::SeqCst);
            // So long that others come meanwhile.
            platter.takes_us.store(300, Ordering::SeqCst);
            let mut writers = tokio::task::JoinSet::new();
            for of in 0..WRITERS {
                let engine = engine.clone();
                writers.spawn(async move { (of, correct_until_refused(engine, of).await) });
            }
            for (of, seen) in writers.join_all().await {
                // What was refused shows nowhere, and what was acknowledged stays.
                assert_eq!(bought(&engine, of), seen, "client {of}, fuse {fuse}");
            }
            assert!(engine.is_read_only());
            let refused = apply(&engine, sale(0, 1)).await.unwrap_err();
            assert!(matches!(refused, EngineError::ReadOnly(_)), "{refused}");
        }
    }

    #[test]
    fn a_repeat_of_what_is_under_way_is_answered_as_that_is() {
        for fails in [true, false] {
            let (home, platter) = (tempfile::tempdir().unwrap(), Platter::whole());
            let (store, loaded) = in_memory(&platter, home.path());
            let mut committer = Committer {
                store,
                ledgers: BTreeMap::new(),
                next_no: loaded.next_portfolio.0,
                tenants: Arc::default(),
                background: Background::start(),
                failed: None,
                read_only: Arc::default(),
            };
            let mut group = Group::default();
            let give = |committer: &mut Committer, group: &mut Group, request: WriteRequest| {
                let (reply, answer) = oneshot::channel();
                committer.take(group, Job::Write(Box::new(request), reply));
                answer
            };
            for write in founding() {
                give(&mut committer, &mut group, request(write));
            }
            let sent = committer.send(group).unwrap();
            committer.land(sent, &mut Group::default());

            platter
                .fuse
                .store(if fails { 0 } else { -1 }, Ordering::SeqCst);
            let once = WriteRequest {
                request_id: Some(RequestId::parse("once").unwrap()),
                ..request(sale(0, 5))
            };
            let (mut group, mut next) = (Group::default(), Group::default());
            let mut first = give(&mut committer, &mut group, once.clone());
            let sent = committer.send(group).unwrap();
            let mut repeat = give(&mut committer, &mut next, once);
            assert!(next.units.is_empty());
            committer.land(sent, &mut next);
            assert!(committer.send(next).is_none());
            let [first, repeat] = [&mut first, &mut repeat].map(|one| one.try_recv().unwrap());
            assert_eq!(first.is_err(), fails, "{first:?}");
            assert_eq!(repeat.is_err(), fails, "{repeat:?}");
        }
    }
}
