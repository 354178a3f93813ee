//! Which clients are asked for, between the contract and the domain.

use std::collections::BTreeSet;

use super::form::Form;
use crate::domain::{ClientId, ClientNo, MAX_ID_BYTES};
use crate::engine::{Book, EngineError, Insighted};
use crate::insight::{AttributeFilter, ClientFilter, LifeCycle, Segmentation, State, Tier};
use crate::wire::v1;

/// The most entries of one list of a filter.
pub(super) const MAX_FILTER: usize = 1_000;

/// Segments that a refusal names.
const NAMED_SEGMENTS: usize = 20;

/// A filter of a book's clients, from the request's field `filter`. Ids that the book does not have
/// are refused: a list without rows would hide the slip. `insighted` is needed where segments are asked
/// for; it is an error where these are not learnt yet.
pub(super) fn client_filter(
    form: &mut Form,
    book: &Book,
    wire: &v1::ClientFilter,
    insighted: Option<&Insighted>,
) -> Result<Option<ClientFilter>, EngineError> {
    let lists = [
        ("client_ids", wire.client_ids.len()),
        ("owners", wire.owners.len()),
        ("attributes", wire.attributes.len()),
        ("states", wire.states.len()),
        ("life_cycles", wire.life_cycles.len()),
        ("tiers", wire.tiers.len()),
        ("segment_ids", wire.segment_ids.len()),
    ];
    for (name, len) in lists {
        if len > MAX_FILTER {
            form.refuse(
                format!("filter.{name}"),
                format!("has {len} entries; at most {MAX_FILTER}"),
            );
            return Ok(None);
        }
    }
    let mut filter = ClientFilter::default();
    if !wire.client_ids.is_empty() {
        let mut numbers = BTreeSet::new();
        for (at, raw) in wire.client_ids.iter().enumerate() {
            let field = format!("filter.client_ids[{at}]");
            let id: Option<ClientId> = form.client(&field, raw);
            match id.and_then(|id| book.clients().number(&id)) {
                Some(number) => {
                    numbers.insert(ClientNo(number));
                }
                None => form.refuse(
                    field,
                    format!("names '{raw}', which the portfolio does not have"),
                ),
            }
        }
        filter.clients = Some(numbers);
    }
    for (at, raw) in wire.owners.iter().enumerate() {
        filter
            .owners
            .extend(form.text(format!("filter.owners[{at}]"), raw));
    }
    for (at, wire) in wire.attributes.iter().enumerate() {
        filter.attributes.extend(attribute(form, at, wire));
    }
    filter.states = named(form, "states", &wire.states, |raw| {
        let mut all = State::ALL.into_iter();
        all.find(|one| i32::from(state_to_wire(*one)) == raw)
    });
    filter.life_cycles = named(form, "life_cycles", &wire.life_cycles, |raw| {
        let mut all = LifeCycle::ALL.into_iter();
        all.find(|one| i32::from(life_cycle_to_wire(*one)) == raw)
    });
    filter.tiers = named(form, "tiers", &wire.tiers, |raw| {
        let mut all = Tier::ALL.into_iter();
        all.find(|one| i32::from(tier_to_wire(*one)) == raw)
    });
    if !(0.0..=1.0).contains(&wire.min_churn_probability) {
        form.refuse(
            "filter.min_churn_probability",
            "must be a number from 0 to 1",
        );
    }
    filter.min_churn = wire.min_churn_probability;
    if !wire.segment_ids.is_empty() {
        let Some(insighted) = insighted else {
            return Ok(None);
        };
        let segments = insighted.learnt_segments()?;
        for (at, id) in wire.segment_ids.iter().enumerate() {
            match segments.number(id) {
                Some(segment) => {
                    filter.segments.insert(segment);
                }
                None => form.refuse(
                    format!("filter.segment_ids[{at}]"),
                    no_such_segment(id, segments),
                ),
            }
        }
    }
    Ok(Some(filter))
}

/// Why an id is no segment.
fn no_such_segment(id: &str, segments: &Segmentation) -> String {
    let ids = segments
        .segments()
        .iter()
        .map(|segment| segment.id.as_str());
    let ids: Vec<&str> = ids.take(NAMED_SEGMENTS).collect();
    let id: String = id.chars().take(MAX_ID_BYTES).collect();
    match ids.is_empty() {
        true => format!("names '{id}'; the portfolio has no segments"),
        false => format!("names '{id}', which is none of {}", ids.join(", ")),
    }
}

/// Values of an enumeration, none of them unspecified or unknown.
fn named<T: Ord>(
    form: &mut Form,
    list: &str,
    raw: &[i32],
    of: impl Fn(i32) -> Option<T>,
) -> BTreeSet<T> {
    let mut values = BTreeSet::new();
    for (at, raw) in raw.iter().enumerate() {
        match of(*raw) {
            Some(value) => {
                values.insert(value);
            }
            None => form.refuse(
                format!("filter.{list}[{at}]"),
                format!("has no value {raw}"),
            ),
        }
    }
    values
}

/// A state as the contract names it.
pub(super) fn state_to_wire(state: State) -> v1::ClientState {
    match state {
        State::Active => v1::ClientState::Active,
        State::Slipping => v1::ClientState::Slipping,
        State::Inactive => v1::ClientState::Inactive,
        State::Renewal => v1::ClientState::Renewal,
        State::Undated => v1::ClientState::Undated,
        State::Prospect => v1::ClientState::Prospect,
    }
}

/// A place in the life cycle as the contract names it.
pub(super) fn life_cycle_to_wire(life_cycle: LifeCycle) -> v1::LifeCycle {
    match life_cycle {
        LifeCycle::Acquisition => v1::LifeCycle::Acquisition,
        LifeCycle::Retention => v1::LifeCycle::Retention,
        LifeCycle::Loyalty => v1::LifeCycle::Loyalty,
        LifeCycle::Recovery => v1::LifeCycle::Recovery,
    }
}

/// A tier as the contract names it.
pub(super) fn tier_to_wire(tier: Tier) -> v1::ValueTier {
    match tier {
        Tier::A => v1::ValueTier::A,
        Tier::B => v1::ValueTier::B,
        Tier::C => v1::ValueTier::C,
    }
}

fn attribute(form: &mut Form, at: usize, wire: &v1::AttributeFilter) -> Option<AttributeFilter> {
    let field = |name: &str| format!("filter.attributes[{at}].{name}");
    if wire.name.is_empty() {
        form.refuse(field("name"), "must name an attribute");
    }
    if wire.values.is_empty() && wire.min.is_none() && wire.max.is_none() {
        form.refuse(field("values"), "must be given, or min, or max");
    }
    for (name, bound) in [("min", wire.min), ("max", wire.max)] {
        if bound.is_some_and(f64::is_nan) {
            form.refuse(field(name), "must be a number");
        }
    }
    let name = form.text(field("name"), &wire.name);
    let values = wire
        .values
        .iter()
        .map(|raw| form.text(field("values"), raw))
        .collect::<Option<_>>();
    Some(AttributeFilter {
        name: name?,
        values: values?,
        min: wire.min,
        max: wire.max,
    })
}
