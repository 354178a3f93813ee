//! Dates as files write them.

use crate::domain::Day;

/// The order of day, month and year.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum DateFormat {
    /// 2026-03-31, with or without a time after it
    Ymd,
    /// 31/03/2026 or 31.03.2026
    Dmy,
    /// 03/31/2026
    Mdy,
}

/// Reads a date. `format` says how dates without a leading year are ordered; where it is not
/// given, a date that could be either is refused.
pub fn parse(raw: &str, format: Option<DateFormat>) -> Result<Day, String> {
    let text = raw.trim();
    let date = text.split(['T', ' ']).next().unwrap_or_default();
    if date.is_empty() {
        return Err("the date is empty".into());
    }
    let refuse = || format!("the date '{text}' is not a date such as 2026-03-31");
    let parts: Vec<&str> = date.split(['-', '/', '.']).collect();
    let [a, b, c] = parts.as_slice() else {
        return compact(date).ok_or_else(refuse);
    };
    let number = |part: &str| {
        part.parse::<i16>()
            .ok()
            .filter(|_| part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let (Some(first), Some(second), Some(third)) = (number(a), number(b), number(c)) else {
        return Err(refuse());
    };
    let day = |year: i16, month: i16, day: i16| {
        let small = |value: i16| i8::try_from(value).unwrap_or(-1);
        Day::from_ymd(year, small(month), small(day)).map_err(|_| refuse())
    };
    if a.len() == 4 {
        return day(first, second, third);
    }
    if c.len() != 4 {
        return Err(refuse());
    }
    match format {
        Some(DateFormat::Mdy) => day(third, first, second),
        Some(DateFormat::Dmy | DateFormat::Ymd) => day(third, second, first),
        None if first > 12 || date.contains('.') || first == second => day(third, second, first),
        None if second > 12 => day(third, first, second),
        None => Err(format!(
            "the date '{text}' may be day/month or month/day; say which with --date-format dmy or mdy"
        )),
    }
}

/// `20260331`
fn compact(date: &str) -> Option<Day> {
    if date.len() != 8 || !date.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Day::parse(&format!("{}-{}-{}", &date[..4], &date[4..6], &date[6..])).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_where_they_can_mean_one_day_only() {
        let same = Day::parse("2026-03-31").unwrap();
        for raw in [
            "2026-03-31",
            "2026-03-31T10:00:00Z",
            "2026-03-31 10:00",
            "31/03/2026",
            "31.03.2026",
            "03/31/2026",
            "20260331",
            " 2026/03/31 ",
        ] {
            assert_eq!(parse(raw, None), Ok(same), "{raw}");
        }
        let may = Day::parse("2026-05-04").unwrap();
        assert_eq!(parse("04/05/2026", Some(DateFormat::Dmy)), Ok(may));
        assert_eq!(parse("05/04/2026", Some(DateFormat::Mdy)), Ok(may));
        for raw in [
            "",
            "04/05/2026",
            "2026-02-30",
            "yesterday",
            "2026-13-01",
            "31-31-31",
            "é",
            "0000-00-00",
        ] {
            assert!(parse(raw, None).is_err(), "{raw}");
        }
    }
}
