//! Whoever is scored: a client of the book, or one that is only supposed.

use super::distance::MOST_COMMON;
use super::{Profile, Profiles};
use crate::domain::{ClientNo, ProductNo};
use crate::matrix::{Cell, TicketMatrix, quick_ln};

/// Whoever is scored: its tickets and its attributes.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Its number, if it is a client of the book; it is then left out of its own neighbours.
    pub client: Option<ClientNo>,
    /// Its tickets, sorted by product without repeats.
    pub cells: &'a [Cell],
    /// Its attributes.
    pub profile: Profile<'a>,
}

impl<'a> Subject<'a> {
    /// A client of the book.
    pub fn existing(matrix: &'a TicketMatrix, profiles: &'a Profiles, client: ClientNo) -> Self {
        Self {
            client: Some(client),
            cells: matrix.row(client),
            profile: profiles.of_client(client),
        }
    }

    /// A client with other tickets or attributes than it has, or a prospect (`client` is `None`).
    ///
    /// Products that the book does not know must not be among the cells.
    pub fn supposed(client: Option<ClientNo>, cells: &'a [Cell], profile: Profile<'a>) -> Self {
        debug_assert!(
            cells
                .windows(2)
                .all(|pair| pair[0].product < pair[1].product)
        );
        Self {
            client,
            cells,
            profile,
        }
    }

    /// The products that it buys, rising.
    pub fn products(&self) -> impl Iterator<Item = ProductNo> + use<'a> {
        self.cells.iter().map(|cell| cell.product)
    }

    /// Its products, rising, and the logarithms of its tickets: the first [`MOST_COMMON`], by which it is compared.
    pub(super) fn lns(&self, lns: &mut Vec<(ProductNo, f32)>) {
        lns.clear();
        let cells = self.cells.iter().take(MOST_COMMON);
        lns.extend(cells.map(|cell| (cell.product, quick_ln(cell.ticket))));
    }

    /// Its ticket for a product, if it buys it.
    pub fn cell(&self, product: ProductNo) -> Option<&'a Cell> {
        let at = self
            .cells
            .binary_search_by_key(&product, |cell| cell.product)
            .ok()?;
        Some(&self.cells[at])
    }
}
