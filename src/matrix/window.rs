//! The months that tickets are averaged over.

use crate::domain::{Month, Period, WindowMonths};

/// A run of calendar months.
///
/// It ends with the last month in which the portfolio sold anything and reaches back as far as the
/// portfolio's setting says, or to its first month where the history is shorter. A ticket is the
/// money of these months over their number, so that a client which buys the same every month has
/// that as its ticket, to the minor unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    first: Month,
    months: u32,
    period: Period,
}

impl Window {
    /// The window of a portfolio whose sales run from `first_sale` to `last_sale`.
    pub fn of(first_sale: Month, last_sale: Month, length: WindowMonths, period: Period) -> Self {
        let covered = (last_sale.number() - first_sale.number() + 1).max(1) as u32;
        let months = covered.min(length.get());
        Self {
            first: last_sale.plus(1 - months as i32),
            months,
            period,
        }
    }

    /// Whether a month lies in it. Months after the last sale do not exist, so only the start counts.
    pub fn contains(&self, month: Month) -> bool {
        month >= self.first
    }

    /// The first month of it.
    pub fn first(&self) -> Month {
        self.first
    }

    /// How many months it has, at least 1.
    pub fn months(&self) -> u32 {
        self.months
    }

    /// The ticket per period of money spent in the window, in minor units, rounded half away from
    /// zero. Saturates far outside what the limits on amounts let in.
    pub fn ticket_minor(&self, amount_minor: i64) -> i64 {
        let scaled = i128::from(amount_minor) * i128::from(self.period.months());
        let months = i128::from(self.months);
        let half = if scaled < 0 { -months } else { months };
        let rounded = (scaled * 2 + half) / (months * 2);
        i64::try_from(rounded).unwrap_or(if rounded < 0 { i64::MIN } else { i64::MAX })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Day;

    fn month(text: &str) -> Month {
        Day::parse(&format!("{text}-01")).unwrap().month()
    }

    #[test]
    fn a_client_that_buys_the_same_every_month_has_that_as_its_ticket() {
        let length = WindowMonths::default();
        let year = Window::of(month("2024-03"), month("2026-02"), length, Period::Month);
        assert_eq!(year.first(), month("2025-03"));
        assert_eq!(year.ticket_minor(12 * 700_000), 700_000);
        let young = Window::of(month("2026-01"), month("2026-02"), length, Period::Month);
        assert_eq!(young.ticket_minor(2 * 700_000), 700_000);
        let quarter = Window::of(month("2026-01"), month("2026-02"), length, Period::Quarter);
        assert_eq!(quarter.ticket_minor(2 * 700_000), 2_100_000);
    }

    #[test]
    fn tickets_round_half_away_from_zero() {
        let window = Window::of(
            month("2026-01"),
            month("2026-02"),
            WindowMonths::default(),
            Period::Month,
        );
        assert_eq!(window.ticket_minor(1), 1);
        assert_eq!(window.ticket_minor(-1), -1);
        assert_eq!(window.ticket_minor(4), 2);
        assert_eq!(window.ticket_minor(5), 3);
    }
}
