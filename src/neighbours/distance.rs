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
        let total = sum.squares + (self.shrink + weight * difference) * self.spread;
        (total, f64::from(sum.common) + self.shrink + weight)
    }
}

/// One client's sums against the subject.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sum {
    /// Squared differences of log tickets over the products that both buy.
    pub(super) squares: f64,
    /// How many these are.
    pub(super) common: u32,
}

/// The sums of a row that stands in no block.
pub(super) fn sum_of(own: &[(ProductNo, f32)], row: &[Cell]) -> Sum {
    let mut sum = Sum::default();
    let mut own = own.iter().peekable();
    for cell in row {
        while own.next_if(|own| own.0 < cell.product).is_some() {}
        if let Some((_, own)) = own.next_if(|own| own.0 == cell.product) {
            sum.squares += squared(own - quick_ln(cell.ticket));
            sum.common += 1;
        }
    }
    sum
}

pub(super) fn squared(difference: f32) -> f64 {
    let difference = f64::from(difference);
    difference * difference
}
