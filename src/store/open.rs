//! Opening a folder: what must be there, that it is whole, and that nothing acknowledged is gone.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use super::commit::Store;
use super::disk::{Batch, Disk};
use super::error::{Code, Fault, OpenError};
use super::keys;
use super::load::{Loaded, Scanned, scan};
use super::records::{self, StoreMeta};
use super::sled_disk::SledDisk;
use super::value::seal;
use super::watermark::{Mark, Watermark};

/// The folder of the database inside the data folder.
const DATABASE: &str = "sled";
/// The watermark file.
const WATERMARK: &str = "watermark";
/// The file that a process locks while it has the folder open.
const LOCK: &str = "lock";

/// How a folder is opened.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// Memory that the database may cache the disk in, in bytes.
    pub cache_bytes: u64,
    /// Room that stays free on the disk, in bytes: writes are refused before it is touched.
    pub free_floor_bytes: u64,
    /// Opening without progress for this long is given up.
    pub stall_limit: Duration,
    /// Whether a folder that is not there is made.
    pub create: bool,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            cache_bytes: 64 * 1024 * 1024,
            free_floor_bytes: 64 * 1024 * 1024,
            stall_limit: Duration::from_secs(60),
            create: true,
        }
    }
}

/// What a whole folder holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Portfolios.
    pub portfolios: u64,
    /// Records in all of them.
    pub records: u64,
    /// Bytes of keys and values.
    pub bytes: u64,
    /// Commits done since the folder was made.
    pub commit: u64,
}

/// Runs all checks of opening, and closes the folder again.
pub fn check(dir: &Path) -> Result<Report, OpenError> {
    let options = OpenOptions {
        create: false,
        ..OpenOptions::default()
    };
    let (store, scanned) = open_scanned(dir, &options)?;
    let report = Report {
        portfolios: u64::from(store.meta.portfolios),
        records: store.meta.records,
        bytes: scanned.bytes,
        commit: store.meta.commit,
    };
    let Store { disk, dir, .. } = store;
    disk.close().map_err(|error| Fault::from(error).at(&dir))?;
    Ok(report)
}

/// Opens a folder for reading and writing.
pub(super) fn open(dir: &Path, options: &OpenOptions) -> Result<(Store, Loaded), OpenError> {
    open_scanned(dir, options).map(|(store, scanned)| (store, scanned.loaded))
}

pub(super) fn open_scanned(
    dir: &Path,
    options: &OpenOptions,
) -> Result<(Store, Scanned), OpenError> {
    let fault = |fault: Fault| fault.at(dir);
    let lock = lock(dir, options.create).map_err(fault)?;
    let known = Watermark::open(&dir.join(WATERMARK)).map_err(fault)?;
    let database = dir.join(DATABASE);
    let there = database.join("db").exists();
    if known.is_some() && !there {
        return Err(fault(Fault::new(
            Code::Missing,
            "the watermark is there and the database is gone",
        )));
    }
    if !there && !options.create {
        return Err(fault(Fault::new(
            Code::Missing,
            "there is no database in the folder",
        )));
    }
    let (disk, mut scanned) = open_disk(&database, options).map_err(fault)?;
    let (meta, watermark) = match (known, scanned.meta) {
        (Some((watermark, mark)), Some(meta)) => {
            if mark.id != meta.id {
                return Err(fault(Fault::new(
                    Code::Watermark,
                    "the watermark belongs to another data folder",
                )));
            }
            if meta.commit < mark.commit {
                let what = format!(
                    "commit {} was acknowledged; the database ends at {}",
                    mark.commit, meta.commit
                );
                return Err(fault(Fault::new(Code::Watermark, what)));
            }
            (meta, watermark)
        }
        (Some((_, mark)), None) => {
            let what = format!(
                "commit {} was acknowledged; the database is empty",
                mark.commit
            );
            return Err(fault(Fault::new(Code::Missing, what)));
        }
        (None, Some(meta)) if meta.commit > 0 => {
            return Err(fault(Fault::new(
                Code::Missing,
                "the database is there and the watermark is gone",
            )));
        }
        // Made, and stopped before its first commit.
        (None, stored) => found(dir, disk.as_ref(), stored).map_err(fault)?,
    };
    let portfolios = std::mem::take(&mut scanned.metas);
    let store = Store {
        disk,
        dir: dir.to_owned(),
        watermark,
        meta,
        portfolios,
        free_floor_bytes: options.free_floor_bytes,
        failed: None,
        _lock: lock,
    };
    Ok((store, scanned))
}

/// Opens the database and scans it on a thread of its own, given up when it stalls: a damaged
/// database may loop for ever.
fn open_disk(database: &Path, options: &OpenOptions) -> Result<(Box<dyn Disk>, Scanned), Fault> {
    let steps = Arc::new(AtomicU64::new(0));
    let counted = steps.clone();
    let (send, done) = channel();
    let (path, cache_bytes): (PathBuf, u64) = (database.to_owned(), options.cache_bytes);
    let thread = std::thread::Builder::new()
        .name("open".into())
        .spawn(move || {
            let opened = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let disk = SledDisk::open(&path, cache_bytes)?;
                let scanned = scan(&disk, &|| {
                    counted.fetch_add(1, Ordering::Relaxed);
                })?;
                Ok((Box::new(disk) as Box<dyn Disk>, scanned))
            }));
            // Nobody waits any more after a stall.
            let _ = send.send(opened);
        });
    thread.map_err(|error| Fault::io("starting a thread", &error))?;
    let mut seen = 0;
    loop {
        match done.recv_timeout(options.stall_limit) {
            Ok(Ok(opened)) => return opened,
            Ok(Err(panic)) => {
                return Err(Fault::new(
                    Code::Panic,
                    super::sled_disk::panic_text(panic.as_ref()),
                ));
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Fault::new(Code::Panic, "the opening thread stopped short"));
            }
            Err(RecvTimeoutError::Timeout) => {
                let now = steps.load(Ordering::Relaxed);
                if now == seen {
                    let what = format!("no progress for {} s", options.stall_limit.as_secs());
                    return Err(Fault::new(Code::Timeout, what));
                }
                seen = now;
            }
        }
    }
}

/// Founds a store: draws its id, writes its meta record, then its watermark.
fn found(
    dir: &Path,
    disk: &dyn Disk,
    stored: Option<StoreMeta>,
) -> Result<(StoreMeta, Watermark), Fault> {
    let meta = match stored {
        Some(meta) => meta,
        None => {
            let meta = StoreMeta {
                id: draw_id(dir),
                ..StoreMeta::default()
            };
            let key = keys::meta(keys::STORE);
            let value = seal(&key, &records::encode(&meta)?);
            disk.write(&Batch::from([(key, Some(value))]))?;
            disk.sync()?;
            meta
        }
    };
    let mark = Mark {
        id: meta.id,
        commit: meta.commit,
    };
    let made = Watermark::create(&dir.join(WATERMARK), mark);
    let watermark = made.map_err(|error| Fault::io("making the watermark file", &error))?;
    Ok((meta, watermark))
}

/// An id that no other folder has: of the clock, the process and the path.
fn draw_id(dir: &Path) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new_derive_key("carteira 2026 store id v1");
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    hasher.update(&since.map_or(0, |since| since.as_nanos()).to_le_bytes());
    hasher.update(&std::process::id().to_le_bytes());
    hasher.update(dir.as_os_str().as_encoded_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    id
}

fn lock(dir: &Path, create: bool) -> Result<File, Fault> {
    if create {
        std::fs::create_dir_all(dir).map_err(|error| Fault::io("making the folder", &error))?;
    } else if !dir.is_dir() {
        return Err(Fault::new(Code::Missing, "there is no such folder"));
    }
    let file =
        File::create(dir.join(LOCK)).map_err(|error| Fault::io("making the lock file", &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(Fault::new(
            Code::Locked,
            "another process has the folder open",
        )),
        Err(std::fs::TryLockError::Error(error)) => Err(Fault::io("locking the folder", &error)),
    }
}

/// Bytes that are free on the disk of a folder.
pub(super) fn free_bytes(dir: &Path) -> Result<u64, Fault> {
    let free = rustix::fs::statvfs(dir)
        .map_err(|error| Fault::io("asking for free space", &error.into()))?;
    Ok(free.f_bavail.saturating_mul(free.f_frsize))
}
