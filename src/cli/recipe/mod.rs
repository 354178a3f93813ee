//! `carteira recipe`: how a portfolio is scored, with other numbers, and what that is worth.

mod evaluated;
mod set;
mod shown;

use clap::Subcommand;

use super::connect::PortfolioArgs;
use super::output::Output;
use super::setting::Setting;

/// Show, set or try the recipe of a portfolio.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Show(ShowArgs),
    Set(SetArgs),
    Evaluate(EvaluateArgs),
}

/// Print every parameter, what the history chose, and the last evaluation.
#[derive(Debug, clap::Args)]
struct ShowArgs {
    #[command(flatten)]
    portfolio: PortfolioArgs,
    /// How to print
    #[arg(long, value_enum, default_value = "table")]
    output: Output,
}

/// Set parameters otherwise than the recipe does; offers follow within seconds.
#[derive(Debug, clap::Args)]
struct SetArgs {
    #[command(flatten)]
    portfolio: PortfolioArgs,
    /// Parameters to set, such as offer.contact_cost_minor=1500; those not named keep their value
    #[arg(value_name = "NAME=VALUE", required_unless_present = "reset")]
    settings: Vec<Setting>,
    /// First go back to the recipe's own values
    #[arg(long)]
    reset: bool,
}

/// Try the recipe on the portfolio's own history, beside best-sellers and own history.
#[derive(Debug, clap::Args)]
struct EvaluateArgs {
    #[command(flatten)]
    portfolio: PortfolioArgs,
    /// The first month that is not shown
    #[arg(long, value_name = "YYYY-MM")]
    cut_month: Option<String>,
    /// Months to foretell
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    horizon_months: u32,
    /// A parameter to try, such as upsell.neighbours=50
    #[arg(long = "set", value_name = "NAME=VALUE")]
    settings: Vec<Setting>,
    /// Where to write a page with plots
    #[arg(long, value_name = "FILE")]
    report: Option<std::path::PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value = "table")]
    output: Output,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    match &args.command {
        Command::Show(args) => shown::show(args),
        Command::Set(args) => set::set(args),
        Command::Evaluate(args) => evaluated::evaluate(args),
    }
}
