//! `carteira segments`: which kinds of clients there are.

use serde_json::{Map, Value, json};

use super::clients::ClientArgs;
use super::connect::{PortfolioArgs, block_on, explain};
use super::output::{self, Column, Output};
use super::summary;
use crate::domain::Currency;
use crate::wire::v1;
use crate::wire::v1::insight_service_client::InsightServiceClient;

/// What sets a segment apart, in a table: the first of these.
const MARKS: usize = 4;

const SEGMENT: [Column; 15] = [
    Column::plain("segment_id", "segment"),
    Column::plain("clients", "clients"),
    Column::plain("buyers", ""),
    Column::money("revenue_minor", ""),
    Column::money("year_revenue_minor", "of 12 months"),
    Column::money("year_margin_minor", "margin of it"),
    Column::plain("year_purchases", ""),
    Column::money("ticket_minor", "tickets"),
    Column::money("lifetime_value_minor", "a buyer (LTV)"),
    Column::money("expected_year_minor", "next year"),
    Column::money("at_risk_minor", "at risk"),
    Column::money("growth_year_minor", "growth"),
    Column::plain("learnt_from", ""),
    Column::plain("what", "what sets it apart"),
    Column::plain("marks", ""),
];

/// Print the segments: clients that buy alike, as much, and are alike.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub portfolio: PortfolioArgs,
    #[command(flatten)]
    pub clients: ClientArgs,
    /// How to print; CSV holds the segments
    #[arg(long, value_enum, default_value = "table")]
    pub output: Output,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let (answer, currency) = block_on(async {
        let request = v1::ListSegmentsRequest {
            portfolio_id: args.portfolio.portfolio.clone(),
            filter: Some(args.clients.to_wire()?),
        };
        let (channel, currency) = args.portfolio.open().await?;
        let answer = InsightServiceClient::new(channel)
            .list_segments(request)
            .await;
        let answer = answer.map_err(|status| explain(&status))?.into_inner();
        Ok((answer, currency))
    })?;
    let rows: Vec<Value> = answer
        .segments
        .iter()
        .map(|one| row(one, currency))
        .collect();
    let tried: Vec<Value> = answer
        .tried
        .iter()
        .map(|one| json!({ "segments": one.segments, "silhouette": one.silhouette }))
        .collect();
    match args.output {
        Output::Csv => output::rows(args.output, &SEGMENT, &rows, Some(currency)),
        Output::Json => output::json(&json!({
            "currency": answer.currency,
            "as_of_date": answer.as_of_date,
            "segments": rows,
            "clients_without_segment": answer.clients_without_segment,
            "tried": tried,
            "is_learnt": answer.is_learnt,
            "learnt_sequence": answer.learnt_sequence,
            "sequence": answer.sequence,
        })),
        Output::Table => {
            output::print(&heading(&answer))?;
            output::print(&output::table(&SEGMENT, &rows, Some(currency)))
        }
    }
}

fn heading(answer: &v1::ListSegmentsResponse) -> String {
    if !answer.is_learnt {
        return "the segments are learnt in the background; ask again in a minute".to_owned();
    }
    if answer.segments.is_empty() {
        return "no segments: too few clients buy, or all are alike".to_owned();
    }
    let tried: Vec<String> = answer
        .tried
        .iter()
        .map(|one| format!("{}: {:.3}", one.segments, one.silhouette))
        .collect();
    format!(
        "seen from {}; {} clients that buy nothing are in none; silhouettes by number of segments {}",
        answer.as_of_date,
        answer.clients_without_segment,
        tried.join(", ")
    )
}

fn row(segment: &v1::Segment, currency: Currency) -> Value {
    let sums = segment.sums.clone().unwrap_or_default();
    let mut row: Map<String, Value> = match summary::row(&sums) {
        Value::Object(row) => row,
        _ => Map::new(),
    };
    row.remove("group");
    row.remove("value");
    let what: Vec<String> = segment
        .marks
        .iter()
        .filter(|mark| mark.deviation != 0.0)
        .take(MARKS)
        .map(|mark| told(mark, currency))
        .collect();
    row.insert("segment_id".into(), json!(segment.segment_id));
    row.insert("learnt_from".into(), json!(segment.learnt_from));
    row.insert("what".into(), json!(what.join("; ")));
    let marks = segment.marks.iter().map(|mark| {
        let feature = mark.feature().as_str_name();
        json!({
            "feature": feature.trim_start_matches("SEGMENT_FEATURE_").to_lowercase(),
            "name": mark.name,
            "value": mark.value,
            "here": mark.here,
            "everywhere": mark.everywhere,
            "deviation": mark.deviation,
        })
    });
    row.insert("marks".into(), marks.collect());
    Value::Object(row)
}

/// A mark as people say it.
fn told(mark: &v1::SegmentMark, currency: Currency) -> String {
    let percent = |share: f64| format!("{:.0} %", 100.0 * share);
    let money = |minor: f64| currency.decimal(minor.round() as i64);
    let (here, everywhere) = match mark.feature() {
        v1::SegmentFeature::Size => (money(mark.here), money(mark.everywhere)),
        v1::SegmentFeature::Number => (
            format!("{:.1}", mark.here),
            format!("{:.1}", mark.everywhere),
        ),
        _ => (percent(mark.here), percent(mark.everywhere)),
    };
    let name = match mark.feature() {
        v1::SegmentFeature::Size => "a client spends".to_owned(),
        v1::SegmentFeature::Value => format!("{}={}", mark.name, mark.value),
        _ if mark.name.is_empty() => "all else".to_owned(),
        _ => mark.name.clone(),
    };
    format!("{name} {here} (of all {everywhere})")
}
