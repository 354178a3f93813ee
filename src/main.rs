//! The `carteira` binary.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match carteira::cli::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
