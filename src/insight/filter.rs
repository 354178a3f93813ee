//! Which clients are asked for.

use std::collections::BTreeSet;

use super::{ClientInsight, LifeCycle, SegmentNo, State, Tier};
use crate::domain::{Attribute, Client, ClientNo, Text};

/// A condition on one attribute. A client without the attribute does not meet it.
#[derive(Debug, Clone, PartialEq)]
pub struct AttributeFilter {
    /// Which attribute.
    pub name: Text,
    /// Texts, one of which it must have; empty for any.
    pub values: BTreeSet<Text>,
    /// The least number it may be.
    pub min: Option<f64>,
    /// The largest number it may be.
    pub max: Option<f64>,
}

impl AttributeFilter {
    /// Whether a client meets it.
    pub fn admits(&self, client: &Client) -> bool {
        match client.attributes.get(&self.name) {
            None => false,
            Some(Attribute::Text(text)) => {
                let ranged = self.min.is_some() || self.max.is_some();
                !ranged && (self.values.is_empty() || self.values.contains(text))
            }
            Some(Attribute::Number(number)) => {
                let named = self.values.is_empty()
                    || self
                        .values
                        .iter()
                        .any(|value| value.as_str().parse() == Ok(*number));
                named
                    && self.min.is_none_or(|min| *number >= min)
                    && self.max.is_none_or(|max| *number <= max)
            }
        }
    }
}

/// Which clients are asked for. Conditions of different fields must all hold; within one field any.
/// An empty set asks for nothing in particular.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ClientFilter {
    /// Clients.
    pub clients: Option<BTreeSet<ClientNo>>,
    /// Owners.
    pub owners: BTreeSet<Text>,
    /// Conditions on attributes; all must hold.
    pub attributes: Vec<AttributeFilter>,
    /// Where they stand.
    pub states: BTreeSet<State>,
    /// What to do with them next.
    pub life_cycles: BTreeSet<LifeCycle>,
    /// What they are worth.
    pub tiers: BTreeSet<Tier>,
    /// Segments.
    pub segments: BTreeSet<SegmentNo>,
    /// The least probability that they buy nothing.
    pub min_churn: f64,
}

impl ClientFilter {
    /// Whether it asks for anything that only insights tell.
    pub fn needs_insights(&self) -> bool {
        !(self.states.is_empty()
            && self.life_cycles.is_empty()
            && self.tiers.is_empty()
            && self.segments.is_empty())
            || self.min_churn > 0.0
    }

    /// Whether a client is asked for by what is recorded of it.
    pub fn admits(&self, number: ClientNo, client: &Client) -> bool {
        self.clients
            .as_ref()
            .is_none_or(|clients| clients.contains(&number))
            && (self.owners.is_empty() || self.owners.contains(&client.owner))
            && self
                .attributes
                .iter()
                .all(|condition| condition.admits(client))
    }

    /// Whether a client is asked for by its place among the others.
    pub fn admits_insight(&self, insight: &ClientInsight) -> bool {
        (self.states.is_empty() || self.states.contains(&insight.state))
            && (self.life_cycles.is_empty() || self.life_cycles.contains(&insight.life_cycle))
            && (self.tiers.is_empty() || self.tiers.contains(&insight.tier))
            && (self.segments.is_empty()
                || (insight.facts.segment).is_some_and(|segment| self.segments.contains(&segment)))
            && (self.min_churn <= 0.0
                || insight
                    .churn
                    .is_some_and(|churn| churn.probability >= self.min_churn))
    }
}
