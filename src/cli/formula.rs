//! Texts that a spreadsheet would take for formulas: made harmless on the way out, and themselves again
//! on the way in.
//!
//! A cell that starts with `=`, `+`, `-`, `@`, a tab or a CR gets an apostrophe before it, as
//! spreadsheets themselves write a text that looks like a formula. One that starts with apostrophes and
//! then such a character gets one more, so that every text comes back as it was.

use std::borrow::Cow;

const MARK: char = '\'';

fn is_formula(text: &str) -> bool {
    let behind = text.trim_start_matches(MARK);
    behind.starts_with(['=', '+', '-', '@', '\t', '\r'])
}

/// A number as programs write it: no formula, signs included.
fn is_number(text: &str) -> bool {
    text.parse::<f64>().is_ok() && text.contains(|c: char| c.is_ascii_digit())
}

/// A text that no spreadsheet takes for a formula. Numbers stay as they are, negative ones too.
pub(super) fn defused(text: &str) -> Cow<'_, str> {
    match is_formula(text) && !is_number(text) {
        true => Cow::Owned(format!("{MARK}{text}")),
        false => Cow::Borrowed(text),
    }
}

/// The text that was defused.
pub(super) fn undefused(text: &str) -> &str {
    match text.strip_prefix(MARK) {
        Some(behind) if is_formula(behind) => behind,
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn formulas_are_defused_and_numbers_left_alone() {
        for (text, cell) in [
            ("=HYPERLINK(\"http://x\")", "'=HYPERLINK(\"http://x\")"),
            ("+1+1", "'+1+1"),
            ("-cmd|' /C calc'!A0", "'-cmd|' /C calc'!A0"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("\r=1", "'\r=1"),
            ("'=1", "''=1"),
            ("-inf", "'-inf"),
            ("-12.5", "-12.5"),
            ("+5511", "+5511"),
            ("queijo", "queijo"),
            ("'s-Hertogenbosch", "'s-Hertogenbosch"),
            ("", ""),
        ] {
            assert_eq!(defused(text), cell);
            assert_eq!(undefused(cell), text);
        }
    }

    proptest! {
        #[test]
        fn every_text_comes_back(text in "['=+@\\-\t\r]{0,4}[a-z0-9.é]{0,4}") {
            let cell = defused(&text);
            prop_assert_eq!(undefused(&cell), text.as_str());
            prop_assert!(!is_formula(&cell) || cell.starts_with(MARK) || is_number(&text));
        }
    }
}
