//! The purchases of one client as monthly buckets, kept packed.
//!
//! In memory a history is the same bytes as on disk: sorted blocks of at most
//! [`MAX_BLOCK_BYTES`], so that a change touches one or two of them and all others are shared
//! between the old history and the new one.

use std::sync::Arc;

use super::ProductNo;
use super::bucket::{Bucket, BucketChange, BucketKey, Slot};
use super::packed::{Block, HistoryError, LEAST_BUCKET_BYTES, MAX_BLOCK_BYTES, Reader, pack};

/// What a change of a history does to its blocks: what a store has to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlockChange {
    /// The block is new, or replaces the one of the same name.
    Put(Block),
    /// The block of this name is gone.
    Drop(BucketKey),
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
    /// Takes blocks as a store kept them, in order, and checks every bucket of them: its product is one of so many.
    pub fn from_blocks(blocks: Vec<Block>, products: u32) -> Result<Self, HistoryError> {
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
        // In order, the last product is the highest.
        if last.is_some_and(|(product, _)| product.0 >= products) {
            return Err(HistoryError::Product);
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::Month;
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
            1 => prop::sample::select(vec![ProductNo(1 << 20), ProductNo(u32::MAX - 1)]),
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
                let blocks: Vec<Block> = disk
                    .iter()
                    .map(|(first, bytes)| Block { first: *first, bytes: bytes.clone() })
                    .collect();
                let given = oracle.keys().last().map_or(0, |(product, _)| product.0 + 1);
                if let Some(fewer) = given.checked_sub(1) {
                    let refused = History::from_blocks(blocks.clone(), fewer);
                    prop_assert_eq!(refused, Err(HistoryError::Product));
                }
                prop_assert_eq!(&History::from_blocks(blocks, given).unwrap(), &after);
                for product in (0..41).map(ProductNo).chain([ProductNo(u32::MAX - 1)]) {
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
            let _ = History::from_blocks(vec![Block { first, bytes: bytes.into() }], u32::MAX);
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
            let _ = History::from_blocks(blocks.clone(), u32::MAX);
            blocks[0].bytes = bytes[..at].into();
            let _ = History::from_blocks(blocks, u32::MAX);
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
