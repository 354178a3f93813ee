//! `carteira objectives`: what is wanted of groups of clients, and how far it is.

mod act;
mod list;
mod remove;
mod set;

use clap::Subcommand;

use crate::wire::v1;

/// Set what is wanted of a group of clients, note what is done towards it, and see how far it is.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Set(set::Args),
    Act(act::Args),
    List(list::Args),
    Remove(remove::Args),
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    match &args.command {
        Command::Set(args) => set::run(args),
        Command::Act(args) => act::run(args),
        Command::List(args) => list::run(args),
        Command::Remove(args) => remove::run(args),
    }
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
enum MeasureArg {
    /// Sales of the last twelve months
    YearRevenue,
    /// Tickets per period
    Tickets,
    /// Clients that buy as they used to
    ActiveClients,
    /// Different products of twelve months a client
    ProductsPerClient,
    /// Mean probability that a client buys nothing
    Churn,
    /// A year's sales times that probability
    AtRisk,
    /// Offers won since it was set
    WonOffers,
    /// Tickets of these
    WonTickets,
}

impl MeasureArg {
    fn to_wire(self) -> v1::ObjectiveMeasure {
        match self {
            Self::YearRevenue => v1::ObjectiveMeasure::YearRevenue,
            Self::Tickets => v1::ObjectiveMeasure::Tickets,
            Self::ActiveClients => v1::ObjectiveMeasure::ActiveClients,
            Self::ProductsPerClient => v1::ObjectiveMeasure::ProductsPerClient,
            Self::Churn => v1::ObjectiveMeasure::Churn,
            Self::AtRisk => v1::ObjectiveMeasure::AtRisk,
            Self::WonOffers => v1::ObjectiveMeasure::WonOffers,
            Self::WonTickets => v1::ObjectiveMeasure::WonTickets,
        }
    }

    fn is_money(self) -> bool {
        matches!(
            self,
            Self::YearRevenue | Self::Tickets | Self::AtRisk | Self::WonTickets
        )
    }
}

/// Where an action stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
enum StateArg {
    /// It is yet to begin
    Planned,
    /// It goes on
    #[value(alias = "under-way")]
    UnderWay,
    /// It is done
    Done,
    /// It will not be done
    Dropped,
}

impl StateArg {
    fn to_wire(self) -> v1::ActionState {
        match self {
            Self::Planned => v1::ActionState::Planned,
            Self::UnderWay => v1::ActionState::UnderWay,
            Self::Done => v1::ActionState::Done,
            Self::Dropped => v1::ActionState::Dropped,
        }
    }
}
