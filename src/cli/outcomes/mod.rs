//! `carteira outcomes`: what became of offers.

mod list;
mod record;

use clap::Subcommand;

use crate::wire::v1;

/// Report what became of offers, or list it.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Record(record::Args),
    List(list::Args),
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    match &args.command {
        Command::Record(args) => record::run(args),
        Command::List(args) => list::run(args),
    }
}

/// Results by the names that files and flags use.
const RESULTS: [(&str, v1::OutcomeResult); 4] = [
    ("won", v1::OutcomeResult::Won),
    ("lost", v1::OutcomeResult::Lost),
    ("rejected", v1::OutcomeResult::Rejected),
    ("postponed", v1::OutcomeResult::Postponed),
];

/// Reasons by the names that files and flags use.
const REASONS: [(&str, v1::RejectReason); 5] = [
    ("contract_elsewhere", v1::RejectReason::ContractElsewhere),
    ("no_use", v1::RejectReason::NoUse),
    ("price", v1::RejectReason::Price),
    ("timing", v1::RejectReason::Timing),
    ("other", v1::RejectReason::Other),
];

/// Kinds by the names that files and flags use.
const KINDS: [(&str, v1::OpportunityKind); 5] = [
    ("upsell", v1::OpportunityKind::Upsell),
    ("cross_sell", v1::OpportunityKind::CrossSell),
    ("lapse", v1::OpportunityKind::Lapse),
    ("renewal", v1::OpportunityKind::Renewal),
    ("win_back", v1::OpportunityKind::WinBack),
];

/// What a name stands for, in any case and with spaces or hyphens too.
fn named<T: Copy>(what: &str, raw: &str, names: &[(&str, T)]) -> Result<T, String> {
    let plain = raw.to_lowercase().replace([' ', '-'], "_");
    let found = names.iter().find(|(name, _)| *name == plain);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
        format!("{what} '{raw}' is none of {}", names.join(", "))
    })
}

/// The name of a value; empty for one that has none.
fn name_of<T: PartialEq>(value: T, names: &[(&'static str, T)]) -> &'static str {
    let found = names.iter().find(|(_, one)| *one == value);
    found.map_or("", |(name, _)| name)
}

/// Reads a file of outcomes and forgets it: see `crate::doors`.
pub(super) fn door(path: &std::path::Path) {
    let dialect = super::import::Dialect::default();
    let _ = record::read(path, &dialect, dialect.reading(true), 2);
}
