//! The sellers' own estimates of wallets beside the potential tickets that were shown.

/// How near they are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WalletAgreement {
    /// Offers with both.
    pub offers: usize,
    /// Median of potential ÷ the seller's estimate.
    pub median_ratio: f64,
    /// Share of them within a factor of 2.
    pub within_double: f64,
}

impl WalletAgreement {
    /// Of pairs (potential, the seller's estimate), both above 0; `None` without any.
    pub(super) fn of(pairs: impl Iterator<Item = (i64, i64)>) -> Option<Self> {
        let mut ratios: Vec<f64> = pairs
            .filter(|(potential, estimate)| *potential > 0 && *estimate > 0)
            .map(|(potential, estimate)| potential as f64 / estimate as f64)
            .collect();
        ratios.sort_by(f64::total_cmp);
        let middle = ratios.len() / 2;
        let median_ratio = match ratios.len() % 2 {
            1 => ratios[middle],
            _ => f64::midpoint(*ratios.get(middle.checked_sub(1)?)?, ratios[middle]),
        };
        let near = ratios.iter().filter(|ratio| (0.5..=2.0).contains(*ratio));
        Some(Self {
            offers: ratios.len(),
            median_ratio,
            within_double: near.count() as f64 / ratios.len() as f64,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_ratio_is_that_of_the_pairs_with_both() {
        let of = |pairs: &[(i64, i64)]| WalletAgreement::of(pairs.iter().copied());
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[(0, 5), (5, 0)]), None);
        let agreement = of(&[(100, 100), (300, 100), (10, 0)]).unwrap();
        assert_eq!(agreement.offers, 2);
        assert!((agreement.median_ratio - 2.0).abs() < 1e-12);
        assert!((agreement.within_double - 0.5).abs() < 1e-12);
    }
}
