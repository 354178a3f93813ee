//! What to offer one client: upsell, and how offers are judged fit to publish.

use super::upsell::TicketEstimate;
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

impl Advice {
    /// Adds the first `most` of some offers by priority.
    pub(super) fn take(&mut self, mut offers: Vec<Opportunity>, most: usize) {
        let order = |a: &Opportunity, b: &Opportunity| {
            let by_priority = b.priority_minor.total_cmp(&a.priority_minor);
            by_priority.then(a.product.cmp(&b.product))
        };
        if most < offers.len() {
            offers.select_nth_unstable_by(most, order);
            offers.truncate(most);
        }
        offers.sort_unstable_by(order);
        self.opportunities.append(&mut offers);
    }
}

/// Whether an estimate rests on enough neighbours to be shown.
pub(super) fn is_publishable(book: &Book<'_>, estimate: &TicketEstimate) -> bool {
    estimate.effective_neighbours >= book.recipe.upsell.least_effective_neighbours - 1e-9
}

/// What is not known of the subject or of the book.
pub(super) fn ignorance(book: &Book<'_>, subject: &Subject<'_>) -> Option<Shortfall> {
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
pub(super) fn upsell_offer(
    book: &Book<'_>,
    success: SuccessModel,
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
        priority_minor: book.priority_minor(product, probability, gain_minor as f64),
        neighbours: estimate.neighbours,
        neighbours_buying: estimate.neighbours,
    })
}
