//! What the readers of all files share: how files are written, and where notes go.

use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};

use super::amounts::Evidence;
use super::dates::DateFormat;
use super::number::Decimal;
use crate::domain::Currency;

/// How files are written, as far as flags say it.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::cli) struct Reading {
    pub(super) delimiter: Option<u8>,
    pub(super) decimal_comma: Option<bool>,
    pub(super) quiet: bool,
}

impl Reading {
    /// The decimal separator: as the flag says, else as the values do.
    pub(in crate::cli) fn decimal(self, values: &Evidence, split_by: u8) -> Decimal {
        match self.decimal_comma {
            Some(true) => Decimal::Comma,
            Some(false) => Decimal::Point,
            None => values.decimal(split_by),
        }
    }

    /// A note for people, on standard error.
    pub(in crate::cli) fn note(self, text: &str) {
        if !self.quiet {
            eprintln!("note: {text}");
        }
    }
}

/// Where rows go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) portfolio: &'a str,
    pub(super) currency: Currency,
    pub(super) date_format: Option<DateFormat>,
    pub(super) returns: bool,
    pub(super) quiet: bool,
    pub(super) rejects: &'a Path,
}

impl Context<'_> {
    /// Counts rows on standard error; hidden where that is no terminal.
    pub(in crate::cli) fn progress(&self, what: &'static str) -> ProgressBar {
        if self.quiet {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) =
            ProgressStyle::with_template("{spinner} {msg} {human_pos} rows, {per_sec}, {elapsed}")
        {
            bar.set_style(style);
        }
        bar.set_message(what);
        bar
    }

    /// A note for people, on standard error.
    pub(in crate::cli) fn note(&self, text: &str) {
        if !self.quiet {
            eprintln!("note: {text}");
        }
    }

    /// Says that a file is not all UTF-8.
    pub(in crate::cli) fn note_encoding(&self, path: &Path, rows: u64) {
        if rows > 0 {
            self.note(&format!(
                "{rows} rows of {} are not UTF-8 and were read as Windows-1252; if names look wrong, save the file as UTF-8 and import it again",
                path.display()
            ));
        }
    }
}
