//! A client as numbers that can be clustered: what it buys, how much, what it is.

use std::collections::BTreeMap;

use crate::domain::{Attribute, Text};
use crate::matrix::Cell;
use crate::recommend::SegmentsRecipe;

/// A client as it is to be clustered.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    /// What it spends, by product.
    pub cells: &'a [Cell],
    /// What it is.
    pub attributes: &'a BTreeMap<Text, Attribute>,
}

/// What one number of a client says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feature {
    /// The share of its money that goes to a group of products: a category, or a product where there
    /// are none; empty for all others.
    Mix(Text),
    /// What it spends per period, in minor units.
    Size,
    /// A number that it has.
    Number(Text),
    /// Whether an attribute has a value.
    Value(Text, Text),
}

/// How the clients of a book are turned into numbers. Each block (mix, size, profile) has the variance
/// that the recipe gives it, shared among its numbers as the clients do. Of shares the roots count, of
/// what is spent the logarithm, and a number by its standard deviations.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Features {
    /// The mix's place of each product; the last is for all others.
    group_of: Vec<usize>,
    groups: Vec<Text>,
    /// Mean and standard deviation of each number.
    numbers: BTreeMap<Text, [f64; 2]>,
    values: Vec<(Text, Text)>,
    /// A number counts at most this many standard deviations.
    most_deviations: f64,
    means: Vec<f64>,
    scales: Vec<f64>,
}

impl Features {
    /// Learns how to turn clients into numbers. `names` are the products' groups by number. Cost: the
    /// tickets and attributes, three times.
    pub(super) fn learn(members: &[Member<'_>], names: &[Text], recipe: &SegmentsRecipe) -> Self {
        let mut features = Self {
            most_deviations: recipe.most_deviations,
            ..Self::default()
        };
        features.learn_groups(members, names, recipe);
        features.learn_attributes(members, recipe);
        let width = features.names().len();
        let (mut sums, mut squares, mut counts) =
            (vec![0.0; width], vec![0.0; width], vec![0_usize; width]);
        for member in members {
            for (at, value) in features.bent(*member).into_iter().enumerate() {
                if !value.is_nan() {
                    sums[at] += value;
                    squares[at] += value * value;
                    counts[at] += 1;
                }
            }
        }
        let count = |at: usize| counts[at].max(1) as f64;
        features.means = (0..width).map(|at| sums[at] / count(at)).collect();
        // Whoever lacks a number stands at its mean, and so adds nothing to the variance.
        let all = members.len().max(1) as f64;
        let variance = |at: usize| {
            let of_these = (squares[at] / count(at) - features.means[at].powi(2)).max(0.0);
            of_these * counts[at] as f64 / all
        };
        let size = features.groups.len();
        let blocks = [
            (0..size, recipe.mix_weight),
            (size..size + 1, recipe.size_weight),
            (size + 1..width, recipe.profile_weight),
        ];
        features.scales = vec![0.0; width];
        for (block, weight) in blocks {
            let total: f64 = block.clone().map(variance).sum();
            if total > 1e-12 {
                features.scales[block].fill((weight / total).sqrt());
            }
        }
        features
    }

    fn learn_groups(&mut self, members: &[Member<'_>], names: &[Text], recipe: &SegmentsRecipe) {
        let mut money: BTreeMap<&Text, f64> = BTreeMap::new();
        for cell in members.iter().flat_map(|member| member.cells) {
            if let Some(name) = names.get(cell.product.index()) {
                *money.entry(name).or_default() += f64::from(cell.ticket);
            }
        }
        let mut order: Vec<(&Text, f64)> = money.into_iter().collect();
        order.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
        order.truncate(recipe.groups);
        let places: BTreeMap<&Text, usize> = order.iter().map(|(name, _)| *name).zip(0..).collect();
        let others = order.len();
        let place = |name: &Text| places.get(name).copied().unwrap_or(others);
        self.group_of = names.iter().map(place).collect();
        self.groups = order.iter().map(|(name, _)| (*name).clone()).collect();
        self.groups.push(Text::default());
    }

    fn learn_attributes(&mut self, members: &[Member<'_>], recipe: &SegmentsRecipe) {
        let mut numbers: BTreeMap<&Text, Vec<f64>> = BTreeMap::new();
        let mut values: BTreeMap<&Text, BTreeMap<&Text, usize>> = BTreeMap::new();
        for (name, attribute) in members.iter().flat_map(|member| member.attributes) {
            match attribute {
                Attribute::Number(number) => numbers.entry(name).or_default().push(*number),
                Attribute::Text(text) => {
                    *values.entry(name).or_default().entry(text).or_default() += 1;
                }
            }
        }
        for (name, numbers) in numbers {
            let count = numbers.len() as f64;
            let mean = numbers.iter().sum::<f64>() / count;
            let variance = numbers.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / count;
            if variance > 0.0 && variance.is_finite() {
                self.numbers.insert(name.clone(), [mean, variance.sqrt()]);
            }
        }
        let least = recipe.least_value_share * members.len() as f64;
        for (name, counts) in values {
            let mut order: Vec<(&Text, usize)> = counts.into_iter().collect();
            order.retain(|(_, count)| {
                *count as f64 >= least && *count >= 2 && *count < members.len()
            });
            order.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
            let kept = order.into_iter().take(recipe.values);
            self.values
                .extend(kept.map(|(value, _)| (name.clone(), value.clone())));
        }
    }

    /// What the numbers of a client say, in their order.
    pub(super) fn names(&self) -> Vec<Feature> {
        let mix = self.groups.iter().cloned().map(Feature::Mix);
        let numbers = self.numbers.keys().cloned().map(Feature::Number);
        let values = self
            .values
            .iter()
            .cloned()
            .map(|(name, value)| Feature::Value(name, value));
        mix.chain([Feature::Size])
            .chain(numbers)
            .chain(values)
            .collect()
    }

    /// A client's numbers as people say them; NaN where it does not have one.
    pub(super) fn plain(&self, member: Member<'_>) -> Vec<f64> {
        let mut row = vec![0.0; self.groups.len()];
        let others = self.groups.len() - 1;
        let mut total = 0.0;
        for cell in member.cells {
            let group = self.group_of.get(cell.product.index()).copied();
            row[group.unwrap_or(others)] += f64::from(cell.ticket);
            total += f64::from(cell.ticket);
        }
        for share in &mut row {
            *share = (*share / f64::max(total, 1.0)).clamp(0.0, 1.0);
        }
        row.push(f64::max(total, 1.0));
        row.extend(
            self.numbers
                .keys()
                .map(|name| match member.attributes.get(name) {
                    Some(Attribute::Number(number)) => *number,
                    _ => f64::NAN,
                }),
        );
        row.extend(
            self.values
                .iter()
                .map(|(name, value)| match member.attributes.get(name) {
                    Some(Attribute::Text(text)) => f64::from(u8::from(text == value)),
                    Some(Attribute::Number(_)) => 0.0,
                    None => f64::NAN,
                }),
        );
        row
    }

    /// The same on scales that clusters can be told apart on.
    fn bent(&self, member: Member<'_>) -> Vec<f64> {
        let mut row = self.plain(member);
        let size = self.groups.len();
        for share in &mut row[..size] {
            *share = share.sqrt();
        }
        row[size] = row[size].ln();
        let numbers = row[size + 1..].iter_mut().zip(self.numbers.values());
        for (number, [mean, deviation]) in numbers {
            let most = self.most_deviations;
            *number = ((*number - mean) / deviation).clamp(-most, most);
        }
        row
    }

    /// A client's numbers as they are clustered: about their means, each block of its own variance.
    pub(super) fn of(&self, member: Member<'_>) -> Vec<f64> {
        let mut row = self.bent(member);
        for ((value, mean), scale) in row.iter_mut().zip(&self.means).zip(&self.scales) {
            let scaled = (*value - mean) * scale;
            *value = if scaled.is_nan() { 0.0 } else { scaled };
        }
        row
    }
}
