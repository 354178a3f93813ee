//! From a moment to offers: the one place that calls `recommend`.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::SystemTime;

use rayon::prelude::*;

use super::clock::today;
use super::moments::Moment;
use super::priority::let_others_on;
use super::recipes::recipe_of;
use super::tenant::Tenant;
use super::{Advice, Book, EngineError, OfferKey, Supposed, View};
use crate::domain::{
    Client, ClientNo, DAYS_PER_MONTH, Day, Kind, Offer, Opportunity, Outcome, Product, ProductId,
    ProductNo, Shortfall, published,
};
use crate::insight::Kept;
use crate::matrix::Cell;
use crate::neighbours::{NearestOfAll, Subject};
use crate::outcome::{self, Correction, HoldOut, Resolved, held_until};
use crate::pipeline::{OfferRow, Offered, Rules};
use crate::recommend::adoption::Scene;
use crate::recommend::{
    self, Advisor, Learnt, OutcomesRecipe, Receipt, Recipe, Scratch, SimilarClient,
};

/// What was learnt from one state of a portfolio.
#[derive(Debug)]
pub struct Model {
    /// The write counter of the state that it was fitted to.
    pub sequence: u64,
    /// When it was.
    pub at: SystemTime,
    /// [`Book::facts_sequence`] of that state.
    pub(super) facts_sequence: u64,
    recipe: Arc<Recipe>,
    advisor: Advisor,
    outcomes: Option<outcome::Learnt>,
}

impl Model {
    /// The recipe it was fitted with.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Keeps what estimates from a moment's book need most, where the model was fitted to another: they are the same
    /// either way.
    pub(super) fn remember(&self, moment: &Moment) {
        let scene = scene(&moment.book, moment.view(), &self.recipe);
        self.advisor.upsell().remember(&scene.book);
    }

    /// What reported outcomes say of its probabilities.
    pub fn outcomes(&self) -> Option<&outcome::Learnt> {
        self.outcomes.as_ref()
    }

    /// How outcomes correct its probabilities.
    pub fn correction(&self) -> Correction {
        self.outcomes
            .map_or(Correction::NONE, |learnt| learnt.serving())
    }

    /// What the portfolio's history chose.
    pub fn learnt(&self) -> Vec<Learnt> {
        self.advisor.learnt()
    }
}

/// The share of the clients from which on the neighbours of all are searched at once.
const ALL_AT_ONCE_SHARE: f64 = 0.2;

thread_local! {
    /// Buffers of the thread, so that a request allocates none.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Fits a model to a book. Cost: see [`Advisor::fit`].
pub(super) fn fit(book: &Book, view: &View) -> Result<Model, EngineError> {
    let recipe = recipe_of(book.portfolio())?;
    let scene = scene(book, view, &recipe);
    let period_days = DAYS_PER_MONTH * book.portfolio().period.months() as f64;
    let go_on = |_: f64| ControlFlow::Continue(());
    let log = book.purchase_log();
    // The first day that is not known: the last month is rarely whole.
    let as_of = log.days().map_or(book.as_of(), |(_, last)| last.plus(1));
    let fitted = Advisor::fit(&scene, &log, as_of, period_days, &go_on);
    let advisor = fitted.map_err(|_| EngineError::Closing)?;
    let resolved = resolved(book);
    let outcomes = Correction::learn(&resolved, recipe.outcomes.least_outcomes);
    Ok(Model {
        sequence: book.sequence(),
        facts_sequence: book.facts_sequence(),
        at: SystemTime::now(),
        recipe,
        advisor,
        outcomes,
    })
}

/// The offers of some clients that sell, in the order they are named, and why there may be fewer. On all
/// cores; the same whatever their number.
pub(super) fn client_offers(
    moment: &Moment,
    model: &Model,
    today: Day,
    clients: &[ClientNo],
) -> Vec<(BTreeSet<Shortfall>, OfferRow)> {
    // Made before the tasks start: one that made it while another waits for it would wait for itself.
    let view = moment.view();
    // Searching all pairs of clients at once is cheaper than searching for many of them one by one.
    let many = clients.len() as f64 >= ALL_AT_ONCE_SHARE * moment.book.clients().numbers() as f64;
    let nearest = many.then(|| NearestOfAll::of_index(&view.cosine, model.advisor.neighbours()));
    let scene = Scene {
        nearest: nearest.as_ref(),
        ..scene(&moment.book, view, &model.recipe)
    };
    let advise = |client: &ClientNo| {
        let Some(record) = moment.book.clients().get(client.0) else {
            return (BTreeSet::new(), OfferRow::default());
        };
        let advice = SCRATCH.with_borrow_mut(|scratch| {
            advise(&moment.book, &scene, model, today, *client, record, scratch)
        });
        let_others_on();
        // Kept small at once: the whole of all clients' would be twice as much.
        (advice.shortfalls, OfferRow::of(advice.opportunities))
    };
    clients.par_iter().map(advise).collect()
}

impl Tenant {
    /// What more a client would buy.
    pub fn advise(&self, moment: &Moment, client: ClientNo) -> Result<Advice, EngineError> {
        let model = self.model(moment)?;
        let Some(record) = moment.book.clients().get(client.0) else {
            return Ok(Advice::default());
        };
        let advice = match self.kept_advice(moment, &model, client) {
            Some(advice) => advice,
            None => {
                let scene = scene(&moment.book, moment.view(), &model.recipe);
                let (book, today) = (&moment.book, today());
                let advice = SCRATCH.with_borrow_mut(|scratch| {
                    advise(book, &scene, &model, today, client, record, scratch)
                });
                self.worked_out()
                    .keep(moment, &model, today, client, &advice);
                advice
            }
        };
        let keep = match self.kept_keep(moment, client) {
            Some(kept) => kept,
            None => {
                let (kept, comes_first) = self.keep(&moment.book, client, today())?;
                let offers = kept.into_iter().map(|one| one.opportunity);
                (offers.collect(), comes_first)
            }
        };
        Ok(whole(&moment.book, &model, record, advice, keep))
    }

    /// The same where it stands ready: nothing is worked out, and nobody waited for.
    pub fn advice_kept(&self, moment: &Moment, client: ClientNo) -> Option<Advice> {
        let model = self.good_model(moment)?;
        let record = moment.book.clients().get(client.0)?;
        let advice = self.kept_advice(moment, &model, client)?;
        let keep = self
            .kept_keep(moment, client)
            .or_else(|| self.keep_soon(&moment.book, client, today()))?;
        Some(whole(&moment.book, &model, record, advice, keep))
    }

    /// What more a client would buy that is only supposed. Nothing is written.
    pub fn suppose(&self, moment: &Moment, supposed: &Supposed) -> Result<Advice, EngineError> {
        let model = self.model(moment)?;
        Ok(suppose(moment, &model, supposed))
    }

    /// An offer that keeps a client with its receipt; `None` where there is none.
    pub fn explain_kept(
        &self,
        moment: &Moment,
        client: ClientNo,
        product: ProductNo,
        kind: Kind,
    ) -> Result<Option<Kept>, EngineError> {
        let (kept, _) = self.keep(&moment.book, client, today())?;
        let mut kept = kept.into_iter();
        Ok(kept.find(|one| (one.opportunity.product, one.opportunity.kind) == (product, kind)))
    }

    /// An opportunity that sells with its receipt; `None` where no figure is published.
    pub fn explain(
        &self,
        moment: &Moment,
        client: ClientNo,
        product: ProductNo,
    ) -> Result<Option<(Opportunity, Receipt)>, EngineError> {
        let model = self.model(moment)?;
        let (book, view) = (&moment.book, moment.view());
        let subject = Subject::existing(book.matrix(), &view.profiles, client);
        let scene = scene(book, view, &model.recipe);
        let explained = SCRATCH
            .with_borrow_mut(|scratch| model.advisor.explain(&scene, &subject, product, scratch));
        let lines = book.tickets(client);
        let current = lines
            .iter()
            .find(|line| line.product == product)
            .map(|line| line.ticket_minor);
        Ok(explained.map(|(mut opportunity, mut receipt)| {
            exact(&mut opportunity, current.unwrap_or(0), &scene.book);
            give(&mut opportunity, model.correction(), &scene.book);
            if opportunity.kind == Kind::Upsell {
                receipt.priority.value_minor = opportunity.gain_minor as f64;
            }
            receipt.priority.probability = opportunity.probability;
            (opportunity, receipt)
        }))
    }

    /// The clients most like a client, and why there may be fewer than asked for.
    pub fn similar(
        &self,
        moment: &Moment,
        client: ClientNo,
        k: usize,
    ) -> Result<(Vec<SimilarClient>, BTreeSet<Shortfall>), EngineError> {
        let model = self.model(moment)?;
        let (book, view) = (&moment.book, moment.view());
        let subject = Subject::existing(book.matrix(), &view.profiles, client);
        let scene = scene(book, view, &model.recipe);
        let (found, missing) = SCRATCH
            .with_borrow_mut(|scratch| model.advisor.similar(&scene.book, &subject, k, scratch));
        Ok((found, missing.into_iter().collect()))
    }
}

/// What sells to a client and what keeps it, as one: a client that is kept first is sold nothing meanwhile.
fn whole(
    book: &Book,
    model: &Model,
    record: &Client,
    advice: Advice,
    (keep, comes_first): (Vec<Opportunity>, bool),
) -> Advice {
    let mut advice = Advice { keep, ..advice };
    if comes_first {
        advice.opportunities.clear();
        advice.shortfalls = BTreeSet::from([Shortfall::KeepFirst]);
    }
    if hold_out(book, model).holds(&record.id) {
        advice.shortfalls.insert(Shortfall::HeldOut);
    }
    advice
}

/// What more a client would buy that is only supposed, by a model.
pub(super) fn suppose(moment: &Moment, model: &Model, supposed: &Supposed) -> Advice {
    let book = &moment.book;
    let view = moment.view();
    let record = supposed
        .client
        .and_then(|client| book.clients().get(client.0));
    let mut lines: Vec<(ProductNo, i64, Option<Day>)> = Vec::new();
    if let Some(client) = supposed.client {
        lines.extend(
            book.tickets(client)
                .iter()
                .map(|line| (line.product, line.ticket_minor, line.last_day)),
        );
    }
    for (product, ticket_minor) in &supposed.tickets {
        lines.retain(|(own, _, _)| own != product);
        lines.push((*product, *ticket_minor, book.months().map(|_| book.as_of())));
    }
    lines.retain(|(_, ticket_minor, _)| *ticket_minor > 0);
    lines.sort_unstable_by_key(|(product, _, _)| *product);
    let cells: Vec<Cell> = lines
        .iter()
        .map(|(product, ticket_minor, last_day)| Cell {
            product: *product,
            ticket: *ticket_minor as f32,
            last_day: *last_day,
        })
        .collect();
    let mut attributes = record.map_or_else(Default::default, |record| record.attributes.clone());
    attributes.extend(supposed.attributes.clone());
    let encoded = view.profiles.encode(&attributes);
    let subject = Subject::supposed(supposed.client, &cells, view.profiles.profile(&encoded));
    let current = |product: ProductNo| {
        let at = lines
            .binary_search_by_key(&product, |(own, _, _)| *own)
            .ok()?;
        Some(lines[at].1)
    };
    let scene = scene(book, view, &model.recipe);
    let record = record.map(AsRef::as_ref);
    SCRATCH.with_borrow_mut(|scratch| {
        let advice = model.advisor.advise(&scene, &subject, scratch);
        let eligible = Eligible::of(book, model, today());
        publish(
            &eligible,
            &scene.book,
            model,
            record,
            &cells,
            &current,
            advice,
        )
    })
}

fn scene<'a>(book: &'a Book, view: &'a View, recipe: &'a Recipe) -> Scene<'a> {
    Scene {
        book: recommend::Book {
            matrix: book.matrix(),
            statistics: &view.statistics,
            profiles: &view.profiles,
            products: &view.products,
            recipe,
        },
        cosine: &view.cosine,
        nearest: None,
    }
}

fn advise(
    book: &Book,
    scene: &Scene<'_>,
    model: &Model,
    today: Day,
    client: ClientNo,
    record: &Client,
    scratch: &mut Scratch,
) -> Advice {
    let subject = Subject::existing(book.matrix(), scene.book.profiles, client);
    let advice = model.advisor.advise(scene, &subject, scratch);
    let lines = book.tickets(client);
    let current = |product: ProductNo| {
        let at = lines
            .binary_search_by_key(&product, |line| line.product)
            .ok()?;
        Some(lines[at].ticket_minor)
    };
    publish(
        &Eligible::of(book, model, today),
        &scene.book,
        model,
        Some(record),
        subject.cells,
        &current,
        advice,
    )
}

/// What the rules let through, with current tickets to the minor unit: scoring works on `f32`.
fn publish(
    eligible: &Eligible<'_>,
    scored: &recommend::Book<'_>,
    model: &Model,
    record: Option<&Client>,
    cells: &[Cell],
    current: &dyn Fn(ProductNo) -> Option<i64>,
    advice: recommend::Advice,
) -> Advice {
    let mut opportunities = advice.opportunities;
    let least = model.recipe.offer.least_gain_share;
    for opportunity in &mut opportunities {
        exact(
            opportunity,
            current(opportunity.product).unwrap_or(0),
            scored,
        );
        give(opportunity, model.correction(), scored);
    }
    opportunities.retain(|opportunity| {
        opportunity.kind != Kind::Upsell
            || (opportunity.gain_minor > 0
                && opportunity.gain_minor as f64 >= least * opportunity.current_ticket_minor as f64)
    });
    let rules = Rules {
        per_client: model.recipe.offer.per_client,
    };
    Advice {
        opportunities: rules.keep(eligible, record, cells, opportunities),
        keep: Vec::new(),
        shortfalls: advice.shortfalls.into_iter().collect(),
    }
}

/// Sets the current ticket to the minor unit, and what follows from it.
fn exact(opportunity: &mut Opportunity, current_ticket_minor: i64, book: &recommend::Book<'_>) {
    if opportunity.kind == Kind::Upsell {
        opportunity.current_ticket_minor = current_ticket_minor;
        opportunity.gain_minor = (opportunity.potential_ticket_minor - current_ticket_minor).max(0);
        opportunity.priority_minor = book.priority_minor(
            opportunity.product,
            opportunity.probability,
            opportunity.gain_minor as f64,
        );
    }
}

/// Corrects the probability by what outcomes taught and rounds it, and the priority with it, which is linear in it;
/// rounds the score.
fn give(opportunity: &mut Opportunity, correction: Correction, book: &recommend::Book<'_>) {
    opportunity.score = published(opportunity.score);
    let probability = published(correction.apply(opportunity.probability));
    if opportunity.probability > 0.0 {
        let cost = book.recipe.offer.contact_cost_minor;
        let factor = probability / opportunity.probability;
        opportunity.priority_minor = (opportunity.priority_minor + cost) * factor - cost;
        opportunity.probability = probability;
    }
}

/// Offers to sell that came to an end after they were shown. Those that keep clients have probabilities of
/// another make, which these do not correct.
fn resolved(book: &Book) -> Vec<Resolved> {
    let ended = |((client, _, kind), offer): (&OfferKey, &Arc<Offer>)| {
        if !kind.sells() {
            return None;
        }
        let last = offer.last_outcome()?;
        let won = match last.outcome {
            Outcome::Won { .. } => true,
            Outcome::Lost | Outcome::Rejected(_) => false,
            Outcome::Postponed { .. } => return None,
        };
        let mut before = offer.showings().iter().rev();
        let shown = before.find(|showing| !showing.held_out && showing.day <= last.day)?;
        Some(Resolved {
            client: *client,
            probability: shown.history_probability,
            won,
        })
    };
    book.offers().iter().filter_map(ended).collect()
}

/// Which clients of a book are held out.
pub(super) fn hold_out(book: &Book, model: &Model) -> HoldOut {
    HoldOut::of(&book.portfolio().id, model.recipe.outcomes.held_out_share)
}

/// What the rules ask of a book on a day.
pub(super) struct Eligible<'a> {
    book: &'a Book,
    outcomes: OutcomesRecipe,
    today: Day,
}

impl<'a> Eligible<'a> {
    fn of(book: &'a Book, model: &Model, today: Day) -> Self {
        Self::on(book, model.recipe.outcomes, today)
    }

    /// The same by these rules.
    pub(super) fn on(book: &'a Book, outcomes: OutcomesRecipe, today: Day) -> Self {
        Self {
            book,
            outcomes,
            today,
        }
    }
}

impl Offered for Eligible<'_> {
    fn product(&self, product: ProductNo) -> Option<&Arc<Product>> {
        self.book.products().get(product.0)
    }

    fn product_no(&self, id: &ProductId) -> Option<ProductNo> {
        self.book.products().number(id).map(ProductNo)
    }

    /// An open complaint holds every offer back, an outcome its own until its day.
    fn on_hold(&self, client: ClientNo, product: ProductNo, kind: Kind) -> bool {
        let offer = self.book.offers().get(&(client, product, kind));
        let until = offer.and_then(|offer| held_until(offer, &self.outcomes));
        until.is_some_and(|until| self.today < until) || self.book.complaint_open(client)
    }
}
