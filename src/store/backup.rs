//! Backups: portfolios as one checksummed file.

use std::ops::ControlFlow;
use std::path::Path;

use super::commit::Store;
use super::error::{Code, Fault, OpenError};
use super::folder::sync_parent;
use super::frames::{Frames, read_file};
use super::keys;
use super::open::{OpenOptions, Report, open_scanned};
use crate::domain::{PortfolioId, PortfolioNo};

/// The extension of a backup that is being written.
pub(super) const PART: &str = "part";

/// Told how many records are done.
pub type Progress<'a> = &'a dyn Fn(u64);

/// Writes all portfolios of a folder, or one, to a file. The folder must not be open elsewhere;
/// a running service has [`Store::backup`].
pub fn backup(
    dir: &Path,
    only: Option<&PortfolioId>,
    out: &Path,
    progress: Progress<'_>,
) -> Result<Report, OpenError> {
    let (store, scanned) = open_scanned(dir, &OpenOptions::existing())?;
    let no = match only {
        None => None,
        Some(id) => {
            let mut there = scanned.loaded.portfolios.iter();
            let found = there.find(|there| there.portfolio.id == *id);
            let what = || format!("there is no portfolio '{id}'");
            let found = found.ok_or_else(|| Fault::new(Code::Conflict, what()).at(dir))?;
            Some(found.no)
        }
    };
    let report = store.backup(no, out, progress)?;
    store.close().map_err(|fault| fault.at(dir))?;
    Ok(report)
}

impl Store {
    /// Writes all portfolios, or one, to a file as they are after the last commit: to a temporary
    /// name first, synced, read back, then renamed. Cost: every record twice.
    pub fn backup(
        &self,
        only: Option<PortfolioNo>,
        out: &Path,
        progress: Progress<'_>,
    ) -> Result<Report, OpenError> {
        self.write_backup(only, out, progress)
            .map_err(|fault| fault.at(out))
    }

    fn write_backup(
        &self,
        only: Option<PortfolioNo>,
        out: &Path,
        progress: Progress<'_>,
    ) -> Result<Report, Fault> {
        let io = |error: std::io::Error| Fault::io("writing the backup", &error);
        let mut name = out.as_os_str().to_owned();
        name.push(".");
        name.push(PART);
        let temporary = Path::new(&name);
        let mut frames = Frames::create(temporary).map_err(io)?;
        let mut report = self.report(0);
        (report.portfolios, report.records) = (0, 0);
        for no in self.portfolios.keys() {
            if only.is_some_and(|only| only != *no) {
                continue;
            }
            report.portfolios += 1;
            let mut failed = None;
            let prefix = keys::portfolio_prefix(*no);
            self.disk.scan(&prefix, &mut |key, value| {
                report.records += 1;
                report.bytes += (key.len() + value.len()) as u64;
                progress(report.records);
                match frames.put(key, value) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(error) => {
                        failed = Some(error);
                        ControlFlow::Break(())
                    }
                }
            })?;
            if let Some(error) = failed {
                return Err(io(error));
            }
        }
        frames.finish().map_err(io)?;
        let read = read_file(temporary, &mut |_, _| Ok(()))?;
        if read != report.records {
            return Err(Fault::new(Code::Backup, "the backup does not read back"));
        }
        std::fs::rename(temporary, out).map_err(io)?;
        sync_parent(out)?;
        Ok(report)
    }
}
