//! Receipts, from the domain to the contract.

use crate::domain::{Day, QuantileReceipt, Share};
use crate::engine::Book;
use crate::insight::{Kept, ShareLost};
use crate::outcome::Correction;
use crate::recommend::adoption::{AdoptionReceipt, ReceiptTerm};
use crate::recommend::{
    PriorityReceipt, ProbabilityReceipt, Receipt, Recipe, TicketReceipt, recompute,
};
use crate::wire::v1;

/// Writes a receipt. `digits` are those that tickets are rounded to, `correction` what outcomes taught.
pub(super) fn to_wire(receipt: &Receipt, digits: u32, correction: Correction) -> v1::Receipt {
    let rounding = v1::Rounding { digits };
    let method = match &receipt.ticket {
        TicketReceipt::Quantile(quantile) => {
            v1::ticket_receipt::Method::Quantile(quantile_to_wire(quantile))
        }
        TicketReceipt::Line(line) => {
            v1::ticket_receipt::Method::Linear(line_to_wire(line, rounding))
        }
    };
    let PriorityReceipt {
        probability,
        value_minor,
        margin_rate,
        contact_cost_minor,
    } = receipt.priority;
    v1::Receipt {
        ticket: Some(v1::TicketReceipt {
            method: Some(method),
        }),
        probability: Some(probability_to_wire(&receipt.probability, correction)),
        priority: Some(v1::PriorityReceipt {
            probability,
            value_minor,
            margin_rate,
            contact_cost_minor,
        }),
        keep: None,
    }
}

/// Writes the receipt of an offer that keeps a client.
pub(super) fn kept_to_wire(kept: &Kept, book: &Book, recipe: &Recipe) -> v1::Receipt {
    let (offer, receipt) = (&kept.opportunity, &kept.receipt);
    let day = |day: Option<Day>| day.map_or(String::new(), |day| day.to_string());
    let product = book.products().get(offer.product.0);
    let margin_rate = product.and_then(|product| product.margin_rate);
    v1::Receipt {
        ticket: None,
        probability: None,
        priority: Some(v1::PriorityReceipt {
            probability: offer.probability,
            value_minor: offer.gain_minor as f64,
            margin_rate: margin_rate.map_or(recipe.offer.margin_rate, Share::get),
            contact_cost_minor: recipe.offer.contact_cost_minor,
        }),
        keep: Some(v1::KeepReceipt {
            ticket_minor: receipt.ticket_minor,
            purchase_minor: receipt.purchase_minor,
            expected_gap_days: receipt.gap_days,
            last_date: day(receipt.last_day),
            contract_end_date: day(receipt.contract_end),
            other_buyers: receipt.others.before,
            other_buyers_going_on: receipt.others.still,
            going_on_share: receipt.going_on,
            risk: receipt.risk,
            kept_share: receipt.kept_share,
            rounding: Some(v1::Rounding {
                digits: recipe.offer.significant_digits,
            }),
            share: receipt.share.map(share_to_wire),
        }),
    }
}

fn share_to_wire(lost: ShareLost) -> v1::ShareReceipt {
    v1::ShareReceipt {
        before_minor: lost.before_minor,
        now_minor: lost.now_minor,
        months: lost.months,
        expected_part: lost.expected_part,
        like_buyers: lost.like_buyers,
    }
}

fn quantile_to_wire(receipt: &QuantileReceipt) -> v1::QuantileReceipt {
    let tickets = recompute(receipt);
    let neighbours = receipt
        .neighbours
        .iter()
        .enumerate()
        .map(|(at, one)| v1::NeighbourEvidence {
            standing: at as u32 + 1,
            weight: one.weight,
            residual: one.residual,
            scaled_ticket_minor: one.scaled_ticket_minor,
            common_products: one.common_products,
        });
    let prior = receipt.pseudo_observations.iter();
    let levels = receipt.levels.iter().zip(receipt.shifts).zip(tickets);
    v1::QuantileReceipt {
        ln_median: receipt.ln_product_median,
        client_size: receipt.client_size,
        size_exponent: receipt.size_exponent,
        mix: receipt.mix,
        deviation: receipt.deviation,
        neighbours: neighbours.collect(),
        prior: prior
            .map(|one| v1::PriorEvidence {
                weight: one.weight,
                residual: one.residual,
            })
            .collect(),
        levels: levels
            .map(|((level, shift), ticket_minor)| v1::QuantileLevel {
                level: *level,
                shift,
                ticket_minor,
            })
            .collect(),
        rounding: Some(v1::Rounding {
            digits: receipt.significant_digits,
        }),
        effective_neighbours: receipt.effective_neighbours,
    }
}

fn line_to_wire(receipt: &AdoptionReceipt, rounding: v1::Rounding) -> v1::LinearReceipt {
    let term = |term: &ReceiptTerm| v1::Term {
        name: term.name.clone(),
        value: term.value,
        coefficient: term.coefficient,
    };
    v1::LinearReceipt {
        intercept: receipt.ticket_intercept,
        terms: receipt.ticket_terms.iter().map(term).collect(),
        low_factor: receipt.low_factor,
        expected_factor: 1.0,
        high_factor: receipt.high_factor,
        mean_factor: receipt.money_factor,
        rounding: Some(rounding),
    }
}

fn probability_to_wire(
    receipt: &ProbabilityReceipt,
    correction: Correction,
) -> v1::ProbabilityReceipt {
    let term = |(name, value, coefficient): &(String, f64, f64)| v1::Term {
        name: name.clone(),
        value: *value,
        coefficient: *coefficient,
    };
    v1::ProbabilityReceipt {
        intercept: receipt.intercept,
        terms: receipt.terms.iter().map(term).collect(),
        calibrated: receipt.calibrated,
        outcome_shift: correction.shift,
        outcome_scale: correction.scale,
    }
}
