//! Cross-sell: adoptions as opportunities.

use super::adoption::Adoption;
use super::{Book, NOBODY, round_minor};
use crate::domain::{Kind, Opportunity, Shortfall};
use crate::neighbours::Subject;

/// What a first ticket is worth when it comes: the mean, where the published figure is the middle.
pub(super) fn value_minor(adoption: &Adoption) -> f64 {
    adoption.expected_money / adoption.propensity.max(f64::MIN_POSITIVE)
}

/// The opportunities of a subject's adoptions, and why some are missing.
///
/// A product that fewer similar clients buy than the recipe asks for is left out.
pub(super) fn offers(
    book: &Book<'_>,
    subject: &Subject<'_>,
    adoptions: &[Adoption],
) -> (Vec<Opportunity>, Option<Shortfall>) {
    let least = book.recipe.upsell.least_effective_neighbours;
    let mut standing: Vec<f64> = adoptions
        .iter()
        .map(|adoption| adoption.propensity)
        .collect();
    standing.sort_unstable_by(f64::total_cmp);
    let mut offers = Vec::new();
    let mut missing = None;
    for adoption in adoptions {
        if f64::from(adoption.neighbours_buying) < least {
            missing = Some(Shortfall::TooFewNeighbours);
            continue;
        }
        let below = standing.partition_point(|other| *other < adoption.propensity);
        let score = 100.0 * (below + 1) as f64 / standing.len() as f64;
        offers.extend(offer(book, subject, adoption, score));
    }
    (offers, missing)
}

fn offer(
    book: &Book<'_>,
    subject: &Subject<'_>,
    adoption: &Adoption,
    score: f64,
) -> Option<Opportunity> {
    let round = |amount: f64| round_minor(amount, book.recipe.offer.significant_digits);
    let expected_ticket_minor = round(adoption.expected_ticket);
    if expected_ticket_minor <= 0 {
        return None;
    }
    let product = adoption.product;
    Some(Opportunity {
        client: subject.client.unwrap_or(NOBODY),
        product,
        kind: Kind::CrossSell,
        current_ticket_minor: 0,
        low_ticket_minor: round(adoption.low_ticket),
        expected_ticket_minor,
        high_ticket_minor: round(adoption.high_ticket),
        potential_ticket_minor: expected_ticket_minor,
        gain_minor: expected_ticket_minor,
        probability: adoption.propensity,
        score,
        priority_minor: book.priority_minor(product, adoption.propensity, value_minor(adoption)),
        neighbours: adoption.neighbours,
        neighbours_buying: adoption.neighbours_buying,
    })
}
