//! A sale: one dated amount of a product to a client.

use serde::{Deserialize, Serialize};

use super::{ClientNo, Day, ProductNo, SaleId};

/// The largest amount of one sale or ticket, in minor units either way: a thousandth of what an
/// `i64` holds, so that sums over the sales of a client stay far from its limits.
pub const MAX_AMOUNT_MINOR: i64 = i64::MAX / 1_000;
/// The largest quantity of one sale, in thousandths of a unit.
pub const MAX_QUANTITY_MILLI: i64 = i64::MAX / 1_000;

/// One dated amount of a product to a client, with both already known to the portfolio.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sale {
    /// Who bought.
    pub client: ClientNo,
    /// What.
    pub product: ProductNo,
    /// When.
    pub day: Day,
    /// For how much, in minor units of the portfolio's currency; never zero, negative for a return.
    pub amount_minor: i64,
    /// How many units, in thousandths; 0 where it is not known.
    pub quantity_milli: i64,
    /// The caller's name for it: the same name again replaces this sale.
    pub sale_id: Option<SaleId>,
}
