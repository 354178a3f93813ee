//! What is to be measured: where a history is cut, and how far is looked from there.

use crate::domain::Day;
use crate::matrix::PurchaseLog;

use super::EvaluateError;

/// The share of a history's days that is learnt from where nobody says otherwise.
const LEARNT_SHARE: f64 = 0.75;

/// The first day that is not known, and the days from there that are to be foreseen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Horizon {
    /// The first day after the part that is learnt from.
    pub as_of: Day,
    /// Days in the window that begins with it.
    pub days: u32,
}

/// What is to be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Where sales are cut; `None` where they have no dates.
    pub horizon: Option<Horizon>,
    /// Buyers that a product must have before the cut to be judged; 1 for every product sold.
    pub least_buyers: u32,
}

impl Horizon {
    /// Three quarters of the days to learn from, the rest to look at. `None` without sales.
    pub fn of_log(log: &PurchaseLog) -> Option<Self> {
        let (first, last) = log.days()?;
        let days = last.epoch_days() - first.epoch_days() + 1;
        let learnt = (f64::from(days) * LEARNT_SHARE).round_ties_even() as i32;
        // A log of one day has nothing after it; the caller is told so by the check.
        let as_of = first.plus(learnt.max(1)).min(last);
        Some(Self {
            as_of,
            days: (last.epoch_days() - as_of.epoch_days() + 1) as u32,
        })
    }

    /// The first day after the window.
    pub fn end(&self) -> Day {
        self.as_of
            .plus(i32::try_from(self.days).unwrap_or(i32::MAX / 2))
    }
}

impl Plan {
    /// The horizon, once it is known to fit the sales; `None` where they have no dates.
    pub(super) fn checked(
        &self,
        log: &PurchaseLog,
        has_tickets: bool,
    ) -> Result<Option<Horizon>, EvaluateError> {
        let Some((first, last)) = log.days() else {
            return match (has_tickets, self.horizon) {
                (false, _) => Err(EvaluateError::NoSales),
                (true, Some(_)) => Err(EvaluateError::NoDates),
                (true, None) => Ok(None),
            };
        };
        let Some(suggested) = Horizon::of_log(log) else {
            return Err(EvaluateError::NoSales);
        };
        let Some(horizon) = self.horizon else {
            return Err(EvaluateError::NoHorizon {
                first,
                last,
                suggested,
            });
        };
        let cut = horizon.as_of;
        if cut <= first || cut > last {
            return Err(EvaluateError::CutOutside {
                cut,
                first,
                last,
                suggested,
            });
        }
        let there_are = (last.epoch_days() - cut.epoch_days() + 1) as u32;
        match horizon.days {
            0 => Err(EvaluateError::NoDays),
            asked if asked > there_are => Err(EvaluateError::HorizonTooLong {
                asked,
                cut,
                last,
                there_are,
            }),
            _ => Ok(Some(horizon)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ProductNo;
    use crate::matrix::Purchase;

    fn log(days: &[&str]) -> PurchaseLog {
        let mut log = PurchaseLog::builder(1);
        log.push_client(days.iter().map(|day| Purchase {
            product: ProductNo(0),
            day: Day::parse(day).unwrap(),
            amount_minor: 1.0,
        }));
        log.finish()
    }

    fn check(log: &PurchaseLog, cut: &str, days: u32) -> Result<Option<Horizon>, EvaluateError> {
        let as_of = Day::parse(cut).unwrap();
        let horizon = Some(Horizon { as_of, days });
        let plan = Plan {
            horizon,
            least_buyers: 1,
        };
        plan.checked(log, false)
    }

    #[test]
    fn three_quarters_of_the_days_are_learnt_from() {
        let horizon = Horizon::of_log(&log(&["1996-07-04", "1998-05-06"])).unwrap();
        assert_eq!(horizon.as_of.to_string(), "1997-11-20");
        assert_eq!(horizon.days, 168);
        assert_eq!(horizon.end().to_string(), "1998-05-07");
    }

    #[test]
    fn a_cut_or_a_horizon_outside_the_sales_is_refused_with_what_there_is() {
        let sales = log(&["2024-01-01", "2024-12-31"]);
        assert!(check(&sales, "2024-10-01", 92).is_ok());
        for cut in ["2023-12-31", "2024-01-01", "2025-01-01"] {
            let said = check(&sales, cut, 30).unwrap_err().to_string();
            assert!(said.contains("2024-01-01") && said.contains("2024-12-31"));
        }
        let long = check(&sales, "2024-10-01", 93).unwrap_err();
        assert!(long.to_string().contains("there are 92 days"), "{long}");
        assert_eq!(check(&sales, "2024-10-01", 0), Err(EvaluateError::NoDays));
        let one_day = log(&["2024-01-01"]);
        assert!(check(&one_day, "2024-01-01", 1).is_err());
    }

    #[test]
    fn without_dates_there_is_nothing_to_cut() {
        let none = PurchaseLog::default();
        assert_eq!(check(&none, "2024-10-01", 1), Err(EvaluateError::NoSales));
        let undated = Plan {
            horizon: None,
            least_buyers: 1,
        };
        assert_eq!(undated.checked(&none, true), Ok(None));
        let dated = undated.checked(&log(&["2024-01-01", "2024-12-31"]), false);
        let said = dated.unwrap_err().to_string();
        assert!(said.contains("at 2024-10-01 for 92 days"), "{said}");
    }
}
