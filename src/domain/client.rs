//! A client: a company that buys, and what it is.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{ClientId, Day, ProductId, Text};

/// The most attributes that a client may have.
pub const MAX_ATTRIBUTES: usize = 64;
/// The most products that may be excluded for a client.
pub const MAX_EXCLUDED_PRODUCTS: usize = 1_000;

/// The most bytes that a client's record may take, ids and texts together.
pub const MAX_CLIENT_BYTES: usize = 16 * 1024;

/// One fact about a client: sector, region, staff.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Attribute {
    /// A category: equal or different.
    Text(Text),
    /// A finite quantity: near or far.
    Number(f64),
}

impl Attribute {
    /// The fact as a category: a number as people write it, in powers of ten where that takes hundreds of
    /// digits. A file whose column happens to hold numbers alone means the same categories as one in which a
    /// single value is none.
    pub fn category(&self) -> Option<Cow<'_, Text>> {
        match self {
            Self::Text(text) => Some(Cow::Borrowed(text)),
            Self::Number(number) => {
                let plain = Text::parse(&number.to_string());
                let short = |_| Text::parse(&format!("{number:e}"));
                plain.or_else(short).ok().map(Cow::Owned)
            }
        }
    }

    /// The fact as a quantity: a text where it is a finite number.
    pub fn quantity(&self) -> Option<f64> {
        let number = match self {
            Self::Text(text) => text.as_str().trim().parse().ok()?,
            Self::Number(number) => *number,
        };
        number.is_finite().then_some(number)
    }
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

impl Client {
    /// What the record takes, in bytes, ids and texts together.
    pub fn size_bytes(&self) -> usize {
        let attribute = |(name, value): (&Text, &Attribute)| {
            name.as_str().len()
                + match value {
                    Attribute::Text(text) => text.as_str().len(),
                    Attribute::Number(_) => size_of::<f64>(),
                }
        };
        let excluded = self.excluded_products.iter().map(|id| id.as_str().len());
        self.id.as_str().len()
            + self.name.as_str().len()
            + self.owner.as_str().len()
            + self.attributes.iter().map(attribute).sum::<usize>()
            + excluded.sum::<usize>()
    }
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
