//! The doors of `tests/fuzz` with inputs that coverage chooses: see `run`.
#![no_main]

#[path = "../common/contract.rs"]
mod contract;
#[path = "../fuzz/doors.rs"]
mod doors;
#[path = "../store_support/mod.rs"]
mod store_support;

use std::cell::RefCell;
use std::path::PathBuf;

use doors::{Opened, open};
use libfuzzer_sys::fuzz_target;

thread_local! {
    static OPENED: RefCell<Option<Opened>> = RefCell::default();
}

fuzz_target!(
    init: {
        let given = |name| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: see tests/guided/run"));
        let home = PathBuf::from(given("CARTEIRA_FUZZ_HOME"));
        let (seeds, opened) = open(&given("CARTEIRA_FUZZ_DOOR"), &home);
        let folder = home.join("seeds");
        std::fs::create_dir_all(&folder).unwrap();
        for (at, seed) in seeds.iter().enumerate() {
            std::fs::write(folder.join(at.to_string()), seed).unwrap();
        }
        OPENED.set(Some(opened));
    },
    |input: &[u8]| {
        OPENED.with_borrow_mut(|opened| opened.as_mut().unwrap()(input));
    }
);
