//! Processes that write and are stopped: the test program again, running one of its tests.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use carteira::store::{OpenOptions, Store};

use super::{founding, unit, whole_writes};

/// Where a worker writes; a test that is a worker does nothing without it.
const FOLDER: &str = "CARTEIRA_WORKER_FOLDER";

/// The folder that this process is to write to, where it is a worker.
pub fn folder() -> Option<String> {
    std::env::var(FOLDER).ok()
}

/// Tells of a write that was acknowledged. One write to the pipe, so that a kill does not tear the
/// line; straight to it, because the test harness holds back what is printed.
pub fn acknowledge(count: u32) {
    let line = format!("acknowledged {count}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

/// Writes groups of one to nine numbered writes for ever.
pub fn write_until_killed() {
    let Some(folder) = folder() else {
        return;
    };
    let (mut store, loaded) = Store::open(Path::new(&folder), &OpenOptions::default()).unwrap();
    let mut next = loaded.portfolios.first().map(|book| book.next_client.0);
    loop {
        let units: Vec<_> = match next {
            None => vec![founding()],
            Some(n) => (n..n + 1 + n % 9).map(unit).collect(),
        };
        store.apply(&units).unwrap();
        let count = next.map_or(0, |n| n + units.len() as u32);
        acknowledge(count);
        next = Some(count);
    }
}

/// Writes numbered values to sled as it comes, with no more than its own flush, for ever.
pub fn write_plain_sled_until_killed() {
    let Some(folder) = folder() else {
        return;
    };
    let db = sled::open(folder).unwrap();
    for n in db.len() as u32.. {
        db.insert(n.to_be_bytes(), vec![n as u8; 100]).unwrap();
        db.flush().unwrap();
        acknowledge(n + 1);
    }
}

/// A worker that runs.
pub struct Worker {
    process: Child,
    reader: JoinHandle<Told>,
}

/// Opens what a worker left. What it acknowledged has to be there, whole and once; one group of nine
/// more may be: durable, and stopped before it was acknowledged. Returns what is there.
pub fn still_whole(folder: &Path, acknowledged: u32, round: u64) -> u32 {
    let opened = Store::open(folder, &OpenOptions::default());
    let (store, loaded) = opened.unwrap_or_else(|error| panic!("round {round}: {error}"));
    let there = whole_writes(&store, &loaded);
    let there = there.unwrap_or_else(|error| panic!("round {round}: {error}"));
    assert!(
        (acknowledged..=acknowledged + 9).contains(&there),
        "round {round}: {acknowledged} acknowledged, {there} there"
    );
    there
}

/// What a worker told until it was stopped.
#[derive(Debug, Default)]
pub struct Told {
    /// The last count that it acknowledged.
    pub acknowledged: Option<u32>,
    /// Whatever else it said.
    pub others: Vec<String>,
}

impl Worker {
    /// Starts this program again, running one test with a folder.
    pub fn start(test: &str, folder: &Path) -> Self {
        Self::start_with(test, folder, &[])
    }

    /// The same, with more variables of the environment.
    pub fn start_with(test: &str, folder: &Path, variables: &[(&str, &str)]) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(FOLDER, folder)
            .envs(variables.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let pipe = BufReader::new(process.stderr.take().unwrap());
        let reader = std::thread::spawn(move || {
            let mut told = Told::default();
            for line in pipe.lines().map_while(Result::ok) {
                match line.strip_prefix("acknowledged ").map(str::parse) {
                    Some(Ok(count)) => told.acknowledged = Some(count),
                    _ => told.others.push(line),
                }
            }
            told
        });
        Self { process, reader }
    }

    /// Kills it.
    pub fn kill(mut self) -> Told {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.reader.join().unwrap()
    }

    /// Waits until it ends by itself.
    pub fn join(mut self) -> Told {
        self.process.wait().unwrap();
        self.reader.join().unwrap()
    }
}
