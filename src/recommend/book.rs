//! What every score is a function of.

use super::Recipe;
use crate::domain::{ProductNo, Share};
use crate::matrix::{Statistics, TicketMatrix};
use crate::neighbours::Profiles;

/// One consistent state of a supplier's book, borrowed.
#[derive(Debug, Clone, Copy)]
pub struct Book<'a> {
    /// Who spends what on what.
    pub matrix: &'a TicketMatrix,
    /// What tickets are measured against.
    pub statistics: &'a Statistics,
    /// What clients are.
    pub profiles: &'a Profiles,
    /// What products are, by product number; may be shorter than the catalogue.
    pub products: &'a [ProductTraits],
    /// The parameters of the scoring.
    pub recipe: &'a Recipe,
}

/// What the scoring wants to know of a product.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ProductTraits {
    /// List price of one unit in minor units, where it is known.
    pub list_price_minor: Option<i64>,
    /// Margin as a share of the amount, where it is known.
    pub margin_rate: Option<Share>,
}

impl Book<'_> {
    /// A product's margin as a share of the amount; the recipe's where it states none.
    pub fn margin_rate(&self, product: ProductNo) -> f64 {
        self.products
            .get(product.index())
            .and_then(|traits| traits.margin_rate)
            .map_or(self.recipe.offer.margin_rate, Share::get)
    }

    /// Expected value of working an opportunity, in minor units:
    /// `probability × value × margin − contact cost`.
    pub fn priority_minor(&self, product: ProductNo, probability: f64, value_minor: f64) -> f64 {
        probability * value_minor * self.margin_rate(product) - self.recipe.offer.contact_cost_minor
    }
}
