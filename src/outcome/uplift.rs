//! What showing offers earned: clients that were shown them beside clients that were held out.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// Clients of each arm under which nothing is claimed.
pub const LEAST_CLIENTS: usize = 20;
/// The level of the interval's upper end: 95 % lie between it and the lower one.
const UPPER: f64 = 0.975;

/// Clients that were treated alike: for each what could be expected of it before, and what came, in
/// minor units a month.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Arm {
    /// (expected, came).
    pub clients: Vec<(f64, f64)>,
}

/// What may be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Under [`LEAST_CLIENTS`] on either side.
    TooLittle,
    /// The interval holds 0.
    NotShown,
    /// The whole interval is above 0.
    Gain,
    /// The whole interval is below 0.
    Loss,
}

/// The difference that showing made, a client and month, in minor units.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Uplift {
    /// Clients that were shown offers.
    pub shown_clients: usize,
    /// Clients that were held out.
    pub held_out_clients: usize,
    /// What came of those shown.
    pub shown_mean: f64,
    /// What came of those held out, brought to what was expected of those shown.
    pub held_out_mean: f64,
    /// The difference.
    pub uplift: f64,
    /// Its 95 % interval.
    pub interval: [f64; 2],
    /// What may be said.
    pub verdict: Verdict,
}

/// Compares two arms.
///
/// Each arm's sales are a line in what was expected (regression adjustment with a slope an arm: Lin,
/// *Agnostic notes on regression adjustments to experimental data*, 2013), read where the shown
/// clients stand; the variance is that of the lines' heights with each residual over one minus its
/// leverage (HC3), the interval Student's with Satterthwaite's degrees of freedom.
pub fn uplift(shown: &Arm, held_out: &Arm) -> Uplift {
    let at = mean(shown.clients.iter().map(|client| client.0));
    let (treated, control) = (Line::of(shown, at), Line::of(held_out, at));
    let uplift = treated.height - control.height;
    let (v1, v0) = (treated.variance, control.variance);
    let enough = shown.clients.len().min(held_out.clients.len()) >= LEAST_CLIENTS;
    let freedom = (v1 + v0).powi(2) / (v1.powi(2) / treated.freedom + v0.powi(2) / control.freedom);
    let half = match enough && v1 + v0 > 0.0 {
        true => student(freedom) * (v1 + v0).sqrt(),
        false => 0.0,
    };
    let interval = [uplift - half, uplift + half];
    let verdict = match (enough, interval) {
        (false, _) => Verdict::TooLittle,
        (true, [low, _]) if low > 0.0 => Verdict::Gain,
        (true, [_, high]) if high < 0.0 => Verdict::Loss,
        _ => Verdict::NotShown,
    };
    Uplift {
        shown_clients: shown.clients.len(),
        held_out_clients: held_out.clients.len(),
        shown_mean: treated.height,
        held_out_mean: control.height,
        uplift,
        interval,
        verdict,
    }
}

fn student(freedom: f64) -> f64 {
    // With 20 clients an arm there are degrees of freedom enough for the distribution to exist.
    StudentsT::new(0.0, 1.0, freedom.max(1.0)).map_or(f64::INFINITY, |t| t.inverse_cdf(UPPER))
}

/// A line through an arm, read at one point.
struct Line {
    height: f64,
    /// Of the height.
    variance: f64,
    freedom: f64,
}

impl Line {
    fn of(arm: &Arm, at: f64) -> Self {
        let n = arm.clients.len() as f64;
        if arm.clients.len() < 3 {
            return Self {
                height: mean(arm.clients.iter().map(|client| client.1)),
                variance: 0.0,
                freedom: 1.0,
            };
        }
        let (mx, my) = (
            mean(arm.clients.iter().map(|client| client.0)),
            mean(arm.clients.iter().map(|client| client.1)),
        );
        let sxx: f64 = arm.clients.iter().map(|(x, _)| (x - mx).powi(2)).sum();
        let sxy: f64 = arm.clients.iter().map(|(x, y)| (x - mx) * (y - my)).sum();
        // Clients of whom the same was expected have no line.
        let flat = sxx <= 1e-12 * (1.0 + mx * mx) * n;
        let slope = if flat { 0.0 } else { sxy / sxx };
        let terms = arm.clients.iter().map(|(x, y)| {
            let lean = if flat { 0.0 } else { (x - mx) / sxx };
            let residual = y - my - slope * (x - mx);
            let leverage = 1.0 / n + lean * (x - mx);
            let weight = 1.0 / n + (at - mx) * lean;
            (weight * residual / (1.0 - leverage).max(1e-6)).powi(2)
        });
        Self {
            height: my + slope * (at - mx),
            variance: terms.sum(),
            freedom: n - if flat { 1.0 } else { 2.0 },
        }
    }
}

/// The mean; 0 of nothing.
fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let n = values.len();
    match n {
        0 => 0.0,
        _ => values.sum::<f64>() / n as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arm(clients: &[(f64, f64)]) -> Arm {
        Arm {
            clients: clients.to_vec(),
        }
    }

    #[test]
    fn what_was_expected_is_taken_off_and_the_rest_is_the_uplift() {
        // Sales are twice what was expected, and 5 more where offers were shown.
        let shown: Vec<_> = (0..40)
            .map(|i| (f64::from(i), 2.0 * f64::from(i) + 5.0))
            .collect();
        let held: Vec<_> = (0..25)
            .map(|i| (3.0 * f64::from(i), 6.0 * f64::from(i)))
            .collect();
        let found = uplift(&arm(&shown), &arm(&held));
        assert!((found.uplift - 5.0).abs() < 1e-9, "{found:?}");
        assert_eq!(found.verdict, Verdict::Gain);
    }

    #[test]
    fn few_clients_on_either_side_are_too_little_whatever_they_did() {
        let many: Vec<_> = (0..100).map(|i| (1.0, f64::from(i))).collect();
        for few in [0, 1, 2, 19] {
            let few = arm(&many[..few]);
            let found = uplift(&arm(&many), &few);
            assert_eq!(found.verdict, Verdict::TooLittle);
            assert!(found.uplift.is_finite());
            assert_eq!(uplift(&few, &arm(&many)).verdict, Verdict::TooLittle);
        }
    }

    #[test]
    fn without_covariates_it_is_the_difference_of_means_with_welchs_interval() {
        let shown: Vec<_> = (0..30).map(|i| (1.0, f64::from(i % 7))).collect();
        let held: Vec<_> = (0..50).map(|i| (1.0, f64::from(i % 5))).collect();
        let found = uplift(&arm(&shown), &arm(&held));
        let mean_of =
            |rows: &[(f64, f64)]| rows.iter().map(|row| row.1).sum::<f64>() / rows.len() as f64;
        assert!((found.uplift - (mean_of(&shown) - mean_of(&held))).abs() < 1e-12);
        let square_of = |rows: &[(f64, f64)]| {
            let (n, m) = (rows.len() as f64, mean_of(rows));
            // HC3 of a mean: each residual over 1 − 1/n.
            let sum: f64 = rows.iter().map(|row| (row.1 - m).powi(2)).sum();
            sum / (n - 1.0).powi(2)
        };
        let error = (square_of(&shown) + square_of(&held)).sqrt();
        let half = found.interval[1] - found.uplift;
        assert!(half > 1.96 * error && half < 2.05 * error, "{half} {error}");
    }
}
