//! How a user's files are written, as far as it says so.

use super::dates::DateFormat;
use super::reading::Reading;

/// What flags say of the files.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Dialect {
    /// What separates columns; \t or tab for a tab [default: found out]
    #[arg(long, value_name = "CHARACTER", value_parser = delimiter)]
    pub delimiter: Option<u8>,
    /// Numbers are written 1.234,56; with =false, 1,234.56 [default: found out]
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        hide_possible_values = true
    )]
    pub decimal_comma: Option<bool>,
    /// How dates without a leading year are written; one that could be either is rejected without it
    #[arg(long, value_enum)]
    pub date_format: Option<DateFormat>,
    /// Take negative amounts as returns instead of rejecting them
    #[arg(long)]
    pub returns: bool,
}

impl Dialect {
    /// How to read with it.
    pub(in crate::cli) fn reading(&self, quiet: bool) -> Reading {
        Reading {
            delimiter: self.delimiter,
            decimal_comma: self.decimal_comma,
            quiet,
        }
    }
}

/// One ASCII character that splits columns.
fn delimiter(raw: &str) -> Result<u8, String> {
    match raw {
        "\\t" | "tab" => Ok(b'\t'),
        _ => match raw.as_bytes() {
            [byte] if byte.is_ascii() && !byte.is_ascii_alphanumeric() && *byte != b'"' => {
                Ok(*byte)
            }
            _ => Err("write one character such as ; or tab".into()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delimiter_is_one_character_that_splits() {
        assert_eq!(delimiter(";"), Ok(b';'));
        assert_eq!(delimiter("tab"), Ok(b'\t'));
        for raw in ["", ";;", "a", "\"", "§"] {
            assert!(delimiter(raw).is_err(), "{raw}");
        }
    }
}
