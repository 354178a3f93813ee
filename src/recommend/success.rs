//! The probability that an upsell succeeds.

use smartcore::linalg::basic::arrays::Array;
use smartcore::linalg::basic::matrix::DenseMatrix;
use smartcore::linear::logistic_regression::{LogisticRegression, LogisticRegressionParameters};

use super::Recipe;
use super::history::BackTest;
use super::upsell::TicketEstimate;

/// Back-test rows, and rows of the rarer outcome, under which the prior is not replaced.
const LEAST_ROWS: usize = 200;
const LEAST_OF_EITHER: usize = 20;
/// Pseudo-observations that hold each coefficient near 0.
const RIDGE: f64 = 1.0;
const TERMS: [&str; 3] = ["constant", "ln_gap", "standing"];

/// The probability that a ticket grows within the horizon to close at least half of the gap to its
/// potential.
///
/// A logistic regression on the back-test: how large the gap is (`ln(q80 / x)`) and where the
/// ticket stands among those of clients like this one. Where the history is too short, the
/// recipe's prior for all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SuccessModel {
    weights: [f64; TERMS.len()],
    is_calibrated: bool,
}

/// One term of a probability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SuccessTerm {
    /// What it measures.
    pub name: &'static str,
    /// Its value for this ticket.
    pub value: f64,
    /// Its coefficient.
    pub coefficient: f64,
}

/// A probability taken apart: `1 / (1 + exp(-(intercept + sum of coefficient × value)))`.
#[derive(Debug, Clone, PartialEq)]
pub struct SuccessReceipt {
    /// The constant.
    pub intercept: f64,
    /// The terms.
    pub terms: Vec<SuccessTerm>,
    /// Whether they were fitted to the book's own history.
    pub is_calibrated: bool,
}

impl SuccessReceipt {
    /// Makes the probability again.
    pub fn recompute(&self) -> f64 {
        let add = |sum, term: &SuccessTerm| sum + term.coefficient * term.value;
        bounded(self.terms.iter().fold(self.intercept, add))
    }
}

impl SuccessModel {
    /// The recipe's prior for every ticket.
    pub fn prior(recipe: &Recipe) -> Self {
        let prior = recipe.upsell.success_prior;
        Self {
            weights: [(prior / (1.0 - prior)).ln(), 0.0, 0.0],
            is_calibrated: false,
        }
    }

    /// Fits to a back-test, or gives the prior where it is too thin. Cost: some tens of passes over
    /// its rows.
    pub fn fit(back_test: &BackTest, recipe: &Recipe) -> Self {
        let (mut values, mut hits) = (Vec::new(), Vec::new());
        for (view, later) in &back_test.rows {
            let Some(estimate) = view.estimate else {
                continue;
            };
            let gain = estimate.q80 - view.ticket;
            if gain > recipe.offer.least_gain_share * view.ticket {
                values.extend_from_slice(&columns(view.ticket, &estimate)[1..]);
                hits.push(u32::from(*later >= view.ticket + gain / 2.0));
            }
        }
        let rarer = hits.iter().filter(|hit| **hit == 1).count();
        let rarer = rarer.min(hits.len() - rarer);
        if hits.len() < LEAST_ROWS || rarer < LEAST_OF_EITHER {
            return Self::prior(recipe);
        }
        match regress(values, &hits) {
            Some(weights) => Self {
                weights,
                is_calibrated: true,
            },
            None => Self::prior(recipe),
        }
    }

    /// The probability for a ticket of `ticket` minor units and what clients like this one spend.
    pub fn probability(&self, ticket: f64, estimate: &TicketEstimate) -> f64 {
        probability(&self.weights, &columns(ticket, estimate))
    }

    /// The same probability, taken apart.
    pub fn explain(&self, ticket: f64, estimate: &TicketEstimate) -> SuccessReceipt {
        let values = columns(ticket, estimate);
        let term = |at: usize| SuccessTerm {
            name: TERMS[at],
            value: values[at],
            coefficient: self.weights[at],
        };
        SuccessReceipt {
            intercept: self.weights[0],
            terms: (1..TERMS.len()).map(term).collect(),
            is_calibrated: self.is_calibrated,
        }
    }

    /// Whether it rests on the book's own history.
    pub fn is_calibrated(&self) -> bool {
        self.is_calibrated
    }
}

/// Fits the constant and the coefficients to rows of values, one after the other; `None` where no
/// finite ones are found.
fn regress(values: Vec<f64>, hits: &Vec<u32>) -> Option<[f64; TERMS.len()]> {
    let width = TERMS.len() - 1;
    let rows = DenseMatrix::new(hits.len(), width, values, false).ok()?;
    let held_back = LogisticRegressionParameters::default().with_alpha(RIDGE);
    let line = LogisticRegression::fit(&rows, hits, held_back).ok()?;
    let mut weights = [*line.intercept().get((0, 0)); TERMS.len()];
    for (at, weight) in weights[1..].iter_mut().enumerate() {
        *weight = *line.coefficients().get((0, at));
    }
    weights
        .iter()
        .all(|weight| weight.is_finite())
        .then_some(weights)
}

fn probability(weights: &[f64; TERMS.len()], values: &[f64; TERMS.len()]) -> f64 {
    let terms = weights.iter().zip(values).skip(1);
    bounded(terms.fold(weights[0], |sum, (weight, value)| sum + weight * value))
}

/// `1 / (1 + exp(-log_odds))`, away from 0 and 1.
fn bounded(log_odds: f64) -> f64 {
    (1.0 / (1.0 + (-log_odds.clamp(-30.0, 30.0)).exp())).clamp(1e-6, 1.0 - 1e-6)
}

fn columns(ticket: f64, estimate: &TicketEstimate) -> [f64; TERMS.len()] {
    let gap = (estimate.q80.max(1e-9) / ticket.max(1e-9)).ln();
    [1.0, gap.clamp(-10.0, 10.0), estimate.standing]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_regression_finds_the_rates_it_is_shown_whatever_the_order_of_the_rows() {
        let row = |at: u32| {
            let x = f64::from(at % 2);
            let hit = u32::from(at % 10 < if at.is_multiple_of(2) { 2 } else { 7 });
            ([x, 0.0], hit)
        };
        let fit = |rows: Vec<([f64; 2], u32)>| {
            let values = rows.iter().flat_map(|row| row.0).collect();
            regress(values, &rows.iter().map(|row| row.1).collect()).unwrap()
        };
        let weights = fit((0..1_000).map(row).collect());
        let turned = fit((0..1_000).rev().map(row).collect());
        for (x, rate) in [(0.0, 0.2), (1.0, 0.6)] {
            let found = probability(&weights, &[1.0, x, 0.0]);
            assert!((found - rate).abs() < 0.005, "{found} for {rate}");
            assert!((found - probability(&turned, &[1.0, x, 0.0])).abs() < 1e-6);
        }
        assert_eq!(
            regress(vec![0.0; 20], &vec![1; 10]),
            None,
            "one outcome alone"
        );
    }

    #[test]
    fn without_history_every_probability_is_the_prior_and_its_receipt_agrees() {
        let recipe = Recipe::standard().unwrap();
        let model = SuccessModel::fit(&BackTest::default(), &recipe);
        let estimate = TicketEstimate {
            q20: 1.0,
            q50: 2.0,
            q80: 3.0,
            q90: 4.0,
            neighbours: 9,
            effective_neighbours: 8.0,
            buyers: 9,
            standing: 0.2,
        };
        let probability = model.probability(2.0, &estimate);
        assert!((probability - recipe.upsell.success_prior).abs() < 1e-12);
        assert!(!model.is_calibrated());
        assert!((model.explain(2.0, &estimate).recompute() - probability).abs() < 1e-12);
    }
}
