//! How much a bought ticket is expected to rise, falls counted as nothing.
//!
//! The money that a sales person can win on a ticket is what it rises by; that others fall is no
//! loss of theirs. `E[max(0, later - now)]` is fitted on the back-test as
//! `now × exp(b·features)` by Poisson regression, which is consistent for a mean of any
//! non-negative amount (Gourieroux, Monfort, Trognon, Econometrica 1984) and weighs a ticket by
//! its money.

use super::history::{BackTest, View};
use super::least_squares;

/// Back-test rows under which nothing is fitted.
const LEAST_ROWS: usize = 100;
/// Pseudo-tickets of average size that hold each coefficient near 0.
const RIDGE: f64 = 300.0;
/// A rise counts at most this many times the ticket: beyond lies a purchase that does not repeat.
const MOST_TIMES: f64 = 50.0;
/// Standardised features are cut here, so that no client stands outside what was learnt.
const MOST_DEVIATIONS: f64 = 4.0;
/// Days over which the freshness of the last purchase fades.
const FRESH_DAYS: f64 = 30.0;
/// Ages are counted in this many days, up to [`MOST_AGE_DAYS`].
const AGE_UNIT_DAYS: f64 = 90.0;
const MOST_AGE_DAYS: f64 = 300.0;
const FEATURES: usize = 13;
const COLUMNS: usize = FEATURES + 1;

/// A fitted expectation of rises.
#[derive(Debug, Clone, PartialEq)]
pub struct RiseModel {
    fitted: Option<Fitted>,
}

#[derive(Debug, Clone, PartialEq)]
struct Fitted {
    centre: [f64; FEATURES],
    scale: [f64; FEATURES],
    /// The constant, then one weight a feature.
    weights: [f64; COLUMNS],
}

impl RiseModel {
    /// Fits to a back-test; with too little of it, a ticket is expected to rise to its P80.
    /// Cost: 40 × rows × features².
    pub fn fit(back_test: &BackTest) -> Self {
        let rows = &back_test.rows;
        if rows.len() < LEAST_ROWS {
            return Self { fitted: None };
        }
        let count = rows.len() as f64;
        let (mut centre, mut scale) = ([0.0; FEATURES], [0.0; FEATURES]);
        for (view, _) in rows {
            for (sum, value) in centre.iter_mut().zip(features(view)) {
                *sum += value / count;
            }
        }
        for (view, _) in rows {
            for (at, value) in features(view).into_iter().enumerate() {
                scale[at] += (value - centre[at]).powi(2) / count;
            }
        }
        let mut fitted = Fitted {
            centre,
            scale: scale.map(|variance| variance.sqrt() + 1e-9),
            weights: [0.0; COLUMNS],
        };
        let mean = rows
            .iter()
            .map(|(view, _)| view.ticket / count)
            .sum::<f64>();
        let scaled: Vec<least_squares::Exposed<COLUMNS>> = rows
            .iter()
            .map(|(view, later)| least_squares::Exposed {
                columns: fitted.columns(view),
                exposure: view.ticket / mean,
                amount: (later - view.ticket).clamp(0.0, MOST_TIMES * view.ticket) / mean,
            })
            .collect();
        let Some(weights) = least_squares::poisson(&scaled, RIDGE) else {
            return Self { fitted: None };
        };
        fitted.weights = weights;
        Self {
            fitted: Some(fitted),
        }
    }

    /// The expected rise over the next horizon, minor units a month, never negative.
    pub fn expect(&self, view: &View) -> f64 {
        match &self.fitted {
            Some(fitted) => {
                let columns = fitted.columns(view);
                view.ticket * least_squares::rate(&fitted.weights, &columns)
            }
            None => view
                .estimate
                .map_or(0.0, |estimate| (estimate.q80 - view.ticket).max(0.0)),
        }
    }
}

impl Fitted {
    fn columns(&self, view: &View) -> [f64; COLUMNS] {
        let mut columns = [1.0; COLUMNS];
        for (at, value) in features(view).into_iter().enumerate() {
            columns[at + 1] = ((value - self.centre[at]) / self.scale[at])
                .clamp(-MOST_DEVIATIONS, MOST_DEVIATIONS);
        }
        columns
    }
}

/// What is known of a ticket, as numbers without unit.
fn features(view: &View) -> [f64; FEATURES] {
    let ln = view.ticket.max(1e-9).ln();
    let gap = |ticket: f64| (ticket.max(1e-9).ln() - ln).clamp(-20.0, 20.0);
    let (half, most, standing) = view.estimate.map_or((0.0, 0.0, 0.5), |estimate| {
        (gap(estimate.q50), gap(estimate.q80), estimate.standing)
    });
    // A fiftieth of the ticket keeps the logarithm of a silent horizon finite.
    let recent = gap(view.recent_ticket + 0.02 * view.ticket);
    let trend = view.trend.clamp(-3.0, 2.0);
    let fresh = (-view.age_days / FRESH_DAYS).exp();
    [
        half,
        most,
        trend,
        recent,
        view.age_days.min(MOST_AGE_DAYS) / AGE_UNIT_DAYS,
        fresh,
        standing,
        ln,
        half * half,
        recent * recent,
        trend * recent,
        half * recent,
        half * fresh,
    ]
}
