//! Values and ranges, one by one: how frequent they are among the best, and what may be said of that.

use std::collections::BTreeMap;

use super::Buyer;
use super::exact::{exact_p, found, interval};
use crate::domain::{Attribute, Text};
use crate::recommend::IdealRecipe;

/// Parts of the buyers that the ranges of a number are made of.
pub(super) const PARTS: usize = 5;

/// Values of one attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// A category.
    Text(Text),
    /// Numbers, both ends among them.
    Range {
        /// The least.
        min: f64,
        /// The largest.
        max: f64,
    },
}

/// What may be said of some values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// They are more frequent among the best.
    Best,
    /// They are less frequent among the best.
    Others,
    /// Nothing: chance would do the same often enough.
    NotShown,
}

/// Some values of an attribute, and how frequent they are among the best.
#[derive(Debug, Clone, PartialEq)]
pub struct Trait {
    /// The attribute.
    pub attribute: Text,
    /// Its values.
    pub values: Values,
    /// Buyers of which the attribute is known.
    pub known: usize,
    /// The best among these.
    pub known_best: usize,
    /// Buyers that have these values.
    pub clients: usize,
    /// The best among these.
    pub best: usize,
    /// The share of the best among those that have them over that among all of which the attribute is
    /// known, drawn to 1 as by [`IdealRecipe::pseudo_clients`] more clients.
    pub lift: f64,
    /// What holds the true lift; made wider for a trait that was chosen among many.
    pub interval: [f64; 2],
    /// How likely chance alone would do as much.
    pub p_value: f64,
    /// What may be said.
    pub standing: Verdict,
}

/// What was seen of one attribute: known buyers, and the best among them.
pub(super) enum Seen<'a> {
    /// By category.
    Texts(BTreeMap<&'a Text, [usize; 2]>),
    /// By part, each with its least and largest number, ascending.
    Numbers(Vec<(f64, f64, [usize; 2])>),
}

impl<'a> Seen<'a> {
    /// Counts one attribute of some buyers. Texts make it a category, whose numbers count as missing;
    /// numbers alone are cut into up to [`PARTS`] parts of about as many buyers, equal numbers together.
    pub(super) fn of(name: &Text, buyers: &[Buyer<'a>]) -> Self {
        let mut texts: BTreeMap<&Text, [usize; 2]> = BTreeMap::new();
        let mut numbers: Vec<(f64, bool)> = Vec::new();
        for buyer in buyers {
            match buyer.attributes.get(name) {
                Some(Attribute::Text(text)) if !text.is_empty() => {
                    add(texts.entry(text).or_default(), buyer.is_best);
                }
                Some(Attribute::Number(number)) if number.is_finite() => {
                    numbers.push((*number, buyer.is_best));
                }
                _ => {}
            }
        }
        if !texts.is_empty() {
            return Self::Texts(texts);
        }
        numbers.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let mut parts: Vec<(f64, f64, [usize; 2])> = Vec::new();
        let mut ends: Vec<f64> = (1..=PARTS)
            .filter_map(|part| numbers.get((numbers.len() * part).div_ceil(PARTS).checked_sub(1)?))
            .map(|(end, _)| *end)
            .collect();
        ends.dedup();
        let mut part = 0;
        for (number, is_best) in numbers {
            while number > ends[part] {
                part += 1;
            }
            if parts.len() <= part {
                parts.push((number, number, [0; 2]));
            }
            let last = &mut parts[part];
            last.1 = number;
            add(&mut last.2, is_best);
        }
        Self::Numbers(parts)
    }

    /// Known buyers, and the best among them.
    pub(super) fn known(&self) -> [usize; 2] {
        let sum = |sum: [usize; 2], one: &[usize; 2]| [sum[0] + one[0], sum[1] + one[1]];
        match self {
            Self::Texts(texts) => texts.values().fold([0; 2], sum),
            Self::Numbers(parts) => parts.iter().map(|(_, _, count)| count).fold([0; 2], sum),
        }
    }

    /// Every category, or every range of neighbouring parts but all of them together, with its count.
    fn candidates(&self) -> Vec<(Values, [usize; 2])> {
        match self {
            Self::Texts(texts) => texts
                .iter()
                .map(|(text, count)| (Values::Text((*text).clone()), *count))
                .collect(),
            Self::Numbers(parts) => {
                let mut ranges = Vec::new();
                for (first, (min, ..)) in parts.iter().enumerate() {
                    let mut count = [0; 2];
                    for (last, (_, max, more)) in parts.iter().enumerate().skip(first) {
                        count = [count[0] + more[0], count[1] + more[1]];
                        if last - first + 1 < parts.len() {
                            let (min, max) = (*min, *max);
                            ranges.push((Values::Range { min, max }, count));
                        }
                    }
                }
                ranges
            }
        }
    }
}

fn add(count: &mut [usize; 2], is_best: bool) {
    count[0] += 1;
    count[1] += usize::from(is_best);
}

/// The share of the best among `clients` with `best` over `base`, drawn to 1: the prior hits and misses
/// counted in.
pub(super) fn shrunk([clients, best]: [usize; 2], base: f64, recipe: &IdealRecipe) -> [f64; 2] {
    let pseudo = recipe.pseudo_clients;
    [
        best as f64 + pseudo * base,
        (clients - best) as f64 + pseudo * (1.0 - base),
    ]
}

/// All names of the buyers' attributes, in order.
pub(super) fn names<'a>(buyers: &[Buyer<'a>]) -> Vec<&'a Text> {
    let mut names: Vec<&Text> = buyers
        .iter()
        .flat_map(|buyer| buyer.attributes.keys())
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Tests all that enough buyers have, and that enough do not; how many these are.
pub(super) fn judged(buyers: &[Buyer<'_>], recipe: &IdealRecipe) -> (Vec<Trait>, usize) {
    let mut traits = Vec::new();
    for name in names(buyers) {
        let seen = Seen::of(name, buyers);
        let [known, known_best] = seen.known();
        if known_best == 0 || known_best == known {
            continue;
        }
        let base = known_best as f64 / known as f64;
        for (values, [clients, best]) in seen.candidates() {
            if clients.min(known - clients) < recipe.least_support {
                continue;
            }
            let [hits, misses] = shrunk([clients, best], base, recipe);
            traits.push(Trait {
                attribute: name.clone(),
                values,
                known,
                known_best,
                clients,
                best,
                lift: hits / (hits + misses) / base,
                interval: [0.0; 2],
                p_value: exact_p(known, known_best, clients, best),
                standing: Verdict::NotShown,
            });
        }
    }
    let p_values: Vec<f64> = traits.iter().map(|one| one.p_value).collect();
    let (passed, worst) = found(&p_values, recipe.false_share);
    for one in &mut traits {
        let chosen = one.p_value <= worst;
        let share = match chosen {
            true => recipe.false_share * passed as f64 / p_values.len() as f64,
            false => recipe.false_share,
        };
        let base = one.known_best as f64 / one.known as f64;
        let [hits, misses] = shrunk([one.clients, one.best], base, recipe);
        one.interval = interval(hits, misses, 1.0 - share).map(|end| end / base);
        one.standing = match one.best as f64 > one.clients as f64 * base {
            _ if !chosen => Verdict::NotShown,
            true => Verdict::Best,
            false => Verdict::Others,
        };
    }
    // The sort keeps the order of names and values among equals.
    traits.sort_by(|a, b| {
        a.p_value
            .total_cmp(&b.p_value)
            .then(b.clients.cmp(&a.clients))
    });
    (one_range_each(traits), p_values.len())
}

/// Of each number one range, since ranges that overlap say the same again: the first that is more frequent
/// among the best, else the first. What lies outside a range has its p-value, and says the same of others.
fn one_range_each(traits: Vec<Trait>) -> Vec<Trait> {
    let mut kept: BTreeMap<Text, usize> = BTreeMap::new();
    for (at, one) in traits.iter().enumerate() {
        if matches!(one.values, Values::Range { .. }) {
            let place = kept.entry(one.attribute.clone()).or_insert(at);
            if one.standing == Verdict::Best && traits[*place].standing != Verdict::Best {
                *place = at;
            }
        }
    }
    let stays = |at: usize, one: &Trait| match one.values {
        Values::Text(_) => true,
        Values::Range { .. } => kept.get(&one.attribute) == Some(&at),
    };
    let numbered = traits.into_iter().enumerate();
    numbered
        .filter(|(at, one)| stays(*at, one))
        .map(|(_, one)| one)
        .collect()
}
