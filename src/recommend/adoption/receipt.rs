//! How a propensity and a ticket came about, as plain numbers that anyone can add up again.

use super::model::Adoption;
use super::propensity::logistic;

/// Log odds beyond this are not told apart.
pub(super) const MOST_LOG_ODDS: f64 = 15.0;

/// One summand: `value x coefficient`.
#[derive(Debug, Clone, PartialEq)]
pub struct ReceiptTerm {
    /// What it is; see [`super::Signal`] and [`super::TicketTerm`].
    pub name: String,
    /// Its value for this client and product.
    pub value: f64,
    /// What the back-test found it to weigh.
    pub coefficient: f64,
}

/// The receipt of one [`Adoption`].
///
/// ```text
/// log_odds   = intercept + sum(value * coefficient), in order, kept within -15 .. 15
/// propensity = 1 / (1 + exp(-log_odds))
/// expected   = exp(ticket_intercept + sum(value * coefficient) of the ticket's terms)
/// low, high  = expected * low_factor, expected * high_factor
/// money      = propensity * expected * money_factor
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct AdoptionReceipt {
    /// The figures it accounts for.
    pub published: Adoption,
    /// Whether the coefficients were fitted on this portfolio's own adoptions.
    pub calibrated: bool,
    /// Whether the client had a past of its own at the fit; if not, the average client's stands in.
    pub has_past: bool,
    /// Log odds before any term.
    pub intercept: f64,
    /// What the log odds are the sum of.
    pub terms: Vec<ReceiptTerm>,
    /// Logarithm of the ticket, minor units per period, before any term.
    pub ticket_intercept: f64,
    /// What the ticket's logarithm is the sum of.
    pub ticket_terms: Vec<ReceiptTerm>,
    /// P20 over P50.
    pub low_factor: f64,
    /// P80 over P50.
    pub high_factor: f64,
    /// Mean over P50.
    pub money_factor: f64,
}

impl AdoptionReceipt {
    /// The published figures, computed again from the receipt alone: equal to the last digit.
    pub fn recompute(&self) -> Adoption {
        let log_odds = sum(self.intercept, &self.terms).clamp(-MOST_LOG_ODDS, MOST_LOG_ODDS);
        let propensity = logistic(log_odds);
        let expected_ticket = ticket(sum(self.ticket_intercept, &self.ticket_terms));
        Adoption {
            propensity,
            low_ticket: expected_ticket * self.low_factor,
            expected_ticket,
            high_ticket: expected_ticket * self.high_factor,
            expected_money: propensity * expected_ticket * self.money_factor,
            ..self.published
        }
    }
}

fn sum(intercept: f64, terms: &[ReceiptTerm]) -> f64 {
    let add = |sum, term: &ReceiptTerm| sum + term.coefficient * term.value;
    terms.iter().fold(intercept, add)
}

/// A ticket of a logarithm, in minor units; beyond 1e22 none is told apart.
pub(super) fn ticket(ln: f64) -> f64 {
    ln.clamp(-50.0, 50.0).exp()
}
