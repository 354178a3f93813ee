//! Bytes thrown at every door: requests of every call, records and backups of the store, CSV files of
//! clients, products, sales and outcomes, keys, page tokens, recipes. Nothing panics, hangs, or takes more
//! memory than is stated here.
//!
//! Inputs are mutated from valid ones and from those in `tests/corpus`; one that breaks something is kept
//! there. `CARTEIRA_FAULTS` multiplies the inputs, `CARTEIRA_SEED` repeats them; `tests/guided` lets coverage choose
//! them instead. Parquet is not read, so it has no door.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "../common/contract.rs"]
mod contract;
mod doors;
#[path = "../store_support/mod.rs"]
mod store_support;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use doors::{MOST_BYTES, open};
use peak_alloc::PeakAlloc;
use store_support::faults::{seed_of, tell, times_more};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Doors, the inputs that each gets, and the most memory that one input may take, in KiB: itself, what it
/// unfolds to, and what answers it.
const DOORS: [(&str, u64, u64); 10] = [
    ("requests", 900_000, 8 * 1_024),
    ("records", 500_000, 1_024),
    ("backup", 200_000, 1_024),
    ("keys", 500_000, 64),
    ("tokens", 500_000, 64),
    ("recipe", 40_000, 1_024),
    ("clients", 90_000, 2_048),
    ("products", 90_000, 2_048),
    ("sales", 90_000, 2_048),
    ("outcomes", 90_000, 2_048),
];
/// One input that takes longer has hung.
const HUNG: Duration = Duration::from_secs(10);
/// Doors open at once.
const AT_ONCE: usize = 2;
const DOOR: &str = "CARTEIRA_FUZZ_DOOR";

/// Repeatable numbers.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

/// Pieces that mean something to one door or another.
const PIECES: [&[u8]; 30] = [
    b"\0",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\x80\x80\x80\x80\x08",
    b"\x7f\xf8\0\0\0\0\0\0",
    b"\0\0\0\0\0\0\xf0\x7f",
    b"\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"\0\0\0\0\0\0\0\x80",
    b"\n\0",
    b"\x12\0\x12\0\x12\0",
    b"\x0b\x0b\x0b\x0b",
    b"\"",
    b"\"\"",
    b"\r\n",
    b"\n",
    b",",
    b";",
    b"\t",
    b"'=1",
    b"-1",
    b"1e308",
    b"NaN",
    b"99999999999999999999",
    b"2026-02-30",
    b"\xef\xbb\xbf",
    b"\x1f\x8b\x08\0\0\0\0\0\0\x03",
    b"\xe2\x80\xae",
    b"\xc0\x80",
    b"[[x]]\n",
    b"= inf",
    b"ctk_0123456789abcdef_",
];

/// One input from another: a few changes of any kind.
fn mutated(dice: &mut Dice, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seeds[dice.below(seeds.len())].clone();
    for _ in 0..=dice.below(4) {
        let at = dice.below(bytes.len() + 1);
        let to = (at + 1 + dice.below(16)).min(bytes.len());
        let from = at.min(to);
        match dice.below(10) {
            0 | 1 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            2 if at < bytes.len() => bytes[at] = dice.next() as u8,
            3 => drop(bytes.drain(from..to)),
            4 => {
                let piece = PIECES[dice.below(PIECES.len())];
                bytes.splice(at..at, piece.iter().copied());
            }
            5 => {
                let again = bytes[from..to].repeat(1 + dice.below(8));
                bytes.splice(at..at, again);
            }
            6 => bytes.truncate(at),
            7 => {
                let other = &seeds[dice.below(seeds.len())];
                let cut = dice.below(other.len() + 1);
                let end = (cut + dice.below(64)).min(other.len());
                bytes.splice(from..to, other[cut..end].iter().copied());
            }
            8 => {
                let piece = PIECES[dice.below(PIECES.len())];
                let to = (at + piece.len()).min(bytes.len());
                bytes.splice(at.min(to)..to, piece.iter().copied());
            }
            _ => {
                let run = vec![dice.next() as u8; dice.below(40)];
                bytes.splice(at..at, run);
            }
        }
    }
    bytes.truncate(MOST_BYTES);
    bytes
}

fn corpus(door: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/corpus")
        .join(door)
}

/// Inputs that are kept: each was of interest once.
fn kept(door: &str) -> Vec<Vec<u8>> {
    let Ok(entries) = corpus(door).read_dir() else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

/// The input that is under way, and its number.
static NOW: Mutex<(u64, Vec<u8>)> = Mutex::new((0, Vec::new()));

/// Leaves the input under way in a file where something panics, wherever, or hangs; and ends the process.
fn watch(last: PathBuf) {
    fn end(last: &Path) -> ! {
        // Whoever holds it panicked.
        let now = NOW
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let _ = std::fs::write(last, &now.1);
        std::process::exit(1)
    }
    let printed = std::panic::take_hook();
    let file = last.clone();
    std::panic::set_hook(Box::new(move |info| {
        printed(info);
        end(&file);
    }));
    std::thread::spawn(move || {
        let (mut at, mut since) = (0, Instant::now());
        loop {
            std::thread::sleep(Duration::from_millis(200));
            let now = NOW.lock().map_or(at, |now| now.0);
            if now != at {
                (at, since) = (now, Instant::now());
            } else if since.elapsed() > HUNG {
                let _ = std::io::stderr().write_all(b"an input hung\n");
                end(&last);
            }
        }
    });
}

/// The process that one door is tried in: it alone allocates, so that what an input takes can be told.
#[test]
fn a_worker_throws_bytes_at_one_door() {
    let Some(given) = std::env::var(DOOR).ok() else {
        return;
    };
    let [door, inputs, most_kib, seed, home] = given.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{given}");
    };
    let (inputs, most_kib): (u64, u64) = (inputs.parse().unwrap(), most_kib.parse().unwrap());
    watch(Path::new(home).join("last"));
    let (mut seeds, mut opened) = open(door, Path::new(home));
    // The seeds first, as they are; then what is made of them.
    let of_corpus = kept(door);
    seeds.extend(of_corpus);
    let whole: Vec<Vec<u8>> = seeds.clone();
    for seed in &mut seeds {
        seed.truncate(MOST_BYTES);
    }
    let mut dice = Dice(seed.parse().unwrap());
    let mut worst = 0;
    for at in 0..inputs {
        let input = match whole.get(at as usize) {
            Some(seed) => seed.clone(),
            None => mutated(&mut dice, &seeds),
        };
        NOW.lock().unwrap().clone_from(&(at, input.clone()));
        let before = ALLOCATOR.current_usage();
        ALLOCATOR.reset_peak_usage();
        opened(&input);
        let taken = ALLOCATOR.peak_usage().saturating_sub(before) / 1_024;
        assert!(taken as u64 <= most_kib, "an input took {taken} KiB");
        worst = worst.max(taken);
    }
    std::io::stderr()
        .write_all(format!("worst {worst}\n").as_bytes())
        .unwrap();
}

struct Running {
    door: &'static str,
    inputs: u64,
    most_kib: u64,
    home: tempfile::TempDir,
    began: Instant,
    process: Child,
}

fn start(door: &'static str, inputs: u64, most_kib: u64, seed: u64) -> Running {
    // Files are written for every input: a folder in memory where there is one.
    let memory = Path::new("/dev/shm");
    let home = match memory.is_dir() {
        true => tempfile::tempdir_in(memory).unwrap(),
        false => tempfile::tempdir().unwrap(),
    };
    let given = format!(
        "{door} {inputs} {most_kib} {seed} {}",
        home.path().display()
    );
    let process = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "a_worker_throws_bytes_at_one_door",
            "--nocapture",
        ])
        .env(DOOR, given)
        .env("RUST_BACKTRACE", "1")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    Running {
        door,
        inputs,
        most_kib,
        home,
        began: Instant::now(),
        process,
    }
}

/// Waits for a door; what it said of itself, or what broke it.
fn finish(running: Running) -> Result<(), String> {
    let Running {
        door,
        inputs,
        most_kib,
        home,
        began,
        process,
    } = running;
    let ran = process.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    if !ran.status.success() || said.contains("panicked") {
        let input = std::fs::read(home.path().join("last")).unwrap_or_default();
        let name = blake3::hash(&input).to_hex();
        let kept = corpus(door).join(&name[..16]);
        std::fs::create_dir_all(corpus(door)).unwrap();
        std::fs::write(&kept, &input).unwrap();
        return Err(format!(
            "{door}: {} broke it\n{}",
            kept.display(),
            said.chars().take(4_000).collect::<String>()
        ));
    }
    let worst = said
        .split("worst ")
        .nth(1)
        .and_then(|rest| rest.lines().next());
    tell(format_args!(
        "{door}: {inputs} inputs in {:.1} s, 0 panics, at most {} KiB of memory each of {most_kib}",
        began.elapsed().as_secs_f64(),
        worst.unwrap_or("?")
    ));
    Ok(())
}

#[test]
fn no_bytes_at_any_door_panic_hang_or_take_more_memory_than_stated() {
    let seed = seed_of("bytes at every door");
    let mut waiting = DOORS.into_iter();
    let mut running: Vec<Running> = Vec::new();
    let mut broken = Vec::new();
    loop {
        while running.len() < AT_ONCE
            && let Some((door, inputs, most_kib)) = waiting.next()
        {
            running.push(start(door, inputs * times_more(), most_kib, seed));
        }
        if running.is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
        while let Some(at) = running
            .iter_mut()
            .position(|one| one.process.try_wait().unwrap().is_some())
        {
            broken.extend(finish(running.swap_remove(at)).err());
        }
    }
    let all: u64 = DOORS
        .iter()
        .map(|(_, inputs, _)| inputs * times_more())
        .sum();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(all >= 3_000_000);
    tell(format_args!("{all} inputs, 0 panics, 0 hangs"));
}
