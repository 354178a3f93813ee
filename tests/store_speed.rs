//! How fast the store writes and opens, printed. Run it alone, on a real disk:
//! `cargo test --release --test store_speed -- --ignored --nocapture` (`TMPDIR` chooses the disk).
#![allow(clippy::unwrap_used, clippy::too_many_lines)]

#[path = "common/preload.rs"]
mod preload;
mod store_support;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use carteira::domain::ClientNo;
use carteira::store::{Change, OpenOptions, Store, Unit, backup, check, compact};
use store_support::worker::{self, Worker};
use store_support::{BOOK, buckets, client, founding, history, sale, sale_hash, unit};

const CLIENTS: u32 = 20_000;
const BUCKETS: i32 = 50;

#[test]
#[ignore = "prints figures"]
fn how_fast_it_is() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("data");
    let (mut store, _) = Store::open(&dir, &OpenOptions::default()).unwrap();
    store.apply(&[founding()]).unwrap();

    let mut next = 0;
    for (groups, size) in [(300, 1), (60, 16), (20, 256)] {
        let began = Instant::now();
        for _ in 0..groups {
            let units: Vec<_> = (next..next + size).map(unit).collect();
            store.apply(&units).unwrap();
            next += size;
        }
        let seconds = began.elapsed().as_secs_f64();
        let units = f64::from(groups * size);
        println!(
            "groups of {size}: {:.0} units/s, {:.2} ms a group",
            units / seconds,
            seconds * 1e3 / f64::from(groups)
        );
    }

    let first = next;
    let mut records = 0;
    let (mut packing, began) = (0.0, Instant::now());
    for from in (first..first + CLIENTS).step_by(500) {
        let began = Instant::now();
        let mut changes = Vec::new();
        for n in from..from + 500 {
            let no = ClientNo(n);
            changes.push(Change::PutClient(no, Arc::new(client(n))));
            let history = history(n, BUCKETS);
            let blocks = history.blocks().iter().cloned();
            changes.extend(blocks.map(|block| Change::PutBlock(no, block)));
        }
        records += changes.len();
        packing += began.elapsed().as_secs_f64();
        let portfolio = BOOK;
        store.apply(&[Unit { portfolio, changes }]).unwrap();
    }
    let seconds = began.elapsed().as_secs_f64() - packing;
    println!(
        "{records} records of {CLIENTS} clients with {} buckets: {:.0} records/s, packing {:.2} M buckets/s",
        CLIENTS * BUCKETS as u32,
        records as f64 / seconds,
        f64::from(CLIENTS) * f64::from(BUCKETS) / packing / 1e6
    );
    assert_eq!(buckets(first, BUCKETS).len(), BUCKETS as usize);

    for (groups, size) in [(20, 1_000), (4, 25_000)] {
        let began = Instant::now();
        for _ in 0..groups {
            let changes =
                (next..next + size).map(|n| Change::PutSale(sale_hash(n), entry(n, first)));
            let changes = changes.collect();
            let portfolio = BOOK;
            store.apply(&[Unit { portfolio, changes }]).unwrap();
            next += size;
        }
        let sales = f64::from(groups * size);
        println!(
            "named sales, {size} a unit: {:.0} sales/s",
            sales / began.elapsed().as_secs_f64()
        );
    }
    let began = Instant::now();
    store.sales_of(BOOK, ClientNo(1)).unwrap();
    println!(
        "the named sales of one client of all: {:?}",
        began.elapsed()
    );

    let began = Instant::now();
    drop(store);
    println!("closing: {:?}", began.elapsed());
    let began = Instant::now();
    let (store, loaded) = Store::open(&dir, &OpenOptions::default()).unwrap();
    println!("opening with all checks: {:?}", began.elapsed());
    let book = &loaded.portfolios[0];
    let buckets: usize = book
        .histories
        .iter()
        .map(|(_, history)| history.iter().count())
        .sum();
    let bytes: usize = book
        .histories
        .iter()
        .map(|(_, history)| history.packed_bytes())
        .sum();
    println!(
        "{buckets} buckets, {:.1} bytes each",
        bytes as f64 / buckets as f64
    );
    drop((store, loaded));
    let began = Instant::now();
    println!(
        "{:?}, checked in {:?}",
        check(&dir).unwrap(),
        began.elapsed()
    );
    let began = Instant::now();
    backup(&dir, None, &home.path().join("backup"), &|_| ()).unwrap();
    println!("backup: {:?}", began.elapsed());
    let size = || {
        std::fs::metadata(dir.join("sled").join("db"))
            .unwrap()
            .len()
            >> 20
    };
    let (before, began) = (size(), Instant::now());
    compact(&dir, &|_| ()).unwrap();
    println!(
        "compaction from {before} to {} MiB: {:?}",
        size(),
        began.elapsed()
    );
}

/// A sale of one of the clients there are.
fn entry(n: u32, clients: u32) -> carteira::store::SaleEntry {
    sale(n % clients)
}

/// Groups of writes of three sizes, and how many units a second of each; with it what two hashes take of that.
#[test]
fn a_worker_writes_and_tells_how_fast() {
    let Some(folder) = worker::folder() else {
        return;
    };
    let (mut store, _) = Store::open(Path::new(&folder), &OpenOptions::default()).unwrap();
    store.apply(&[founding()]).unwrap();
    let mut next = 0;
    let mut told = String::new();
    for (groups, size) in [(400, 1), (80, 16), (20, 256)] {
        let began = Instant::now();
        for _ in 0..groups {
            let units: Vec<_> = (next..next + size).map(unit).collect();
            store.apply(&units).unwrap();
            next += size;
        }
        let rate = f64::from(groups * size) / began.elapsed().as_secs_f64();
        told.push_str(&format!("  {size} a commit: {rate:.0} units/s"));
    }
    eprintln!("{told}");
}

#[test]
#[ignore = "prints figures"]
fn what_each_measure_costs() {
    const RECORDS: u32 = 200_000;
    let tools = tempfile::tempdir().unwrap();
    let library = preload::library("no_sync", tools.path());
    for (what, left_out) in [
        ("as it is", ""),
        ("without the sync of the database", "/sled/db"),
        ("without the sync of the watermark", "/watermark"),
        ("without either", "/sled/db:/watermark"),
    ] {
        for _ in 0..3 {
            let folder = tempfile::tempdir().unwrap();
            let variables = [
                ("LD_PRELOAD", library.to_str().unwrap()),
                ("CARTEIRA_NO_SYNC", left_out),
            ];
            let test = "a_worker_writes_and_tells_how_fast";
            let worker = Worker::start_with(test, &folder.path().join("data"), &variables);
            println!("{what}: {}", worker.join().others.join(" ").trim());
        }
    }
    // As the store does it: a keyed hash of the old record, and one of the new.
    let value = [7; 400];
    let began = Instant::now();
    let mut sum = 0_u8;
    for at in 0..2 * RECORDS {
        let mut hasher = blake3::Hasher::new_keyed(&[1; 32]);
        hasher.update(&at.to_le_bytes());
        hasher.update(&value);
        sum ^= hasher.finalize().as_bytes()[0];
    }
    let micros = began.elapsed().as_secs_f64() * 1e6 / f64::from(RECORDS);
    println!("the digest: {micros:.2} microseconds a changed record of 400 bytes ({sum})");
}
