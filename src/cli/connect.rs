//! The connection of client commands to a server, and its errors for people.

use anyhow::{Context, anyhow};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_types::StatusExt;

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

impl ServerArgs {
    /// Connects, or says how to start a server.
    pub async fn connect(&self) -> anyhow::Result<Channel> {
        let endpoint = Endpoint::from_shared(self.endpoint.clone()).with_context(|| {
            format!(
                "'{}' is not an address such as http://127.0.0.1:50051",
                self.endpoint
            )
        })?;
        endpoint
            .tcp_nodelay(true)
            .connect_timeout(std::time::Duration::from_secs(5))
            .connect()
            .await
            .map_err(|_| anyhow!("no server answers at {}; start one with `carteira serve`, or name another with --endpoint", self.endpoint))
    }
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
    match status.code() {
        Code::NotFound if text.contains("portfolio") => {
            text.push_str(
                "; `carteira portfolios` lists those there are, `carteira import` makes one",
            );
        }
        Code::Unavailable if text.is_empty() || text.contains("transport") => {
            text =
                "the connection to the server was lost; look at its log, and run the command again"
                    .into();
        }
        Code::Internal | Code::Unknown => {
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
