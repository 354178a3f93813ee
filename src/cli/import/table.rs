//! A CSV file as rows of named columns: delimiter and encoding found out, bad rows handed back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::encoding::decode;
use super::lines::{Lines, MAX_ROW_BYTES, RawRow};
use crate::cli::formula::undefused;

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
    pub(super) text: Vec<u8>,
}

impl Row {
    /// This row as one that cannot be used.
    pub fn bad(&self, reason: String) -> BadRow {
        BadRow {
            line: self.line,
            reason,
            raw: decode(&self.text).into_owned(),
        }
    }
}

/// A CSV file with a header.
pub struct Table {
    path: PathBuf,
    lines: Lines,
    parser: csv_core::Reader,
    delimiter: u8,
    columns: BTreeMap<String, usize>,
    header: Vec<String>,
    not_utf8: u64,
    /// The fields of the row that was last split, one after the other, and where each ends.
    output: Vec<u8>,
    ends: Vec<usize>,
}

impl Table {
    /// Opens a file and reads its header. Column names are compared without case.
    pub fn open(path: &Path, delimiter: Option<u8>) -> anyhow::Result<Self> {
        let mut lines = Lines::open(path)?;
        let place = path.display();
        let mut header = header_row(&mut lines, path)?;
        // Excel's way of naming the delimiter, on a line of its own before the header.
        let mut told = None;
        if let [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', by] = header.as_slice() {
            told = Some(*by);
            header = header_row(&mut lines, path)?;
        }
        if header.contains(&b'\r') {
            bail!("{place} ends its lines in an old way (CR alone); save it with LF or CRLF");
        }
        let delimiter = delimiter
            .or(told)
            .unwrap_or_else(|| guess_delimiter(&header));
        let parser = csv_core::ReaderBuilder::new().delimiter(delimiter).build();
        let mut table = Self {
            path: path.to_owned(),
            lines,
            parser,
            delimiter,
            columns: BTreeMap::new(),
            header: Vec::new(),
            not_utf8: 0,
            output: Vec::new(),
            ends: Vec::new(),
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

    /// What splits the columns.
    pub fn delimiter(&self) -> u8 {
        self.delimiter
    }

    /// How many rows were not UTF-8 and were read as Windows-1252.
    pub fn not_utf8(&self) -> u64 {
        self.not_utf8
    }

    /// The next row, good or bad. Rows of empty fields alone, as spreadsheets leave them behind,
    /// are passed over like empty lines.
    pub fn next_row(&mut self) -> anyhow::Result<Option<Result<Row, BadRow>>> {
        loop {
            let raw = self.lines.next_row();
            let Some(raw) = raw.with_context(|| format!("cannot read {}", self.path.display()))?
            else {
                return Ok(None);
            };
            let (line, text) = match raw {
                RawRow::TooLong(line, start) => {
                    let reason = format!("the row is longer than {MAX_ROW_BYTES} bytes");
                    let raw = format!("{}…", decode(&start));
                    return Ok(Some(Err(BadRow { line, reason, raw })));
                }
                RawRow::Text(line, text) => (line, text),
            };
            let fields = self.split(&text);
            if std::str::from_utf8(&text).is_err() {
                self.not_utf8 += 1;
            }
            let row = |fields| Row { line, fields, text };
            let Some(fields) = fields else {
                let reason = "the row is not CSV: a quote is not closed";
                return Ok(Some(Err(row(Vec::new()).bad(reason.into()))));
            };
            if fields.iter().all(|field| field.trim().is_empty()) {
                continue;
            }
            let (have, want) = (fields.len(), self.header.len());
            if have != want {
                let reason = format!("the row has {have} fields; the header has {want}");
                return Ok(Some(Err(row(fields).bad(reason))));
            }
            let fields = fields
                .into_iter()
                .map(|field| match undefused(&field) {
                    same if same.len() == field.len() => field,
                    text => text.to_owned(),
                })
                .collect();
            return Ok(Some(Ok(row(fields))));
        }
    }

    /// The fields of one row; `None` where a quote is left open.
    fn split(&mut self, text: &[u8]) -> Option<Vec<String>> {
        self.parser.reset();
        let (output, ends) = (&mut self.output, &mut self.ends);
        if ends.len() < text.len() + 2 {
            output.resize(text.len() + 1, 0);
            ends.resize(text.len() + 2, 0);
        }
        let (result, _, written, fields) = self.parser.read_record(text, output, ends);
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
            all.push(decode(&output[start..*end]).into_owned());
            start = *end;
        }
        Some(all)
    }
}

/// The line that names the columns.
fn header_row(lines: &mut Lines, path: &Path) -> anyhow::Result<Vec<u8>> {
    let place = path.display();
    let row = lines.next_row();
    match row.with_context(|| format!("cannot read {place}"))? {
        None => bail!("{place} is empty; its first line must name the columns"),
        Some(RawRow::TooLong(..)) => bail!(
            "the first line of {place} is longer than {MAX_ROW_BYTES} bytes; it must name the columns"
        ),
        Some(RawRow::Text(_, text)) => Ok(text),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn table(content: &[u8]) -> (tempfile::TempDir, anyhow::Result<Table>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.csv");
        std::fs::write(&path, content).unwrap();
        let table = Table::open(&path, None);
        (folder, table)
    }

    fn rows(content: &[u8]) -> Vec<Result<Vec<String>, String>> {
        let (_folder, table) = table(content);
        let mut table = table.unwrap();
        std::iter::from_fn(|| table.next_row().unwrap())
            .map(|row| row.map(|row| row.fields).map_err(|bad| bad.reason))
            .collect()
    }

    fn good(fields: &[&str]) -> Result<Vec<String>, String> {
        Ok(fields.iter().map(|&field| field.to_owned()).collect())
    }

    #[test]
    fn every_usual_way_of_writing_a_table_is_read_as_the_same() {
        let expected = [good(&["c1", "São; João", "1"])];
        for content in [
            "client_id,Name,n\nc1,São; João,1\n",
            "\u{feff}client_id;NAME;n\r\nc1;\"São; João\";1\r\n;;\r\n",
            "client_id\tname\tn\n\nc1\tSão; João\t1",
            "client_id|name|n\nc1|São; João|1",
            "sep=|\nclient_id|name|n\nc1|São; João|1",
        ] {
            assert_eq!(rows(content.as_bytes()), expected, "{content}");
        }
        assert_eq!(rows(b"client_id,name,n\nc1,S\xe3o; Jo\xe3o,1\n"), expected);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut gzip, "client_id,name,n\nc1,São; João,1".as_bytes())
            .unwrap();
        assert_eq!(rows(&gzip.finish().unwrap()), expected);
    }

    #[test]
    fn cells_that_an_export_defused_are_themselves_again() {
        let expected = [good(&["=1+1", "'=2", "-5", "'s"])];
        assert_eq!(rows(b"a,b,c,d\n'=1+1,''=2,'-5,'s\n"), expected);
    }

    #[test]
    fn a_row_that_does_not_fit_is_handed_back_and_the_next_is_read() {
        let rows = rows(b"a,b\n1\n1,2,3\n\"1,2\n3,4\n");
        let reasons: Vec<&str> = rows
            .iter()
            .filter_map(|row| row.as_ref().err().map(String::as_str))
            .collect();
        assert_eq!(
            reasons,
            [
                "the row has 1 fields; the header has 2",
                "the row has 3 fields; the header has 2",
                "the row is not CSV: a quote is not closed"
            ]
        );
        assert_eq!(rows.last(), Some(&good(&["3", "4"])));
    }

    #[test]
    fn what_is_no_table_is_refused_with_what_to_do() {
        for (content, part) in [
            (&b""[..], "is empty"),
            (b"\n\n", "is empty"),
            (b"PK\x03\x04....", "save it as CSV"),
            (b"PAR1....", "save it as CSV"),
            (b"\xff\xfea\0", "save it as CSV"),
            (b"a,b\r1,2\r", "LF or CRLF"),
            (b"a,b,A\n", "two columns named"),
            (b"\x1f\x8b\x08broken", "cannot read"),
        ] {
            let (_folder, table) = table(content);
            let error = format!("{:#}", table.map(|_| ()).unwrap_err());
            assert!(error.contains(part), "{error}");
        }
    }
}
