//! Checkpoints: backups that a running store keeps of itself in its folder, the newest few.
//!
//! Each is a whole backup, so that `restore` takes it. What was erased stays in them until they are
//! replaced, or the folder is compacted.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::backup::PART;
use super::commit::Store;
use super::error::{Code, Fault, OpenError};
use super::folder::free_bytes;
use super::open::Report;

/// How many are kept.
const KEPT: usize = 2;
const FOLDER: &str = "checkpoints";
const EXTENSION: &str = "carteira";

impl Store {
    /// Writes a checkpoint of the last commit and drops the oldest beyond the newest two; `None`
    /// where there is one of this commit. Nothing is under way. Cost: every record twice; the caller waits.
    pub fn checkpoint(&self) -> Result<Option<(PathBuf, Report)>, OpenError> {
        debug_assert!(self.sent.is_none());
        let folder = self.dir().join(FOLDER);
        let path = folder.join(format!("{:020}.{EXTENSION}", self.meta.commit));
        if path.exists() {
            return Ok(None);
        }
        let io = |error: std::io::Error| Fault::io("making room for a checkpoint", &error);
        std::fs::create_dir_all(&folder).map_err(|error| io(error).at(&folder))?;
        // A kill in the middle of one leaves its part.
        for part in with_extension(&folder, PART) {
            std::fs::remove_file(&part).map_err(|error| io(error).at(&part))?;
        }
        // The database's file is never smaller than its records.
        let database = self.folder.database().join("db");
        let needed = database.metadata().map(|about| about.len());
        let needed = needed.map_err(|error| io(error).at(&database))?;
        let free = free_bytes(&folder).map_err(|fault| fault.at(&folder))?;
        if free < self.free_floor_bytes.saturating_add(needed) {
            let what = format!("{free} bytes are free, and a checkpoint may take {needed}");
            return Err(Fault::new(Code::DiskFull, what).at(&folder));
        }
        let report = self.backup(None, &path, &|_| ())?;
        let mut all = checkpoints(self.dir());
        all.truncate(all.len().saturating_sub(KEPT));
        for old in all {
            std::fs::remove_file(&old).map_err(|error| io(error).at(&old))?;
        }
        Ok(Some((path, report)))
    }
}

/// The newest checkpoint in a data folder, and when it was written.
pub fn newest_checkpoint(dir: &Path) -> Option<(PathBuf, SystemTime)> {
    let newest = checkpoints(dir).pop()?;
    let written = newest.metadata().ok()?.modified().ok()?;
    Some((newest, written))
}

/// Drops all checkpoints: they hold what was erased since.
pub(super) fn drop_checkpoints(dir: &Path) -> std::io::Result<()> {
    let folder = dir.join(FOLDER);
    match folder.exists() {
        true => std::fs::remove_dir_all(folder),
        false => Ok(()),
    }
}

/// Whole checkpoints, oldest first: their names sort as their commits do.
fn checkpoints(dir: &Path) -> Vec<PathBuf> {
    with_extension(&dir.join(FOLDER), EXTENSION)
}

fn with_extension(folder: &Path, wanted: &str) -> Vec<PathBuf> {
    let Ok(entries) = folder.read_dir() else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == wanted)
        })
        .collect();
    paths.sort_unstable();
    paths
}
