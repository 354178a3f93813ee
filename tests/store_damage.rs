//! Every file of a data folder is damaged in every way; the folder is then refused with a code, or
//! nothing is missing from it. Never silence, a panic, or a hang.
#![allow(clippy::unwrap_used, clippy::panic)]

mod store_support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use carteira::store::{Code, OpenOptions, Store, check};
use store_support::{Dice, founding, tell, times_more, unit, whole_writes};

const WRITES: u32 = 120;
/// Random places in each file at which a bit is flipped, a sector zeroed, and at which it is cut.
const PLACES: u64 = 12;
const SECTOR_BYTES: u64 = 512;
/// A folder is opened or refused within ten seconds, and what a full machine adds.
const HUNG: Duration = Duration::from_secs(15);
/// Folders that suffer side by side.
const LANES: usize = 4;
/// Damaged images at least.
const LEAST: u64 = 400;

/// What came of opening a folder.
#[derive(Debug)]
enum Outcome {
    Refused(Code),
    Whole,
    Lost(String),
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in dir.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to.join("sled").join("blobs")).unwrap();
    for file in files(from) {
        std::fs::copy(&file, to.join(file.strip_prefix(from).unwrap())).unwrap();
    }
}

fn open(dir: &Path) -> Outcome {
    let options = OpenOptions {
        stall_limit: Duration::from_secs(10),
        ..OpenOptions::default()
    };
    match Store::open(dir, &options) {
        Err(error) => {
            assert!(error.next.contains("carteira "), "{error}");
            Outcome::Refused(error.code)
        }
        Ok((store, loaded)) => match whole_writes(&store, &loaded) {
            Ok(WRITES) => Outcome::Whole,
            Ok(count) => Outcome::Lost(format!("{count} of {WRITES} writes")),
            Err(error) => Outcome::Lost(error),
        },
    }
}

/// A folder as it was half way, as a kill after the last write leaves it, and as a close does.
fn folders(home: &Path) -> [PathBuf; 3] {
    let [half, killed, closed] = ["half", "killed", "closed"].map(|name| home.join(name));
    let mut store = None;
    for n in 0..WRITES {
        if n == WRITES / 2 {
            drop(store.take());
            copy(&closed, &half);
        }
        if n % 10 == 0 && n < 100 {
            drop(store.take());
        }
        let open = || Store::open(&closed, &OpenOptions::default()).unwrap().0;
        let store = store.get_or_insert_with(open);
        if n == 0 {
            store.apply(&[founding()]).unwrap();
        }
        store.apply(&[unit(n)]).unwrap();
    }
    copy(&closed, &killed);
    drop(store);
    check(&closed).unwrap();
    [half, killed, closed]
}

type Damage = Box<dyn Fn(&Path) + Send + Sync>;

/// Every damage to the files of a folder, of which there is an older copy.
fn damages(whole: &Path, half: &Path, dice: &mut Dice) -> Vec<(String, Damage)> {
    let names: Vec<PathBuf> = files(whole)
        .iter()
        .map(|file| file.strip_prefix(whole).unwrap().to_path_buf())
        .collect();
    println!("files: {names:?}");
    let mut damages: Vec<(String, Damage)> = Vec::new();
    for name in &names {
        let label = name.display().to_string();
        let length = std::fs::metadata(whole.join(name)).unwrap().len();
        for _ in 0..PLACES * times_more() {
            let (at, bit) = (dice.below(length), dice.below(8));
            let file = name.clone();
            damages.push((
                format!("{label}: bit {bit} of byte {at} of {length} flipped"),
                Box::new(move |dir| {
                    let mut bytes = std::fs::read(dir.join(&file)).unwrap();
                    bytes[at as usize] ^= 1 << bit;
                    std::fs::write(dir.join(&file), bytes).unwrap();
                }),
            ));
        }
        for _ in 0..PLACES * times_more() {
            let sector = dice.below(length.div_ceil(SECTOR_BYTES));
            let file = name.clone();
            damages.push((
                format!("{label}: sector {sector} of {length} bytes zeroed"),
                Box::new(move |dir| {
                    let mut bytes = std::fs::read(dir.join(&file)).unwrap();
                    let from = (sector * SECTOR_BYTES) as usize;
                    let to = bytes.len().min(from + SECTOR_BYTES as usize);
                    bytes[from..to].fill(0);
                    std::fs::write(dir.join(&file), bytes).unwrap();
                }),
            ));
        }
        let lengths: Vec<u64> = (0..PLACES * times_more())
            .map(|_| dice.below(length))
            .collect();
        for cut in lengths.into_iter().chain([0, length - 1]) {
            let file = name.clone();
            damages.push((
                format!("{label}: cut to {cut} of {length} bytes"),
                Box::new(move |dir| {
                    let file = std::fs::OpenOptions::new()
                        .write(true)
                        .open(dir.join(&file));
                    file.unwrap().set_len(cut).unwrap();
                }),
            ));
        }
        let file = name.clone();
        damages.push((
            format!("{label}: deleted"),
            Box::new(move |dir| std::fs::remove_file(dir.join(&file)).unwrap()),
        ));
        if half.join(name).exists() {
            let (file, half) = (name.clone(), half.to_path_buf());
            damages.push((
                format!("{label}: an older one in its place"),
                Box::new(move |dir| {
                    std::fs::copy(half.join(&file), dir.join(&file)).unwrap();
                }),
            ));
        }
        for other in names.iter().filter(|other| *other > name) {
            let (a, b) = (name.clone(), other.clone());
            damages.push((
                format!("{label}: swapped with {}", other.display()),
                Box::new(move |dir| {
                    std::fs::rename(dir.join(&a), dir.join("aside")).unwrap();
                    std::fs::rename(dir.join(&b), dir.join(&a)).unwrap();
                    std::fs::rename(dir.join("aside"), dir.join(&b)).unwrap();
                }),
            ));
        }
    }
    damages.push((
        "the database folder deleted".into(),
        Box::new(|dir| std::fs::remove_dir_all(dir.join("sled")).unwrap()),
    ));
    damages.push((
        "all but the lock deleted".into(),
        Box::new(|dir| {
            std::fs::remove_dir_all(dir.join("sled")).unwrap();
            std::fs::remove_file(dir.join("watermark")).unwrap();
        }),
    ));
    let older = half.to_path_buf();
    damages.push((
        "an older database in its place".into(),
        Box::new(move |dir| {
            std::fs::remove_dir_all(dir.join("sled")).unwrap();
            std::fs::create_dir_all(dir.join("sled").join("blobs")).unwrap();
            for file in files(&older.join("sled")) {
                std::fs::copy(&file, dir.join(file.strip_prefix(&older).unwrap())).unwrap();
            }
        }),
    ));

    damages
}

#[test]
fn damage_to_any_file_is_refused_with_a_code_or_loses_nothing() {
    // What sled says while it meets damage is of no interest here.
    let printed = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let thread = std::thread::current();
        let silent = |name: &str| name == "open" || name.starts_with("sled");
        if !thread.name().is_none_or(silent) {
            printed(info);
        }
    }));
    let mut dice = Dice::thrown("damaged images");
    let home = tempfile::tempdir().unwrap();
    let [half, killed, closed] = folders(home.path());
    let mut damaged = 0;
    for whole in [killed, closed] {
        damaged += suffer(&whole, &half, &mut dice, &home.path().join("damaged"));
    }
    tell(format_args!("{damaged} damaged images in all, 0 silent"));
    assert!(damaged >= LEAST);
}

/// Opens a folder after each damage, some side by side. How many there were.
fn suffer(whole: &Path, half: &Path, dice: &mut Dice, dir: &Path) -> u64 {
    let damages = damages(whole, half, dice);
    let found = Mutex::new((BTreeMap::new(), Vec::new()));
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for lane in 0..LANES {
            let (damages, found, next) = (&damages, &found, &next);
            let dir = dir.with_extension(lane.to_string());
            // A name, so that what it says of a failure is heard.
            let thread = std::thread::Builder::new().name(format!("lane {lane}"));
            let run = move || {
                while let Some((label, damage)) = damages.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    copy(whole, &dir);
                    damage(&dir);
                    let began = Instant::now();
                    let outcome = open(&dir);
                    let took = began.elapsed();
                    assert!(took < HUNG, "{label}: took {took:?}, {outcome:?}");
                    let key = match &outcome {
                        Outcome::Refused(code) => code.as_str(),
                        Outcome::Whole => "whole",
                        Outcome::Lost(_) => "lost",
                    };
                    let mut found = found.lock().unwrap();
                    *found.0.entry(key).or_insert(0_u64) += 1;
                    if let Outcome::Lost(what) = outcome {
                        found.1.push(format!("{label}: {what}"));
                    }
                    drop(found);
                    std::fs::remove_dir_all(&dir).unwrap();
                }
            };
            thread.spawn_scoped(scope, run).unwrap();
        }
    });
    let (counts, lost) = found.into_inner().unwrap();
    tell(format_args!("{} damaged images: {counts:?}", damages.len()));
    assert!(lost.is_empty(), "{lost:#?}");
    damages.len() as u64
}

#[test]
fn a_folder_that_is_not_there_is_not_made_by_a_check() {
    let home = tempfile::tempdir().unwrap();
    for dir in [home.path().join("none"), home.path().to_path_buf()] {
        assert_eq!(check(&dir).unwrap_err().code, Code::Missing);
    }
    assert_eq!(home.path().read_dir().unwrap().count(), 0);
}
