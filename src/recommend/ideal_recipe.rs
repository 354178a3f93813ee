//! How ideal clients and prospects are told from others: sections `ideal` and `prospects`.

use super::{Parameters, RecipeError};

/// Which clients are the best, and what may be said of them: section `ideal`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct IdealRecipe {
    /// The share of the buyers, most valuable first, that may be among the best.
    pub best_share: f64,
    /// With fewer of the best, or of the others, nothing is said.
    pub least_best: usize,
    /// Buyers that must have a value, and lack it, for it to be tested.
    pub least_support: usize,
    /// Draws the lift of a value to 1 as by this many buyers.
    pub pseudo_clients: f64,
    /// Share of the values said to set the best apart that may be so by chance alone.
    pub false_share: f64,
}

/// Which prospects are not worth a call: section `prospects`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProspectsRecipe {
    /// The least fit, where attributes tell the best from the others at all.
    pub least_fit: f64,
    /// The largest mean difference to the nearest buyers.
    pub most_difference: f64,
    /// How many nearest buyers.
    pub nearest: usize,
    /// The least share of the attributes that buyers are compared by.
    pub least_known_share: f64,
}

impl IdealRecipe {
    pub(super) fn of(parameters: &Parameters) -> Result<Self, RecipeError> {
        Ok(Self {
            best_share: parameters.value("ideal.best_share")?,
            least_best: parameters.count("ideal.least_best")?,
            least_support: parameters.count("ideal.least_support")?,
            pseudo_clients: parameters.value("ideal.pseudo_clients")?,
            false_share: parameters.value("ideal.false_share")?,
        })
    }
}

impl ProspectsRecipe {
    pub(super) fn of(parameters: &Parameters) -> Result<Self, RecipeError> {
        Ok(Self {
            least_fit: parameters.value("prospects.least_fit")?,
            most_difference: parameters.value("prospects.most_difference")?,
            nearest: parameters.count("prospects.nearest")?,
            least_known_share: parameters.value("prospects.least_known_share")?,
        })
    }
}
