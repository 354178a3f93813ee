//! One client against all: the cosine search and the matrix beneath it, on a book of 2,000 × 300.
#![allow(missing_docs)]

use carteira::domain::{ClientNo, ProductNo};
use carteira::matrix::{Cell, Statistics, TicketMatrix};
use carteira::neighbours::{CosineIndex, CosineSearch, Profiles, Subject};
use criterion::{Criterion, criterion_group, criterion_main};

const CLIENTS: u32 = 2_000;
const PRODUCTS: u32 = 300;

/// A book in which a client buys about 40 products, spread by a fixed rule.
fn book() -> TicketMatrix {
    let rows = (0..CLIENTS).map(|client| {
        let bought = (0..PRODUCTS).filter(move |product| {
            let draw = client.wrapping_mul(2_654_435_761) ^ product.wrapping_mul(40_503);
            draw % PRODUCTS < 12_000 / (product + 60)
        });
        let cell = move |product: u32| Cell {
            product: ProductNo(product),
            ticket: 100.0 + ((client * 31 + product * 17) % 997) as f32,
            last_day: None,
        };
        bought.map(cell).collect::<Vec<_>>()
    });
    TicketMatrix::from_rows(PRODUCTS as usize, rows)
}

fn neighbours(bench: &mut Criterion) {
    let matrix = book();
    let statistics = Statistics::of(&matrix);
    let profiles = Profiles::default();
    let index = CosineIndex::of(&matrix, &statistics);
    let mut search = CosineSearch::default();
    let mut client = 0;
    bench.bench_function("one client's 200 nearest by cosine, 2,000 x 300", |run| {
        run.iter(|| {
            client = (client + 1) % CLIENTS;
            let subject = Subject::existing(&matrix, &profiles, ClientNo(client));
            index.nearest(&subject, &profiles, 200, &mut search).len()
        });
    });
    bench.bench_function("statistics of the book, 2,000 x 300", |run| {
        run.iter(|| Statistics::of(&matrix));
    });
    bench.bench_function("one changed row, 2,000 x 300", |run| {
        let row: std::sync::Arc<[Cell]> = matrix.row(ClientNo(1)).into();
        run.iter(|| {
            matrix
                .with_rows(2_000, 300, [(ClientNo(7), row.clone())])
                .tickets()
        });
    });
}

criterion_group!(benches, neighbours);
criterion_main!(benches);
