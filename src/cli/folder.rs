//! `carteira check`, `backup`, `restore`, `compact`: on a data folder that no server has open.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};

use crate::domain::PortfolioId;
use crate::store::{self, Report};

/// Check that a data folder is whole: every record, count and digest. Exits 0 when it is.
#[derive(Debug, Clone, clap::Args)]
pub struct CheckArgs {
    /// The data folder
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
}

/// Write all portfolios of a data folder, or one, to a file.
#[derive(Debug, Clone, clap::Args)]
pub struct BackupArgs {
    /// The data folder
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// The file
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Only this portfolio
    #[arg(long, value_name = "ID")]
    portfolio: Option<String>,
}

/// Put the portfolios of a backup, or one, into a data folder. Nothing is overwritten.
#[derive(Debug, Clone, clap::Args)]
pub struct RestoreArgs {
    /// The data folder; made when it is not there
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// The backup
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// Only this portfolio
    #[arg(long, value_name = "ID")]
    portfolio: Option<String>,
}

/// Rewrite a data folder, so that no byte of what was deleted stays in it.
#[derive(Debug, Clone, clap::Args)]
pub struct CompactArgs {
    /// The data folder
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
}

/// Runs `carteira check`.
pub fn check(args: &CheckArgs) -> anyhow::Result<()> {
    let report = store::check(&args.data_dir)?;
    println!("{} is whole: {}", args.data_dir.display(), figures(&report));
    Ok(())
}

/// Runs `carteira backup`.
pub fn backup(args: &BackupArgs) -> anyhow::Result<()> {
    let only = portfolio(args.portfolio.as_deref())?;
    let bar = bar("backing up");
    let report = store::backup(&args.data_dir, only.as_ref(), &args.out, &|done| {
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    println!(
        "{}: {}, read back and verified",
        args.out.display(),
        figures(&report)
    );
    Ok(())
}

/// Runs `carteira restore`.
pub fn restore(args: &RestoreArgs) -> anyhow::Result<()> {
    let only = portfolio(args.portfolio.as_deref())?;
    let bar = bar("restoring");
    let report = store::restore(&args.from, &args.data_dir, only.as_ref(), &|done| {
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    println!("{}: {} restored", args.data_dir.display(), figures(&report));
    println!(
        "next: carteira serve --data-dir {}",
        args.data_dir.display()
    );
    Ok(())
}

/// Runs `carteira compact`.
pub fn compact(args: &CompactArgs) -> anyhow::Result<()> {
    let bar = bar("compacting");
    let report = store::compact(&args.data_dir, &|done| bar.set_position(done))?;
    bar.finish_and_clear();
    println!(
        "{} is rewritten: {}",
        args.data_dir.display(),
        figures(&report)
    );
    Ok(())
}

fn portfolio(raw: Option<&str>) -> anyhow::Result<Option<PortfolioId>> {
    let parse = |raw: &str| PortfolioId::parse(raw).with_context(|| format!("--portfolio '{raw}'"));
    raw.map(parse).transpose()
}

fn figures(report: &Report) -> String {
    format!(
        "{} portfolios, {} records, {} bytes",
        report.portfolios, report.records, report.bytes
    )
}

/// Counts records on standard error; hidden where that is no terminal.
fn bar(what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {pos} records {elapsed}") {
        bar.set_style(style);
    }
    bar.set_message(what);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
