//! The opportunities that a filter asks for, those that are held out apart.

use std::borrow::Cow;
use std::sync::Arc;

use tonic::Status;

use super::form::Form;
use super::opportunities::{filter, total_gain};
use super::showings::showings;
use crate::domain::{ClientNo, Opportunity, ProductNo, Showing};
use crate::engine::{Found, Insighted, OfferId, OfferPlace, Scored, Selection, Tenant};
use crate::pipeline::{Filter, Order};
use crate::wire::v1;

/// Where at most one client in so many is admitted, the offers of these are looked at and sorted instead of all
/// offers in their order.
const FEW_OF: usize = 8;

/// What a filter finds.
pub(super) struct Selected {
    scored: Arc<Scored>,
    selection: Arc<Selection>,
}

impl Selected {
    /// How many opportunities are shown.
    pub(super) fn len(&self) -> usize {
        match &self.selection.found {
            Found::All(count) => *count,
            Found::Chosen(places) => places.len(),
        }
    }

    /// The sum of their gains, in minor units.
    pub(super) fn total_gain_minor(&self) -> i64 {
        self.selection.total_gain_minor
    }

    /// Those of a page of `size` rows after `given` ones.
    pub(super) fn rows(&self, given: usize, size: usize) -> impl Iterator<Item = Opportunity> {
        let end = given.saturating_add(size).min(self.len());
        let given = given.min(end);
        let places: Cow<'_, [OfferPlace]> = match &self.selection.found {
            Found::All(_) => self.scored.places_after(given).take(end - given).collect(),
            Found::Chosen(places) => Cow::from(&places[given..end]),
        };
        let count = places.len();
        (0..count).map(move |at| self.scored.at(places[at]))
    }

    /// What a page of `size` rows after those given already shows, and what it would have shown: rows
    /// held out that stand before its last row, and after it where it is the last page.
    pub(super) fn showings(&self, given: usize, size: usize) -> Vec<(OfferId, Showing)> {
        let scored = &self.scored;
        let end = given.saturating_add(size).min(self.len());
        let passed_to = match end == self.len() {
            true => usize::MAX,
            false => end,
        };
        let held_out = self.selection.held_out.iter();
        let passed = held_out.filter(|(at, _)| (given..passed_to).contains(at));
        let passed = passed.map(|(_, place)| (scored.at(*place), true));
        let rows = self.rows(given, size).map(|row| (row, false));
        let correction = scored.model.correction();
        showings(&scored.moment.book, correction, rows.chain(passed))
    }
}

/// The opportunities that are asked for, in order, by the name of their list. Insights are of now, and
/// asked for only where the filter needs them.
///
/// Cost: the clients and products of the portfolio, the opportunities of the clients that are admitted where
/// these are few, else all, and a sort of what was found unless all were looked at by priority; nothing where the
/// list was asked for before and needs no insights, or where it is that of all and nobody is held out.
pub(super) fn select(
    tenant: &Tenant,
    scored: Arc<Scored>,
    name: &str,
    wanted: &v1::OpportunityFilter,
    order: Order,
) -> Result<Selected, Status> {
    let mut form = Form::default();
    let segmented = match wanted.segment_ids.is_empty() {
        true => None,
        false => Some(tenant.insights()?),
    };
    let filter: Option<Filter> =
        filter(&mut form, &scored.moment.book, wanted, segmented.as_deref())?;
    let filter = form.finish(filter)?;
    let find = || find(tenant, &scored, &filter, order, segmented.clone());
    let selection = match filter.clients.needs_insights() {
        true => Arc::new(find()?),
        false => tenant.selection(&scored, name, find)?,
    };
    Ok(Selected { scored, selection })
}

fn find(
    tenant: &Tenant,
    scored: &Scored,
    filter: &Filter,
    order: Order,
    segmented: Option<Arc<Insighted>>,
) -> Result<Selection, Status> {
    let book = &scored.moment.book;
    let asks_for_all = filter == &Filter::default();
    let hold_out = scored.hold_out();
    if asks_for_all && order == Order::Priority && !hold_out.is_any() {
        // No offer is looked at.
        return Ok(Selection {
            found: Found::All(scored.count()),
            held_out: Vec::new(),
            total_gain_minor: scored.gain_minor(),
        });
    }
    let mut found = admitted(tenant, scored, filter, order, segmented)?;
    let mut held_out = Vec::new();
    if hold_out.is_any() {
        let holds = |row: Opportunity| {
            let client = book.clients().get(row.client.0);
            client.is_some_and(|client| hold_out.holds(&client.id))
        };
        let mut shown = Vec::with_capacity(found.len());
        for place in found {
            match holds(scored.at(place)) {
                true => held_out.push((shown.len(), place)),
                false => shown.push(place),
            }
        }
        found = shown;
    }
    // Lists are kept; one may have grown to twice what it needs.
    found.shrink_to_fit();
    let total_gain_minor = match asks_for_all && held_out.is_empty() {
        true => scored.gain_minor(),
        false => total_gain(found.iter().map(|place| scored.at(*place))),
    };
    Ok(Selection {
        found: Found::Chosen(found),
        held_out,
        total_gain_minor,
    })
}

/// The places of the offers that a filter lets through, in order, those that are held out among them.
fn admitted(
    tenant: &Tenant,
    scored: &Scored,
    filter: &Filter,
    order: Order,
    segmented: Option<Arc<Insighted>>,
) -> Result<Vec<OfferPlace>, Status> {
    let book = &scored.moment.book;
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
    let admits = |place: &OfferPlace| {
        let row = scored.at(*place);
        products[row.product.index()] && filter.admits(&row)
    };
    let few = clients.iter().filter(|admitted| **admitted).count() * FEW_OF <= clients.len();
    let mut found: Vec<OfferPlace> = match few {
        true => {
            let all = (0..).map(ClientNo).zip(&clients);
            let of = all.filter_map(|(client, admitted)| admitted.then_some(client));
            of.flat_map(|client| scored.places_of(client))
                .filter(admits)
                .collect()
        }
        false => {
            let of = scored
                .places()
                .filter(|place| clients[place.client().index()]);
            of.filter(admits).collect()
        }
    };
    if few || order != Order::Priority {
        found.sort_by(|a, b| order.compare(&scored.at(*a), &scored.at(*b)));
    }
    Ok(found)
}
