//! How far every ticket of a book stands from its level, kept for those that are read again and again.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use crate::domain::ProductNo;
use crate::matrix::{Statistics, TicketMatrix};
use crate::neighbours::NOT_IN_BASE;

/// Residuals of the tickets in the base of one matrix, in their order there: 4 bytes a ticket.
#[derive(Debug, Clone, Default)]
pub(super) struct Residuals {
    base: u64,
    /// By product, the median that they were measured against.
    ln_medians: Vec<f64>,
    by_posting: Vec<f32>,
}

/// The residuals that a model keeps. Those of another base may take their place while others read.
#[derive(Debug, Default)]
pub(super) struct KeptResiduals(ArcSwap<Residuals>);

impl Clone for KeptResiduals {
    /// The same until either is given others.
    fn clone(&self) -> Self {
        Self(ArcSwap::new(self.0.load_full()))
    }
}

impl KeptResiduals {
    /// Those that are kept now.
    pub(super) fn now(&self) -> Guard<Arc<Residuals>> {
        self.0.load()
    }

    /// Puts others in their place.
    pub(super) fn put(&self, residuals: Residuals) {
        self.0.store(Arc::new(residuals));
    }
}

impl Residuals {
    /// Keeps the residuals of the tickets in the base of a matrix: by product, in their order there.
    pub(super) fn of(
        matrix: &TicketMatrix,
        statistics: &Statistics,
        residuals: &[Vec<f32>],
    ) -> Self {
        let products = 0..matrix.products() as u32;
        let ln_median = |product: u32| statistics.product(ProductNo(product)).ln_median;
        Self {
            base: matrix.base_number(),
            ln_medians: products.map(ln_median).collect(),
            by_posting: residuals.concat(),
        }
    }

    /// Whether what is kept of all tickets is true in a book.
    pub(super) fn know_all(&self, matrix: &TicketMatrix, statistics: &Statistics) -> bool {
        let products = 0..matrix.products() as u32;
        let mut products = products.map(ProductNo);
        products.all(|product| self.know(matrix, statistics, product))
    }

    /// Whether what is kept of a product's tickets is true in a book.
    pub(super) fn know(
        &self,
        matrix: &TicketMatrix,
        statistics: &Statistics,
        product: ProductNo,
    ) -> bool {
        let ln_median = statistics.product(product).ln_median;
        self.base == matrix.base_number()
            && self.ln_medians.get(product.index()) == Some(&ln_median)
    }

    /// The residual of a ticket by its place in the base, where there is one.
    pub(super) fn at(&self, posting: u32) -> Option<f32> {
        debug_assert!(posting == NOT_IN_BASE || (posting as usize) < self.by_posting.len());
        self.by_posting.get(posting as usize).copied()
    }
}
