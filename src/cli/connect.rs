//! The connection of client commands to a server, and its errors for people.

use std::path::PathBuf;

use anyhow::{Context, anyhow};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};
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
    /// Key to show, where the server asks for one
    #[arg(long, value_name = "KEY", env = "CARTEIRA_KEY", hide_env_values = true)]
    pub key: Option<String>,
    /// Who vouches for the server's certificate, as PEM, where the system does not know it
    #[arg(long, value_name = "FILE", env = "CARTEIRA_TLS_CA")]
    pub tls_ca: Option<PathBuf>,
}

/// A connection that shows its key with every call.
pub type Connection = InterceptedService<Channel, ShowKey>;

/// The metadata that a key stands in; nothing without one.
#[derive(Debug, Clone)]
pub struct ShowKey(Option<MetadataValue<Ascii>>);

impl Interceptor for ShowKey {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(key) = &self.0 {
            request.metadata_mut().insert("authorization", key.clone());
        }
        Ok(request)
    }
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
    pub async fn connect(&self) -> anyhow::Result<Connection> {
        let told = &self.endpoint;
        let address = match told.contains("://") {
            true => told.clone(),
            false => format!("http://{told}"),
        };
        let secret = address.starts_with("https://");
        let not_one = || {
            usage(format!(
                "--endpoint '{told}' is not an address such as http://127.0.0.1:50051"
            ))
        };
        let mut endpoint = Endpoint::from_shared(address).map_err(|_| not_one())?;
        if secret {
            endpoint = endpoint.tls_config(self.tls()?).map_err(|_| not_one())?;
        }
        let channel = endpoint
            .tcp_nodelay(true)
            .connect_timeout(std::time::Duration::from_secs(5))
            .connect()
            .await
            .map_err(|error| match secret {
                false => anyhow!(
                    "no server answers at {told}; start one with `carteira serve`, or name another with --endpoint"
                ),
                true => anyhow!(
                    "no server answers at {told}, or its certificate is not trusted: {}; --tls-ca names who vouches for it",
                    innermost(&error)
                ),
            })?;
        Ok(InterceptedService::new(channel, self.show_key()?))
    }

    fn tls(&self) -> anyhow::Result<ClientTlsConfig> {
        let tls = ClientTlsConfig::new();
        let Some(path) = &self.tls_ca else {
            return Ok(tls.with_webpki_roots());
        };
        let pem = std::fs::read(path)
            .with_context(|| format!("--tls-ca {} cannot be read", path.display()))?;
        Ok(tls.ca_certificate(Certificate::from_pem(pem)))
    }

    fn show_key(&self) -> anyhow::Result<ShowKey> {
        let Some(key) = &self.key else {
            return Ok(ShowKey(None));
        };
        // The key itself must not come into a message.
        let value = MetadataValue::try_from(format!("Bearer {}", key.trim()));
        let mut value = value.map_err(|_| usage("--key holds characters that no key has"))?;
        value.set_sensitive(true);
        Ok(ShowKey(Some(value)))
    }
}

/// What is at the bottom of an error: the layers above it say no more than that it failed.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut at = error;
    while let Some(below) = at.source() {
        at = below;
    }
    at.to_string()
}

impl PortfolioArgs {
    /// Connects and finds the portfolio with its currency; where it is not there, names those that
    /// are.
    pub async fn open(&self) -> anyhow::Result<(Connection, Currency)> {
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
        (Code::Unauthenticated, _) => {
            text.push_str("; name the key with --key or CARTEIRA_KEY");
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
