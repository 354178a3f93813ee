//! `carteira export`: opportunities or tickets into a file.

use std::path::PathBuf;

use super::connect::{PortfolioArgs, block_on, explain};
use super::language::LanguageArg;
use super::pipeline::{FilterArgs, stream};
use super::rows;
use super::sink::{Format, Sink};
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
    block_on(async {
        match args.what {
            What::Opportunities => opportunities(args).await,
            What::Tickets => tickets(args).await,
        }
    })
}

async fn opportunities(args: &Args) -> anyhow::Result<()> {
    let (mut stream, currency) = stream(&args.portfolio, &args.filter, args.language, 0).await?;
    let mut sink = Sink::open(args.out.as_deref(), args.output, &rows::OPPORTUNITY)?;
    while let Some(message) = stream.message().await.map_err(|status| explain(&status))? {
        for row in &message.opportunities {
            if !sink.row(&rows::opportunity(row, currency.code()))? {
                return Ok(());
            }
        }
    }
    sink.finish()
}

async fn tickets(args: &Args) -> anyhow::Result<()> {
    let (channel, _) = args.portfolio.open().await?;
    let request = v1::ExportTicketsRequest {
        portfolio_id: args.portfolio.portfolio.clone(),
    };
    let mut service = TicketServiceClient::new(channel);
    let stream = service.export_tickets(request).await;
    let mut stream = stream.map_err(|status| explain(&status))?.into_inner();
    let mut sink = Sink::open(args.out.as_deref(), args.output, &rows::TICKET)?;
    while let Some(message) = stream.message().await.map_err(|status| explain(&status))? {
        for row in &message.tickets {
            if !sink.row(&rows::ticket(row))? {
                return Ok(());
            }
        }
    }
    sink.finish()
}
