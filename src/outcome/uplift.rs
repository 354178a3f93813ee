//! What showing offers earned: clients that were shown them beside clients that were held out.

use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::recommend::upsell::mix;

/// Clients of each arm under which nothing is claimed.
pub const LEAST_CLIENTS: usize = 20;
/// The levels of the interval's ends. 98 % lie between them, so that 95 % surely do: sales are too far from
/// normal for the quantiles to be exact in a book of some hundred clients, and who looks at a hundred books
/// in which offering does nothing should see more than seven claims next to never (1 in 500 where 2 of 100
/// are the rule, 1 in 60 where 3 are).
const ENDS: [f64; 2] = [0.01, 0.99];
/// How often the clients are dealt anew into arms of the same sizes.
const DEALS: usize = 999;
/// With this many clients in the smaller arm, means are normal enough for Student's interval.
const MANY_CLIENTS: usize = 1_000;

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
/// leverage (HC3). How many of these deviations the interval spans each way is read off the same
/// comparison with the clients dealt anew into arms of the same sizes (studentized permutation: Chung
/// and Romano, *Exact and asymptotically robust permutation tests*, 2013): sales of firms are far from
/// normal, and where offering does nothing, this claims an effect in 2 of 100 books whatever their
/// distribution. Large arms take Student's quantiles instead. Cost: 1,000 passes over the clients.
pub fn uplift(shown: &Arm, held_out: &Arm) -> Uplift {
    let compared = Compared::of(&shown.clients, &held_out.clients);
    let uplift = compared.uplift();
    let smaller = shown.clients.len().min(held_out.clients.len());
    let enough = smaller >= LEAST_CLIENTS;
    let deviation = compared.variance().sqrt();
    let interval = match enough && deviation > 0.0 {
        true => {
            let [low, high] = match smaller >= MANY_CLIENTS {
                true => compared.student(),
                false => dealt(shown, held_out),
            };
            [uplift - high * deviation, uplift - low * deviation]
        }
        false => [uplift; 2],
    };
    let verdict = match (enough, interval) {
        (false, _) => Verdict::TooLittle,
        (true, [low, _]) if low > 0.0 => Verdict::Gain,
        (true, [_, high]) if high < 0.0 => Verdict::Loss,
        _ => Verdict::NotShown,
    };
    Uplift {
        shown_clients: shown.clients.len(),
        held_out_clients: held_out.clients.len(),
        shown_mean: compared.treated.height,
        held_out_mean: compared.control.height,
        uplift,
        interval,
        verdict,
    }
}

/// Two arms beside each other.
struct Compared {
    treated: Line,
    control: Line,
}

impl Compared {
    fn of(shown: &[(f64, f64)], held_out: &[(f64, f64)]) -> Self {
        let at = mean(shown.iter().map(|client| client.0));
        Self {
            treated: Line::of(shown, at),
            control: Line::of(held_out, at),
        }
    }

    fn uplift(&self) -> f64 {
        self.treated.height - self.control.height
    }

    fn variance(&self) -> f64 {
        self.treated.variance + self.control.variance
    }

    /// Student's quantiles with Satterthwaite's degrees of freedom.
    fn student(&self) -> [f64; 2] {
        let (v1, v0) = (self.treated.variance, self.control.variance);
        let freedom = self.variance().powi(2)
            / (v1.powi(2) / self.treated.freedom + v0.powi(2) / self.control.freedom);
        // With this many clients there are degrees of freedom enough for the distribution to exist.
        StudentsT::new(0.0, 1.0, freedom.max(1.0))
            .map_or([f64::NEG_INFINITY, f64::INFINITY], |student| {
                ENDS.map(|end| student.inverse_cdf(end))
            })
    }
}

/// Quantiles of the difference over its deviation, where all clients are dealt anew into arms of the
/// same sizes. The deals are the same for the same clients.
fn dealt(shown: &Arm, held_out: &Arm) -> [f64; 2] {
    let mut all: Vec<(f64, f64)> = [&shown.clients[..], &held_out.clients[..]].concat();
    let held = held_out.clients.len();
    let mut ratios: Vec<f64> = (0..DEALS)
        .map(|deal| {
            // The first places are drawn one by one (Fisher and Yates); the order of the rest is the
            // last deal's, which is as good as any.
            for place in 0..held {
                let left = (all.len() - place) as u64;
                let drawn = mix((deal * held + place) as u64) % left;
                all.swap(place, place + drawn as usize);
            }
            let compared = Compared::of(&all[held..], &all[..held]);
            let deviation = compared.variance().sqrt();
            match deviation > 0.0 {
                true => compared.uplift() / deviation,
                false => 0.0,
            }
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    ENDS.map(|end| ratios[(end * (DEALS - 1) as f64).round() as usize])
}

/// A line through an arm, read at one point.
struct Line {
    height: f64,
    /// Of the height.
    variance: f64,
    freedom: f64,
}

impl Line {
    fn of(clients: &[(f64, f64)], at: f64) -> Self {
        let n = clients.len() as f64;
        if clients.len() < 3 {
            return Self {
                height: mean(clients.iter().map(|client| client.1)),
                variance: 0.0,
                freedom: 1.0,
            };
        }
        let (mx, my) = (
            mean(clients.iter().map(|client| client.0)),
            mean(clients.iter().map(|client| client.1)),
        );
        let sxx: f64 = clients.iter().map(|(x, _)| (x - mx).powi(2)).sum();
        let sxy: f64 = clients.iter().map(|(x, y)| (x - mx) * (y - my)).sum();
        // Clients of whom the same was expected have no line.
        let flat = sxx <= 1e-12 * (1.0 + mx * mx) * n;
        let slope = if flat { 0.0 } else { sxy / sxx };
        let terms = clients.iter().map(|(x, y)| {
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
    fn without_covariates_it_is_the_difference_of_means_with_nearly_welchs_interval() {
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
        assert!(half > 1.9 * error && half < 2.5 * error, "{half} {error}");
    }
}
