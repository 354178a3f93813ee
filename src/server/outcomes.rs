//! `OutcomeService`.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use tonic::{Request, Response, Status};

use super::access::Caller;
use super::effect;
use super::form::{Form, ItemField};
use super::opportunities::{kind, kind_to_wire};
use super::{Api, token};
use crate::domain::{
    ClientNo, Day, Kind, MAX_AMOUNT_MINOR, Offer, Outcome, ProductNo, RejectReason,
    ReportedOutcome, Showing,
};
use crate::engine::{Book, OfferId, OfferKey, Write, recipe_of, today};
use crate::outcome::held_until;
use crate::recommend::OutcomesRecipe;
use crate::wire::v1;
use crate::wire::v1::outcome_service_server::OutcomeService;

/// Where the next page of offers starts.
#[derive(Debug, Serialize, Deserialize)]
struct Place(u32, u32, u8);

#[tonic::async_trait]
impl OutcomeService for Api {
    async fn record_outcomes(
        &self,
        request: Request<v1::RecordOutcomesRequest>,
    ) -> Result<Response<v1::RecordOutcomesResponse>, Status> {
        let (caller, request) = Caller::of(request)?;
        let mut form = Form::default();
        let portfolio = form.portfolio(&request.portfolio_id);
        let request_id = form.request_id(&request.request_id);
        form.batch("outcomes", &request.outcomes);
        let mut seen = BTreeSet::new();
        let mut outcomes = Vec::with_capacity(request.outcomes.len());
        for (at, wire) in request.outcomes.iter().enumerate() {
            if form.is_full() {
                break;
            }
            let Some((offer, outcome)) = reported(&mut form, at, wire) else {
                continue;
            };
            if !seen.insert((offer.clone(), outcome.day)) {
                let reason = "is a second outcome of the same offer on the same day";
                form.refuse(format!("outcomes[{at}]"), reason);
            }
            outcomes.push((offer, outcome));
        }
        let (portfolio, request_id) = form.finish(portfolio.zip(request_id))?;
        let write = Write::RecordOutcomes(outcomes);
        let answer = self
            .gate
            .write(&caller, portfolio, request_id, write)
            .await?;
        Ok(Response::new(v1::RecordOutcomesResponse {
            created: answer.created,
            replaced: answer.replaced,
            sequence: answer.sequence,
        }))
    }

    async fn list_outcomes(
        &self,
        request: Request<v1::ListOutcomesRequest>,
    ) -> Result<Response<v1::ListOutcomesResponse>, Status> {
        let (caller, request) = Caller::of(request)?;
        let mut form = Form::default();
        let portfolio = form.portfolio(&request.portfolio_id);
        let size = form.size("page_size", request.page_size, 100, 1_000);
        let client = match request.client_id.as_str() {
            "" => Some(None),
            raw => form.client("client_id", raw).map(Some),
        };
        let mut wanted = BTreeSet::new();
        for (at, raw) in request.results.iter().enumerate() {
            match v1::OutcomeResult::try_from(*raw) {
                Ok(v1::OutcomeResult::Unspecified) | Err(_) => {
                    form.refuse(format!("results[{at}]"), format!("has no value {raw}"));
                }
                Ok(result) => {
                    wanted.insert(i32::from(result));
                }
            }
        }
        let (portfolio, client) = form.finish(portfolio.zip(client))?;
        let list = format!("offers of {portfolio} to {client:?} that are {wanted:?}");
        let place: Option<Place> = token::decode(&list, &request.page_token)?;
        let tenant = self.gate.tenant(&caller, &portfolio)?;
        let answer = self.compute.run(&caller, move || {
            let book = tenant.book();
            let recipe = recipe_of(book.portfolio())?.outcomes;
            let client = client
                .map(|id| book.client(&id).map(|(number, _)| number))
                .transpose()?;
            let start = match place {
                Some(Place(client, product, kind)) => (
                    ClientNo(client),
                    ProductNo(product),
                    Kind::of_number(kind).unwrap_or(Kind::ALL[0]),
                ),
                None => (client.unwrap_or(ClientNo(0)), ProductNo(0), Kind::ALL[0]),
            };
            let mut rows = book
                .offers()
                .range(start..)
                .take_while(|((of, ..), _)| client.is_none_or(|client| *of == client))
                .filter(|(_, offer)| {
                    let last = offer.last_outcome().map(|last| result_of(&last.outcome));
                    wanted.is_empty() || last.is_some_and(|last| wanted.contains(&i32::from(last)))
                });
            let offers = rows
                .by_ref()
                .take(size)
                .map(|(key, offer)| offer_to_wire(&book, *key, offer, &recipe))
                .collect();
            let next_page_token =
                rows.next()
                    .map_or(String::new(), |((client, product, kind), _)| {
                        token::encode(&list, &Place(client.0, product.0, *kind as u8))
                    });
            Ok(v1::ListOutcomesResponse {
                offers,
                next_page_token,
                sequence: book.sequence(),
            })
        });
        Ok(Response::new(answer.await?))
    }

    async fn get_effect_report(
        &self,
        request: Request<v1::GetEffectReportRequest>,
    ) -> Result<Response<v1::GetEffectReportResponse>, Status> {
        let (caller, request) = Caller::of(request)?;
        let mut form = Form::default();
        let portfolio = form.portfolio(&request.portfolio_id);
        let from = form.optional_day("from_date", &request.from_date);
        let to = form.optional_day("to_date", &request.to_date);
        let segments = form.text("segment_attribute", &request.segment_attribute);
        if let (Some(Some(from)), Some(to)) = (from, to)
            && to.unwrap_or_else(today) < from
        {
            form.refuse(
                "to_date",
                "must not be before from_date; left out, it is today",
            );
        }
        let (portfolio, ((from, to), segments)) =
            form.finish(portfolio.zip(from.zip(to).zip(segments)))?;
        let tenant = self.gate.tenant(&caller, &portfolio)?;
        let answer = self.compute.run(&caller, move || {
            let segments = (!segments.is_empty()).then_some(&segments);
            let effect = tenant.effect(from, to, segments)?;
            Ok(effect::to_wire(&effect, tenant.book().portfolio()))
        });
        Ok(Response::new(answer.await?))
    }
}

/// An outcome as it was sent.
fn reported(form: &mut Form, at: usize, wire: &v1::Outcome) -> Option<(OfferId, ReportedOutcome)> {
    let field = ItemField::of("outcomes", at);
    let client = form.client(field("client_id"), &wire.client_id);
    let product = form.product(field("product_id"), &wire.product_id);
    let kind = kind(form, field("kind"), wire.kind);
    if kind == Some(None) {
        form.refuse(field("kind"), "must be UPSELL or CROSS_SELL");
    }
    let day = form.day(field("date"), &wire.date);
    // A day ahead of UTC it may already be.
    if day.is_some_and(|day| day > today().plus(1)) {
        form.refuse(
            field("date"),
            "is in the future; report outcomes once they are known",
        );
    }
    let outcome = outcome(form, &field, wire, day);
    let wallet_minor = wire.wallet_estimate_minor;
    if wallet_minor.is_some_and(|wallet| !(1..=MAX_AMOUNT_MINOR).contains(&wallet)) {
        form.refuse(
            field("wallet_estimate_minor"),
            format!("must be from 1 to {MAX_AMOUNT_MINOR} minor units, or be left out"),
        );
    }
    let note = form.text(field("note"), &wire.note);
    let offer = OfferId {
        client: client?,
        product: product?,
        kind: kind??,
    };
    let outcome = ReportedOutcome {
        day: day?,
        outcome: outcome?,
        wallet_minor,
        note: note?,
    };
    Some((offer, outcome))
}

/// What became of the offer, with the one detail that belongs to it and no other.
fn outcome(
    form: &mut Form,
    field: &impl Fn(&'static str) -> ItemField<'static>,
    wire: &v1::Outcome,
    day: Option<Day>,
) -> Option<Outcome> {
    let result = match v1::OutcomeResult::try_from(wire.result) {
        Ok(v1::OutcomeResult::Unspecified) => {
            form.refuse(field("result"), "must be WON, LOST, REJECTED or POSTPONED");
            return None;
        }
        Ok(result) => result,
        Err(_) => {
            form.refuse(field("result"), format!("has no value {}", wire.result));
            return None;
        }
    };
    let details = [
        (
            "won_ticket_minor",
            wire.won_ticket_minor != 0,
            v1::OutcomeResult::Won,
        ),
        ("reason", wire.reason != 0, v1::OutcomeResult::Rejected),
        (
            "until_date",
            !wire.until_date.is_empty(),
            v1::OutcomeResult::Postponed,
        ),
    ];
    for (name, given, of) in details {
        if given && result != of {
            let of = of.as_str_name().trim_start_matches("OUTCOME_RESULT_");
            form.refuse(field(name), format!("goes with {of} alone"));
        }
    }
    match result {
        v1::OutcomeResult::Unspecified => None,
        v1::OutcomeResult::Lost => Some(Outcome::Lost),
        v1::OutcomeResult::Won => {
            let ticket_minor = wire.won_ticket_minor;
            if !(1..=MAX_AMOUNT_MINOR).contains(&ticket_minor) {
                form.refuse(
                    field("won_ticket_minor"),
                    format!("must be from 1 to {MAX_AMOUNT_MINOR} minor units: the ticket that was agreed"),
                );
            }
            Some(Outcome::Won { ticket_minor })
        }
        v1::OutcomeResult::Rejected => {
            let reason = reason(wire.reason);
            if reason.is_none() {
                form.refuse(
                    field("reason"),
                    "must be CONTRACT_ELSEWHERE, NO_USE, PRICE, TIMING or OTHER",
                );
            }
            reason.map(Outcome::Rejected)
        }
        v1::OutcomeResult::Postponed => {
            let until = form.day(field("until_date"), &wire.until_date)?;
            if day.is_some_and(|day| until <= day) {
                form.refuse(field("until_date"), "must be after the date of the outcome");
            }
            Some(Outcome::Postponed { until })
        }
    }
}

const REASONS: [(RejectReason, v1::RejectReason); 5] = [
    (
        RejectReason::ContractElsewhere,
        v1::RejectReason::ContractElsewhere,
    ),
    (RejectReason::NoUse, v1::RejectReason::NoUse),
    (RejectReason::Price, v1::RejectReason::Price),
    (RejectReason::Timing, v1::RejectReason::Timing),
    (RejectReason::Other, v1::RejectReason::Other),
];

fn reason(raw: i32) -> Option<RejectReason> {
    let found = REASONS.iter().find(|(_, wire)| i32::from(*wire) == raw);
    found.map(|(reason, _)| *reason)
}

/// A reason as the contract names it.
pub(super) fn reason_to_wire(reason: RejectReason) -> v1::RejectReason {
    let found = REASONS.iter().find(|(one, _)| *one == reason);
    found.map_or(v1::RejectReason::Unspecified, |(_, wire)| *wire)
}

fn result_of(outcome: &Outcome) -> v1::OutcomeResult {
    match outcome {
        Outcome::Won { .. } => v1::OutcomeResult::Won,
        Outcome::Lost => v1::OutcomeResult::Lost,
        Outcome::Rejected(_) => v1::OutcomeResult::Rejected,
        Outcome::Postponed { .. } => v1::OutcomeResult::Postponed,
    }
}

/// An offer with its past.
pub(super) fn offer_to_wire(
    book: &Book,
    (client, product, kind): OfferKey,
    offer: &Offer,
    recipe: &OutcomesRecipe,
) -> v1::OfferRecord {
    let client = book.clients().get(client.0);
    let product = book.products().get(product.0);
    let client_id = client.map_or(String::new(), |client| client.id.to_string());
    let product_id = product.map_or(String::new(), |product| product.id.to_string());
    let kind = kind_to_wire(kind).into();
    let outcome = |reported: &ReportedOutcome| v1::Outcome {
        client_id: client_id.clone(),
        product_id: product_id.clone(),
        kind,
        date: reported.day.to_string(),
        result: result_of(&reported.outcome).into(),
        won_ticket_minor: match reported.outcome {
            Outcome::Won { ticket_minor } => ticket_minor,
            _ => 0,
        },
        reason: match reported.outcome {
            Outcome::Rejected(reason) => reason_to_wire(reason).into(),
            _ => 0,
        },
        until_date: match reported.outcome {
            Outcome::Postponed { until } => until.to_string(),
            _ => String::new(),
        },
        wallet_estimate_minor: reported.wallet_minor,
        note: reported.note.to_string(),
    };
    let showing = |showing: &Showing| v1::Showing {
        date: showing.day.to_string(),
        probability: showing.probability,
        potential_ticket_minor: showing.potential_minor,
        gain_minor: showing.gain_minor,
        held_out: showing.held_out,
    };
    let held_until = held_until(offer, recipe).filter(|until| today() < *until);
    v1::OfferRecord {
        showings: offer.showings().iter().map(showing).collect(),
        outcomes: offer.outcomes().iter().map(outcome).collect(),
        held_until_date: held_until.map_or(String::new(), |until| until.to_string()),
        client_id,
        product_id,
        kind,
    }
}
