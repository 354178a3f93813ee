//! `carteira recommend`: what more one client would buy.

use super::connect::{Connection, PortfolioArgs, block_on, explain};
use super::language::LanguageArg;
use super::output::{self, Output};
use super::rows;
use crate::domain::Currency;
use crate::wire::v1;
use crate::wire::v1::recommendation_service_client::RecommendationServiceClient;

/// Print what more one client would buy: upsell, cross-sell and their totals; and what it may stop buying.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub portfolio: PortfolioArgs,
    /// The client
    #[arg(long, value_name = "ID")]
    pub client: String,
    /// At most this many of each kind
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub limit: u32,
    #[command(flatten)]
    pub language: LanguageArg,
    /// How to print
    #[arg(long, value_enum, default_value = "table")]
    pub output: Output,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let answer = block_on(async {
        let (channel, _) = args.portfolio.open().await?;
        ask(
            channel,
            &args.portfolio.portfolio,
            &args.client,
            args.limit,
            args.language,
        )
        .await
    })?;
    print(&answer, args.output)
}

/// Asks the server.
pub async fn ask(
    channel: Connection,
    portfolio: &str,
    client: &str,
    limit: u32,
    language: LanguageArg,
) -> anyhow::Result<v1::RecommendForClientResponse> {
    let request = v1::RecommendForClientRequest {
        portfolio_id: portfolio.to_owned(),
        client_id: client.to_owned(),
        max_per_kind: limit,
        language: language.to_wire(),
        log_shown: false,
    };
    let answer = RecommendationServiceClient::new(channel)
        .recommend_for_client(request)
        .await;
    Ok(answer.map_err(|status| explain(&status))?.into_inner())
}

/// Prints an answer.
pub fn print(answer: &v1::RecommendForClientResponse, how: Output) -> anyhow::Result<()> {
    let value = rows::recommendation(answer);
    let all: Vec<_> = ["upsell", "cross_sell", "keep"]
        .iter()
        .flat_map(|kind| value[kind].as_array().cloned().unwrap_or_default())
        .collect();
    match how {
        Output::Json => output::json(&value),
        Output::Csv => output::rows(how, &rows::OPPORTUNITY, &all, None),
        Output::Table => {
            let currency = Currency::parse(&answer.currency).ok();
            let amount = |minor: i64| {
                let decimal =
                    currency.map_or(minor.to_string(), |currency| currency.decimal(minor));
                output::grouped(&decimal)
            };
            output::print(&output::table(&rows::OF_CLIENT, &all, currency))?;
            output::print(&format!(
                "upsell total {} {}, cross-sell total {} {} a period",
                answer.currency,
                amount(answer.upsell_total_minor),
                answer.currency,
                amount(answer.cross_sell_total_minor),
            ))?;
            if !answer.keep.is_empty() {
                output::print(&format!(
                    "at risk {} {} a period: keep it first",
                    answer.currency,
                    amount(answer.keep_total_minor),
                ))?;
            }
            let sell = answer.upsell.iter().chain(&answer.cross_sell);
            for row in sell.chain(&answer.keep) {
                output::print(&format!("- {}", row.reason))?;
            }
            for notice in &answer.notices {
                output::print(&format!("note: {}", notice.text))?;
            }
            Ok(())
        }
    }
}
