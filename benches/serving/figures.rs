//! Medians of rounds.

use std::fmt;

use super::common::quantile;
use super::load::Ran;

/// The median of some rounds, the least and the most.
#[derive(Debug, Clone, Copy)]
pub struct Spread {
    /// The median.
    pub median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    /// Of these.
    pub fn of(all: impl IntoIterator<Item = f64>) -> Self {
        let mut all: Vec<f64> = all.into_iter().collect();
        all.sort_by(f64::total_cmp);
        Self {
            median: all[all.len() / 2],
            least: all[0],
            most: all[all.len() - 1],
        }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(2);
        let Self {
            median,
            least,
            most,
        } = self;
        write!(f, "{median:.digits$} ({least:.digits$} to {most:.digits$})")
    }
}

/// The median of the ratios of rounds that stood side by side.
pub fn ratio(a: &[f64], b: &[f64]) -> f64 {
    Spread::of(a.iter().zip(b).map(|(a, b)| a / b)).median
}

/// The time in microseconds within which 99 of 100 reads were answered.
pub fn p99(mut ran: Ran) -> f64 {
    assert_eq!(ran.errors, 0, "{:?}", ran.error);
    quantile(&mut ran.times, 0.99).as_secs_f64() * 1e6
}

/// Microseconds as milliseconds.
pub fn micros(all: &[f64]) -> String {
    format!("{:.2} ms", Spread::of(all.iter().map(|one| one / 1e3)))
}
