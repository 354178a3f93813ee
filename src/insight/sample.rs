//! What the tests of this room let clients buy.

use crate::domain::{Bucket, Month, ProductNo, Slot};

/// The number of the first month.
pub(super) const FIRST: i32 = 24_000;

/// One sale of a product in the middle of a month, so many after the first.
pub(super) fn bucket(product: u32, month: i32, amount_minor: i64) -> Bucket {
    Bucket {
        product: ProductNo(product),
        slot: Slot::Month(Month::from_number(FIRST + month)),
        amount_minor,
        quantity_milli: 1_000,
        sales: 1,
        last_day_of_month: 10,
    }
}
