//! What one portfolio may take of the server: so many calls a second, and so many at once.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;

use super::Limits;
use super::status::busy;
use crate::domain::PortfolioId;

/// After which time a caller is told to come again where all of its portfolio's places are taken.
const PLACES_RETRY: Duration = Duration::from_millis(200);

/// A place among the calls of one portfolio, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
}

/// The shares of all portfolios.
#[derive(Debug)]
pub(super) struct Quotas {
    rate: Option<NonZeroU32>,
    at_once: usize,
    shares: Mutex<HashMap<PortfolioId, Arc<Share>>>,
}

#[derive(Debug)]
struct Share {
    rate: Option<DefaultDirectRateLimiter>,
    places: Arc<Semaphore>,
}

impl Quotas {
    /// The shares that limits give.
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            rate: NonZeroU32::new(limits.portfolio_rate),
            at_once: limits.portfolio_calls,
            shares: Mutex::default(),
        }
    }

    /// Takes a call of a portfolio that is there, or says when to come again.
    pub(super) fn admit(&self, portfolio: &PortfolioId) -> Result<Place, Status> {
        let share = self.share(portfolio);
        let place = share.places.clone().try_acquire_owned();
        let permit = place.map_err(|_| {
            let text = format!(
                "the portfolio has {} calls under way, which is all that it may have at once; let some end first",
                self.at_once
            );
            busy(text, PLACES_RETRY)
        })?;
        if let (Some(limiter), Some(rate)) = (&share.rate, self.rate) {
            limiter.check().map_err(|until| {
                let text = format!("the portfolio may make {rate} calls a second, and made more");
                busy(text, until.wait_time_from(DefaultClock::default().now()))
            })?;
        }
        Ok(Place { _permit: permit })
    }

    fn share(&self, portfolio: &PortfolioId) -> Arc<Share> {
        // A poisoned lock guards a map that no step leaves half changed.
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = shares.get(portfolio) {
            return share.clone();
        }
        let share = Arc::new(Share {
            // As much as a second's worth may come at once.
            rate: self
                .rate
                .map(|rate| RateLimiter::direct(Quota::per_second(rate))),
            places: Arc::new(Semaphore::new(self.at_once)),
        });
        shares.insert(portfolio.clone(), share.clone());
        share
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt;

    use super::*;

    fn id(name: &str) -> PortfolioId {
        PortfolioId::parse(name).unwrap()
    }

    #[test]
    fn a_portfolio_has_its_places_and_its_rate_and_takes_none_of_anothers() {
        let limits = Limits {
            portfolio_rate: 5,
            portfolio_calls: 3,
            ..Limits::default()
        };
        let quotas = Quotas::new(&limits);
        let held: Vec<_> = (0..3).map(|_| quotas.admit(&id("a")).unwrap()).collect();
        let refused = quotas.admit(&id("a")).unwrap_err();
        assert!(
            refused.message().contains("3 calls under way"),
            "{refused:?}"
        );
        drop(held);
        quotas.admit(&id("a")).unwrap();
        quotas.admit(&id("a")).unwrap();
        let refused = quotas.admit(&id("a")).unwrap_err();
        assert!(
            refused.message().contains("5 calls a second"),
            "{refused:?}"
        );
        let again = refused
            .get_details_retry_info()
            .unwrap()
            .retry_delay
            .unwrap();
        assert!(again > Duration::ZERO && again <= Duration::from_millis(200));
        for _ in 0..5 {
            quotas.admit(&id("b")).unwrap();
        }
        std::thread::sleep(again);
        quotas.admit(&id("a")).unwrap();
    }
}
