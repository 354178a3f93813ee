//! Counts, seeds and results of the fault tests.

// Each test file is a crate of its own and needs a part of this.
#![allow(dead_code, clippy::unwrap_used)]

use std::fmt::Display;
use std::io::Write;

/// How many times more than by default a fault is tried: `CARTEIRA_FAULTS`.
pub fn times_more() -> u64 {
    number("CARTEIRA_FAULTS").unwrap_or(1)
}

/// The seed of a test: `CARTEIRA_SEED`, or the clock's. It is told, so that a failure can be repeated.
pub fn seed_of(test: &str) -> u64 {
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seed = number("CARTEIRA_SEED").unwrap_or(clock.unwrap().as_micros() as u64 % 1_000_000_000);
    tell(format_args!("{test}: CARTEIRA_SEED={seed}"));
    seed
}

/// Prints a line past the harness, which holds back what a test prints that passes: what was tried,
/// and with which seed, stands in every log.
pub fn tell(line: impl Display) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}
