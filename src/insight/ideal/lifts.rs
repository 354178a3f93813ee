//! What a company's attributes say of it all together.

use std::collections::BTreeMap;

use super::Buyer;
use super::traits::{Seen, names, shrunk};
use crate::domain::{Attribute, Text};
use crate::recommend::IdealRecipe;

/// Parts that the buyers are dealt into, each judged by what the others teach.
const FOLDS: usize = 5;
/// Scores are told apart to so many parts of one.
const GRAIN: f64 = 1e9;
/// Deviations that a 95 % interval spans each way.
const DEVIATIONS: f64 = 1.96;

/// How well attributes tell the best from the others, on buyers that they were not learnt from: the
/// chance that of one of each the best has the higher score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Telling {
    /// 0.5 tells nothing, 1 all.
    pub auc: f64,
    /// The lower end of its 95 % interval (Hanley and McNeil 1982).
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// By how much each value of each attribute raises or lowers the log odds of being among the best.
#[derive(Debug, Clone, PartialEq)]
pub struct Lifts {
    attributes: BTreeMap<Text, Lift>,
    /// Scores of all buyers, ascending.
    scores: Vec<f64>,
    telling: Telling,
}

#[derive(Debug, Clone, PartialEq)]
enum Lift {
    /// By category.
    Texts(BTreeMap<Text, f64>),
    /// By the largest number of each part, ascending; the last part has no end.
    Numbers(Vec<(f64, f64)>),
}

impl Lift {
    fn of(&self, attribute: &Attribute) -> Option<f64> {
        match self {
            Self::Texts(texts) => texts.get(attribute.category()?.as_ref()).copied(),
            Self::Numbers(parts) => {
                let number = attribute.quantity()?;
                let part = parts.partition_point(|(end, _)| *end < number);
                parts.get(part).or(parts.last()).map(|(_, lift)| *lift)
            }
        }
    }
}

impl Lifts {
    /// Learns from buyers, and tries it on buyers left out. Cost: their attributes, six times.
    pub(super) fn of(buyers: &[Buyer<'_>], recipe: &IdealRecipe) -> Self {
        let attributes = learnt(buyers, recipe);
        let score = |attributes: &BTreeMap<Text, Lift>, buyer: &Buyer<'_>| {
            sum(&terms(attributes, buyer.attributes))
        };
        let mut scores: Vec<f64> = buyers
            .iter()
            .map(|buyer| score(&attributes, buyer))
            .collect();
        scores.sort_unstable_by(f64::total_cmp);
        let mut judged: Vec<(f64, bool)> = Vec::with_capacity(buyers.len());
        for fold in 0..FOLDS {
            let dealt = buyers.iter().enumerate();
            let (out, rest): (Vec<_>, Vec<_>) = dealt.partition(|(at, _)| at % FOLDS == fold);
            let rest: Vec<Buyer<'_>> = rest.into_iter().map(|(_, buyer)| *buyer).collect();
            let learnt = learnt(&rest, recipe);
            let out = out.into_iter();
            judged.extend(out.map(|(_, buyer)| (score(&learnt, buyer), buyer.is_best)));
        }
        Self {
            attributes,
            scores,
            telling: telling(judged),
        }
    }

    /// How well attributes tell the best from the others.
    pub fn telling(&self) -> Telling {
        self.telling
    }

    /// Attributes that buyers have.
    pub fn attributes(&self) -> impl Iterator<Item = &Text> {
        self.attributes.keys()
    }

    /// What each attribute of a company adds to its score, the natural log of a lift; those that the
    /// buyers do not have, or not of this value, are left out.
    pub fn terms(&self, company: &BTreeMap<Text, Attribute>) -> Vec<(Text, f64)> {
        terms(&self.attributes, company)
    }

    /// How many of 100 buyers look less like the best than a company of these terms does, half of those
    /// that look the same counted.
    pub fn fit(&self, terms: &[(Text, f64)]) -> f64 {
        let score = sum(terms);
        let below = self.scores.partition_point(|other| *other < score);
        let to = self.scores.partition_point(|other| *other <= score);
        50.0 * (below + to) as f64 / self.scores.len().max(1) as f64
    }
}

/// The score of some terms. Scores that differ in the last digits only, as sums in another order do, are
/// one.
fn sum(terms: &[(Text, f64)]) -> f64 {
    let score: f64 = terms.iter().map(|(_, lift)| lift).sum();
    (score * GRAIN).round() / GRAIN
}

fn terms(
    attributes: &BTreeMap<Text, Lift>,
    company: &BTreeMap<Text, Attribute>,
) -> Vec<(Text, f64)> {
    let term = |(name, attribute): (&Text, &Attribute)| {
        let lift = attributes.get(name)?.of(attribute)?;
        Some((name.clone(), lift))
    };
    company.iter().filter_map(term).collect()
}

fn learnt(buyers: &[Buyer<'_>], recipe: &IdealRecipe) -> BTreeMap<Text, Lift> {
    let mut attributes = BTreeMap::new();
    for name in names(buyers) {
        let seen = Seen::of(name, buyers);
        let [known, best] = seen.known();
        if best == 0 || best == known {
            continue;
        }
        let base = best as f64 / known as f64;
        let log = |count: [usize; 2]| {
            let [hits, misses] = shrunk(count, base, recipe);
            (hits / (hits + misses) / base).ln()
        };
        let lift = match seen {
            Seen::Texts(texts) => Lift::Texts(
                texts
                    .into_iter()
                    .map(|(text, count)| (text.clone(), log(count)))
                    .collect(),
            ),
            Seen::Numbers(parts) => Lift::Numbers(
                parts
                    .into_iter()
                    .map(|(_, max, count)| (max, log(count)))
                    .collect(),
            ),
        };
        attributes.insert(name.clone(), lift);
    }
    attributes
}

/// The chance that one of the best has the higher score, ties counted half, and its interval.
fn telling(mut judged: Vec<(f64, bool)>) -> Telling {
    judged.sort_by(|a, b| a.0.total_cmp(&b.0));
    let best = judged.iter().filter(|(_, is_best)| *is_best).count() as f64;
    let others = judged.len() as f64 - best;
    let (mut wins, mut below) = (0.0, 0.0);
    for tied in judged.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
        let best_here = tied.iter().filter(|(_, is_best)| *is_best).count() as f64;
        let others_here = tied.len() as f64 - best_here;
        wins += best_here * (below + others_here / 2.0);
        below += others_here;
    }
    let auc = wins / (best * others).max(1.0);
    let (q1, q2) = (auc / (2.0 - auc), 2.0 * auc * auc / (1.0 + auc));
    let variance =
        (auc * (1.0 - auc) + (best - 1.0) * (q1 - auc * auc) + (others - 1.0) * (q2 - auc * auc))
            / (best * others).max(1.0);
    let half = DEVIATIONS * variance.max(0.0).sqrt();
    Telling {
        auc,
        low: (auc - half).max(0.0),
        high: (auc + half).min(1.0),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::recommend::Recipe;

    proptest! {
        #[test]
        fn telling_is_a_count_of_pairs(rows in prop::collection::vec((0_u8..6, any::<bool>()), 2..40)) {
            let rows: Vec<(f64, bool)> = rows.into_iter().map(|(score, best)| (f64::from(score), best)).collect();
            let (mut won, mut pairs) = (0.0, 0.0);
            for (a, _) in rows.iter().filter(|row| row.1) {
                for (b, _) in rows.iter().filter(|row| !row.1) {
                    pairs += 1.0;
                    won += match a.total_cmp(b) {
                        std::cmp::Ordering::Greater => 1.0,
                        std::cmp::Ordering::Equal => 0.5,
                        std::cmp::Ordering::Less => 0.0,
                    };
                }
            }
            let found = telling(rows);
            if pairs > 0.0 {
                prop_assert!((found.auc - won / pairs).abs() < 1e-12);
                prop_assert!(found.low <= found.auc && found.auc <= found.high);
            }
        }

        #[test]
        fn parts_hold_every_number_once_and_equal_ones_together(numbers in prop::collection::vec(0_i8..12, 1..60)) {
            let name = Text::parse("staff").unwrap();
            let all: Vec<_> = numbers
                .iter()
                .map(|number| BTreeMap::from([(name.clone(), Attribute::Number(f64::from(*number)))]))
                .collect();
            let buyers: Vec<Buyer<'_>> = all
                .iter()
                .zip(&numbers)
                .map(|(attributes, number)| Buyer { attributes, expected_year_minor: 0, is_best: number % 3 == 0 })
                .collect();
            let Seen::Numbers(parts) = Seen::of(&name, &buyers) else {
                return Err(TestCaseError::fail("numbers alone are no category"));
            };
            prop_assert!(parts.len() <= super::super::traits::PARTS);
            for (min, max, count) in &parts {
                let within = |number: &&i8| (*min..=*max).contains(&f64::from(**number));
                prop_assert_eq!(numbers.iter().filter(within).count(), count[0]);
                prop_assert_eq!(numbers.iter().filter(within).filter(|number| *number % 3 == 0).count(), count[1]);
            }
            prop_assert_eq!(parts.iter().map(|part| part.2[0]).sum::<usize>(), numbers.len());
            let lifts = learnt(&buyers, &Recipe::standard().unwrap().ideal);
            let scored = numbers.iter().zip(&all).filter(|(_, one)| !terms(&lifts, one).is_empty()).count();
            prop_assert!(scored == numbers.len() || lifts.is_empty());
        }
    }
}
