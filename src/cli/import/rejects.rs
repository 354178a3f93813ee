//! The reject file: each row that could not be used, with its file, line and reason.

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::file_name;
use super::table::BadRow;
use crate::cli::formula::defused;

/// The longest raw row that is kept in the reject file, in characters.
const KEPT_CHARACTERS: usize = 1_000;
/// Columns of a reject file.
const COLUMNS: [&str; 4] = ["file", "line", "reason", "row"];

/// Writes rejects. The file takes its name when the import is through, so that an import that
/// failed leaves the rejects of the one before it.
pub struct Rejects {
    path: PathBuf,
    writer: Option<csv::Writer<File>>,
    first: Option<String>,
}

impl Rejects {
    /// Rejects for a file that is not made yet. It may be none of the files that are read.
    pub fn new<'a>(
        path: PathBuf,
        mut read: impl Iterator<Item = &'a Path>,
    ) -> anyhow::Result<Self> {
        let real = |path: &Path| path.canonicalize().ok();
        if real(&path).is_some_and(|own| read.any(|other| real(other).as_ref() == Some(&own))) {
            bail!(
                "--rejects {} would overwrite a file that is imported; name another",
                path.display()
            );
        }
        Ok(Self {
            path,
            writer: None,
            first: None,
        })
    }

    /// The file, once it is there.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the first of them stands, and why it was rejected.
    pub fn first(&self) -> Option<&str> {
        self.first.as_deref()
    }

    /// Adds a row of a file.
    pub fn add(&mut self, file: &Path, row: &BadRow) -> anyhow::Result<()> {
        let part = self.part();
        let place = || {
            format!(
                "cannot write rejected rows to {}; name another file with --rejects",
                part.display()
            )
        };
        if self.writer.is_none() {
            let mut writer = csv::Writer::from_writer(File::create(&part).with_context(place)?);
            writer.write_record(COLUMNS).with_context(place)?;
            self.writer = Some(writer);
        }
        let raw: String = row.raw.chars().take(KEPT_CHARACTERS).collect();
        let name = file_name(file);
        if let Some(writer) = &mut self.writer {
            writer
                .write_record([
                    &name,
                    &row.line.to_string(),
                    defused(&row.reason).as_ref(),
                    defused(&raw).as_ref(),
                ])
                .with_context(place)?;
        }
        if self.first.is_none() {
            self.first = Some(format!("{name}, line {}: {}", row.line, row.reason));
        }
        Ok(())
    }

    /// Gives the file its name.
    pub fn finish(&mut self) -> anyhow::Result<()> {
        if let Some(mut writer) = self.writer.take() {
            let place = || format!("cannot write {}", self.path.display());
            writer.flush().with_context(place)?;
            std::fs::rename(self.part(), &self.path).with_context(place)?;
        }
        Ok(())
    }

    fn part(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".part");
        name.into()
    }
}

impl Drop for Rejects {
    fn drop(&mut self) {
        if self.writer.take().is_some() {
            // What is left of a failed import is of no use; the import's own error is told.
            let _ = std::fs::remove_file(self.part());
        }
    }
}

/// The lines of a file that a reject file of an earlier import lists.
pub fn lines_of(rejects: &Path, file: &Path) -> anyhow::Result<HashSet<u64>> {
    let place = rejects.display();
    let mut reader = csv::Reader::from_path(rejects)
        .with_context(|| format!("cannot open {place}; check the path"))?;
    if reader.headers()?.iter().ne(COLUMNS) {
        bail!("{place} is no reject file of an import; name the one that `carteira import` wrote");
    }
    let name = file_name(file);
    let mut lines = HashSet::new();
    for record in reader.records() {
        let record = record.with_context(|| format!("cannot read {place}"))?;
        if record[0] == name {
            lines.extend(record[1].parse::<u64>());
        }
    }
    if lines.is_empty() {
        bail!("{place} lists no row of {name}; name the reject file of that file's own import");
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reject_file_is_only_there_when_the_import_is_through() {
        let folder = tempfile::tempdir().unwrap();
        let (path, sales) = (folder.path().join("r.csv"), folder.path().join("s.csv"));
        let row = BadRow {
            line: 7,
            reason: "why".into(),
            raw: "a,\"b\"".into(),
        };
        let start = || Rejects::new(path.clone(), std::iter::once(sales.as_path())).unwrap();
        start().finish().unwrap();
        assert!(!path.exists());
        let mut rejects = start();
        rejects.add(&sales, &row).unwrap();
        drop(rejects);
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
        let mut rejects = start();
        rejects.add(&sales, &row).unwrap();
        rejects.finish().unwrap();
        assert_eq!(rejects.first(), Some("s.csv, line 7: why"));
        assert_eq!(lines_of(&path, &sales).unwrap(), HashSet::from([7]));
        assert!(lines_of(&path, Path::new("other.csv")).is_err());
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "file,line,reason,row\ns.csv,7,why,\"a,\"\"b\"\"\"\n"
        );
    }

    #[test]
    fn a_file_that_is_read_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let sales = folder.path().join("s.csv");
        std::fs::write(&sales, "x").unwrap();
        let same = folder.path().join(".").join("s.csv");
        assert!(Rejects::new(same, std::iter::once(sales.as_path())).is_err());
    }
}
