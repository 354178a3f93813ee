//! `carteira effect`: whether offering earns anything.

use serde_json::{Value, json};

use super::connect::{PortfolioArgs, block_on, explain};
use super::output::{self, Column, Output};
use crate::domain::Currency;
use crate::wire::v1;
use crate::wire::v1::outcome_service_client::OutcomeServiceClient;

const CONVERSION: [Column; 13] = [
    Column::plain("group", "by"),
    Column::plain("value", "which"),
    Column::plain("shown", "shown"),
    Column::plain("won", "won"),
    Column::plain("lost", "lost"),
    Column::plain("rejected", "rejected"),
    Column::plain("postponed", "postponed"),
    Column::plain("open", "open"),
    Column::plain("conversion", "conversion"),
    Column::plain("conversion_low", "from"),
    Column::plain("conversion_high", "to"),
    Column::plain("foretold", "foretold"),
    Column::money("won_ticket_minor", "tickets won"),
];

const UPLIFT: [Column; 9] = [
    Column::plain("group", "by"),
    Column::plain("value", "which"),
    Column::plain("shown_clients", "shown"),
    Column::plain("held_out_clients", "held out"),
    Column::money("uplift_minor", "uplift a client and month"),
    Column::money("uplift_low_minor", "from"),
    Column::money("uplift_high_minor", "to"),
    Column::money("total_minor", "total"),
    Column::plain("verdict", "verdict"),
];

/// Print what became of the offers that were shown, and what showing them earned.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub portfolio: PortfolioArgs,
    /// The first day of showings that count, YYYY-MM-DD [default: the first there is]
    #[arg(
        long,
        value_name = "DATE",
        default_value = "",
        hide_default_value = true
    )]
    pub from: String,
    /// The last day that counts, YYYY-MM-DD [default: today]
    #[arg(
        long,
        value_name = "DATE",
        default_value = "",
        hide_default_value = true
    )]
    pub to: String,
    /// The attribute of clients that segments are made by; or owner, or segment for those of `carteira
    /// segments`
    #[arg(
        long,
        value_name = "ATTRIBUTE",
        default_value = "",
        hide_default_value = true
    )]
    pub segment: String,
    /// How to print; CSV holds the conversion table
    #[arg(long, value_enum, default_value = "table")]
    pub output: Output,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let (report, currency) = block_on(async {
        let (channel, currency) = args.portfolio.open().await?;
        let request = v1::GetEffectReportRequest {
            portfolio_id: args.portfolio.portfolio.clone(),
            from_date: args.from.clone(),
            to_date: args.to.clone(),
            segment_attribute: args.segment.clone(),
        };
        let answer = OutcomeServiceClient::new(channel)
            .get_effect_report(request)
            .await;
        let report = answer.map_err(|status| explain(&status))?.into_inner();
        Ok((report, currency))
    })?;
    let conversions: Vec<Value> = report.conversions.iter().map(conversion).collect();
    let uplifts: Vec<Value> = report.uplifts.iter().map(uplift).collect();
    match args.output {
        Output::Table => table(&report, &conversions, &uplifts, currency),
        Output::Csv => output::rows(args.output, &CONVERSION, &conversions, Some(currency)),
        Output::Json => output::json(&json!({
            "currency": report.currency,
            "from_date": report.from_date,
            "to_date": report.to_date,
            "months": report.months,
            "held_out_share": report.held_out_share,
            "conversions": conversions,
            "uplifts": uplifts,
            "reject_reasons": report.reject_reasons.iter().map(|row| json!({
                "reason": row.reason().as_str_name(),
                "offers": row.offers,
            })).collect::<Vec<_>>(),
            "wallets": report.wallets.as_ref().map(|wallets| json!({
                "offers": wallets.offers,
                "median_ratio": wallets.median_ratio,
                "within_double": wallets.within_double,
            })),
            "calibration": report.calibration.as_ref().map(|learnt| json!({
                "outcomes": learnt.outcomes,
                "in_use": learnt.in_use,
                "shift": learnt.shift,
                "scale": learnt.scale,
                "loss_before": learnt.loss_before,
                "loss_after": learnt.loss_after,
            })),
            "sequence": report.sequence,
        })),
    }
}

fn table(
    report: &v1::GetEffectReportResponse,
    conversions: &[Value],
    uplifts: &[Value],
    currency: Currency,
) -> anyhow::Result<()> {
    if report.from_date.is_empty() {
        return output::print(
            "nothing was logged as shown yet: ask for lists with log_shown, or with `carteira pipeline --log-shown`",
        );
    }
    output::print(&format!(
        "{} to {}, sales of {} months",
        report.from_date, report.to_date, report.months
    ))?;
    output::print(&output::table(&CONVERSION, conversions, Some(currency)))?;
    output::print(&output::table(&UPLIFT, uplifts, Some(currency)))?;
    if let Some(all) = report.uplifts.first() {
        output::print(&all.text)?;
    }
    for row in &report.reject_reasons {
        let reason = row.reason().as_str_name();
        let reason = reason.trim_start_matches("REJECT_REASON_");
        output::print(&format!(
            "rejected for {}: {}",
            reason.to_lowercase(),
            row.offers
        ))?;
    }
    if let Some(wallets) = &report.wallets
        && let Some(ratio) = wallets.median_ratio
    {
        output::print(&format!(
            "sellers' own estimates: {} offers, potential over estimate {ratio:.2} in the median",
            wallets.offers
        ))?;
    }
    if let Some(learnt) = &report.calibration {
        let use_of = if learnt.in_use {
            "in use"
        } else {
            "not in use"
        };
        output::print(&format!(
            "probabilities corrected by {} outcomes: {use_of}, log loss {:.4} to {:.4} on outcomes held out",
            learnt.outcomes, learnt.loss_before, learnt.loss_after
        ))?;
    }
    Ok(())
}

fn group(group: v1::ConversionGroup) -> String {
    let name = group.as_str_name();
    name.trim_start_matches("CONVERSION_GROUP_").to_lowercase()
}

fn conversion(row: &v1::Conversion) -> Value {
    json!({
        "group": group(row.group()),
        "value": row.value,
        "shown": row.shown,
        "won": row.won,
        "lost": row.lost,
        "rejected": row.rejected,
        "postponed": row.postponed,
        "open": row.open,
        "conversion": row.conversion,
        "conversion_low": row.conversion_low,
        "conversion_high": row.conversion_high,
        "foretold": row.foretold,
        "won_ticket_minor": row.won_ticket_minor,
    })
}

fn uplift(row: &v1::Uplift) -> Value {
    let verdict = row.verdict().as_str_name();
    json!({
        "group": group(row.group()),
        "value": row.value,
        "shown_clients": row.shown_clients,
        "held_out_clients": row.held_out_clients,
        "shown_mean_minor": row.shown_mean_minor,
        "held_out_mean_minor": row.held_out_mean_minor,
        "uplift_minor": row.uplift_minor.round() as i64,
        "uplift_low_minor": row.uplift_low_minor.round() as i64,
        "uplift_high_minor": row.uplift_high_minor.round() as i64,
        "total_minor": row.total_minor,
        "verdict": verdict.trim_start_matches("VERDICT_").to_lowercase(),
        "text": row.text,
    })
}
