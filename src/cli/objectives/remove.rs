//! `carteira objectives remove`: an objective with its actions.

use crate::cli::connect::{PortfolioArgs, block_on, explain};
use crate::cli::output;
use crate::wire::v1;
use crate::wire::v1::insight_service_client::InsightServiceClient;

/// Remove an objective with its actions.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub portfolio: PortfolioArgs,
    /// The objective
    #[arg(value_name = "OBJECTIVE")]
    pub objective: String,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    block_on(async {
        let (channel, _) = args.portfolio.open().await?;
        let request = v1::DeleteObjectiveRequest {
            portfolio_id: args.portfolio.portfolio.clone(),
            objective_id: args.objective.clone(),
            request_id: String::new(),
        };
        let answer = InsightServiceClient::new(channel)
            .delete_objective(request)
            .await;
        answer.map_err(|status| explain(&status))?;
        Ok(())
    })?;
    output::print(&format!("objective '{}' removed", args.objective))
}
