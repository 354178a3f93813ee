//! Weighted quantiles.

use std::cmp::Ordering;

/// A number with a weight above 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weighted {
    /// The number.
    pub value: f64,
    /// Its weight.
    pub weight: f64,
}

/// Sorts by value; equal values may stand in any order, since only their weights add up.
pub fn sort(sample: &mut [Weighted]) {
    sample.sort_unstable_by(order);
}

/// Makes one sorted sample of two.
pub fn merge(a: &[Weighted], b: &[Weighted], merged: &mut Vec<Weighted>) {
    merged.clear();
    let mut rest = a;
    for one in b {
        let before = rest.iter().take_while(|other| order(other, one).is_le());
        let (before, after) = rest.split_at(before.count());
        merged.extend_from_slice(before);
        merged.push(*one);
        rest = after;
    }
    merged.extend_from_slice(rest);
}

fn order(a: &Weighted, b: &Weighted) -> Ordering {
    let by_value = a.value.total_cmp(&b.value);
    by_value.then(a.weight.total_cmp(&b.weight))
}

/// Quantiles of a sorted weighted sample, at levels in ascending order.
///
/// Each number stands at the middle of its own weight; between two numbers the quantile is
/// interpolated, beyond the first and the last it stays there. Equal weights give the quantiles of
/// Hazen (1914). `None` without weight. Cost: one pass.
pub fn quantiles<const N: usize>(sorted: &[Weighted], levels: &[f64; N]) -> Option<[f64; N]> {
    let total: f64 = sorted.iter().map(|item| item.weight).sum();
    let (first, last) = (sorted.first()?, sorted.last()?);
    if total <= 0.0 || !total.is_finite() {
        return None;
    }
    let mut found = [last.value; N];
    let (mut level, mut below) = (0, 0.0);
    let mut previous: Option<(f64, f64)> = None;
    for item in sorted {
        let middle = below + item.weight / 2.0;
        while level < N && levels[level] * total <= middle {
            found[level] = match previous {
                None => first.value,
                Some((at, value)) if middle > at => {
                    let share = (levels[level] * total - at) / (middle - at);
                    value + (item.value - value) * share.clamp(0.0, 1.0)
                }
                Some((_, value)) => value,
            };
            level += 1;
        }
        previous = Some((middle, item.value));
        below += item.weight;
    }
    Some(found)
}

/// The share of a sorted weighted sample that lies below a value, equal ones counted half.
pub fn standing(sorted: &[Weighted], value: f64) -> f64 {
    let total: f64 = sorted.iter().map(|item| item.weight).sum();
    if total <= 0.0 {
        return 0.5;
    }
    let below: f64 = sorted
        .iter()
        .map(|item| match item.value.total_cmp(&value) {
            std::cmp::Ordering::Less => item.weight,
            std::cmp::Ordering::Equal => item.weight / 2.0,
            std::cmp::Ordering::Greater => 0.0,
        })
        .sum();
    (below / total).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn equal_weights_give_the_usual_quantiles() {
        let sorted = [1.0, 2.0, 3.0, 4.0].map(|value| Weighted { value, weight: 2.0 });
        assert_eq!(
            quantiles(&sorted, &[0.0, 0.25, 0.5, 1.0]),
            Some([1.0, 1.5, 2.5, 4.0])
        );
        assert_eq!(quantiles(&[], &[0.5]), None);
        assert!((standing(&sorted, 3.0) - 0.625).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn two_sorted_samples_are_merged_as_if_sorted_together(
            a in prop::collection::vec((-3i8..3, 1u8..4), 0..12),
            b in prop::collection::vec((-3i8..3, 1u8..4), 0..12),
        ) {
            let sample = |of: &[(i8, u8)]| {
                let weighted = |&(value, weight): &(i8, u8)| Weighted {
                    value: value.into(),
                    weight: weight.into(),
                };
                let mut sample: Vec<Weighted> = of.iter().map(weighted).collect();
                sort(&mut sample);
                sample
            };
            let (mut merged, mut together) = (Vec::new(), sample(&[&a[..], &b[..]].concat()));
            merge(&sample(&a), &sample(&b), &mut merged);
            sort(&mut together);
            prop_assert_eq!(merged, together);
        }

        #[test]
        fn quantiles_never_cross_and_stay_within_the_sample(
            sample in prop::collection::vec((-5.0f64..5.0, 1e-6f64..10.0), 1..30),
        ) {
            let mut sorted: Vec<_> = sample
                .iter()
                .map(|&(value, weight)| Weighted { value: value.round(), weight })
                .collect();
            sort(&mut sorted);
            let found = quantiles(&sorted, &[0.05, 0.2, 0.5, 0.8, 0.9, 0.99]).unwrap();
            prop_assert!(found.windows(2).all(|pair| pair[0] <= pair[1]));
            prop_assert!(found[0] >= sorted[0].value && found[5] <= sorted[sorted.len() - 1].value);
        }
    }
}
