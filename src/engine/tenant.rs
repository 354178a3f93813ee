//! One portfolio as readers and the background see it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwapOption;
use imbl::{OrdMap, Vector};

use super::changed::Changed;
use super::clock::today;
use super::evaluating::Evaluated;
use super::insights::{Insighted, LatestInsights};
use super::keeping::Keeping;
use super::moments::{MEASURED_SHARE, Moment, Moments};
use super::pages::PinnedLists;
use super::scored::{Row, Scored};
use super::scoring::{Model, client_offers, fit};
use super::selections::Selections;
use super::walk::Marks;
use super::worked_out::WorkedOut;
use super::{Advice, Book, EngineError};
use crate::domain::{ClientNo, Day, Opportunity, PortfolioId, Shortfall};
use crate::outcome::held_until;
use crate::pipeline::{OfferRow, Pipeline};
use crate::recommend::OutcomesRecipe;

/// Books up to this many tickets are fitted anew when a read meets a write that the model does not
/// know, so that an answer follows from the book alone.
pub(super) const FRESH_MODEL_TICKETS: usize = 5_000;
/// A share of changed clients from which on the whole pipeline is worked out again.
pub(super) const REBUILD_SHARE: f64 = 0.1;
/// The offers of fewer clients than this are worked out again as soon as what is held back is taken off.
const WORKED_OUT_SOON: usize = 16;

/// The portfolios there are, by id.
pub type Tenants = OrdMap<PortfolioId, Arc<Tenant>>;

/// One portfolio.
#[derive(Debug)]
pub struct Tenant {
    moments: Moments,
    model: ArcSwapOption<Model>,
    fitting: Mutex<()>,
    scored: ArcSwapOption<Scored>,
    scoring: Mutex<()>,
    worked_out: WorkedOut,
    lists: Mutex<PinnedLists>,
    selections: Mutex<Selections>,
    graded: ArcSwapOption<Evaluated>,
    insights: LatestInsights,
}

impl Tenant {
    /// A portfolio whose readers see this book.
    pub(super) fn new(book: Book) -> Self {
        Self {
            moments: Moments::from(book),
            model: ArcSwapOption::empty(),
            fitting: Mutex::new(()),
            scored: ArcSwapOption::empty(),
            scoring: Mutex::new(()),
            worked_out: WorkedOut::default(),
            lists: Mutex::new(PinnedLists::default()),
            selections: Mutex::default(),
            graded: ArcSwapOption::empty(),
            insights: LatestInsights::default(),
        }
    }

    /// Shows readers the next book. Only the commit thread calls this.
    pub(super) fn publish(&self, book: Book, changed: Changed) {
        self.moments.publish(book, changed);
    }

    /// The book as it is now.
    pub fn book(&self) -> Arc<Book> {
        self.moments.latest().book.clone()
    }

    /// The moment as it is now.
    pub fn moment(&self) -> Arc<Moment> {
        self.moments.latest()
    }

    /// Lists that pages are read from.
    pub(super) fn lists(&self) -> MutexGuard<'_, PinnedLists> {
        lock(&self.lists)
    }

    /// Lists found in pipelines.
    pub(super) fn selections(&self) -> MutexGuard<'_, Selections> {
        lock(&self.selections)
    }

    pub(super) fn latest_insights(&self) -> &LatestInsights {
        &self.insights
    }

    /// What writes after a sequence touched, up to those that a book includes.
    pub(super) fn changed(&self, after: u64, book: &Book) -> Changed {
        self.moments.changed(after, book)
    }

    /// Whether so much was written since the latest model was fitted that it says little of the book.
    pub(super) fn outgrew_model(&self) -> bool {
        let model = self.model.load_full();
        model.is_none_or(|model| self.changed_much_since(model.sequence))
    }

    /// Whether so much was written since the offers were worked out that all of them are to be worked out again.
    pub(super) fn changed_much(&self) -> bool {
        let scored = self.scored.load_full();
        scored.is_some_and(|scored| self.changed_much_since(scored.moment.book.sequence()))
    }

    fn changed_much_since(&self, sequence: u64) -> bool {
        let book = self.book();
        match self.changed(sequence, &book) {
            Changed::All => true,
            Changed::Clients(changed) => {
                let clients = book.clients().numbers();
                changed.len() as f64 >= REBUILD_SHARE * clients as f64
            }
        }
    }

    /// A model to score a moment with: one fitted to it where the book is small, else the latest
    /// there is. The first read of a portfolio waits for its first fit.
    pub fn model(&self, moment: &Moment) -> Result<Arc<Model>, EngineError> {
        if let Some(model) = self.good_model(moment) {
            return Ok(model);
        }
        let _fitting = lock(&self.fitting);
        if let Some(model) = self.good_model(moment) {
            return Ok(model);
        }
        self.fit(moment)
    }

    fn fit(&self, moment: &Moment) -> Result<Arc<Model>, EngineError> {
        let model = Arc::new(fit(&moment.book, moment.view())?);
        self.model.store(Some(model.clone()));
        Ok(model)
    }

    /// The offers of the whole portfolio: of this moment where the book is small or has none yet,
    /// else the latest there are, which the background brings up to date.
    pub fn scored(&self) -> Result<Arc<Scored>, EngineError> {
        let moment = self.moment();
        let small = moment.book.matrix().tickets() <= FRESH_MODEL_TICKETS;
        let today = today();
        let good = |scored: &Arc<Scored>| {
            let fresh = scored.moment.book.facts_sequence() >= moment.book.facts_sequence();
            scored.today == today && (!small || fresh)
        };
        match self.scored.load_full().filter(good) {
            Some(scored) => Ok(scored),
            None => self.score(),
        }
    }

    /// The write counter that offers include: that of now where no write since concerned what they follow from,
    /// whenever they were worked out.
    pub fn included(&self, scored: &Scored) -> u64 {
        let (now, facts) = (self.book(), scored.moment.book.facts_sequence());
        match now.facts_sequence() == facts {
            true => now.sequence(),
            false => facts,
        }
    }

    /// The offers of the whole portfolio where they need no waiting: the book is small, or they were
    /// worked out before.
    pub fn scored_already(&self) -> Result<Option<Arc<Scored>>, EngineError> {
        let small = self.book().matrix().tickets() <= FRESH_MODEL_TICKETS;
        match small || self.has_scores() {
            true => self.scored().map(Some),
            false => Ok(None),
        }
    }

    /// The last time that the portfolio's own recipe was tried on its history.
    pub fn graded(&self) -> Option<Arc<Evaluated>> {
        self.graded.load_full()
    }

    pub(super) fn set_graded(&self, graded: Evaluated) {
        self.graded.store(Some(Arc::new(graded)));
    }

    /// The latest model there is, whatever it was fitted to.
    pub fn latest_model(&self) -> Option<Arc<Model>> {
        self.model.load_full()
    }

    /// Whether offers were worked out since the start.
    pub(super) fn has_scores(&self) -> bool {
        self.scored.load().is_some()
    }

    /// The offers of all clients as they were worked out last, if they were.
    pub(super) fn latest_scored(&self) -> Option<Arc<Scored>> {
        self.scored.load_full()
    }

    /// Brings the offers up to date with the model there is: those of clients that changed, or all
    /// where much did.
    pub(super) fn score(&self) -> Result<Arc<Scored>, EngineError> {
        let _scoring = lock(&self.scoring);
        self.moments.measure_anew(MEASURED_SHARE);
        // The insights first: they know no client that the moment does not.
        let insighted = self.insights()?;
        let (moment, today) = (self.moment(), today());
        let last = self.scored.load_full();
        let facts = moment.book.facts_sequence();
        let same = |last: &&Arc<Scored>| {
            last.moment.book.facts_sequence() == facts
                && last.today == today
                && last.keeping.is_of(&insighted, today)
        };
        if let Some(last) = last.as_ref().filter(same) {
            return Ok(last.clone());
        }
        let model = self.model(&moment)?;
        model.remember(&moment);
        let scored = Arc::new(self.advance(last.as_deref(), insighted, moment, model, today));
        self.show(&scored);
        Ok(scored)
    }

    /// Takes offers off the lists that are held back since, or whose client is gone: at once, where working out
    /// what is offered instead takes long.
    pub(super) fn withhold(&self) {
        let _scoring = lock(&self.scoring);
        let Some(last) = self.scored.load_full() else {
            return;
        };
        let book = self.book();
        let clients: Vec<ClientNo> = match self.changed(last.moment.book.sequence(), &book) {
            Changed::Clients(changed) if changed.len() < WORKED_OUT_SOON => return,
            Changed::Clients(changed) => changed.into_iter().collect(),
            Changed::All => (0..book.clients().numbers() as u32).map(ClientNo).collect(),
        };
        if let Some(less) = last.without_held(&book, &clients, today()) {
            self.scored.store(Some(Arc::new(less)));
        }
    }

    /// Fits the model anew and works all offers out with it, while reads and [`Tenant::score`] go on
    /// with the one before; then swaps both in at once, with what was written meanwhile.
    pub(super) fn renew(&self) -> Result<Arc<Scored>, EngineError> {
        self.moments.measure_anew(0.0);
        let insighted = self.insights()?;
        let (moment, today) = (self.moment(), today());
        let model = self.renewed_model(&moment)?;
        // Whoever asks for the first list waits for this one instead of working it out besides.
        let first = (!self.has_scores()).then(|| lock(&self.scoring));
        let last = self.scored.load_full();
        if last.is_some_and(|last| Arc::ptr_eq(&last.model, &model)) {
            drop(first);
            return self.score();
        }
        let whole = self.advance(None, insighted, moment, model, today);
        let scoring = first.unwrap_or_else(|| lock(&self.scoring));
        let newer = |there: Arc<Model>| there.facts_sequence > whole.model.facts_sequence;
        if self.model.load_full().is_some_and(newer) {
            drop(scoring);
            return self.score();
        }
        let insighted = self.insights()?;
        let now = self.moment();
        let scored = match now.book.facts_sequence() == whole.moment.book.facts_sequence() {
            true => Arc::new(whole),
            false => {
                let model = whole.model.clone();
                Arc::new(self.advance(Some(&whole), insighted, now, model, today))
            }
        };
        self.model.store(Some(scored.model.clone()));
        self.show(&scored);
        Ok(scored)
    }

    /// Puts offers in the place of those before.
    fn show(&self, scored: &Arc<Scored>) {
        self.scored.store(Some(scored.clone()));
        let facts_sequence = scored.moment.book.facts_sequence();
        self.worked_out.forget(&scored.model, facts_sequence);
        self.let_lists_go();
    }

    /// The model fitted to a moment. Reads get it at once where they wait for it: in a small book,
    /// and where there was none.
    fn renewed_model(&self, moment: &Moment) -> Result<Arc<Model>, EngineError> {
        let _fitting = lock(&self.fitting);
        let facts = moment.book.facts_sequence();
        let fitted = |model: &Arc<Model>| model.facts_sequence == facts;
        let last = self.model.load_full();
        if let Some(model) = last.clone().filter(fitted) {
            return Ok(model);
        }
        let small = moment.book.matrix().tickets() <= FRESH_MODEL_TICKETS;
        match small || last.is_none() {
            true => self.fit(moment),
            false => Ok(Arc::new(fit(&moment.book, moment.view())?)),
        }
    }

    /// The offers of a moment by a model, made of earlier ones where these are by the same model. Cost:
    /// the clients that changed since, or all.
    fn advance(
        &self,
        last: Option<&Scored>,
        insighted: Arc<Insighted>,
        moment: Arc<Moment>,
        model: Arc<Model>,
        today: Day,
    ) -> Scored {
        let clients = moment.book.clients().numbers();
        let few =
            |changed: &BTreeSet<ClientNo>| (changed.len() as f64) < REBUILD_SHARE * clients as f64;
        let by_it = last.filter(|last| Arc::ptr_eq(&last.model, &model));
        let since = by_it.map(|last| {
            let mut changed = self.changed(last.moment.book.sequence(), &moment.book);
            let outcomes = &model.recipe().outcomes;
            for client in released(&moment.book, outcomes, last.today, today) {
                changed.client(client);
            }
            (last, changed)
        });
        let facts_sequence = moment.book.facts_sequence();
        let mut shortfalls = BTreeSet::new();
        let mut take = |(found, offers): (BTreeSet<Shortfall>, OfferRow)| -> (Row, OfferRow) {
            shortfalls.extend(&found);
            let row = Row {
                facts_sequence,
                shortfalls: found,
            };
            (row, offers)
        };
        let (pipeline, rows) = match since {
            Some((last, Changed::Clients(changed))) if few(&changed) => {
                let changed: Vec<_> = changed.into_iter().collect();
                let found = self.changed_offers(&moment, &model, today, &changed);
                let mut rows = last.rows.clone();
                while rows.len() < clients {
                    rows.push_back(Row::default());
                }
                let offers = changed.into_iter().zip(found).map(|(client, found)| {
                    let (row, offers) = take(found);
                    rows.set(client.index(), row);
                    (client, offers)
                });
                let pipeline = last.pipeline.with_rows(offers);
                shortfalls.extend(&last.shortfalls);
                (pipeline, rows)
            }
            _ => {
                let all: Vec<_> = (0..clients as u32).map(ClientNo).collect();
                let found = client_offers(&moment, &model, today, &all);
                let (rows, offers): (Vector<Row>, Vec<_>) = found.into_iter().map(take).unzip();
                (Pipeline::new(offers), rows)
            }
        };
        let kept = last.map(|last| &last.keeping);
        let changed = kept.map_or(Changed::All, |kept| {
            self.changed(kept.sequence(), &insighted.moment.book)
        });
        Scored {
            keeping: Keeping::of(kept, &changed, &insighted, today),
            moment,
            model,
            today,
            pipeline,
            shortfalls,
            rows,
            marks: Marks::default(),
        }
    }

    /// The offers of some clients that sell, as [`client_offers`]; those that were worked out on request are not
    /// worked out again.
    fn changed_offers(
        &self,
        moment: &Moment,
        model: &Arc<Model>,
        today: Day,
        clients: &[ClientNo],
    ) -> Vec<(BTreeSet<Shortfall>, OfferRow)> {
        let there = |client: &ClientNo| self.worked_out.find(moment, model, today, *client);
        let found: Vec<_> = clients.iter().map(there).collect();
        let missing = clients.iter().zip(&found);
        let missing: Vec<ClientNo> = missing
            .filter(|(_, found)| found.is_none())
            .map(|(client, _)| *client)
            .collect();
        let mut rest = client_offers(moment, model, today, &missing).into_iter();
        let found = found.into_iter();
        found
            .filter_map(|found| found.or_else(|| rest.next()))
            .collect()
    }

    /// What more a client would buy, from the pipeline or as it was worked out since; `None` where it has to be worked
    /// out: something that concerns the client was written, or what there is is of another model or day.
    pub(super) fn kept_advice(
        &self,
        moment: &Moment,
        model: &Arc<Model>,
        client: ClientNo,
    ) -> Option<Advice> {
        let today = today();
        let scored = self.scored.load();
        let row = scored.as_ref().and_then(|scored| {
            let row = scored.rows.get(client.index())?;
            let is_true = moment.is_served_by(client, row.facts_sequence)
                && scored.today == today
                && Arc::ptr_eq(&scored.model, model);
            is_true.then(|| (scored.pipeline.of(client), row.shortfalls.clone()))
        });
        let (opportunities, shortfalls) = row.or_else(|| {
            let (shortfalls, offers) = self.worked_out.find(moment, model, today, client)?;
            Some((offers.opportunities(client).collect(), shortfalls))
        })?;
        Some(Advice {
            opportunities,
            keep: Vec::new(),
            shortfalls,
        })
    }

    /// What was worked out on request and is newer than the pipeline.
    pub(super) fn worked_out(&self) -> &WorkedOut {
        &self.worked_out
    }

    /// What keeps a client, from the pipeline, and whether that comes before selling it more; `None` where it
    /// has to be worked out.
    pub(super) fn kept_keep(
        &self,
        moment: &Moment,
        client: ClientNo,
    ) -> Option<(Vec<Opportunity>, bool)> {
        let scored = self.scored.load();
        let keeping = &scored.as_ref()?.keeping;
        let latest = self.insights_there_are()?;
        let is_true = moment.is_served_by(client, keeping.facts_sequence())
            && keeping.is_of(&latest, today());
        is_true.then(|| {
            let offers = keeping.pipeline.of(client);
            (offers, keeping.comes_first(client))
        })
    }

    /// The latest model where it is good to score a moment with.
    pub(super) fn good_model(&self, moment: &Moment) -> Option<Arc<Model>> {
        let small = moment.book.matrix().tickets() <= FRESH_MODEL_TICKETS;
        let model = self.model.load_full()?;
        (!small || model.facts_sequence == moment.book.facts_sequence()).then_some(model)
    }
}

/// Clients with an offer that waited on a day and no longer does on a later one. Cost: the offers
/// that have a past.
pub(super) fn released(
    book: &Book,
    outcomes: &OutcomesRecipe,
    from: Day,
    to: Day,
) -> impl Iterator<Item = ClientNo> {
    let outcomes = *outcomes;
    let offers = (from != to).then(|| book.offers().iter());
    offers
        .into_iter()
        .flatten()
        .filter_map(move |((client, ..), offer)| {
            let until = held_until(offer, &outcomes)?;
            ((from < until) != (to < until)).then_some(*client)
        })
}

/// A poisoned lock guards plain data that a stopped computation left whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
