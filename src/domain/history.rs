//! The purchases of one client as monthly buckets, kept packed.
//!
//! In memory a history is the same bytes as on disk: sorted blocks of at most
//! [`MAX_BLOCK_BYTES`], so that a change touches one or two of them and all others are shared
//! between the old history and the new one.
//!
//! A block is a run of buckets in order, each as variable-length integers: the step in product
//! number, the step in months (or the slot, where the product is new), amount, quantity, count,
//! day. About 10 bytes a bucket.

use std::sync::Arc;

use super::{Month, ProductNo};

/// The largest packed block, in bytes.
pub const MAX_BLOCK_BYTES: usize = 1_000;
/// How full a block is at most after a split, so that the next change rarely splits it again.
const FILL_BYTES: usize = 750;
/// A packed bucket takes no fewer: each of its numbers has a byte at least.
const LEAST_BUCKET_BYTES: usize = 6;
/// January 2020: months near it take one byte.
const BASE_MONTH: i64 = 1_440;

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
    fn key(&self) -> BucketKey {
        match self {
            Self::Put(bucket) => bucket.key(),
            Self::Remove(key) => *key,
        }
    }
}

/// A run of buckets, packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The key of its first bucket, which names it.
    pub first: BucketKey,
    /// The packed buckets, at most [`MAX_BLOCK_BYTES`].
    pub bytes: Arc<[u8]>,
}

/// What a change of a history does to its blocks: what a store has to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlockChange {
    /// The block is new, or replaces the one of the same name.
    Put(Block),
    /// The block of this name is gone.
    Drop(BucketKey),
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
    /// Buckets or blocks are out of order, or a block does not start where its name says.
    #[error("history blocks are out of order")]
    Order,
}

/// All that one client bought, in order of product and slot.
///
/// Cloning costs one reference count; [`History::with`] makes a changed one that shares what did
/// not change.
///
/// ```
/// use carteira::domain::{Bucket, BucketChange, Day, History, ProductNo, Slot};
///
/// let march = Day::parse("2026-03-31")?;
/// let milk = Bucket {
///     product: ProductNo(0),
///     slot: Slot::Month(march.month()),
///     amount_minor: 700_000,
///     quantity_milli: 0,
///     sales: 1,
///     last_day_of_month: march.day_of_month(),
/// };
/// let (history, touched) = History::default().with(&[BucketChange::Put(milk)]);
/// assert_eq!(history.get(milk.product, milk.slot), Some(milk));
/// assert_eq!(touched.len(), 1);
/// # Ok::<(), carteira::domain::DayError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    blocks: Arc<[Block]>,
}

impl Default for History {
    fn default() -> Self {
        Self {
            blocks: Arc::from([]),
        }
    }
}

impl History {
    /// Takes blocks as a store kept them, in order, and checks every bucket of them.
    pub fn from_blocks(blocks: Vec<Block>) -> Result<Self, HistoryError> {
        let mut last: Option<BucketKey> = None;
        for block in &blocks {
            if block.bytes.is_empty() || block.bytes.len() > MAX_BLOCK_BYTES {
                return Err(HistoryError::Length);
            }
            let mut named = false;
            for bucket in Reader::new(&block.bytes) {
                let key = bucket?.key();
                if last.is_some_and(|last| key <= last) || (!named && key != block.first) {
                    return Err(HistoryError::Order);
                }
                named = true;
                last = Some(key);
            }
        }
        Ok(Self {
            blocks: blocks.into(),
        })
    }

    /// The packed blocks, in order.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// Whether nothing was ever bought.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Packed size in bytes, without the names of the blocks.
    pub fn packed_bytes(&self) -> usize {
        self.blocks.iter().map(|block| block.bytes.len()).sum()
    }

    /// Every bucket, in order of product and slot. Costs one decoding of all bytes.
    pub fn iter(&self) -> impl Iterator<Item = Bucket> + '_ {
        self.read_on(0)
    }

    /// The buckets of one product, in order of slot. Decodes from the block it starts in.
    pub fn buckets_of(&self, product: ProductNo) -> impl Iterator<Item = Bucket> + '_ {
        self.read_on(self.block_of((product, Slot::SetTicket)))
            .skip_while(move |bucket| bucket.product < product)
            .take_while(move |bucket| bucket.product == product)
    }

    /// The bucket of a product and slot. Decodes at most one block.
    pub fn get(&self, product: ProductNo, slot: Slot) -> Option<Bucket> {
        let key = (product, slot);
        let block = self.blocks.get(self.block_of(key))?;
        Reader::new(&block.bytes)
            .map_while(Result::ok)
            .find(|bucket| bucket.key() >= key)
            .filter(|bucket| bucket.key() == key)
    }

    /// The history after some changes, and what they did to its blocks.
    ///
    /// Of several changes of one key the last counts. Blocks that overflow are split in halves,
    /// empty ones vanish. Costs the decoding of the touched blocks and a reference count for
    /// each other one.
    pub fn with(&self, changes: &[BucketChange]) -> (Self, Vec<BlockChange>) {
        let mut wanted: Vec<&BucketChange> = changes.iter().collect();
        // Stable: of one key's changes the last stays last.
        wanted.sort_by_key(|change| change.key());
        let mut wanted = wanted.as_slice();

        let mut blocks = Vec::with_capacity(self.blocks.len() + 1);
        let mut touched = Vec::new();
        if self.blocks.is_empty() {
            blocks = pack(&merged(&[], wanted));
            touched.extend(blocks.iter().cloned().map(BlockChange::Put));
            return (Self::of(blocks), touched);
        }
        for (number, block) in self.blocks.iter().enumerate() {
            let end = self.blocks.get(number + 1).map(|next| next.first);
            let here = wanted.partition_point(|change| end.is_none_or(|end| change.key() < end));
            let (changes, later) = wanted.split_at(here);
            wanted = later;
            if changes.is_empty() {
                blocks.push(block.clone());
                continue;
            }
            let packed = pack(&merged(&block.bytes, changes));
            if packed.iter().all(|new| new.first != block.first) {
                touched.push(BlockChange::Drop(block.first));
            }
            for new in packed {
                if new == *block {
                    blocks.push(block.clone());
                } else {
                    touched.push(BlockChange::Put(new.clone()));
                    blocks.push(new);
                }
            }
        }
        (Self::of(blocks), touched)
    }

    fn of(blocks: Vec<Block>) -> Self {
        Self {
            blocks: blocks.into(),
        }
    }

    /// The block that a key stands in, or would.
    fn block_of(&self, key: BucketKey) -> usize {
        self.blocks
            .partition_point(|block| block.first <= key)
            .saturating_sub(1)
    }

    fn read_on(&self, number: usize) -> impl Iterator<Item = Bucket> + '_ {
        // Every block was checked when it came in, so no bucket is lost to an error here.
        let blocks = self.blocks.get(number..).unwrap_or_default();
        blocks
            .iter()
            .flat_map(|block| Reader::new(&block.bytes).map_while(Result::ok))
    }
}

/// The buckets of a packed block after changes in order of their keys; of several of one key the last counts.
fn merged(block: &[u8], changes: &[&BucketChange]) -> Vec<Bucket> {
    let mut changes = changes
        .chunk_by(|a, b| a.key() == b.key())
        .filter_map(<[_]>::last)
        .peekable();
    let put = |change: &&BucketChange| match **change {
        BucketChange::Put(bucket) => Some(bucket),
        BucketChange::Remove(_) => None,
    };
    let mut buckets = Vec::with_capacity(block.len() / LEAST_BUCKET_BYTES + 1);
    for bucket in Reader::new(block).map_while(Result::ok) {
        let key = bucket.key();
        while let Some(before) = changes.next_if(|change| change.key() < key) {
            buckets.extend(put(before));
        }
        match changes.next_if(|change| change.key() == key) {
            Some(change) => buckets.extend(put(change)),
            None => buckets.push(bucket),
        }
    }
    buckets.extend(changes.filter_map(put));
    buckets
}

/// Packs buckets in order into one block, or several of about equal size.
fn pack(buckets: &[Bucket]) -> Vec<Block> {
    let mut rest = buckets;
    let mut run = pack_run(rest, usize::MAX);
    let total = run.1.len();
    let target = total.div_ceil(total.div_ceil(FILL_BYTES).max(1));
    if total > MAX_BLOCK_BYTES {
        run = pack_run(rest, target);
    }
    let mut blocks = Vec::new();
    while let Some(first) = rest.first() {
        let (count, bytes) = run;
        debug_assert!(bytes.len() <= MAX_BLOCK_BYTES);
        blocks.push(Block {
            first: first.key(),
            bytes: bytes.into(),
        });
        rest = rest.get(count..).unwrap_or_default();
        run = pack_run(rest, target);
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
struct Reader<'a> {
    bytes: &'a [u8],
    before: Option<BucketKey>,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Self {
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use proptest::prelude::*;

    fn slots() -> impl Strategy<Value = Slot> {
        prop_oneof![
            1 => Just(Slot::SetTicket),
            8 => (1_500..1_530i32).prop_map(|number| Slot::Month(Month::from_number(number))),
            1 => prop::sample::select(vec![i32::MIN, -1, 0, i32::MAX])
                .prop_map(|number| Slot::Month(Month::from_number(number))),
        ]
    }

    fn amounts() -> impl Strategy<Value = i64> {
        prop_oneof![
            8 => -1_000_000..100_000_000i64,
            1 => prop::sample::select(vec![i64::MIN, -1, 0, i64::MAX]),
        ]
    }

    fn products() -> impl Strategy<Value = ProductNo> {
        prop_oneof![
            9 => (0..40u32).prop_map(ProductNo),
            1 => prop::sample::select(vec![ProductNo(1 << 20), ProductNo(u32::MAX)]),
        ]
    }

    prop_compose! {
        fn buckets()(
            product in products(),
            slot in slots(),
            amount_minor in amounts(),
            quantity_milli in amounts(),
            sales in prop_oneof![0..5u32, Just(u32::MAX)],
            last_day_of_month in 0..=31u8,
        ) -> Bucket {
            Bucket { product, slot, amount_minor, quantity_milli, sales, last_day_of_month }
        }
    }

    fn changes() -> impl Strategy<Value = Vec<BucketChange>> {
        let change = prop_oneof![
            3 => buckets().prop_map(BucketChange::Put),
            1 => (products(), slots()).prop_map(BucketChange::Remove),
        ];
        prop::collection::vec(change, 0..120)
    }

    proptest! {
        #[test]
        fn a_history_is_what_a_sorted_map_would_be(steps in prop::collection::vec(changes(), 1..8)) {
            let mut history = History::default();
            let mut oracle: BTreeMap<BucketKey, Bucket> = BTreeMap::new();
            let mut disk: BTreeMap<BucketKey, Arc<[u8]>> = BTreeMap::new();
            for step in steps {
                let before = history.clone();
                let (after, touched) = history.with(&step);
                for change in step {
                    match change {
                        BucketChange::Put(bucket) => { oracle.insert(bucket.key(), bucket); }
                        BucketChange::Remove(key) => { oracle.remove(&key); }
                    }
                }
                for change in touched {
                    match change {
                        BlockChange::Put(block) => { disk.insert(block.first, block.bytes); }
                        BlockChange::Drop(first) => prop_assert!(disk.remove(&first).is_some()),
                    }
                }
                prop_assert!(after.iter().eq(oracle.values().copied()));
                prop_assert!(after.blocks().iter().all(|block| block.bytes.len() <= MAX_BLOCK_BYTES));
                let blocks = disk
                    .iter()
                    .map(|(first, bytes)| Block { first: *first, bytes: bytes.clone() })
                    .collect();
                prop_assert_eq!(&History::from_blocks(blocks).unwrap(), &after);
                for product in (0..41).map(ProductNo).chain([ProductNo(u32::MAX)]) {
                    let wanted = oracle.values().filter(|bucket| bucket.product == product);
                    prop_assert!(after.buckets_of(product).eq(wanted.copied()));
                    prop_assert_eq!(
                        after.get(product, Slot::SetTicket),
                        oracle.get(&(product, Slot::SetTicket)).copied()
                    );
                }
                for (key, bucket) in &oracle {
                    prop_assert_eq!(after.get(key.0, key.1), Some(*bucket));
                }
                drop(before);
                history = after;
            }
        }

        #[test]
        fn damaged_bytes_are_an_error_and_never_a_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            product in any::<u32>(),
        ) {
            let first = (ProductNo(product), Slot::SetTicket);
            let _ = History::from_blocks(vec![Block { first, bytes: bytes.into() }]);
        }

        #[test]
        fn a_cut_or_flipped_block_never_panics(
            all in prop::collection::vec(buckets(), 1..50),
            at in any::<prop::sample::Index>(),
            bit in 0..8u8,
        ) {
            let puts: Vec<_> = all.into_iter().map(BucketChange::Put).collect();
            let (history, _) = History::default().with(&puts);
            let mut blocks = history.blocks().to_vec();
            let mut bytes = blocks[0].bytes.to_vec();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            blocks[0].bytes = bytes.clone().into();
            let _ = History::from_blocks(blocks.clone());
            blocks[0].bytes = bytes[..at].into();
            let _ = History::from_blocks(blocks);
        }
    }

    #[test]
    fn one_change_of_a_long_history_touches_one_block_or_two() {
        let bucket = |product, month| Bucket {
            product: ProductNo(product),
            slot: Slot::Month(Month::from_number(month)),
            amount_minor: 700_000,
            quantity_milli: 1_000,
            sales: 2,
            last_day_of_month: 28,
        };
        let all: Vec<_> = (0..500)
            .flat_map(|product| (1_500..1_512).map(move |month| bucket(product, month)))
            .map(BucketChange::Put)
            .collect();
        let (history, _) = History::default().with(&all);
        assert!(history.blocks().len() > 40);
        assert!(history.packed_bytes() < 6_000 * 12);
        let (_, touched) = history.with(&[BucketChange::Put(bucket(250, 1_512))]);
        assert!((1..=2).contains(&touched.len()));
        let (same, touched) = history.with(&[BucketChange::Put(bucket(250, 1_511))]);
        assert!(touched.is_empty());
        assert_eq!(same, history);
        let gone: Vec<_> = history
            .iter()
            .map(|b| BucketChange::Remove(b.key()))
            .collect();
        let (empty, touched) = history.with(&gone);
        assert!(empty.is_empty());
        assert_eq!(touched.len(), history.blocks().len());
    }
}
