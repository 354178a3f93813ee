//! A process that writes is killed at any moment; what it had acknowledged is there afterwards,
//! whole and once.
//!
//! `CARTEIRA_FAULTS` multiplies the rounds, `CARTEIRA_SEED` repeats them.
#![allow(clippy::unwrap_used, clippy::panic)]

mod store_support;

use std::path::Path;
use std::time::Duration;

use carteira::store::{OpenOptions, Store, compact};
use store_support::worker::{self, Told, Worker, still_whole, write_until_killed};
use store_support::{Dice, founding, tell, times_more, unit, whole_writes};

const ROUNDS: u64 = 40;
/// After so many rounds a new folder, so that founding one is killed too.
const ROUNDS_A_FOLDER: u64 = 8;
const COMPACTIONS: u64 = 15;

#[test]
fn a_worker_writes_until_it_is_killed() {
    write_until_killed();
}

/// The process that is killed while it compacts, over and over.
#[test]
fn a_worker_compacts_until_it_is_killed() {
    let Some(folder) = worker::folder() else {
        return;
    };
    loop {
        compact(Path::new(&folder), &|_| ()).unwrap();
    }
}

#[test]
fn a_kill_while_compacting_loses_nothing() {
    const WRITES: u32 = 150;
    let mut dice = Dice::thrown("kills while compacting");
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(folder.path(), &OpenOptions::default()).unwrap();
    store.apply(&[founding()]).unwrap();
    store
        .apply(&(0..WRITES).map(unit).collect::<Vec<_>>())
        .unwrap();
    drop(store);
    for round in 0..COMPACTIONS * times_more() {
        let worker = Worker::start("a_worker_compacts_until_it_is_killed", folder.path());
        std::thread::sleep(Duration::from_micros(dice.below(300_000)));
        worker.kill();
        let opened = Store::open(folder.path(), &OpenOptions::default());
        let (store, loaded) = opened.unwrap_or_else(|error| panic!("round {round}: {error}"));
        assert_eq!(whole_writes(&store, &loaded), Ok(WRITES), "round {round}");
    }
    let rounds = COMPACTIONS * times_more();
    tell(format_args!("{rounds} kills while compacting, 0 lost"));
}

#[test]
fn an_acknowledged_write_survives_a_kill_at_any_moment() {
    let mut dice = Dice::thrown("kills of the store");
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
        let worker = Worker::start("a_worker_writes_until_it_is_killed", folder.path());
        std::thread::sleep(delay);
        let Told {
            acknowledged: last,
            others,
        } = worker.kill();
        assert!(others.is_empty(), "round {round}: {others:?}");
        acknowledged = last.unwrap_or(before);
        silent_rounds += u32::from(last.is_none());

        acknowledged = still_whole(folder.path(), acknowledged, round);
    }
    total += acknowledged;
    tell(format_args!(
        "{} kills of the store, {total} acknowledged writes, 0 lost; {silent_rounds} before the first of them",
        ROUNDS * times_more()
    ));
}
