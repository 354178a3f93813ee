//! `carteira objectives list`: how far objectives are.

use serde_json::{Value, json};

use crate::cli::connect::{PortfolioArgs, block_on, explain};
use crate::cli::output::{self, Column, Output};
use crate::domain::Currency;
use crate::wire::v1;
use crate::wire::v1::insight_service_client::InsightServiceClient;
use crate::wire::v1::measured_value::Value as Measured;

const COLUMNS: [Column; 19] = [
    Column::plain("objective_id", "objective"),
    Column::plain("title", ""),
    Column::plain("group", "of"),
    Column::plain("group_by", ""),
    Column::plain("group_value", ""),
    Column::plain("measure", "measure"),
    Column::plain("baseline", "was"),
    Column::plain("present", "is"),
    Column::plain("target", "wanted"),
    Column::plain("expected_at_due", "at this pace"),
    Column::plain("progress", "of the way"),
    Column::plain("time_share", "of the time"),
    Column::plain("due_date", "due"),
    Column::plain("standing", "standing"),
    Column::plain("clients", "clients"),
    Column::plain("baseline_clients", ""),
    Column::plain("baseline_date", ""),
    Column::plain("as_of_date", ""),
    Column::plain("actions", ""),
];

const ACTIONS: [Column; 6] = [
    Column::plain("objective_id", "objective"),
    Column::plain("action_id", "action"),
    Column::plain("date", "on"),
    Column::plain("text", "what"),
    Column::plain("owner", "by"),
    Column::plain("state", "state"),
];

/// List objectives: where each began, where it is, where it is to be, and what is done towards it.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub portfolio: PortfolioArgs,
    /// How to print; JSON and CSV hold amounts in minor units
    #[arg(long, value_enum, default_value = "table")]
    pub output: Output,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let (objectives, currency) = block_on(async {
        let (channel, currency) = args.portfolio.open().await?;
        let mut service = InsightServiceClient::new(channel);
        let mut objectives = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = v1::ListObjectivesRequest {
                portfolio_id: args.portfolio.portfolio.clone(),
                page_size: 0,
                page_token,
            };
            let answer = service.list_objectives(request).await;
            let page = answer.map_err(|status| explain(&status))?.into_inner();
            objectives.extend(page.objectives);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok((objectives, currency));
            }
        }
    })?;
    let people = (args.output == Output::Table).then_some(currency);
    let rows: Vec<Value> = objectives.iter().map(|one| row(one, people)).collect();
    output::rows(args.output, &COLUMNS, &rows, Some(currency))?;
    let actions: Vec<Value> = objectives.iter().flat_map(actions).collect();
    if args.output == Output::Table && !actions.is_empty() {
        output::print(&output::table(&ACTIONS, &actions, None))?;
    }
    Ok(())
}

/// One objective; amounts in whole units of a currency for people.
fn row(progress: &v1::ObjectiveProgress, people: Option<Currency>) -> Value {
    let objective = progress.objective.clone().unwrap_or_default();
    let group = objective.group.clone().unwrap_or_default();
    let measure = objective.measure();
    let measured = |value: Option<&v1::MeasuredValue>| match value.and_then(|value| value.value) {
        None => Value::Null,
        Some(Measured::AmountMinor(minor)) => match people {
            Some(currency) => json!(currency.decimal(minor)),
            None => json!(minor),
        },
        Some(Measured::Number(number)) => match people {
            Some(_) => json!(format!("{number:.3}")),
            None => json!(number),
        },
    };
    json!({
        "objective_id": objective.objective_id,
        "title": objective.title,
        "group": match group.group_by.as_str() {
            "" => "all".to_owned(),
            by => format!("{by}={}", group.value),
        },
        "group_by": group.group_by,
        "group_value": group.value,
        "measure": lower(measure.as_str_name(), "OBJECTIVE_MEASURE_"),
        "baseline": measured(progress.baseline.as_ref()),
        "present": measured(progress.present.as_ref()),
        "target": measured(objective.target.as_ref()),
        "expected_at_due": measured(progress.expected_at_due.as_ref()),
        "progress": progress.progress,
        "time_share": progress.time_share,
        "due_date": objective.due_date,
        "standing": lower(progress.standing().as_str_name(), "OBJECTIVE_STANDING_"),
        "clients": progress.clients,
        "baseline_clients": progress.baseline_clients,
        "baseline_date": progress.baseline_date,
        "as_of_date": progress.as_of_date,
        "actions": actions(progress),
    })
}

fn actions(progress: &v1::ObjectiveProgress) -> Vec<Value> {
    let id = progress
        .objective
        .as_ref()
        .map_or("", |one| &one.objective_id);
    let actions = progress.actions.iter().map(|action| {
        json!({
            "objective_id": id,
            "action_id": action.action_id,
            "date": action.date,
            "text": action.text,
            "owner": action.owner,
            "state": lower(action.state().as_str_name(), "ACTION_STATE_"),
        })
    });
    actions.collect()
}

fn lower(name: &str, prefix: &str) -> String {
    name.trim_start_matches(prefix).to_lowercase()
}
