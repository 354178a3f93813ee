//! The backup file: a magic line, then frames of key and value, each with its lengths and a CRC, then
//! a frame without key that holds the count and a hash of all that came before.
//!
//! Records are kept as they are in the store, so a backup is also the way to a later format.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;

use super::error::{Code, Fault};
use super::value::MAX_VALUE_BYTES;

const MAGIC: &[u8] = b"carteira backup 1\n";
/// The longest key that a frame may have.
const MAX_KEY_BYTES: usize = 256;

/// Takes records as they come, until one of them is refused.
pub(crate) type Take<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> Result<(), Fault>;

/// A backup file that is being written.
pub(crate) struct Frames {
    out: Hashed<BufWriter<File>>,
    records: u64,
}

impl Frames {
    /// Begins a file, in place of what has its name.
    pub(crate) fn create(path: &Path) -> std::io::Result<Self> {
        let mut out = Hashed {
            inner: BufWriter::new(File::create(path)?),
            hasher: blake3::Hasher::new(),
        };
        out.write_all(MAGIC)?;
        Ok(Self { out, records: 0 })
    }

    /// Adds a record.
    pub(crate) fn put(&mut self, key: &[u8], value: &[u8]) -> std::io::Result<()> {
        self.records += 1;
        write_frame(&mut self.out, key, value)
    }

    /// Ends the file and makes it durable.
    pub(crate) fn finish(mut self) -> std::io::Result<()> {
        let sum = *self.out.hasher.finalize().as_bytes();
        let trailer = [&self.records.to_be_bytes()[..], &sum].concat();
        write_frame(&mut self.out, &[], &trailer)?;
        let file = self
            .out
            .inner
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error)?;
        file.sync_all()
    }
}

fn write_frame(out: &mut impl Write, key: &[u8], value: &[u8]) -> std::io::Result<()> {
    let mut frame = Vec::with_capacity(key.len() + value.len() + 12);
    frame.extend((key.len() as u32).to_be_bytes());
    frame.extend((value.len() as u32).to_be_bytes());
    frame.extend_from_slice(key);
    frame.extend_from_slice(value);
    let sum = crc32fast::hash(&frame);
    frame.extend(sum.to_be_bytes());
    out.write_all(&frame)
}

/// Reads a backup whole, each record checked; an error where it is cut short or damaged anywhere.
pub(crate) fn read_file(path: &Path, take: Take<'_>) -> Result<u64, Fault> {
    let damaged = |what: &str| Fault::new(Code::Backup, format!("the backup {what}"));
    let file = File::open(path).map_err(|error| Fault::io("opening the backup", &error))?;
    let mut input = Hashed {
        inner: BufReader::new(file),
        hasher: blake3::Hasher::new(),
    };
    let mut magic = [0; MAGIC.len()];
    input
        .read_exact(&mut magic)
        .map_err(|_| damaged("is cut short"))?;
    if magic != MAGIC {
        return Err(damaged("is not a carteira backup of a known version"));
    }
    let mut records = 0;
    loop {
        let sum_before = *input.hasher.clone().finalize().as_bytes();
        let mut lengths = [0; 8];
        input
            .read_exact(&mut lengths)
            .map_err(|_| damaged("is cut short"))?;
        let (key_bytes, value_bytes) = (length(&lengths[..4]), length(&lengths[4..]));
        if key_bytes > MAX_KEY_BYTES || value_bytes > MAX_VALUE_BYTES {
            return Err(damaged("is damaged"));
        }
        let mut body = vec![0; key_bytes + value_bytes + 4];
        input
            .read_exact(&mut body)
            .map_err(|_| damaged("is cut short"))?;
        let (frame, sum) = body.split_at(key_bytes + value_bytes);
        let mut crc = crc32fast::Hasher::new();
        crc.update(&lengths);
        crc.update(frame);
        if crc.finalize().to_be_bytes() != *sum {
            return Err(damaged("is damaged"));
        }
        let (key, value) = frame.split_at(key_bytes);
        if key.is_empty() {
            let expected = [&u64::to_be_bytes(records)[..], &sum_before].concat();
            let mut rest = [0; 1];
            if value != expected || input.inner.read(&mut rest).map_or(true, |read| read > 0) {
                return Err(damaged("is damaged"));
            }
            return Ok(records);
        }
        records += 1;
        take(key, value)?;
    }
}

fn length(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .fold(0, |all, byte| (all << 8) | usize::from(*byte))
}

/// Hashes all that goes through.
struct Hashed<T> {
    inner: T,
    hasher: blake3::Hasher,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(bytes)?;
        self.hasher.update(&bytes[..read]);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn records() -> impl Strategy<Value = Vec<(Vec<u8>, Vec<u8>)>> {
        let key = prop::collection::vec(any::<u8>(), 1..30);
        let value = prop::collection::vec(any::<u8>(), 0..100);
        prop::collection::vec((key, value), 0..30)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn records_come_back_and_any_damage_is_noticed(
            records in records(),
            at in any::<prop::sample::Index>(),
            bit in 0..8u8,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("backup");
            let mut frames = Frames::create(&path).unwrap();
            for (key, value) in &records {
                frames.put(key, value).unwrap();
            }
            frames.finish().unwrap();
            let mut back = Vec::new();
            let mut take = |key: &[u8], value: &[u8]| {
                back.push((key.to_vec(), value.to_vec()));
                Ok(())
            };
            prop_assert_eq!(read_file(&path, &mut take).unwrap(), records.len() as u64);
            prop_assert_eq!(back, records);

            let whole = std::fs::read(&path).unwrap();
            let at = at.index(whole.len());
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << bit;
            for damaged in [&flipped[..], &whole[..at], &[&whole[..], &[0]].concat()] {
                std::fs::write(&path, damaged).unwrap();
                let refused = read_file(&path, &mut |_, _| Ok(())).unwrap_err();
                prop_assert_eq!(refused.code, Code::Backup);
            }
        }
    }
}
