//! `carteira import`: a supplier's own files into a portfolio.
//!
//! Every file is opened and looked at before anything is sent, so that a wrong path or column
//! leaves nothing behind. Then products, clients and sales go in, in this order. Good rows go in;
//! each bad row goes to the reject file with its line and its reason. Batches of sales are named
//! after the file's content and their place in it, so that a run that was cut off, or the same file
//! again within a day, changes nothing twice. Rows that were rejected come in later with `--retry`.

mod amounts;
mod catalog;
pub(super) mod clients;
pub(super) mod dates;
mod dialect;
pub(super) mod doors;
mod encoding;
mod known;
mod lines;
mod memory;
pub(super) mod number;
mod portfolio;
mod products;
pub(super) mod reading;
mod rejects;
mod sales;
mod summary;
pub(super) mod survey;
pub(super) mod table;
mod upload;

use std::path::{Path, PathBuf};

pub use dates::DateFormat;
pub use dialect::Dialect;
pub use memory::Remembered;
pub use number::{Decimal, scaled};
pub use portfolio::Period;

use super::connect::{Connection, PortfolioArgs, block_on};
use super::usage::usage;
use clients::Clients;
use products::Products;
use reading::{Context, Reading};
use rejects::Rejects;
use sales::Sales;
use summary::Outcome;

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
    /// What a ticket is stated for, when the portfolio is made [default: month]
    #[arg(long, value_enum)]
    pub period: Option<Period>,
    /// Months that tickets are averaged over, when the portfolio is made [default: 12]
    #[arg(long, value_name = "N")]
    pub window_months: Option<u32>,
    /// Clients: client_id, name, owner, excluded_products (ids with | between), then any attributes
    #[arg(long, value_name = "FILE")]
    pub clients: Option<PathBuf>,
    /// Products: product_id, name, category, margin_rate, list_price, active, upgrade_of, needs_product
    #[arg(long, value_name = "FILE")]
    pub products: Option<PathBuf>,
    /// Sales: client_id, product_id, date, amount, quantity, sale_id
    #[arg(long, value_name = "FILE")]
    pub sales: Option<PathBuf>,
    #[command(flatten)]
    pub dialect: Dialect,
    /// Where rejected rows go [default: NAME.rejects.csv in this folder, only made when there are any]
    #[arg(long, value_name = "FILE")]
    pub rejects: Option<PathBuf>,
    /// Import only the sales that the reject file of an earlier import of the same file lists
    #[arg(long, value_name = "REJECTS", requires = "sales")]
    pub retry: Option<PathBuf>,
}

/// Runs the command and prints what came in.
pub fn run(args: &Args) -> anyhow::Result<()> {
    block_on(async {
        let channel = args.portfolio.server.connect().await?;
        import(args, channel, true).await
    })
}

/// Imports over a connection; `report` says whether to print what came in.
pub async fn import(args: &Args, channel: Connection, report: bool) -> anyhow::Result<()> {
    let paths: Vec<&Path> = [&args.products, &args.clients, &args.sales]
        .into_iter()
        .filter_map(|path| path.as_deref())
        .collect();
    check_names(&paths)?;
    let reading = args.dialect.reading(!report);
    let open = || -> anyhow::Result<_> {
        let products = args.products.as_deref();
        let clients = args.clients.as_deref();
        let sales = args.sales.as_deref();
        Ok((
            products
                .map(|path| Products::open(reading, path))
                .transpose()?,
            clients
                .map(|path| Clients::open(reading, path))
                .transpose()?,
            sales
                .map(|path| Sales::open(reading, path, args.retry.as_deref()))
                .transpose()?,
        ))
    };
    let (products, clients, sales) = tokio::task::block_in_place(open)?;
    let path = args.rejects.clone().unwrap_or_else(|| {
        // Named after the sales, the last of the files, where they are among them.
        rejects_name(paths.last().copied().unwrap_or(Path::new("")))
    });
    let mut rejects = Rejects::new(path.clone(), paths.iter().copied())?;
    let currency = portfolio::find_or_make(args, channel.clone()).await?;
    let context = Context {
        portfolio: &args.portfolio.portfolio,
        currency,
        date_format: args.dialect.date_format,
        returns: args.dialect.returns,
        quiet: !report,
        rejects: &path,
    };
    let mut outcomes = Vec::new();
    if let Some(products) = products {
        let done = products.import(&context, channel.clone(), &mut rejects);
        outcomes.push(("products", done.await?));
    }
    if let Some(clients) = clients {
        let done = clients.import(&context, channel.clone(), &mut rejects);
        outcomes.push(("clients", done.await?));
    }
    if let Some(sales) = sales {
        let done = sales.import(&context, channel.clone(), &mut rejects);
        outcomes.push(("sales", done.await?));
    }
    rejects.finish()?;
    if report {
        summary::print(&context, &outcomes, &rejects)?;
    }
    Ok(())
}

/// Files must be named, and by their own names: rejects tell them apart by these.
fn check_names(paths: &[&Path]) -> anyhow::Result<()> {
    if paths.is_empty() {
        return Err(usage(
            "nothing to import; name files with --clients, --products and --sales",
        ));
    }
    let mut names: Vec<String> = paths.iter().map(|path| file_name(path)).collect();
    names.sort_unstable();
    if let Some([twice, _]) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(usage(format!(
            "two files are named {twice}, so their rejected rows could not be told apart; rename one"
        )));
    }
    Ok(())
}

/// The name of a file in messages and rejects.
fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(
        || path.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// `sales.csv.gz` gets `sales.rejects.csv`, in the folder that the command runs in.
fn rejects_name(path: &Path) -> PathBuf {
    let name = file_name(path);
    let stem = name.strip_suffix(".gz").unwrap_or(&name);
    let stem = stem.rsplit_once('.').map_or(stem, |(stem, _)| stem);
    PathBuf::from(format!("{stem}.rejects.csv"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_are_named_after_their_file() {
        assert_eq!(
            rejects_name(Path::new("a/sales.csv.gz")),
            Path::new("sales.rejects.csv")
        );
        assert_eq!(
            rejects_name(Path::new("vendas")),
            Path::new("vendas.rejects.csv")
        );
    }
}
