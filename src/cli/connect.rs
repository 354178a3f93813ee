//! The connection of client commands to a server, and its errors for people.

use anyhow::{Context, anyhow};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::usage::usage;
use crate::domain::Currency;
use crate::wire::v1;
use crate::wire::v1::portfolio_service_client::PortfolioServiceClient;

/// Where the server is.
#[derive(Debug, Clone, clap::Args)]
pub struct ServerArgs {
    /// Address of the server
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:50051",
        env = "CARTEIRA_ENDPOINT"
    )]
    pub endpoint: String,
}

/// Which portfolio, on which server.
#[derive(Debug, Clone, clap::Args)]
pub struct PortfolioArgs {
    #[command(flatten)]
    pub server: ServerArgs,
    /// The portfolio
    #[arg(long, value_name = "ID", env = "CARTEIRA_PORTFOLIO")]
    pub portfolio: String,
}

/// How many portfolios an error names.
const NAMED: u32 = 10;

impl ServerArgs {
    /// Connects, or says how to start a server.
    pub async fn connect(&self) -> anyhow::Result<Channel> {
        let told = &self.endpoint;
        let address = match told.split_once("://") {
            None => format!("http://{told}"),
            Some(("https", _)) => {
                return Err(usage(format!(
                    "--endpoint {told}: this version speaks plain http://; put a proxy in between where the way is not safe"
                )));
            }
            Some(_) => told.clone(),
        };
        let endpoint = Endpoint::from_shared(address).map_err(|_| {
            usage(format!(
                "--endpoint '{told}' is not an address such as http://127.0.0.1:50051"
            ))
        })?;
        endpoint
            .tcp_nodelay(true)
            .connect_timeout(std::time::Duration::from_secs(5))
            .connect()
            .await
            .map_err(|_| {
                anyhow!(
                    "no server answers at {told}; start one with `carteira serve`, or name another with --endpoint"
                )
            })
    }
}

impl PortfolioArgs {
    /// Connects and finds the portfolio with its currency; where it is not there, names those that
    /// are.
    pub async fn open(&self) -> anyhow::Result<(Channel, Currency)> {
        let channel = self.server.connect().await?;
        let mut service = PortfolioServiceClient::new(channel.clone());
        let request = v1::GetPortfolioRequest {
            portfolio_id: self.portfolio.clone(),
        };
        let answer = match service.get_portfolio(request).await {
            Ok(answer) => answer.into_inner(),
            Err(status) if status.code() == Code::NotFound => {
                let request = v1::ListPortfoliosRequest {
                    page_size: NAMED,
                    page_token: String::new(),
                };
                let listed = service.list_portfolios(request).await;
                let listed = listed.map_err(|status| explain(&status))?.into_inner();
                return Err(not_there(&self.portfolio, &listed));
            }
            Err(status) => return Err(explain(&status)),
        };
        let code = answer.portfolio.unwrap_or_default().currency;
        let currency = Currency::parse(&code)
            .map_err(|error| anyhow!("the server names a currency that {error}: '{code}'"))?;
        Ok((channel, currency))
    }
}

fn not_there(asked: &str, listed: &v1::ListPortfoliosResponse) -> anyhow::Error {
    let names: Vec<&str> = listed
        .portfolios
        .iter()
        .map(|portfolio| portfolio.portfolio_id.as_str())
        .collect();
    if names.is_empty() {
        return anyhow!(
            "there is no portfolio '{asked}'; there is none yet; `carteira import` makes one"
        );
    }
    let more = match listed.next_page_token.as_str() {
        "" => "",
        _ => " and more; `carteira portfolios` lists all",
    };
    anyhow!(
        "there is no portfolio '{asked}'; there is: {}{more}",
        names.join(", ")
    )
}

/// A call's error for people: what, which fields, what next.
pub fn explain(status: &Status) -> anyhow::Error {
    let mut text = status.message().to_owned();
    let details = status.get_error_details();
    if let Some(request) = details.bad_request()
        && request.field_violations.len() > 1
    {
        for violation in &request.field_violations {
            text.push_str(&format!(
                "\n  {} {}",
                violation.field, violation.description
            ));
        }
    }
    let missing = details.resource_info().map(|info| &*info.resource_type);
    match (status.code(), missing) {
        (Code::NotFound, Some("portfolio")) => {
            text.push_str(
                "; `carteira portfolios` lists those there are, `carteira import` makes one",
            );
        }
        (Code::NotFound, Some("client" | "product")) => {
            text.push_str(
                "; ids are compared byte by byte, `carteira export tickets` shows those there are",
            );
        }
        (Code::Unavailable, _) if text.is_empty() || text.contains("transport") => {
            text =
                "the connection to the server was lost; look at its log, and run the command again"
                    .into();
        }
        (Code::Internal | Code::Unknown, _) => {
            text = format!("the server failed: {text}; its log has the details");
        }
        _ => {}
    }
    anyhow!(text)
}

/// A runtime for one client command.
pub fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("no async runtime")?
        .block_on(work)
}
