//! What a published ticket is made of, complete enough to make it again.

use serde::{Deserialize, Serialize};

use super::{ClientNo, ProductNo};

/// Everything that goes into the quantiles of one ticket.
///
/// With `s` the weighted sample of all residuals below (neighbours and pseudo-observations) and
/// `Q(level, s)` its quantile, each number standing at the middle of its own weight and the space
/// between two interpolated:
///
/// `ticket = exp(ln_product_median + size_exponent × client_size + mix + deviation × (Q + shift))`,
/// then no quantile below the one before it, then rounded to `significant_digits`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QuantileReceipt {
    /// The judged product.
    pub product: ProductNo,
    /// Natural logarithm of the median ticket of the product's buyers, in minor units.
    pub ln_product_median: f64,
    /// The client's size: mean log residual of its other tickets.
    pub client_size: f64,
    /// The share of size that carries from one product to another.
    pub size_exponent: f64,
    /// What the mix of the client's other tickets adds to its size, a logarithm.
    pub mix: f64,
    /// How much a ticket of such a client varies around its level, a logarithm.
    pub deviation: f64,
    /// The quantile levels: 0.2, 0.5, 0.8, 0.9.
    pub levels: [f64; 4],
    /// What each level's coverage lacked on held-out tickets, in deviations.
    pub shifts: [f64; 4],
    /// Digits that published tickets are rounded to.
    pub significant_digits: u32,
    /// All buyers of the product, the client left out.
    pub buyers: u32,
    /// `(sum w)^2 / sum w^2` over the neighbours.
    pub effective_neighbours: f64,
    /// The similar clients that buy the product, nearest first.
    pub neighbours: Vec<NeighbourEvidence>,
    /// What all buyers of the product, then the whole book, add where neighbours are few.
    pub pseudo_observations: Vec<PseudoObservation>,
}

/// One similar client's part in a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct NeighbourEvidence {
    /// Who.
    pub client: ClientNo,
    /// Its weight: the nearer, the more.
    pub weight: f64,
    /// How far its ticket stands from its own level, in deviations.
    pub residual: f64,
    /// Its ticket, in minor units.
    pub ticket_minor: i64,
    /// Its ticket brought to the size of the judged client, in minor units, not rounded otherwise.
    pub scaled_ticket_minor: i64,
    /// Products that both buy, the judged one left out.
    pub common_products: u32,
}

/// A residual that stands for many clients.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PseudoObservation {
    /// The residual, in deviations.
    pub residual: f64,
    /// Its weight.
    pub weight: f64,
}
