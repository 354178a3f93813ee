//! Products that a client bought and may have stopped buying.

use super::state::usual_gap_days;
use super::{ChurnModel, Purchases, Rhythm, Signal, Tally};
use crate::domain::{Bucket, Day, Month, ProductNo};
use crate::recommend::Recipe;

/// A product whose next purchase is overdue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lapse {
    /// The product.
    pub product: ProductNo,
    /// When it was bought last.
    pub last_day: Day,
    /// How often the client buys it.
    pub rhythm: Rhythm,
    /// That it buys none within the horizon.
    pub probability: f64,
    /// What it spent on it in the last twelve months of the book, in minor units.
    pub year_minor: i64,
    /// In how many purchases.
    pub year_purchases: u32,
}

/// What a book's past says of products that clients stop buying.
#[derive(Debug, Clone, PartialEq)]
pub struct LapseModel {
    churn: ChurnModel,
    usual_gap_days: f64,
}

impl LapseModel {
    /// Learns from the purchases of some clients, one buyer for each of their products, as
    /// [`ChurnModel::learn`] does.
    pub fn learn<I: Iterator<Item = Bucket>>(
        buyers: usize,
        buckets: impl Fn(usize) -> I + Sync,
        (first, last_day): (Month, Day),
        recipe: &Recipe,
    ) -> Self {
        let mut tally = Tally::default();
        let months = (first, last_day.month());
        let stood: Vec<Purchases> = (0..buyers)
            .map(|buyer| tally.sum(buckets(buyer), months, |_| 0.0))
            .collect();
        let signals = &Signal::OF_PRODUCTS;
        Self {
            usual_gap_days: usual_gap_days(stood.iter().filter_map(Purchases::mean_gap_days)),
            churn: ChurnModel::learn(buyers, buckets, (first, last_day), signals, recipe),
        }
    }

    /// Days that clients usually have between purchases of one product.
    pub fn usual_gap_days(&self) -> f64 {
        self.usual_gap_days
    }

    /// The overdue products of a client, those with most money at risk first, from its buckets by
    /// product. Products that it spent nothing on in a year are past, not lapsing.
    pub fn lapses(
        &self,
        buckets: &[Bucket],
        first: Month,
        as_of: Day,
        recipe: &Recipe,
    ) -> Vec<Lapse> {
        let mut tally = Tally::default();
        let months = (first, as_of.month());
        let of_product = |buckets: &[Bucket]| {
            let purchases = tally.sum(buckets.iter().copied(), months, |_| 0.0);
            let rhythm = Rhythm::of(&purchases, self.usual_gap_days, as_of, &recipe.state)?;
            let overdue = rhythm.gaps_idle() > recipe.state.slipping_gaps;
            let year_minor = purchases.year.revenue_minor;
            (overdue && year_minor > 0).then_some(Lapse {
                product: buckets.first()?.product,
                last_day: purchases.last_day?,
                probability: self.churn.of(&purchases, &rhythm, as_of).probability,
                rhythm,
                year_minor,
                year_purchases: purchases.year.purchases,
            })
        };
        let mut lapses: Vec<Lapse> = buckets
            .chunk_by(|a, b| a.product == b.product)
            .filter_map(of_product)
            .collect();
        let at_risk = |lapse: &Lapse| lapse.probability * lapse.year_minor as f64;
        lapses.sort_by(|a, b| at_risk(b).total_cmp(&at_risk(a)));
        lapses
    }
}
