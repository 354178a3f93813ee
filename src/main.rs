//! The `carteira` binary. It exits with 0 when a command did what it was told, 1 when it failed and 2 on
//! a command line that cannot be meant.

use std::process::ExitCode;

use clap::Parser;
use tikv_jemallocator::Jemalloc;

/// Answers are hundreds of short texts, taken on one thread and often given back on another; and what a fit took goes
/// back to the system when it is over.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    match carteira::cli::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            let wrong_usage = error.is::<carteira::cli::Usage>();
            ExitCode::from(if wrong_usage { 2 } else { 1 })
        }
    }
}
