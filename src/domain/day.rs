//! Dates without a clock: a [`Day`] and the [`Month`] it falls in.

use std::fmt;
use std::num::NonZeroU32;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// Mean days in a month: a year of 365.25 days in twelve parts.
pub const DAYS_PER_MONTH: f64 = 30.4375;

const EPOCH: Date = jiff::civil::date(1970, 1, 1);
/// Years a sale may be dated in; outside them a date is a slip of the keyboard.
const YEARS: std::ops::RangeInclusive<i16> = 1900..=2199;

/// Why a text is not a day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DayError {
    /// Not a date of the form `YYYY-MM-DD`.
    #[error("is not a date; write YYYY-MM-DD, for example 2026-03-31")]
    Format,
    /// A date that exists, in a year that no sale has.
    #[error("is in the year {0}; dates run from 1900 to 2199")]
    Year(i16),
    /// Not a month of the form `YYYY-MM`.
    #[error("is not a month; write YYYY-MM, for example 2026-03")]
    Month,
}

/// A civil day, as days since 1970-01-01.
///
/// It is kept as days since the least number, which is no day: so an `Option` of one takes 4 bytes too, and there are
/// as many of these as tickets.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "i32", into = "i32")]
pub struct Day(NonZeroU32);

const _: () = assert!(size_of::<Option<Day>>() == 4);

impl Day {
    /// Reads `YYYY-MM-DD`, and only that.
    pub fn parse(raw: &str) -> Result<Self, DayError> {
        if raw.len() != 10 {
            return Err(DayError::Format);
        }
        let date: Date = raw.parse().map_err(|_| DayError::Format)?;
        Self::from_date(date)
    }

    /// The day of a calendar date.
    pub fn from_ymd(year: i16, month: i8, day: i8) -> Result<Self, DayError> {
        Self::from_date(Date::new(year, month, day).map_err(|_| DayError::Format)?)
    }

    fn from_date(date: Date) -> Result<Self, DayError> {
        if !YEARS.contains(&date.year()) {
            return Err(DayError::Year(date.year()));
        }
        Ok(Self::from_epoch_days((date - EPOCH).get_days()))
    }

    /// A day from its count since 1970-01-01; the least number stands for the day after.
    pub fn from_epoch_days(days: i32) -> Self {
        Self(NonZeroU32::new(days.abs_diff(i32::MIN)).unwrap_or(NonZeroU32::MIN))
    }

    /// Days since 1970-01-01.
    pub fn epoch_days(self) -> i32 {
        i32::MIN.wrapping_add_unsigned(self.0.get())
    }

    /// The day `days` later (earlier when negative).
    #[must_use]
    pub fn plus(self, days: i32) -> Self {
        Self::from_epoch_days(self.epoch_days() + days)
    }

    /// The calendar month this day falls in.
    pub fn month(self) -> Month {
        let date = self.date();
        Month((i32::from(date.year()) - 1900) * 12 + i32::from(date.month()) - 1)
    }

    /// The day of the month, 1 to 31.
    pub fn day_of_month(self) -> u8 {
        self.date().day() as u8
    }

    fn date(self) -> Date {
        EPOCH.saturating_add(jiff::Span::new().days(self.epoch_days()))
    }
}

impl From<i32> for Day {
    fn from(days: i32) -> Self {
        Self::from_epoch_days(days)
    }
}

impl From<Day> for i32 {
    fn from(day: Day) -> Self {
        day.epoch_days()
    }
}

impl fmt::Debug for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Day({})", self.epoch_days())
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.date().fmt(f)
    }
}

/// A calendar month, as months since January 1900.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Month(i32);

impl Month {
    /// A month from its count since January 1900.
    pub fn from_number(number: i32) -> Self {
        Self(number)
    }

    /// Months since January 1900.
    pub fn number(self) -> i32 {
        self.0
    }

    /// The month `months` later (earlier when negative).
    #[must_use]
    pub fn plus(self, months: i32) -> Self {
        Self(self.0 + months)
    }

    /// The `day_of_month`-th day of this month, the last one where the month is shorter.
    pub fn day(self, day_of_month: u8) -> Day {
        let first = Date::constant(
            (1900 + self.0.div_euclid(12)) as i16,
            (self.0.rem_euclid(12) + 1) as i8,
            1,
        );
        let day = day_of_month.clamp(1, first.days_in_month() as u8);
        Day::from_epoch_days((first - EPOCH).get_days() + i32::from(day) - 1)
    }
}

impl Month {
    /// A month as `YYYY-MM`.
    pub fn parse(raw: &str) -> Result<Self, DayError> {
        let first = Day::parse(&format!("{raw}-01"));
        first.map(Day::month).map_err(|_| DayError::Month)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let year = 1900 + self.0.div_euclid(12);
        write!(f, "{year:04}-{:02}", self.0.rem_euclid(12) + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_iso_dates_are_days() {
        assert_eq!(Day::parse("1970-01-02").unwrap().epoch_days(), 1);
        for raw in [
            "",
            "2026-02-30",
            "31/12/2026",
            "2026-1-1",
            "2026-01-01T00:00",
            "20260101",
        ] {
            assert_eq!(Day::parse(raw), Err(DayError::Format), "{raw}");
        }
        assert_eq!(Day::parse("0001-01-01"), Err(DayError::Year(1)));
    }

    proptest! {
        #[test]
        fn a_day_survives_printing_and_its_month(days in -20_000i32..80_000) {
            let day = Day::from_epoch_days(days);
            prop_assert_eq!(Day::parse(&day.to_string()).unwrap(), day);
            prop_assert_eq!(day.month().day(day.day_of_month()), day);
        }

        #[test]
        fn days_are_their_counts_in_order(
            count in any::<i32>(),
            other in prop_oneof![any::<i32>(), Just(i32::MIN), Just(i32::MIN + 1), Just(i32::MAX), -1..=1],
        ) {
            let counted = |day: i32| day.max(i32::MIN + 1);
            let (day, later) = (Day::from_epoch_days(count), Day::from_epoch_days(other));
            prop_assert_eq!(later.epoch_days(), counted(other));
            prop_assert_eq!(day.cmp(&later), counted(count).cmp(&counted(other)));
            prop_assert_eq!(Day::from(i32::from(later)), later);
        }
    }
}
