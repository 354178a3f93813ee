//! One client's opportunities, kept in as few bytes as their fields need.

use std::sync::Arc;

use crate::domain::{ClientNo, Kind, Opportunity, ProductNo};

/// One client's opportunities, by priority; the client is known to whoever holds the row. A copy
/// shares them.
///
/// 32 bytes an opportunity where all of a row fit, as they nearly always do where a recipe rounds tickets to three
/// digits; else 104 for each of that row. What is read is what was put in, to the bit.
#[derive(Debug, Clone)]
pub struct OfferRow(Offers);

#[derive(Debug, Clone)]
enum Offers {
    Small(Arc<[Small]>),
    Any(Arc<[Opportunity]>),
}

/// An opportunity as it usually is: a current ticket under 2^32 minor units, some 43 million in a currency of cents,
/// a probability and a score with the digits that [`published`](crate::domain::published) leaves them.
#[derive(Debug, Clone, Copy)]
struct Small {
    priority_minor: f64,
    probability: f32,
    score: f32,
    current_ticket_minor: u32,
    /// The product's number, and in the highest bits how many neighbours there are.
    product_and_neighbours: u32,
    /// The kind's number, and in the highest bits how many neighbours buy.
    kind_and_buying: u16,
    tickets: Tickets,
}

/// Low, expected and high ticket. Those of what sells are rounded to few digits: each is [`DIGIT_BITS`] of digits, and in
/// the highest bits how many zeros come after them. What keeps a client has one ticket in all three places, which
/// need not be rounded: it has all of the 48 bits.
#[derive(Debug, Clone, Copy)]
struct Tickets([u16; 3]);

/// Bits of a product's number in [`Small`].
const PRODUCT_BITS: u32 = 20;
/// Bits of a kind's number in [`Small`].
const KIND_BITS: u32 = 3;
/// Bits of the digits of a ticket in [`Tickets`].
const DIGIT_BITS: u32 = 12;

/// What so many zeros multiply a ticket's digits by.
const ZEROS: [i64; 1 << (u16::BITS - DIGIT_BITS)] = {
    let mut powers = [1; 1 << (u16::BITS - DIGIT_BITS)];
    let mut zeros = 1;
    while zeros < powers.len() {
        powers[zeros] = powers[zeros - 1] * 10;
        zeros += 1;
    }
    powers
};

const _: () = assert!(size_of::<Small>() == 32 && Kind::ALL.len() <= 1 << KIND_BITS);

/// The lowest bits of a number.
#[inline]
fn lowest(bits: u32, number: u32) -> u32 {
    number & ((1 << bits) - 1)
}

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
        let tickets = [
            one.low_ticket_minor,
            one.expected_ticket_minor,
            one.high_ticket_minor,
        ];
        let small = Self {
            priority_minor: one.priority_minor,
            probability: one.probability as f32,
            score: one.score as f32,
            current_ticket_minor: one.current_ticket_minor as u32,
            product_and_neighbours: one.product.0 | one.neighbours << PRODUCT_BITS,
            kind_and_buying: one.kind as u16 | (one.neighbours_buying << KIND_BITS) as u16,
            tickets: Tickets::of(one.kind, tickets),
        };
        // Whatever does not fit above, or does not follow from what is kept, is read as something else.
        (small.opportunity(one.client) == *one).then_some(small)
    }

    #[inline]
    fn what(&self) -> (ProductNo, Kind) {
        let product = ProductNo(lowest(PRODUCT_BITS, self.product_and_neighbours));
        let kind = lowest(KIND_BITS, u32::from(self.kind_and_buying)) as u8;
        (product, Kind::of_number(kind).unwrap_or(Kind::Upsell))
    }

    /// An upsell could reach its high ticket, the others their expected one; what it gains is what that is
    /// above the current one, but for a renewal, whose whole ticket is at risk.
    #[inline]
    fn potential_and_gain(&self, kind: Kind) -> (i64, i64) {
        let [_, expected, high] = self.tickets.read(kind);
        let potential = match kind {
            Kind::Upsell => high,
            _ => expected,
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
        let [low, expected, high] = self.tickets.read(kind);
        let (potential_ticket_minor, gain_minor) = self.potential_and_gain(kind);
        Opportunity {
            client,
            product,
            kind,
            current_ticket_minor: i64::from(self.current_ticket_minor),
            low_ticket_minor: low,
            expected_ticket_minor: expected,
            high_ticket_minor: high,
            potential_ticket_minor,
            gain_minor,
            probability: f64::from(self.probability),
            score: f64::from(self.score),
            priority_minor: self.priority_minor,
            neighbours: self.product_and_neighbours >> PRODUCT_BITS,
            neighbours_buying: u32::from(self.kind_and_buying >> KIND_BITS),
        }
    }
}

impl Tickets {
    /// Of tickets that fit; of others what is read otherwise.
    fn of(kind: Kind, tickets: [i64; 3]) -> Self {
        let rounded = |ticket: i64| {
            let (mut digits, mut zeros) = (ticket, 0_u16);
            while digits >> DIGIT_BITS > 0 && digits % 10 == 0 {
                digits /= 10;
                zeros += 1;
            }
            digits as u16 | zeros << DIGIT_BITS
        };
        let whole = tickets[0];
        Self(match kind.sells() {
            true => tickets.map(rounded),
            false => [whole, whole >> 16, whole >> 32].map(|part| part as u16),
        })
    }

    #[inline]
    fn read(self, kind: Kind) -> [i64; 3] {
        let digits = |ticket: u16| i64::from(ticket & ((1 << DIGIT_BITS) - 1));
        let rounded = |ticket: u16| digits(ticket) * ZEROS[usize::from(ticket >> DIGIT_BITS)];
        let [low, middle, high] = self.0.map(i64::from);
        match kind.sells() {
            true => self.0.map(rounded),
            false => [low | middle << 16 | high << 32; 3],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::published;
    use proptest::prelude::*;

    fn amount() -> impl Strategy<Value = i64> {
        let rounded =
            (0..5_000i64, 0..16u32).prop_map(|(digits, zeros)| digits * 10_i64.pow(zeros));
        prop_oneof![
            4 => 0..1_000i64,
            4 => rounded,
            1 => Just(-1),
            1 => Just(i64::MAX),
            1 => 4_294_967_290..4_294_967_300i64,
            1 => (1_i64 << 48) - 5..(1 << 48) + 5,
        ]
    }

    /// A figure with the digits that are given, or with all.
    fn figure() -> impl Strategy<Value = f64> {
        let number = || any::<f64>().prop_filter("a number", |x| !x.is_nan());
        prop_oneof![4 => number().prop_map(published), 1 => number()]
    }

    prop_compose! {
        fn opportunity()(
            product in prop_oneof![0..5_000u32, any::<u32>()],
            kind in 0u8..5,
            amounts in prop::array::uniform6(amount()),
            follows in any::<bool>(),
            figures in prop::array::uniform2(figure()),
            priority in any::<f64>().prop_filter("a number", |x| !x.is_nan()),
            neighbours in prop::array::uniform2(prop_oneof![0..500u32, 4_000..9_000u32, any::<u32>()]),
        ) -> Opportunity {
            let [current, low, expected, high, other, gain] = amounts;
            let kind = Kind::of_number(kind).unwrap();
            // What keeps a client has one ticket.
            let [low, expected, high] = match follows && !kind.sells() {
                true => [expected; 3],
                false => [low, expected, high],
            };
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
                gain_minor: match (follows, kind) {
                    (false, _) => gain,
                    (true, Kind::Renewal) => potential,
                    (true, _) => potential.saturating_sub(current).max(0),
                },
                probability: figures[0],
                score: figures[1],
                priority_minor: priority,
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
    fn usual_offers_take_32_bytes() {
        let sells = Opportunity {
            client: ClientNo(7),
            product: ProductNo(4_999),
            kind: Kind::Upsell,
            current_ticket_minor: 123_457,
            low_ticket_minor: 90_100,
            expected_ticket_minor: 123_000,
            high_ticket_minor: 323_000_000,
            potential_ticket_minor: 323_000_000,
            gain_minor: 322_876_543,
            probability: published(0.3),
            score: published(70.1),
            priority_minor: 18_000.0,
            neighbours: 200,
            neighbours_buying: 200,
        };
        // What keeps a client need not be rounded.
        let keeps = Opportunity {
            kind: Kind::Lapse,
            low_ticket_minor: 8_123_456_789,
            expected_ticket_minor: 8_123_456_789,
            high_ticket_minor: 8_123_456_789,
            potential_ticket_minor: 8_123_456_789,
            gain_minor: 8_123_333_332,
            ..sells.clone()
        };
        assert!(matches!(
            OfferRow::of(vec![sells, keeps]).0,
            Offers::Small(_)
        ));
    }
}
