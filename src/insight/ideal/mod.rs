//! What sets the best clients of a book apart from its other buyers.
//!
//! Every value of a category, and every range of a number that whole fifths of the buyers make up, is
//! tested for being more, or less, frequent among the best (Fisher's exact test). So many are tested
//! that some stand out by chance; only those are said to set the best apart that pass at a false
//! discovery rate (Benjamini and Hochberg 1995), and their intervals are widened for having been
//! chosen (Benjamini and Yekutieli 2005). What the attributes tell all together is tried on clients
//! that they were not learnt from.

mod exact;
mod lifts;
mod traits;

use std::collections::BTreeMap;

use super::{ClientInsight, LifeCycle, State};
use crate::domain::{Attribute, Text};
use crate::recommend::IdealRecipe;

pub use lifts::{Lifts, Telling};
pub use traits::{Trait, Values, Verdict};

/// A buyer: what it is, and whether it is among the best.
#[derive(Debug, Clone, Copy)]
pub struct Buyer<'a> {
    /// What it is.
    pub attributes: &'a BTreeMap<Text, Attribute>,
    /// What it is expected to spend over the next year, in minor units.
    pub expected_year_minor: i64,
    /// Whether it is among the best.
    pub is_best: bool,
}

/// What sets the best buyers apart.
#[derive(Debug, Clone, PartialEq)]
pub struct IdealProfile {
    /// The best.
    pub best: usize,
    /// All other buyers.
    pub others: usize,
    /// The middle of what the best are expected to spend over the next year, in minor units.
    pub best_median_minor: i64,
    /// The same of the others.
    pub others_median_minor: i64,
    /// What was tested and how it came out, by p-value, then by name; nothing where the best, or the
    /// others, are too few. Of each number only the range that stands out most.
    pub traits: Vec<Trait>,
    /// How many values and ranges were tested.
    pub tested: usize,
    /// What a company's attributes say of it; `None` where the best, or the others, are too few.
    pub lifts: Option<Lifts>,
}

/// The buyers among some clients, and which of them are the best: loyal, and with their expected value
/// among the highest [`IdealRecipe::best_share`] of all these buyers. Loyalty is not known of a client
/// without dated sales, and not asked of it. Ties go to the earlier client.
pub fn buyers<'a>(
    clients: impl Iterator<Item = (&'a BTreeMap<Text, Attribute>, &'a ClientInsight)>,
    recipe: &IdealRecipe,
) -> Vec<Buyer<'a>> {
    let clients: Vec<_> = clients
        .filter(|(_, insight)| insight.annual_minor > 0)
        .collect();
    let most = (recipe.best_share * clients.len() as f64).floor() as usize;
    let mut order: Vec<usize> = (0..clients.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(clients[*at].1.expected_year_minor));
    let mut buyers: Vec<Buyer<'a>> = clients
        .iter()
        .map(|(attributes, insight)| Buyer {
            attributes,
            expected_year_minor: insight.expected_year_minor,
            is_best: false,
        })
        .collect();
    for at in order.into_iter().take(most) {
        let insight = clients[at].1;
        let loyal = insight.life_cycle == LifeCycle::Loyalty || insight.state == State::Undated;
        buyers[at].is_best = loyal;
    }
    buyers
}

impl IdealProfile {
    /// Tells the best buyers from the others. Cost: the buyers' attributes, a few times, and for each
    /// value and range tested the number of those that have it.
    pub fn of(buyers: &[Buyer<'_>], recipe: &IdealRecipe) -> Self {
        let best = buyers.iter().filter(|buyer| buyer.is_best).count();
        let others = buyers.len() - best;
        let median = |of_best: bool| {
            let mut amounts: Vec<i64> = buyers
                .iter()
                .filter(|buyer| buyer.is_best == of_best)
                .map(|buyer| buyer.expected_year_minor)
                .collect();
            amounts.sort_unstable();
            match amounts.len() {
                0 => 0,
                count => amounts[(count - 1) / 2].midpoint(amounts[count / 2]),
            }
        };
        let mut profile = Self {
            best,
            others,
            best_median_minor: median(true),
            others_median_minor: median(false),
            traits: Vec::new(),
            tested: 0,
            lifts: None,
        };
        if best.min(others) >= recipe.least_best {
            let (traits, tested) = traits::judged(buyers, recipe);
            profile.traits = traits;
            profile.tested = tested;
            profile.lifts = Some(Lifts::of(buyers, recipe));
        }
        profile
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recommend::Recipe;

    /// A book in which bakeries with many staff are the best, and nothing else tells anything.
    pub(super) fn book(clients: u32, told: bool) -> Vec<(BTreeMap<Text, Attribute>, bool)> {
        let text = |raw: &str| Text::parse(raw).unwrap();
        let mut state = 7_u64;
        let mut random = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as f64 / f64::from(1_u32 << 31)
        };
        (0..clients)
            .map(|_| {
                let bakery = random() < 0.4;
                let staff = (200.0 * random()).floor();
                let chance = match told && bakery && staff > 120.0 {
                    true => 0.7,
                    false => 0.15,
                };
                let attributes = BTreeMap::from([
                    (
                        text("sector"),
                        Attribute::Text(text(if bakery { "bakery" } else { "hotel" })),
                    ),
                    (text("staff"), Attribute::Number(staff)),
                    (
                        text("colour"),
                        Attribute::Text(text(["red", "blue", "green"][(3.0 * random()) as usize])),
                    ),
                ]);
                (attributes, random() < chance)
            })
            .collect()
    }

    fn profile(book: &[(BTreeMap<Text, Attribute>, bool)]) -> IdealProfile {
        let buyers: Vec<Buyer<'_>> = book
            .iter()
            .map(|(attributes, is_best)| Buyer {
                attributes,
                expected_year_minor: if *is_best { 1_000 } else { 10 },
                is_best: *is_best,
            })
            .collect();
        IdealProfile::of(&buyers, &Recipe::standard().unwrap().ideal)
    }

    #[test]
    fn what_was_made_to_matter_is_found_and_what_was_not_is_not() {
        let profile = profile(&book(600, true));
        let apart: Vec<&Trait> = profile
            .traits
            .iter()
            .filter(|one| one.standing != Verdict::NotShown)
            .collect();
        assert!(
            apart.iter().any(|one| one.standing == Verdict::Best
                && one.attribute.as_str() == "sector"
                && one.values == Values::Text(Text::parse("bakery").unwrap())),
            "{apart:#?}"
        );
        let staff = apart.iter().find(|one| one.attribute.as_str() == "staff");
        let Values::Range { min, max } = staff.unwrap().values else {
            panic!("a number has a range");
        };
        assert!(min > 90.0 && max > 190.0, "{min} to {max}");
        assert!(apart.iter().all(|one| one.attribute.as_str() != "colour"));
        let telling = profile.lifts.unwrap().telling();
        assert!(telling.low > 0.6, "{telling:?}");
        assert_eq!(
            (profile.best_median_minor, profile.others_median_minor),
            (1_000, 10)
        );
    }

    #[test]
    fn nothing_is_said_of_few_clients_and_next_to_nothing_by_chance() {
        let few = profile(&book(20, true));
        assert!(few.traits.is_empty() && few.lifts.is_none());
        let none = profile(&book(600, false));
        let claimed = none
            .traits
            .iter()
            .filter(|one| one.standing != Verdict::NotShown);
        assert_eq!(claimed.count(), 0, "{none:#?}");
        assert!(none.lifts.unwrap().telling().low < 0.5);
    }
}
