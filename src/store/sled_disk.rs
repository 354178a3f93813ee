//! sled as the database underneath, with what it leaves out: a real sync, and no panic.

use std::fs::File;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::disk::{Batch, Disk, DiskError, Pending, Record, Then, Visit};
use super::watched::Watched;

/// How long sled's file lock may outlive its last owner: its threads let go of it late.
const LOCK_GRACE: Duration = Duration::from_secs(5);

/// One sled tree in a folder.
pub(crate) struct SledDisk {
    /// Taken out by `close` and by `Drop`, so that it is let go of inside a guard.
    open: Option<Open>,
    /// Where calls run that wait for the disk.
    watched: Watched,
}

/// The open database and its files. A copy is another handle on the same.
#[derive(Clone)]
struct Open {
    db: sled::Db,
    folder: Arc<Path>,
    /// sled's file, opened before any write, so that a failed write-back is reported to its sync.
    file: Arc<File>,
}

/// Runs something of sled's; a panic in it becomes an error.
fn guarded<T>(
    doing: &'static str,
    run: impl FnOnce() -> Result<T, sled::Error>,
) -> Result<T, DiskError> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(done) => done.map_err(|error| DiskError::new(doing, &error)),
        Err(panic) => Err(DiskError::of_panic(doing, panic.as_ref())),
    }
}

impl SledDisk {
    /// Opens the database in a folder, or makes one there. The caller holds the folder's lock.
    /// A write that the disk does not answer within `write_limit` has failed.
    pub(crate) fn open(
        folder: &Path,
        cache_bytes: u64,
        write_limit: Duration,
    ) -> Result<Self, DiskError> {
        remove_half_written_snapshots(folder)
            .map_err(|error| DiskError::new("removing a half-written snapshot", &error))?;
        let began = Instant::now();
        let db = loop {
            let config = sled::Config::new()
                .path(folder)
                .cache_capacity(cache_bytes)
                // The commit thread flushes, and syncs for real; sled's own timer does neither.
                .flush_every_ms(None);
            match guarded("opening the database", || config.open()) {
                Err(error)
                    if error.reason.contains("could not acquire lock")
                        && began.elapsed() < LOCK_GRACE =>
                {
                    std::thread::sleep(Duration::from_millis(20));
                }
                opened => break opened?,
            }
        };
        let file = File::open(folder.join("db"))
            .map_err(|error| DiskError::new("opening the database file", &error))?;
        let open = Open {
            db,
            folder: folder.into(),
            file: Arc::new(file),
        };
        let disk = Self {
            open: Some(open),
            watched: Watched::start(write_limit)?,
        };
        // What opening replayed or made has to be on the disk before anything builds on it.
        disk.sync()?;
        sync_folder(folder)?;
        Ok(disk)
    }

    fn opened(&self) -> Result<&Open, DiskError> {
        self.open
            .as_ref()
            .ok_or_else(|| DiskError::new("using the database", &"closed"))
    }

    fn db(&self) -> Result<&sled::Db, DiskError> {
        Ok(&self.opened()?.db)
    }
}

impl Open {
    fn write(&self, batch: sled::Batch) -> Result<(), DiskError> {
        let written = self.db.apply_batch(batch);
        written.map_err(|error| DiskError::new("writing", &error))
    }

    fn sync(&self) -> Result<(), DiskError> {
        let flushed = self.db.flush();
        flushed.map_err(|error| DiskError::new("flushing", &error))?;
        // sled's flush asks the kernel to start writing (sync_file_range) and no more.
        let synced = self.file.sync_all();
        synced.map_err(|error| DiskError::new("syncing the database file", &error))?;
        let blobs = self.folder.join("blobs");
        let mut any = false;
        let entries = blobs
            .read_dir()
            .map_err(|error| DiskError::new("listing the database folder", &error))?;
        for entry in entries {
            let synced = entry.and_then(|entry| File::open(entry.path())?.sync_all());
            synced.map_err(|error| DiskError::new("syncing a database file", &error))?;
            any = true;
        }
        if any {
            sync_folder(&blobs)?;
        }
        Ok(())
    }
}

/// A batch as sled takes it.
fn for_sled(batch: &Batch) -> sled::Batch {
    let mut all = sled::Batch::default();
    for (key, value) in batch {
        match value {
            Some(value) => all.insert(key.as_slice(), value.as_slice()),
            None => all.remove(key.as_slice()),
        }
    }
    all
}

fn sync_folder(folder: &Path) -> Result<(), DiskError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| DiskError::new("syncing the database folder", &error))
}

/// A kill while sled starts leaves `snap.*.generating`, and sled then refuses to open.
fn remove_half_written_snapshots(folder: &Path) -> std::io::Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    for entry in folder.read_dir()? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

impl Disk for SledDisk {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, DiskError> {
        let db = self.db()?;
        guarded("reading", || Ok(db.get(key)?.map(|value| value.to_vec())))
    }

    fn last(&self, low: &[u8], high: &[u8]) -> Result<Option<Record>, DiskError> {
        let db = self.db()?;
        guarded("reading", || {
            let last = db.range(low..=high).next_back().transpose()?;
            Ok(last.map(|(key, value)| (key.to_vec(), value.to_vec())))
        })
    }

    fn scan(&self, prefix: &[u8], visit: Visit<'_>) -> Result<(), DiskError> {
        let db = self.db()?;
        guarded("scanning", || {
            for entry in db.scan_prefix(prefix) {
                let (key, value) = entry?;
                if let ControlFlow::Break(()) = visit(&key, &value) {
                    break;
                }
            }
            Ok(())
        })
    }

    fn write(&self, batch: &Batch) -> Result<(), DiskError> {
        let (open, all) = (self.opened()?.clone(), for_sled(batch));
        self.watched.run("writing", move || open.write(all))
    }

    fn sync(&self) -> Result<(), DiskError> {
        let open = self.opened()?.clone();
        self.watched.run("syncing", move || open.sync())
    }

    fn commit(&self, batch: Batch, then: Then) -> Pending {
        let open = self.opened().cloned();
        let begun = open.and_then(|open| {
            self.watched.begin("writing", move || {
                open.write(for_sled(&batch))?;
                open.sync()?;
                then()
            })
        });
        Box::new(move || begun?.wait())
    }

    fn close(mut self: Box<Self>) -> Result<(), DiskError> {
        let synced = self.sync();
        self.let_go()?;
        synced
    }
}

impl SledDisk {
    /// Drops sled's own part: its last owner flushes, and panics where that fails.
    fn let_go(&mut self) -> Result<(), DiskError> {
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        self.watched.run("closing the database", move || {
            drop(open);
            Ok(())
        })
    }
}

impl Drop for SledDisk {
    fn drop(&mut self) {
        if let Err(error) = self.let_go() {
            tracing::error!(reason = %error, "the database did not close cleanly");
        }
    }
}
