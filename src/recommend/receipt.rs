//! Receipts: a published ticket taken apart, and put together again.

use super::Book;
use super::quantile::{self, Weighted};
use super::upsell::{LEVELS, MOST_LN, Scratch, UpsellModel};
use crate::domain::{NeighbourEvidence, ProductNo, PseudoObservation, QuantileReceipt};
use crate::neighbours::Subject;

/// An amount rounded to its leading digits, half away from zero, in minor units.
///
/// It is first rounded to a whole minor unit, so that the rest is arithmetic on whole numbers.
pub fn round_minor(amount: f64, significant_digits: u32) -> i64 {
    let whole = amount.round() as i64;
    let digits = whole
        .unsigned_abs()
        .checked_ilog10()
        .map_or(0, |log| log + 1);
    let unit = 10_i64.pow(digits.saturating_sub(significant_digits.max(1)));
    let half = if whole < 0 { -unit / 2 } else { unit / 2 };
    whole.saturating_add(half) / unit * unit
}

/// Makes a receipt's four tickets again: P20, P50, P80, P90, rounded, in minor units.
///
/// This is the whole calculation; it is short so that a reader can do the same elsewhere.
pub fn recompute(receipt: &QuantileReceipt) -> [i64; LEVELS.len()] {
    let neighbours = receipt.neighbours.iter().map(|one| Weighted {
        value: one.residual,
        weight: one.weight,
    });
    let pseudo = receipt.pseudo_observations.iter().map(|one| Weighted {
        value: one.residual,
        weight: one.weight,
    });
    let mut sample: Vec<Weighted> = neighbours.chain(pseudo).collect();
    quantile::sort(&mut sample);
    let quantiles = quantile::quantiles(&sample, &receipt.levels).unwrap_or_default();
    let level = receipt.size_exponent * receipt.client_size + receipt.mix;
    let mut least = f64::NEG_INFINITY;
    let mut tickets = [0; LEVELS.len()];
    for (at, ticket) in tickets.iter_mut().enumerate() {
        let residual = quantiles[at] + receipt.shifts[at];
        let ln = receipt.ln_product_median + level + receipt.deviation * residual;
        least = least.max(ln.clamp(-MOST_LN, MOST_LN));
        *ticket = round_minor(least.exp(), receipt.significant_digits);
    }
    tickets
}

impl UpsellModel {
    /// The receipt of an estimate: the same figures, with all that they are made of.
    ///
    /// The subject is the one of the last [`UpsellModel::begin`]. `None` where there is no
    /// estimate. Cost: that of the estimate, and one allocation a list.
    pub fn explain(
        &self,
        book: &Book<'_>,
        subject: &Subject<'_>,
        product: ProductNo,
        scratch: &mut Scratch,
    ) -> Option<QuantileReceipt> {
        let parts = self.parts(book, subject, product, scratch)?;
        let scaled = |residual: f64| {
            let ln = parts.ln_median + parts.level + parts.deviation * residual;
            ln.clamp(-MOST_LN, MOST_LN).exp().round() as i64
        };
        let evidence = self.evidence(book, subject, product, &parts, scratch);
        let neighbours = evidence.iter().map(|one| NeighbourEvidence {
            client: one.client,
            weight: one.weight,
            residual: one.residual,
            ticket_minor: one.ticket.round() as i64,
            scaled_ticket_minor: scaled(one.residual),
            common_products: one.common,
        });
        Some(QuantileReceipt {
            product,
            ln_product_median: parts.ln_median,
            client_size: parts.size,
            size_exponent: book.statistics.size_exponent(),
            mix: parts.mix,
            deviation: parts.deviation,
            levels: LEVELS,
            shifts: parts.shifts,
            significant_digits: book.recipe.offer.significant_digits,
            buyers: parts.buyers,
            effective_neighbours: parts.effective,
            neighbours: neighbours.collect(),
            pseudo_observations: self
                .pseudo_observations(product, &parts)
                .map(|(residual, weight)| PseudoObservation { residual, weight })
                .collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_rounded_to_their_leading_digits() {
        for (amount, digits, rounded) in [
            (0.0, 3, 0),
            (0.4, 3, 0),
            (12.5, 3, 13),
            (999.5, 3, 1_000),
            (1_234_567.0, 3, 1_230_000),
            (1_235_000.0, 3, 1_240_000),
            (-1_235_000.0, 3, -1_240_000),
            (99_950.0, 3, 100_000),
            (4.3e15, 1, 4_000_000_000_000_000),
        ] {
            assert_eq!(round_minor(amount, digits), rounded, "{amount}");
        }
    }
}
