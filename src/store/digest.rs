//! The order-free digest of a set of records: the sum of a keyed hash of each key and value.
//!
//! A change costs one hash of the old value and one of the new, whatever the size of the set.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

static KEY: LazyLock<[u8; 32]> =
    LazyLock::new(|| blake3::derive_key("carteira 2026 record digest v1", &[]));

/// A sum over records, 128 bits, wrapping.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Digest(u128);

impl Digest {
    /// Takes a record in.
    pub(crate) fn add(&mut self, key: &[u8], value: &[u8]) {
        self.0 = self.0.wrapping_add(hash(key, value));
    }

    /// Takes a record out.
    pub(crate) fn remove(&mut self, key: &[u8], value: &[u8]) {
        self.0 = self.0.wrapping_sub(hash(key, value));
    }
}

fn hash(key: &[u8], value: &[u8]) -> u128 {
    let mut hasher = blake3::Hasher::new_keyed(&KEY);
    hasher.update(&(key.len() as u64).to_le_bytes());
    hasher.update(key);
    hasher.update(value);
    let mut half = [0; 16];
    half.copy_from_slice(hasher.finalize().as_bytes().split_at(16).0);
    u128::from_le_bytes(half)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn order_does_not_matter_and_what_is_taken_out_is_gone(
            mut records in prop::collection::vec((any::<[u8; 3]>(), any::<[u8; 3]>()), 1..20),
        ) {
            let sum = |records: &[([u8; 3], [u8; 3])]| {
                let mut digest = Digest::default();
                for (key, value) in records {
                    digest.add(key, value);
                }
                digest
            };
            let mut whole = sum(&records);
            let (key, value) = records.pop().unwrap();
            whole.remove(&key, &value);
            prop_assert_eq!(whole, sum(&records));
            records.reverse();
            prop_assert_eq!(whole, sum(&records));
        }
    }

    #[test]
    fn where_the_key_ends_matters() {
        let [mut a, mut b] = [Digest::default(); 2];
        a.add(b"ab", b"c");
        b.add(b"a", b"bc");
        assert_ne!(a, b);
    }
}
