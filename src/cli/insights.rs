//! `carteira insights`: where each client stands.

use serde_json::{Value, json};

use super::clients::ClientArgs;
use super::connect::{PortfolioArgs, block_on, explain};
use super::language::LanguageArg;
use super::output::{self, Column, Output};
use crate::wire::v1;
use crate::wire::v1::insight_service_client::InsightServiceClient;

/// Clients in one answer of the server.
const PAGE: u32 = 1_000;

const CLIENT: [Column; 32] = [
    Column::plain("client_id", "client"),
    Column::plain("client_name", "name"),
    Column::plain("owner", "owner"),
    Column::plain("state", "state"),
    Column::plain("life_cycle", "life cycle"),
    Column::plain("tier", "tier"),
    Column::plain("segment_id", "segment"),
    Column::money("annual_minor", "a year"),
    Column::plain("idle_days", "days idle"),
    Column::plain("expected_gap_days", "days expected"),
    Column::plain("rfm", "RFM"),
    Column::plain("churn_probability", "churn"),
    Column::money("expected_year_minor", "next year"),
    Column::money("growth_year_minor", "growth"),
    Column::plain("lapsing", "lapsing"),
    Column::plain("first_date", ""),
    Column::plain("last_date", ""),
    Column::plain("contract_end_date", ""),
    Column::plain("purchases", ""),
    Column::money("revenue_minor", ""),
    Column::money("year_revenue_minor", ""),
    Column::money("year_margin_minor", ""),
    Column::plain("year_purchases", ""),
    Column::plain("year_quantity", ""),
    Column::plain("year_products", ""),
    Column::money("ticket_minor", ""),
    Column::plain("rfm_recency", ""),
    Column::plain("rfm_frequency", ""),
    Column::plain("rfm_monetary", ""),
    Column::plain("reason", ""),
    Column::plain("lapses", ""),
    Column::plain("churn_terms", ""),
];

/// What the list is ordered by.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
pub enum OrderArg {
    /// What they spend a year
    #[default]
    Value,
    /// Expected gaps since their last purchase
    Idle,
    /// The order in which they were first seen
    FirstSeen,
    /// The probability that they buy nothing
    Churn,
    /// What they spend a year times that probability
    AtRisk,
}

/// Print where each client stands: state, life cycle, tier, rhythm, value.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub portfolio: PortfolioArgs,
    /// At most this many; 0 for all
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub limit: usize,
    /// What to order by
    #[arg(long, value_enum, default_value = "value")]
    pub order: OrderArg,
    #[command(flatten)]
    pub clients: ClientArgs,
    #[command(flatten)]
    pub language: LanguageArg,
    /// How to print
    #[arg(long, value_enum, default_value = "table")]
    pub output: Output,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let (clients, total, currency) = block_on(async {
        let filter = args.clients.to_wire()?;
        let (channel, currency) = args.portfolio.open().await?;
        let mut service = InsightServiceClient::new(channel);
        let order = match args.order {
            OrderArg::Value => v1::ClientOrder::Value,
            OrderArg::Idle => v1::ClientOrder::Idle,
            OrderArg::FirstSeen => v1::ClientOrder::FirstSeen,
            OrderArg::Churn => v1::ClientOrder::Churn,
            OrderArg::AtRisk => v1::ClientOrder::AtRisk,
        };
        let limit = match args.limit {
            0 => usize::MAX,
            limit => limit,
        };
        let mut clients = Vec::new();
        let mut page_token = String::new();
        loop {
            let wanted = limit - clients.len();
            let request = v1::ListClientInsightsRequest {
                portfolio_id: args.portfolio.portfolio.clone(),
                page_size: PAGE.min(u32::try_from(wanted).unwrap_or(PAGE)),
                page_token,
                filter: Some(filter.clone()),
                order: order.into(),
                language: args.language.to_wire(),
            };
            let answer = service.list_client_insights(request).await;
            let page = answer.map_err(|status| explain(&status))?.into_inner();
            clients.extend(page.clients);
            page_token = page.next_page_token;
            if page_token.is_empty() || clients.len() >= limit {
                return Ok((clients, page.total_size, currency));
            }
        }
    })?;
    let rows: Vec<Value> = clients.iter().map(row).collect();
    output::rows(args.output, &CLIENT, &rows, Some(currency))?;
    if args.output == Output::Table && total > rows.len() as u64 {
        eprintln!(
            "{} of {total} clients; --limit 0 prints all, --output json all fields",
            rows.len()
        );
    }
    Ok(())
}

fn row(client: &v1::ClientInsight) -> Value {
    let lower = |name: &str, prefix: &str| name.trim_start_matches(prefix).to_lowercase();
    json!({
        "client_id": client.client_id,
        "client_name": client.client_name,
        "owner": client.owner,
        "state": lower(client.state().as_str_name(), "CLIENT_STATE_"),
        "life_cycle": lower(client.life_cycle().as_str_name(), "LIFE_CYCLE_"),
        "tier": client.tier().as_str_name().trim_start_matches("VALUE_TIER_"),
        "segment_id": client.segment_id,
        "annual_minor": client.annual_minor,
        "idle_days": client.rfm.map(|_| client.idle_days),
        "expected_gap_days": client.expected_gap_days,
        "rfm": client.rfm.map(|rfm| format!("{}-{}-{}", rfm.recency, rfm.frequency, rfm.monetary)),
        "churn_probability": client.churn_probability,
        "expected_year_minor": client.expected_year_minor,
        "growth_year_minor": client.growth_year_minor,
        "lapsing": client.lapses.len(),
        "lapses": client.lapses.iter().map(|lapse| json!({
            "product_id": lapse.product_id,
            "product_name": lapse.product_name,
            "last_date": lapse.last_date,
            "idle_days": lapse.idle_days,
            "expected_gap_days": lapse.expected_gap_days,
            "probability": lapse.probability,
            "year_revenue_minor": lapse.year_revenue_minor,
        })).collect::<Vec<_>>(),
        "churn_terms": client.churn_terms.iter().map(|term| json!({
            "signal": lower(term.signal().as_str_name(), "CHURN_SIGNAL_"),
            "log_odds": term.log_odds,
        })).collect::<Vec<_>>(),
        "first_date": client.first_date,
        "last_date": client.last_date,
        "contract_end_date": client.contract_end_date,
        "purchases": client.purchases,
        "revenue_minor": client.revenue_minor,
        "year_revenue_minor": client.year_revenue_minor,
        "year_margin_minor": client.year_margin_minor,
        "year_purchases": client.year_purchases,
        "year_quantity": client.year_quantity,
        "year_products": client.year_products,
        "ticket_minor": client.ticket_minor,
        "rfm_recency": client.rfm.map(|rfm| rfm.recency),
        "rfm_frequency": client.rfm.map(|rfm| rfm.frequency),
        "rfm_monetary": client.rfm.map(|rfm| rfm.monetary),
        "reason": client.reason,
    })
}
