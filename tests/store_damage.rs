//! Every file of a data folder is damaged in every way; the folder is then refused with a code, or
//! nothing is missing from it. Never silence, a panic, or a hang.
#![allow(clippy::unwrap_used, clippy::panic)]

mod store_support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use carteira::store::{Code, OpenOptions, Store, check};
use store_support::{Dice, founding, times_more, unit, whole_writes};

const WRITES: u32 = 120;
/// Random places in each file at which a bit is flipped, and at which it is cut.
const PLACES: u64 = 12;

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

type Damage = Box<dyn Fn(&Path)>;

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
    let mut dice = Dice::thrown();
    let home = tempfile::tempdir().unwrap();
    let [half, killed, closed] = folders(home.path());
    for whole in [killed, closed] {
        suffer(&whole, &half, &mut dice, &home.path().join("damaged"));
    }
}

/// Opens a folder after each damage.
fn suffer(whole: &Path, half: &Path, dice: &mut Dice, dir: &Path) {
    let damages = damages(whole, half, dice);
    let mut counts = std::collections::BTreeMap::new();
    let mut lost = Vec::new();
    for (label, damage) in &damages {
        copy(whole, dir);
        damage(dir);
        let began = std::time::Instant::now();
        let outcome = open(dir);
        if began.elapsed() > Duration::from_secs(3) {
            println!("{label}: took {:?}, {outcome:?}", began.elapsed());
        }
        let key = match &outcome {
            Outcome::Refused(code) => code.as_str(),
            Outcome::Whole => "whole",
            Outcome::Lost(_) => "lost",
        };
        *counts.entry(key).or_insert(0) += 1;
        if let Outcome::Lost(what) = outcome {
            lost.push(format!("{label}: {what}"));
        }
        std::fs::remove_dir_all(dir).unwrap();
    }
    println!("{} damages: {counts:?}", damages.len());
    assert!(lost.is_empty(), "{lost:#?}");
}

#[test]
fn a_folder_that_is_not_there_is_not_made_by_a_check() {
    let home = tempfile::tempdir().unwrap();
    for dir in [home.path().join("none"), home.path().to_path_buf()] {
        assert_eq!(check(&dir).unwrap_err().code, Code::Missing);
    }
    assert_eq!(home.path().read_dir().unwrap().count(), 0);
}
