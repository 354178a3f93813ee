//! An order of places, in pieces: one that differs in a few places shares all other pieces with it.

use std::cmp::Ordering;
use std::slice::Iter;

use super::Place;
use super::piece::Piece;

/// Places in a piece. A change copies the pieces that it falls into, some hundred for one client's offers, so short
/// ones are cheap to change and to keep for lists of earlier moments; each takes 24 bytes of every copy. With the two
/// counts of an `Arc` so many take 2 KiB, which allocators have a size for.
const PIECE: usize = if cfg!(test) { 4 } else { 508 };

/// Places in order.
///
/// Invariant: no piece is empty, and none is longer than two times [`PIECE`].
#[derive(Debug, Clone, Default)]
pub(super) struct Ordered {
    pieces: Vec<Piece>,
    len: usize,
}

impl Ordered {
    /// Of places that are in order.
    pub(super) fn of(places: &[Place]) -> Self {
        Self {
            pieces: places.chunks(PIECE).map(Piece::of).collect(),
            len: places.len(),
        }
    }

    /// The places that come after so many others, in order. Cost: a look at each piece before them.
    pub(super) fn after(&self, mut others: usize) -> Places<'_> {
        let mut pieces = self.pieces.iter();
        let piece = pieces.find(|piece| {
            let holds = others < piece.len();
            if !holds {
                others -= piece.len();
            }
            holds
        });
        Places {
            piece,
            others,
            pieces,
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The piece that a place belongs in.
    fn piece_of(&self, place: Place, compare: impl Fn(&Place, &Place) -> Ordering) -> usize {
        let before = |piece: &Piece| {
            let last = piece.last();
            last.is_some_and(|last| compare(&last, &place).is_lt())
        };
        self.pieces.partition_point(before)
    }

    /// This order without some places that are in it. `goes` says of a place whether it is one of them.
    pub(super) fn without(
        &self,
        places: &[Place],
        compare: impl Fn(&Place, &Place) -> Ordering,
        goes: impl Fn(&Place) -> bool,
    ) -> Self {
        let mut next = self.clone();
        let mut touched: Vec<usize> = places
            .iter()
            .map(|place| self.piece_of(*place, &compare))
            .collect();
        touched.sort_unstable();
        touched.dedup();
        for at in touched {
            let mut places = self.pieces[at].places();
            places.retain(|place| !goes(place));
            next.pieces[at] = Piece::of(&places);
        }
        next.pieces.retain(|piece| piece.len() > 0);
        next.len -= places.len();
        next
    }

    /// This order with more places, which are in order and of which it has none.
    pub(super) fn with(
        &self,
        places: &[Place],
        compare: impl Fn(&Place, &Place) -> Ordering,
    ) -> Self {
        if self.pieces.is_empty() {
            return Self::of(places);
        }
        let last = self.pieces.len() - 1;
        let piece_of = |place: &Place| self.piece_of(*place, &compare).min(last);
        let mut pieces = Vec::with_capacity(self.pieces.len());
        let mut taken = 0;
        for group in places.chunk_by(|a, b| piece_of(a) == piece_of(b)) {
            let at = group.first().map_or(taken, &piece_of);
            pieces.extend_from_slice(&self.pieces[taken..at]);
            let merged = merged(&self.pieces[at].places(), group, &compare);
            match merged.len() > 2 * PIECE {
                true => pieces.extend(merged.chunks(PIECE).map(Piece::of)),
                false => pieces.push(Piece::of(&merged)),
            }
            taken = at + 1;
        }
        pieces.extend_from_slice(&self.pieces[taken..]);
        Self {
            pieces,
            len: self.len + places.len(),
        }
    }
}

/// Places of an order, from one of them on.
#[derive(Debug, Clone)]
pub struct Places<'a> {
    /// The piece that is read, and how many of it lie behind.
    piece: Option<&'a Piece>,
    others: usize,
    pieces: Iter<'a, Piece>,
}

impl Iterator for Places<'_> {
    type Item = Place;

    fn next(&mut self) -> Option<Place> {
        loop {
            if let Some(place) = self.piece.and_then(|piece| piece.get(self.others)) {
                self.others += 1;
                return Some(place);
            }
            self.piece = Some(self.pieces.next()?);
            self.others = 0;
        }
    }
}

/// Two ordered lists as one.
fn merged(
    mut a: &[Place],
    b: &[Place],
    compare: impl Fn(&Place, &Place) -> Ordering,
) -> Vec<Place> {
    let mut all = Vec::with_capacity(a.len() + b.len());
    for place in b {
        let (first, rest) = a.split_at(a.partition_point(|old| compare(old, place).is_lt()));
        all.extend_from_slice(first);
        all.push(*place);
        a = rest;
    }
    all.extend_from_slice(a);
    all
}
