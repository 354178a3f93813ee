//! Predictions for a task that somebody else cut.

use std::path::Path;

use anyhow::Context;

use crate::evaluate::{Horizon, Task};
use crate::recommend::Recipe;

/// Answers a task.
pub(super) fn run(
    task: &Path,
    horizon_from: &Path,
    out: &Path,
    recipe: Recipe,
) -> anyhow::Result<()> {
    let horizon = Horizon::from_manifest(horizon_from)?;
    let task = Task::read(task, horizon, recipe)?;
    std::fs::create_dir_all(out)
        .with_context(|| format!("cannot make the folder {}", out.display()))?;
    let answered = task.answer(out)?;
    if let Some(fit) = answered.adoption {
        eprintln!(
            "adoption: {:?} form on {} pairs with {} adoptions from {} back-tests",
            fit.form, fit.pairs, fit.adoptions, fit.cuts
        );
    }
    eprintln!("{} predictions written to {}", answered.rows, out.display());
    Ok(())
}
