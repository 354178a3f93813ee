//! Whether clients, and single products of theirs, stop when the recipe says that they may.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::Serialize;

use super::measure::{Calibration, calibration};
use super::plan::Horizon;
use crate::domain::{Bucket, ClientNo, Day, Month, ProductNo, Slot};
use crate::insight::{ChurnModel, Purchases, Rhythm, Signal, Tally, usual_gap_days};
use crate::matrix::PurchaseLog;
use crate::recommend::Recipe;

/// Single products that are judged at most, evenly from all.
const MOST_PAIRS: usize = 200_000;

/// How well it was foretold who would buy nothing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChurnMeasured {
    /// Who: clients, or single products of clients.
    pub of: Stoppers,
    /// Whether probabilities rest on the book's own past.
    pub is_calibrated: bool,
    /// Clients as they once stood that was learnt from.
    pub lessons: usize,
    /// Everybody's figures, the recipe's first; `None` where all stopped, or none.
    pub foretold: Vec<(Foreteller, Option<Calibration>)>,
}

/// Who may stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stoppers {
    /// Clients: with everything.
    Clients,
    /// Clients with one product.
    Products,
}

/// Who foretells. All but the recipe are the same line over fewer signals, learnt from the same past.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Foreteller {
    /// The recipe.
    Recipe,
    /// Time since the last purchase.
    Recency,
    /// How many purchases there were.
    Frequency,
    /// Purchases a day, and the time since the last.
    RateAndDecay,
}

impl Foreteller {
    /// All of them, the recipe first.
    pub const ALL: [Self; 4] = [
        Self::Recipe,
        Self::Recency,
        Self::Frequency,
        Self::RateAndDecay,
    ];

    fn signals(self, of: Stoppers) -> &'static [Signal] {
        match self {
            Self::Recipe if of == Stoppers::Products => &Signal::OF_PRODUCTS,
            Self::Recipe => &Signal::OF_CLIENTS,
            Self::Recency => &[Signal::Idle],
            Self::Frequency => &[Signal::Purchases],
            Self::RateAndDecay => &[Signal::Rate, Signal::Idle],
        }
    }
}

/// One buyer: what it bought before the cut, as a portfolio would keep it, and whether it then
/// stopped.
struct Buyer {
    buckets: Vec<Bucket>,
    stopped: bool,
}

/// Foretells who stops, for clients and for single products, and lays what came beside it. Cost: a
/// fit of four lines each.
pub(super) fn churn(log: &PurchaseLog, horizon: Horizon, recipe: &Recipe) -> Vec<ChurnMeasured> {
    let mut recipe = recipe.clone();
    recipe.offer.horizon_days = horizon.days;
    let clients = (0..log.clients() as u32).into_par_iter();
    let of_client = |client| buyers(log, ClientNo(client), horizon);
    let by_product: Vec<Vec<Buyer>> = clients.map(of_client).collect();
    let whole = by_product.iter().filter(|products| !products.is_empty());
    let clients = whole.map(|products| Buyer {
        buckets: products
            .iter()
            .flat_map(|buyer| buyer.buckets.iter().copied())
            .collect(),
        stopped: products.iter().all(|buyer| buyer.stopped),
    });
    let clients: Vec<Buyer> = clients.collect();
    // A product first bought after the cut keeps its client, not itself.
    let bought_anything = |buyer: &Buyer| !buyer.buckets.is_empty();
    let clients: Vec<Buyer> = clients.into_iter().filter(bought_anything).collect();
    let mut products: Vec<Buyer> = by_product.into_iter().flatten().collect();
    products.retain(bought_anything);
    let every = products.len().div_ceil(MOST_PAIRS).max(1);
    let products: Vec<Buyer> = products.into_iter().step_by(every).collect();
    [(Stoppers::Clients, clients), (Stoppers::Products, products)]
        .into_iter()
        .filter_map(|(of, buyers)| measure(of, &buyers, &recipe))
        .collect()
}

/// A client's products, each with what was bought before the cut by month.
fn buyers(log: &PurchaseLog, client: ClientNo, horizon: Horizon) -> Vec<Buyer> {
    let mut by_product: BTreeMap<ProductNo, (BTreeMap<Month, Bucket>, f64)> = BTreeMap::new();
    for purchase in log.of(client) {
        let (months, after) = by_product.entry(purchase.product).or_default();
        if purchase.day >= horizon.as_of {
            if purchase.day < horizon.as_of.plus(horizon.days as i32) {
                *after += purchase.amount_minor;
            }
            continue;
        }
        let month = purchase.day.month();
        let bucket = months.entry(month).or_insert(Bucket {
            product: purchase.product,
            slot: Slot::Month(month),
            amount_minor: 0,
            quantity_milli: 0,
            sales: 0,
            last_day_of_month: 0,
        });
        bucket.amount_minor += purchase.amount_minor.round() as i64;
        bucket.sales += 1;
        bucket.last_day_of_month = bucket.last_day_of_month.max(purchase.day.day_of_month());
    }
    by_product
        .into_values()
        .map(|(months, after)| Buyer {
            buckets: months.into_values().collect(),
            stopped: after <= 0.0,
        })
        .collect()
}

fn measure(of: Stoppers, buyers: &[Buyer], recipe: &Recipe) -> Option<ChurnMeasured> {
    let days = buyers
        .iter()
        .flat_map(|buyer| &buyer.buckets)
        .filter_map(day);
    let (first, last) = days.fold(None, |span: Option<(Day, Day)>, day| match span {
        None => Some((day, day)),
        Some((first, last)) => Some((first.min(day), last.max(day))),
    })?;
    let buckets = |buyer: usize| buyers[buyer].buckets.iter().copied();
    let mut tally = Tally::default();
    let span = (first.month(), last.month());
    let stood: Vec<Purchases> = (0..buyers.len())
        .map(|buyer| tally.sum(buckets(buyer), span, |_| 0.0))
        .collect();
    let usual = usual_gap_days(stood.iter().filter_map(Purchases::mean_gap_days));
    let foretell = |foreteller: Foreteller| {
        let span = (first.month(), last);
        let model = ChurnModel::learn(buyers.len(), buckets, span, foreteller.signals(of), recipe);
        let told: Vec<(f64, bool)> = stood
            .iter()
            .zip(buyers)
            .filter_map(|(purchases, buyer)| {
                let rhythm = Rhythm::of(purchases, usual, last, &recipe.state)?;
                let churn = model.of(purchases, &rhythm, last);
                Some((churn.probability, buyer.stopped))
            })
            .collect();
        (model, calibration(&told))
    };
    let (model, recipe_told) = foretell(Foreteller::Recipe);
    let mut foretold = vec![(Foreteller::Recipe, recipe_told)];
    // Without lessons the baselines would be the same prior.
    for other in &Foreteller::ALL[1..] {
        let told = model.is_calibrated().then(|| foretell(*other).1).flatten();
        foretold.push((*other, told));
    }
    Some(ChurnMeasured {
        of,
        is_calibrated: model.is_calibrated(),
        lessons: model.lessons().0,
        foretold,
    })
}

fn day(bucket: &Bucket) -> Option<Day> {
    match bucket.slot {
        Slot::Month(month) => Some(month.day(bucket.last_day_of_month)),
        Slot::SetTicket => None,
    }
}
