//! Compaction: the database written anew, so that no byte of what was deleted stays in it.

use std::ops::ControlFlow;
use std::path::Path;

use super::backup::Progress;
use super::checkpoint::drop_checkpoints;
use super::disk::{Batch, Disk, DiskError};
use super::error::{Code, Fault, OpenError};
use super::folder::free_bytes;
use super::open::{OpenOptions, Report, open_disk, open_scanned};
use super::sled_disk::SledDisk;

/// Bytes of records that are written at a time.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Free space that is asked for, for each byte of records.
const ROOM: u64 = 3;

/// Rewrites the database of a folder beside the live one, checks it, and puts it in its place. A stop
/// at any moment leaves one of the two whole and in use. The folder must not be open elsewhere.
/// Cost: every record three times, and their room on the disk once more.
pub fn compact(dir: &Path, progress: Progress<'_>) -> Result<Report, OpenError> {
    let options = OpenOptions::existing();
    let (store, scanned) = open_scanned(dir, &options)?;
    let report = store.report(scanned.bytes);
    drop(scanned);
    let swap = || -> Result<(), Fault> {
        if free_bytes(dir)? < options.free_floor_bytes + ROOM * report.bytes {
            let what = "there is too little room for a second copy of the records";
            return Err(Fault::new(Code::DiskFull, what));
        }
        let fresh = SledDisk::open(
            &store.folder.fresh(),
            options.cache_bytes,
            options.write_limit,
        )?;
        copy(store.disk.as_ref(), &fresh, progress)?;
        Box::new(fresh).close()?;
        // The same records and meta records: the watermark holds for both databases.
        let path = store.folder.fresh();
        let (disk, scanned) = open_disk(path, &options)?;
        disk.close()?;
        if scanned.meta != Some(store.meta) {
            return Err(Fault::new(Code::Digest, "the copy is not the original"));
        }
        store.disk.close()?;
        store.folder.swap_in_fresh()?;
        // They hold what was erased since.
        drop_checkpoints(dir).map_err(|error| Fault::io("dropping the checkpoints", &error))
    };
    swap().map_err(|fault| fault.at(dir))?;
    Ok(report)
}

/// Copies every record of a disk to another.
fn copy(from: &dyn Disk, to: &dyn Disk, progress: Progress<'_>) -> Result<(), Fault> {
    let mut batch = Batch::new();
    let (mut bytes, mut records) = (0, 0);
    let mut failed: Option<DiskError> = None;
    from.scan(&[], &mut |key, value| {
        bytes += key.len() + value.len();
        records += 1;
        progress(records);
        batch.insert(key.to_vec(), Some(value.to_vec()));
        if bytes < BATCH_BYTES {
            return ControlFlow::Continue(());
        }
        bytes = 0;
        match to.write(&std::mem::take(&mut batch)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    to.write(&batch)?;
    to.sync()?;
    Ok(())
}
