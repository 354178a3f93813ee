//! A purchase log cut at a day: what was bought before it, and what after.

use super::history::Span;
use crate::domain::{ClientNo, Day, ProductNo};
use crate::matrix::{Cell, Purchase, PurchaseLog, TicketMatrix};

/// A net amount up to this many minor units is nothing bought: what rounding leaves of a return.
pub(super) const NOTHING_MINOR: f64 = 0.5;

/// One client and product before the day: sums of its purchases.
pub(super) struct Bought {
    pub(super) client: usize,
    pub(super) product: usize,
    pub(super) first: Day,
    pub(super) last: Day,
    /// Net amount in the last horizon.
    pub(super) recent_minor: f64,
}

/// The tickets per period that a log makes of the purchases before a day: net amount over the
/// periods from the log's first day. Cost: the purchases.
pub fn matrix_before(log: &PurchaseLog, as_of: Day, period_days: f64) -> TicketMatrix {
    let first_day = log.days().map_or(as_of, |days| days.0);
    let days = f64::from((as_of.epoch_days() - first_day.epoch_days()).max(1));
    let periods = days / period_days.max(1e-9);
    let rows = (0..log.clients() as u32).map(|client| {
        let mut row: Vec<Cell> = Vec::new();
        for (product, purchases) in by_product(log, ClientNo(client), as_of) {
            let net: f64 = purchases.iter().map(|purchase| purchase.amount_minor).sum();
            let ticket = (net / periods) as f32;
            if net > NOTHING_MINOR && ticket > 0.0 && ticket.is_finite() {
                row.push(Cell {
                    product,
                    ticket,
                    last_day: purchases.last().map(|purchase| purchase.day),
                });
            }
        }
        row
    });
    TicketMatrix::from_rows(log.products(), rows)
}

/// What a client newly bought from `as_of` for a horizon: net amounts above nothing, by product.
pub(super) fn bought_within(
    log: &PurchaseLog,
    client: ClientNo,
    as_of: Day,
    span: Span,
) -> Vec<(ProductNo, f64)> {
    let end = as_of.plus(span.horizon_days.max(1) as i32);
    let mut found: Vec<(ProductNo, f64)> = Vec::new();
    for purchase in log.of(client) {
        if purchase.day < as_of || purchase.day >= end {
            continue;
        }
        match found.last_mut().filter(|last| last.0 == purchase.product) {
            Some(last) => last.1 += purchase.amount_minor,
            None => found.push((purchase.product, purchase.amount_minor)),
        }
    }
    found.retain(|item| item.1 > NOTHING_MINOR);
    found
}

impl Bought {
    /// Whether it was first bought within the last horizon.
    pub(super) fn is_fresh(&self, as_of: Day, span: Span) -> bool {
        as_of.epoch_days() - self.first.epoch_days() <= span.horizon_days.max(1) as i32
    }
}

/// A client's purchases before a day, by product.
pub(super) fn before(
    log: &PurchaseLog,
    client: ClientNo,
    as_of: Day,
) -> impl Iterator<Item = &Purchase> {
    let known = move |purchase: &&Purchase| purchase.day < as_of;
    log.of(client).iter().filter(known)
}

/// A client's purchases before a day, in runs of one product.
fn by_product(
    log: &PurchaseLog,
    client: ClientNo,
    as_of: Day,
) -> impl Iterator<Item = (ProductNo, &[Purchase])> {
    let runs = log.of(client).chunk_by(|a, b| a.product == b.product);
    runs.filter_map(move |run| {
        let known = run.partition_point(|purchase| purchase.day < as_of);
        let first = run[..known].first()?;
        Some((first.product, &run[..known]))
    })
}

/// What was bought before a day and not returned, by client, then product.
pub(super) fn bought_before(log: &PurchaseLog, as_of: Day, span: Span) -> Vec<Bought> {
    let horizon_start = as_of.plus(-(span.horizon_days.max(1) as i32));
    let mut bought = Vec::new();
    for client in 0..log.clients() {
        for (product, purchases) in by_product(log, ClientNo(client as u32), as_of) {
            let net: f64 = purchases.iter().map(|purchase| purchase.amount_minor).sum();
            let (Some(first), Some(last)) = (purchases.first(), purchases.last()) else {
                continue;
            };
            if net <= NOTHING_MINOR {
                continue;
            }
            let recent = purchases.iter().filter(|p| p.day >= horizon_start);
            bought.push(Bought {
                client,
                product: product.index(),
                first: first.day,
                last: last.day,
                recent_minor: recent.map(|purchase| purchase.amount_minor).sum(),
            });
        }
    }
    bought
}
