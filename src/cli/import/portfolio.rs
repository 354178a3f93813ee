//! The portfolio that an import goes into: found, or made.

use anyhow::bail;

use super::Args;
use crate::cli::connect::{Connection, explain};
use crate::cli::usage::usage;
use crate::domain::Currency;
use crate::wire::v1;
use crate::wire::v1::portfolio_service_client::PortfolioServiceClient;

/// The currency of a portfolio that import makes, where none is named.
const DEFAULT_CURRENCY: &str = "BRL";

/// What a ticket is stated for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Period {
    /// Money a month
    Month,
    /// Money a quarter
    Quarter,
    /// Money a year
    Year,
}

impl Period {
    fn to_wire(self) -> v1::Period {
        match self {
            Self::Month => v1::Period::Month,
            Self::Quarter => v1::Period::Quarter,
            Self::Year => v1::Period::Year,
        }
    }
}

/// Finds the portfolio or makes it; returns its currency.
pub(super) async fn find_or_make(args: &Args, channel: Connection) -> anyhow::Result<Currency> {
    let asked = match args.currency.as_deref().map(str::to_uppercase) {
        None => None,
        Some(code) => Some(
            Currency::parse(&code)
                .map_err(|error| usage(format!("--currency '{code}' {error}")))?,
        ),
    };
    let mut service = PortfolioServiceClient::new(channel);
    let request = v1::GetPortfolioRequest {
        portfolio_id: args.portfolio.portfolio.clone(),
    };
    match service.get_portfolio(request).await {
        Ok(answer) => found(
            args,
            asked,
            &answer.into_inner().portfolio.unwrap_or_default(),
        ),
        Err(status) if status.code() == tonic::Code::NotFound => {
            let portfolio = made(args, asked);
            let request = v1::CreatePortfolioRequest {
                portfolio: Some(portfolio),
                request_id: String::new(),
            };
            let made = service.create_portfolio(request).await;
            let made = made.map_err(|status| explain(&status))?.into_inner();
            currency(&made.portfolio.unwrap_or_default())
        }
        Err(status) => Err(explain(&status)),
    }
}

/// The currency of a portfolio that is there, if it is what was asked for.
fn found(args: &Args, asked: Option<Currency>, own: &v1::Portfolio) -> anyhow::Result<Currency> {
    let id = &own.portfolio_id;
    let is = currency(own)?;
    if let Some(asked) = asked.filter(|asked| *asked != is) {
        bail!(
            "the portfolio '{id}' is in {is}, not {asked}; import into another portfolio, or leave --currency out"
        );
    }
    let other_period = args
        .period
        .is_some_and(|period| period.to_wire() != own.period());
    let other_window = args
        .window_months
        .is_some_and(|months| months != own.window_months);
    if other_period || other_window {
        bail!(
            "the portfolio '{id}' has another period or window; leave --period and --window-months out, or change the portfolio with UpdatePortfolio"
        );
    }
    Ok(is)
}

fn made(args: &Args, asked: Option<Currency>) -> v1::Portfolio {
    let id = &args.portfolio.portfolio;
    let currency = asked.map_or_else(
        || {
            eprintln!(
                "note: no --currency given; the new portfolio '{id}' is in {DEFAULT_CURRENCY}"
            );
            DEFAULT_CURRENCY.to_owned()
        },
        |asked| asked.to_string(),
    );
    v1::Portfolio {
        portfolio_id: id.clone(),
        currency,
        period: args.period.unwrap_or(Period::Month).to_wire().into(),
        window_months: args.window_months.unwrap_or_default(),
        ..v1::Portfolio::default()
    }
}

fn currency(portfolio: &v1::Portfolio) -> anyhow::Result<Currency> {
    let code = &portfolio.currency;
    Currency::parse(code)
        .map_err(|error| anyhow::anyhow!("the server names a currency that {error}: '{code}'"))
}
