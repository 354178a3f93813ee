//! Probabilities: whether of a hundred pairs given 7 % about seven are taken up.

use serde::Serialize;

/// Probabilities are read within these bounds, so that a logarithm is finite.
const BOUND: f64 = 1e-6;
/// Bins of equal count.
const BINS: usize = 10;

/// How much probabilities say, and whether they mean what they say.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Calibration {
    /// Pairs.
    pub pairs: usize,
    /// Share that was taken up.
    pub rate: f64,
    /// Mean probability over that share: 1 where sums come out right.
    pub mean_over_rate: f64,
    /// 1 less the log-loss over that of giving every pair the rate: 0 says nothing, 1 all.
    pub skill: f64,
    /// Expected calibration error: mean distance of probability and rate over ten bins.
    pub ece: f64,
    /// Mean squared distance of probability and what came (Brier, 1950).
    pub brier: f64,
    /// Chance that a pair taken up stands above one that was not; equals count half.
    pub auc: f64,
    /// Ten bins of equal count, lowest first.
    pub bins: Vec<Bin>,
}

/// Pairs of about one probability.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bin {
    /// Pairs in it.
    pub pairs: usize,
    /// Their mean probability.
    pub probability: f64,
    /// Share of them that was taken up.
    pub rate: f64,
}

/// Measures `(probability, taken up)` pairs. `None` where all or none were. Cost: a sort.
pub fn calibration(pairs: &[(f64, bool)]) -> Option<Calibration> {
    let mut sorted: Vec<(f64, bool)> = pairs
        .iter()
        .map(|(probability, hit)| (probability.clamp(BOUND, 1.0 - BOUND), *hit))
        .collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let hits = sorted.iter().filter(|pair| pair.1).count();
    if hits == 0 || hits == sorted.len() {
        return None;
    }
    let (count, hits) = (sorted.len() as f64, hits as f64);
    let rate = hits / count;
    let mean = |of: &dyn Fn(&(f64, bool)) -> f64| sorted.iter().map(of).sum::<f64>() / count;
    let loss = mean(&|&(p, hit)| -if hit { p.ln() } else { (1.0 - p).ln() });
    let blind = -(rate * rate.ln() + (1.0 - rate) * (1.0 - rate).ln());
    let bins = bins(&sorted);
    let gap = |bin: &Bin| bin.pairs as f64 / count * (bin.probability - bin.rate).abs();
    Some(Calibration {
        pairs: sorted.len(),
        rate,
        mean_over_rate: mean(&|pair| pair.0) / rate,
        skill: 1.0 - loss / blind,
        ece: bins.iter().map(gap).sum(),
        brier: mean(&|&(p, hit)| (p - f64::from(u8::from(hit))).powi(2)),
        auc: auc(&sorted, hits),
        bins,
    })
}

/// Parts of equal count; the first ones hold one more where it does not divide.
fn bins(sorted: &[(f64, bool)]) -> Vec<Bin> {
    let (each, over) = (sorted.len() / BINS, sorted.len() % BINS);
    let mut left = sorted;
    let mut bins = Vec::new();
    for at in 0..BINS {
        let (bin, rest) = left.split_at(each + usize::from(at < over));
        left = rest;
        if bin.is_empty() {
            continue;
        }
        let count = bin.len() as f64;
        bins.push(Bin {
            pairs: bin.len(),
            probability: bin.iter().map(|pair| pair.0).sum::<f64>() / count,
            rate: bin.iter().filter(|pair| pair.1).count() as f64 / count,
        });
    }
    bins
}

/// The rank sum of the pairs taken up, equal probabilities at their middle rank.
fn auc(sorted: &[(f64, bool)], hits: f64) -> f64 {
    let (mut ranks, mut below) = (0.0, 0.0);
    for equal in sorted.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
        let count = equal.len() as f64;
        let taken = equal.iter().filter(|pair| pair.1).count() as f64;
        ranks += taken * (below + f64::midpoint(count, 1.0));
        below += count;
    }
    (ranks - hits * (hits + 1.0) / 2.0) / (hits * (sorted.len() as f64 - hits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn figures_worked_by_hand() {
        let pairs = [(0.8, true), (0.6, false), (0.4, true), (0.2, false)];
        let found = calibration(&pairs).unwrap();
        assert!((found.rate - 0.5).abs() < 1e-12);
        assert!((found.mean_over_rate - 1.0).abs() < 1e-12);
        let loss = -(0.8_f64.ln() + 0.4_f64.ln() + 0.4_f64.ln() + 0.8_f64.ln()) / 4.0;
        assert!((found.skill - (1.0 - loss / 2.0_f64.ln())).abs() < 1e-12);
        // Four bins of one: .2, .6, .6 and .2 away.
        assert!((found.ece - 0.4).abs() < 1e-12);
        assert!((found.brier - (0.04 + 0.36 + 0.36 + 0.04) / 4.0).abs() < 1e-12);
        assert!((found.auc - 0.75).abs() < 1e-12);
        assert_eq!(found.bins.len(), 4);
    }

    #[test]
    fn the_rate_for_every_pair_has_no_skill_and_no_error() {
        let pairs: Vec<(f64, bool)> = (0..1_000).map(|at| (0.1, at % 10 == 3)).collect();
        let found = calibration(&pairs).unwrap();
        assert!(found.skill.abs() < 1e-9 && found.ece < 1e-9);
        assert!((found.auc - 0.5).abs() < 1e-12);
        assert_eq!(calibration(&[(0.5, true)]), None);
        assert_eq!(calibration(&[]), None);
        let sure = calibration(&[(0.0, true), (1.0, false)]).unwrap();
        assert!(sure.skill.is_finite() && sure.skill < 0.0);
    }

    proptest! {
        #[test]
        fn auc_is_the_share_of_pairs_in_the_right_order(
            pairs in prop::collection::vec((1_u8..10, any::<bool>()), 2..80),
        ) {
            let pairs: Vec<(f64, bool)> =
                pairs.into_iter().map(|(p, hit)| (f64::from(p) / 10.0, hit)).collect();
            if let Some(found) = calibration(&pairs) {
                let (mut right, mut all) = (0.0, 0.0);
                for taken in pairs.iter().filter(|pair| pair.1) {
                    for not in pairs.iter().filter(|pair| !pair.1) {
                        all += 1.0;
                        right += match taken.0.total_cmp(&not.0) {
                            std::cmp::Ordering::Greater => 1.0,
                            std::cmp::Ordering::Equal => 0.5,
                            std::cmp::Ordering::Less => 0.0,
                        };
                    }
                }
                prop_assert!((found.auc - right / all).abs() < 1e-9);
                let counted: usize = found.bins.iter().map(|bin| bin.pairs).sum();
                prop_assert_eq!(counted, pairs.len());
                let mean = found.bins.iter().map(|bin| bin.rate * bin.pairs as f64).sum::<f64>();
                prop_assert!((mean / pairs.len() as f64 - found.rate).abs() < 1e-9);
            }
        }
    }
}
