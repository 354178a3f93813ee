//! Limits on one sale: one dated amount of a product to a client.

/// The largest amount of one sale or ticket, in minor units either way: a thousandth of what an
/// `i64` holds, so that sums over the sales of a client stay far from its limits.
pub const MAX_AMOUNT_MINOR: i64 = i64::MAX / 1_000;
/// The largest quantity of one sale, in thousandths of a unit.
pub const MAX_QUANTITY_MILLI: i64 = i64::MAX / 1_000;
