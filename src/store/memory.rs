//! A disk in memory, which can be told to fail: the second database that the suite runs over.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::commit::Store;
use super::disk::{Batch, Disk, DiskError, Pending, Record, Then, Visit};
use super::folder::Folder;
use super::load::{Loaded, scan};
use super::open::{OpenOptions, adopt, write_first};
use super::watermark::Watermark;

/// What outlives a closed disk.
#[derive(Debug, Default)]
pub(crate) struct Platter {
    pub(crate) entries: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
    /// Writes and syncs until one fails; negative for never.
    pub(crate) fuse: AtomicI64,
    /// Microseconds that a commit is under way.
    pub(crate) takes_us: AtomicU64,
    /// Writes and syncs that were tried.
    pub(crate) tried: AtomicI64,
}

impl Platter {
    pub(crate) fn whole() -> Arc<Self> {
        let platter = Self::default();
        platter.fuse.store(-1, Ordering::SeqCst);
        Arc::new(platter)
    }

    fn burn(&self, doing: &'static str) -> Result<(), DiskError> {
        self.tried.fetch_add(1, Ordering::SeqCst);
        match self.fuse.load(Ordering::SeqCst) {
            0 => Err(DiskError::new(doing, &"told to fail")),
            left => {
                if left > 0 {
                    self.fuse.fetch_sub(1, Ordering::SeqCst);
                }
                Ok(())
            }
        }
    }
}

pub(crate) struct MemoryDisk(pub(crate) Arc<Platter>);

impl Disk for MemoryDisk {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, DiskError> {
        Ok(self.0.entries.lock().unwrap().get(key).cloned())
    }

    fn last(&self, low: &[u8], high: &[u8]) -> Result<Option<Record>, DiskError> {
        let entries = self.0.entries.lock().unwrap();
        let last = entries.range(low.to_vec()..=high.to_vec()).next_back();
        Ok(last.map(|(key, value)| (key.clone(), value.clone())))
    }

    fn scan(&self, prefix: &[u8], visit: Visit<'_>) -> Result<(), DiskError> {
        let entries = self.0.entries.lock().unwrap().clone();
        for (key, value) in entries.range(prefix.to_vec()..) {
            if !key.starts_with(prefix) || visit(key, value).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn write(&self, batch: &Batch) -> Result<(), DiskError> {
        self.0.burn("write")?;
        let mut entries = self.0.entries.lock().unwrap();
        for (key, value) in batch {
            match value {
                Some(value) => entries.insert(key.clone(), value.clone()),
                None => entries.remove(key),
            };
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), DiskError> {
        self.0.burn("sync")
    }

    /// Nothing of it is there before somebody waits for it: the latest that it may be.
    fn commit(&self, batch: Batch, then: Then) -> Pending {
        let platter = self.0.clone();
        Box::new(move || {
            let takes_us = platter.takes_us.load(Ordering::SeqCst);
            std::thread::sleep(Duration::from_micros(takes_us));
            let disk = Self(platter);
            disk.write(&batch)?;
            disk.sync()?;
            then()
        })
    }

    fn close(self: Box<Self>) -> Result<(), DiskError> {
        Ok(())
    }
}

/// A store over such a disk, made where it is empty, with its folder for the watermark.
pub(crate) fn in_memory(platter: &Arc<Platter>, dir: &Path) -> (Store, Loaded) {
    let options = OpenOptions::default();
    let folder = Folder::lock(dir, true).unwrap();
    let disk = MemoryDisk(platter.clone());
    if platter.entries.lock().unwrap().is_empty() {
        write_first(&disk, dir).unwrap();
    }
    let known = Watermark::open(&folder.watermark()).unwrap();
    let scanned = scan(&disk, &|| ()).unwrap();
    let (store, scanned) = adopt(folder, known, Box::new(disk), scanned, &options).unwrap();
    (store, scanned.loaded)
}
