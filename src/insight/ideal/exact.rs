//! Tests of counts, and what may be said of many of them.

use statrs::function::beta::beta_reg;
use statrs::function::factorial::ln_factorial;

/// Tables this near to the one seen count as no less likely; sums of logarithms are not exact.
const SAME: f64 = 1e-7;
/// Halvings of the line from 0 to 1 in a search for a quantile.
const HALVINGS: usize = 60;

/// Fisher's exact test, two-sided: of `all` clients `best` are best and `with` have a trait; how likely
/// is it that as many as `both` are and have, or anything less likely than that, where the trait tells
/// nothing? Cost: the smaller of `best` and `with`.
pub(super) fn exact_p(all: usize, best: usize, with: usize, both: usize) -> f64 {
    let low = (best + with).saturating_sub(all);
    let high = best.min(with);
    let ln_weight = |both: usize| {
        let cells = [both, best - both, with - both, all + both - best - with];
        -cells
            .iter()
            .map(|cell| ln_factorial(*cell as u64))
            .sum::<f64>()
    };
    let weights: Vec<f64> = (low..=high).map(ln_weight).collect();
    let largest = weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let seen = (ln_weight(both) - largest).exp() * (1.0 + SAME);
    let shares = weights.iter().map(|weight| (weight - largest).exp());
    let total: f64 = shares.clone().sum();
    let rarer: f64 = shares.filter(|share| *share <= seen).sum();
    (rarer / total).min(1.0)
}

/// How many of some p-values may be called found where at most `false_share` of those called so may be
/// false (Benjamini and Hochberg): the largest `k` whose `k`-th smallest is at most `k ÷ all of them ×
/// false_share`, and that p-value.
pub(super) fn found(p_values: &[f64], false_share: f64) -> (usize, f64) {
    let mut sorted = p_values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let all = sorted.len() as f64;
    let passes = |at: &usize| sorted[*at] <= (*at + 1) as f64 / all * false_share;
    match (0..sorted.len()).rev().find(passes) {
        Some(at) => (at + 1, sorted[at]),
        None => (0, -1.0),
    }
}

/// The interval that holds a share with this confidence, of which `hits` and `misses` were seen, prior
/// ones counted (quantiles of the beta distribution).
pub(super) fn interval(hits: f64, misses: f64, confidence: f64) -> [f64; 2] {
    let tail = (1.0 - confidence) / 2.0;
    [tail, 1.0 - tail].map(|level| {
        let (mut low, mut high) = (0.0_f64, 1.0_f64);
        for _ in 0..HALVINGS {
            let middle = low.midpoint(high);
            match beta_reg(hits, misses, middle) < level {
                true => low = middle,
                false => high = middle,
            }
        }
        low.midpoint(high)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fishers_test_agrees_with_the_lady_who_tasted_tea() {
        // Fisher 1935: of 8 cups 4 had milk first. All right: 1 in 70 each way; three right: 17 in 70.
        assert!((exact_p(8, 4, 4, 4) - 2.0 / 70.0).abs() < 1e-12);
        assert!((exact_p(8, 4, 4, 3) - 34.0 / 70.0).abs() < 1e-12);
        assert!((exact_p(8, 4, 4, 2) - 1.0).abs() < 1e-12);
        assert!((exact_p(10, 10, 5, 5) - 1.0).abs() < 1e-12);
        // scipy.stats.fisher_exact([[12, 8], [30, 150]])
        let p = exact_p(200, 42, 20, 12);
        assert!((p - 6.256_675_058_9e-5).abs() < 1e-13, "{p}");
    }

    #[test]
    fn as_many_are_found_as_benjamini_and_hochberg_allow() {
        assert_eq!(found(&[0.04, 0.001, 0.02, 0.5], 0.05), (2, 0.02));
        // The third passes although the second alone does not.
        assert_eq!(found(&[0.03, 0.01, 0.035, 0.9], 0.05), (3, 0.035));
        assert_eq!(found(&[0.2, 0.9], 0.05).0, 0);
        assert_eq!(found(&[], 0.05).0, 0);
    }

    #[test]
    fn an_interval_is_one_of_the_beta_distribution() {
        // scipy.stats.beta.ppf([.025, .975], 3, 9)
        let [low, high] = interval(3.0, 9.0, 0.95);
        assert!((low - 0.060_217_73).abs() < 1e-7, "{low}");
        assert!((high - 0.517_755_9).abs() < 1e-6, "{high}");
    }
}
