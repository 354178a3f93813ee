//! A product: what a client buys.

use serde::{Deserialize, Serialize};

use super::{ProductId, Share, Text};

/// What a client buys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Product {
    /// The caller's id.
    pub id: ProductId,
    /// What people call it; may be empty.
    pub name: Text,
    /// The family it belongs to; may be empty.
    pub category: Text,
    /// Margin as a share of the amount, where it is known.
    pub margin_rate: Option<Share>,
    /// List price of one unit in minor units, where it is known.
    pub list_price_minor: Option<i64>,
    /// Whether it can be sold now; what is not is never offered.
    pub active: bool,
    /// The product that this one is the fuller version of.
    pub upgrade_of: Option<ProductId>,
    /// A product that a client must buy before this one is offered.
    pub needs_product: Option<ProductId>,
}
