//! What may be offered, whatever it would earn.

use std::sync::Arc;

use crate::domain::{Client, ClientNo, Kind, Opportunity, Product, ProductNo};
use crate::matrix::Cell;

/// What the rules need to know of a portfolio.
pub trait Offered {
    /// A product, unless it was removed.
    fn product(&self, product: ProductNo) -> Option<&Arc<Product>>;
    /// The number of a product by id.
    fn product_no(&self, id: &crate::domain::ProductId) -> Option<ProductNo>;
    /// Whether offers to the client wait, for an open complaint or a cool-down.
    fn on_hold(&self, client: ClientNo, product: ProductNo, kind: Kind) -> bool;
}

/// The rules of eligibility and the caps a client.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// At most this many opportunities of each kind for one client, by priority.
    pub per_client: usize,
}

impl Rules {
    /// Keeps what may be offered to one client: products that are active, not excluded, whose
    /// needed product the client buys, and that are not on hold; of each kind the best by priority
    /// up to the cap. Ordered by priority, ties by product.
    pub fn keep(
        &self,
        offered: &dyn Offered,
        client: Option<&Client>,
        cells: &[Cell],
        mut opportunities: Vec<Opportunity>,
    ) -> Vec<Opportunity> {
        let buys = |product: ProductNo| {
            cells
                .binary_search_by_key(&product, |cell| cell.product)
                .is_ok()
        };
        opportunities.retain(|opportunity| {
            let Some(product) = offered.product(opportunity.product) else {
                return false;
            };
            let excluded =
                client.is_some_and(|client| client.excluded_products.contains(&product.id));
            let needs = product.needs_product.as_ref();
            let lacks = needs.is_some_and(|id| !offered.product_no(id).is_some_and(buys));
            let held = client.is_some()
                && offered.on_hold(opportunity.client, opportunity.product, opportunity.kind);
            product.active && !excluded && !lacks && !held
        });
        opportunities.sort_by(|a, b| {
            b.priority_minor
                .total_cmp(&a.priority_minor)
                .then(a.product.cmp(&b.product))
        });
        let mut counts = [0; Kind::ALL.len()];
        opportunities.retain(|opportunity| {
            let count = &mut counts[opportunity.kind as usize];
            *count += 1;
            *count <= self.per_client
        });
        opportunities
    }
}
