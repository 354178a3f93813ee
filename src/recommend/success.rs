//! The probability that an upsell succeeds.

use super::Recipe;
use super::history::BackTest;
use super::least_squares;
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
        let terms = self.terms.iter();
        let dot: f64 = terms.map(|term| term.coefficient * term.value).sum();
        let dot = self.intercept + dot;
        (1.0 / (1.0 + (-dot.clamp(-30.0, 30.0)).exp())).clamp(1e-6, 1.0 - 1e-6)
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

    /// Fits to a back-test, or gives the prior where it is too thin. Cost: 25 passes over its rows.
    pub fn fit(back_test: &BackTest, recipe: &Recipe) -> Self {
        let rows: Vec<_> = back_test
            .rows
            .iter()
            .filter_map(|(view, later)| {
                let estimate = view.estimate?;
                let gain = estimate.q80 - view.ticket;
                let least = recipe.offer.least_gain_share * view.ticket;
                (gain > least).then(|| {
                    let hit = f64::from(u8::from(*later >= view.ticket + gain / 2.0));
                    (columns(view.ticket, &estimate), hit)
                })
            })
            .collect();
        let hits = rows.iter().filter(|row| row.1 > 0.5).count();
        if rows.len() < LEAST_ROWS || hits.min(rows.len() - hits) < LEAST_OF_EITHER {
            return Self::prior(recipe);
        }
        Self {
            weights: least_squares::logistic(&rows, RIDGE),
            is_calibrated: true,
        }
    }

    /// The probability for a ticket of `ticket` minor units and what clients like this one spend.
    pub fn probability(&self, ticket: f64, estimate: &TicketEstimate) -> f64 {
        least_squares::probability(&self.weights, &columns(ticket, estimate))
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

fn columns(ticket: f64, estimate: &TicketEstimate) -> [f64; TERMS.len()] {
    let gap = (estimate.q80.max(1e-9) / ticket.max(1e-9)).ln();
    [1.0, gap.clamp(-10.0, 10.0), estimate.standing]
}

#[cfg(test)]
mod tests {
    use super::*;

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
