//! Tickets that were hidden, against the quantiles foretold for them.

use serde::Serialize;

/// The quantile levels that are measured.
pub const LEVELS: [f64; 3] = [0.5, 0.8, 0.9];

/// Quantiles foretold as nothing count as this many minor units, so that their logarithm is finite.
const LEAST_MINOR: f64 = 1e-7;

/// How well the quantiles of hidden tickets were foretold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Potential {
    /// Hidden tickets.
    pub tickets: usize,
    /// One figure a level of [`LEVELS`].
    pub levels: [QuantileFit; LEVELS.len()],
}

/// One quantile.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct QuantileFit {
    /// The level that was meant: the share of tickets that are to be at or under it.
    pub level: f64,
    /// The share that is.
    pub coverage: f64,
    /// Mean pinball loss of the logarithms (Koenker, Bassett, Econometrica 1978).
    pub log_pinball: f64,
}

/// Measures `(quantiles, real)` of hidden tickets.
pub fn potential(cells: impl IntoIterator<Item = ([f64; 3], f64)>) -> Option<Potential> {
    let mut tickets = 0_usize;
    let mut levels = LEVELS.map(|level| QuantileFit {
        level,
        ..QuantileFit::default()
    });
    for (quantiles, real) in cells {
        tickets += 1;
        for (fit, quantile) in levels.iter_mut().zip(quantiles) {
            let quantile = quantile.max(LEAST_MINOR);
            let over = real.ln() - quantile.ln();
            fit.log_pinball += (fit.level * over).max((fit.level - 1.0) * over);
            fit.coverage += f64::from(u8::from(real <= quantile));
        }
    }
    for fit in &mut levels {
        fit.log_pinball /= tickets as f64;
        fit.coverage /= tickets as f64;
    }
    (tickets > 0).then_some(Potential { tickets, levels })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn figures_worked_by_hand() {
        let e = std::f64::consts::E;
        // The first real ticket is e times each quantile, the second a half of each.
        let found = potential([([10.0; 3], 10.0 * e), ([10.0; 3], 5.0)]).unwrap();
        let [half, most, more] = found.levels;
        let ln2 = 2.0_f64.ln();
        assert!((half.log_pinball - f64::midpoint(0.5, 0.5 * ln2)).abs() < 1e-12);
        assert!((most.log_pinball - f64::midpoint(0.8, 0.2 * ln2)).abs() < 1e-12);
        assert!((more.log_pinball - f64::midpoint(0.9, 0.1 * ln2)).abs() < 1e-12);
        assert!(
            found
                .levels
                .iter()
                .all(|fit| (fit.coverage - 0.5).abs() < 1e-12)
        );
        assert_eq!(potential([]), None);
    }

    proptest! {
        #[test]
        fn no_constant_beats_the_quantile_of_the_tickets_itself(
            tickets in prop::collection::vec(1.0_f64..1_000.0, 1..60),
            other in 1.0_f64..1_000.0,
        ) {
            let mut sorted = tickets.clone();
            sorted.sort_by(f64::total_cmp);
            let best = LEVELS.map(|level| {
                let at = (level * sorted.len() as f64).ceil() as usize;
                sorted[at.clamp(1, sorted.len()) - 1]
            });
            let of = |quantiles: [f64; 3]| potential(tickets.iter().map(|&real| (quantiles, real)));
            let (best, other) = (of(best).unwrap(), of([other; 3]).unwrap());
            for (best, other) in best.levels.iter().zip(other.levels) {
                prop_assert!(best.log_pinball <= other.log_pinball + 1e-9);
                prop_assert!(best.coverage >= best.level - 1e-9);
            }
        }
    }
}
