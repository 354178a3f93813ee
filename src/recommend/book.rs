//! What every score is a function of.

use super::Recipe;
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
    /// List prices in minor units, by product number; may be shorter than the catalogue.
    pub list_prices_minor: &'a [Option<i64>],
    /// The parameters of the scoring.
    pub recipe: &'a Recipe,
}
