//! Clients like a subject, for people who want to see them.

use super::Book;
use super::upsell::{Scratch, UpsellModel};
use crate::domain::ClientNo;
use crate::neighbours::{Reach, Subject};

/// A client like the subject.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SimilarClient {
    /// Who.
    pub client: ClientNo,
    /// 0 to 1: `1 / (1 + d / v)`; about a half for two clients with nothing in common but the book.
    pub similarity: f64,
    /// Products that both buy.
    pub common_products: u32,
    /// Its size over the subject's: 2 for one that buys twice as much of a typical product.
    pub size_ratio: f64,
}

/// The `k` clients most like a subject, most similar first, ties by client number.
///
/// Those that share a product are
/// compared by tickets and attributes; a subject without tickets by attributes alone. Empty where
/// there is nothing to compare by. Cost: clients that share a product; all clients for a subject
/// without tickets.
pub fn similar(
    book: &Book<'_>,
    model: &UpsellModel,
    subject: &Subject<'_>,
    k: usize,
    scratch: &mut Scratch,
) -> Vec<SimilarClient> {
    let mut rule = model.distance_rule();
    rule.attribute_weight = rule
        .attribute_weight
        .max(book.recipe.upsell.attribute_weight);
    let reach = if subject.cells.is_empty() {
        Reach::Everyone
    } else {
        Reach::SharedProducts
    };
    let pseudo = book.recipe.upsell.size_pseudo_tickets;
    let own = book.statistics.row(subject.cells).size(pseudo);
    let spread = rule.spread.max(1e-9);
    let found = scratch
        .clients()
        .nearest(book.matrix, subject, book.profiles, &rule, k, reach);
    let similar = found.iter().map(|neighbour| SimilarClient {
        client: neighbour.client,
        similarity: 1.0 / (1.0 + neighbour.distance / spread),
        common_products: neighbour.common,
        size_ratio: (book.statistics.client(neighbour.client).size(pseudo) - own)
            .clamp(-30.0, 30.0)
            .exp(),
    });
    similar.collect()
}
