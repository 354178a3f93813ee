//! How likely an upsell succeeds.

use super::Recipe;

/// The probability that a client closes at least half of a published gap within the horizon.
///
/// Without outcomes to learn from it is the recipe's prior, the same for every offer, and says so.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SuccessModel {
    prior: f64,
}

impl SuccessModel {
    /// The recipe's prior.
    pub fn prior(recipe: &Recipe) -> Self {
        Self { prior: recipe.upsell.success_prior }
    }

    /// The probability, above 0 and under 1.
    pub fn probability(&self) -> f64 {
        self.prior
    }

    /// Its log odds.
    pub fn log_odds(&self) -> f64 {
        (self.prior / (1.0 - self.prior)).ln()
    }
}
