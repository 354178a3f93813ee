//! `carteira evaluate`: proof on a history of one's own.

use std::path::PathBuf;

use anyhow::Context;

use crate::domain::Text;
use crate::evaluate::{Horizon, Task};
use crate::recommend::Recipe;

/// Answer a task of predictions, or measure the scoring on one's own history.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder with clients.csv, products.csv, sales.csv and what is asked (plain or .gz).
    #[arg(long, value_name = "DIR", requires = "out")]
    task: PathBuf,
    /// manifest.json that tells when the task's training part ends and how long the test is.
    #[arg(long, value_name = "FILE")]
    horizon_from: PathBuf,
    /// Folder for the predictions; made when it is not there.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Set a parameter of the recipe otherwise, such as `upsell.neighbours=200`; may be repeated.
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    settings: Vec<(Text, f64)>,
}

fn setting(raw: &str) -> Result<(Text, f64), String> {
    let (name, value) = raw.split_once('=').ok_or("it must be NAME=VALUE")?;
    let name = Text::parse(name).map_err(|error| error.to_string())?;
    let value = value
        .parse()
        .map_err(|_| format!("`{value}` is not a number"))?;
    Ok((name, value))
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let overrides = args.settings.iter().cloned().collect();
    let recipe = Recipe::standard()?.with_overrides(&overrides)?;
    let horizon = Horizon::from_manifest(&args.horizon_from)?;
    let task = Task::read(&args.task, horizon, recipe)?;
    std::fs::create_dir_all(&args.out)
        .with_context(|| format!("cannot make the folder {}", args.out.display()))?;
    let answers = task.answer(&args.out)?;
    if let Some(fit) = answers.adoption {
        eprintln!(
            "adoption: {:?} form on {} pairs with {} adoptions from {} back-tests",
            fit.form, fit.pairs, fit.adoptions, fit.cuts
        );
    }
    eprintln!(
        "{} predictions written to {}",
        answers.rows,
        args.out.display()
    );
    Ok(())
}
