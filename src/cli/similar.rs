//! `carteira similar`: the clients most like one client.

use super::connect::{PortfolioArgs, block_on, explain};
use super::output::{self, Output};
use super::rows;
use crate::wire::v1;
use crate::wire::v1::recommendation_service_client::RecommendationServiceClient;

/// Print the clients most like one client.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub portfolio: PortfolioArgs,
    /// The client
    #[arg(long, value_name = "ID")]
    pub client: String,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub limit: u32,
    /// How to print
    #[arg(long, value_enum, default_value = "table")]
    pub output: Output,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let answer = block_on(async {
        let channel = args.portfolio.server.connect().await?;
        let request = v1::FindSimilarClientsRequest {
            portfolio_id: args.portfolio.portfolio.clone(),
            client_id: args.client.clone(),
            max_clients: args.limit,
        };
        let answer = RecommendationServiceClient::new(channel)
            .find_similar_clients(request)
            .await;
        Ok(answer.map_err(|status| explain(&status))?.into_inner())
    })?;
    let values: Vec<_> = answer.clients.iter().map(rows::similar).collect();
    output::rows(args.output, &rows::SIMILAR, &values, None)?;
    for notice in &answer.notices {
        eprintln!("note: {}", notice.text);
    }
    Ok(())
}
