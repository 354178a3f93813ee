//! Cross-sell: how likely a client takes up a product that it does not buy, and for how much.
//!
//! [`AdoptionModel::fit`] learns from the portfolio's own past, with labels made by time: what was
//! known a horizon ago against what was taken up since. [`AdoptionModel::score`] then gives every
//! product that a subject does not buy a calibrated propensity and a P20, P50 and P80 ticket, and
//! [`AdoptionModel::explain`] the terms they are the sum of.
//!
//! The evidence: what similar clients buy (cosine neighbours, with and without decay) and lately
//! took up; what goes together (EASE); how fast the product spreads, over four windows; how readily
//! the client widens its basket, how often and how lately it buys. The same input gives the same
//! bytes, whatever the number of threads. With too little history there is no calibration, and the
//! model says so; a figure is never invented for a product that nobody bought.

mod backtest;
mod cut;
mod evidence;
mod history;
mod inverse;
mod items;
mod lasting;
pub(crate) mod linear;
mod model;
mod page;
mod propensity;
mod receipt;
mod recency;
mod recipe;
mod signals;
#[cfg(test)]
mod tests;
mod ticket;

pub use cut::matrix_before;
pub use evidence::Scene;
pub use history::Span;
pub use model::{Adoption, AdoptionFit, AdoptionModel, AdoptionScratch, Cancelled};
pub use page::{Page, Rated};
pub(crate) use propensity::logistic;
pub use receipt::{AdoptionReceipt, ReceiptTerm};
pub use recipe::AdoptionRecipe;
pub use signals::{Form, Signal, Term};
pub use ticket::TicketTerm;
