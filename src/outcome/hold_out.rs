//! Which clients are held out: scored like all others and not shown, so that what showing earns can
//! be read off the difference.

use std::sync::LazyLock;

use crate::domain::{ClientId, PortfolioId};

/// A share of a portfolio's clients, chosen by a keyed hash of their ids: the same clients as long as
/// the share stays, and with a larger share these and more.
#[derive(Debug, Clone)]
pub struct HoldOut {
    /// The portfolio hashed, and the bound that hashes of those held out are below; `None` where nobody is.
    those: Option<(blake3::Hasher, u64)>,
}

impl HoldOut {
    /// A share of a portfolio, 0 to 1.
    pub fn of(portfolio: &PortfolioId, share: f64) -> Self {
        static KEY: LazyLock<[u8; 32]> =
            LazyLock::new(|| blake3::derive_key("carteira 2026 hold-out v1", &[]));
        let those = (share > 0.0).then(|| {
            let mut hasher = blake3::Hasher::new_keyed(&KEY);
            hasher.update(&(portfolio.as_str().len() as u64).to_le_bytes());
            hasher.update(portfolio.as_str().as_bytes());
            (hasher, (share * u64::MAX as f64) as u64)
        });
        Self { those }
    }

    /// Whether anybody is.
    pub fn is_any(&self) -> bool {
        self.those.is_some()
    }

    /// Whether a client is held out.
    pub fn holds(&self, client: &ClientId) -> bool {
        let Some((portfolio, below)) = &self.those else {
            return false;
        };
        let mut hasher = portfolio.clone();
        hasher.update(client.as_str().as_bytes());
        let mut first = [0; 8];
        first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        u64::from_le_bytes(first) < *below
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clients() -> impl Iterator<Item = ClientId> {
        (0..10_000).map(|number| ClientId::parse(&format!("client {number}")).unwrap())
    }

    #[test]
    fn a_share_holds_out_as_many_and_a_larger_one_these_and_more() {
        let portfolio = PortfolioId::parse("dairy").unwrap();
        let of = |share: f64| -> Vec<bool> {
            let hold_out = HoldOut::of(&portfolio, share);
            clients().map(|client| hold_out.holds(&client)).collect()
        };
        let (none, some, more) = (of(0.0), of(0.1), of(0.2));
        let count = |held: &[bool]| held.iter().filter(|held| **held).count();
        assert_eq!(count(&none), 0);
        assert!((900..1_100).contains(&count(&some)), "{}", count(&some));
        assert!((1_850..2_150).contains(&count(&more)), "{}", count(&more));
        assert!(some.iter().zip(&more).all(|(some, more)| *more || !*some));
        let other = HoldOut::of(&PortfolioId::parse("other").unwrap(), 0.1);
        let both = clients()
            .zip(&some)
            .filter(|(client, held)| **held && other.holds(client));
        assert!(
            both.count() < 200,
            "two portfolios hold out clients of their own"
        );
    }
}
