//! Bought tickets that are hidden from the model, to be foretold.

use crate::domain::ClientNo;
use crate::matrix::{Cell, TicketMatrix};

use super::forecast::Hidden;

/// Up to this many tickets each is hidden once, in [`FOLDS`] parts; above it one share suffices.
const SMALL_BOOK: usize = 20_000;
const FOLDS: u64 = 5;
/// One ticket in this many of a book that is not small.
const ONE_IN: u64 = 10;

/// One part of the tickets, and the book without them.
pub(super) struct Fold {
    pub(super) visible: TicketMatrix,
    /// By client, then product.
    pub(super) hidden: Vec<Hidden>,
}

/// The parts of a book's tickets that are hidden, one after the other: always the same for the
/// same book. Cost: the tickets, once a part.
pub(super) fn folds(matrix: &TicketMatrix) -> Vec<Fold> {
    let (parts, taken) = match matrix.tickets() <= SMALL_BOOK {
        true => (FOLDS, FOLDS),
        false => (ONE_IN, 1),
    };
    let folds = (0..taken).map(|part| fold(matrix, parts, part));
    folds.filter(|fold| !fold.hidden.is_empty()).collect()
}

fn fold(matrix: &TicketMatrix, parts: u64, part: u64) -> Fold {
    let mut hidden = Vec::new();
    let mut rows: Vec<Vec<Cell>> = Vec::with_capacity(matrix.clients());
    for client in (0..matrix.clients() as u32).map(ClientNo) {
        let (out, row): (Vec<Cell>, Vec<Cell>) = matrix
            .row(client)
            .iter()
            .partition(|cell| mix(client, cell) % parts == part);
        hidden.extend(out.iter().map(|cell| Hidden {
            client,
            product: cell.product,
        }));
        rows.push(row);
    }
    Fold {
        visible: TicketMatrix::from_rows(matrix.products(), rows),
        hidden,
    }
}

/// Spreads a pair of numbers over 64 bits (splitmix64: Steele, Lea, Flood, OOPSLA 2014), unlike the
/// hash by which the models hold tickets out of their own fits.
fn mix(client: ClientNo, cell: &Cell) -> u64 {
    let pair = u64::from(client.0) << 32 | u64::from(cell.product.0);
    let mut x = (pair ^ 0x5851_f42d_4c95_7f2d).wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ProductNo;

    fn book(clients: usize, products: u32) -> TicketMatrix {
        let cell = |product| Cell {
            product: ProductNo(product),
            ticket: 1.0,
            last_day: None,
        };
        let row: Vec<Cell> = (0..products).map(cell).collect();
        TicketMatrix::from_rows(products as usize, (0..clients).map(|_| row.clone()))
    }

    #[test]
    fn every_ticket_of_a_small_book_is_hidden_once_and_seen_in_the_other_parts() {
        let matrix = book(60, 20);
        let folds = folds(&matrix);
        assert_eq!(folds.len(), 5);
        let mut all: Vec<Hidden> = folds.iter().flat_map(|fold| fold.hidden.clone()).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 1_200);
        for fold in &folds {
            assert_eq!(fold.hidden.len() + fold.visible.tickets(), 1_200);
            assert!((180..300).contains(&fold.hidden.len()));
            let seen = |cell: &Hidden| fold.visible.cell(cell.client, cell.product).is_some();
            assert!(!fold.hidden.iter().any(seen));
            assert!(fold.hidden.is_sorted());
        }
    }

    #[test]
    fn a_tenth_of_a_large_book_is_hidden() {
        let matrix = book(300, 100);
        let folds = folds(&matrix);
        assert_eq!(folds.len(), 1);
        assert!((2_800..3_200).contains(&folds[0].hidden.len()));
    }
}
