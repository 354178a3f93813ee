//! A process that writes is killed at any moment; what it had acknowledged is there afterwards,
//! whole and once.
//!
//! `CARTEIRA_FAULTS` multiplies the rounds, `CARTEIRA_SEED` repeats them.

mod store_support;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use carteira::store::{OpenOptions, Store};
use store_support::{Dice, founding, times_more, unit, whole_writes};

const ROUNDS: u64 = 40;
/// After so many rounds a new folder, so that founding one is killed too.
const ROUNDS_A_FOLDER: u64 = 8;
const FOLDER: &str = "CARTEIRA_KILL_FOLDER";

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
        writeln!(pipe, "acknowledged {count}").unwrap();
        next = Some(count);
    }
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
        let mut worker = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "a_worker_writes_until_it_is_killed",
                "--nocapture",
            ])
            .env(FOLDER, folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let pipe = BufReader::new(worker.stderr.take().unwrap());
        let reader = std::thread::spawn(move || {
            let lines = pipe.lines().map_while(Result::ok);
            lines.fold((None, Vec::new()), |(last, mut others), line| {
                match line.strip_prefix("acknowledged ").map(str::parse) {
                    Some(Ok(count)) => (Some(count), others),
                    _ => {
                        others.push(line);
                        (last, others)
                    }
                }
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
