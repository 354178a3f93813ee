//! Figures as a reader wants them.

/// A space at which no line breaks.
const SPACE: char = '\u{a0}';

/// `12.3 %`; shares under a tenth of a percent keep a second digit.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let digits = if percent != 0.0 && percent.abs() < 0.95 {
        2
    } else {
        1
    };
    format!("{percent:.digits$}{SPACE}%")
}

/// `12 %`.
pub(super) fn whole_percent(share: f64) -> String {
    let percent = share * 100.0;
    let digits = usize::from(percent.fract().abs() > 1e-9 && percent.abs() < 2.0);
    format!("{percent:.digits$}{SPACE}%")
}

/// `0.123`, or a dash where there is none.
pub(super) fn figure(value: Option<f64>) -> String {
    value.map_or("–".to_owned(), |value| format!("{value:.3}"))
}

/// Minor units as units with the thousands parted: `1,234`; two digits under ten.
pub(super) fn money(minor: f64) -> String {
    let units = minor / 100.0;
    if units.abs() < 9.995 {
        return format!("{units:.2}");
    }
    counted(units.round().abs() as u64)
}

/// `1,234,567`.
pub(super) fn counted(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_for_people() {
        assert_eq!(percent(0.1234), "12.3\u{a0}%");
        assert_eq!(percent(0.0034), "0.34\u{a0}%");
        assert_eq!(percent(0.0), "0.0\u{a0}%");
        assert_eq!(whole_percent(0.25), "25\u{a0}%");
        assert_eq!(whole_percent(0.005), "0.5\u{a0}%");
        assert_eq!(figure(None), "–");
        assert_eq!(money(123_456_789.0), "1,234,568");
        assert_eq!(money(1_250.0), "13");
        assert_eq!(money(125.0), "1.25");
        assert_eq!(counted(1_000), "1,000");
    }
}
