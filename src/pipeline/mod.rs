//! The pipeline: the opportunities of a whole portfolio, in the order in which to work them.
//!
//! [`rules`](Rules) decide what may be offered at all; [`Pipeline`] holds what remains, by client,
//! with the list in order of priority; [`Filter`] and [`Order`] say which part of it is asked for.
//! Plain data in and out: this room knows no disk, no wire and no clock.

mod filter;
mod list;
mod rules;

pub use filter::{Filter, Order};
pub use list::Pipeline;
pub use rules::{Offered, Rules};
