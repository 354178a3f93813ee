//! A client: a company that buys, and what it is.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{ClientId, Day, ProductId, Text};

/// The most attributes that a client may have.
pub const MAX_ATTRIBUTES: usize = 64;
/// The most products that may be excluded for a client.
pub const MAX_EXCLUDED_PRODUCTS: usize = 1_000;

/// One fact about a client: sector, region, staff.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Attribute {
    /// A category: equal or different.
    Text(Text),
    /// A finite quantity: near or far.
    Number(f64),
}

/// A company that buys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Client {
    /// The caller's id.
    pub id: ClientId,
    /// What people call it; may be empty.
    pub name: Text,
    /// Who looks after it, the sales person or team; may be empty.
    pub owner: Text,
    /// What it is, by attribute name.
    pub attributes: BTreeMap<Text, Attribute>,
    /// Products that are never offered to it.
    pub excluded_products: BTreeSet<ProductId>,
}

/// What happened with a client on a day, other than a sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ClientEventKind {
    /// It complained, and nobody has settled it yet.
    ComplaintOpened,
    /// Its complaint was settled.
    ComplaintClosed,
    /// Somebody spoke with it.
    Contact,
    /// A contract runs from the day to its end.
    Contract,
}

/// A dated event of a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientEvent {
    /// What happened.
    pub kind: ClientEventKind,
    /// When.
    pub day: Day,
    /// The last day of it, for a contract.
    pub end_day: Option<Day>,
    /// A few words; may be empty.
    pub note: Text,
}
