//! The ids that a sale may name: those of the portfolio, once its clients and products are in.

use std::collections::HashSet;

use crate::cli::connect::{Connection, explain};
use crate::wire::v1;
use crate::wire::v1::catalog_service_client::CatalogServiceClient;

/// Ids of clients and products.
pub(super) struct Known {
    clients: HashSet<String>,
    products: HashSet<String>,
    /// Whether a portfolio may know more than the files do.
    in_portfolio: bool,
}

impl Known {
    /// Asks the server for all of them, page by page.
    pub(super) async fn ask(portfolio: &str, channel: Connection) -> anyhow::Result<Self> {
        let mut service = CatalogServiceClient::new(channel);
        let (mut clients, mut products) = (HashSet::new(), HashSet::new());
        let mut page_token = String::new();
        loop {
            let portfolio_id = portfolio.to_owned();
            let request = v1::ListClientsRequest {
                portfolio_id,
                page_size: 1_000,
                page_token,
            };
            let page = service
                .list_clients(request)
                .await
                .map_err(|status| explain(&status))?
                .into_inner();
            clients.extend(page.clients.into_iter().map(|client| client.client_id));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        loop {
            let portfolio_id = portfolio.to_owned();
            let request = v1::ListProductsRequest {
                portfolio_id,
                page_size: 1_000,
                page_token,
            };
            let page = service
                .list_products(request)
                .await
                .map_err(|status| explain(&status))?
                .into_inner();
            products.extend(page.products.into_iter().map(|product| product.product_id));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(Self {
                    clients,
                    products,
                    in_portfolio: true,
                });
            }
        }
    }

    /// Those of the files alone.
    pub(super) fn in_files(clients: HashSet<String>, products: HashSet<String>) -> Self {
        Self {
            clients,
            products,
            in_portfolio: false,
        }
    }

    /// Whether a sale may name these; the reason where it may not.
    pub(super) fn check(&self, client_id: &str, product_id: &str) -> Result<(), String> {
        let missing = |what: &str, id: &str| match self.in_portfolio {
            true => {
                format!("the {what} '{id}' is neither in the {what}s file nor in the portfolio")
            }
            false => format!("the {what} '{id}' is not in the {what}s file"),
        };
        if !self.clients.contains(client_id) {
            return Err(missing("client", client_id));
        }
        if !self.products.contains(product_id) {
            return Err(missing("product", product_id));
        }
        Ok(())
    }
}
