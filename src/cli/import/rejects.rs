//! The reject file: each row that could not be used, with its file, line and reason.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::file_name;
use super::table::BadRow;

/// The longest raw row that is kept in the reject file, in characters.
const KEPT_CHARACTERS: usize = 1_000;

/// Writes rejects; the file is made with the first of them.
pub struct Rejects {
    path: PathBuf,
    writer: Option<csv::Writer<File>>,
    count: u64,
}

impl Rejects {
    /// Rejects for a file that is not made yet.
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            writer: None,
            count: 0,
        }
    }

    /// Adds a row of a file.
    pub fn add(&mut self, file: &Path, row: &BadRow) -> anyhow::Result<()> {
        let place = || {
            format!(
                "cannot write rejected rows to {}; name another file with --rejects",
                self.path.display()
            )
        };
        if self.writer.is_none() {
            let file = File::create(&self.path).with_context(place)?;
            let mut writer = csv::Writer::from_writer(file);
            writer.write_record(["file", "line", "reason", "row"])?;
            self.writer = Some(writer);
        }
        let raw: String = row.raw.chars().take(KEPT_CHARACTERS).collect();
        if let Some(writer) = &mut self.writer {
            writer
                .write_record([&file_name(file), &row.line.to_string(), &row.reason, &raw])
                .with_context(place)?;
        }
        self.count += 1;
        Ok(())
    }

    /// Writes what waits; returns how many rows were rejected.
    pub fn finish(mut self) -> anyhow::Result<u64> {
        if let Some(mut writer) = self.writer.take() {
            writer
                .flush()
                .with_context(|| format!("cannot write {}", self.path.display()))?;
        }
        Ok(self.count)
    }
}
