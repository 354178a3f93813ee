//! The opportunities that a filter asks for, those that are held out apart.

use tonic::Status;

use super::form::Form;
use super::opportunities::filter;
use super::showings::showings;
use crate::domain::{ClientNo, Opportunity, ProductNo, Showing};
use crate::engine::{OfferId, Scored, Tenant};
use crate::pipeline::{Filter, Order};
use crate::wire::v1;

/// What a filter finds.
pub(super) struct Selected<'a> {
    /// The opportunities that are shown, in order.
    pub(super) found: Vec<&'a Opportunity>,
    /// Those of clients that are held out, each with the number of rows of `found` before it.
    held_out: Vec<(usize, &'a Opportunity)>,
}

impl Selected<'_> {
    /// What a page of `size` rows after those given already shows, and what it would have shown: rows
    /// held out that stand before its last row, and after it where it is the last page.
    pub(super) fn showings(
        &self,
        scored: &Scored,
        given: usize,
        size: usize,
    ) -> Vec<(OfferId, Showing)> {
        let end = given.saturating_add(size).min(self.found.len());
        let passed_to = match end == self.found.len() {
            true => usize::MAX,
            false => end,
        };
        let passed = self
            .held_out
            .iter()
            .filter(|(at, _)| (given..passed_to).contains(at));
        let rows = self.found[given..end].iter().map(|row| (*row, false));
        let rows = rows.chain(passed.map(|(_, row)| (*row, true)));
        showings(&scored.moment.book, scored.model.correction(), rows)
    }
}

/// The opportunities that are asked for, in order. Cost: the clients, products and opportunities of
/// the portfolio, and a sort of what was found unless it is by priority. Insights are of now, and asked
/// for only where the filter needs them.
pub(super) fn select<'a>(
    tenant: &Tenant,
    scored: &'a Scored,
    wanted: &v1::OpportunityFilter,
    order: Order,
) -> Result<Selected<'a>, Status> {
    let book = &scored.moment.book;
    let mut form = Form::default();
    let segmented = match wanted.segment_ids.is_empty() {
        true => None,
        false => Some(tenant.insights()?),
    };
    let filter: Option<Filter> = filter(&mut form, book, wanted, segmented.as_deref())?;
    let filter = form.finish(filter)?;
    let mut clients = vec![false; book.clients().numbers()];
    for (number, client) in book.clients().from(0) {
        clients[number as usize] = filter.clients.admits(ClientNo(number), client);
    }
    if filter.clients.needs_insights() {
        // The same ones: a segment's number means nothing in later ones.
        let insighted = segmented.map_or_else(|| tenant.insights(), Ok)?;
        for (number, admitted) in (0..).zip(&mut clients) {
            let insight = insighted.insights.get(ClientNo(number));
            *admitted &= insight.is_some_and(|insight| filter.clients.admits_insight(insight));
        }
    }
    let mut products = vec![false; book.products().numbers()];
    for (number, product) in book.products().from(0) {
        products[number as usize] = filter.admits_product(ProductNo(number), product);
    }
    let admitted = |row: &&Opportunity| {
        clients[row.client.index()] && products[row.product.index()] && filter.admits(row)
    };
    let mut found: Vec<_> = scored.offers().filter(admitted).collect();
    if order != Order::Priority {
        found.sort_by(|a, b| order.compare(a, b));
    }
    let mut held_out = Vec::new();
    let hold_out = scored.hold_out();
    if hold_out.is_any() {
        let holds = |row: &Opportunity| {
            let client = book.clients().get(row.client.0);
            client.is_some_and(|client| hold_out.holds(&client.id))
        };
        let mut shown = Vec::with_capacity(found.len());
        for row in found {
            match holds(row) {
                true => held_out.push((shown.len(), row)),
                false => shown.push(row),
            }
        }
        found = shown;
    }
    Ok(Selected { found, held_out })
}
