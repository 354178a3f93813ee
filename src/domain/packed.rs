//! Buckets as bytes.
//!
//! A block is a run of buckets in order, each as variable-length integers: the step in product
//! number, the step in months (or the slot, where the product is new), amount, quantity, count,
//! day. About 10 bytes a bucket.

use std::sync::Arc;

use super::bucket::{Bucket, BucketKey, Slot};
use super::{Month, ProductNo};

/// The largest packed block, in bytes.
pub const MAX_BLOCK_BYTES: usize = 1_000;
/// How full a block is at most after a split, so that the next change rarely splits it again.
const FILL_BYTES: usize = 750;
/// A packed bucket takes no fewer: each of its numbers has a byte at least.
pub(super) const LEAST_BUCKET_BYTES: usize = 6;
/// January 2020: months near it take one byte.
const BASE_MONTH: i64 = 1_440;

/// A run of buckets, packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The key of its first bucket, which names it.
    pub first: BucketKey,
    /// The packed buckets, at most [`MAX_BLOCK_BYTES`].
    pub bytes: Arc<[u8]>,
}

/// Why bytes are not a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// A block is empty, too long, or ends within a bucket.
    #[error("a history block is cut short, empty or too long")]
    Length,
    /// A number is out of its range.
    #[error("a history block holds a number out of its range")]
    Range,
    /// A product's number was never given.
    #[error("a history block names a product that was never given a number")]
    Product,
    /// Buckets or blocks are out of order, or a block does not start where its name says.
    #[error("history blocks are out of order")]
    Order,
}

/// Packs buckets in order into one block, or several of about equal size.
pub(super) fn pack(buckets: &[Bucket]) -> Vec<Block> {
    let (_, whole) = pack_run(buckets, usize::MAX);
    let total = whole.len();
    let block = |first: &Bucket, bytes: Vec<u8>| Block {
        first: first.key(),
        bytes: bytes.into(),
    };
    if total <= MAX_BLOCK_BYTES {
        return buckets
            .first()
            .map(|first| block(first, whole))
            .into_iter()
            .collect();
    }
    let target = total.div_ceil(total.div_ceil(FILL_BYTES));
    let mut blocks = Vec::new();
    let mut rest = buckets;
    while let Some(first) = rest.first() {
        let (count, bytes) = pack_run(rest, target);
        debug_assert!(bytes.len() <= MAX_BLOCK_BYTES);
        blocks.push(block(first, bytes));
        rest = rest.get(count..).unwrap_or_default();
    }
    blocks
}

/// Packs buckets until `target` bytes are reached; answers how many went in, and the bytes.
fn pack_run(buckets: &[Bucket], target: usize) -> (usize, Vec<u8>) {
    let mut bytes = Vec::with_capacity(buckets.len().min(100) * 10);
    let mut before = None;
    let mut count = 0;
    for bucket in buckets {
        if bytes.len() >= target {
            break;
        }
        write_bucket(&mut bytes, before, bucket);
        before = Some(bucket.key());
        count += 1;
    }
    (count, bytes)
}

fn write_bucket(out: &mut Vec<u8>, before: Option<BucketKey>, bucket: &Bucket) {
    let product_before = before.map_or(0, |(product, _)| product.0);
    debug_assert!(before.is_none_or(|before| before < bucket.key()));
    write_number(out, u64::from(bucket.product.0 - product_before));
    let slot = match (before, bucket.slot) {
        (Some((product, Slot::Month(from))), Slot::Month(to)) if product == bucket.product => {
            (i64::from(to.number()) - i64::from(from.number())).unsigned_abs()
        }
        (_, Slot::SetTicket) => 0,
        (_, Slot::Month(month)) => 1 + zigzag(i64::from(month.number()) - BASE_MONTH),
    };
    write_number(out, slot);
    write_number(out, zigzag(bucket.amount_minor));
    write_number(out, zigzag(bucket.quantity_milli));
    write_number(out, u64::from(bucket.sales));
    out.push(bucket.last_day_of_month);
}

/// Reads the buckets of a block one by one; ends after the first error.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    before: Option<BucketKey>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            before: None,
        }
    }

    fn read(&mut self) -> Result<Bucket, HistoryError> {
        let step = self.number()?;
        let product_before = self.before.map_or(0, |(product, _)| product.0);
        let product = u32::try_from(step)
            .ok()
            .and_then(|step| product_before.checked_add(step))
            .map(ProductNo)
            .ok_or(HistoryError::Range)?;
        let code = self.number()?;
        let month = |number: i128| {
            let number = i32::try_from(number).map_err(|_| HistoryError::Range)?;
            Ok(Slot::Month(Month::from_number(number)))
        };
        let slot = match self.before {
            Some((before, Slot::Month(from))) if before == product => {
                month(i128::from(from.number()) + i128::from(code))?
            }
            _ if code == 0 => Slot::SetTicket,
            _ => month(i128::from(unzigzag(code - 1)) + i128::from(BASE_MONTH))?,
        };
        if self.before.is_some_and(|before| (product, slot) <= before) {
            return Err(HistoryError::Order);
        }
        self.before = Some((product, slot));
        let amount_minor = unzigzag(self.number()?);
        let quantity_milli = unzigzag(self.number()?);
        let sales = u32::try_from(self.number()?).map_err(|_| HistoryError::Range)?;
        let last_day_of_month = self.byte()?;
        if last_day_of_month > 31 {
            return Err(HistoryError::Range);
        }
        Ok(Bucket {
            product,
            slot,
            amount_minor,
            quantity_milli,
            sales,
            last_day_of_month,
        })
    }

    fn byte(&mut self) -> Result<u8, HistoryError> {
        let (first, rest) = self.bytes.split_first().ok_or(HistoryError::Length)?;
        self.bytes = rest;
        Ok(*first)
    }

    fn number(&mut self) -> Result<u64, HistoryError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && byte > 1 {
                return Err(HistoryError::Range);
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(HistoryError::Range)
    }
}

impl Iterator for Reader<'_> {
    type Item = Result<Bucket, HistoryError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.bytes.is_empty() {
            return None;
        }
        let read = self.read();
        if read.is_err() {
            self.bytes = &[];
        }
        Some(read)
    }
}

fn write_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

fn unzigzag(code: u64) -> i64 {
    (code >> 1) as i64 ^ -((code & 1) as i64)
}
