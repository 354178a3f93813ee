//! What list prices say of the level of products that few buy.

use crate::domain::ProductNo;
use crate::recommend::Book;

/// Where each product's intercept is drawn to: what its list price says of its median ticket,
/// where enough products have one; else the median itself.
pub(super) fn priors(book: &Book<'_>) -> Vec<f64> {
    let products = book.matrix.products();
    let mut priors = vec![0.0; products];
    let priced: Vec<(usize, f64, f64, f64)> = (0..products)
        .filter_map(|at| {
            let price = book.products.get(at)?.list_price_minor?;
            let product = book.statistics.product(ProductNo(at as u32));
            let known = price > 0 && product.buyers > 0;
            known.then(|| {
                let buyers = f64::from(product.buyers);
                (at, (price as f64).ln(), product.ln_median, buyers)
            })
        })
        .collect();
    if priced.len() < book.recipe.upsell.least_priced_products {
        return priors;
    }
    let weight: f64 = priced.iter().map(|one| one.3).sum();
    let mean_price = priced.iter().map(|one| one.3 * one.1).sum::<f64>() / weight;
    let mean_ticket = priced.iter().map(|one| one.3 * one.2).sum::<f64>() / weight;
    let (mut cross, mut own) = (0.0, 0.0);
    for (_, price, ticket, buyers) in &priced {
        cross += buyers * (price - mean_price) * (ticket - mean_ticket);
        own += buyers * (price - mean_price).powi(2);
    }
    let slope = if own > 1e-9 { cross / own } else { 0.0 };
    for (at, price, ticket, _) in priced {
        priors[at] = mean_ticket + slope * (price - mean_price) - ticket;
    }
    priors
}
