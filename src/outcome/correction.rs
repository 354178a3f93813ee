//! Probabilities corrected by outcomes, where that foretells outcomes better.

use crate::domain::ClientNo;
use crate::recommend::adoption::logistic;

/// Parts that the outcomes are dealt into by client; each is foretold from the others.
const FOLDS: u32 = 5;
/// Fewer wins, or fewer offers not won, say nothing of the odds.
const LEAST_OF_EACH: usize = 20;
/// Weight of the belief that nothing needs correcting, in outcomes.
const RIDGE: f64 = 10.0;
/// The factor stays above this, so that a correction never turns the order round.
const LEAST_SCALE: f64 = 0.05;
/// Log odds are kept within these, as everywhere.
const MOST_LOG_ODDS: f64 = 15.0;

/// An offer that was shown and came to an end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Resolved {
    /// To whom.
    pub client: ClientNo,
    /// The probability from the history alone.
    pub probability: f64,
    /// Whether it was won.
    pub won: bool,
}

/// log odds → `shift` + `scale` × log odds (Platt, *Probabilistic outputs for support vector
/// machines*, 1999, on log odds).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Correction {
    /// Added to the log odds.
    pub shift: f64,
    /// The factor of the log odds, above 0.
    pub scale: f64,
}

/// What outcomes say of the probabilities.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Learnt {
    /// Outcomes that were learnt from.
    pub outcomes: usize,
    /// The correction that fits all of them best.
    pub correction: Correction,
    /// Mean log loss of outcomes held out, as the probabilities are.
    pub loss_before: f64,
    /// The same, corrected by what the other outcomes say.
    pub loss_after: f64,
    /// Whether that is surely better: by more than one standard error.
    pub in_use: bool,
}

impl Correction {
    /// Leaves probabilities as they are.
    pub const NONE: Self = Self {
        shift: 0.0,
        scale: 1.0,
    };

    /// A corrected probability.
    pub fn apply(&self, probability: f64) -> f64 {
        if *self == Self::NONE {
            return probability;
        }
        bounded(self.shift + self.scale * log_odds(probability))
    }

    /// The probability that this one was corrected from.
    pub fn undo(&self, corrected: f64) -> f64 {
        if *self == Self::NONE {
            return corrected;
        }
        bounded((log_odds(corrected) - self.shift) / self.scale)
    }

    /// Learns from outcomes; `None` with fewer than `least` or too few of either end.
    pub fn learn(resolved: &[Resolved], least: usize) -> Option<Learnt> {
        let wins = resolved.iter().filter(|one| one.won).count();
        if resolved.len() < least || wins.min(resolved.len() - wins) < LEAST_OF_EACH {
            return None;
        }
        let mut gains = Vec::with_capacity(resolved.len());
        let (mut before, mut after) = (0.0, 0.0);
        for fold in 0..FOLDS {
            let held = |one: &&Resolved| one.client.0 % FOLDS == fold;
            let others = resolved.iter().filter(|one| !held(one));
            let correction = fit(others.copied());
            for one in resolved.iter().filter(held) {
                let plain = loss(one.probability, one.won);
                let corrected = loss(correction.apply(one.probability), one.won);
                before += plain;
                after += corrected;
                gains.push(plain - corrected);
            }
        }
        let n = resolved.len() as f64;
        let mean = gains.iter().sum::<f64>() / n;
        let variance = gains.iter().map(|gain| (gain - mean).powi(2)).sum::<f64>() / (n - 1.0);
        Some(Learnt {
            outcomes: resolved.len(),
            correction: fit(resolved.iter().copied()),
            loss_before: before / n,
            loss_after: after / n,
            in_use: mean > (variance / n).sqrt(),
        })
    }
}

impl Learnt {
    /// The correction that serves.
    pub fn serving(&self) -> Correction {
        match self.in_use {
            true => self.correction,
            false => Correction::NONE,
        }
    }
}

/// ln(p / (1 − p)), kept within ±15.
fn log_odds(probability: f64) -> f64 {
    (probability / (1.0 - probability))
        .ln()
        .clamp(-MOST_LOG_ODDS, MOST_LOG_ODDS)
}

fn bounded(z: f64) -> f64 {
    logistic(z.clamp(-MOST_LOG_ODDS, MOST_LOG_ODDS))
}

fn loss(probability: f64, won: bool) -> f64 {
    let p = probability.clamp(1e-9, 1.0 - 1e-9);
    -(if won { p } else { 1.0 - p }).ln()
}

/// Newton's method on the log loss, with a ridge towards no correction.
fn fit(resolved: impl Iterator<Item = Resolved>) -> Correction {
    const STEPS: usize = 50;
    let rows: Vec<(f64, f64)> = resolved
        .map(|one| (log_odds(one.probability), f64::from(u8::from(one.won))))
        .collect();
    let (mut shift, mut scale) = (0.0, 1.0);
    for _ in 0..STEPS {
        // Gradient and Hessian; a quarter is the most that one outcome weighs.
        let ridge = RIDGE / 4.0;
        let (mut g0, mut g1) = (ridge * shift, ridge * (scale - 1.0));
        let (mut h00, mut h01, mut h11) = (ridge, 0.0, ridge);
        for (z, won) in &rows {
            let p = bounded(shift + scale * z);
            let weight = p * (1.0 - p);
            g0 += p - won;
            g1 += (p - won) * z;
            h00 += weight;
            h01 += weight * z;
            h11 += weight * z * z;
        }
        let determinant = h00 * h11 - h01 * h01;
        let (step0, step1) = (
            (h11 * g0 - h01 * g1) / determinant,
            (h00 * g1 - h01 * g0) / determinant,
        );
        shift -= step0;
        scale = f64::max(scale - step1, LEAST_SCALE);
        if step0.abs() + step1.abs() < 1e-10 {
            break;
        }
    }
    Correction { shift, scale }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Outcomes of offers whose true log odds are `shift + scale × z`, by a fixed sequence.
    fn outcomes(n: u32, shift: f64, scale: f64) -> Vec<Resolved> {
        let mut state = 7_u64;
        let mut uniform = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        (0..n)
            .map(|client| {
                let probability = 0.02 + 0.5 * uniform();
                let truth = bounded(shift + scale * log_odds(probability));
                Resolved {
                    client: ClientNo(client),
                    probability,
                    won: uniform() < truth,
                }
            })
            .collect()
    }

    #[test]
    fn a_true_distortion_is_found_and_used() {
        let learnt = Correction::learn(&outcomes(4_000, 1.0, 0.6), 200).unwrap();
        assert!(learnt.in_use, "{learnt:?}");
        assert!((learnt.correction.shift - 1.0).abs() < 0.25, "{learnt:?}");
        assert!((learnt.correction.scale - 0.6).abs() < 0.15, "{learnt:?}");
        assert!(learnt.loss_after < learnt.loss_before);
    }

    #[test]
    fn probabilities_that_are_right_are_mostly_left_alone() {
        let used = (0..100)
            .filter(|seed| {
                let all = outcomes(300 * 101, 0.0, 1.0);
                let part = &all[seed * 300..(seed + 1) * 300];
                Correction::learn(part, 200).is_some_and(|learnt| learnt.in_use)
            })
            .count();
        assert!(used <= 10, "{used} of 100");
    }

    #[test]
    fn too_few_outcomes_say_nothing() {
        assert_eq!(Correction::learn(&outcomes(199, 1.0, 1.0), 200), None);
        let mut none_won = outcomes(500, 0.0, 1.0);
        for one in &mut none_won {
            one.won = false;
        }
        assert_eq!(Correction::learn(&none_won, 200), None);
        assert!((Correction::NONE.apply(0.3) - 0.3).abs() < f64::EPSILON);
    }

    #[test]
    fn a_correction_is_undone() {
        let correction = Correction {
            shift: 0.7,
            scale: 0.4,
        };
        for probability in [1e-4, 0.03, 0.5, 0.99] {
            let back = correction.undo(correction.apply(probability));
            assert!((back - probability).abs() < 1e-12, "{probability} {back}");
        }
    }
}
