//! From a moment to offers: the one place that calls `recommend`.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use rayon::prelude::*;

use super::recipes::recipe_of;
use super::tenant::{Moment, Tenant};
use super::{Advice, Book, EngineError, Supposed, View};
use crate::domain::{
    Client, ClientNo, Kind, Opportunity, Product, ProductId, ProductNo, Shortfall,
};
use crate::matrix::Cell;
use crate::neighbours::Subject;
use crate::pipeline::{Offered, Rules};
use crate::recommend::{
    self, Advisor, Receipt, Scratch, SimilarClient,
};

/// What was learnt from one state of a portfolio.
#[derive(Debug)]
pub struct Model {
    /// The write counter of the state that it was fitted to.
    pub sequence: u64,
    advisor: Advisor,
}

thread_local! {
    /// Buffers of the thread, so that a request allocates none.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Fits a model to a book. Cost: see [`Advisor::fit`].
pub(super) fn fit(book: &Book, view: &View) -> Result<Model, EngineError> {
    let recipe = recipe_of(book.portfolio())?;
    let advisor = Advisor::fit(&recommend_book(book, view, &recipe), &book.purchase_log(), book.as_of());
    Ok(Model { sequence: book.sequence(), advisor })
}
