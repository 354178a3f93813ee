//! `carteira demo`: the dairy example, answered by a real server over gRPC.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;

use super::connect::{Connection, PortfolioArgs, ServerArgs, block_on, explain};
use super::import;
use super::language::LanguageArg;
use super::output::{self, Output};
use super::{pipeline, recommend, rows};
use crate::engine::Engine;
use crate::server::{Bound, Limits, Shutdown, on_signal};
use crate::store::OpenOptions;
use crate::wire::v1;
use crate::wire::v1::portfolio_service_client::PortfolioServiceClient;

/// The portfolio that the demo makes.
const PORTFOLIO: &str = "demo";
/// Names for its folder that it tries at most.
const MOST_FOLDERS: u32 = 100;
/// The client that it asks for.
const CLIENT: &str = "padaria-central";
/// The book: clients, products and twelve months of sales.
const FILES: [(&str, &str); 3] = [
    ("clients.csv", include_str!("clients.csv")),
    ("products.csv", include_str!("products.csv")),
    ("sales.csv", include_str!("sales.csv")),
];

/// How the demo prints its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people
    Table,
    /// For programs: the answer alone
    Json,
}

/// Start a server on a temporary folder, load a small dairy book and show what it finds.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// How to print
    #[arg(long, value_enum, default_value = "table")]
    output: Format,
    /// Leave the server running until Ctrl-C
    #[arg(long)]
    keep: bool,
    /// Address to listen on [default: 127.0.0.1:50051 with --keep, else any free port]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
}

/// Runs the demo.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let folder = Folder::make()?;
    let options = OpenOptions {
        free_floor_bytes: 0,
        ..OpenOptions::default()
    };
    let engine = Arc::new(Engine::open(&folder.0.join("data"), &options)?);
    block_on(async {
        let port = if args.keep { 50_051 } else { 0 };
        let address = args
            .listen
            .unwrap_or(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
        let bound = Bound::listen(address).await?;
        let endpoint = format!("http://{}", bound.address());
        let (stop, stopped) = Shutdown::new();
        let shutdown = if args.keep { on_signal()? } else { stopped };
        let serving = tokio::spawn(bound.serve(engine.clone(), Limits::default(), shutdown));
        let shown = show(args, &folder.0, &endpoint).await;
        if args.keep && shown.is_ok() {
            eprintln!("the server goes on at {endpoint}; Ctrl-C stops it. Try:");
            eprintln!(
                "  carteira pipeline --endpoint {endpoint} --portfolio {PORTFOLIO} --limit 20"
            );
            eprintln!(
                "  carteira explain --endpoint {endpoint} --portfolio {PORTFOLIO} --client {CLIENT} --product milk"
            );
        } else {
            // The server may have stopped by itself; then its own error is told below.
            let _ = stop.send(true);
        }
        serving.await.context("the server stopped short")??;
        shown
    })
}

async fn show(args: &Args, folder: &Path, endpoint: &str) -> anyhow::Result<()> {
    for (name, text) in FILES {
        std::fs::write(folder.join(name), text).context("cannot write to the temporary folder")?;
    }
    let portfolio = PortfolioArgs {
        server: ServerArgs {
            endpoint: endpoint.to_owned(),
            key: None,
            tls_ca: None,
        },
        portfolio: PORTFOLIO.to_owned(),
    };
    let channel = portfolio.server.connect().await?;
    create(channel.clone()).await?;
    let file = |name: &str| Some(folder.join(name));
    let files = import::Args {
        portfolio: portfolio.clone(),
        currency: Some("BRL".into()),
        period: None,
        window_months: None,
        clients: file("clients.csv"),
        products: file("products.csv"),
        sales: file("sales.csv"),
        dialect: import::Dialect::default(),
        rejects: file("rejects.csv"),
        retry: None,
    };
    import::import(&files, channel.clone(), false).await?;
    let answer = recommend::ask(channel, PORTFOLIO, CLIENT, 10, LanguageArg::default()).await?;
    if args.output == Format::Json {
        return recommend::print(&answer, Output::Json);
    }
    output::print(&format!(
        "What more the client {CLIENT} would buy, worked out from clients like it:"
    ))?;
    recommend::print(&answer, Output::Table)?;
    let (first, currency) = pipeline::fetch(
        &portfolio,
        &pipeline::FilterArgs::default(),
        LanguageArg::default(),
        10,
    )
    .await?;
    let values: Vec<_> = first
        .iter()
        .map(|row| rows::opportunity(row, currency.code()))
        .collect();
    output::print(
        "\nThe first ten opportunities of the whole book, in the order in which to work them:",
    )?;
    output::print(&output::table(&rows::OPPORTUNITY, &values, Some(currency)))
}

/// Makes the demo's portfolio. Sixty clients do not bear out a third digit.
async fn create(channel: Connection) -> anyhow::Result<()> {
    let portfolio = v1::Portfolio {
        portfolio_id: PORTFOLIO.to_owned(),
        name: "Laticínios Demo".to_owned(),
        currency: "BRL".to_owned(),
        recipe_overrides: [("offer.significant_digits".to_owned(), 2.0)].into(),
        ..v1::Portfolio::default()
    };
    let request = v1::CreatePortfolioRequest {
        portfolio: Some(portfolio),
        request_id: String::new(),
    };
    let created = PortfolioServiceClient::new(channel)
        .create_portfolio(request)
        .await;
    created.map(|_| ()).map_err(|status| explain(&status))
}

/// A temporary folder, removed at the end.
struct Folder(PathBuf);

impl Folder {
    /// Makes a folder that was not there: neither a demo before it nor another user has a hand in it.
    fn make() -> anyhow::Result<Self> {
        let base = std::env::temp_dir();
        let mut number = 0;
        loop {
            let path = base.join(format!("carteira-demo-{}-{number}", std::process::id()));
            match std::fs::create_dir(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) if error.kind() == ErrorKind::AlreadyExists && number < MOST_FOLDERS => {
                    number += 1;
                }
                Err(error) => {
                    return Err(error).with_context(|| format!("cannot make {}", path.display()));
                }
            }
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left in the temporary folder is the system's to clear.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
