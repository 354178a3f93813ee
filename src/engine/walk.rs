//! Two pipelines read as one, from any rank on.
//!
//! What sells to a client that is kept first is passed over, so that where a rank stands in the two is not foreseeable. It
//! is noted down every so many ranks when somebody first comes by; who reads page by page goes on from there. A list
//! of all offers is read so, and holds nothing of its own.

use std::iter::Peekable;
use std::sync::{Mutex, PoisonError};

use crate::domain::ClientNo;
use crate::pipeline::{Order, Pipeline, Place, Places};

/// Ranks from one mark to the next: 16 bytes for each, and as many steps at most to the rank that is asked for.
const STRIDE: usize = if cfg!(test) { 4 } else { 1_024 };

/// Where an offer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OfferPlace {
    /// Among those that sell.
    Sells(Place),
    /// Among those that keep clients.
    Keeps(Place),
}

impl OfferPlace {
    /// Whose offer stands there.
    pub fn client(self) -> ClientNo {
        match self {
            Self::Sells(place) | Self::Keeps(place) => place.client(),
        }
    }
}

/// The offers that sell and those that keep clients.
#[derive(Debug, Clone, Copy)]
pub(super) struct Both<'a> {
    pub(super) sells: &'a Pipeline,
    pub(super) keeps: &'a Pipeline,
    /// Whether what sells to a client waits, by number; to later ones it does not.
    pub(super) waits: &'a [bool],
}

/// How many of both lie behind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Spot {
    sells: usize,
    keeps: usize,
}

/// Both in the order in which to work them, from a spot on.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    both: Both<'a>,
    sells: Peekable<Places<'a>>,
    keeps: Peekable<Places<'a>>,
    spot: Spot,
}

impl<'a> Both<'a> {
    pub(super) fn after(self, spot: Spot) -> Walk<'a> {
        Walk {
            both: self,
            sells: self.sells.places_after(spot.sells).peekable(),
            keeps: self.keeps.places_after(spot.keeps).peekable(),
            spot,
        }
    }

    fn waits(&self, client: ClientNo) -> bool {
        self.waits.get(client.index()).copied().unwrap_or(false)
    }

    fn sells_first(&self, sells: Place, keeps: Place) -> bool {
        let (sells, keeps) = (self.sells.at(sells), self.keeps.at(keeps));
        Order::Priority.compare(&sells, &keeps).is_le()
    }
}

impl Iterator for Walk<'_> {
    type Item = OfferPlace;

    fn next(&mut self) -> Option<OfferPlace> {
        let both = self.both;
        while self
            .sells
            .next_if(|sells| both.waits(sells.client()))
            .is_some()
        {
            self.spot.sells += 1;
        }
        let sells = match (self.sells.peek(), self.keeps.peek()) {
            (Some(sells), Some(keeps)) => both.sells_first(*sells, *keeps),
            (sells, _) => sells.is_some(),
        };
        match sells {
            true => {
                self.spot.sells += 1;
                self.sells.next().map(OfferPlace::Sells)
            }
            false => {
                self.spot.keeps += 1;
                self.keeps.next().map(OfferPlace::Keeps)
            }
        }
    }
}

/// The spots of every so many ranks, as far as somebody read.
///
/// Invariant: the one at `n` lies before rank `n` x [`STRIDE`].
#[derive(Debug, Default)]
pub(super) struct Marks(Mutex<Vec<Spot>>);

impl Marks {
    /// What comes after so many others of both.
    pub(super) fn after<'a>(
        &self,
        both: Both<'a>,
        others: usize,
    ) -> impl Iterator<Item = OfferPlace> + use<'a> {
        let (mark, spot) = self.before(both, others / STRIDE);
        both.after(spot).skip(others - mark * STRIDE)
    }

    /// The number and spot of a mark, or of the last where the offers end before it.
    fn before(&self, both: Both<'_>, wanted: usize) -> (usize, Spot) {
        // A poisoned lock guards a list that no step leaves half done.
        let mut marks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if marks.is_empty() {
            marks.push(Spot::default());
        }
        let last = marks.len() - 1;
        if last < wanted {
            let mut walk = both.after(marks[last]);
            while marks.len() <= wanted && walk.by_ref().take(STRIDE).count() == STRIDE {
                marks.push(walk.spot);
            }
        }
        let mark = wanted.min(marks.len() - 1);
        (mark, marks[mark])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::OfferRow;
    use crate::pipeline::books::row;
    use proptest::prelude::*;

    fn pipeline(priorities: &[Vec<u8>]) -> Pipeline {
        let rows = (0..).zip(priorities);
        let rows: Vec<OfferRow> = rows.map(|(client, of)| row(client, of)).collect();
        Pipeline::new(rows)
    }

    fn priorities() -> impl Strategy<Value = Vec<Vec<u8>>> {
        prop::collection::vec(prop::collection::vec(0u8..9, 0..6), 0..9)
    }

    proptest! {
        #[test]
        fn any_rank_is_where_a_sorted_list_of_all_has_it(
            sells in priorities(),
            keeps in priorities(),
            waits in prop::collection::vec(any::<bool>(), 0..9),
            asked in prop::collection::vec(0usize..120, 1..12),
        ) {
            let (sells, keeps) = (pipeline(&sells), pipeline(&keeps));
            let both = Both { sells: &sells, keeps: &keeps, waits: &waits };
            let shown = sells.places().filter(|place| !both.waits(place.client()));
            let mut all: Vec<OfferPlace> = shown.map(OfferPlace::Sells).collect();
            all.extend(keeps.places().map(OfferPlace::Keeps));
            // Stable: of two alike the one that sells comes first.
            all.sort_by(|a, b| {
                let offer = |place: &OfferPlace| match place {
                    OfferPlace::Sells(place) => sells.at(*place),
                    OfferPlace::Keeps(place) => keeps.at(*place),
                };
                Order::Priority.compare(&offer(a), &offer(b))
            });
            prop_assert!(both.after(Spot::default()).eq(all.iter().copied()));
            let marks = Marks::default();
            for others in asked {
                let rest = all.get(others..).unwrap_or_default();
                prop_assert!(marks.after(both, others).eq(rest.iter().copied()));
            }
        }
    }
}
