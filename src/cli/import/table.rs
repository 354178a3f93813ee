//! A CSV file as rows of named columns: delimiter and encoding found out, bad rows handed back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::bail;

use super::lines::{Lines, MAX_ROW_BYTES, RawRow};

/// A row that cannot be used, with where it stands and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    /// Its first line in the file, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub reason: String,
    /// The row as it stands, cut where it is long.
    pub raw: String,
}

/// One row, with its fields in the order of the columns asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its first line in the file, from 1.
    pub line: u64,
    /// All fields, in file order.
    pub fields: Vec<String>,
    /// The row as it stands.
    pub raw: String,
}

/// A CSV file with a header.
pub struct Table {
    path: PathBuf,
    lines: Lines,
    parser: csv_core::Reader,
    delimiter: u8,
    columns: BTreeMap<String, usize>,
    header: Vec<String>,
    latin: bool,
}

impl Table {
    /// Opens a file and reads its header. Column names are compared without case.
    pub fn open(path: &Path, delimiter: Option<u8>) -> anyhow::Result<Self> {
        let mut lines = Lines::open(path)?;
        let place = path.display();
        let header = match lines.next_row()? {
            None => bail!("{place} is empty; its first line must name the columns"),
            Some(RawRow::TooLong(..)) => bail!(
                "the first line of {place} is longer than {MAX_ROW_BYTES} bytes; it must name the columns"
            ),
            Some(RawRow::Text(_, text)) => text,
        };
        let delimiter = delimiter.unwrap_or_else(|| guess_delimiter(&header));
        let parser = csv_core::ReaderBuilder::new().delimiter(delimiter).build();
        let mut table = Self {
            path: path.to_owned(),
            lines,
            parser,
            delimiter,
            columns: BTreeMap::new(),
            header: Vec::new(),
            latin: false,
        };
        let names = table.split(&header).unwrap_or_default();
        for (at, name) in names.iter().enumerate() {
            let name = name.trim().to_owned();
            if table.columns.insert(name.to_lowercase(), at).is_some() && !name.is_empty() {
                bail!("{place} has two columns named '{name}'; name each column once");
            }
            table.header.push(name);
        }
        Ok(table)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The columns as the header names them.
    pub fn header(&self) -> &[String] {
        &self.header
    }

    /// Where a column stands.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.get(name).copied()
    }

    /// Where a column stands that must be there.
    pub fn required(&self, name: &str) -> anyhow::Result<usize> {
        self.column(name).ok_or_else(|| {
            let found = self.header.join(", ");
            anyhow::anyhow!(
                "{} has no column '{name}'; its columns are: {found}. Rename the one that holds it, or give --delimiter if the columns are split wrongly",
                self.path.display()
            )
        })
    }

    /// Whether the columns are split by commas, so that a comma in a number needs quotes.
    pub fn splits_by_comma(&self) -> bool {
        self.delimiter == b','
    }

    /// Whether some rows were not UTF-8 and were read as Latin-1.
    pub fn is_latin(&self) -> bool {
        self.latin
    }

    /// The next row, good or bad.
    pub fn next_row(&mut self) -> anyhow::Result<Option<Result<Row, BadRow>>> {
        let Some(raw) = self.lines.next_row()? else {
            return Ok(None);
        };
        let (line, text) = match raw {
            RawRow::TooLong(line, start) => {
                let reason = format!("the row is longer than {MAX_ROW_BYTES} bytes");
                let raw = format!("{}…", String::from_utf8_lossy(&start));
                return Ok(Some(Err(BadRow { line, reason, raw })));
            }
            RawRow::Text(line, text) => (line, text),
        };
        let raw = self.decode(&text);
        let bad = |reason: String| BadRow {
            line,
            reason,
            raw: raw.clone(),
        };
        let Some(fields) = self.split(&text) else {
            return Ok(Some(Err(bad(
                "the row is not CSV: a quote is not closed".into()
            ))));
        };
        let (have, want) = (fields.len(), self.header.len());
        if have != want {
            let reason = format!("the row has {have} fields; the header has {want}");
            return Ok(Some(Err(bad(reason))));
        }
        Ok(Some(Ok(Row { line, fields, raw })))
    }

    fn decode(&mut self, bytes: &[u8]) -> String {
        match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => {
                self.latin = true;
                bytes.iter().map(|byte| char::from(*byte)).collect()
            }
        }
    }

    /// The fields of one row; `None` where a quote is left open.
    fn split(&mut self, text: &[u8]) -> Option<Vec<String>> {
        self.parser.reset();
        let mut output = vec![0; text.len() + 1];
        let mut ends = vec![0; text.len() + 2];
        let (result, _, written, fields) = self.parser.read_record(text, &mut output, &mut ends);
        let (mut written, mut fields) = (written, fields);
        if result == csv_core::ReadRecordResult::InputEmpty {
            let (rest, more) = (&mut output[written..], &mut ends[fields..]);
            let (_, _, more_written, more_fields) = self.parser.read_record(b"", rest, more);
            written += more_written;
            fields += more_fields;
        }
        let open = text.iter().filter(|byte| **byte == b'"').count() % 2 == 1;
        if open {
            return None;
        }
        debug_assert!(written <= output.len());
        let mut start = 0;
        let mut all = Vec::with_capacity(fields);
        for end in &ends[..fields] {
            all.push(self.decode(&output[start..*end]));
            start = *end;
        }
        Some(all)
    }
}

fn guess_delimiter(header: &[u8]) -> u8 {
    let count = |delimiter: u8| header.iter().filter(|byte| **byte == delimiter).count();
    // The last of equals wins, so the comma stands last.
    [b'|', b'\t', b';', b',']
        .into_iter()
        .max_by_key(|delimiter| count(*delimiter))
        .unwrap_or(b',')
}
