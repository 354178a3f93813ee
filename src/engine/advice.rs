//! What more a client would buy, at one moment.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{Attribute, ClientNo, Opportunity, ProductNo, Shortfall, Text};

/// What more a client would buy.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Advice {
    /// Offers that sell, as far as the rules let them through, by priority.
    pub opportunities: Vec<Opportunity>,
    /// Offers that keep what there is, or win back what there was, by priority.
    pub keep: Vec<Opportunity>,
    /// Why there may be fewer than expected.
    pub shortfalls: BTreeSet<Shortfall>,
}

/// A client that is only supposed.
#[derive(Debug, Clone, PartialEq)]
pub struct Supposed {
    /// The client to start from, if any.
    pub client: Option<ClientNo>,
    /// Tickets in minor units per period that stand in place of its own; 0 takes one away. No
    /// product twice.
    pub tickets: Vec<(ProductNo, i64)>,
    /// Attributes that stand in place of its own.
    pub attributes: BTreeMap<Text, Attribute>,
}
