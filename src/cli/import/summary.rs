//! What an import did, file by file.

use super::Context;
use super::rejects::Rejects;
use crate::cli::output;

/// What one file did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Rows with data.
    pub(super) read: u64,
    /// Rows that went in.
    pub(super) accepted: u64,
    /// Rows in the reject file.
    pub(super) rejected: u64,
    /// Rows of no money and no goods, passed over.
    pub(super) nothing: u64,
    /// Money of the accepted rows, in minor units.
    pub(super) amount_minor: i128,
    /// Accepted rows whose amount was rounded to the currency's digits.
    pub(super) rounded: u64,
    /// Batches that were there already.
    pub(super) repeated_batches: u64,
    /// Rows of these.
    pub(super) repeated_rows: u64,
}

/// Prints it.
pub(super) fn print(
    context: &Context<'_>,
    outcomes: &[(&str, Outcome)],
    rejects: &Rejects,
) -> anyhow::Result<()> {
    for (what, outcome) in outcomes {
        output::print(&line(context, what, outcome))?;
    }
    if let Some(first) = rejects.first() {
        output::print(&format!(
            "rejected rows, with line and reason, are in {}; the first: {first}",
            rejects.path().display()
        ))?;
        let sales_rejected = outcomes
            .iter()
            .any(|(what, outcome)| *what == "sales" && outcome.rejected > 0);
        if sales_rejected {
            output::print(&format!(
                "to bring in rejected sales once their cause is gone: the same command with --retry {}",
                rejects.path().display()
            ))?;
        }
    }
    output::print(&format!(
        "next: carteira pipeline --portfolio {} --limit 20",
        quoted(context.portfolio)
    ))
}

fn line(context: &Context<'_>, what: &str, outcome: &Outcome) -> String {
    let mut line = format!(
        "{what}: {} rows read, {} in, {} rejected",
        outcome.read, outcome.accepted, outcome.rejected
    );
    if outcome.amount_minor != 0 {
        // A sum that no 64 bits hold is refused by the server long before.
        let amount = i64::try_from(outcome.amount_minor).unwrap_or(i64::MAX);
        line += &format!(
            ", {} {}",
            context.currency,
            context.currency.decimal(amount)
        );
    }
    if outcome.rounded > 0 {
        line += &format!(
            ", {} amounts rounded to the digits of {}",
            outcome.rounded, context.currency
        );
    }
    if outcome.nothing > 0 {
        line += &format!(", {} of no money and no goods passed over", outcome.nothing);
    }
    if outcome.repeated_batches > 0 {
        line += &format!(
            " ({} batches with {} rows were there already and were not counted again)",
            outcome.repeated_batches, outcome.repeated_rows
        );
    }
    line
}

/// An id as a shell takes it.
fn quoted(id: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/@".contains(c);
    if id.chars().all(plain) {
        id.to_owned()
    } else {
        format!("'{}'", id.replace('\'', "'\\''"))
    }
}
