//! What a prediction is worth, in figures.
//!
//! Each file holds one measure: a plain function of what was foretold and what happened, over pairs
//! or tickets in the order of clients. `None` where there is nothing to measure. Ties in a ranking
//! go to the client, then the product, that comes first. Amounts are minor units a month.

mod calibration;
mod growth;
mod pipeline;
mod potential;
mod ticket;
mod top_list;

pub use calibration::{Bin, Calibration, calibration};
pub use growth::{GrowthFound, growth};
pub use pipeline::{Pipeline, Point, pipeline};
pub use potential::{LEVELS, Potential, QuantileFit, potential};
pub use ticket::{TicketError, ticket};
pub use top_list::{Listable, TopList, top_list};

/// The places of a ranking by falling score, ties in their own order.
fn ranking(scores: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    order
}

/// A share of a count, at least one where there are any: half to even, as in the protocol.
fn part(count: usize, share: f64) -> usize {
    let part = (count as f64 * share).round_ties_even() as usize;
    part.max(1).min(count)
}
