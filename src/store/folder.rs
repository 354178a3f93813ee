//! The data folder: what lies in it, who has it open, and how its database is swapped whole.
//!
//! ```text
//! checkpoints/  backups of the running store by itself
//! lock        locked while the folder is open; holds the store's id once the folder was founded
//! watermark   the last acknowledged commit
//! sled/       the database
//! sled.new/   a database that is being made; never yet the live one
//! sled.old/   the database before a swap that was not finished
//! ```

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::error::{Code, Fault};

/// A data folder that nobody else has open.
#[derive(Debug)]
pub(crate) struct Folder {
    dir: PathBuf,
    /// Held, and with it the lock, as long as the folder is open.
    lock: File,
}

impl Folder {
    /// Locks a folder, which is made first where that is wanted.
    pub(crate) fn lock(dir: &Path, create: bool) -> Result<Self, Fault> {
        if !dir.is_dir() {
            if !create {
                return Err(Fault::new(Code::Missing, "there is no such folder"));
            }
            std::fs::create_dir_all(dir).map_err(|error| Fault::io("making the folder", &error))?;
            sync_parent(dir)?;
        }
        let path = dir.join("lock");
        if !create
            && !path.exists()
            && !dir.join("watermark").exists()
            && !dir.join("sled").exists()
        {
            return Err(Fault::new(
                Code::Missing,
                "there is no database in the folder",
            ));
        }
        let lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|error| Fault::io("opening the lock file", &error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let what = "another process has the folder open";
                return Err(Fault::new(Code::Locked, what));
            }
            Err(TryLockError::Error(error)) => {
                return Err(Fault::io("locking the folder", &error));
            }
        }
        let folder = Self {
            dir: dir.to_owned(),
            lock,
        };
        folder.tidy()?;
        Ok(folder)
    }

    /// The folder itself.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The live database.
    pub(crate) fn database(&self) -> PathBuf {
        self.dir.join("sled")
    }

    /// Where a database is made that is to become the live one.
    pub(crate) fn fresh(&self) -> PathBuf {
        self.dir.join("sled.new")
    }

    fn retired(&self) -> PathBuf {
        self.dir.join("sled.old")
    }

    /// The watermark file.
    pub(crate) fn watermark(&self) -> PathBuf {
        self.dir.join("watermark")
    }

    /// Whether a database was ever founded here: then an empty folder is a loss, not a beginning.
    pub(crate) fn is_founded(&self) -> Result<bool, Fault> {
        let about = self.lock.metadata();
        Ok(about
            .map_err(|error| Fault::io("reading the lock file", &error))?
            .len()
            > 0)
    }

    /// Notes that a database was founded here.
    pub(crate) fn note_founded(&self, id: [u8; 16]) -> Result<(), Fault> {
        if self.is_founded()? {
            return Ok(());
        }
        let line = format!("carteira store {:032x}\n", u128::from_be_bytes(id));
        (&self.lock)
            .write_all(line.as_bytes())
            .and_then(|()| self.lock.sync_all())
            .map_err(|error| Fault::io("writing the lock file", &error))?;
        sync_folder(&self.dir)
    }

    /// Makes the fresh database, closed and synced, the live one. A stop anywhere in between
    /// leaves one of the two whole, which [`Folder::lock`] puts in its place.
    pub(crate) fn swap_in_fresh(&self) -> Result<(), Fault> {
        let io = |error: std::io::Error| Fault::io("swapping databases", &error);
        let (live, retired) = (self.database(), self.retired());
        if live.exists() {
            std::fs::rename(&live, &retired).map_err(io)?;
            sync_folder(&self.dir)?;
        }
        std::fs::rename(self.fresh(), &live).map_err(io)?;
        sync_folder(&self.dir)?;
        self.tidy()
    }

    /// Clears away what a stop left behind.
    fn tidy(&self) -> Result<(), Fault> {
        let io = |error: std::io::Error| Fault::io("clearing an unfinished swap away", &error);
        let (live, fresh, retired) = (self.database(), self.fresh(), self.retired());
        if retired.exists() {
            if live.exists() {
                std::fs::remove_dir_all(&retired).map_err(io)?;
            } else {
                std::fs::rename(&retired, &live).map_err(io)?;
            }
            sync_folder(&self.dir)?;
        }
        if fresh.exists() {
            std::fs::remove_dir_all(&fresh).map_err(io)?;
        }
        Ok(())
    }

    /// Keeps the lock until the process ends: something of the database may still be running.
    pub(crate) fn never_unlock(self) {
        std::mem::forget(self.lock);
    }
}

/// Makes the entries of a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), Fault> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| Fault::io("syncing a folder", &error))
}

/// Makes the entry of a file or folder in its parent durable.
pub(crate) fn sync_parent(path: &Path) -> Result<(), Fault> {
    let parent = path.parent().filter(|at| !at.as_os_str().is_empty());
    sync_folder(parent.unwrap_or(Path::new(".")))
}

/// Bytes that are free on the disk of a folder.
pub(crate) fn free_bytes(dir: &Path) -> Result<u64, Fault> {
    let free = rustix::fs::statvfs(dir)
        .map_err(|error| Fault::io("asking for free space", &error.into()))?;
    Ok(free.f_bavail.saturating_mul(free.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_swap_that_stopped_anywhere_leaves_one_whole_database() {
        let make = |dir: &Path, names: &[&str]| {
            for name in names {
                std::fs::create_dir(dir.join(name)).unwrap();
                std::fs::write(dir.join(name).join("db"), name).unwrap();
            }
        };
        for (there, live) in [
            (&["sled", "sled.new"][..], "sled"),
            (&["sled.old", "sled.new"], "sled.old"),
            (&["sled.old", "sled"], "sled"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            make(folder.path(), there);
            let folder = Folder::lock(folder.path(), true).unwrap();
            assert_eq!(
                std::fs::read_to_string(folder.database().join("db")).unwrap(),
                live
            );
            assert!(!folder.fresh().exists() && !folder.retired().exists());
        }
    }

    #[test]
    fn a_folder_is_open_once() {
        let folder = tempfile::tempdir().unwrap();
        let held = Folder::lock(folder.path(), true).unwrap();
        let refused = Folder::lock(folder.path(), true).unwrap_err();
        assert_eq!(refused.code, Code::Locked);
        drop(held);
        Folder::lock(folder.path(), true).unwrap();
    }
}
