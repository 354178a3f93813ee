//! Opening a folder: what must be there, that it is whole, and that nothing acknowledged is gone.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use super::commit::Store;
use super::disk::{Batch, Disk, panic_text};
use super::error::{Code, Fault, OpenError};
use super::folder::{Folder, sync_parent};
use super::keys;
use super::load::{Loaded, Scanned, scan};
use super::records::{self, StoreMeta};
use super::sled_disk::SledDisk;
use super::value::seal;
use super::watermark::{Mark, Watermark};

/// How a folder is opened.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// Memory that the database may cache the disk in, in bytes.
    pub cache_bytes: u64,
    /// Room that stays free on the disk, in bytes: writes are refused before it is touched.
    pub free_floor_bytes: u64,
    /// Opening without progress for this long is given up. The database's own recovery counts as
    /// one step.
    pub stall_limit: Duration,
    /// A write that the disk does not answer within this has failed, and the store is read-only.
    pub write_limit: Duration,
    /// Whether a folder that is not there, or has never held a database, is made one.
    pub create: bool,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            cache_bytes: 64 * 1024 * 1024,
            free_floor_bytes: 64 * 1024 * 1024,
            stall_limit: Duration::from_mins(1),
            write_limit: Duration::from_secs(30),
            create: true,
        }
    }
}

impl OpenOptions {
    /// The defaults, for a folder that must be there.
    pub(super) fn existing() -> Self {
        Self {
            create: false,
            ..Self::default()
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
    let (store, scanned) = open_scanned(dir, &OpenOptions::existing())?;
    let report = store.report(scanned.bytes);
    store.close().map_err(|fault| fault.at(dir))?;
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
    open_folder(dir, options).map_err(|fault| fault.at(dir))
}

fn open_folder(dir: &Path, options: &OpenOptions) -> Result<(Store, Scanned), Fault> {
    let missing = |what: &str| Fault::new(Code::Missing, what);
    let folder = Folder::lock(dir, options.create)?;
    let known = Watermark::open(&folder.watermark())?;
    let founded = folder.is_founded()?;
    if !folder.database().join("db").exists() {
        if known.is_some() {
            return Err(missing("the watermark is there and the database is gone"));
        }
        if founded || folder.database().exists() {
            return Err(missing("the folder held a database, which is gone"));
        }
        if !options.create {
            return Err(missing("there is no database in the folder"));
        }
        found(&folder, options)?;
    } else if founded && known.is_none() {
        return Err(missing("the database is there and the watermark is gone"));
    }
    let opened = open_disk(folder.database(), options);
    match opened {
        Ok((disk, scanned)) => adopt(folder, known, disk, scanned, options),
        Err(fault) => {
            if fault.code == Code::Timeout {
                folder.never_unlock();
            }
            Err(fault)
        }
    }
}

/// Makes a store of an opened database, if it is the one of the watermark and no older.
pub(super) fn adopt(
    folder: Folder,
    known: Option<(Watermark, Mark)>,
    disk: Box<dyn Disk>,
    mut scanned: Scanned,
    options: &OpenOptions,
) -> Result<(Store, Scanned), Fault> {
    let Some(meta) = scanned.meta else {
        return Err(Fault::new(Code::Missing, "the database is empty"));
    };
    let now = Mark {
        id: meta.id,
        commit: meta.commit,
    };
    let watermark = match known {
        Some((_, mark)) if mark.id != meta.id => {
            let what = "the watermark belongs to another data folder";
            return Err(Fault::new(Code::Watermark, what));
        }
        Some((_, mark)) if meta.commit < mark.commit => {
            let what = format!(
                "commit {} was acknowledged; the database ends at {}",
                mark.commit, meta.commit
            );
            return Err(Fault::new(Code::Watermark, what));
        }
        Some((watermark, mark)) => {
            // A stop before the acknowledgement left it behind; from now on the commit is seen.
            if mark != now {
                let written = watermark.write(now);
                written.map_err(|error| Fault::io("writing the watermark file", &error))?;
            }
            watermark
        }
        None if meta.commit > 0 => {
            let what = "the database is there and the watermark is gone";
            return Err(Fault::new(Code::Missing, what));
        }
        // Made, and stopped before the watermark.
        None => Watermark::create(&folder.watermark(), now)
            .map_err(|error| Fault::io("making the watermark file", &error))?,
    };
    folder.note_founded(meta.id)?;
    let portfolios = std::mem::take(&mut scanned.metas);
    tracing::info!(
        portfolios = meta.portfolios,
        records = meta.records,
        commit = meta.commit,
        "opened the store"
    );
    let store = Store {
        disk,
        watermark: Arc::new(watermark),
        sent: None,
        meta,
        portfolios,
        free_floor_bytes: options.free_floor_bytes,
        failed: None,
        folder,
    };
    Ok((store, scanned))
}

/// Opens the database and scans it on a thread of its own, given up when it stalls: a damaged
/// database may loop for ever.
pub(super) fn open_disk(
    database: PathBuf,
    options: &OpenOptions,
) -> Result<(Box<dyn Disk>, Scanned), Fault> {
    let OpenOptions {
        cache_bytes,
        stall_limit,
        write_limit,
        ..
    } = *options;
    let steps = Arc::new(AtomicU64::new(0));
    let counted = steps.clone();
    let (send, done) = channel();
    let thread = std::thread::Builder::new().name("open".into());
    let thread = thread.spawn(move || {
        let opened = catch_unwind(AssertUnwindSafe(|| {
            let disk: Box<dyn Disk> =
                Box::new(SledDisk::open(&database, cache_bytes, write_limit)?);
            let scanned = scan(disk.as_ref(), &|| {
                counted.fetch_add(1, Ordering::Relaxed);
            })?;
            Ok((disk, scanned))
        }));
        // Nobody waits any more after a stall.
        let _ = send.send(opened);
    });
    thread.map_err(|error| Fault::io("starting a thread", &error))?;
    let mut seen = 0;
    loop {
        match done.recv_timeout(stall_limit) {
            Ok(Ok(opened)) => return opened,
            Ok(Err(panic)) => return Err(Fault::new(Code::Panic, panic_text(panic.as_ref()))),
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Fault::new(Code::Panic, "the opening thread stopped short"));
            }
            Err(RecvTimeoutError::Timeout) => {
                let now = steps.load(Ordering::Relaxed);
                if now == seen {
                    let what = format!("no progress for {} s", stall_limit.as_secs());
                    return Err(Fault::new(Code::Timeout, what));
                }
                seen = now;
            }
        }
    }
}

/// Makes an empty database, whole before it is put where it is looked for.
fn found(folder: &Folder, options: &OpenOptions) -> Result<(), Fault> {
    let disk = SledDisk::open(&folder.fresh(), options.cache_bytes, options.write_limit)?;
    write_first(&disk, folder.dir())?;
    Box::new(disk).close()?;
    folder.swap_in_fresh()?;
    sync_parent(folder.dir())
}

/// Writes the meta record of a store that has nothing yet.
pub(super) fn write_first(disk: &dyn Disk, dir: &Path) -> Result<(), Fault> {
    let meta = StoreMeta {
        id: draw_id(dir),
        ..StoreMeta::default()
    };
    let key = keys::meta(keys::STORE);
    let value = seal(&key, &records::encode(&meta)?);
    disk.write(&Batch::from([(key, Some(value))]))?;
    disk.sync()?;
    Ok(())
}

/// An id that no other folder has: of the clock, the process and the path.
fn draw_id(dir: &Path) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new_derive_key("carteira 2026 store id v1");
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    hasher.update(&since.map_or(0, |since| since.as_nanos()).to_le_bytes());
    hasher.update(&std::process::id().to_le_bytes());
    hasher.update(dir.as_os_str().as_encoded_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(hasher.finalize().as_bytes().split_at(16).0);
    id
}
