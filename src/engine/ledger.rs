//! One portfolio as the commit thread keeps it: the book that readers will see next, and the
//! changes that must be durable before they do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use imbl::OrdMap;

use super::answers::{Answers, request_hash};
use super::book::{Book, OfferKey};
use super::changed::Changed;
use super::recipes::recipe_of;
use super::sales::{EarlierSales, NAMED_VIOLATIONS, Posting};
use super::{Answer, EngineError, PortfolioPatch, Refusal, Write, WriteRequest};
use crate::domain::{
    ApiKey, BucketChange, Client, ClientEvent, ClientId, ClientNo, History, KeyId, Month,
    Portfolio, PortfolioNo, Product, ProductId, ProductNo, Slot, Violation,
};
use crate::store::{Change, RequestHash, SaleEntry, SaleHash};

/// Valid keys of one role: the one in use, and the one to change to.
const MAX_KEYS_A_ROLE: usize = 2;
/// The most events kept of one client.
const MAX_EVENTS: usize = 10_000;

/// One portfolio's working state.
#[derive(Debug)]
pub(super) struct Ledger {
    no: PortfolioNo,
    pub(super) book: Book,
    answers: Answers,
    /// Clients whose rows the matrix does not show yet.
    unsettled: BTreeSet<ClientNo>,
    /// Whose offers the writes since the last published book may have changed.
    pub(super) changed: Changed,
    /// The number for the next event of each client.
    next_events: OrdMap<u32, u32>,
    /// The batch that writes are taken into.
    taking: Option<Batch>,
    /// The batch before it, while it is on its way to the disk.
    sent: Option<Batch>,
}

/// A batch that is not durable yet: what the store may not have of it, and what a ledger goes back to when it does not
/// become so.
#[derive(Debug)]
struct Batch {
    /// The book before it.
    book: Book,
    next_events: OrdMap<u32, u32>,
    /// Requests answered in it.
    answered: Vec<RequestHash>,
    /// Sales by name in it.
    sales: BTreeMap<SaleHash, SaleEntry>,
    /// Clients whose earlier sales by name it drops.
    erased: BTreeSet<ClientNo>,
}

impl Ledger {
    /// A ledger of a book that the store holds already.
    pub(super) fn restore(
        no: PortfolioNo,
        mut book: Book,
        answers: Answers,
        next_events: OrdMap<u32, u32>,
    ) -> Self {
        book.settle_whole();
        Self {
            no,
            book,
            answers,
            unsettled: BTreeSet::new(),
            changed: Changed::default(),
            next_events,
            taking: None,
            sent: None,
        }
    }

    /// A ledger of a new portfolio.
    pub(super) fn create(no: PortfolioNo, portfolio: Portfolio) -> Self {
        let book = Book::new(Arc::new(portfolio));
        Self::restore(no, book, Answers::default(), OrdMap::new())
    }

    /// The portfolio's number in the store.
    pub(super) fn no(&self) -> PortfolioNo {
        self.no
    }

    /// The kept answer of a request that came before.
    pub(super) fn answered(&self, request: &WriteRequest) -> Result<Option<Answer>, EngineError> {
        match &request.request_id {
            Some(id) => self.answers.find(request_hash(id), &request.write),
            None => Ok(None),
        }
    }

    /// Works a write into the state and returns its answer with the changes to make durable. On an
    /// error nothing has changed.
    pub(super) fn apply(
        &mut self,
        request: &WriteRequest,
        stored: &dyn EarlierSales,
        now_unix: i64,
    ) -> Result<(Answer, Vec<Change>), EngineError> {
        self.batch();
        let mut changes = Vec::new();
        let (created, replaced) = match &request.write {
            Write::CreatePortfolio(portfolio) => {
                changes.push(Change::PutPortfolio(Arc::new(portfolio.clone())));
                (1, 0)
            }
            Write::UpdatePortfolio(patch) => self.update(patch, &mut changes)?,
            Write::DeletePortfolio => {
                changes.push(Change::DropPortfolio);
                (0, 0)
            }
            Write::UpsertClients(clients) => self.upsert_clients(clients, &mut changes)?,
            Write::DeleteClient(id) => self.delete_client(id, &mut changes)?,
            Write::UpsertProducts(products) => self.upsert_products(products, &mut changes)?,
            Write::DeleteProduct(id) => self.delete_product(id, &mut changes)?,
            Write::RecordSales(drafts) => {
                let earlier = BatchesThenStore {
                    batches: [&self.taking, &self.sent],
                    stored,
                };
                let posting = Posting::of_sales(&self.book, &earlier, drafts)?;
                self.post(posting, &mut changes)
            }
            Write::SetTickets(drafts) => {
                let posting = Posting::of_tickets(&self.book, drafts)?;
                self.post(posting, &mut changes)
            }
            Write::RecordEvents(events) => self.record_events(events, &mut changes)?,
            Write::RecordOutcomes(outcomes) => self.record_outcomes(outcomes, &mut changes)?,
            Write::LogShowings(showings) => self.log_showings(showings, &mut changes),
            Write::SetObjective { aim, baseline } => {
                self.set_objective(aim, *baseline, &mut changes)?
            }
            Write::DeleteObjective(id) => self.delete_objective(id, &mut changes)?,
            Write::RecordActions(id, actions) => self.record_actions(id, actions, &mut changes)?,
            Write::CreateApiKey(key) => self.create_key(key, now_unix, &mut changes)?,
            Write::RevokeApiKey(id) => self.revoke_key(*id, &mut changes)?,
        };
        self.book.sequence += 1;
        if request.write.changes_facts() {
            self.book.facts_sequence = self.book.sequence;
        }
        let answer = Answer {
            created,
            replaced,
            sequence: self.book.sequence,
            repeated: false,
        };
        if let Some(id) = &request.request_id {
            let hash = request_hash(id);
            let (kept, expired) = self.answers.keep(hash, &request.write, answer, now_unix);
            self.batch().answered.push(hash);
            changes.push(Change::PutAnswer(hash, kept));
            changes.extend(expired.into_iter().map(Change::DropAnswer));
        }
        Ok((answer, changes))
    }

    /// The batch that writes are taken into. A new one remembers the state as it is now.
    fn batch(&mut self) -> &mut Batch {
        self.taking.get_or_insert_with(|| Batch {
            book: self.book.clone(),
            next_events: self.next_events.clone(),
            answered: Vec::new(),
            sales: BTreeMap::new(),
            erased: BTreeSet::new(),
        })
    }

    /// Ends the batch: it is on its way to the disk. Answers the book to show to readers once it is there, and whose
    /// offers it may change. The batch before it has landed.
    pub(super) fn send(&mut self) -> (Book, Changed) {
        debug_assert!(self.sent.is_none());
        self.sent = self.taking.take();
        self.fold_if_grown();
        let unsettled = std::mem::take(&mut self.unsettled);
        let mut changed = std::mem::take(&mut self.changed);
        for client in &unsettled {
            changed.client(*client);
        }
        if self.book.settle(unsettled) {
            changed = Changed::All;
        }
        (self.book.clone(), changed)
    }

    /// The batch that was sent is durable.
    pub(super) fn landed(&mut self) {
        self.sent = None;
    }

    /// Goes back to the last state that is durable: before the batch that was sent, if one is under way, else before the
    /// one that writes are taken into.
    pub(super) fn roll_back(&mut self) {
        for batch in [self.taking.take(), self.sent.take()].into_iter().flatten() {
            self.book = batch.book;
            self.next_events = batch.next_events;
            for request in batch.answered {
                self.answers.forget(request);
            }
        }
        self.unsettled.clear();
        self.changed = Changed::default();
    }

    /// Folds the overlay of the matrix when it has grown past its share of the book.
    fn fold_if_grown(&mut self) {
        /// Rows in the overlay that cost readers nothing to speak of: each is gone through by every question.
        const FREE_ROWS: usize = 128;
        let matrix = self.book.matrix();
        if matrix.overlay_rows() > FREE_ROWS.max(matrix.clients() / 16) {
            self.book.fold();
        }
    }

    fn update(
        &mut self,
        patch: &PortfolioPatch,
        changes: &mut Vec<Change>,
    ) -> Result<(u32, u32), EngineError> {
        let mut portfolio = Portfolio::clone(&self.book.portfolio);
        let old_reading = (portfolio.window, portfolio.period);
        let PortfolioPatch {
            name,
            period,
            window,
            language,
            recipe,
            recipe_overrides,
        } = patch.clone();
        portfolio.name = name.unwrap_or(portfolio.name);
        portfolio.period = period.unwrap_or(portfolio.period);
        portfolio.window = window.unwrap_or(portfolio.window);
        portfolio.language = language.unwrap_or(portfolio.language);
        portfolio.recipe = recipe.unwrap_or(portfolio.recipe);
        portfolio.recipe_overrides = recipe_overrides.unwrap_or(portfolio.recipe_overrides);
        check_recipe(&portfolio)?;
        let portfolio = Arc::new(portfolio);
        changes.push(Change::PutPortfolio(portfolio.clone()));
        if (portfolio.window, portfolio.period) != old_reading {
            self.unsettled
                .extend((0..self.book.histories.len() as u32).map(ClientNo));
        }
        self.changed = Changed::All;
        self.book.portfolio = portfolio;
        Ok((0, 1))
    }

    fn upsert_clients(
        &mut self,
        clients: &[Client],
        changes: &mut Vec<Change>,
    ) -> Result<(u32, u32), EngineError> {
        let (mut created, mut replaced) = (0, 0);
        for client in clients {
            let client = Arc::new(client.clone());
            let (number, new) = self.book.clients.put(client.id.clone(), client.clone());
            if new {
                self.book.histories.push_back(History::default());
                self.unsettled.insert(ClientNo(number));
                created += 1;
            } else {
                replaced += 1;
            }
            self.changed.client(ClientNo(number));
            changes.push(Change::PutClient(ClientNo(number), client));
        }
        Ok((created, replaced))
    }

    fn delete_client(
        &mut self,
        id: &ClientId,
        changes: &mut Vec<Change>,
    ) -> Result<(u32, u32), EngineError> {
        let (client, _) = self.book.client(id)?;
        let history = std::mem::take(&mut self.book.histories[client.index()]);
        for bucket in history.iter() {
            let amount = i128::from(bucket.amount_minor);
            match bucket.slot {
                Slot::SetTicket => self.book.figures.set_tickets_minor -= amount,
                Slot::Month(month) => {
                    let figures = &mut self.book.figures;
                    figures.sales_amount_minor -= amount;
                    figures.sales = figures.sales.saturating_sub(u64::from(bucket.sales));
                    self.count_month(month, -1);
                }
            }
        }
        self.book.clients.remove(id);
        self.book.events.remove(&client.0);
        let offers: Vec<_> = self.book.offers_of(client).map(|(key, _)| *key).collect();
        for key in offers {
            self.book.offers.remove(&key);
        }
        self.next_events.remove(&client.0);
        let batch = self.batch();
        batch.sales.retain(|_, sale| sale.client != client);
        batch.erased.insert(client);
        self.unsettled.insert(client);
        changes.push(Change::DropClient(client));
        Ok((0, 0))
    }

    fn upsert_products(
        &mut self,
        products: &[Product],
        changes: &mut Vec<Change>,
    ) -> Result<(u32, u32), EngineError> {
        let (mut created, mut replaced) = (0, 0);
        for product in products {
            let product = Arc::new(product.clone());
            let (number, new) = self.book.products.put(product.id.clone(), product.clone());
            if new {
                created += 1;
            } else {
                replaced += 1;
            }
            changes.push(Change::PutProduct(ProductNo(number), product));
        }
        self.changed = Changed::All;
        Ok((created, replaced))
    }

    fn delete_product(
        &mut self,
        id: &ProductId,
        changes: &mut Vec<Change>,
    ) -> Result<(u32, u32), EngineError> {
        let (product, _) = self.book.product(id)?;
        let buys = |history: &&History| history.buckets_of(product).next().is_some();
        let buyers = self.book.histories.iter().filter(buys).count();
        if buyers > 0 {
            let text = format!(
                "{buyers} clients have bought the product '{id}'; set it inactive with BatchUpsertProducts, so that it is no longer offered"
            );
            return Err(Refusal::Precondition(text).into());
        }
        self.book.products.remove(id);
        let of_product = |key: &&OfferKey| key.1 == product;
        let offers: Vec<_> = self
            .book
            .offers
            .keys()
            .filter(of_product)
            .copied()
            .collect();
        for key in offers {
            self.book.offers.remove(&key);
            changes.push(Change::DropOffer(key.0, key.1, key.2));
        }
        changes.push(Change::DropProduct(product));
        Ok((0, 0))
    }

    fn record_events(
        &mut self,
        events: &[(ClientId, ClientEvent)],
        changes: &mut Vec<Change>,
    ) -> Result<(u32, u32), EngineError> {
        let mut violations = Vec::new();
        let mut by_client: BTreeMap<ClientNo, Vec<ClientEvent>> = BTreeMap::new();
        for (at, (id, event)) in events.iter().enumerate() {
            match self.book.clients.number(id) {
                Some(client) => by_client.entry(ClientNo(client)).or_default().push(event.clone()),
                None => violations.push(Violation::new(
                    format!("events[{at}].client_id"),
                    format!("names the client '{id}', which is not in the portfolio; add it with BatchUpsertClients"),
                )),
            }
            if violations.len() >= NAMED_VIOLATIONS {
                break;
            }
        }
        for (client, new) in &by_client {
            if self.book.events(*client).len() + new.len() > MAX_EVENTS {
                let reason = format!("would give a client more than {MAX_EVENTS} events");
                violations.push(Violation::new("events", reason));
            }
        }
        if !violations.is_empty() {
            return Err(Refusal::Invalid(violations).into());
        }
        for (client, new) in by_client {
            let mut next = self.next_events.get(&client.0).copied().unwrap_or(0);
            for event in &new {
                changes.push(Change::PutEvent(client, next, Arc::new(event.clone())));
                next += 1;
            }
            self.next_events.insert(client.0, next);
            let mut all = self.book.events(client).to_vec();
            all.extend(new);
            // Stable: of one day's events the one recorded later stands later.
            all.sort_by_key(|event| event.day);
            self.book.events.insert(client.0, Arc::new(all));
            self.changed.client(client);
        }
        Ok((events.len() as u32, 0))
    }

    fn create_key(
        &mut self,
        key: &ApiKey,
        now_unix: i64,
        changes: &mut Vec<Change>,
    ) -> Result<(u32, u32), EngineError> {
        let keys = &self.book.api_keys;
        let of_role = |there: &&Arc<ApiKey>| there.role == key.role && there.is_valid_at(now_unix);
        if keys.values().filter(of_role).count() >= MAX_KEYS_A_ROLE {
            let text = format!(
                "the portfolio has {MAX_KEYS_A_ROLE} valid keys of the role {} already: one in use and one to change to; revoke one with RevokeApiKey",
                key.role.name()
            );
            return Err(Refusal::Precondition(text).into());
        }
        if keys.contains_key(&key.id) {
            let text = "the new key's id is taken; ask again";
            return Err(Refusal::Precondition(text.into()).into());
        }
        let key = Arc::new(key.clone());
        self.book.api_keys.insert(key.id, key.clone());
        changes.push(Change::PutApiKey(key));
        Ok((1, 0))
    }

    fn revoke_key(
        &mut self,
        id: KeyId,
        changes: &mut Vec<Change>,
    ) -> Result<(u32, u32), EngineError> {
        if self.book.api_keys.remove(&id).is_none() {
            let refusal = Refusal::NotFound {
                what: "key",
                id: id.to_string(),
            };
            return Err(refusal.into());
        }
        changes.push(Change::DropApiKey(id));
        Ok((0, 1))
    }

    fn post(&mut self, posting: Posting, changes: &mut Vec<Change>) -> (u32, u32) {
        for (client, of_client) in posting.by_client() {
            let old = &self.book.histories[client.index()];
            let months = month_changes(old, &of_client);
            let (history, blocks) = old.with(&of_client);
            self.book.histories.set(client.index(), history);
            for (month, change) in months {
                self.count_month(month, change);
            }
            changes.extend(
                blocks
                    .into_iter()
                    .map(|block| Change::of_block(client, block)),
            );
            self.unsettled.insert(client);
        }
        for (hash, sale) in &posting.sales {
            changes.push(Change::PutSale(*hash, *sale));
        }
        self.batch().sales.extend(posting.sales);
        self.book.figures = posting.figures;
        (posting.created, posting.replaced)
    }

    fn count_month(&mut self, month: Month, change: i64) {
        let count = self.book.months.get(&month).copied().unwrap_or(0);
        match count.saturating_add_signed(change) {
            0 => self.book.months.remove(&month),
            count => self.book.months.insert(month, count),
        };
    }
}

/// Refuses a portfolio whose recipe is not there or cannot be set as it says.
pub(super) fn check_recipe(portfolio: &Portfolio) -> Result<(), Refusal> {
    recipe_of(portfolio).map(|_| ())
}

/// The sales of batches that are not durable yet, the later one first, stand before those of the store.
struct BatchesThenStore<'a> {
    batches: [&'a Option<Batch>; 2],
    stored: &'a dyn EarlierSales,
}

impl EarlierSales for BatchesThenStore<'_> {
    fn find(&self, hash: SaleHash) -> Result<Option<SaleEntry>, EngineError> {
        let batches: Vec<&Batch> = self.batches.into_iter().flatten().collect();
        let holds = |batch: &&Batch| batch.sales.contains_key(&hash);
        let at = batches.iter().position(holds);
        let found = match at {
            Some(at) => batches[at].sales.get(&hash).copied(),
            None => self.stored.find(hash)?,
        };
        let later = &batches[..at.unwrap_or(batches.len())];
        Ok(found.filter(|sale| {
            later
                .iter()
                .all(|batch| !batch.erased.contains(&sale.client))
        }))
    }
}

/// How the number of buckets of each month changes.
fn month_changes(old: &History, changes: &[BucketChange]) -> BTreeMap<Month, i64> {
    let mut months = BTreeMap::new();
    for change in changes {
        let (key, after) = match change {
            BucketChange::Put(bucket) => (bucket.key(), 1),
            BucketChange::Remove(key) => (*key, 0),
        };
        if let Slot::Month(month) = key.1 {
            let before = i64::from(old.get(key.0, key.1).is_some());
            *months.entry(month).or_insert(0) += after - before;
        }
    }
    months
}
