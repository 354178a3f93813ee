//! Rows on their way to a file or to standard output, a few at a time: an export of any size takes the same
//! memory.

use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::Value;

use super::output::{self, Column};

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A header and one line a row
    Csv,
    /// One array
    Json,
    /// One object a line
    Jsonl,
}

/// Writes rows. A file takes its name when all rows are in it.
pub struct Sink {
    path: Option<PathBuf>,
    out: Box<dyn Write>,
    format: Format,
    columns: &'static [Column],
    rows: u64,
    /// Whether the reader of standard output has seen enough.
    closed: bool,
}

impl Sink {
    /// Writes to a file, or to standard output where none is named.
    pub fn open(
        path: Option<&Path>,
        format: Format,
        columns: &'static [Column],
    ) -> anyhow::Result<Self> {
        let out: Box<dyn Write> = match path {
            None => Box::new(BufWriter::new(std::io::stdout())),
            Some(path) => {
                let file = File::create(part(path));
                let place = || {
                    format!(
                        "cannot write {}; name another file with --out",
                        path.display()
                    )
                };
                Box::new(BufWriter::new(file.with_context(place)?))
            }
        };
        let mut sink = Self {
            path: path.map(Path::to_owned),
            out,
            format,
            columns,
            rows: 0,
            closed: false,
        };
        match format {
            Format::Csv => sink.put(&output::csv_header(columns)?)?,
            Format::Json => sink.put(b"[")?,
            Format::Jsonl => {}
        }
        Ok(sink)
    }

    /// Writes a row; `false` where nobody reads on.
    pub fn row(&mut self, row: &Value) -> anyhow::Result<bool> {
        let text = match self.format {
            Format::Csv => output::csv_row(self.columns, row)?,
            Format::Jsonl => format!("{row}\n").into_bytes(),
            Format::Json if self.rows == 0 => format!("\n{row}").into_bytes(),
            Format::Json => format!(",\n{row}").into_bytes(),
        };
        self.put(&text)?;
        self.rows += 1;
        Ok(!self.closed)
    }

    /// Ends the rows and gives the file its name.
    pub fn finish(mut self) -> anyhow::Result<()> {
        if self.format == Format::Json {
            self.put(b"\n]\n")?;
        }
        let flushed = self.out.flush();
        self.check(flushed)?;
        if let Some(path) = &self.path {
            std::fs::rename(part(path), path)
                .with_context(|| format!("cannot write {}", path.display()))?;
            eprintln!("{} rows in {}", self.rows, path.display());
        }
        Ok(())
    }

    fn put(&mut self, text: &[u8]) -> anyhow::Result<()> {
        if self.closed {
            return Ok(());
        }
        let written = self.out.write_all(text);
        self.check(written)
    }

    fn check(&mut self, written: std::io::Result<()>) -> anyhow::Result<()> {
        match written {
            Err(error) if error.kind() == ErrorKind::BrokenPipe && self.path.is_none() => {
                self.closed = true;
                Ok(())
            }
            done => done.context("cannot write the rows; look at the room on the disk"),
        }
    }
}

fn part(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}
