//! Monthly buckets: what a client spent on a product in one slot.

use super::{Month, ProductNo};

/// Which purchases of a product a bucket sums up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// A ticket that was set directly, without a date. Sorts before every month.
    SetTicket,
    /// The sales of a calendar month.
    Month(Month),
}

/// Where a bucket stands in a history.
pub type BucketKey = (ProductNo, Slot);

/// What a client spent on a product in one slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// On what.
    pub product: ProductNo,
    /// When.
    pub slot: Slot,
    /// How much, in minor units of the portfolio's currency.
    pub amount_minor: i64,
    /// How many units, in thousandths; 0 where it is not known.
    pub quantity_milli: i64,
    /// In how many sales.
    pub sales: u32,
    /// The day of the month of the last sale, 1 to 31; 0 for a set ticket.
    pub last_day_of_month: u8,
}

impl Bucket {
    /// Where the bucket stands in a history.
    pub fn key(&self) -> BucketKey {
        (self.product, self.slot)
    }
}

/// One change to a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BucketChange {
    /// Puts a bucket in place of what stood at its key.
    Put(Bucket),
    /// Takes away what stands at the key, if anything.
    Remove(BucketKey),
}

impl BucketChange {
    pub(super) fn key(&self) -> BucketKey {
        match self {
            Self::Put(bucket) => bucket.key(),
            Self::Remove(key) => *key,
        }
    }
}
