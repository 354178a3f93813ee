//! One list of all pairs, most expected money first: how much of the money is where it begins.

use serde::Serialize;

use super::{part, ranking};

/// The share of all pairs that a team works.
const WORKED: f64 = 0.01;
/// Lengths at which the curve is read, as shares of all pairs.
const LENGTHS: [f64; 20] = [
    0.0, 0.001, 0.0025, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.2,
    0.3, 0.4, 0.6, 0.8, 1.0,
];

/// How well a list of all pairs not bought finds the money.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pipeline {
    /// Pairs in the first 1 % of the list.
    pub listed: usize,
    /// New money in these, over that in as many pairs of the ideal list.
    pub money_over_ideal: f64,
    /// New money in these, over all new money.
    pub money: f64,
    /// Share of these that were taken up.
    pub precision: f64,
    /// Share of all pairs that were taken up: the precision of a list in no order.
    pub rate: f64,
    /// Share of all new money against the list's length.
    pub curve: Vec<Point>,
    /// The same of the ideal list.
    pub ideal_curve: Vec<Point>,
}

/// How much of the money a list of some length holds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Point {
    /// Length, as a share of all pairs.
    pub pairs: f64,
    /// New money in it, as a share of all new money.
    pub money: f64,
}

/// Measures a list ordered by `expected` money against what came, `real`, pair by pair. Cost: two
/// sorts.
pub fn pipeline(expected: &[f64], real: &[f64]) -> Option<Pipeline> {
    let all: f64 = real.iter().sum();
    if all <= 0.0 {
        return None;
    }
    let order = ranking(expected);
    let ideal = ranking(real);
    let listed = part(real.len(), WORKED);
    let sum = |order: &[usize]| order.iter().map(|&at| real[at]).sum::<f64>();
    let (money, most) = (sum(&order[..listed]), sum(&ideal[..listed]));
    let taken = |order: &[usize]| order.iter().filter(|&&at| real[at] > 0.0).count() as f64;
    Some(Pipeline {
        listed,
        money_over_ideal: money / most,
        money: money / all,
        precision: taken(&order[..listed]) / listed as f64,
        rate: taken(&order) / order.len() as f64,
        curve: curve(&order, real, all),
        ideal_curve: curve(&ideal, real, all),
    })
}

fn curve(order: &[usize], real: &[f64], all: f64) -> Vec<Point> {
    let (mut at, mut sum) = (0, 0.0);
    let point = |pairs: f64| {
        let upto = (order.len() as f64 * pairs).round() as usize;
        sum += order[at..upto].iter().map(|&at| real[at]).sum::<f64>();
        at = upto;
        let money = sum / all;
        Point { pairs, money }
    };
    LENGTHS.into_iter().map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn figures_worked_by_hand() {
        // 200 pairs, so two are worked: one that brought 30 and one that brought nothing.
        let mut expected = vec![1.0; 200];
        let mut real = vec![0.0; 200];
        (expected[5], real[5]) = (9.0, 30.0);
        expected[6] = 8.0;
        (real[100], real[150]) = (50.0, 20.0);
        let found = pipeline(&expected, &real).unwrap();
        assert_eq!(found.listed, 2);
        assert!((found.money_over_ideal - 30.0 / 80.0).abs() < 1e-12);
        assert!((found.money - 0.3).abs() < 1e-12);
        assert!((found.precision - 0.5).abs() < 1e-12);
        assert!((found.rate - 0.015).abs() < 1e-12);
        let at_half_percent = found
            .curve
            .iter()
            .find(|point| (point.pairs - 0.005).abs() < 1e-12);
        assert!((at_half_percent.unwrap().money - 0.3).abs() < 1e-12);
        let last = found.curve.last().unwrap();
        assert!((last.money - 1.0).abs() < 1e-12);
    }

    #[test]
    fn where_nothing_was_taken_up_there_is_no_figure() {
        assert_eq!(pipeline(&[1.0, 2.0], &[0.0, 0.0]), None);
        assert_eq!(pipeline(&[], &[]), None);
    }

    /// The money of the first pairs by pulling out the largest one at a time.
    fn slow_money(expected: &[f64], real: &[f64], listed: usize) -> f64 {
        let mut left: Vec<usize> = (0..real.len()).collect();
        let mut money = 0.0;
        for _ in 0..listed {
            let mut best = 0;
            for at in 0..left.len() {
                if expected[left[at]] > expected[left[best]] {
                    best = at;
                }
            }
            money += real[left.remove(best)];
        }
        money
    }

    proptest! {
        #[test]
        fn money_agrees_with_pulling_the_largest_one_by_one_and_curves_rise(
            pairs in prop::collection::vec((0_u8..20, prop_oneof![3 => Just(0.0), 1 => 1.0..90.0]), 1..300),
        ) {
            let (expected, real): (Vec<f64>, Vec<f64>) =
                pairs.into_iter().map(|(expected, real)| (f64::from(expected), real)).unzip();
            if let Some(found) = pipeline(&expected, &real) {
                let all: f64 = real.iter().sum();
                let slow = slow_money(&expected, &real, found.listed);
                prop_assert!((found.money * all - slow).abs() < 1e-9);
                prop_assert!(found.money_over_ideal <= 1.0 + 1e-12);
                for (own, ideal) in found.curve.iter().zip(&found.ideal_curve) {
                    prop_assert!(own.money <= ideal.money + 1e-12);
                }
                prop_assert!(found.curve.windows(2).all(|pair| pair[0].money <= pair[1].money + 1e-12));
            }
        }
    }
}
