//! Until when an offer waits.

use crate::domain::{Day, Offer, Outcome, RejectReason};
use crate::recommend::OutcomesRecipe;

/// The first day on which an offer may be made again, by its last outcome; `None` where it has none.
pub fn held_until(offer: &Offer, recipe: &OutcomesRecipe) -> Option<Day> {
    let last = offer.last_outcome()?;
    let days = match last.outcome {
        Outcome::Postponed { until } => return Some(until),
        Outcome::Won { .. } => recipe.won_days,
        Outcome::Lost => recipe.lost_days,
        Outcome::Rejected(reason) => match reason {
            RejectReason::ContractElsewhere => recipe.contract_elsewhere_days,
            RejectReason::NoUse => recipe.no_use_days,
            RejectReason::Price => recipe.price_days,
            RejectReason::Timing => recipe.timing_days,
            RejectReason::Other => recipe.other_reason_days,
        },
    };
    Some(last.day.plus(days))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ReportedOutcome, Text};
    use crate::recommend::Recipe;

    #[test]
    fn the_last_outcome_says_how_long_an_offer_waits() {
        let recipe = Recipe::standard().unwrap().outcomes;
        let mut offer = Offer::default();
        assert_eq!(held_until(&offer, &recipe), None);
        let day = |day| Day::from_epoch_days(20_000 + day);
        let steps = [
            (1, Outcome::Lost, 1 + recipe.lost_days),
            (2, Outcome::Postponed { until: day(700) }, 700),
            (
                3,
                Outcome::Rejected(RejectReason::NoUse),
                3 + recipe.no_use_days,
            ),
            (
                4,
                Outcome::Rejected(RejectReason::Price),
                4 + recipe.price_days,
            ),
            (5, Outcome::Won { ticket_minor: 1 }, 5 + recipe.won_days),
        ];
        for (on, outcome, until) in steps {
            let reported = ReportedOutcome {
                day: day(on),
                outcome,
                wallet_minor: None,
                note: Text::default(),
            };
            offer.report(reported).unwrap();
            assert_eq!(held_until(&offer, &recipe), Some(day(until)));
        }
    }
}
