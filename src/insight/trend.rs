//! Whether the buyers of a product go on with it.

use rayon::prelude::*;

use crate::domain::{Bucket, DAYS_PER_MONTH, Month, ProductNo, Slot};
use crate::recommend::{KeepRecipe, Recipe};

/// What other buyers of a product did.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Trend {
    /// Those that bought it in the horizon before the last.
    pub before: u32,
    /// How many of these bought it in the last one as well.
    pub still: u32,
}

/// What all buyers of each product did, and of all products together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trends {
    /// The last month of the horizon before the last one, and how many months each has.
    split: Option<(Month, i32)>,
    of_product: Vec<Trend>,
    usual: f64,
}

impl Trends {
    /// Counts buyers `0..clients` from their buckets by product, up to the book's last month. Cost: all
    /// buckets, on all cores; the same whatever their number.
    pub fn of<I: Iterator<Item = Bucket>>(
        clients: usize,
        products: usize,
        buckets: impl Fn(usize) -> I + Sync,
        last: Month,
        recipe: &Recipe,
    ) -> Self {
        let horizon = f64::from(recipe.offer.horizon_days) / DAYS_PER_MONTH;
        let split = (last, (horizon.round() as i32).max(1));
        let merge = |mut a: Vec<Trend>, b: Vec<Trend>| {
            for (a, b) in a.iter_mut().zip(b) {
                a.before += b.before;
                a.still += b.still;
            }
            a
        };
        let none = || vec![Trend::default(); products];
        let of_product = (0..clients)
            .into_par_iter()
            .fold(none, |mut trends, client| {
                let mut now = (None, false, false);
                for bucket in buckets(client) {
                    if now.0 != Some(bucket.product) {
                        count(&mut trends, now);
                        now = (Some(bucket.product), false, false);
                    }
                    let (before, still) = bought(&bucket, split);
                    now = (now.0, now.1 | before, now.2 | still);
                }
                count(&mut trends, now);
                trends
            })
            .reduce(none, merge);
        let sum =
            |of: fn(&Trend) -> u32| of_product.iter().map(|one| f64::from(of(one))).sum::<f64>();
        let (before, still) = (sum(|one| one.before), sum(|one| one.still));
        Self {
            split: Some(split),
            of_product,
            usual: if before > 0.0 { still / before } else { 1.0 },
        }
    }

    /// What the other buyers of a product did, the one with these buckets left out.
    pub(super) fn others(&self, product: ProductNo, own: &[Bucket]) -> Trend {
        let mut trend = self
            .of_product
            .get(product.index())
            .copied()
            .unwrap_or_default();
        if let Some(split) = self.split {
            let own = own.iter().map(|bucket| bought(bucket, split));
            let (before, still) = own.fold((false, false), |a, b| (a.0 | b.0, a.1 | b.1));
            trend.before -= u32::from(before && trend.before > 0);
            trend.still -= u32::from(before && still && trend.still > 0);
        }
        trend
    }

    /// The share of other buyers that go on, drawn to that of all products, over that: how many go on in a
    /// horizon at all depends on how often the book's products are bought. At most 1.
    pub(super) fn going_on(&self, trend: Trend, recipe: &KeepRecipe) -> f64 {
        if self.usual <= 0.0 {
            return 1.0;
        }
        let pseudo = recipe.trend_pseudo_buyers;
        let share =
            (f64::from(trend.still) + pseudo * self.usual) / (f64::from(trend.before) + pseudo);
        (share / self.usual).min(1.0)
    }
}

/// Whether a bucket is of the horizon before the last, and whether of the last.
fn bought(bucket: &Bucket, (last, months): (Month, i32)) -> (bool, bool) {
    let Slot::Month(month) = bucket.slot else {
        return (false, false);
    };
    let back = last.number() - month.number();
    let sold = bucket.amount_minor > 0;
    (
        sold && (months..2 * months).contains(&back),
        sold && (0..months).contains(&back),
    )
}

fn count(trends: &mut [Trend], (product, before, still): (Option<ProductNo>, bool, bool)) {
    if let Some(trend) = product.and_then(|product| trends.get_mut(product.index())) {
        trend.before += u32::from(before);
        trend.still += u32::from(before && still);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::insight::sample::{FIRST, bucket};

    proptest! {
        #[test]
        fn trends_count_buyers_one_by_one(
            rows in prop::collection::vec(prop::collection::btree_map((0_u32..3, 0_i32..9), -5_i64..20, 0..12), 1..20)
        ) {
            let recipe = Recipe::standard().unwrap();
            let book: Vec<Vec<Bucket>> = rows
                .iter()
                .map(|row| row.iter().map(|((product, month), amount)| bucket(*product, *month, *amount)).collect())
                .collect();
            let last = Month::from_number(FIRST + 8);
            let trends = Trends::of(book.len(), 3, |client| book[client].iter().copied(), last, &recipe);
            let bought = |row: &Vec<Bucket>, product: u32, months: std::ops::RangeInclusive<i32>| {
                row.iter().any(|one| matches!(one.slot, Slot::Month(month) if months.contains(&(month.number() - FIRST)))
                    && one.product.0 == product && one.amount_minor > 0)
            };
            for product in 0..3 {
                for (at, own_row) in book.iter().enumerate() {
                    let others = book.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, row)| row);
                    let before: Vec<_> = others.filter(|row| bought(row, product, 3..=5)).collect();
                    let still = before.iter().filter(|row| bought(row, product, 6..=8)).count();
                    let own: Vec<Bucket> = own_row.iter().copied().filter(|one| one.product.0 == product).collect();
                    let found = trends.others(ProductNo(product), &own);
                    prop_assert_eq!(found, Trend { before: before.len() as u32, still: still as u32 });
                }
            }
        }
    }
}
