//! What one client bought, summed up.

use crate::domain::{Bucket, Day, Month, ProductNo, Slot};

/// Months of a year that value is counted over.
const YEAR_MONTHS: i32 = 12;
/// Months whose days are kept.
const RECENT_MONTHS: usize = 4;
/// Days of a span that a client bought in, or did not.
const SPAN_DAYS: i32 = 30;

/// What a client bought in the last twelve months of the book.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Year {
    /// Money of its sales less returns, in minor units.
    pub revenue_minor: i64,
    /// The margin in it, in minor units.
    pub margin_minor: i64,
    /// Units, in thousandths.
    pub quantity_milli: i64,
    /// Purchases.
    pub purchases: u32,
    /// Different products.
    pub products: u32,
}

/// What a client bought.
///
/// A history keeps, for each product and month, how often it was sold and on which day last. A
/// client's purchases in a month are therefore the greater of two counts that are both too low
/// alone: the different last days of its products, and the sales of the product sold most often.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Purchases {
    /// Money of all dated sales less returns, in minor units.
    pub revenue_minor: i64,
    /// Purchases there were.
    pub purchases: u32,
    /// The first day that it is known to have bought on.
    pub first_day: Option<Day>,
    /// The last day that it bought on.
    pub last_day: Option<Day>,
    /// The days that it is known to have bought on in the book's last month and the three before, the
    /// last first: bit 1 for the first of the month.
    pub recent_days: [u32; RECENT_MONTHS],
    /// The last twelve months of the book.
    pub year: Year,
}

/// Sums buckets up; keeps its buffer from client to client.
#[derive(Debug, Default)]
pub struct Tally {
    months: Vec<Mark>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Mark {
    /// One bit for each day of the month that a product was bought on last.
    days: u32,
    /// Sales of the product sold most often.
    sales: u32,
}

impl Tally {
    /// Sums the buckets of one client up, by product and month, from the book's first month to
    /// `last`; later ones count for nothing. `margin` is the share of a product's amounts that is
    /// margin. Months whose returns outweigh their sales count as money and not as purchases.
    pub fn sum(
        &mut self,
        buckets: impl Iterator<Item = Bucket>,
        (first, last): (Month, Month),
        margin: impl Fn(ProductNo) -> f64,
    ) -> Purchases {
        self.months.clear();
        let mut sums = Purchases::default();
        let mut year_margin = 0.0;
        let mut last_product = None;
        for bucket in buckets {
            let Slot::Month(month) = bucket.slot else {
                continue;
            };
            if month < first || month > last {
                continue;
            }
            let in_year = last.number() - month.number() < YEAR_MONTHS;
            sums.revenue_minor = sums.revenue_minor.saturating_add(bucket.amount_minor);
            if in_year {
                let year = &mut sums.year;
                year.revenue_minor = year.revenue_minor.saturating_add(bucket.amount_minor);
                year.quantity_milli = year.quantity_milli.saturating_add(bucket.quantity_milli);
                year_margin += bucket.amount_minor as f64 * margin(bucket.product);
            }
            if bucket.amount_minor <= 0 {
                continue;
            }
            if in_year && last_product != Some(bucket.product) {
                sums.year.products += 1;
                last_product = Some(bucket.product);
            }
            let at = (month.number() - first.number()) as usize;
            if at >= self.months.len() {
                self.months.resize(at + 1, Mark::default());
            }
            let mark = &mut self.months[at];
            mark.days |= 1 << u32::from(bucket.last_day_of_month.clamp(1, 31));
            mark.sales = mark.sales.max(bucket.sales);
        }
        sums.year.margin_minor = year_margin.round() as i64;
        for (at, mark) in self.months.iter().enumerate() {
            if mark.days == 0 {
                continue;
            }
            let month = first.plus(at as i32);
            let purchases = mark.days.count_ones().max(mark.sales);
            sums.purchases = sums.purchases.saturating_add(purchases);
            if last.number() - month.number() < YEAR_MONTHS {
                sums.year.purchases = sums.year.purchases.saturating_add(purchases);
            }
            if let Some(days) = sums
                .recent_days
                .get_mut((last.number() - month.number()) as usize)
            {
                *days = mark.days;
            }
            let first_day = || month.day(mark.days.trailing_zeros() as u8);
            sums.first_day.get_or_insert_with(first_day);
            sums.last_day = Some(month.day(mark.days.ilog2() as u8));
        }
        sums
    }
}

impl Purchases {
    /// Days between two purchases on average; `None` without two.
    pub fn mean_gap_days(&self) -> Option<f64> {
        let gaps = self.purchases.checked_sub(1).filter(|gaps| *gaps > 0)?;
        Some(f64::from(self.span_days()) / f64::from(gaps))
    }

    /// Days from the first purchase to the last.
    pub fn span_days(&self) -> i32 {
        match (self.first_day, self.last_day) {
            (Some(first), Some(last)) => last.epoch_days() - first.epoch_days(),
            _ => 0,
        }
    }

    /// In how many of the last three spans of 30 days up to a day of the book's last month it is known
    /// to have bought.
    pub fn recent_spans(&self, as_of: Day) -> u32 {
        let mut spans = 0_u32;
        for (back, days) in (0..).zip(self.recent_days) {
            let month = as_of.month().plus(-back);
            for day in (1..=31).filter(|day| days & (1 << day) != 0) {
                let ago = as_of.epoch_days() - month.day(day).epoch_days();
                if (0..3 * SPAN_DAYS).contains(&ago) {
                    spans |= 1 << (ago / SPAN_DAYS);
                }
            }
        }
        spans.count_ones()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    fn bucket(product: u32, month: i32, day: u8, sales: u32, amount_minor: i64) -> Bucket {
        Bucket {
            product: ProductNo(product),
            slot: Slot::Month(Month::from_number(month)),
            amount_minor,
            quantity_milli: amount_minor * 2,
            sales,
            last_day_of_month: day,
        }
    }

    /// The same by tables.
    fn slow(buckets: &[Bucket], last: Month) -> Purchases {
        let month_of = |bucket: &Bucket| match bucket.slot {
            Slot::Month(month) => month,
            Slot::SetTicket => panic!("no dated bucket"),
        };
        let known: Vec<_> = buckets.iter().filter(|b| month_of(b) <= last).collect();
        let bought: Vec<_> = known.iter().filter(|b| b.amount_minor > 0).collect();
        let in_year = |bucket: &&&Bucket| month_of(bucket) > last.plus(-12);
        let mut days: BTreeMap<Month, BTreeSet<Day>> = BTreeMap::new();
        let mut sales: BTreeMap<Month, u32> = BTreeMap::new();
        for bucket in &bought {
            let month = month_of(bucket);
            days.entry(month)
                .or_default()
                .insert(month.day(bucket.last_day_of_month));
            let most = sales.entry(month).or_default();
            *most = bucket.sales.max(*most);
        }
        let count = |from: Month| -> u32 {
            let months = days.iter().filter(|(month, _)| **month >= from);
            months
                .map(|(month, days)| sales[month].max(days.len() as u32))
                .sum()
        };
        let year: Vec<_> = known.iter().filter(in_year).collect();
        let products: BTreeSet<_> = bought
            .iter()
            .copied()
            .filter(in_year)
            .map(|b| b.product)
            .collect();
        let mut recent_days = [0; RECENT_MONTHS];
        for (back, bits) in (0..).zip(&mut recent_days) {
            let days = days.get(&last.plus(-back)).into_iter().flatten();
            *bits = days.map(|day| 1 << day.day_of_month()).sum();
        }
        Purchases {
            recent_days,
            revenue_minor: known.iter().map(|b| b.amount_minor).sum(),
            purchases: count(Month::from_number(0)),
            first_day: days.values().flatten().min().copied(),
            last_day: days.values().flatten().max().copied(),
            year: Year {
                revenue_minor: year.iter().map(|b| b.amount_minor).sum(),
                margin_minor: year.iter().map(|b| b.amount_minor).sum::<i64>() / 4,
                quantity_milli: year.iter().map(|b| b.quantity_milli).sum(),
                purchases: count(last.plus(-11)),
                products: products.len() as u32,
            },
        }
    }

    #[test]
    fn recent_spans_are_counted_back_from_the_day() {
        let buckets =
            [(0, 10), (1, 20), (3, 2)].map(|(month, day)| bucket(0, 1_440 + month, day, 1, 5));
        let last = Month::from_number(1_443);
        let months = (Month::from_number(1_440), last);
        let sums = Tally::default().sum(buckets.into_iter(), months, |_| 0.0);
        // 2020-04-02 is 0 days ago, 2020-02-20 is 42, 2020-01-10 is 83.
        assert_eq!(sums.recent_spans(last.day(2)), 3);
        // A week on, the first of them is 90 days ago.
        assert_eq!(sums.recent_spans(last.day(9)), 2);
        assert_eq!(Purchases::default().recent_spans(last.day(9)), 0);
    }

    proptest! {
        #[test]
        fn sums_are_those_of_a_slow_count(
            rows in prop::collection::btree_map(
                (0_u32..5, 1_200_i32..1_230), (1_u8..29, 1_u32..4, -50_i64..200), 0..40),
            last in 1_205_i32..1_235,
        ) {
            let buckets: Vec<_> = rows
                .into_iter()
                .map(|((product, month), (day, sales, amount))| bucket(product, month, day, sales, amount * 4))
                .collect();
            let last = Month::from_number(last);
            let mut tally = Tally::default();
            let months = (Month::from_number(1_200), last);
            // The second time with what the first left in the buffer.
            for _ in 0..2 {
                let sums = tally.sum(buckets.iter().copied(), months, |_| 0.25);
                prop_assert_eq!(sums, slow(&buckets, last));
            }
        }
    }
}
