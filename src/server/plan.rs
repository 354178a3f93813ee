//! The pipeline cut to what can be worked and sold, between the contract and the domain.

use std::sync::Arc;

use prost::Message;
use tonic::{Request, Response, Status};

use super::access::Caller;
use super::form::{Form, MAX_BATCH};
use super::opportunities::{Writer, kind};
use super::portfolios::language;
use super::selected::select;
use super::token::{Place, expired};
use super::{Api, token};
use crate::domain::{ClientNo, MAX_AMOUNT_MINOR, ProductNo};
use crate::engine::{Book, Paged, Renewal, Scored};
use crate::pipeline::plan::{MINUTES, OF_OWNER, OFFERS, UNLIMITED, VISITS};
use crate::pipeline::{Capacity, Order, OwnerUse, Planned};
use crate::wire::v1;

/// Offers of a page where the request does not say.
const DEFAULT_PAGE: usize = 100;
/// The most offers of one answer.
const MAX_PAGE: usize = 1_000;
/// The largest limit of an owner.
const MAX_LIMIT: u32 = 10_000_000;
/// The longest that an offer or a way may take, in minutes.
const MAX_MINUTES: u32 = 10_000;
/// Owners in one answer.
const MAX_OWNERS: usize = 10_000;

/// A plan, kept for its pages.
#[derive(Debug)]
struct Kept {
    scored: Arc<Scored>,
    planned: Planned,
    available: usize,
}

impl Paged for Kept {
    fn renewal(&self) -> Renewal {
        self.scored.renewal()
    }
}

impl Api {
    pub(super) async fn planned(
        &self,
        request: Request<v1::PlanPipelineRequest>,
    ) -> Result<Response<v1::PlanPipelineResponse>, Status> {
        let (caller, request) = Caller::of(request)?;
        let mut form = Form::default();
        let portfolio = form.portfolio(&request.portfolio_id);
        let size = form.size("page_size", request.page_size, DEFAULT_PAGE, MAX_PAGE);
        let language = language(&mut form, "language", request.language);
        let wanted = request.capacity.unwrap_or_default();
        let limits = limits(&mut form, &wanted);
        let (portfolio, (language, limits)) = form.finish(portfolio.zip(language.zip(limits)))?;
        let tenant = self.gate.tenant(&caller, &portfolio)?;
        let answer = self.compute.run(&caller, move || {
            let filter = request.filter.unwrap_or_default();
            let list = format!(
                "plan of {portfolio} where {} within {}",
                blake3::hash(&filter.encode_to_vec()),
                blake3::hash(&wanted.encode_to_vec())
            );
            let place: Option<Place> = token::decode(&list, &request.page_token)?;
            let kept = match place {
                Some(place) => tenant.pinned(place.list).ok_or_else(expired)?,
                None => {
                    let scored = tenant.scored()?;
                    let all = format!(
                        "offers of {portfolio} where {}",
                        blake3::hash(&filter.encode_to_vec())
                    );
                    let selected = select(&tenant, scored.clone(), &all, &filter, Order::Priority)?;
                    let rows: Vec<_> = selected.rows(0, selected.len()).collect();
                    let found: Vec<_> = rows.iter().collect();
                    let book = &scored.moment.book;
                    let mut form = Form::default();
                    let capacity = named(&mut form, book, &wanted, limits);
                    let capacity = form.finish(Some(capacity))?;
                    let client = |client: ClientNo| book.clients().get(client.0).map(AsRef::as_ref);
                    Arc::new(Kept {
                        planned: capacity.plan(&found, client),
                        available: found.len(),
                        scored: scored.clone(),
                    })
                }
            };
            let (book, planned) = (&kept.scored.moment.book, &kept.planned);
            let given = place.map_or(0, |place| place.given as usize);
            let end = given.saturating_add(size).min(planned.rows.len());
            let next_page_token = match end < planned.rows.len() {
                true => {
                    let place = Place {
                        list: tenant.pin(&kept),
                        given: end as u64,
                    };
                    token::encode(&list, &place)
                }
                false => String::new(),
            };
            let writer = Writer {
                book,
                language: language.unwrap_or(book.portfolio().language),
            };
            let rows = planned.rows.get(given..end).unwrap_or_default();
            let stock = planned.stock.iter().filter_map(|one| {
                Some(v1::StockPlan {
                    product_id: book.products().get(one.product.0)?.id.to_string(),
                    amount_minor: one.limit_minor,
                    used_minor: one.used_minor,
                    unit_worth_minor: one.price,
                })
            });
            Ok(v1::PlanPipelineResponse {
                opportunities: rows
                    .iter()
                    .map(|row| v1::PlannedOpportunity {
                        opportunity: Some(writer.opportunity(&row.opportunity, false)),
                        visit: row.visit as u32,
                        minutes: row.minutes as u32,
                        travel_minutes: row.travel_minutes as u32,
                    })
                    .collect(),
                next_page_token,
                total_size: planned.rows.len() as u64,
                considered: planned.considered as u64,
                available: kept.available as u64,
                value_minor: planned.value_minor.round() as i64,
                bound_minor: planned.bound_minor.ceil() as i64,
                owners: planned.owners.iter().take(MAX_OWNERS).map(owner).collect(),
                stock: stock.collect(),
                currency: book.portfolio().currency.to_string(),
                sequence: tenant.included(&kept.scored),
                notices: writer.notices(&kept.scored.shortfalls),
            })
        });
        Ok(Response::new(answer.await?))
    }
}

fn owner(one: &OwnerUse) -> v1::OwnerPlan {
    v1::OwnerPlan {
        owner: one.owner.to_string(),
        minutes: one.used[MINUTES] as u64,
        offers: one.used[OFFERS] as u64,
        visits: one.used[VISITS] as u64,
        value_minor: one.value_minor.round() as i64,
        hour_worth_minor: 60.0 * one.prices[MINUTES],
        offer_worth_minor: one.prices[OFFERS],
        visit_worth_minor: one.prices[VISITS],
    }
}

/// What of a capacity can be read without the book.
fn limits(form: &mut Form, wire: &v1::Capacity) -> Option<Capacity> {
    let lists = [
        ("owners", wire.owners.len()),
        ("minutes_by_kind", wire.minutes_by_kind.len()),
        ("travel", wire.travel.len()),
        ("stock", wire.stock.len()),
        ("credit", wire.credit.len()),
    ];
    for (name, len) in lists {
        if len > MAX_BATCH {
            form.refuse(
                format!("capacity.{name}"),
                format!("has {len} entries; at most {MAX_BATCH}"),
            );
            return None;
        }
    }
    let mut capacity = Capacity {
        other_minutes: minutes(form, "capacity.other_minutes", wire.other_minutes),
        other_travel: minutes(
            form,
            "capacity.other_travel_minutes",
            wire.other_travel_minutes,
        ),
        ..Capacity::default()
    };
    for (at, wire) in wire.owners.iter().enumerate() {
        let field = format!("capacity.owners[{at}]");
        let limits = of_owner(form, &field, wire);
        let field = format!("{field}.owner");
        if let Some(owner) = form.text(&field, &wire.owner)
            && capacity.owners.insert(owner, limits).is_some()
        {
            form.refuse(field, "names the same owner a second time");
        }
    }
    if let Some(wire) = &wire.each_other_owner {
        let field = "capacity.each_other_owner";
        if !wire.owner.is_empty() {
            form.refuse(format!("{field}.owner"), "must be left empty");
        }
        capacity.others = of_owner(form, field, wire);
    }
    for (at, wire) in wire.minutes_by_kind.iter().enumerate() {
        let field = |name: &str| format!("capacity.minutes_by_kind[{at}].{name}");
        let minutes = minutes(form, &field("minutes"), wire.minutes);
        match kind(form, field("kind"), wire.kind) {
            Some(Some(kind)) if capacity.minutes.insert(kind, minutes).is_some() => {
                form.refuse(field("kind"), "names the same kind a second time");
            }
            Some(None) => form.refuse(field("kind"), "must name a kind"),
            Some(Some(_)) | None => {}
        }
    }
    capacity.travel_attribute = form.text("capacity.travel_attribute", &wire.travel_attribute)?;
    if capacity.travel_attribute.is_empty() && !wire.travel.is_empty() {
        form.refuse(
            "capacity.travel_attribute",
            "must name the attribute whose values `travel` lists",
        );
    }
    for (at, wire) in wire.travel.iter().enumerate() {
        let field = |name: &str| format!("capacity.travel[{at}].{name}");
        let minutes = minutes(form, &field("minutes"), wire.minutes);
        if let Some(value) = form.text(field("value"), &wire.value)
            && capacity.travel.insert(value, minutes).is_some()
        {
            form.refuse(field("value"), "names the same value a second time");
        }
    }
    Some(capacity)
}

fn of_owner(form: &mut Form, field: &str, wire: &v1::OwnerCapacity) -> [i64; OF_OWNER] {
    let mut limits = [UNLIMITED; OF_OWNER];
    let named = [
        (MINUTES, "minutes", wire.minutes),
        (OFFERS, "offers", wire.offers),
        (VISITS, "visits", wire.visits),
    ];
    for (at, name, limit) in named {
        match limit {
            None => {}
            Some(limit) if limit <= MAX_LIMIT => limits[at] = i64::from(limit),
            Some(limit) => form.refuse(
                format!("{field}.{name}"),
                format!("is {limit}; at most {MAX_LIMIT}"),
            ),
        }
    }
    limits
}

fn minutes(form: &mut Form, field: &str, raw: u32) -> i64 {
    if raw > MAX_MINUTES {
        form.refuse(field, format!("is {raw}; at most {MAX_MINUTES}"));
    }
    i64::from(raw)
}

/// A capacity with the products and clients that it names.
fn named(form: &mut Form, book: &Book, wire: &v1::Capacity, mut capacity: Capacity) -> Capacity {
    let amount = |form: &mut Form, field: String, raw: i64| {
        if !(0..=MAX_AMOUNT_MINOR).contains(&raw) {
            form.refuse(
                field,
                format!("must be from 0 to {MAX_AMOUNT_MINOR} minor units"),
            );
        }
    };
    let unknown = |raw: &str| format!("names '{raw}', which the portfolio does not have");
    let again = "stands in the list a second time";
    for (at, wire) in wire.stock.iter().enumerate() {
        let field = |name: &str| format!("capacity.stock[{at}].{name}");
        amount(form, field("amount_minor"), wire.amount_minor);
        let id = form.product(field("product_id"), &wire.product_id);
        match id.map(|id| book.products().number(&id)) {
            None => {}
            Some(None) => form.refuse(field("product_id"), unknown(&wire.product_id)),
            Some(Some(number)) => {
                let before = capacity.stock.insert(ProductNo(number), wire.amount_minor);
                if before.is_some() {
                    form.refuse(field("product_id"), again);
                }
            }
        }
    }
    for (at, wire) in wire.credit.iter().enumerate() {
        let field = |name: &str| format!("capacity.credit[{at}].{name}");
        amount(form, field("amount_minor"), wire.amount_minor);
        let id = form.client(field("client_id"), &wire.client_id);
        match id.map(|id| book.clients().number(&id)) {
            None => {}
            Some(None) => form.refuse(field("client_id"), unknown(&wire.client_id)),
            Some(Some(number)) => {
                let before = capacity.credit.insert(ClientNo(number), wire.amount_minor);
                if before.is_some() {
                    form.refuse(field("client_id"), again);
                }
            }
        }
    }
    capacity
}
