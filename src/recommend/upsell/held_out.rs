//! Tickets held out of a book: what variants are chosen by, and coverage is corrected with.

use super::estimate::LEVELS;
use super::mix;
use crate::domain::ClientNo;
use crate::matrix::{Cell, Statistics, TicketMatrix};
use crate::recommend::Book;
use crate::recommend::quantile::{self, Weighted};

/// Under this many tickets nothing can be held out, and the simplest variant serves.
const LEAST_TICKETS: usize = 40;
/// Up to this many tickets each is held out once, in [`FOLDS`] parts; above it one part suffices.
const SMALL_BOOK: usize = 20_000;
const FOLDS: u64 = 5;
/// The largest share held out of a book that is not small.
const MOST_HELD_OUT: f64 = 0.1;

/// A ticket that was held out, and what the model said of it.
pub(super) struct Judged {
    /// `(ln x - ln q) / deviation` at each level, before shifts.
    pub(super) errors: [f64; LEVELS.len()],
    /// Pinball loss of the log ticket, summed over P50, P80 and P90.
    pub(super) loss: f64,
}

/// One part of the tickets, and the book without them.
pub(super) struct Fold {
    matrix: TicketMatrix,
    statistics: Statistics,
    pub(super) hidden: Vec<(ClientNo, Vec<Cell>)>,
}

impl Fold {
    pub(super) fn book<'a>(&'a self, whole: &Book<'a>) -> Book<'a> {
        Book {
            matrix: &self.matrix,
            statistics: &self.statistics,
            ..*whole
        }
    }
}

/// Cuts a book into what is seen and what is held out, by a hash of client and product.
pub(super) fn folds(book: &Book<'_>) -> Vec<Fold> {
    let tickets = book.matrix.tickets();
    if tickets < LEAST_TICKETS {
        return Vec::new();
    }
    let sample = book.recipe.upsell.sample_cells;
    let parts = if tickets <= SMALL_BOOK.min(sample) {
        FOLDS
    } else {
        1
    };
    let share = (sample as f64 / tickets as f64).min(MOST_HELD_OUT);
    let part_of = move |client: u32, product: u32| -> Option<u64> {
        let hash = mix((u64::from(client) << 32) | u64::from(product));
        if parts == 1 {
            ((hash >> 11) as f64 / (1_u64 << 53) as f64 >= share).then_some(1)
        } else {
            Some(hash % parts)
        }
    };
    let fold = |fold: u64| {
        let mut hidden = Vec::new();
        let rows = (0..book.matrix.clients() as u32).map(|client| {
            let is_hidden = |cell: &Cell| part_of(client, cell.product.0).unwrap_or(0) == fold;
            let row = book.matrix.row(ClientNo(client));
            let (out, seen): (Vec<Cell>, Vec<Cell>) = row.iter().partition(|cell| is_hidden(cell));
            if !out.is_empty() {
                hidden.push((ClientNo(client), out));
            }
            seen
        });
        let matrix = TicketMatrix::from_rows(book.matrix.products(), rows);
        Fold {
            statistics: Statistics::of(&matrix),
            matrix,
            hidden,
        }
    };
    (0..parts).map(fold).collect()
}

pub(super) fn loss(judged: &[Judged]) -> f64 {
    judged.iter().map(|one| one.loss).sum::<f64>() / judged.len().max(1) as f64
}

/// What each quantile lacked on the held-out tickets, in deviations.
pub(super) fn shifts(judged: &[Judged], pseudo_tickets: f64) -> [f64; LEVELS.len()] {
    let mut shifts = [0.0; LEVELS.len()];
    let trust = judged.len() as f64 / (judged.len() as f64 + pseudo_tickets);
    for (at, shift) in shifts.iter_mut().enumerate() {
        let mut errors: Vec<Weighted> = judged
            .iter()
            .map(|one| Weighted {
                value: one.errors[at],
                weight: 1.0,
            })
            .collect();
        quantile::sort(&mut errors);
        if let Some([found]) = quantile::quantiles(&errors, &[LEVELS[at]]) {
            *shift = found * trust;
        }
    }
    shifts
}
