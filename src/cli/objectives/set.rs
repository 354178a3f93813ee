//! `carteira objectives set`: what is wanted of a group of clients by a day.

use super::MeasureArg;
use crate::cli::connect::{PortfolioArgs, block_on, explain};
use crate::cli::import::{Decimal, scaled};
use crate::cli::output;
use crate::cli::usage::usage;
use crate::domain::Currency;
use crate::wire::v1;
use crate::wire::v1::insight_service_client::InsightServiceClient;
use crate::wire::v1::measured_value::Value;

/// Set an objective, or change it; what is done towards it stays.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub portfolio: PortfolioArgs,
    /// Your id for it
    #[arg(value_name = "OBJECTIVE")]
    pub id: String,
    /// Of whom: attribute=value, owner=NAME or segment=ID [default: all clients]
    #[arg(long, value_name = "GROUP")]
    pub of: Option<String>,
    /// What is measured
    #[arg(long, value_enum)]
    measure: MeasureArg,
    /// What it is to be: an amount in whole units such as 120000.00, or a number
    #[arg(long, value_name = "VALUE")]
    pub target: String,
    /// By when, YYYY-MM-DD
    #[arg(long, value_name = "DATE")]
    pub due: String,
    /// A few words
    #[arg(long, default_value = "", hide_default_value = true)]
    pub title: String,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let created = block_on(async {
        let group = args.of.as_deref().map(group).transpose()?;
        let (channel, currency) = args.portfolio.open().await?;
        let objective = v1::Objective {
            objective_id: args.id.clone(),
            title: args.title.clone(),
            group,
            measure: args.measure.to_wire().into(),
            target: Some(target(args, currency)?),
            due_date: args.due.clone(),
        };
        let request = v1::SetObjectiveRequest {
            portfolio_id: args.portfolio.portfolio.clone(),
            objective: Some(objective),
            request_id: String::new(),
        };
        let answer = InsightServiceClient::new(channel)
            .set_objective(request)
            .await;
        Ok(answer.map_err(|status| explain(&status))?.get_ref().created)
    })?;
    let what = if created { "set" } else { "changed" };
    output::print(&format!("objective '{}' {what}", args.id))
}

/// A group as it is written; the value may hold `=` itself, as names of segments do.
fn group(raw: &str) -> anyhow::Result<v1::ClientGroup> {
    let (by, value) = raw.split_once('=').ok_or_else(|| {
        usage(format!(
            "--of '{raw}' is no group; write it like region=north, owner=Ana or segment=ID"
        ))
    })?;
    Ok(v1::ClientGroup {
        group_by: by.trim().to_owned(),
        value: value.trim().to_owned(),
    })
}

fn target(args: &Args, currency: Currency) -> anyhow::Result<v1::MeasuredValue> {
    let raw = &args.target;
    let value = match args.measure.is_money() {
        true => {
            let minor = scaled(raw, Decimal::Point, currency.digits());
            Value::AmountMinor(minor.map_err(|error| {
                usage(format!("--target '{raw}' {error}; write it like 120000.00"))
            })?)
        }
        false => Value::Number(raw.trim().parse().map_err(|_| {
            usage(format!(
                "--target '{raw}' is not a number; write it like 25 or 0.2"
            ))
        })?),
    };
    Ok(v1::MeasuredValue { value: Some(value) })
}
