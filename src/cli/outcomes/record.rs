//! `carteira outcomes record`: outcomes from a file.

use std::path::{Path, PathBuf};

use super::{KINDS, REASONS, RESULTS, named};
use crate::cli::connect::{PortfolioArgs, block_on, explain};
use crate::cli::import::number::{Decimal, money};
use crate::cli::import::reading::Reading;
use crate::cli::import::table::{Row, Table};
use crate::cli::import::{Dialect, dates, survey};
use crate::cli::output;
use crate::cli::usage::usage;
use crate::wire::v1;
use crate::wire::v1::outcome_service_client::OutcomeServiceClient;

const COLUMNS: [&str; 10] = [
    "client_id",
    "product_id",
    "kind",
    "date",
    "result",
    "won_ticket",
    "reason",
    "until_date",
    "wallet_estimate",
    "note",
];
/// Outcomes in one request.
const BATCH: usize = 10_000;
/// At most this many bad rows are named.
const NAMED: usize = 10;

/// Report what became of offers, from a file. Nothing is sent while a row of it cannot be read.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub portfolio: PortfolioArgs,
    /// Outcomes: client_id, product_id, kind, date, result; won_ticket where won, reason where
    /// rejected, until_date where postponed; optional wallet_estimate, note
    #[arg(long, value_name = "FILE")]
    pub file: PathBuf,
    #[command(flatten)]
    pub dialect: Dialect,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let (created, replaced) = block_on(async {
        let (channel, currency) = args.portfolio.open().await?;
        let outcomes = tokio::task::block_in_place(|| {
            let reading = args.dialect.reading(false);
            read(&args.file, &args.dialect, reading, currency.digits())
        })?;
        let mut service = OutcomeServiceClient::new(channel);
        let (mut created, mut replaced) = (0_u64, 0_u64);
        for batch in outcomes.chunks(BATCH) {
            let request = v1::RecordOutcomesRequest {
                portfolio_id: args.portfolio.portfolio.clone(),
                outcomes: batch.to_vec(),
                request_id: String::new(),
            };
            let answer = service.record_outcomes(request).await;
            let answer = answer.map_err(|status| explain(&status))?.into_inner();
            created += u64::from(answer.created);
            replaced += u64::from(answer.replaced);
        }
        Ok((created, replaced))
    })?;
    output::print(&format!(
        "outcomes: {created} recorded, {replaced} took the place of an earlier one of the same day"
    ))
}

/// All outcomes of the file; an error that names the first rows that cannot be read.
pub(super) fn read(
    file: &Path,
    dialect: &Dialect,
    reading: Reading,
    digits: u32,
) -> anyhow::Result<Vec<v1::Outcome>> {
    let decimal = survey::decimal(reading, file, &["won_ticket", "wallet_estimate"])?;
    let mut table = Table::open(file, dialect.delimiter)?;
    for name in &COLUMNS[..5] {
        table.required(name)?;
    }
    let places = COLUMNS.map(|name| table.column(name));
    let reader = Reader {
        places,
        decimal,
        digits,
        dates: dialect.date_format,
    };
    let (mut outcomes, mut bad) = (Vec::new(), Vec::new());
    while let Some(row) = table.next_row()? {
        let read = row.and_then(|row| reader.outcome(&row).map_err(|reason| row.bad(reason)));
        match read {
            Ok(outcome) => outcomes.push(outcome),
            Err(row) => bad.push(format!("  line {}: {}", row.line, row.reason)),
        }
    }
    if !bad.is_empty() {
        let count = bad.len();
        bad.truncate(NAMED);
        return Err(usage(format!(
            "{count} rows of {} cannot be read, so nothing was sent; mend them first:\n{}",
            file.display(),
            bad.join("\n")
        )));
    }
    if outcomes.is_empty() {
        return Err(usage(format!("{} has no rows", file.display())));
    }
    Ok(outcomes)
}

/// How the rows of one file are read.
struct Reader {
    places: [Option<usize>; COLUMNS.len()],
    decimal: Decimal,
    digits: u32,
    dates: Option<dates::DateFormat>,
}

impl Reader {
    fn outcome(&self, row: &Row) -> Result<v1::Outcome, String> {
        let [
            client_id,
            product_id,
            kind,
            date,
            result,
            won_ticket,
            reason,
            until_date,
            wallet,
            note,
        ] = self
            .places
            .map(|place| place.map_or("", |at| row.fields[at].trim()));
        let amount = |name: &str, raw: &str| match raw {
            "" => Ok(None),
            raw => money(raw, self.decimal, self.digits)
                .map(|money| Some(money.minor))
                .map_err(|error| format!("{name} '{raw}' {error}")),
        };
        let day = |raw: &str| match raw {
            "" => Ok(String::new()),
            raw => dates::parse(raw, self.dates).map(|day| day.to_string()),
        };
        let reason = match reason {
            "" => v1::RejectReason::Unspecified,
            raw => named("reason", raw, &REASONS)?,
        };
        Ok(v1::Outcome {
            client_id: client_id.to_owned(),
            product_id: product_id.to_owned(),
            kind: named("kind", kind, &KINDS)?.into(),
            date: day(date)?,
            result: named("result", result, &RESULTS)?.into(),
            won_ticket_minor: amount("won_ticket", won_ticket)?.unwrap_or(0),
            reason: reason.into(),
            until_date: day(until_date)?,
            wallet_estimate_minor: amount("wallet_estimate", wallet)?,
            note: note.to_owned(),
        })
    }
}
