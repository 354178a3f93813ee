//! The n-th write, sync, rename or open fails, for every n there is: nothing that was acknowledged is
//! lost, and nothing is acknowledged after a failure.
//!
//! `CARTEIRA_FAULTS` multiplies the writes, and so the operations that fail.
#![allow(clippy::unwrap_used, clippy::panic)]
#![cfg(all(target_os = "linux", target_pointer_width = "64"))]

#[path = "common/preload.rs"]
mod preload;
mod store_support;

use std::path::Path;
use std::time::Duration;

use carteira::store::{OpenOptions, Store};
use preload::library;
use store_support::worker::{self, Told, Worker, acknowledge};
use store_support::{founding, tell, times_more, unit, whole_writes};

const WRITES: u32 = 6;
const EIO: &str = "5";
const ENOSPC: &str = "28";
/// Operations after which the search gives up: far more than there are.
const NO_END: u64 = 5_000;

/// Writes some numbered writes, one a commit. Goes on after a failure, and tells if one is accepted.
#[test]
fn a_worker_writes_a_few_and_ends() {
    let Some(folder) = worker::folder() else {
        return;
    };
    let options = OpenOptions {
        write_limit: Duration::from_secs(2),
        ..OpenOptions::default()
    };
    let (mut store, loaded) = match Store::open(Path::new(&folder), &options) {
        Ok(opened) => opened,
        Err(error) => {
            eprintln!("refused: {error}");
            return;
        }
    };
    let mut failed = false;
    let first = loaded
        .portfolios
        .first()
        .map_or(0, |book| book.next_client.0);
    if loaded.portfolios.is_empty() {
        failed = store.apply(&[founding()]).is_err();
    }
    for n in first..first + WRITES * times_more() as u32 {
        match store.apply(&[unit(n)]) {
            Ok(_) if failed => eprintln!("ACCEPTED {n} after a failure"),
            Ok(_) => acknowledge(n + 1),
            Err(error) => {
                failed = true;
                eprintln!("failed: {error}");
            }
        }
    }
    drop(store);
    eprintln!("ended");
}

/// Runs a worker in which `many` operations from the `at`-th on fail.
fn run(library: &Path, folder: &Path, at: u64, many: &str, errno: &str) -> Told {
    let worker = Worker::start_with(
        "a_worker_writes_a_few_and_ends",
        folder,
        &[
            ("LD_PRELOAD", library.to_str().unwrap()),
            ("CARTEIRA_FAULT_FOLDER", folder.to_str().unwrap()),
            ("CARTEIRA_FAULT_AT", &at.to_string()),
            ("CARTEIRA_FAULT_FOR", many),
            ("CARTEIRA_FAULT_ERRNO", errno),
        ],
    );
    worker.join()
}

/// Every operation fails once (or for good), each in a folder of its own, new or with writes in it.
fn every_operation_fails(many: &str, errno: &str, founded: bool) {
    let tools = tempfile::tempdir().unwrap();
    let library = library("faulty_io", tools.path());
    let (mut hit, mut refused_to_open, mut acknowledged) = (0, 0, 0);
    for at in 1..NO_END {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let mut before = 0;
        if founded {
            let (mut store, _) = Store::open(&data, &OpenOptions::default()).unwrap();
            store.apply(&[founding()]).unwrap();
            store.apply(&[unit(0), unit(1), unit(2)]).unwrap();
            before = 3;
        }
        let told = run(&library, &data, at, many, errno);
        let said = told.others.join("\n");
        assert!(!said.contains("ACCEPTED"), "operation {at}: {said}");
        if !said.contains("fault ") {
            assert!(said.contains("ended"), "operation {at}: {said}");
            tell(format_args!(
                "{hit} operations failed with error {errno}, each once; {refused_to_open} while opening; {acknowledged} acknowledged, 0 lost, none accepted afterwards"
            ));
            assert!(
                hit > 20,
                "too few operations were seen: is the library loaded?"
            );
            return;
        }
        let ended = said.contains("ended") || said.contains("refused: ");
        assert!(
            ended,
            "operation {at}: the worker did not end by itself: {said}"
        );
        hit += 1;
        refused_to_open += u64::from(said.contains("refused: "));
        let least = told.acknowledged.unwrap_or(before);
        acknowledged += u64::from(least);
        let opened = Store::open(&data, &OpenOptions::default());
        let (store, loaded) =
            opened.unwrap_or_else(|error| panic!("operation {at}: {error}\n{said}"));
        let there = whole_writes(&store, &loaded);
        let there = there.unwrap_or_else(|error| panic!("operation {at}: {error}\n{said}"));
        // One more may be there: it failed after it was written, so it was not acknowledged.
        assert!(
            (least..=least + 1).contains(&there),
            "operation {at}: {least} acknowledged, {there} there\n{said}"
        );
    }
    panic!("after {NO_END} operations there are still more");
}

#[test]
fn any_one_operation_on_a_new_folder_may_fail() {
    every_operation_fails("1", EIO, false);
}

#[test]
fn any_one_operation_on_a_known_folder_may_fail() {
    every_operation_fails("1", EIO, true);
}

#[test]
fn the_disk_may_be_full_from_any_operation_on() {
    every_operation_fails("1000000", ENOSPC, true);
}
