//! `carteira outcomes list`: offers with their past.

use serde_json::{Value, json};

use super::{KINDS, REASONS, RESULTS, name_of, named};
use crate::cli::connect::{PortfolioArgs, block_on, explain};
use crate::cli::output::{self, Column, Output};
use crate::wire::v1;
use crate::wire::v1::outcome_service_client::OutcomeServiceClient;

const COLUMNS: [Column; 12] = [
    Column::plain("client_id", "client"),
    Column::plain("product_id", "product"),
    Column::plain("kind", "kind"),
    Column::plain("first_shown_date", "first shown"),
    Column::plain("times_shown", "times"),
    Column::plain("held_out", ""),
    Column::plain("date", "outcome on"),
    Column::plain("result", "result"),
    Column::money("won_ticket_minor", "ticket won"),
    Column::plain("reason", "reason"),
    Column::plain("held_until_date", "waits until"),
    Column::plain("note", ""),
];

/// List offers that were shown or have an outcome, with the last one.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub portfolio: PortfolioArgs,
    /// Only this client's
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    pub client: String,
    /// Only offers whose last outcome is this: won, lost, rejected, postponed; may be repeated
    #[arg(long, value_parser = |raw: &str| named("result", raw, &RESULTS))]
    pub result: Vec<v1::OutcomeResult>,
    /// How to print
    #[arg(long, value_enum, default_value = "table")]
    pub output: Output,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let (offers, currency) = block_on(async {
        let (channel, currency) = args.portfolio.open().await?;
        let mut service = OutcomeServiceClient::new(channel);
        let mut offers = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = v1::ListOutcomesRequest {
                portfolio_id: args.portfolio.portfolio.clone(),
                page_size: 1_000,
                page_token,
                client_id: args.client.clone(),
                results: args.result.iter().map(|result| (*result).into()).collect(),
            };
            let answer = service.list_outcomes(request).await;
            let page = answer.map_err(|status| explain(&status))?.into_inner();
            offers.extend(page.offers);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok((offers, currency));
            }
        }
    })?;
    let rows: Vec<Value> = offers.iter().map(row).collect();
    output::rows(args.output, &COLUMNS, &rows, Some(currency))
}

fn row(offer: &v1::OfferRecord) -> Value {
    let last = offer.outcomes.last().cloned().unwrap_or_default();
    let first = offer.showings.first();
    json!({
        "client_id": offer.client_id,
        "product_id": offer.product_id,
        "kind": name_of(offer.kind(), &KINDS),
        "first_shown_date": first.map_or("", |showing| showing.date.as_str()),
        "times_shown": offer.showings.iter().filter(|showing| !showing.held_out).count(),
        "held_out": first.is_some_and(|showing| showing.held_out),
        "date": last.date,
        "result": name_of(last.result(), &RESULTS),
        "won_ticket_minor": (last.won_ticket_minor != 0).then_some(last.won_ticket_minor),
        "reason": name_of(last.reason(), &REASONS),
        "held_until_date": offer.held_until_date,
        "note": last.note,
    })
}
