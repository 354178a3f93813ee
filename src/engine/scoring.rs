//! From a moment to offers: the one place that calls `recommend`.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::SystemTime;

use rayon::prelude::*;

use super::recipes::recipe_of;
use super::tenant::{Moment, Tenant};
use super::{Advice, Book, EngineError, Supposed, View};
use crate::domain::{
    Client, ClientNo, DAYS_PER_MONTH, Kind, Opportunity, Product, ProductId, ProductNo, Shortfall,
};
use crate::matrix::Cell;
use crate::neighbours::Subject;
use crate::pipeline::{Offered, Rules};
use crate::recommend::adoption::Scene;
use crate::recommend::{self, Advisor, Learnt, Receipt, Recipe, Scratch, SimilarClient};

/// What was learnt from one state of a portfolio.
#[derive(Debug)]
pub struct Model {
    /// The write counter of the state that it was fitted to.
    pub sequence: u64,
    /// When it was.
    pub at: SystemTime,
    recipe: Arc<Recipe>,
    advisor: Advisor,
}

impl Model {
    /// What the portfolio's history chose.
    pub fn learnt(&self) -> Vec<Learnt> {
        self.advisor.learnt()
    }
}

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
    Ok(Model {
        sequence: book.sequence(),
        at: SystemTime::now(),
        recipe,
        advisor,
    })
}

/// The offers of some clients, in the order they are named, and why there may be fewer than
/// expected. On all cores; the same whatever their number.
pub(super) fn client_offers(
    moment: &Moment,
    model: &Model,
    clients: &[ClientNo],
) -> (Vec<Arc<[Opportunity]>>, BTreeSet<Shortfall>) {
    let advise = |client: &ClientNo| {
        let Some(record) = moment.book.clients().get(client.0) else {
            return Advice::default();
        };
        SCRATCH.with_borrow_mut(|scratch| advise(moment, model, *client, record, scratch))
    };
    let advices: Vec<Advice> = clients.par_iter().map(advise).collect();
    let shortfalls = advices
        .iter()
        .flat_map(|advice| &advice.shortfalls)
        .copied()
        .collect();
    let rows = advices
        .into_iter()
        .map(|advice| advice.opportunities.into());
    (rows.collect(), shortfalls)
}

impl Tenant {
    /// What more a client would buy.
    pub fn advise(&self, moment: &Moment, client: ClientNo) -> Result<Advice, EngineError> {
        let model = self.model(moment)?;
        let Some(record) = moment.book.clients().get(client.0) else {
            return Ok(Advice::default());
        };
        Ok(SCRATCH.with_borrow_mut(|scratch| advise(moment, &model, client, record, scratch)))
    }

    /// What more a client would buy that is only supposed. Nothing is written.
    pub fn suppose(&self, moment: &Moment, supposed: &Supposed) -> Result<Advice, EngineError> {
        let model = self.model(moment)?;
        let book = &moment.book;
        let view = moment.view();
        let record = supposed
            .client
            .and_then(|client| book.clients().get(client.0));
        let mut lines: Vec<(ProductNo, i64, Option<crate::domain::Day>)> = Vec::new();
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
        let mut attributes =
            record.map_or_else(Default::default, |record| record.attributes.clone());
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
        Ok(SCRATCH.with_borrow_mut(|scratch| {
            let advice = model.advisor.advise(&scene, &subject, scratch);
            publish(book, &scene.book, &model, record, &cells, &current, advice)
        }))
    }

    /// An opportunity with its receipt; `None` where no figure is published.
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
            if opportunity.kind == Kind::Upsell {
                receipt.priority.value_minor = opportunity.gain_minor as f64;
            }
            (opportunity, receipt)
        }))
    }

    /// Digits that published tickets are rounded to.
    pub fn significant_digits(&self, moment: &Moment) -> Result<u32, EngineError> {
        Ok(self.model(moment)?.recipe.offer.significant_digits)
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
    }
}

fn advise(
    moment: &Moment,
    model: &Model,
    client: ClientNo,
    record: &Client,
    scratch: &mut Scratch,
) -> Advice {
    let (book, view) = (&moment.book, moment.view());
    let subject = Subject::existing(book.matrix(), &view.profiles, client);
    let scene = scene(book, view, &model.recipe);
    let advice = model.advisor.advise(&scene, &subject, scratch);
    let lines = book.tickets(client);
    let current = |product: ProductNo| {
        let at = lines
            .binary_search_by_key(&product, |line| line.product)
            .ok()?;
        Some(lines[at].ticket_minor)
    };
    publish(
        book,
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
    book: &Book,
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
        opportunities: rules.keep(&Eligible(book), record, cells, opportunities),
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

/// What the rules ask of a book.
struct Eligible<'a>(&'a Book);

impl Offered for Eligible<'_> {
    fn product(&self, product: ProductNo) -> Option<&Arc<Product>> {
        self.0.products().get(product.0)
    }

    fn product_no(&self, id: &ProductId) -> Option<ProductNo> {
        self.0.products().number(id).map(ProductNo)
    }

    /// An open complaint holds every offer back.
    fn on_hold(&self, client: ClientNo, _product: ProductNo, _kind: Kind) -> bool {
        self.0.complaint_open(client)
    }
}
