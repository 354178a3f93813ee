//! The commit queue: one thread that owns every ledger and the store.
//!
//! It takes the writes that wait, by count and by rows, without a timer: under load groups grow by
//! themselves, alone a write goes at once. Each is worked into its ledger; the changes of the group
//! become one durable batch; then readers see them and the callers are answered.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use tokio::sync::oneshot;

use super::background::Background;
use super::ledger::{Ledger, check_recipe};
use super::restore::restore;
use super::sales::EarlierSales;
use super::tenant::Tenant;
use super::{
    Answer, EngineError, FairQueue, NotQueued, Patience, QueueRules, Refusal, StartError, Write,
    WriteRequest,
};
use crate::domain::{Day, PortfolioId, PortfolioNo};
use crate::store::{OpenOptions, SaleEntry, SaleHash, Store, StoreError, Unit, newest_checkpoint};

/// Which writes may wait for the commit thread; others are turned away as busy. A group takes some
/// milliseconds, a large one some hundred: importers that send one batch after another stay far below.
const QUEUE: QueueRules = QueueRules {
    most: 1_024,
    burst: Duration::from_secs(10),
    standing: Duration::from_secs(2),
    standing_after: Duration::from_secs(10),
};
/// At most this many writes in one group: what a caller waits for at worst.
const GROUP_WRITES: usize = 256;
/// A group that has this many changes takes no further write.
const GROUP_CHANGES: usize = 50_000;

type Reply = oneshot::Sender<Result<Answer, EngineError>>;

enum Job {
    Write(Box<WriteRequest>, Reply),
    Checkpoint,
}

/// The portfolios there are, by id.
pub type Tenants = imbl::OrdMap<PortfolioId, Arc<Tenant>>;

/// All portfolios of a data folder.
#[derive(Debug)]
pub struct Engine {
    tenants: Arc<ArcSwap<Tenants>>,
    queue: Arc<FairQueue<Job>>,
    thread: Option<JoinHandle<()>>,
    read_only: Arc<std::sync::atomic::AtomicBool>,
}

impl Engine {
    /// Opens a data folder, checks all of it, and loads it. Cost: every record once.
    pub fn open(dir: &Path, options: &OpenOptions) -> Result<Self, StartError> {
        let (store, loaded) = Store::open(dir, options)?;
        let background = Background::start();
        let mut ledgers = BTreeMap::new();
        let mut tenants = Tenants::new();
        let next_no = loaded.next_portfolio.0;
        for portfolio in loaded.portfolios {
            let mut ledger = restore(portfolio);
            let (book, _) = ledger.publish();
            let id = book.portfolio().id.clone();
            let tenant = Arc::new(Tenant::new(book));
            background.touch(&tenant);
            tenants.insert(id.clone(), tenant);
            ledgers.insert(id, ledger);
        }
        let tenants = Arc::new(ArcSwap::from_pointee(tenants));
        let read_only = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let queue = Arc::new(FairQueue::new(QUEUE));
        let jobs = queue.clone();
        let committer = Committer {
            store,
            ledgers,
            next_no,
            tenants: tenants.clone(),
            background,
            failed: None,
            read_only: read_only.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("commit".into())
            .spawn(move || {
                // However it ends, nobody is to wait for a thread that is gone.
                let _closing = CloseAtEnd(&jobs);
                committer.run(&jobs);
            })
            .map_err(StartError::Thread)?;
        Ok(Self {
            tenants,
            queue,
            thread: Some(thread),
            read_only,
        })
    }

    /// Applies a write: whole, durable and visible to every later read when this answers. A write whose
    /// caller's patience is over before its turn comes is not applied.
    pub async fn apply(
        &self,
        request: WriteRequest,
        patience: &Patience,
    ) -> Result<Answer, EngineError> {
        let (reply, answer) = oneshot::channel();
        let portfolio = request.portfolio.clone();
        let job = Job::Write(Box::new(request), reply);
        self.queue
            .push(&portfolio, patience, job)
            .map_err(|error| match error {
                NotQueued::Busy { retry_after } => EngineError::Busy { retry_after },
                NotQueued::Closed => EngineError::Closing,
            })?;
        // Without an answer it was dropped unread.
        let unread = |_| match patience.is_over(Instant::now()) {
            true => EngineError::Late,
            false => EngineError::Closing,
        };
        answer.await.map_err(unread)?
    }

    /// Keeps a checkpoint that is no older than `every`, as long as the engine is open.
    pub fn keep_checkpoints(&self, dir: &Path, every: Duration) -> Result<(), StartError> {
        let queue = Arc::downgrade(&self.queue);
        let dir = dir.to_owned();
        std::thread::Builder::new()
            .name("checkpoints".into())
            .spawn(move || keep_checkpoints(&dir, every, &queue))
            .map(|_| ())
            .map_err(StartError::Thread)
    }

    /// All portfolios, as they are at this moment.
    pub fn tenants(&self) -> Arc<Tenants> {
        self.tenants.load_full()
    }

    /// One portfolio.
    pub fn tenant(&self, id: &PortfolioId) -> Result<Arc<Tenant>, Refusal> {
        self.tenants
            .load()
            .get(id)
            .cloned()
            .ok_or_else(|| Refusal::NotFound {
                what: "portfolio",
                id: id.to_string(),
            })
    }

    /// Whether writes are refused since one failed on the disk.
    pub fn is_read_only(&self) -> bool {
        self.read_only.load(std::sync::atomic::Ordering::Acquire)
    }
}

/// Asks for a checkpoint whenever the newest is too old; one a commit is enough, and the store sees to
/// that.
fn keep_checkpoints(dir: &Path, every: Duration, queue: &Weak<FairQueue<Job>>) {
    /// How often the thread looks, and so how long it outlives the engine at most.
    const STEP: Duration = Duration::from_millis(500);
    let mut asked: Option<Instant> = None;
    loop {
        std::thread::sleep(STEP.min(every));
        let Some(queue) = queue.upgrade() else {
            return;
        };
        let written = newest_checkpoint(dir).and_then(|(_, at)| at.elapsed().ok());
        let due = written.is_none_or(|since| since >= every);
        if due
            && asked.is_none_or(|at| at.elapsed() >= every)
            && queue.push_errand(Job::Checkpoint).is_ok()
        {
            asked = Some(Instant::now());
        }
    }
}

impl Drop for Engine {
    /// Commits what waits, then lets the store close.
    fn drop(&mut self) {
        self.queue.close();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the commit thread stopped short");
        }
    }
}

/// Closes the queue when the commit thread ends.
struct CloseAtEnd<'a>(&'a FairQueue<Job>);

impl Drop for CloseAtEnd<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// What the commit thread owns.
struct Committer {
    store: Store,
    ledgers: BTreeMap<PortfolioId, Ledger>,
    next_no: u32,
    tenants: Arc<ArcSwap<Tenants>>,
    background: Background,
    failed: Option<String>,
    read_only: Arc<std::sync::atomic::AtomicBool>,
}

/// A group of writes on its way to the disk.
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

impl Committer {
    fn run(mut self, jobs: &FairQueue<Job>) {
        while let Some(first) = jobs.take() {
            let mut group = Group::default();
            self.take(&mut group, first);
            // A removed portfolio ends its group, so that its id may be given again in the next.
            while group.replies.len() < GROUP_WRITES
                && group.changes < GROUP_CHANGES
                && group.deleted.is_none()
                && !group.then_checkpoint
                && let Some(next) = jobs.try_take()
            {
                self.take(&mut group, next);
            }
            let then_checkpoint = group.then_checkpoint;
            self.finish(group);
            if then_checkpoint {
                self.checkpoint();
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
        ledger.begin();
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

    /// Makes a group durable, shows it to readers and answers its callers.
    fn finish(&mut self, group: Group) {
        let stored = match group.units.is_empty() {
            true => Ok(()),
            false => self.store.apply(&group.units).map(|_| ()),
        };
        let failure = stored.err().map(|error| self.undo(&group, &error));
        if failure.is_none() {
            self.publish(&group);
        }
        for (reply, answer) in group.replies {
            let answer = match &failure {
                Some(failure) => answer.and(Err(failure.clone())),
                None => answer,
            };
            // A caller that went away needs no answer.
            let _ = reply.send(answer);
        }
    }

    /// Takes a group back that did not become durable.
    fn undo(&mut self, group: &Group, error: &StoreError) -> EngineError {
        for id in &group.touched {
            if let Some(ledger) = self.ledgers.get_mut(id) {
                ledger.roll_back();
            }
        }
        for id in &group.created {
            self.ledgers.remove(id);
        }
        if let StoreError::DiskFull { .. } = error {
            tracing::warn!(%error, "refused a group of writes");
            return EngineError::DiskFull(error.to_string());
        }
        let final_until_restart = matches!(
            error,
            StoreError::WriteFailed(_) | StoreError::ReadOnly(_) | StoreError::Damaged { .. }
        );
        if !final_until_restart {
            tracing::error!(%error, "the store refused a group of writes; nothing of it was kept");
            return Refusal::Precondition(error.to_string()).into();
        }
        let why = error.to_string();
        tracing::error!(%error, "a write failed; the store is read-only until a restart");
        self.failed = Some(why.clone());
        self.read_only
            .store(true, std::sync::atomic::Ordering::Release);
        EngineError::ReadOnly(why)
    }

    fn publish(&mut self, group: &Group) {
        for id in &group.touched {
            let Some(ledger) = self.ledgers.get_mut(id) else {
                continue;
            };
            if group.deleted.as_ref() == Some(id) {
                self.ledgers.remove(id);
                self.tenants
                    .store(Arc::new(self.tenants.load().without(id)));
                continue;
            }
            ledger.fold_if_grown();
            let (book, changed) = ledger.publish();
            let tenants = self.tenants.load();
            match tenants.get(id) {
                Some(tenant) => {
                    tenant.publish(book, changed);
                    self.background.touch(tenant);
                }
                None => {
                    let tenant = Arc::new(Tenant::new(book));
                    self.tenants
                        .store(Arc::new(tenants.update(id.clone(), tenant)));
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

/// The day it is, in UTC.
pub fn today() -> Day {
    Day::from_epoch_days(now_unix().div_euclid(24 * 60 * 60) as i32)
}

/// Seconds since 1970-01-01 UTC, as the engine counts time.
pub fn now_unix() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs() as i64)
}
