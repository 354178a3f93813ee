//! The watermark: which commit was acknowledged last, in a file beside the database.
//!
//! Two slots are written in turn, so that a torn write leaves the other whole. At open the
//! database must be at this commit or later: an older one lost what was acknowledged.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::error::{Code, Fault};

const SLOT_BYTES: usize = 64;
const USED_BYTES: usize = 28;

/// What a watermark says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The store it belongs to.
    pub(crate) id: [u8; 16],
    /// The last acknowledged commit.
    pub(crate) commit: u64,
}

/// The open file.
#[derive(Debug)]
pub(crate) struct Watermark {
    file: File,
}

impl Watermark {
    /// Makes the file with a first mark: whole and durable before it has its name.
    pub(crate) fn create(path: &Path, mark: Mark) -> std::io::Result<Self> {
        let temporary = path.with_extension("new");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&temporary)?;
        let watermark = Self { file };
        watermark.file.write_all_at(&[0; 2 * SLOT_BYTES], 0)?;
        watermark.write(mark)?;
        watermark.file.sync_all()?;
        std::fs::rename(&temporary, path)?;
        if let Some(folder) = path.parent() {
            File::open(folder)?.sync_all()?;
        }
        Ok(watermark)
    }

    /// Opens the file and reads the later of its whole slots; nothing where there is no file.
    pub(crate) fn open(path: &Path) -> Result<Option<(Self, Mark)>, Fault> {
        let file = match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Fault::io("opening the watermark file", &error)),
        };
        let mut bytes = [0; 2 * SLOT_BYTES];
        let read = file
            .read_at(&mut bytes, 0)
            .map_err(|error| Fault::io("reading the watermark file", &error))?;
        let (first, second) = bytes.split_at(SLOT_BYTES);
        let whole =
            |slot: &[u8], from: usize| (read >= from + USED_BYTES).then(|| decode(slot)).flatten();
        let marks = [whole(first, 0), whole(second, SLOT_BYTES)];
        match marks.into_iter().flatten().max_by_key(|mark| mark.commit) {
            Some(mark) => Ok(Some((Self { file }, mark))),
            None => Err(Fault::new(Code::Watermark, "the watermark file is damaged")),
        }
    }

    /// Writes a mark and makes it durable.
    pub(crate) fn write(&self, mark: Mark) -> std::io::Result<()> {
        let offset = (mark.commit % 2) * SLOT_BYTES as u64;
        self.file.write_all_at(&encode(mark), offset)?;
        self.file.sync_data()
    }
}

fn encode(mark: Mark) -> [u8; SLOT_BYTES] {
    let mut slot = [0; SLOT_BYTES];
    slot[..16].copy_from_slice(&mark.id);
    slot[16..24].copy_from_slice(&mark.commit.to_be_bytes());
    let sum = crc32fast::hash(&slot[..24]);
    slot[24..USED_BYTES].copy_from_slice(&sum.to_be_bytes());
    slot
}

fn decode(slot: &[u8]) -> Option<Mark> {
    let (id, rest) = slot.split_first_chunk::<16>()?;
    let (commit, rest) = rest.split_first_chunk::<8>()?;
    let (sum, _) = rest.split_first_chunk::<4>()?;
    let mark = Mark {
        id: *id,
        commit: u64::from_be_bytes(*commit),
    };
    (crc32fast::hash(&slot[..24]).to_be_bytes() == *sum).then_some(mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_later_whole_slot_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("watermark");
        assert!(Watermark::open(&path).unwrap().is_none());
        let mark = |commit| Mark {
            id: [7; 16],
            commit,
        };
        let file = Watermark::create(&path, mark(0)).unwrap();
        for commit in 1..5 {
            file.write(mark(commit)).unwrap();
            assert_eq!(Watermark::open(&path).unwrap().unwrap().1, mark(commit));
        }
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[20] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(Watermark::open(&path).unwrap().unwrap().1, mark(3));
        bytes[SLOT_BYTES] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(Watermark::open(&path).unwrap_err().code, Code::Watermark);
        std::fs::write(&path, &bytes[..10]).unwrap();
        assert_eq!(Watermark::open(&path).unwrap_err().code, Code::Watermark);
    }
}
