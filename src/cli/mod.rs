//! The commands: one file each. Those that need a server speak gRPC to it like any other client.

mod clients;
mod connect;
mod demo;
mod door;
pub(crate) mod doors;
mod effect;
mod evaluate;
mod explain;
mod export;
mod folder;
mod formula;
mod ideal;
mod import;
mod insights;
mod keys;
mod language;
mod objectives;
mod outcomes;
mod output;
mod pipeline;
mod plan;
mod portfolios;
mod prospects;
mod recipe;
mod recommend;
mod rows;
mod segments;
mod serve;
mod setting;
mod similar;
mod sink;
mod summary;
mod usage;

use clap::{CommandFactory, Parser, Subcommand};

pub use usage::Usage;

/// Tells a B2B supplier whom to sell more to.
#[derive(Debug, Parser)]
#[command(name = "carteira", version, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Args),
    Demo(demo::Args),
    Import(import::Args),
    Portfolios(portfolios::Args),
    Recommend(recommend::Args),
    Pipeline(pipeline::Args),
    Plan(plan::Args),
    Explain(explain::Args),
    Similar(similar::Args),
    Summary(summary::Args),
    Insights(insights::Args),
    Segments(segments::Args),
    Objectives(objectives::Args),
    Ideal(ideal::Args),
    Prospects(prospects::Args),
    Outcomes(outcomes::Args),
    Effect(effect::Args),
    Export(export::Args),
    Evaluate(evaluate::Args),
    Recipe(recipe::Args),
    Keys(keys::Args),
    Check(folder::CheckArgs),
    Backup(folder::BackupArgs),
    Restore(folder::RestoreArgs),
    Compact(folder::CompactArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

impl Cli {
    /// Runs the command that was given.
    pub fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Serve(args) => serve::run(&args),
            Command::Demo(args) => demo::run(&args),
            Command::Import(args) => import::run(&args),
            Command::Portfolios(args) => portfolios::run(&args),
            Command::Recommend(args) => recommend::run(&args),
            Command::Pipeline(args) => pipeline::run(&args),
            Command::Plan(args) => plan::run(&args),
            Command::Explain(args) => explain::run(&args),
            Command::Similar(args) => similar::run(&args),
            Command::Summary(args) => summary::run(&args),
            Command::Insights(args) => insights::run(&args),
            Command::Segments(args) => segments::run(&args),
            Command::Objectives(args) => objectives::run(&args),
            Command::Ideal(args) => ideal::run(&args),
            Command::Prospects(args) => prospects::run(&args),
            Command::Outcomes(args) => outcomes::run(&args),
            Command::Effect(args) => effect::run(&args),
            Command::Export(args) => export::run(&args),
            Command::Evaluate(args) => evaluate::run(&args),
            Command::Recipe(args) => recipe::run(&args),
            Command::Keys(args) => keys::run(&args),
            Command::Check(args) => folder::check(&args),
            Command::Backup(args) => folder::backup(&args),
            Command::Restore(args) => folder::restore(&args),
            Command::Compact(args) => folder::compact(&args),
            Command::Completions { shell } => {
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut Self::command(), "carteira", &mut script);
                output::print(String::from_utf8_lossy(&script).trim_end())
            }
        }
    }
}
