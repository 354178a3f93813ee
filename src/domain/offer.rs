//! An offer with its past: when it was shown, and what became of it.

use serde::{Deserialize, Serialize};

use super::{Day, Text};

/// The most showings kept of one offer: more than a year of days. The oldest go first.
pub const MAX_SHOWINGS: usize = 400;
/// The most outcomes of one offer. With as many showings, and notes as long as they may be, the offer
/// still fits one record of the store.
pub const MAX_OUTCOMES: usize = 50;

/// Why a client does not want an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RejectReason {
    /// It has a contract elsewhere.
    ContractElsewhere,
    /// It has no use for the product.
    NoUse,
    /// The price.
    Price,
    /// Not now.
    Timing,
    /// Anything else.
    Other,
}

/// What became of an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The client took it, for this ticket in minor units per period, above 0.
    Won {
        /// The ticket that was agreed.
        ticket_minor: i64,
    },
    /// The client took another supplier's, or nothing.
    Lost,
    /// The client does not want it.
    Rejected(RejectReason),
    /// The client wants to be asked again from a day on.
    Postponed {
        /// The first day on which to offer again.
        until: Day,
    },
}

/// An outcome, when it became known, and what the seller said with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportedOutcome {
    /// When it became known.
    pub day: Day,
    /// What became of the offer.
    pub outcome: Outcome,
    /// What the seller believes that the client spends on the product per period at all suppliers
    /// together, in minor units.
    pub wallet_minor: Option<i64>,
    /// A few words; may be empty.
    pub note: Text,
}

/// A day on which an offer stood in a list put before a sales person.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Showing {
    /// When.
    pub day: Day,
    /// The probability of success that was given.
    pub probability: f64,
    /// The same from the history alone, without what outcomes taught.
    pub history_probability: f64,
    /// The potential ticket that was given, in minor units per period.
    pub potential_minor: i64,
    /// The gain that was given, in minor units per period.
    pub gain_minor: i64,
    /// It would have stood there, and was left out to measure the effect of showing.
    pub held_out: bool,
}

/// One (client, product, kind) with its past.
///
/// Invariant: both lists are by day with no day twice, and no longer than their limits.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Offer {
    showings: Vec<Showing>,
    outcomes: Vec<ReportedOutcome>,
}

/// An offer has as many outcomes as are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("has {MAX_OUTCOMES} outcomes already; report another of one of their days to replace it")]
pub struct TooManyOutcomes;

impl Offer {
    /// When it was shown, oldest first.
    pub fn showings(&self) -> &[Showing] {
        &self.showings
    }

    /// What became of it, oldest first.
    pub fn outcomes(&self) -> &[ReportedOutcome] {
        &self.outcomes
    }

    /// What became of it last.
    pub fn last_outcome(&self) -> Option<&ReportedOutcome> {
        self.outcomes.last()
    }

    /// Notes a showing; the first of a day stays. Returns whether it is new.
    pub fn show(&mut self, showing: Showing) -> bool {
        match self
            .showings
            .binary_search_by_key(&showing.day, |showing| showing.day)
        {
            Ok(_) => false,
            Err(at) => {
                self.showings.insert(at, showing);
                if self.showings.len() > MAX_SHOWINGS {
                    self.showings.remove(0);
                }
                true
            }
        }
    }

    /// Notes an outcome; a second one of a day takes the place of the first. Returns whether it is new.
    pub fn report(&mut self, outcome: ReportedOutcome) -> Result<bool, TooManyOutcomes> {
        match self
            .outcomes
            .binary_search_by_key(&outcome.day, |outcome| outcome.day)
        {
            Ok(at) => {
                self.outcomes[at] = outcome;
                Ok(false)
            }
            Err(_) if self.outcomes.len() == MAX_OUTCOMES => Err(TooManyOutcomes),
            Err(at) => {
                self.outcomes.insert(at, outcome);
                Ok(true)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn showing(day: i32) -> Showing {
        Showing {
            day: Day::from_epoch_days(day),
            probability: f64::from(day),
            history_probability: f64::from(day),
            potential_minor: 1,
            gain_minor: 1,
            held_out: false,
        }
    }

    fn lost(day: i32, note: &str) -> ReportedOutcome {
        ReportedOutcome {
            day: Day::from_epoch_days(day),
            outcome: Outcome::Lost,
            wallet_minor: None,
            note: Text::parse(note).unwrap(),
        }
    }

    proptest! {
        #[test]
        fn both_lists_stay_by_day_without_a_day_twice(days in prop::collection::vec(0..900, 0..1_200)) {
            let mut offer = Offer::default();
            let mut seen = std::collections::BTreeSet::new();
            for day in &days {
                offer.show(showing(*day));
                let new = seen.insert(*day);
                match offer.report(lost(*day, "")) {
                    Ok(reported) => prop_assert_eq!(reported, new),
                    Err(TooManyOutcomes) => {
                        prop_assert!(offer.outcomes().len() == MAX_OUTCOMES);
                        seen.remove(day);
                    }
                }
            }
            prop_assert!(offer.showings().windows(2).all(|two| two[0].day < two[1].day));
            prop_assert!(offer.outcomes().windows(2).all(|two| two[0].day < two[1].day));
            prop_assert!(offer.showings().len() <= MAX_SHOWINGS);
        }
    }

    #[test]
    fn of_one_day_the_first_showing_and_the_last_outcome_stay() {
        let mut offer = Offer::default();
        assert!(offer.show(showing(3)));
        assert!(!offer.show(Showing {
            held_out: true,
            ..showing(3)
        }));
        assert!(!offer.showings()[0].held_out);
        assert_eq!(offer.report(lost(3, "a")), Ok(true));
        assert_eq!(offer.report(lost(3, "b")), Ok(false));
        assert_eq!(offer.last_outcome().unwrap().note.as_str(), "b");
    }
}
