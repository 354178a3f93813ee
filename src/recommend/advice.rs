//! What to offer one client: both kinds of opportunity in one list.

use super::upsell::{Scratch, TicketEstimate, UpsellModel};
use super::{Book, SuccessModel, round_minor};
use crate::domain::{ClientNo, Kind, Opportunity, ProductNo, Shortfall};
use crate::matrix::Cell;
use crate::neighbours::Subject;

/// Stands for the client in opportunities of a subject that is none.
pub const NOBODY: ClientNo = ClientNo(u32::MAX);

/// What to offer, and why less than was asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Advice {
    /// By kind, then by priority, largest first, ties by product number.
    pub opportunities: Vec<Opportunity>,
    /// Why figures are missing or weaker, each once, in order.
    pub shortfalls: Vec<Shortfall>,
}

/// The seam to whatever estimates what a client would newly buy.
pub trait CrossSell: Sync {
    /// Opportunities of kind [`Kind::CrossSell`] for the subject of the last
    /// [`UpsellModel::begin`] on `scratch`, and why some are missing.
    fn offers(
        &self,
        book: &Book<'_>,
        upsell: &UpsellModel,
        subject: &Subject<'_>,
        scratch: &mut Scratch,
    ) -> Advice;
}

/// What to offer one subject.
///
/// Takes the subject on ([`UpsellModel::begin`]) itself. Cost: the postings of its products,
/// twice, and what `cross_sell` says.
pub fn recommend(
    book: &Book<'_>,
    upsell: &UpsellModel,
    success: &SuccessModel,
    cross_sell: Option<&dyn CrossSell>,
    subject: &Subject<'_>,
    scratch: &mut Scratch,
) -> Advice {
    upsell.begin(book, subject, scratch);
    let mut advice = Advice::default();
    advice.shortfalls.extend(ignorance(book, subject));
    let mut offers = Vec::new();
    for cell in subject.cells {
        let estimate = upsell.estimate(book, subject, cell.product, scratch);
        match estimate.filter(|estimate| is_publishable(book, estimate)) {
            None => advice.shortfalls.push(Shortfall::TooFewNeighbours),
            Some(estimate) => offers.extend(offer(book, success, subject, cell, &estimate)),
        }
    }
    if !subject.cells.is_empty() && !success.is_calibrated() {
        advice.shortfalls.push(Shortfall::Uncalibrated);
    }
    advice.take(offers, book.recipe.offer.per_client);
    if let Some(cross_sell) = cross_sell {
        let more = cross_sell.offers(book, upsell, subject, scratch);
        advice.shortfalls.extend(more.shortfalls);
        advice.take(more.opportunities, book.recipe.offer.per_client);
    }
    advice.shortfalls.sort_unstable();
    advice.shortfalls.dedup();
    advice
}

impl Advice {
    /// Adds the first `most` of some offers by priority.
    fn take(&mut self, mut offers: Vec<Opportunity>, most: usize) {
        offers.sort_unstable_by(|a, b| {
            b.priority_minor
                .total_cmp(&a.priority_minor)
                .then(a.product.cmp(&b.product))
        });
        offers.truncate(most);
        self.opportunities.append(&mut offers);
    }
}

/// Whether an estimate rests on enough neighbours to be shown.
pub(super) fn is_publishable(book: &Book<'_>, estimate: &TicketEstimate) -> bool {
    estimate.effective_neighbours >= book.recipe.upsell.least_effective_neighbours - 1e-9
}

/// What is not known of the subject or of the book.
fn ignorance(book: &Book<'_>, subject: &Subject<'_>) -> Option<Shortfall> {
    let least = book.recipe.upsell.least_effective_neighbours;
    if (book.matrix.clients() as f64) < least {
        Some(Shortfall::TooFewClients)
    } else if !subject.cells.is_empty() {
        None
    } else if subject.profile.is_empty() {
        Some(Shortfall::NothingKnown)
    } else {
        Some(Shortfall::AttributesOnly)
    }
}

/// The upsell of one ticket, if it gains enough to be worth an offer.
fn offer(
    book: &Book<'_>,
    success: &SuccessModel,
    subject: &Subject<'_>,
    cell: &Cell,
    estimate: &TicketEstimate,
) -> Option<Opportunity> {
    let product: ProductNo = cell.product;
    let round = |amount: f64| round_minor(amount, book.recipe.offer.significant_digits);
    let current_ticket_minor = f64::from(cell.ticket).round() as i64;
    let potential_ticket_minor = round(estimate.q80);
    let gain_minor = (potential_ticket_minor - current_ticket_minor).max(0);
    let least = book.recipe.offer.least_gain_share * f64::from(cell.ticket);
    if gain_minor == 0 || (gain_minor as f64) < least {
        return None;
    }
    let probability = success.probability(f64::from(cell.ticket), estimate);
    Some(Opportunity {
        client: subject.client.unwrap_or(NOBODY),
        product,
        kind: Kind::Upsell,
        current_ticket_minor,
        low_ticket_minor: round(estimate.q20),
        expected_ticket_minor: round(estimate.q50),
        high_ticket_minor: potential_ticket_minor,
        potential_ticket_minor,
        gain_minor,
        probability,
        score: 100.0 * (1.0 - estimate.standing),
        priority_minor: book.priority_minor(product, probability, gain_minor),
        neighbours: estimate.neighbours,
        neighbours_buying: estimate.neighbours,
    })
}
