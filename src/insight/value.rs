//! What a client is worth beside the others.

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

/// The tier of each amount, in their order: A while larger amounts together make less than
/// `a_share` of the sum, B while less than `b_share`. Equal amounts are taken in their order. An
/// amount of 0 or less is C.
pub(super) fn tiers(amounts: &[i64], recipe: &ValueRecipe) -> Vec<Tier> {
    let mut order: Vec<usize> = (0..amounts.len()).collect();
    order.sort_unstable_by_key(|at| (std::cmp::Reverse(amounts[*at]), *at));
    let sum = |amounts: &mut dyn Iterator<Item = i64>| -> i128 { amounts.map(i128::from).sum() };
    let total = sum(&mut amounts.iter().copied().filter(|amount| *amount > 0)) as f64;
    let mut tiers = vec![Tier::C; amounts.len()];
    let mut before = 0_i128;
    for at in order {
        if amounts[at] <= 0 {
            break;
        }
        let share = before as f64 / total;
        tiers[at] = match () {
            () if share < recipe.a_share => Tier::A,
            () if share < recipe.b_share => Tier::B,
            () => Tier::C,
        };
        before += i128::from(amounts[at]);
    }
    tiers
}

/// The fifth that each value lies in: 1 for the lowest, by how many are lower. Equal values have
/// equal scores.
pub(super) fn fifths(values: &[i64]) -> Vec<u8> {
    let mut order: Vec<(i64, usize)> = values.iter().copied().zip(0..).collect();
    order.sort_unstable();
    let mut fifths = vec![0; values.len()];
    let mut lower = 0;
    for equal in order.chunk_by(|a, b| a.0 == b.0) {
        let fifth = 1 + (5 * lower / values.len()) as u8;
        for (_, at) in equal {
            fifths[*at] = fifth;
        }
        lower += equal.len();
    }
    fifths
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

    #[test]
    fn tiers_follow_the_cumulative_share() {
        let amounts = [5, 700, 0, 200, 95, -3];
        assert_eq!(tiers(&amounts, &RECIPE), [C, A, C, A, B, C]);
        assert_eq!(tiers(&[0, -1], &RECIPE), [C, C]);
        assert_eq!(tiers(&[i64::MAX, i64::MAX], &RECIPE), [A, A]);
        assert_eq!(fifths(&[10, 20, 30, 40, 50]), [1, 2, 3, 4, 5]);
        assert_eq!(fifths(&[7, 7]), [1, 1]);
    }

    proptest! {
        #[test]
        fn a_larger_amount_is_in_no_lower_tier_or_fifth(amounts in prop::collection::vec(-5_i64..1_000, 1..60)) {
            let (tiers, fifths) = (tiers(&amounts, &RECIPE), fifths(&amounts));
            for (a, first) in amounts.iter().enumerate() {
                prop_assert!((1..=5).contains(&fifths[a]));
                for (b, second) in amounts.iter().enumerate() {
                    if first > second {
                        prop_assert!(tiers[a] <= tiers[b]);
                        prop_assert!(fifths[a] >= fifths[b]);
                    }
                }
            }
        }
    }
}
