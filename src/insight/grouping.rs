//! What clients are told apart by in a report: a word of the caller's.

use super::Segment;
use crate::domain::{Client, Text};

/// Stands for who looks after a client, where no client has an attribute of that name.
const OWNER: &str = "owner";
/// Stands for a client's segment, where no client has an attribute of that name.
const SEGMENT: &str = "segment";

/// What clients are told apart by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grouping {
    /// An attribute: sector, region, the user's own groups.
    Attribute(Text),
    /// Who looks after them.
    Owner,
    /// The segment that they are in.
    Segment,
}

impl Grouping {
    /// The grouping of a name: an attribute, or "owner" or "segment" where none of `clients` has an
    /// attribute called so. Cost: the clients, for these two.
    pub fn named<'a>(name: &Text, mut clients: impl Iterator<Item = &'a Client>) -> Self {
        let special = match name.as_str() {
            OWNER => Self::Owner,
            SEGMENT => Self::Segment,
            _ => return Self::Attribute(name.clone()),
        };
        match clients.any(|client| client.attributes.contains_key(name)) {
            true => Self::Attribute(name.clone()),
            false => special,
        }
    }

    /// What a client is counted under; nothing where it has no such attribute, owner or segment.
    pub fn value(&self, client: &Client, segment: Option<&Segment>) -> Option<Text> {
        let value = match self {
            Self::Owner => client.owner.clone(),
            Self::Segment => segment?.id.clone(),
            Self::Attribute(name) => client.attributes.get(name)?.category()?.into_owned(),
        };
        (!value.is_empty()).then_some(value)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::domain::{Attribute, ClientId};

    fn text(raw: &str) -> Text {
        Text::parse(raw).unwrap()
    }

    fn client(attributes: &[(&str, Attribute)]) -> Client {
        let attributes = attributes.iter().cloned();
        Client {
            id: ClientId::parse("c").unwrap(),
            name: text(""),
            owner: text("Ana"),
            attributes: attributes
                .map(|(name, value)| (text(name), value))
                .collect(),
            excluded_products: BTreeSet::new(),
        }
    }

    #[test]
    fn an_attribute_of_the_book_stands_before_owner_and_segment() {
        let own = client(&[("segment", Attribute::Text(text("gold")))]);
        let plain = client(&[("staff", Attribute::Number(1e300))]);
        let named = |name: &str, of: &Client| Grouping::named(&text(name), [of].into_iter());
        assert_eq!(named("segment", &plain), Grouping::Segment);
        assert_eq!(named("owner", &own), Grouping::Owner);
        let by_own = named("segment", &own);
        assert_eq!(by_own, Grouping::Attribute(text("segment")));
        assert_eq!(by_own.value(&own, None), Some(text("gold")));
        assert_eq!(by_own.value(&plain, None), None);
        assert_eq!(Grouping::Segment.value(&plain, None), None);
        assert_eq!(Grouping::Owner.value(&plain, None), Some(text("Ana")));
        let staff = named("staff", &plain);
        assert_eq!(staff.value(&plain, None), Some(text("1e300")));
        let few = client(&[("staff", Attribute::Number(12.5))]);
        assert_eq!(staff.value(&few, None), Some(text("12.5")));
    }
}
