//! Values: a version, the payload, and a CRC over both and the key, so that neither damage nor a
//! value under a wrong key is ever read as data. Records over one value's size are cut in chunks.

use super::error::{Code, Fault};
use super::keys;

/// The version of the value format.
const VERSION: u8 = 1;
const OVERHEAD_BYTES: usize = 5;
/// The largest value. sled moves nodes over 128 KiB, sixteen values, to files that it never syncs.
pub(crate) const MAX_VALUE_BYTES: usize = 1_024;
/// The largest payload of one value.
pub(crate) const MAX_PAYLOAD_BYTES: usize = MAX_VALUE_BYTES - OVERHEAD_BYTES;
/// The largest record, over all its chunks.
pub const MAX_RECORD_BYTES: usize = 32 * 1_024;
/// A chunk starts with the number of chunks.
const CHUNK_BYTES: usize = MAX_PAYLOAD_BYTES - 1;

const _: () = assert!(crate::domain::MAX_BLOCK_BYTES <= MAX_PAYLOAD_BYTES);
const _: () = assert!(MAX_RECORD_BYTES.div_ceil(CHUNK_BYTES) < 256);

fn crc(key: &[u8], body: &[u8]) -> [u8; 4] {
    let mut crc = crc32fast::Hasher::new();
    crc.update(key);
    crc.update(body);
    crc.finalize().to_be_bytes()
}

/// Makes a payload a value.
pub(crate) fn seal(key: &[u8], payload: &[u8]) -> Vec<u8> {
    debug_assert!(payload.len() <= MAX_PAYLOAD_BYTES);
    let mut value = Vec::with_capacity(payload.len() + OVERHEAD_BYTES);
    value.push(VERSION);
    value.extend_from_slice(payload);
    let crc = crc(key, &value);
    value.extend(crc);
    value
}

/// The payload of a value, if it is whole and of a known version.
pub(crate) fn unseal<'a>(key: &[u8], value: &'a [u8]) -> Result<&'a [u8], Fault> {
    let damaged = || {
        let what = keys::parse(key).map_or("record", |(_, kind, _)| kind.name());
        let what = format!("a {what} does not match its checksum");
        Fault::new(Code::Crc, what)
    };
    if value.len() > MAX_VALUE_BYTES {
        return Err(damaged());
    }
    let (body, sum) = value.split_last_chunk::<4>().ok_or_else(damaged)?;
    if crc(key, body) != *sum {
        return Err(damaged());
    }
    match body.split_first() {
        Some((&VERSION, payload)) => Ok(payload),
        Some((version, _)) => Err(Fault::new(
            Code::Version,
            format!("a record is of format version {version}, later than {VERSION}"),
        )),
        None => Err(damaged()),
    }
}

/// Cuts a record into payloads, each with the number of chunks in front. Nothing where the record
/// is over [`MAX_RECORD_BYTES`].
pub(crate) fn chunks(record: &[u8]) -> Option<Vec<Vec<u8>>> {
    if record.len() > MAX_RECORD_BYTES {
        return None;
    }
    let count = record.len().div_ceil(CHUNK_BYTES).max(1);
    let chunk = |number: usize| {
        let from = number * CHUNK_BYTES;
        let to = record.len().min(from + CHUNK_BYTES);
        let mut payload = vec![count as u8];
        payload.extend(record.get(from..to).unwrap_or_default());
        payload
    };
    Some((0..count).map(chunk).collect())
}

/// Puts the chunks of records together again, as they come in the order of their keys.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    /// The key without its chunk number, and how many chunks there are.
    open: Option<(Vec<u8>, u8)>,
    next: u8,
    record: Vec<u8>,
}

impl Assembler {
    /// Takes one chunk; answers the record when it is whole.
    pub(crate) fn take(&mut self, key: &[u8], payload: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        let broken = || Fault::new(Code::Record, "a record in several parts lacks one");
        let ((chunk, base), (count, bytes)) = key
            .split_last()
            .zip(payload.split_first())
            .ok_or_else(broken)?;
        if *count == 0 || *chunk != self.next || chunk >= count {
            return Err(broken());
        }
        match &self.open {
            None => self.open = Some((base.to_vec(), *count)),
            Some((open, all)) if open == base && all == count => {}
            Some(_) => return Err(broken()),
        }
        self.record.extend_from_slice(bytes);
        self.next += 1;
        if self.next < *count {
            return Ok(None);
        }
        self.open = None;
        self.next = 0;
        Ok(Some(std::mem::take(&mut self.record)))
    }

    /// Checks that no record is left without its end.
    pub(crate) fn end(&self) -> Result<(), Fault> {
        match self.open {
            None => Ok(()),
            Some(_) => Err(Fault::new(
                Code::Record,
                "a record in several parts lacks its end",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_record_of_any_size_comes_back_from_its_chunks(
            record in prop::collection::vec(any::<u8>(), 0..5_000),
        ) {
            let mut assembler = Assembler::default();
            let chunks = chunks(&record).unwrap();
            for (number, payload) in chunks.iter().enumerate() {
                let key = [b'k', number as u8];
                let value = seal(&key, payload);
                prop_assert!(value.len() <= MAX_VALUE_BYTES);
                let whole = assembler.take(&key, unseal(&key, &value).unwrap()).unwrap();
                prop_assert_eq!(whole.is_some(), number + 1 == chunks.len());
                if let Some(whole) = whole {
                    prop_assert_eq!(&whole, &record);
                }
            }
            assembler.end().unwrap();
        }

        #[test]
        fn a_flipped_bit_or_a_wrong_key_is_noticed(
            payload in prop::collection::vec(any::<u8>(), 0..=MAX_PAYLOAD_BYTES),
            at in any::<prop::sample::Index>(),
            bit in 0..8u8,
        ) {
            let value = seal(b"key", &payload);
            prop_assert_eq!(unseal(b"kex", &value).unwrap_err().code, Code::Crc);
            let mut damaged = value.clone();
            damaged[at.index(value.len())] ^= 1 << bit;
            prop_assert_eq!(unseal(b"key", &damaged).unwrap_err().code, Code::Crc);
            let cut = &value[..at.index(value.len())];
            prop_assert_eq!(unseal(b"key", cut).unwrap_err().code, Code::Crc);
        }
    }

    #[test]
    fn a_missing_or_foreign_chunk_is_noticed() {
        let chunks = chunks(&[7; 3_000]).unwrap();
        assert_eq!(chunks.len(), 3);
        let mut assembler = Assembler::default();
        assembler.take(&[0, 0], &chunks[0]).unwrap();
        assert!(assembler.end().is_err());
        assert!(assembler.take(&[0, 2], &chunks[2]).is_err());
        assert!(assembler.take(&[1, 1], &chunks[1]).is_err());
    }

    #[test]
    fn a_later_version_is_told_from_damage() {
        let mut value = vec![VERSION + 1, 1, 2, 3];
        let sum = crc(b"key", &value);
        value.extend(sum);
        assert_eq!(unseal(b"key", &value).unwrap_err().code, Code::Version);
    }

    #[test]
    fn records_over_the_limit_are_refused() {
        assert!(chunks(&vec![0; MAX_RECORD_BYTES]).is_some());
        assert!(chunks(&vec![0; MAX_RECORD_BYTES + 1]).is_none());
    }
}
