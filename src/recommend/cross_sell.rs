//! Cross-sell: adoptions as opportunities.

use pulp::Arch;

use super::adoption::Adoption;
use super::{Book, NOBODY, round_minor};
use crate::domain::{Kind, Opportunity, Shortfall};
use crate::neighbours::Subject;

/// What a first ticket is worth when it comes: the mean, where the published figure is the middle.
pub(super) fn value_minor(adoption: &Adoption) -> f64 {
    adoption.expected_money / adoption.propensity.max(f64::MIN_POSITIVE)
}

/// The opportunities of a subject's adoptions, without their scores, and why some are missing: of all
/// products that have a propensity only those are among the adoptions that enough similar clients buy.
pub(super) fn offers(
    book: &Book<'_>,
    subject: &Subject<'_>,
    adoptions: &[Adoption],
    propensities: &[f64],
) -> (Vec<Opportunity>, Option<Shortfall>) {
    let offer = |adoption: &Adoption| offer(book, subject, adoption);
    let missing = adoptions.len() < propensities.len();
    (
        adoptions.iter().filter_map(offer).collect(),
        missing.then_some(Shortfall::TooFewNeighbours),
    )
}

/// Scores offers by where their propensity stands among those of all products that the client does not
/// buy. Cost: these, for each offer; less than a sort of them where the offers are few.
pub(super) fn score(offers: &mut [Opportunity], propensities: &[f64]) {
    Arch::new().dispatch(
        #[inline(always)]
        || {
            for offer in offers {
                let mut below = 0_u64;
                for propensity in propensities {
                    below += u64::from(*propensity < offer.probability);
                }
                offer.score = 100.0 * (below + 1) as f64 / propensities.len() as f64;
            }
        },
    );
}

fn offer(book: &Book<'_>, subject: &Subject<'_>, adoption: &Adoption) -> Option<Opportunity> {
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
        score: 0.0,
        priority_minor: book.priority_minor(product, adoption.propensity, value_minor(adoption)),
        neighbours: adoption.neighbours,
        neighbours_buying: adoption.neighbours_buying,
    })
}
