//! `carteira export`: opportunities or tickets into a file.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use anyhow::Context;
use serde_json::Value;

use super::connect::{PortfolioArgs, block_on, explain};
use super::language::LanguageArg;
use super::output::{self, Column};
use super::pipeline::{FilterArgs, fetch};
use super::rows;
use crate::wire::v1;
use crate::wire::v1::ticket_service_client::TicketServiceClient;

/// What is exported.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum What {
    /// The pipeline
    Opportunities,
    /// What each client spends on each product
    Tickets,
}

/// How files are written.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum Format {
    /// A header and one line a row
    Csv,
    /// One array
    Json,
    /// One object a line
    Jsonl,
}

/// Write opportunities or tickets to a file, amounts in minor units.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// What to export
    #[arg(value_enum)]
    pub what: What,
    #[command(flatten)]
    pub portfolio: PortfolioArgs,
    /// The file [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// How to write it
    #[arg(long, value_enum, default_value = "csv")]
    pub output: Format,
    #[command(flatten)]
    pub filter: FilterArgs,
    #[command(flatten)]
    pub language: LanguageArg,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let (columns, values): (&[Column], Vec<Value>) = block_on(async {
        Ok(match args.what {
            What::Opportunities => {
                let (found, currency) =
                    fetch(&args.portfolio, &args.filter, args.language, 0).await?;
                let values = found
                    .iter()
                    .map(|row| rows::opportunity(row, currency.code()))
                    .collect();
                (&rows::OPPORTUNITY[..], values)
            }
            What::Tickets => (&rows::TICKET[..], tickets(&args.portfolio).await?),
        })
    })?;
    match &args.out {
        None => write(&mut std::io::stdout().lock(), args.output, columns, &values),
        Some(path) => {
            let place = || format!("cannot write {}", path.display());
            let mut out = BufWriter::new(File::create(path).with_context(place)?);
            write(&mut out, args.output, columns, &values)?;
            out.flush().with_context(place)?;
            eprintln!("{} rows in {}", values.len(), path.display());
            Ok(())
        }
    }
}

async fn tickets(portfolio: &PortfolioArgs) -> anyhow::Result<Vec<Value>> {
    let channel = portfolio.server.connect().await?;
    let request = v1::ExportTicketsRequest {
        portfolio_id: portfolio.portfolio.clone(),
    };
    let mut service = TicketServiceClient::new(channel);
    let mut stream = service
        .export_tickets(request)
        .await
        .map_err(|status| explain(&status))?
        .into_inner();
    let mut values = Vec::new();
    while let Some(message) = stream.message().await.map_err(|status| explain(&status))? {
        values.extend(message.tickets.iter().map(rows::ticket));
    }
    Ok(values)
}

fn write(
    out: &mut dyn Write,
    format: Format,
    columns: &[Column],
    values: &[Value],
) -> anyhow::Result<()> {
    let written = match format {
        Format::Csv => return output::csv_rows(out, columns, values),
        Format::Json => serde_json::to_writer_pretty(&mut *out, values)
            .map_err(std::io::Error::from)
            .and_then(|()| out.write_all(b"\n")),
        Format::Jsonl => values.iter().try_for_each(|value| writeln!(out, "{value}")),
    };
    match written {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        done => Ok(done?),
    }
}
