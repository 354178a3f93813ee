//! `carteira portfolios`: what there is.

use serde_json::json;

use super::connect::{ServerArgs, block_on, explain};
use super::output::{self, Column, Output};
use crate::wire::v1;
use crate::wire::v1::portfolio_service_client::PortfolioServiceClient;

const COLUMNS: [Column; 8] = [
    Column::plain("portfolio_id", "portfolio"),
    Column::plain("currency", "currency"),
    Column::plain("clients", "clients"),
    Column::plain("products", "products"),
    Column::plain("tickets", "tickets"),
    Column::plain("sales", "sales"),
    Column::plain("sales_amount_minor", "amount (minor units)"),
    Column::plain("last_sale_month", "last month"),
];

/// List the portfolios and what they hold.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub server: ServerArgs,
    /// How to print
    #[arg(long, value_enum, default_value = "table")]
    pub output: Output,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let values = block_on(async {
        let mut service = PortfolioServiceClient::new(args.server.connect().await?);
        let mut values = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = v1::ListPortfoliosRequest {
                page_size: 1_000,
                page_token,
            };
            let page = service
                .list_portfolios(request)
                .await
                .map_err(|status| explain(&status))?
                .into_inner();
            for portfolio in page.portfolios {
                let request = v1::GetPortfolioRequest {
                    portfolio_id: portfolio.portfolio_id.clone(),
                };
                let answer = service
                    .get_portfolio(request)
                    .await
                    .map_err(|status| explain(&status))?
                    .into_inner();
                let figures = answer.figures.unwrap_or_default();
                values.push(json!({
                    "portfolio_id": portfolio.portfolio_id,
                    "name": portfolio.name,
                    "currency": portfolio.currency,
                    "clients": figures.clients,
                    "products": figures.products,
                    "tickets": figures.tickets,
                    "sales": figures.sales,
                    "sales_amount_minor": figures.sales_amount_minor,
                    "set_tickets_minor": figures.set_tickets_minor,
                    "first_sale_month": figures.first_sale_month,
                    "last_sale_month": figures.last_sale_month,
                    "sequence": answer.sequence,
                }));
            }
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(values);
            }
        }
    })?;
    output::rows(args.output, &COLUMNS, &values, None)
}
