//! How far two clients stand apart: squared differences of log tickets over the products that both buy.

use crate::domain::ProductNo;
use crate::matrix::{Cell, quick_ln};

/// How differences become a distance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DistanceRule {
    /// `v`, the mean squared difference of two unrelated log tickets.
    pub spread: f64,
    /// Products over which two clients count as strangers before any evidence.
    pub shrink: f64,
    /// Added to a distance before it is inverted, as a share of `spread`.
    pub floor: f64,
    /// Weight of all attributes together, in shared products; 0 leaves them out.
    pub attribute_weight: f64,
}

impl DistanceRule {
    /// The weight of a neighbour at this distance: `1 / (d + floor v)`, at most 1e9.
    pub fn weight(&self, distance: f64) -> f64 {
        1.0 / (distance + self.floor * self.spread).max(1e-9)
    }

    /// What a distance is divided from: the squared differences, and how many they count as.
    #[inline]
    pub(super) fn parts(&self, sum: Sum, difference: Option<f64>) -> (f64, f64) {
        let (weight, difference) = match difference {
            Some(difference) => (self.attribute_weight, difference),
            None => (0.0, 0.0),
        };
        let total = sum.squares() + (self.shrink + weight * difference) * self.spread;
        (total, f64::from(sum.common()) + self.shrink + weight)
    }
}

/// One client's sums against the subject: the squared differences of log tickets over the products that both
/// buy, and how many these are.
///
/// Both in one whole number, so that a product is added at one stroke, sums are the same in whatever order
/// they were made, and a product that is taken out leaves what would be there without it, to the bit. The
/// squares are counted in parts of 2^-24, which is finer than the logarithms are, in the lower 48 bits. No
/// difference counts as more than 16 (a factor of nine million), and no subject with more than
/// [`MOST_COMMON`] products, so that neither part runs over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Sum(u64);

/// A subject is compared by so many of its products at the most.
pub(super) const MOST_COMMON: usize = 0xffff;

/// Where the count begins.
const COUNT: u32 = 48;
/// A whole in the squares' parts.
const WHOLE: f64 = (1_u64 << 24) as f64;
/// What a sum may be beyond a line at the most: less than [`Within::NOBODY`] is beyond all of them.
const MOST_WITHIN: f64 = (1_u64 << (COUNT - 2)) as f64;
/// Everybody is within this: spread and squared differences of logarithms are far below.
const NO_LIMIT: f64 = 65_536.0;
/// No squared difference counts as more.
const MOST_SQUARE: f64 = 255.0;

impl Sum {
    /// Of one product, by the difference of the logarithms.
    #[inline]
    pub(super) fn of(difference: f32) -> Self {
        // So far above 1 a float's last bit is worth 2^-24: adding rounds to parts, which are then the lowest
        // of its bits. A cast would round as well, and look for what does not fit.
        const FAR: f64 = (1_u64 << 28) as f64;
        let square = f64::from(difference) * f64::from(difference);
        // Not by `min`, which looks for what is no number.
        let square = if square < MOST_SQUARE {
            square
        } else {
            MOST_SQUARE
        };
        Self((square + FAR).to_bits() - FAR.to_bits() + (1 << COUNT))
    }

    /// With the products of another.
    #[inline]
    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0.wrapping_add(other.0))
    }

    /// Without the products of another, all of which it has.
    #[inline]
    pub(super) fn without(self, other: Self) -> Self {
        Self(self.0.wrapping_sub(other.0))
    }

    /// The squared differences.
    #[inline]
    pub(super) fn squares(self) -> f64 {
        (self.0 & ((1 << COUNT) - 1)) as f64 / WHOLE
    }

    /// The products that both buy.
    #[inline]
    pub(super) fn common(self) -> u32 {
        (self.0 >> COUNT) as u32
    }
}

/// Tells without a division which sums may be of a distance that is not beyond a limit.
///
/// `(squares + shrink v + ...) / (common + shrink + weight) <= limit` is a line in whole numbers:
/// `squares - limit common <= limit (shrink + weight) - shrink v`, rounded up. What it lets through is still to
/// be measured; what it does not is farther.
#[derive(Debug, Clone, Copy)]
pub(super) struct Within {
    /// What a product in common takes off a [`Sum`], the one that counts it too.
    a_product: u64,
    most: i64,
}

impl Within {
    /// Nobody is let through, whatever the limit: more than any sum, less than any that is negative.
    pub(super) const NOBODY: Sum = Sum((1 << COUNT) + (1 << (COUNT - 1)));

    /// By a rule and a limit.
    pub(super) fn of(rule: &DistanceRule, limit: f64) -> Self {
        let strangers = rule.shrink + rule.attribute_weight.max(0.0);
        let most = match limit < NO_LIMIT {
            true => (limit * strangers - rule.shrink * rule.spread) * WHOLE,
            false => f64::INFINITY,
        };
        Self {
            a_product: (limit.clamp(0.0, NO_LIMIT) * WHOLE) as u64 + 1 + (1 << COUNT),
            most: most.clamp(-MOST_WITHIN, MOST_WITHIN) as i64 + 2,
        }
    }

    /// Whether a sum may be within the limit.
    #[inline]
    pub(super) fn may_be(self, sum: Sum) -> bool {
        let taken = u64::from(sum.common()).wrapping_mul(self.a_product);
        (sum.0.wrapping_sub(taken) as i64) <= self.most
    }
}

/// The sums of a row that stands in no block.
pub(super) fn sum_of(own: &[(ProductNo, f32)], row: &[Cell]) -> Sum {
    let mut sum = Sum::default();
    let mut own = own.iter().peekable();
    for cell in row {
        while own.next_if(|own| own.0 < cell.product).is_some() {}
        if let Some((_, own)) = own.next_if(|own| own.0 == cell.product) {
            sum = sum.and(Sum::of(own - quick_ln(cell.ticket)));
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sum(differences: &[f32]) -> Sum {
        let sums = differences.iter().map(|one| Sum::of(*one));
        sums.fold(Sum::default(), Sum::and)
    }

    fn differences() -> impl Strategy<Value = Vec<f32>> {
        let one = prop_oneof![4 => -3.0f32..3.0, 1 => -90.0f32..90.0, 1 => Just(0.0)];
        prop::collection::vec(one, 0..60)
    }

    proptest! {
        #[test]
        fn a_sum_is_that_of_the_squares_in_any_order(
            differences in differences(),
            out in any::<prop::sample::Index>(),
        ) {
            let all = sum(&differences);
            let slow: f64 = differences.iter().map(|one| f64::from(*one).powi(2).min(MOST_SQUARE)).sum();
            prop_assert_eq!(all.common() as usize, differences.len());
            let rounded = differences.len() as f64 / WHOLE;
            prop_assert!((all.squares() - slow).abs() <= rounded, "{} for {slow}", all.squares());
            let backwards: Vec<f32> = differences.iter().rev().copied().collect();
            prop_assert_eq!(all, sum(&backwards));
            if !differences.is_empty() {
                let mut others = differences.clone();
                let out = others.remove(out.index(differences.len()));
                prop_assert_eq!(all.without(Sum::of(out)), sum(&others));
            }
        }

        #[test]
        fn what_is_not_let_through_is_beyond_the_limit(
            differences in differences(),
            shrink in prop_oneof![Just(0.0), 0.0..9.0],
            attribute_weight in prop_oneof![Just(0.0), 0.0..9.0],
            spread in prop_oneof![3 => 1e-3..9.0, 1 => 1e-3..2e4],
            limit in prop_oneof![0.0..9.0, 0.0..4e4, Just(f64::INFINITY)],
            difference in prop::option::of(0.0..4.0),
        ) {
            let rule = DistanceRule { spread, shrink, floor: 0.05, attribute_weight };
            let sum = sum(&differences);
            let difference = difference.filter(|_| attribute_weight > 0.0);
            let (total, evidence) = rule.parts(sum, difference);
            let distance = total / evidence;
            // At the limit itself and the next float on either side of it, too.
            for limit in [limit, distance, distance.next_up(), distance.next_down()] {
                let near = evidence > 0.0 && distance <= limit;
                prop_assert!(!near || Within::of(&rule, limit).may_be(sum));
            }
            // Without attributes hardly anything beyond is let through.
            let short = distance * 0.999 - 1e-3;
            if evidence > 0.0 && attribute_weight == 0.0 && short > 0.0 {
                prop_assert!(!Within::of(&rule, short).may_be(sum));
            }
        }

        #[test]
        fn nobody_is_within_any_limit(
            limit in prop_oneof![Just(f64::INFINITY), Just(0.0), 0.0..1e9],
            out in prop::option::of(-90.0f32..90.0),
        ) {
            let rule = DistanceRule { spread: 1.0, shrink: 2.0, floor: 0.05, attribute_weight: 1.0 };
            let sum = out.map_or(Within::NOBODY, |out| Within::NOBODY.without(Sum::of(out)));
            prop_assert!(!Within::of(&rule, limit).may_be(sum));
        }
    }

    #[test]
    fn neither_part_runs_over() {
        let widest = Sum::of(f32::MAX.ln() - f32::MIN_POSITIVE.ln());
        let sum = (0..MOST_COMMON).fold(Sum::default(), |sum, _| sum.and(widest));
        assert_eq!(sum.common() as usize, MOST_COMMON);
        assert!((sum.squares() - MOST_SQUARE * MOST_COMMON as f64).abs() < 1e-9);
    }
}
