//! `carteira import`: a supplier's own files into a portfolio.
//!
//! Products first, then clients, then sales. Good rows go in; each bad row goes to the reject file
//! with its line and its reason. Batches are named after the file's content, so that a run that
//! was cut off, or the same file again within a day, changes nothing twice.

mod amounts;
mod catalog;
mod dates;
mod lines;
mod number;
mod rejects;
mod sales;
mod table;
mod upload;

use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use tonic::transport::Channel;

pub use dates::DateFormat;
pub use number::{Decimal, scaled};

use super::connect::{PortfolioArgs, block_on, explain};
use crate::wire::v1;
use crate::wire::v1::portfolio_service_client::PortfolioServiceClient;
use rejects::Rejects;

/// The currency of a portfolio that import makes, where none is named.
const DEFAULT_CURRENCY: &str = "BRL";

/// What a ticket is stated for.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum Period {
    /// Money a month
    Month,
    /// Money a quarter
    Quarter,
    /// Money a year
    Year,
}

/// Bring clients, products and sales from CSV files into a portfolio.
///
/// Files are CSV with a header, plain or .gz; delimiter and decimal comma are found out. A sales
/// file without a date column sets tickets. The portfolio is made where there is none.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub portfolio: PortfolioArgs,
    /// Currency of the amounts (ISO 4217); BRL for a new portfolio that names none
    #[arg(long, value_name = "CODE")]
    pub currency: Option<String>,
    /// What a ticket is stated for, when the portfolio is made
    #[arg(long, value_enum, default_value = "month")]
    pub period: Period,
    /// Months that tickets are averaged over, when the portfolio is made
    #[arg(long, value_name = "N", default_value_t = 12)]
    pub window_months: u32,
    /// Clients: client_id, name, owner, then any attributes
    #[arg(long, value_name = "FILE")]
    pub clients: Option<PathBuf>,
    /// Products: product_id, name, category, margin_rate, list_price, active, upgrade_of, needs_product
    #[arg(long, value_name = "FILE")]
    pub products: Option<PathBuf>,
    /// Sales: client_id, product_id, date, amount, quantity, sale_id
    #[arg(long, value_name = "FILE")]
    pub sales: Option<PathBuf>,
    /// What separates columns, where it is not found out
    #[arg(long, value_name = "CHARACTER")]
    pub delimiter: Option<char>,
    /// Numbers are written 1.234,56
    #[arg(long)]
    pub decimal_comma: bool,
    /// How dates without a leading year are written
    #[arg(long, value_enum)]
    pub date_format: Option<DateFormat>,
    /// Take negative amounts as returns instead of rejecting them
    #[arg(long)]
    pub returns: bool,
    /// Where rejected rows go [default: rejects.csv, only made when there are any]
    #[arg(
        long,
        value_name = "FILE",
        default_value = "rejects.csv",
        hide_default_value = true
    )]
    pub rejects: PathBuf,
}

/// What one file did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Rows with data.
    pub read: u64,
    /// Rows that went in.
    pub accepted: u64,
    /// Rows in the reject file.
    pub rejected: u64,
    /// Rows of no money and no goods, passed over.
    pub nothing: u64,
    /// Money of the accepted rows, in minor units.
    pub amount_minor: i128,
    /// Rows of batches that were there already.
    pub repeated: u64,
}

/// Runs the command and prints what came in.
pub fn run(args: &Args) -> anyhow::Result<()> {
    block_on(async {
        let channel = args.portfolio.server.connect().await?;
        import(args, channel, true).await
    })
}

/// Imports over a connection; `report` says whether to print what came in.
pub async fn import(args: &Args, channel: Channel, report: bool) -> anyhow::Result<()> {
    if args.clients.is_none() && args.products.is_none() && args.sales.is_none() {
        anyhow::bail!("nothing to import; name files with --clients, --products and --sales");
    }
    let delimiter = args.delimiter.map(u8::try_from).transpose();
    let delimiter =
        delimiter.map_err(|_| anyhow::anyhow!("--delimiter must be one ASCII character"))?;
    let currency = portfolio(args, channel.clone()).await?;
    let mut rejects = Rejects::new(&args.rejects);
    let context = Context {
        portfolio: &args.portfolio.portfolio,
        currency,
        delimiter,
        decimal_comma: args.decimal_comma,
        date_format: args.date_format,
        returns: args.returns,
        quiet: !report,
    };
    let mut outcomes = Vec::new();
    if let Some(path) = &args.products {
        outcomes.push((
            "products",
            catalog::products(&context, path, channel.clone(), &mut rejects).await?,
        ));
    }
    if let Some(path) = &args.clients {
        outcomes.push((
            "clients",
            catalog::clients(&context, path, channel.clone(), &mut rejects).await?,
        ));
    }
    if let Some(path) = &args.sales {
        outcomes.push((
            "sales",
            sales::import(&context, path, channel.clone(), &mut rejects).await?,
        ));
    }
    let rejected = rejects.finish()?;
    if report {
        print_summary(args, &context, &outcomes, rejected);
    }
    Ok(())
}

/// What the importers of all files share.
#[derive(Debug, Clone, Copy)]
struct Context<'a> {
    portfolio: &'a str,
    currency: crate::domain::Currency,
    delimiter: Option<u8>,
    decimal_comma: bool,
    date_format: Option<DateFormat>,
    returns: bool,
    quiet: bool,
}

impl Context<'_> {
    /// A progress bar on standard error; hidden where that is no terminal.
    fn progress(&self, what: &'static str, bytes: u64) -> ProgressBar {
        if self.quiet {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::new(bytes);
        if let Ok(style) =
            ProgressStyle::with_template("{msg:9} {wide_bar} {pos} rows {per_sec} {elapsed}")
        {
            bar.set_style(style);
        }
        bar.set_message(what);
        bar
    }

    /// A note for people, on standard error.
    fn note(&self, text: &str) {
        if !self.quiet {
            eprintln!("note: {text}");
        }
    }
}

/// Finds the portfolio or makes it; returns its currency.
async fn portfolio(args: &Args, channel: Channel) -> anyhow::Result<crate::domain::Currency> {
    let id = &args.portfolio.portfolio;
    let mut service = PortfolioServiceClient::new(channel);
    let found = service
        .get_portfolio(v1::GetPortfolioRequest {
            portfolio_id: id.clone(),
        })
        .await;
    let code = match found {
        Ok(answer) => {
            let own = answer.into_inner().portfolio.unwrap_or_default().currency;
            if let Some(asked) = args.currency.as_ref().filter(|asked| **asked != own) {
                anyhow::bail!(
                    "the portfolio '{id}' is in {own}, not {asked}; import into another portfolio, or leave --currency out"
                );
            }
            own
        }
        Err(status) if status.code() == tonic::Code::NotFound => {
            let code = args.currency.clone().unwrap_or_else(|| {
                eprintln!(
                    "note: no --currency given; the new portfolio '{id}' is in {DEFAULT_CURRENCY}"
                );
                DEFAULT_CURRENCY.to_owned()
            });
            let period = match args.period {
                Period::Month => v1::Period::Month,
                Period::Quarter => v1::Period::Quarter,
                Period::Year => v1::Period::Year,
            };
            let portfolio = v1::Portfolio {
                portfolio_id: id.clone(),
                currency: code.clone(),
                period: period.into(),
                window_months: args.window_months,
                ..v1::Portfolio::default()
            };
            let request = v1::CreatePortfolioRequest {
                portfolio: Some(portfolio),
                request_id: String::new(),
            };
            service
                .create_portfolio(request)
                .await
                .map_err(|status| explain(&status))?;
            code
        }
        Err(status) => return Err(explain(&status)),
    };
    crate::domain::Currency::parse(&code).map_err(|error| anyhow::anyhow!("'{code}' {error}"))
}

fn print_summary(args: &Args, context: &Context<'_>, outcomes: &[(&str, Outcome)], rejected: u64) {
    for (what, outcome) in outcomes {
        let mut line = format!(
            "{what}: {} rows read, {} in, {} rejected",
            outcome.read, outcome.accepted, outcome.rejected
        );
        if outcome.amount_minor != 0 {
            let amount = i64::try_from(outcome.amount_minor).unwrap_or(i64::MAX);
            line.push_str(&format!(
                ", {} {}",
                context.currency,
                context.currency.decimal(amount)
            ));
        }
        if outcome.nothing > 0 {
            line.push_str(&format!(
                ", {} of no money and no goods passed over",
                outcome.nothing
            ));
        }
        if outcome.repeated > 0 {
            line.push_str(&format!(
                " ({} rows were there already and were not counted again)",
                outcome.repeated
            ));
        }
        println!("{line}");
    }
    if rejected > 0 {
        println!(
            "rejected rows, with line and reason: {}",
            args.rejects.display()
        );
    }
    println!(
        "next: carteira pipeline --portfolio {} --limit 20",
        args.portfolio.portfolio
    );
}

/// The name of a file in messages and rejects.
fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(
        || path.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    )
}
