//! Books that search for a fast kernel's weak spots; each has more clients than a block.

use std::sync::Arc;

use super::DistanceRule;
use crate::domain::{ClientNo, ProductNo};
use crate::matrix::{BLOCK, Cell};

/// How distances are measured in them.
pub(super) const RULE: DistanceRule = DistanceRule {
    spread: 1.5,
    shrink: 2.0,
    floor: 0.05,
    attribute_weight: 0.0,
};

/// A ticket without a date.
pub(super) fn ticket(product: u32, ticket: f32) -> Cell {
    Cell {
        product: ProductNo(product),
        ticket,
        last_day: None,
    }
}

type Rows = Vec<Arc<[Cell]>>;

/// What is special, and the rows over 12 products.
pub(super) const BOOKS: [(&str, fn() -> Rows); 4] = [
    ("of every kind", || rows(2 * BLOCK + 77, mixed)),
    ("all the same", || rows(BLOCK + 3, |_, _| 7.0)),
    ("of one client", || rows(1, mixed)),
    ("without anybody", || rows(0, mixed)),
];

/// Clients at the ends of blocks, and a few between.
pub(super) fn edges(clients: usize) -> impl Iterator<Item = ClientNo> {
    let is_edge =
        |client: &usize| matches!(client % BLOCK, 0..3) || (client + 1).is_multiple_of(BLOCK);
    let chosen =
        move |client: &usize| is_edge(client) || client % 331 == 5 || client + 1 == clients;
    (0..clients)
        .filter(chosen)
        .map(|client| ClientNo(client as u32))
}

/// Some buy nothing, one buys all, one product is bought by all, one by very few, many tickets tie.
fn mixed(client: usize, product: usize) -> f32 {
    let hash = (client * 12 + product).wrapping_mul(2_654_435_761) % 1_009;
    match (client, product) {
        (5, _) => 1.0e6 * (product + 1) as f32,
        _ if client % 7 == 3 => 0.0,
        (_, 0) => (1 + hash % 3) as f32,
        (_, 1) if client % 500 != 11 => 0.0,
        _ if hash < 350 => (1 + hash % 40) as f32,
        _ => 0.0,
    }
}

fn rows(clients: usize, ticket: fn(usize, usize) -> f32) -> Rows {
    let row = |client: usize| {
        let cells = (0..12).map(|product| Cell {
            product: ProductNo(product as u32),
            ticket: ticket(client, product),
            last_day: None,
        });
        cells.filter(|cell| cell.ticket > 0.0).collect()
    };
    (0..clients).map(row).collect()
}
