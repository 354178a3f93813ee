//! The nearest buyers behind every ticket held out, found once for all variants that measure distances alike.

use rayon::prelude::*;

use super::Choice;
use super::held_out::{Fold, Hidden};
use crate::matrix::Cell;
use crate::neighbours::{Buyer, BuyerSearch, Buyers, Subject};
use crate::recommend::Book;

/// What a search found of one ticket held out.
#[derive(Debug)]
pub(super) struct Survey {
    buyers: u32,
    /// Nearest first: the `k` nearest of any smaller `k` stand in front.
    nearest: Vec<Buyer>,
}

impl Survey {
    /// Its `k` nearest buyers: all that were found where `k` is larger than what was asked for.
    pub(super) fn of_nearest(&self, k: usize) -> Buyers<'_> {
        Buyers {
            buyers: self.buyers,
            nearest: &self.nearest[..k.min(self.nearest.len())],
        }
    }
}

/// The surveys of one fold, by client and ticket as these are hidden in it.
///
/// A search costs the postings of a client's products, and all else that a variant does with a ticket costs its
/// neighbours: variants that differ in what they make of the neighbours share the searches. 16 bytes a neighbour.
#[derive(Debug)]
pub(super) struct Surveys(Vec<Vec<Survey>>);

impl Surveys {
    /// Finds the `k` nearest buyers for each ticket held out, among those of the book without them. Cost: a search
    /// a client.
    pub(super) fn of(book: &Book<'_>, fold: &Fold, choice: &Choice, k: usize) -> Self {
        let visible = fold.book(book);
        let rule = choice.distance_rule(&visible);
        let survey = |search: &mut BuyerSearch, (client, hidden): &Hidden| {
            let subject = Subject::existing(visible.matrix, visible.profiles, *client);
            let products = hidden.iter().map(|cell| cell.product);
            search.survey(
                visible.matrix,
                &subject,
                visible.profiles,
                products,
                &rule,
                k,
            );
            let of_cell = |cell: &Cell| {
                let found = search.buyers(cell.product);
                let mut nearest = found.map_or_else(Vec::new, |found| found.nearest.to_vec());
                nearest.sort_unstable_by(Buyer::nearer);
                Survey {
                    buyers: found.map_or(0, |found| found.buyers),
                    nearest,
                }
            };
            hidden.iter().map(of_cell).collect()
        };
        let hidden = fold.hidden.par_iter();
        Self(hidden.map_init(BuyerSearch::default, survey).collect())
    }

    /// By client, in the order of the fold.
    pub(super) fn by_client(&self) -> &[Vec<Survey>] {
        &self.0
    }
}
