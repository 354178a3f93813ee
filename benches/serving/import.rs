//! `carteira import` of a whole book, beside the `csv` crate reading the same files to records.

use std::path::Path;
use std::time::Instant;

use super::book::Size;
use super::common;
use super::figures::{Spread, ratio};
use super::files::Files;
use super::loaded::{BOOK, serve};

/// Prints the row.
pub async fn measure(size: Size, rounds: usize) {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::write(size, folder.path());
    let paths: [(&str, &Path); 3] = [
        ("--clients", &files.clients),
        ("--products", &files.products),
        ("--sales", &files.sales),
    ];
    let (mut imported, mut parsed) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let began = Instant::now();
        let rows: usize = paths.iter().map(|(_, path)| parse(path)).sum();
        parsed.push(rows as f64 / began.elapsed().as_secs_f64());
        let server = serve(&folder.path().join(format!("data-{round}")));
        server.channel().await;
        let args = [
            "import",
            "--endpoint",
            &server.endpoint,
            "--portfolio",
            BOOK,
        ];
        let began = Instant::now();
        common::carteira(&args, &paths).unwrap();
        imported.push(rows as f64 / began.elapsed().as_secs_f64());
    }
    println!(
        "  import of {}: {:.0} rows a second; the csv crate alone {:.0}; ratio {:.3}",
        size.name,
        Spread::of(imported.iter().copied()),
        Spread::of(parsed.iter().copied()),
        ratio(&imported, &parsed),
    );
}

/// Reads a file to records; how many there are.
fn parse(path: &Path) -> usize {
    let mut reader = csv::Reader::from_path(path).unwrap();
    let mut rows = 0;
    for record in reader.records() {
        std::hint::black_box(record.unwrap());
        rows += 1;
    }
    rows
}
