//! The 50 nearest of every client by cosine: `cargo bench --bench all_neighbours -- M` (S, M, L or
//! XL). With `write FOLDER` the rows that are compared and what was found are written there, for
//! `benches/peers/run.py`. Run once at size S where no size is named.
#![allow(missing_docs, clippy::unwrap_used)]

mod book;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use book::Size;
use carteira::domain::{ClientNo, ProductNo};
use carteira::matrix::{Statistics, TicketMatrix};
use carteira::neighbours::{CosineIndex, NearestOfAll};

const NEAREST: usize = 50;
const RUNS: usize = 5;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let folder = arguments.iter().position(|argument| argument == "write");
    let folder = folder.and_then(|at| arguments.get(at + 1)).map(Path::new);
    let unnamed = !arguments
        .iter()
        .any(|argument| Size::named(argument).is_some());
    let once = unnamed || arguments.iter().any(|argument| argument == "once");
    for size in Size::of_arguments() {
        let matrix = book::undated(size).matrix;
        let index = CosineIndex::of(&matrix, &Statistics::of(&matrix));
        let mut seconds = Vec::new();
        let runs = if once || folder.is_some() { 1 } else { RUNS };
        for _ in 0..runs {
            let started = Instant::now();
            let found = NearestOfAll::of_index(&index, NEAREST);
            seconds.push(started.elapsed().as_secs_f64());
            if let Some(folder) = folder {
                write(folder, &matrix, &index, &found).unwrap();
            }
        }
        seconds.sort_unstable_by(f64::total_cmp);
        let buyers = |product: u32| f64::from(matrix.buyers(ProductNo(product)));
        let shared: f64 = (0..size.products as u32)
            .map(|product| buyers(product).powi(2))
            .sum();
        println!(
            "{{\"size\": \"{}\", \"seconds\": {:.4}, \"multiply_adds\": {shared:.0}}}",
            size.name,
            seconds[seconds.len() / 2]
        );
    }
}

/// Rows as compressed sparse rows (`starts`, `products`, `weights`) and the found clients, 4 bytes a
/// number, little-endian; `u32::MAX` where a client has fewer.
fn write(
    folder: &Path,
    matrix: &TicketMatrix,
    index: &CosineIndex,
    found: &NearestOfAll,
) -> std::io::Result<()> {
    let open = |name: &str| File::create(folder.join(name)).map(BufWriter::new);
    let mut starts = open("starts")?;
    let (mut products, mut weights, mut nearest) =
        (open("products")?, open("weights")?, open("nearest")?);
    let mut start = 0_u32;
    starts.write_all(&start.to_le_bytes())?;
    for client in (0..matrix.clients() as u32).map(ClientNo) {
        for (product, weight) in index.weights_of(matrix.row(client)) {
            products.write_all(&product.0.to_le_bytes())?;
            weights.write_all(&weight.to_le_bytes())?;
            start += 1;
        }
        starts.write_all(&start.to_le_bytes())?;
        let mut clients = found.of(client).iter().map(|similar| similar.client.0);
        for _ in 0..NEAREST {
            nearest.write_all(&clients.next().unwrap_or(u32::MAX).to_le_bytes())?;
        }
    }
    starts.flush()?;
    products.flush()?;
    weights.flush()?;
    nearest.flush()
}
