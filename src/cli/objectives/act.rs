//! `carteira objectives act`: what is done towards an objective.

use super::StateArg;
use crate::cli::connect::{PortfolioArgs, block_on, explain};
use crate::cli::output;
use crate::wire::v1;
use crate::wire::v1::insight_service_client::InsightServiceClient;

/// Note an action towards an objective, or where it stands now.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub portfolio: PortfolioArgs,
    /// The objective
    #[arg(value_name = "OBJECTIVE")]
    pub objective: String,
    /// Your id for the action; one that is there already is replaced
    #[arg(value_name = "ACTION")]
    pub action: String,
    /// When, YYYY-MM-DD
    #[arg(long, value_name = "DATE")]
    pub date: String,
    /// What
    #[arg(long)]
    pub text: String,
    /// By whom
    #[arg(long, default_value = "", hide_default_value = true)]
    pub owner: String,
    /// Where it stands
    #[arg(long, value_enum, default_value = "planned")]
    state: StateArg,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let created = block_on(async {
        let (channel, _) = args.portfolio.open().await?;
        let action = v1::ObjectiveAction {
            action_id: args.action.clone(),
            date: args.date.clone(),
            text: args.text.clone(),
            owner: args.owner.clone(),
            state: args.state.to_wire().into(),
        };
        let request = v1::RecordActionsRequest {
            portfolio_id: args.portfolio.portfolio.clone(),
            objective_id: args.objective.clone(),
            actions: vec![action],
            request_id: String::new(),
        };
        let answer = InsightServiceClient::new(channel)
            .record_actions(request)
            .await;
        Ok(answer.map_err(|status| explain(&status))?.get_ref().created)
    })?;
    let what = if created > 0 { "noted" } else { "changed" };
    output::print(&format!("action '{}' {what}", args.action))
}
