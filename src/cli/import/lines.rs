//! The lines of a file, plain or `.gz`, each of bounded length.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::Context;
use flate2::read::MultiGzDecoder;

/// The longest row that is read; what is longer is rejected without being kept in memory.
pub const MAX_ROW_BYTES: usize = 1024 * 1024;
/// Lines that a quoted field may run over. A quote that nobody closed rejects one line, not the rest.
const MAX_ROW_LINES: usize = 100;

/// One row as it stands in the file: a line, or several where a quoted field holds line breaks.
#[derive(Debug, PartialEq, Eq)]
pub enum RawRow {
    /// Its first line's number, from 1, and its text without the line break.
    Text(u64, Vec<u8>),
    /// A row longer than [`MAX_ROW_BYTES`], with its start.
    TooLong(u64, Vec<u8>),
}

/// Reads rows one by one.
pub struct Lines {
    input: Box<dyn BufRead + Send>,
    line: u64,
    /// Lines read ahead in search of a closing quote.
    ahead: std::collections::VecDeque<(u64, Vec<u8>, bool)>,
}

impl Lines {
    /// Opens a file.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let file = File::open(path)
            .with_context(|| format!("cannot open {}; check the path", path.display()))?;
        let gzip = path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("gz"));
        let raw: Box<dyn Read + Send> = if gzip {
            Box::new(MultiGzDecoder::new(file))
        } else {
            Box::new(file)
        };
        let mut input = BufReader::with_capacity(256 * 1024, raw);
        let start = input
            .fill_buf()
            .with_context(|| format!("cannot read {}", path.display()))?;
        if start.starts_with(b"\xef\xbb\xbf") {
            input.consume(3);
        } else if start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff") {
            anyhow::bail!(
                "{} is in UTF-16; save it as UTF-8 CSV and try again",
                path.display()
            );
        }
        Ok(Self::new(Box::new(input)))
    }

    fn new(input: Box<dyn BufRead + Send>) -> Self {
        Self {
            input,
            line: 0,
            ahead: std::collections::VecDeque::new(),
        }
    }

    /// The next row; empty lines are passed over.
    pub fn next_row(&mut self) -> std::io::Result<Option<RawRow>> {
        loop {
            let Some((line, mut text, too_long)) = self.next_line()? else {
                return Ok(None);
            };
            if too_long {
                return Ok(Some(RawRow::TooLong(line, text)));
            }
            if text.is_empty() {
                continue;
            }
            if quotes(&text) % 2 == 1 {
                self.close_quote(&mut text)?;
            }
            return Ok(Some(RawRow::Text(line, text)));
        }
    }

    /// Adds the lines that an open quote runs over; leaves the row as it is where none closes it.
    fn close_quote(&mut self, text: &mut Vec<u8>) -> std::io::Result<()> {
        let mut taken = Vec::new();
        let mut bytes = text.len();
        while taken.len() < MAX_ROW_LINES && bytes < MAX_ROW_BYTES {
            let Some(next) = self.next_line()? else {
                break;
            };
            bytes += next.1.len();
            let closes = quotes(&next.1) % 2 == 1;
            let too_long = next.2;
            taken.push(next);
            if closes {
                for (_, line, _) in taken {
                    text.push(b'\n');
                    text.extend_from_slice(&line);
                }
                return Ok(());
            }
            if too_long {
                break;
            }
        }
        for line in taken.into_iter().rev() {
            self.ahead.push_front(line);
        }
        Ok(())
    }

    fn next_line(&mut self) -> std::io::Result<Option<(u64, Vec<u8>, bool)>> {
        if let Some(line) = self.ahead.pop_front() {
            return Ok(Some(line));
        }
        let mut text = Vec::new();
        let read = self
            .input
            .by_ref()
            .take(MAX_ROW_BYTES as u64 + 1)
            .read_until(b'\n', &mut text)?;
        if read == 0 {
            return Ok(None);
        }
        self.line += 1;
        let too_long = read > MAX_ROW_BYTES && !text.ends_with(b"\n");
        if too_long {
            text.truncate(200);
            self.skip_line()?;
        }
        while text
            .last()
            .is_some_and(|byte| matches!(byte, b'\n' | b'\r'))
        {
            text.pop();
        }
        Ok(Some((self.line, text, too_long)))
    }

    fn skip_line(&mut self) -> std::io::Result<()> {
        loop {
            let buffer = self.input.fill_buf()?;
            if buffer.is_empty() {
                return Ok(());
            }
            let (used, done) = match buffer.iter().position(|byte| *byte == b'\n') {
                Some(at) => (at + 1, true),
                None => (buffer.len(), false),
            };
            self.input.consume(used);
            if done {
                return Ok(());
            }
        }
    }
}

fn quotes(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte == b'"').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<RawRow> {
        let mut lines = Lines::new(Box::new(std::io::Cursor::new(text.as_bytes().to_vec())));
        std::iter::from_fn(|| lines.next_row().unwrap()).collect()
    }

    fn text(line: u64, text: &str) -> RawRow {
        RawRow::Text(line, text.as_bytes().to_vec())
    }

    #[test]
    fn quoted_line_breaks_belong_to_their_row_and_a_stray_quote_rejects_one_line() {
        assert_eq!(
            rows("a,b\r\n\r\n\"x\ny\",2\n3,4"),
            [text(1, "a,b"), text(3, "\"x\ny\",2"), text(5, "3,4")]
        );
        assert_eq!(
            rows("1,\"\n2,3\n4,5"),
            [text(1, "1,\""), text(2, "2,3"), text(3, "4,5")]
        );
    }

    #[test]
    fn a_huge_line_is_rejected_and_the_next_is_read() {
        let huge = format!("a\n{}\nb\n", "x".repeat(3 * MAX_ROW_BYTES));
        let rows = rows(&huge);
        assert!(matches!(&rows[1], RawRow::TooLong(2, start) if start.len() == 200));
        assert_eq!(rows[2], text(3, "b"));
    }
}
