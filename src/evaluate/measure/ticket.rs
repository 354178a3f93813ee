//! The ticket foretold for a pair that was taken up, against the one that came.

use serde::Serialize;

/// Tickets foretold as nothing count as this many minor units, so that their logarithm is finite.
const LEAST_MINOR: f64 = 1e-7;

/// How far foretold tickets are from real ones.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct TicketError {
    /// Pairs that were taken up.
    pub pairs: usize,
    /// Mean of `|ln(foretold / real)|`: 0.69 is twice or half.
    pub log_error: f64,
    /// Share within twice and half.
    pub within_twice: f64,
    /// Sum foretold over sum real, less 1. Middle tickets are under the mean, so this is under 0.
    pub bias: f64,
}

/// Measures `(foretold, real)` tickets of the pairs taken up.
pub fn ticket(pairs: impl IntoIterator<Item = (f64, f64)>) -> Option<TicketError> {
    let (mut count, mut errors, mut within) = (0_usize, 0.0, 0_usize);
    let (mut foretold, mut came) = (0.0, 0.0);
    for (ticket, real) in pairs {
        let ticket = ticket.max(LEAST_MINOR);
        let error = (ticket / real).ln().abs();
        count += 1;
        errors += error;
        within += usize::from(error < std::f64::consts::LN_2);
        foretold += ticket;
        came += real;
    }
    (count > 0).then(|| TicketError {
        pairs: count,
        log_error: errors / count as f64,
        within_twice: within as f64 / count as f64,
        bias: foretold / came - 1.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_worked_by_hand() {
        let found = ticket([(50.0, 100.0), (100.0, 100.0), (300.0, 100.0), (99.0, 50.0)]).unwrap();
        let sum = 2.0_f64.ln() + 3.0_f64.ln() + 1.98_f64.ln();
        assert!((found.log_error - sum / 4.0).abs() < 1e-12);
        // Exactly half is no longer within.
        assert!((found.within_twice - 0.5).abs() < 1e-12);
        assert!((found.bias - (549.0 / 350.0 - 1.0)).abs() < 1e-12);
        assert_eq!(found.pairs, 4);
    }

    #[test]
    fn a_ticket_of_nothing_is_far_off_and_no_pair_is_no_figure() {
        let found = ticket([(0.0, 100.0)]).unwrap();
        assert!(found.log_error.is_finite() && found.log_error > 10.0);
        assert_eq!(ticket([]), None);
    }
}
