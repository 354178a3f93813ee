//! The sale ledger: sales that have an id, in blocks of up to one value, sorted by hash.
//!
//! A block's key is a lower bound of the hashes in it, the first block's is zero. So the block of
//! a hash, if there is any, is the last one whose key is not above it.

use std::collections::BTreeMap;

use super::change::{SaleEntry, SaleHash};
use super::error::{Code, Fault};
use super::value::MAX_PAYLOAD_BYTES;

/// The bound of the first block.
pub(crate) const LOWEST: SaleHash = SaleHash([0; 16]);

/// The entries of a block.
pub(crate) type Entries = BTreeMap<SaleHash, SaleEntry>;

/// Reads a block, which must hold hashes from its bound on, in order.
pub(crate) fn decode(bound: SaleHash, mut bytes: &[u8]) -> Result<Entries, Fault> {
    let mut entries = Entries::new();
    let broken = |what: &str| Fault::new(Code::Record, format!("a sale ledger block {what}"));
    while !bytes.is_empty() {
        let ((hash, entry), rest) = postcard::take_from_bytes::<(SaleHash, SaleEntry)>(bytes)
            .map_err(|_| broken("does not read"))?;
        let after = entries
            .last_key_value()
            .is_none_or(|(last, _)| *last < hash);
        if hash < bound || !after {
            return Err(broken("is out of order"));
        }
        entries.insert(hash, entry);
        bytes = rest;
    }
    if entries.is_empty() {
        return Err(broken("is empty"));
    }
    Ok(entries)
}

/// Packs entries into blocks, the first with the bound given; none where there are no entries.
pub(crate) fn encode(
    bound: SaleHash,
    entries: &Entries,
) -> Result<Vec<(SaleHash, Vec<u8>)>, Fault> {
    let mut packed = Vec::with_capacity(entries.len());
    for (hash, entry) in entries {
        let bytes = postcard::to_allocvec(&(hash, entry))
            .map_err(|error| Fault::new(Code::Record, error.to_string()))?;
        packed.push((*hash, bytes));
    }
    let total: usize = packed.iter().map(|(_, bytes)| bytes.len()).sum();
    let target = if total <= MAX_PAYLOAD_BYTES {
        usize::MAX
    } else {
        total.div_ceil(total.div_ceil(MAX_PAYLOAD_BYTES * 3 / 4))
    };
    let mut blocks: Vec<(SaleHash, Vec<u8>)> = Vec::new();
    for (hash, bytes) in packed {
        match blocks.last_mut() {
            Some((_, block)) if block.len() < target => block.extend(bytes),
            Some(_) => blocks.push((hash, bytes)),
            None => blocks.push((bound, bytes)),
        }
    }
    Ok(blocks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ClientNo, Day, ProductNo};
    use proptest::prelude::*;

    prop_compose! {
        fn entries()(
            all in prop::collection::btree_map(
                any::<[u8; 16]>().prop_map(SaleHash),
                (any::<u32>(), any::<u32>(), any::<i32>(), any::<i64>(), any::<i64>()),
                1..200,
            )
        ) -> Entries {
            all.into_iter()
                .map(|(hash, (client, product, day, amount_minor, quantity_milli))| {
                    let entry = SaleEntry {
                        client: ClientNo(client),
                        product: ProductNo(product),
                        day: Day::from_epoch_days(day),
                        amount_minor,
                        quantity_milli,
                    };
                    (hash, entry)
                })
                .collect()
        }
    }

    proptest! {
        #[test]
        fn entries_come_back_from_blocks_of_one_value(entries in entries()) {
            let blocks = encode(LOWEST, &entries).unwrap();
            prop_assert_eq!(blocks[0].0, LOWEST);
            prop_assert!(blocks.iter().all(|(_, block)| block.len() <= MAX_PAYLOAD_BYTES));
            let mut back = Entries::new();
            for (bound, block) in &blocks {
                back.extend(decode(*bound, block).unwrap());
            }
            prop_assert_eq!(back, entries);
        }

        #[test]
        fn damaged_blocks_are_an_error_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(LOWEST, &bytes);
        }
    }
}
