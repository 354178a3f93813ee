//! Why a history proves nothing, and what to do about it.

use crate::domain::Day;

use super::plan::Horizon;

/// Why an evaluation cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EvaluateError {
    /// There is nothing to look at.
    #[error("there is not one sale; name data with sales in it")]
    NoSales,
    /// A cut where sales have no dates.
    #[error(
        "the sales have no dates, so none can come after a cut; without a cut and a horizon the potential alone is measured"
    )]
    NoDates,
    /// Dates, and no cut among them.
    #[error(
        "sales run from {first} to {last}; say where to cut them and how far to look, for example at {} for {} days", suggested.as_of, suggested.days
    )]
    NoHorizon {
        /// The first day with a sale.
        first: Day,
        /// The last one.
        last: Day,
        /// Three quarters for history, the rest for what happened.
        suggested: Horizon,
    },
    /// A cut with nothing before it, or nothing after it.
    #[error(
        "the cut {cut} must be after the first sale, {first}, and not after the last, {last}; for example {}", suggested.as_of
    )]
    CutOutside {
        /// The cut asked for.
        cut: Day,
        /// The first day with a sale.
        first: Day,
        /// The last one.
        last: Day,
        /// A cut that serves.
        suggested: Horizon,
    },
    /// A horizon of no days.
    #[error("a horizon of 0 days holds nothing; write at least 1")]
    NoDays,
    /// Days are wanted that have not happened yet.
    #[error(
        "a horizon of {asked} days from {cut} runs past the last sale, {last}; there are {there_are} days: shorten the horizon to these or cut earlier"
    )]
    HorizonTooLong {
        /// Days asked for.
        asked: u32,
        /// The cut.
        cut: Day,
        /// The last day with a sale.
        last: Day,
        /// Days from the cut to the last.
        there_are: u32,
    },
    /// Nothing to learn from.
    #[error(
        "no client had bought a product of at least {least_buyers} buyers before the cut; cut later, or ask for fewer buyers"
    )]
    TooLittleHistory {
        /// Buyers that a product had to have.
        least_buyers: u32,
    },
    /// The caller stopped it.
    #[error("the evaluation was cancelled")]
    Cancelled,
}

impl From<crate::recommend::adoption::Cancelled> for EvaluateError {
    fn from(_: crate::recommend::adoption::Cancelled) -> Self {
        Self::Cancelled
    }
}
