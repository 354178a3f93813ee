//! One client's opportunities, kept in as few bytes as their fields need.

use std::sync::Arc;

use crate::domain::{ClientNo, Kind, Opportunity, ProductNo};

/// One client's opportunities, by priority; the client is known to whoever holds the row. A copy
/// shares them.
///
/// 48 bytes an opportunity where all of a row fit, as they nearly always do; else 104 for each of that
/// row. What is read is what was put in, to the bit.
#[derive(Debug, Clone)]
pub struct OfferRow(Offers);

#[derive(Debug, Clone)]
enum Offers {
    Small(Arc<[Small]>),
    Any(Arc<[Opportunity]>),
}

/// An opportunity whose amounts are under 2^32 minor units, some 43 million in a currency of cents.
#[derive(Debug, Clone, Copy)]
struct Small {
    probability: f64,
    score: f64,
    priority_minor: f64,
    /// The product's number, and in the highest bits the kind's.
    product_and_kind: u32,
    current_ticket_minor: u32,
    low_ticket_minor: u32,
    expected_ticket_minor: u32,
    high_ticket_minor: u32,
    neighbours: u16,
    neighbours_buying: u16,
}

/// Bits of a product's number in [`Small`].
const PRODUCT_BITS: u32 = 29;

const _: () = assert!(size_of::<Small>() == 48 && Kind::ALL.len() <= 1 << (32 - PRODUCT_BITS));

impl Default for OfferRow {
    /// No opportunity.
    fn default() -> Self {
        Self(Offers::Small(Arc::from([])))
    }
}

impl OfferRow {
    /// A row of a client's opportunities, in this order. Cost: a copy.
    pub fn of(opportunities: Vec<Opportunity>) -> Self {
        let small: Option<Arc<[Small]>> = opportunities.iter().map(Small::of).collect();
        Self(match small {
            Some(small) => Offers::Small(small),
            None => Offers::Any(opportunities.into()),
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match &self.0 {
            Offers::Small(row) => row.len(),
            Offers::Any(row) => row.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The sum of their gains, in minor units.
    pub fn gain_minor(&self) -> i128 {
        match &self.0 {
            Offers::Small(row) => {
                let gain = |one: &Small| i128::from(one.potential_and_gain(one.what().1).1);
                row.iter().map(gain).sum()
            }
            Offers::Any(row) => row.iter().map(|one| i128::from(one.gain_minor)).sum(),
        }
    }

    /// The opportunity at a place, below [`OfferRow::len`], of the client whose row this is.
    #[inline]
    pub fn at(&self, client: ClientNo, place: usize) -> Opportunity {
        match &self.0 {
            Offers::Small(row) => row[place].opportunity(client),
            Offers::Any(row) => row[place].clone(),
        }
    }

    /// All of them, of the client whose row this is.
    pub fn opportunities(&self, client: ClientNo) -> impl Iterator<Item = Opportunity> {
        (0..self.len()).map(move |place| self.at(client, place))
    }

    /// The priority of the opportunity at a place, its product and its kind: what lists are ordered by.
    #[inline]
    pub(super) fn rank(&self, place: usize) -> (f64, ProductNo, Kind) {
        match &self.0 {
            Offers::Small(row) => {
                let (product, kind) = row[place].what();
                (row[place].priority_minor, product, kind)
            }
            Offers::Any(row) => (
                row[place].priority_minor,
                row[place].product,
                row[place].kind,
            ),
        }
    }
}

impl Small {
    /// What fits; `None` of an opportunity that would not be read as it was.
    fn of(one: &Opportunity) -> Option<Self> {
        let product = one.product.0;
        let small = Self {
            probability: one.probability,
            score: one.score,
            priority_minor: one.priority_minor,
            product_and_kind: product | (one.kind as u32) << PRODUCT_BITS,
            current_ticket_minor: u32::try_from(one.current_ticket_minor).ok()?,
            low_ticket_minor: u32::try_from(one.low_ticket_minor).ok()?,
            expected_ticket_minor: u32::try_from(one.expected_ticket_minor).ok()?,
            high_ticket_minor: u32::try_from(one.high_ticket_minor).ok()?,
            neighbours: u16::try_from(one.neighbours).ok()?,
            neighbours_buying: u16::try_from(one.neighbours_buying).ok()?,
        };
        // What is not kept must follow from what is.
        let (potential, gain) = small.potential_and_gain(one.kind);
        let follows = potential == one.potential_ticket_minor && gain == one.gain_minor;
        (product >> PRODUCT_BITS == 0 && follows).then_some(small)
    }

    #[inline]
    fn what(&self) -> (ProductNo, Kind) {
        let kind = (self.product_and_kind >> PRODUCT_BITS) as u8;
        let product = ProductNo(self.product_and_kind & ((1 << PRODUCT_BITS) - 1));
        (product, Kind::of_number(kind).unwrap_or(Kind::Upsell))
    }

    /// An upsell could reach its high ticket, the others their expected one; what it gains is what that is
    /// above the current one, but for a renewal, whose whole ticket is at risk.
    #[inline]
    fn potential_and_gain(&self, kind: Kind) -> (i64, i64) {
        let potential = match kind {
            Kind::Upsell => i64::from(self.high_ticket_minor),
            _ => i64::from(self.expected_ticket_minor),
        };
        let gain = match kind {
            Kind::Renewal => potential,
            _ => (potential - i64::from(self.current_ticket_minor)).max(0),
        };
        (potential, gain)
    }

    #[inline]
    fn opportunity(&self, client: ClientNo) -> Opportunity {
        let (product, kind) = self.what();
        let (potential_ticket_minor, gain_minor) = self.potential_and_gain(kind);
        Opportunity {
            client,
            product,
            kind,
            current_ticket_minor: i64::from(self.current_ticket_minor),
            low_ticket_minor: i64::from(self.low_ticket_minor),
            expected_ticket_minor: i64::from(self.expected_ticket_minor),
            high_ticket_minor: i64::from(self.high_ticket_minor),
            potential_ticket_minor,
            gain_minor,
            probability: self.probability,
            score: self.score,
            priority_minor: self.priority_minor,
            neighbours: u32::from(self.neighbours),
            neighbours_buying: u32::from(self.neighbours_buying),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn amount() -> impl Strategy<Value = i64> {
        prop_oneof![
            0..1_000i64,
            Just(0),
            Just(-1),
            Just(i64::MAX),
            4_294_967_290..4_294_967_300i64
        ]
    }

    prop_compose! {
        fn opportunity()(
            product in prop_oneof![0..5_000u32, any::<u32>()],
            kind in 0u8..5,
            amounts in prop::array::uniform6(amount()),
            follows in any::<bool>(),
            figures in prop::array::uniform3(any::<f64>().prop_filter("a number", |x| !x.is_nan())),
            neighbours in prop::array::uniform2(prop_oneof![0..500u32, any::<u32>()]),
        ) -> Opportunity {
            let [current, low, expected, high, other, gain] = amounts;
            let kind = Kind::of_number(kind).unwrap();
            let potential = match (follows, kind) {
                (false, _) => other,
                (true, Kind::Upsell) => high,
                (true, _) => expected,
            };
            Opportunity {
                client: ClientNo(7),
                product: ProductNo(product),
                kind,
                current_ticket_minor: current,
                low_ticket_minor: low,
                expected_ticket_minor: expected,
                high_ticket_minor: high,
                potential_ticket_minor: potential,
                gain_minor: if follows { potential.saturating_sub(current).max(0) } else { gain },
                probability: figures[0],
                score: figures[1],
                priority_minor: figures[2],
                neighbours: neighbours[0],
                neighbours_buying: neighbours[1],
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_was_put_in(row in prop::collection::vec(opportunity(), 0..5)) {
            let kept = OfferRow::of(row.clone());
            prop_assert_eq!(kept.len(), row.len());
            for (place, one) in row.iter().enumerate() {
                prop_assert_eq!(&kept.at(ClientNo(7), place), one);
                prop_assert_eq!(kept.rank(place), (one.priority_minor, one.product, one.kind));
            }
        }
    }

    #[test]
    fn usual_offers_take_48_bytes() {
        let usual = Opportunity {
            client: ClientNo(7),
            product: ProductNo(4_999),
            kind: Kind::Upsell,
            current_ticket_minor: 100_000,
            low_ticket_minor: 90_000,
            expected_ticket_minor: 120_000,
            high_ticket_minor: 300_000,
            potential_ticket_minor: 300_000,
            gain_minor: 200_000,
            probability: 0.3,
            score: 70.0,
            priority_minor: 18_000.0,
            neighbours: 200,
            neighbours_buying: 200,
        };
        assert!(matches!(OfferRow::of(vec![usual]).0, Offers::Small(_)));
    }
}
