//! What a client is worth beside the others.

use std::cmp::Reverse;

use crate::recommend::ValueRecipe;

/// A tier of value, by cumulative share of what all clients spend a year.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// The clients that bring most of the money.
    A,
    /// Those that bring most of the rest.
    B,
    /// All others.
    C,
}

impl Tier {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::A, Self::B, Self::C];
}

/// Recency, frequency and monetary scores, each from 1 (lowest fifth) to 5 (highest fifth).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rfm {
    /// By the last purchase.
    pub recency: u8,
    /// By purchases in the year.
    pub frequency: u8,
    /// By revenue in the year.
    pub monetary: u8,
}

/// Where the tiers of some amounts end: A while larger amounts together make less than `a_share` of
/// the sum, B while less than `b_share`. Equal amounts are taken in their order. An amount of 0 or less
/// is C.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tiers {
    /// The first that is not A; `None` where all above 0 are.
    a_end: Option<Ranked>,
    /// The first that is C.
    b_end: Option<Ranked>,
}

/// An amount with its place, in the order in which amounts are taken.
type Ranked = (Reverse<i64>, usize);

impl Tiers {
    /// The tiers of these amounts. Cost: a few passes, no sort.
    pub(super) fn of(amounts: &[i64], recipe: &ValueRecipe) -> Self {
        let ranked = amounts.iter().copied().map(Reverse).zip(0..);
        let mut ranked: Vec<Ranked> = ranked.filter(|(amount, _)| amount.0 > 0).collect();
        let total = sum(&ranked) as f64;
        let mut end = |share: f64| first_beyond(&mut ranked, total, share);
        Self {
            a_end: end(recipe.a_share),
            b_end: end(recipe.b_share),
        }
    }

    /// The tier of the amount at a place.
    pub(super) fn tier(&self, amount: i64, at: usize) -> Tier {
        let before = |end: Option<Ranked>| end.is_none_or(|end| (Reverse(amount), at) < end);
        match amount {
            ..=0 => Tier::C,
            _ if before(self.a_end) => Tier::A,
            _ if before(self.b_end) => Tier::B,
            _ => Tier::C,
        }
    }
}

fn sum(ranked: &[Ranked]) -> i128 {
    ranked.iter().map(|(amount, _)| i128::from(amount.0)).sum()
}

/// The first amount, largest first, before which all together make this share of the total or more; found
/// by halving, as quickselect does.
fn first_beyond(mut ranked: &mut [Ranked], total: f64, share: f64) -> Option<Ranked> {
    let (mut before, mut first) = (0, None);
    while !ranked.is_empty() {
        let (larger, middle, smaller) = ranked.select_nth_unstable(ranked.len() / 2);
        let before_middle = before + sum(larger);
        if before_middle as f64 / total < share {
            before = before_middle + i128::from(middle.0.0);
            ranked = smaller;
        } else {
            first = Some(*middle);
            ranked = larger;
        }
    }
    first
}

/// Where the fifths of some values end: a value lies in 1, the lowest, to 5 by how many are lower. Equal
/// values have equal scores.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fifths([i64; 4]);

impl Fifths {
    /// The fifths of these values. Cost: a few passes, no sort.
    pub(super) fn of(mut values: Vec<i64>) -> Self {
        let (len, mut ends) = (values.len(), [i64::MAX; 4]);
        let mut candidates = len;
        for (fifths, end) in [1, 2, 3, 4].into_iter().zip(&mut ends).rev() {
            // As many are lower than what lies above these fifths.
            let lower = (fifths * len).div_ceil(5);
            if let Some(at) = lower.checked_sub(1) {
                *end = *values[..candidates].select_nth_unstable(at).1;
                candidates = lower;
            }
        }
        Self(ends)
    }

    /// The fifth of one of the values.
    pub(super) fn score(&self, value: i64) -> u8 {
        self.0.iter().map(|end| u8::from(value > *end)).sum::<u8>() + 1
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Tier::{A, B, C};
    use super::*;

    const RECIPE: ValueRecipe = ValueRecipe {
        a_share: 0.8,
        b_share: 0.95,
    };

    fn tiers(amounts: &[i64]) -> Vec<Tier> {
        let tiers = Tiers::of(amounts, &RECIPE);
        (0..)
            .zip(amounts)
            .map(|(at, amount)| tiers.tier(*amount, at))
            .collect()
    }

    fn fifths(values: &[i64]) -> Vec<u8> {
        let fifths = Fifths::of(values.to_vec());
        values.iter().map(|value| fifths.score(*value)).collect()
    }

    #[test]
    fn tiers_follow_the_cumulative_share() {
        let amounts = [5, 700, 0, 200, 95, -3];
        assert_eq!(tiers(&amounts), [C, A, C, A, B, C]);
        assert_eq!(tiers(&[0, -1]), [C, C]);
        assert_eq!(tiers(&[i64::MAX, i64::MAX]), [A, A]);
        assert_eq!(fifths(&[10, 20, 30, 40, 50]), [1, 2, 3, 4, 5]);
        assert_eq!(fifths(&[7, 7]), [1, 1]);
    }

    proptest! {
        #[test]
        fn tiers_and_fifths_are_those_of_the_whole_order(
            small in prop::collection::vec(-5_i64..40, 0..60),
            large in prop::collection::vec(-5_i64..=i64::MAX, 0..60)) {
            for amounts in [small, large] {
                let mut order: Vec<usize> = (0..amounts.len()).collect();
                order.sort_by_key(|at| Reverse(amounts[*at]));
                let amount = |at: &usize| i128::from(amounts[*at].max(0));
                let total = order.iter().map(amount).sum::<i128>() as f64;
                let (tiers, fifths) = (tiers(&amounts), fifths(&amounts));
                let mut before = 0;
                for at in &order {
                    let share = before as f64 / total;
                    let tier = match amounts[*at] {
                        ..=0 => C,
                        _ if share < RECIPE.a_share => A,
                        _ if share < RECIPE.b_share => B,
                        _ => C,
                    };
                    prop_assert_eq!(tiers[*at], tier);
                    before += amount(at);
                    let lower = amounts.iter().filter(|other| **other < amounts[*at]).count();
                    prop_assert_eq!(fifths[*at], 1 + (5 * lower / amounts.len()) as u8);
                }
            }
        }
    }
}
