//! The pipeline: the opportunities of a whole portfolio, in the order in which to work them.
//!
//! [`rules`](Rules) decide what may be offered at all; [`Pipeline`] holds what remains, by client,
//! with the list in order of priority; [`Filter`] and [`Order`] say which part of it is asked for;
//! [`Capacity`] cuts that to what can be worked and sold.
//! Plain data in and out: this room knows no disk, no wire and no clock.

#[cfg(test)]
pub(crate) mod books;
mod capacity;
mod filter;
mod list;
mod ordered;
mod piece;
pub mod plan;
mod row;
mod rows;
mod rules;

pub use capacity::{Capacity, MOST_CONSIDERED, OwnerUse, Planned, PlannedRow, StockUse};
pub use filter::{Filter, Order};
pub use list::{Pipeline, Place};
pub use ordered::Places;
pub use row::OfferRow;
pub use rules::{Offered, Rules};
