//! A piece of an order: places that follow one another, in as few bytes as they need.

use std::sync::Arc;

use super::Place;

/// Some places. A copy shares them.
///
/// 4 bytes a place where all of them fit, as they do but for enormous books or rows; else 8.
#[derive(Debug, Clone)]
pub(super) enum Piece {
    /// As [`short`] writes them.
    Short(Arc<[u32]>),
    Any(Arc<[Place]>),
}

/// Bits of a client's number in a short place; the place in its row has the others.
const CLIENT_BITS: u32 = 24;

/// The two numbers of a place in one; `None` where they do not fit.
fn short(place: Place) -> Option<u32> {
    let fits = place.0 >> CLIENT_BITS == 0 && place.1 >> (u32::BITS - CLIENT_BITS) == 0;
    fits.then_some(place.0 | place.1 << CLIENT_BITS)
}

#[inline]
fn long(short: u32) -> Place {
    Place(short & ((1 << CLIENT_BITS) - 1), short >> CLIENT_BITS)
}

impl Piece {
    /// Of these places.
    pub(super) fn of(places: &[Place]) -> Self {
        let all: Option<Arc<[u32]>> = places.iter().map(|place| short(*place)).collect();
        match all {
            Some(all) => Self::Short(all),
            None => Self::Any(places.into()),
        }
    }

    /// How many there are.
    #[inline]
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Short(places) => places.len(),
            Self::Any(places) => places.len(),
        }
    }

    /// The place after so many others.
    #[inline]
    pub(super) fn get(&self, others: usize) -> Option<Place> {
        match self {
            Self::Short(places) => places.get(others).map(|place| long(*place)),
            Self::Any(places) => places.get(others).copied(),
        }
    }

    /// The last one.
    pub(super) fn last(&self) -> Option<Place> {
        self.get(self.len().wrapping_sub(1))
    }

    /// All of them.
    pub(super) fn places(&self) -> Vec<Place> {
        (0..self.len()).filter_map(|at| self.get(at)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_read_is_what_was_put_in(
            places in prop::collection::vec(
                (
                    prop_oneof![8 => 0..100_000u32, 1 => (1 << 24) - 2..(1 << 24) + 2u32, 1 => any::<u32>()],
                    prop_oneof![8 => 0..200u32, 1 => 250..260u32, 1 => any::<u32>()],
                ),
                0..6,
            ),
        ) {
            let fits = places.iter().all(|(client, at)| *client < 1 << 24 && *at < 256);
            let places: Vec<Place> = places.into_iter().map(|(client, at)| Place(client, at)).collect();
            let piece = Piece::of(&places);
            prop_assert_eq!(piece.len(), places.len());
            prop_assert_eq!(piece.last(), places.last().copied());
            prop_assert_eq!(piece.get(places.len()), None);
            prop_assert_eq!(piece.places(), places);
            prop_assert_eq!(matches!(piece, Piece::Short(_)), fits);
        }
    }
}
