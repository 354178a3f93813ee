//! What a client would spend on a product if it took it up.

use super::evidence::{Evidence, Heard};
use super::history::{ProductPast, median};
use super::linear::{Design, Linear, Slope};
use super::receipt::ticket;

/// One number that the logarithm of a first ticket depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TicketTerm {
    /// ln of the middle ticket, over the last horizon, of clients that took the product up in it.
    LnFirst,
    /// Mean log residual of the client's tickets.
    Size,
    /// Mean log residual of the neighbours' tickets for the product, beyond their own sizes.
    Residual,
    /// Log odds of the adoption.
    LogOdds,
    /// ln of the middle amount of one purchase, spread over the horizon.
    LnPurchase,
    /// Mean log residual of the client's single purchases.
    PurchaseSize,
    /// Mean log residual of the first tickets of what the client took up in the last horizon.
    FirstSize,
    /// ln of the middle ticket of all buyers.
    LnMedian,
    /// ln of the mean first ticket.
    LnFirstMean,
    /// ln(0.1 + days of purchase per buyer and horizon).
    LnFrequency,
    /// ln(1 + days since the client's last purchase).
    LnDaysSince,
}

use TicketTerm::{
    FirstSize, LnDaysSince, LnFirst, LnFirstMean, LnFrequency, LnMedian, LnPurchase, LogOdds,
    PurchaseSize, Residual, Size,
};

/// All of them, in the order in which they are written.
const ALL: [TicketTerm; 11] = [
    LnFirst,
    Size,
    Residual,
    LogOdds,
    LnPurchase,
    PurchaseSize,
    FirstSize,
    LnMedian,
    LnFirstMean,
    LnFrequency,
    LnDaysSince,
];
/// Terms in all.
pub(super) const TERMS: usize = ALL.len();

/// What is weighed, from so many adoptions on. What similar clients spend is not among it: beside
/// the client's own purchases it says nothing, see the card.
const WEIGHED: [(usize, &[TicketTerm]); 3] = [
    (
        2000,
        &[
            LogOdds,
            LnPurchase,
            PurchaseSize,
            FirstSize,
            LnFirstMean,
            LnFrequency,
            LnDaysSince,
        ],
    ),
    (60, &[LnFirst, LogOdds, LnPurchase, PurchaseSize]),
    (20, &[LnFirst, Size]),
];
/// The logarithm of a residual's least absolute value when it is weighed.
const LEAST_RESIDUAL: f64 = 1e-3;
/// A ticket counts at most this many times what is expected of it when the mean is fitted.
const MOST_BEYOND: f64 = 30.0;
/// The money factor lies between these.
const MONEY_FACTORS: (f64, f64) = (1.0, 4.0);

impl TicketTerm {
    /// Its name, as receipts show it.
    pub fn name(self) -> &'static str {
        match self {
            LnFirst => "ln_first_ticket",
            Size => "size",
            Residual => "neighbours_residual",
            LogOdds => "log_odds",
            LnPurchase => "ln_purchase",
            PurchaseSize => "purchase_size",
            FirstSize => "first_size",
            LnMedian => "ln_median_ticket",
            LnFirstMean => "ln_first_mean",
            LnFrequency => "ln_frequency",
            LnDaysSince => "ln_days_since",
        }
    }
}

/// The values of all terms but the log odds, which stand at 0.
pub(super) fn values(
    evidence: &Evidence,
    heard: &Heard,
    product: &ProductPast,
    ln_median: f64,
) -> [f64; TERMS] {
    let client = &evidence.client;
    ALL.map(|term| match term {
        LnFirst => product.ln_first,
        Size => evidence.size,
        Residual => evidence.residual(heard),
        LogOdds => 0.0,
        LnPurchase => product.ln_purchase,
        PurchaseSize => client.purchase_size,
        FirstSize => client.first_size,
        LnMedian => ln_median,
        LnFirstMean => product.ln_first_mean,
        LnFrequency => (product.frequency + 0.1).ln(),
        LnDaysSince => client.days_since.clamp(0.0, 5000.0).ln_1p(),
    })
}

/// The ticket of an adoption: its middle by a line on a log scale, its quantiles beside it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TicketModel {
    /// What is weighed.
    pub(super) terms: Vec<TicketTerm>,
    pub(super) line: Linear,
    /// What the P20 and the P80 lie below and above the middle, as factors.
    pub(super) low_factor: f64,
    pub(super) high_factor: f64,
    /// ln of mean over middle, by the same terms: what the middle is multiplied by when money is
    /// summed, which is more where a few buy much.
    pub(super) factor: Linear,
}

impl TicketModel {
    /// Fits on adoptions of the past: the terms' values and the ticket per period, minor units.
    ///
    /// Least absolute errors of the logarithm, by reweighted least squares (Schlossmacher, 1973);
    /// the quantiles are those of what is left. `None` with fewer than 20 adoptions.
    /// The mean over the middle is the mean of a gamma regression beside that line, drawn to one
    /// factor for all by `mean_ridge` rows a term, and brought to the sum of the tickets.
    pub(super) fn fit(values: &[[f64; TERMS]], tickets: &[f64], mean_ridge: f64) -> Option<Self> {
        let terms = WEIGHED.iter().find(|(least, _)| tickets.len() >= *least)?.1;
        let width = terms.len();
        let mut lns: Vec<f64> = tickets.iter().map(|ticket| ticket.ln()).collect();
        let write = |row: usize, into: &mut [f64]| {
            for (value, term) in into.iter_mut().zip(terms) {
                *value = values[row][*term as usize];
            }
        };
        let slope = |row: usize, predicted: f64| {
            let residual = tickets[row].ln() - predicted;
            let curvature = 1.0 / residual.abs().max(LEAST_RESIDUAL);
            Slope {
                gradient: curvature * residual,
                curvature,
            }
        };
        let design = Design {
            rows: tickets.len(),
            width,
            write: &write,
        };
        let start = median(&mut lns)?;
        let line = Linear::fit(&design, &[1.0; TERMS][..width], start, 40, &slope)?;
        let predicted = |row: &[f64; TERMS]| sum(&line, terms, row);
        let mut residuals: Vec<f64> = values
            .iter()
            .zip(tickets)
            .map(|(row, ticket)| ticket.ln() - predicted(row))
            .collect();
        residuals.sort_unstable_by(f64::total_cmp);
        let middle = |row: usize| predicted(&values[row]).exp().max(f64::MIN_POSITIVE);
        let beyond = |row: usize, ln_factor: f64| Slope {
            gradient: (tickets[row] / middle(row) * (-ln_factor).exp()).min(MOST_BEYOND) - 1.0,
            curvature: 1.0,
        };
        let total = |of: &dyn Fn(usize) -> f64| (0..tickets.len()).map(of).sum::<f64>();
        let real: f64 = tickets.iter().sum();
        let usual = (real / total(&middle).max(1e-9)).clamp(MONEY_FACTORS.0, MONEY_FACTORS.1);
        let ridge = [mean_ridge; TERMS];
        let factor = Linear::fit(&design, &ridge[..width], usual.ln(), 40, &beyond)?;
        let mut model = Self {
            terms: terms.to_vec(),
            low_factor: quantile(&residuals, 0.2).min(0.0).exp(),
            high_factor: quantile(&residuals, 0.8).max(0.0).exp(),
            factor,
            line: line.clone(),
        };
        let expected = total(&|row| middle(row) * model.money_factor(&values[row]));
        model.factor.intercept += (real / expected.max(1e-9)).ln();
        Some(model)
    }

    /// Mean over middle, from the values of [`ALL`].
    pub(super) fn money_factor(&self, values: &[f64; TERMS]) -> f64 {
        let ln = sum(&self.factor, &self.terms, values);
        ln.exp().clamp(MONEY_FACTORS.0, MONEY_FACTORS.1)
    }

    /// Makes tickets of a longer horizon, over which the log odds have risen by `stretch`: what is
    /// bought hardly repeats within it, so a ticket per period falls by as much as the odds rise.
    pub(super) fn stretch(&mut self, stretch: f64) {
        let of_odds = |line: &Linear| -> f64 {
            let terms = self.terms.iter().zip(&line.coefficients);
            let odds = terms.filter(|(term, _)| **term == LogOdds);
            odds.map(|(_, coefficient)| coefficient).sum()
        };
        let (line, factor) = (of_odds(&self.line), of_odds(&self.factor));
        self.line.intercept -= stretch * (1.0 + line);
        self.factor.intercept -= stretch * factor;
    }

    /// The middle ticket, from the values of [`ALL`].
    pub(super) fn middle(&self, values: &[f64; TERMS]) -> f64 {
        ticket(sum(&self.line, &self.terms, values))
    }

    /// Without labels: the product's usual ticket, the client's size and the neighbours' residual.
    ///
    /// `dated` says whether first tickets are known; `size_exponent` and `spread` are those of the
    /// matrix's statistics. Quantiles and mean are those of a log-normal of that spread.
    pub(super) fn prior(dated: bool, size_exponent: f64, spread: f64) -> Self {
        let usual = if dated { LnFirst } else { LnMedian };
        let deviation = (spread / 2.0).sqrt().min(2.0);
        Self {
            terms: vec![usual, Size, Residual],
            line: Linear {
                intercept: 0.0,
                coefficients: vec![1.0, size_exponent, 1.0],
            },
            low_factor: (-0.841_6 * deviation).exp(),
            high_factor: (0.841_6 * deviation).exp(),
            factor: Linear {
                intercept: deviation * deviation / 2.0,
                coefficients: Vec::new(),
            },
        }
    }
}

/// A line at the values of some terms.
fn sum(line: &Linear, terms: &[TicketTerm], values: &[f64; TERMS]) -> f64 {
    let weighed = line.coefficients.iter().zip(terms);
    weighed.fold(line.intercept, |sum, (coefficient, &term)| {
        sum + coefficient * values[term as usize]
    })
}

/// The quantile of sorted numbers at the nearest rank.
fn quantile(sorted: &[f64], level: f64) -> f64 {
    let at = (level * sorted.len().saturating_sub(1) as f64).round() as usize;
    sorted.get(at).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_lies_further_above_the_middle_where_a_few_buy_much_and_sums_are_kept() {
        // Of products bought seldom one buyer in ten spends twenty times as much.
        let rows: Vec<([f64; TERMS], f64)> = (0..8_000)
            .map(|at: u32| {
                let seldom = at.is_multiple_of(2);
                let mut values = [0.0; TERMS];
                values[LnFrequency as usize] = if seldom { -2.0 } else { 1.0 };
                let spread = 1.0 + f64::from(at % 7) / 10.0;
                let much = seldom && (at / 2).is_multiple_of(10);
                (values, if much { 20.0 * spread } else { spread })
            })
            .collect();
        let (values, tickets): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
        let factors = |mean_ridge: f64| {
            let model = TicketModel::fit(&values, &tickets, mean_ridge).unwrap();
            let pairs = values.iter().zip(&tickets);
            let (expected, real) = pairs.fold((0.0, 0.0), |(expected, real), (row, ticket)| {
                let mean = model.middle(row) * model.money_factor(row);
                (expected + mean, real + ticket)
            });
            assert!((expected / real - 1.0).abs() < 0.02, "{expected} {real}");
            [
                model.money_factor(&values[0]),
                model.money_factor(&values[1]),
            ]
        };
        let [seldom, often] = factors(300.0);
        assert!(seldom > 1.5 * often, "{seldom} {often}");
        let [seldom, often] = factors(1e12);
        assert!((seldom / often - 1.0).abs() < 1e-3, "{seldom} {often}");
    }
}
