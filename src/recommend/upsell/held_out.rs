//! Tickets held out of a book: what variants are chosen by, and coverage is corrected with.

use super::estimate::LEVELS;
use super::mix;
use crate::domain::{ClientNo, ProductNo};
use crate::matrix::{Cell, Statistics, TicketMatrix};
use crate::recommend::Book;

/// Under this many tickets nothing can be held out, and the simplest variant serves.
const LEAST_TICKETS: usize = 40;
/// Up to this many tickets each is held out once, in [`FOLDS`] parts; above it one part suffices.
const SMALL_BOOK: usize = 20_000;
const FOLDS: u64 = 5;
/// The largest share held out of a book that is not small, and of a client's tickets in a vast one.
const MOST_HELD_OUT: f64 = 0.1;

/// Which tickets are held out.
#[derive(Debug, Clone, Copy)]
enum Sample {
    /// All, in [`FOLDS`] parts.
    All,
    /// A share of the tickets, whoever has them.
    Tickets(f64),
    /// [`MOST_HELD_OUT`] of the tickets of a share of the clients. To judge a ticket its client is
    /// compared with all others: where these are many, several tickets must share a comparison.
    Clients(f64),
}

impl Sample {
    /// The sample of a book: about as many tickets as the recipe says, and no more comparisons than it
    /// allows. Cost: the tickets once.
    fn of(book: &Book<'_>) -> Self {
        let upsell = &book.recipe.upsell;
        let matrix = book.matrix;
        let tickets = matrix.tickets();
        if tickets <= SMALL_BOOK.min(upsell.sample_cells) {
            return Self::All;
        }
        let share = (upsell.sample_cells as f64 / tickets as f64).min(MOST_HELD_OUT);
        let buyers: Vec<f64> = (0..matrix.products() as u32)
            .map(|product| f64::from(matrix.buyers(ProductNo(product))))
            .collect();
        let (mut by_tickets, mut all) = (0.0, 0.0);
        for client in 0..matrix.clients() as u32 {
            let row = matrix.row(ClientNo(client));
            let postings: f64 = row.iter().map(|cell| buyers[cell.product.index()]).sum();
            by_tickets += postings * (share * row.len() as f64).min(1.0);
            all += postings;
        }
        match by_tickets <= upsell.judged_postings {
            true => Self::Tickets(share),
            false => {
                let wanted = upsell.sample_cells as f64 / (MOST_HELD_OUT * tickets as f64);
                Self::Clients(wanted.min(upsell.judged_postings / all))
            }
        }
    }

    /// How many parts it has.
    fn parts(self) -> u64 {
        match self {
            Self::All => FOLDS,
            Self::Tickets(_) | Self::Clients(_) => 1,
        }
    }

    /// The part that a ticket is held out in.
    fn part_of(self, client: ClientNo, product: ProductNo) -> Option<u64> {
        let hash = mix((u64::from(client.0) << 32) | u64::from(product.0));
        let (share, chosen) = match self {
            Self::All => return Some(hash % FOLDS),
            Self::Tickets(share) => (share, true),
            Self::Clients(share) => (MOST_HELD_OUT, unit(mix(!u64::from(client.0))) < share),
        };
        (chosen && unit(hash) < share).then_some(0)
    }
}

/// 64 bits as a number from 0 to 1.
fn unit(hash: u64) -> f64 {
    (hash >> 11) as f64 / (1_u64 << 53) as f64
}

/// A ticket that was held out, and what the model said of it.
pub(super) struct Judged {
    /// `(ln x - ln q) / deviation` at each level, before shifts.
    pub(super) errors: [f64; LEVELS.len()],
    /// Pinball loss of the log ticket, summed over P50, P80 and P90.
    pub(super) loss: f64,
    /// The logarithm of the sum of the client's tickets that were shown.
    pub(super) ln_total: Option<f64>,
}

/// A part of a book's tickets that stands for the book.
pub(super) struct Part {
    matrix: TicketMatrix,
    statistics: Statistics,
}

impl Part {
    fn of(book: &Book<'_>, rows: impl Iterator<Item = Vec<Cell>>) -> Self {
        let matrix = TicketMatrix::from_rows(book.matrix.products(), rows);
        Self {
            statistics: Statistics::of(&matrix),
            matrix,
        }
    }

    /// All tickets of so many clients that these are about `upsell.choice_tickets`; `None` of a book
    /// that has no more.
    pub(super) fn of_some_clients(book: &Book<'_>) -> Option<Self> {
        let share = book.recipe.upsell.choice_tickets as f64 / book.matrix.tickets() as f64;
        let row = |client: u32| match unit(mix(u64::from(client))) < share {
            true => book.matrix.row(ClientNo(client)).to_vec(),
            false => Vec::new(),
        };
        let clients = 0..book.matrix.clients() as u32;
        (share < 1.0).then(|| Self::of(book, clients.map(row)))
    }

    /// The book as if this were all of it.
    pub(super) fn book<'a>(&'a self, whole: &Book<'a>) -> Book<'a> {
        Book {
            matrix: &self.matrix,
            statistics: &self.statistics,
            ..*whole
        }
    }
}

/// A client and its tickets that are held out.
pub(super) type Hidden = (ClientNo, Vec<Cell>);

/// One part of the tickets, and the book without them.
pub(super) struct Fold {
    seen: Part,
    pub(super) hidden: Vec<Hidden>,
}

impl Fold {
    /// The book without the tickets held out.
    pub(super) fn book<'a>(&'a self, whole: &Book<'a>) -> Book<'a> {
        self.seen.book(whole)
    }
}

/// Cuts a book into what is seen and what is held out, by a hash of client and product.
pub(super) fn folds(book: &Book<'_>) -> Vec<Fold> {
    let tickets = book.matrix.tickets();
    if tickets < LEAST_TICKETS {
        return Vec::new();
    }
    let sample = Sample::of(book);
    let fold = |fold: u64| {
        let mut hidden = Vec::new();
        let rows = (0..book.matrix.clients() as u32).map(|client| {
            let is_hidden =
                |cell: &Cell| sample.part_of(ClientNo(client), cell.product) == Some(fold);
            let row = book.matrix.row(ClientNo(client));
            let (out, seen): (Vec<Cell>, Vec<Cell>) = row.iter().partition(|cell| is_hidden(cell));
            if !out.is_empty() {
                hidden.push((ClientNo(client), out));
            }
            seen
        });
        Fold {
            seen: Part::of(book, rows),
            hidden,
        }
    };
    (0..sample.parts()).map(fold).collect()
}

pub(super) fn loss(judged: &[Judged]) -> f64 {
    judged.iter().map(|one| one.loss).sum::<f64>() / judged.len().max(1) as f64
}
