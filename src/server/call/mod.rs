//! One call, from its headers to the end of its answer: how long its caller waits, which portfolio's
//! share it takes of, and what it may send.
//!
//! The [`CallLayer`] begins it before its credential is looked at and ends it when the answer is taken or the
//! caller leaves; what waits for it then is never done. The gate notes the portfolio in it.

mod answer;
mod layer;
mod shape;
mod upload;

use std::sync::{Arc, OnceLock};

use crate::domain::PortfolioId;
use crate::engine::Patience;

pub(super) use layer::CallLayer;

use super::quota::Place;

/// A call under way. Copies tell of the same one.
#[derive(Debug, Clone)]
pub(super) struct Call {
    patience: Patience,
    portfolio: Arc<OnceLock<(PortfolioId, Place)>>,
}

impl Call {
    pub(super) fn new(patience: Patience) -> Self {
        Self {
            patience,
            portfolio: Arc::default(),
        }
    }

    /// How long its caller waits.
    pub(super) fn patience(&self) -> &Patience {
        &self.patience
    }

    /// The portfolio that it is about, once it was let in to one.
    pub(super) fn portfolio(&self) -> Option<&PortfolioId> {
        self.portfolio.get().map(|(portfolio, _)| portfolio)
    }

    /// Notes its portfolio, and its place among that portfolio's calls, which it gives back when it ends.
    pub(super) fn is_about(&self, portfolio: PortfolioId, place: Place) {
        // A call is about one portfolio; the first to be let in to is the one that counts.
        let _ = self.portfolio.set((portfolio, place));
    }
}
