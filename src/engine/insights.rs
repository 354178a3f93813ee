//! What is known of the book itself, kept up to date beside the offers.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use rayon::prelude::*;

use super::changed::Changed;
use super::commit::today;
use super::recipes::recipe_of;
use super::tenant::{FRESH_MODEL_TICKETS, Moment, Tenant};
use super::{Book, EngineError, TicketLine};
use crate::domain::{Attribute, Client, ClientEventKind, ClientNo, Day, Month, ProductNo, Share};
use crate::insight::{ChurnModel, Facts, Insights, Lapse, LapseModel, Signal, Tally};
use crate::recommend::Recipe;

/// The attribute that may hold the end of a client's contract, as a date.
const CONTRACT_END: &str = "contract_end";
/// Pairs of client and product that lapses are learnt from at most, those of every so many-th client.
const MOST_LAPSE_PAIRS: usize = 100_000;

/// What a book's past says of clients and products that stop.
#[derive(Debug)]
pub struct Past {
    /// Of clients.
    pub churn: ChurnModel,
    /// Of single products.
    pub lapse: LapseModel,
}

impl Past {
    /// Learns from a book. Cost: see [`ChurnModel::learn`].
    fn learn(book: &Book, last_sale: Option<Day>, recipe: &Recipe) -> Self {
        let clients = book.clients().numbers();
        let span = book.months().zip(last_sale);
        let Some(span) = span.map(|((first, _), last_sale)| (first, last_sale)) else {
            let none = |_: usize| std::iter::empty();
            let nowhere = (Month::from_number(0), Day::from_epoch_days(0));
            return Self {
                churn: ChurnModel::prior(recipe),
                lapse: LapseModel::learn(0, none, nowhere, recipe),
            };
        };
        let buckets = |client: usize| book.buckets(ClientNo(client as u32));
        let every = book.matrix().tickets().div_ceil(MOST_LAPSE_PAIRS).max(1);
        let mut pairs: Vec<(usize, ProductNo)> = Vec::new();
        for client in (0..clients).step_by(every) {
            pairs.extend(buckets(client).map(|bucket| (client, bucket.product)));
        }
        pairs.dedup();
        let of_pair = |pair: usize| {
            let (client, product) = pairs[pair];
            let history = book.histories.get(client).into_iter();
            history.flat_map(move |history| history.buckets_of(product))
        };
        Self {
            churn: ChurnModel::learn(clients, buckets, span, &Signal::OF_CLIENTS, recipe),
            lapse: LapseModel::learn(pairs.len(), of_pair, span, recipe),
        }
    }
}

/// Every client of a portfolio in its place, and what that was made of.
#[derive(Debug)]
pub struct Insighted {
    /// The moment they are of.
    pub moment: Arc<Moment>,
    /// The recipe whose rules they follow.
    pub recipe: Arc<Recipe>,
    /// What the book's past says of clients that stop.
    pub past: Arc<Past>,
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

    /// The products that a client may have stopped buying, most money at risk first. Cost: its buckets.
    pub fn lapses(&self, client: ClientNo) -> Vec<Lapse> {
        let Some((first, _)) = self.months else {
            return Vec::new();
        };
        let buckets: Vec<_> = self.moment.book.buckets(client).collect();
        let as_of = self.insights.as_of;
        self.past.lapse.lapses(&buckets, first, as_of, &self.recipe)
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
        let small = book.matrix().tickets() <= FRESH_MODEL_TICKETS;
        let past = match last {
            Some(last) if !small && *changed != Changed::All => last.past.clone(),
            _ => Arc::new(Past::learn(book, last_sale, &recipe)),
        };
        let insights = Insights::of(&facts, as_of, periods_a_year, &past.churn, &recipe);
        Ok(Self {
            moment,
            recipe,
            past,
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
    /// Every client of the portfolio in its place, of this moment. What its past says is learnt anew
    /// where the book is small or all of it changed, and by [`Tenant::renew_insights`].
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

    /// Learns from the portfolio's past anew, if anybody asked for insights; they are served meanwhile.
    pub(super) fn renew_insights(&self) -> Result<(), EngineError> {
        let cell = self.latest_insights();
        let Some(last) = cell.latest.load_full() else {
            return Ok(());
        };
        let renewed = Insighted::of(None, &Changed::All, self.moment())?;
        let _making = cell.making.lock().unwrap_or_else(PoisonError::into_inner);
        // One made meanwhile of a later moment goes on with the earlier past until the next renewal.
        if cell
            .latest
            .load_full()
            .is_some_and(|now| Arc::ptr_eq(&now, &last))
        {
            cell.latest.store(Some(Arc::new(renewed)));
        }
        Ok(())
    }

    /// Whether somebody asked for insights since the start.
    pub(super) fn has_insights(&self) -> bool {
        self.latest_insights().latest.load().is_some()
    }
}
