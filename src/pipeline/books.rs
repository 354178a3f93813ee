//! What pipelines of tests are made of.

use super::{OfferRow, Order};
use crate::domain::{ClientNo, Kind, Opportunity, ProductNo};

/// A client's opportunities of these priorities.
pub(crate) fn row(client: u32, priorities: &[u8]) -> OfferRow {
    let offer = |(product, &priority): (usize, &u8)| Opportunity {
        client: ClientNo(client),
        product: ProductNo(product as u32),
        kind: Kind::Upsell,
        current_ticket_minor: 0,
        low_ticket_minor: 0,
        expected_ticket_minor: 0,
        high_ticket_minor: 0,
        potential_ticket_minor: 0,
        gain_minor: i64::from(priority) * 3,
        probability: 0.5,
        score: 0.0,
        priority_minor: f64::from(priority),
        neighbours: 0,
        neighbours_buying: 0,
    };
    let mut row: Vec<Opportunity> = priorities.iter().enumerate().map(offer).collect();
    row.sort_by(|a, b| Order::Priority.compare(a, b));
    OfferRow::of(row)
}
