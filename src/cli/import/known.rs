//! The ids that a sale may name: those of the portfolio, once its clients and products are in.

use std::collections::HashMap;

use crate::cli::connect::{Connection, explain};
use crate::wire::v1;
use crate::wire::v1::catalog_service_client::CatalogServiceClient;

/// Ids of clients and products, each numbered.
pub(super) struct Known {
    clients: Ids,
    products: Ids,
    /// Whether a portfolio may know more than the files do.
    in_portfolio: bool,
}

/// Ids and the number of each.
#[derive(Default)]
struct Ids(HashMap<String, u32>);

impl Extend<String> for Ids {
    fn extend<I: IntoIterator<Item = String>>(&mut self, ids: I) {
        for id in ids {
            let next = self.0.len() as u32;
            self.0.entry(id).or_insert(next);
        }
    }
}

impl Known {
    /// Asks the server for all of them, page by page.
    pub(super) async fn ask(portfolio: &str, channel: Connection) -> anyhow::Result<Self> {
        let mut service = CatalogServiceClient::new(channel);
        let (mut clients, mut products) = (Ids::default(), Ids::default());
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
    pub(super) fn in_files(
        clients: impl IntoIterator<Item = String>,
        products: impl IntoIterator<Item = String>,
    ) -> Self {
        let mut known = Self {
            clients: Ids::default(),
            products: Ids::default(),
            in_portfolio: false,
        };
        known.clients.extend(clients);
        known.products.extend(products);
        known
    }

    /// The numbers of a client and a product that a sale may name; the reason where it may not.
    pub(super) fn check(&self, client_id: &str, product_id: &str) -> Result<(u32, u32), String> {
        let missing = |what: &str, id: &str| match self.in_portfolio {
            true => {
                format!("the {what} '{id}' is neither in the {what}s file nor in the portfolio")
            }
            false => format!("the {what} '{id}' is not in the {what}s file"),
        };
        let client = self.clients.0.get(client_id);
        let client = client.ok_or_else(|| missing("client", client_id))?;
        let product = self.products.0.get(product_id);
        let product = product.ok_or_else(|| missing("product", product_id))?;
        Ok((*client, *product))
    }
}
