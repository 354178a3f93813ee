//! What is known of the book itself, kept up to date beside the offers.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use rayon::prelude::*;

use super::changed::Changed;
use super::commit::today;
use super::recipes::recipe_of;
use super::tenant::{Moment, Tenant};
use super::{Book, EngineError, TicketLine};
use crate::domain::{Attribute, Client, ClientEventKind, ClientNo, Day, Month, ProductNo, Share};
use crate::insight::{Facts, Insights, Tally};
use crate::recommend::Recipe;

/// The attribute that may hold the end of a client's contract, as a date.
pub const CONTRACT_END: &str = "contract_end";

/// Every client of a portfolio in its place, and what that was made of.
#[derive(Debug)]
pub struct Insighted {
    /// The moment they are of.
    pub moment: Arc<Moment>,
    /// The recipe whose rules they follow.
    pub recipe: Arc<Recipe>,
    /// The clients.
    pub insights: Insights,
    facts: Vec<Option<Facts>>,
    months: Option<(Month, Month)>,
}

impl Insighted {
    /// Whether they hold at a state of the portfolio, today.
    fn is_of(&self, facts_sequence: u64) -> bool {
        self.moment.book.facts_sequence() >= facts_sequence
            && (self.months.is_some() || self.insights.as_of == today())
    }

    /// The clients of a moment, made of earlier ones where few changed since. Cost: the buckets of
    /// the clients that changed, or of all, and sorting the clients.
    pub(super) fn of(
        last: Option<&Self>,
        changed: &Changed,
        moment: Arc<Moment>,
    ) -> Result<Self, EngineError> {
        let book = &moment.book;
        let recipe = recipe_of(book.portfolio())?;
        let months = book.months();
        let margins: Vec<f64> = (0..book.products().numbers() as u32)
            .map(|number| {
                let product = book.products().get(number);
                let rate = product.and_then(|product| product.margin_rate);
                rate.map_or(recipe.offer.margin_rate, Share::get)
            })
            .collect();
        let numbers = book.clients().numbers();
        let of = |tally: &mut Tally, client: ClientNo| facts(book, client, tally, &margins);
        let facts = match (last, changed) {
            (Some(last), Changed::Clients(changed)) if last.months == months => {
                let mut facts = last.facts.clone();
                facts.resize(numbers, None);
                let mut tally = Tally::default();
                for client in changed {
                    facts[client.index()] = of(&mut tally, *client);
                }
                facts
            }
            _ => (0..numbers as u32)
                .into_par_iter()
                .map_init(Tally::default, |tally, number| of(tally, ClientNo(number)))
                .collect(),
        };
        let known = facts.iter().flatten();
        let last_sale = known.filter_map(|facts| facts.purchases.last_day).max();
        let periods_a_year = 12 / book.portfolio().period.months();
        let as_of = last_sale.unwrap_or_else(today);
        let insights = Insights::of(&facts, as_of, periods_a_year, &recipe);
        Ok(Self {
            moment,
            recipe,
            insights,
            facts,
            months,
        })
    }
}

/// What is known of one client; `None` where there is none of the number.
fn facts(book: &Book, client: ClientNo, tally: &mut Tally, margins: &[f64]) -> Option<Facts> {
    let record = book.clients().get(client.0)?;
    let margin = |product: ProductNo| margins[product.index()];
    let ticket = |sum: i64, line: &TicketLine| sum.saturating_add(line.ticket_minor);
    Some(Facts {
        purchases: book.months().map_or_else(Default::default, |months| {
            tally.sum(book.buckets(client), months, margin)
        }),
        ticket_minor: book.tickets(client).iter().fold(0, ticket),
        contract_end: contract_end(book, client, record),
    })
}

/// The day on which the latest contract of a client ends, by its events or its attribute.
fn contract_end(book: &Book, client: ClientNo, record: &Client) -> Option<Day> {
    let contracts = book
        .events(client)
        .iter()
        .filter(|event| event.kind == ClientEventKind::Contract);
    let attribute = match record.attributes.get(CONTRACT_END) {
        Some(Attribute::Text(text)) => Day::parse(text.as_str()).ok(),
        _ => None,
    };
    contracts
        .filter_map(|event| event.end_day)
        .chain(attribute)
        .max()
}

/// The latest insights of a portfolio. Whoever makes them holds `making`, so that nobody else does.
#[derive(Debug, Default)]
pub(super) struct LatestInsights {
    latest: ArcSwapOption<Insighted>,
    making: Mutex<()>,
}

impl Tenant {
    /// Every client of the portfolio in its place, of this moment.
    pub fn insights(&self) -> Result<Arc<Insighted>, EngineError> {
        let cell = self.latest_insights();
        let sequence = self.book().facts_sequence();
        let fresh = |last: &Arc<Insighted>| last.is_of(sequence);
        if let Some(last) = cell.latest.load_full().filter(fresh) {
            return Ok(last);
        }
        let _making = cell.making.lock().unwrap_or_else(PoisonError::into_inner);
        let moment = self.moment();
        let sequence = moment.book.facts_sequence();
        let last = cell.latest.load_full();
        if let Some(last) = last.clone().filter(|last| last.is_of(sequence)) {
            return Ok(last);
        }
        let changed = last.as_ref().map_or(Changed::All, |last| {
            self.changed_since(last.moment.book.sequence())
        });
        let made = Arc::new(Insighted::of(last.as_deref(), &changed, moment)?);
        cell.latest.store(Some(made.clone()));
        Ok(made)
    }

    /// Whether somebody asked for insights since the start.
    pub(super) fn has_insights(&self) -> bool {
        self.latest_insights().latest.load().is_some()
    }
}
