//! A process that writes is killed at any moment; what it had acknowledged is there afterwards,
//! whole and once.
//!
//! `CARTEIRA_FAULTS` multiplies the rounds, `CARTEIRA_SEED` repeats them.
#![allow(clippy::unwrap_used, clippy::panic)]

mod store_support;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use carteira::store::{OpenOptions, Store, compact};
use store_support::{Dice, founding, times_more, unit, whole_writes};

const ROUNDS: u64 = 40;
/// After so many rounds a new folder, so that founding one is killed too.
const ROUNDS_A_FOLDER: u64 = 8;
const FOLDER: &str = "CARTEIRA_KILL_FOLDER";
const COMPACTED_FOLDER: &str = "CARTEIRA_KILL_COMPACTED_FOLDER";
const COMPACTIONS: u64 = 15;

/// The process that is killed: this test again, with a folder given. Writes groups of one to nine
/// numbered writes for ever, and prints how many there are once they are acknowledged.
#[test]
fn a_worker_writes_until_it_is_killed() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    // Straight to the pipe: the test harness holds back what is printed.
    let mut pipe = std::io::stderr();
    let (mut store, loaded) = Store::open(Path::new(&folder), &OpenOptions::default()).unwrap();
    let mut next = loaded.portfolios.first().map(|book| book.next_client.0);
    loop {
        let units: Vec<_> = match next {
            None => vec![founding()],
            Some(n) => (n..n + 1 + n % 9).map(unit).collect(),
        };
        store.apply(&units).unwrap();
        let count = next.map_or(0, |n| n + units.len() as u32);
        // One write, so that a kill does not tear the line.
        let line = format!("acknowledged {count}\n");
        pipe.write_all(line.as_bytes()).unwrap();
        next = Some(count);
    }
}

/// The process that is killed while it compacts, over and over.
#[test]
fn a_worker_compacts_until_it_is_killed() {
    let Ok(folder) = std::env::var(COMPACTED_FOLDER) else {
        return;
    };
    loop {
        compact(Path::new(&folder), &|_| ()).unwrap();
    }
}

#[test]
fn a_kill_while_compacting_loses_nothing() {
    const WRITES: u32 = 150;
    let mut dice = Dice::thrown();
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(folder.path(), &OpenOptions::default()).unwrap();
    store.apply(&[founding()]).unwrap();
    store
        .apply(&(0..WRITES).map(unit).collect::<Vec<_>>())
        .unwrap();
    drop(store);
    for round in 0..COMPACTIONS * times_more() {
        let mut worker = worker(
            "a_worker_compacts_until_it_is_killed",
            COMPACTED_FOLDER,
            folder.path(),
        );
        std::thread::sleep(Duration::from_micros(dice.below(300_000)));
        worker.kill().unwrap();
        worker.wait().unwrap();
        let opened = Store::open(folder.path(), &OpenOptions::default());
        let (store, loaded) = opened.unwrap_or_else(|error| panic!("round {round}: {error}"));
        assert_eq!(whole_writes(&store, &loaded), Ok(WRITES), "round {round}");
    }
}

/// This program again, running one test with a folder.
fn worker(test: &str, variable: &str, folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(variable, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn an_acknowledged_write_survives_a_kill_at_any_moment() {
    let mut dice = Dice::thrown();
    let mut folder = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    let mut total = 0;
    let mut silent_rounds = 0;
    for round in 0..ROUNDS * times_more() {
        if round % ROUNDS_A_FOLDER == 0 {
            folder = tempfile::tempdir().unwrap();
            total += acknowledged;
            acknowledged = 0;
        }
        let before = acknowledged;
        // Half of them early, while it opens.
        let limit = if dice.below(2) == 0 { 40_000 } else { 400_000 };
        let delay = Duration::from_micros(dice.below(limit));
        let mut worker = worker("a_worker_writes_until_it_is_killed", FOLDER, folder.path());
        let pipe = BufReader::new(worker.stderr.take().unwrap());
        let reader = std::thread::spawn(move || {
            let lines = pipe.lines().map_while(Result::ok);
            lines.fold((None, Vec::new()), |(last, mut others), line| {
                let count = line.strip_prefix("acknowledged ").map(str::parse);
                if let Some(Ok(count)) = count {
                    return (Some(count), others);
                }
                others.push(line);
                (last, others)
            })
        });
        std::thread::sleep(delay);
        worker.kill().unwrap();
        worker.wait().unwrap();
        let (last, others): (Option<u32>, Vec<String>) = reader.join().unwrap();
        assert!(others.is_empty(), "round {round}: {others:?}");
        acknowledged = last.unwrap_or(before);
        silent_rounds += u32::from(last.is_none());

        let opened = Store::open(folder.path(), &OpenOptions::default());
        let (store, loaded) = opened.unwrap_or_else(|error| panic!("round {round}: {error}"));
        let there = whole_writes(&store, &loaded);
        let there = there.unwrap_or_else(|error| panic!("round {round}: {error}"));
        // One group more may be there: durable, and killed before it was acknowledged.
        assert!(
            (acknowledged..=acknowledged + 9).contains(&there),
            "round {round}: {acknowledged} acknowledged, {there} there"
        );
        acknowledged = there;
    }
    total += acknowledged;
    println!("{total} writes, {silent_rounds} rounds killed before the first of them");
}
