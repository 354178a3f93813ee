//! `carteira summary`: the book in sums.

use serde_json::{Value, json};

use super::clients::ClientArgs;
use super::connect::{PortfolioArgs, block_on, explain};
use super::output::{self, Column, Output};
use crate::wire::v1;
use crate::wire::v1::insight_service_client::InsightServiceClient;

/// Columns of clients summed up.
pub const SUMS: [Column; 13] = [
    Column::plain("group", "by"),
    Column::plain("value", "which"),
    Column::plain("clients", "clients"),
    Column::plain("buyers", "buyers"),
    Column::money("revenue_minor", "revenue"),
    Column::money("year_revenue_minor", "of 12 months"),
    Column::money("year_margin_minor", "margin of it"),
    Column::plain("year_purchases", "purchases"),
    Column::money("ticket_minor", "tickets"),
    Column::money("lifetime_value_minor", "a buyer (LTV)"),
    Column::money("expected_year_minor", "next year"),
    Column::money("at_risk_minor", "at risk"),
    Column::money("growth_year_minor", "growth"),
];

/// Print the book in sums: by state, life cycle, tier, segment, and any attribute.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub portfolio: PortfolioArgs,
    /// The attribute of clients that sums are also made by, or owner, or segment
    #[arg(
        long,
        value_name = "ATTRIBUTE",
        default_value = "",
        hide_default_value = true
    )]
    pub by: String,
    #[command(flatten)]
    pub clients: ClientArgs,
    /// How to print; CSV holds the sums
    #[arg(long, value_enum, default_value = "table")]
    pub output: Output,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let (summary, currency) = block_on(async {
        let request = v1::GetPortfolioSummaryRequest {
            portfolio_id: args.portfolio.portfolio.clone(),
            filter: Some(args.clients.to_wire()?),
            group_by: args.by.clone(),
        };
        let (channel, currency) = args.portfolio.open().await?;
        let answer = InsightServiceClient::new(channel)
            .get_portfolio_summary(request)
            .await;
        let summary = answer.map_err(|status| explain(&status))?.into_inner();
        Ok((summary, currency))
    })?;
    let rows: Vec<Value> = summary.sums.iter().map(row).collect();
    let rules = summary.rules.unwrap_or_default();
    let churn = summary.churn.unwrap_or_default();
    match args.output {
        Output::Csv => output::rows(args.output, &SUMS, &rows, Some(currency)),
        Output::Json => output::json(&json!({
            "currency": summary.currency,
            "as_of_date": summary.as_of_date,
            "sums": rows,
            "rules": {
                "usual_gap_days": rules.usual_gap_days,
                "rhythm_pseudo_gaps": rules.rhythm_pseudo_gaps,
                "least_gap_days": rules.least_gap_days,
                "slipping_gaps": rules.slipping_gaps,
                "inactive_gaps": rules.inactive_gaps,
                "renewal_days": rules.renewal_days,
                "new_days": rules.new_days,
                "loyal_days": rules.loyal_days,
                "loyal_purchases": rules.loyal_purchases,
                "a_share": rules.a_share,
                "b_share": rules.b_share,
            },
            "churn": {
                "horizon_days": churn.horizon_days,
                "is_calibrated": churn.is_calibrated,
                "lessons": churn.lessons,
                "stopped": churn.stopped,
            },
            "sequence": summary.sequence,
        })),
        Output::Table => {
            output::print(&format!(
                "seen from {}; clients usually buy every {:.0} days, slip after {} and stop after {} of their own gaps",
                summary.as_of_date, rules.usual_gap_days, rules.slipping_gaps, rules.inactive_gaps
            ))?;
            output::print(&output::table(&SUMS, &rows, Some(currency)))
        }
    }
}

/// Clients summed up, as a row.
pub fn row(sums: &v1::ClientSums) -> Value {
    let group = sums.group().as_str_name();
    json!({
        "group": group.trim_start_matches("SUMMARY_GROUP_").to_lowercase(),
        "value": sums.value,
        "clients": sums.clients,
        "buyers": sums.buyers,
        "revenue_minor": sums.revenue_minor,
        "year_revenue_minor": sums.year_revenue_minor,
        "year_margin_minor": sums.year_margin_minor,
        "year_purchases": sums.year_purchases,
        "ticket_minor": sums.ticket_minor,
        "lifetime_value_minor": sums.lifetime_value_minor,
        "expected_year_minor": sums.expected_year_minor,
        "at_risk_minor": sums.at_risk_minor,
        "growth_year_minor": sums.growth_year_minor,
    })
}
