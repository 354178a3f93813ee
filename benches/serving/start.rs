//! From a stopped server to one that serves, beside reading its tree once; and the memory that it then takes.

use std::path::Path;
use std::time::{Duration, Instant};

use super::figures::{Spread, ratio};
use super::loaded::{serve, wait_for_pipeline};
use super::process::memory_bytes;

/// Memory that sled may cache the disk in, in bytes: the default of `cache_mib`.
const CACHE_BYTES: u64 = 64 << 20;

/// Prints how long servers take to start on a folder that nobody else has open.
pub async fn measure(data: &Path, rounds: usize) {
    let (mut serving, mut reading) = (Vec::new(), Vec::new());
    let mut bytes = 0;
    // The first round warms the system's own cache up.
    for round in 0..=rounds {
        let began = Instant::now();
        bytes = read(&data.join("sled"));
        let read = began.elapsed();
        let began = Instant::now();
        let server = serve(data);
        server.channel().await;
        if round > 0 {
            reading.push(read.as_secs_f64());
            serving.push(began.elapsed().as_secs_f64());
        }
        server.terminate();
    }
    println!(
        "  start to serving {:.3} s; opening and reading its sled tree once ({:.1} MB) {:.3} s; ratio {:.2}",
        Spread::of(serving.iter().copied()),
        bytes as f64 / 1e6,
        Spread::of(reading.iter().copied()),
        ratio(&serving, &reading),
    );
}

/// Prints the memory of a server on a folder that nobody else has open, before and after its pipeline is built.
pub async fn memory(data: &Path, tickets: usize) {
    let nothing = tempfile::tempdir().unwrap();
    let empty = serve(&nothing.path().join("data"));
    empty.channel().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let alone = memory_bytes(empty.pid());
    drop(empty);
    let server = serve(data);
    let channel = server.channel().await;
    let started = memory_bytes(server.pid());
    wait_for_pipeline(channel, server.pid()).await;
    let built = memory_bytes(server.pid());
    let above = |held: u64| held.saturating_sub(alone) as f64 / tickets as f64;
    println!(
        "  memory: empty {:.1} MB, started {:.1} MB ({:.1} bytes a ticket above the empty one), with the pipeline {:.1} MB ({:.1}); of that sled's cache is at most 64 MiB",
        alone as f64 / 1e6,
        started as f64 / 1e6,
        above(started),
        built as f64 / 1e6,
        above(built),
    );
}

/// Opens a sled tree and reads all of it; the bytes of its keys and values.
pub fn read(folder: &Path) -> u64 {
    let config = sled::Config::new().path(folder).flush_every_ms(None);
    let tree = config.cache_capacity(CACHE_BYTES).open().unwrap();
    let sizes = tree.iter().map(|entry| {
        let (key, value) = entry.unwrap();
        (key.len() + value.len()) as u64
    });
    sizes.sum()
}
