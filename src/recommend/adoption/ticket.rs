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
    /// The same of the neighbours, for this product.
    FirstResidual,
    /// ln(1 + days of purchase a month over the last horizon).
    LnVisitsRecent,
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
    FirstResidual, FirstSize, LnDaysSince, LnFirst, LnFirstMean, LnFrequency, LnMedian, LnPurchase,
    LnVisitsRecent, LogOdds, PurchaseSize, Residual, Size,
};

/// All of them, in the order in which they are written.
pub(super) const ALL: [TicketTerm; 13] = [
    LnFirst,
    Size,
    Residual,
    LogOdds,
    LnPurchase,
    PurchaseSize,
    FirstSize,
    FirstResidual,
    LnVisitsRecent,
    LnMedian,
    LnFirstMean,
    LnFrequency,
    LnDaysSince,
];
/// Terms in all.
pub(super) const TERMS: usize = ALL.len();
/// Where the log odds stand, which are known only once the propensity is.
pub(super) const LOG_ODDS_AT: usize = 3;

/// Adoptions from which the first two, six or all terms are weighed.
const LEAST_ADOPTIONS: [(usize, usize); 3] = [(2000, TERMS), (60, 6), (20, 2)];
/// The logarithm of a residual's least absolute value when it is weighed.
const LEAST_RESIDUAL: f64 = 1e-3;
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
            FirstResidual => "neighbours_first_residual",
            LnVisitsRecent => "ln_visits_recent",
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
    [
        product.ln_first,
        evidence.size,
        evidence.residual(heard),
        0.0,
        product.ln_purchase,
        client.purchase_size,
        client.first_size,
        evidence.first_residual(heard),
        client.visits_recent.ln_1p(),
        ln_median,
        product.ln_first_mean,
        (product.frequency + 0.1).ln(),
        client.days_since.clamp(0.0, 5000.0).ln_1p(),
    ]
}

/// The ticket of an adoption: its middle by a line on a log scale, its quantiles beside it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TicketModel {
    /// How many of [`ALL`] are weighed; or, without labels, which ones.
    pub(super) terms: Vec<usize>,
    pub(super) line: Linear,
    /// What the P20 and the P80 lie below and above the middle, as factors.
    pub(super) low_factor: f64,
    pub(super) high_factor: f64,
    /// Mean over middle: what the middle is multiplied by when money is summed.
    pub(super) money_factor: f64,
}

impl TicketModel {
    /// Fits on adoptions of the past: the terms' values and the ticket per period, minor units.
    ///
    /// Least absolute errors of the logarithm, by reweighted least squares (Schlossmacher, 1973);
    /// the quantiles are those of what is left. `None` with fewer than 20 adoptions.
    pub(super) fn fit(values: &[[f64; TERMS]], tickets: &[f64]) -> Option<Self> {
        let width = LEAST_ADOPTIONS
            .iter()
            .find(|(least, _)| tickets.len() >= *least)?
            .1;
        let mut lns: Vec<f64> = tickets.iter().map(|ticket| ticket.ln()).collect();
        let write = |row: usize, into: &mut [f64]| into.copy_from_slice(&values[row][..width]);
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
        let predicted = |row: &[f64; TERMS]| line.at(&row[..width]);
        let mut residuals: Vec<f64> = values
            .iter()
            .zip(tickets)
            .map(|(row, ticket)| ticket.ln() - predicted(row))
            .collect();
        residuals.sort_unstable_by(f64::total_cmp);
        let real: f64 = tickets.iter().sum();
        let middle: f64 = values.iter().map(|row| predicted(row).exp()).sum();
        Some(Self {
            terms: (0..width).collect(),
            low_factor: quantile(&residuals, 0.2).min(0.0).exp(),
            high_factor: quantile(&residuals, 0.8).max(0.0).exp(),
            money_factor: (real / middle.max(1e-9)).clamp(MONEY_FACTORS.0, MONEY_FACTORS.1),
            line,
        })
    }

    /// Makes tickets of a longer horizon, over which the log odds have risen by `stretch`: what is
    /// bought hardly repeats within it, so a ticket per period falls by as much as the odds rise.
    pub(super) fn stretch(&mut self, stretch: f64) {
        let terms = self.terms.iter().zip(&self.line.coefficients);
        let of_odds: f64 = terms
            .filter(|(at, _)| **at == LOG_ODDS_AT)
            .map(|(_, coefficient)| coefficient)
            .sum();
        self.line.intercept -= stretch * (1.0 + of_odds);
    }

    /// The middle ticket, from the values of [`ALL`].
    pub(super) fn middle(&self, values: &[f64; TERMS]) -> f64 {
        let terms = self.line.coefficients.iter().zip(&self.terms);
        let add = |sum, (coefficient, &at): (&f64, &usize)| sum + coefficient * values[at];
        ticket(terms.fold(self.line.intercept, add))
    }

    /// Without labels: the product's usual ticket, the client's size and the neighbours' residual.
    ///
    /// `dated` says whether first tickets are known; `size_exponent` and `spread` are those of the
    /// matrix's statistics. Quantiles and mean are those of a log-normal of that spread.
    pub(super) fn prior(dated: bool, size_exponent: f64, spread: f64) -> Self {
        let usual = if dated { LnFirst } else { LnMedian };
        let at = |term: TicketTerm| ALL.iter().position(|&other| other == term).unwrap_or(0);
        let deviation = (spread / 2.0).sqrt().min(2.0);
        Self {
            terms: vec![at(usual), at(Size), at(Residual)],
            line: Linear {
                intercept: 0.0,
                coefficients: vec![1.0, size_exponent, 1.0],
            },
            low_factor: (-0.841_6 * deviation).exp(),
            high_factor: (0.841_6 * deviation).exp(),
            money_factor: (deviation * deviation / 2.0)
                .exp()
                .clamp(MONEY_FACTORS.0, MONEY_FACTORS.1),
        }
    }
}

/// The quantile of sorted numbers at the nearest rank.
fn quantile(sorted: &[f64], level: f64) -> f64 {
    let at = (level * sorted.len().saturating_sub(1) as f64).round() as usize;
    sorted.get(at).copied().unwrap_or(0.0)
}
