//! `carteira evaluate`: proof on a history of one's own, without a server.

mod proof;
mod shown;
mod task;

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::import::Dialect;
use super::output::Output;
use super::setting::{self, Setting};
use super::usage::usage;
use crate::domain::{Day, Text};
use crate::recommend::Recipe;

/// Prove on one's own history that it works, or answer a task of predictions.
///
/// With --data, sales before --cut are learnt from, and what is foretold for the --horizon days
/// after it is compared with what happened, beside what anybody could have said (best-sellers, own
/// history). A table is printed, and a page with plots, report.html, is written. Files are read as
/// `carteira import` reads them; sales without dates measure the potential alone.
///
/// With --task, predictions are written for what a folder asks, of which nothing else is shown.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["data", "task"])))]
pub struct Args {
    /// Folder with clients.csv, products.csv and sales.csv (plain or .gz)
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The first day that is not learnt from, YYYY-MM-DD
    #[arg(long, value_name = "DATE", value_parser = day, requires = "data", requires = "horizon")]
    cut: Option<Day>,
    /// Days from the cut that are to be foreseen
    #[arg(long, value_name = "DAYS", requires = "data", requires = "cut")]
    horizon: Option<u32>,
    /// Buyers that a product must have before the cut to be judged
    #[arg(long, value_name = "N", default_value_t = 1)]
    min_buyers: u32,
    /// Folder with a task: clients, products, sales and what is asked (plain or .gz)
    #[arg(long, value_name = "DIR", requires_all = ["horizon_from", "out"])]
    task: Option<PathBuf>,
    /// manifest.json that tells when the task's training part ends and how long the test is
    #[arg(long, value_name = "FILE", requires = "task")]
    horizon_from: Option<PathBuf>,
    /// Folder for the predictions, and with --data the report; made when it is not there
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Set a parameter of the recipe otherwise, such as upsell.neighbours=200; may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE")]
    settings: Vec<Setting>,
    /// How the figures are printed
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    dialect: Dialect,
}

fn day(raw: &str) -> Result<Day, String> {
    Day::parse(raw).map_err(|error| error.to_string())
}

/// The standard recipe with what was set otherwise.
fn recipe(settings: &[Setting]) -> anyhow::Result<Recipe> {
    let mut overrides = BTreeMap::new();
    for (name, value) in setting::overrides(settings) {
        let name = Text::parse(&name).map_err(|error| usage(format!("--set '{name}' {error}")))?;
        overrides.insert(name, value);
    }
    let recipe = Recipe::standard()?.with_overrides(&overrides);
    recipe.map_err(|error| usage(format!("--set: {error}")))
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    match (&args.task, &args.horizon_from, &args.data) {
        (Some(task), Some(horizon_from), None) => {
            let Some(out) = &args.out else {
                return Err(usage("--task needs --out, a folder for the predictions"));
            };
            task::run(task, horizon_from, out, recipe(&args.settings)?)
        }
        (None, None, Some(data)) => proof::run(args, data),
        _ => Err(usage(
            "give either --data with --cut and --horizon, or --task with --horizon-from and --out",
        )),
    }
}
