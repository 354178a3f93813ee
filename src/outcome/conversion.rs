//! What became of the offers that were shown, in rows by kind, owner, segment and probability.

use std::collections::BTreeMap;

use super::report::Logged;
use crate::domain::{Kind, Outcome, Text};

/// The 97.5 % quantile of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// What tells the rows of a table apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Everything.
    All,
    /// Offers of a kind.
    Kind(Kind),
    /// Offers to the clients of an owner.
    Owner(Text),
    /// Offers to the clients of a segment.
    Segment(Text),
    /// A tenth of the offers by probability; 1 is the least probable.
    Decile(u8),
}

/// What became of a group of offers.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Conversion {
    /// Offers shown.
    pub shown: u64,
    /// Of these, won.
    pub won: u64,
    /// Lost.
    pub lost: u64,
    /// Rejected.
    pub rejected: u64,
    /// Postponed.
    pub postponed: u64,
    /// Wins that the probabilities foretold for those won, lost and rejected.
    pub foretold: f64,
    /// Tickets won, in minor units per period.
    pub won_ticket_minor: i64,
}

impl Conversion {
    /// Offers without an outcome.
    pub fn open(&self) -> u64 {
        self.shown - self.won - self.lost - self.rejected - self.postponed
    }

    /// Offers that came to an end.
    pub fn resolved(&self) -> u64 {
        self.won + self.lost + self.rejected
    }

    /// The share won of those that came to an end, with its 95 % interval (Wilson, *Probable
    /// inference, the law of succession, and statistical inference*, 1927).
    pub fn rate(&self) -> Option<[f64; 3]> {
        let n = self.resolved() as f64;
        if n == 0.0 {
            return None;
        }
        let p = self.won as f64 / n;
        let centre = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
        let half = Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        Some([
            p,
            f64::max(0.0, centre - half),
            f64::min(1.0, centre + half),
        ])
    }

    fn add(&mut self, offer: &Logged) {
        self.shown += 1;
        match offer.outcome {
            None => return,
            Some(Outcome::Won { ticket_minor }) => {
                self.won += 1;
                self.won_ticket_minor = self.won_ticket_minor.saturating_add(ticket_minor);
            }
            Some(Outcome::Lost) => self.lost += 1,
            Some(Outcome::Rejected(_)) => self.rejected += 1,
            Some(Outcome::Postponed { .. }) => {
                self.postponed += 1;
                return;
            }
        }
        self.foretold += offer.probability;
    }
}

/// All rows, by group. Offers that were held out count in none.
pub(super) fn conversions(logged: &[Logged]) -> BTreeMap<Group, Conversion> {
    let mut rows: BTreeMap<Group, Conversion> = BTreeMap::new();
    let shown: Vec<&Logged> = logged.iter().filter(|offer| !offer.held_out).collect();
    let mut probabilities: Vec<f64> = shown.iter().map(|offer| offer.probability).collect();
    probabilities.sort_by(f64::total_cmp);
    for offer in shown {
        let below = probabilities.partition_point(|p| *p < offer.probability);
        let decile = (10 * below / probabilities.len()) as u8 + 1;
        let groups = [
            Some(Group::All),
            Some(Group::Kind(offer.kind)),
            Some(Group::Owner(offer.owner.clone())),
            offer.segment.clone().map(Group::Segment),
            Some(Group::Decile(decile)),
        ];
        for group in groups.into_iter().flatten() {
            rows.entry(group).or_default().add(offer);
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_the_one_of_the_tables() {
        let of = |won, lost| Conversion {
            shown: won + lost,
            won,
            lost,
            ..Conversion::default()
        };
        assert_eq!(of(0, 0).rate(), None);
        // Worked with R: binom::binom.confint(7, 20, methods = "wilson").
        let [rate, low, high] = of(7, 13).rate().unwrap();
        assert!((rate - 0.35).abs() < 1e-12);
        assert!((low - 0.1811).abs() < 1e-3, "{low}");
        assert!((high - 0.5671).abs() < 1e-3, "{high}");
        let [_, low, _] = of(0, 10).rate().unwrap();
        assert!(low.abs() < 1e-12);
    }
}
