//! An order of places, in pieces: one that differs in a few places shares all other pieces with it.

use std::cmp::Ordering;
use std::slice::Iter;
use std::sync::Arc;

use super::Place;

/// Places in a piece. A change copies the pieces that it falls into, some hundred for one client's offers, so short
/// ones are cheap to change and to keep for lists of earlier moments; each takes 16 bytes of every copy.
const PIECE: usize = if cfg!(test) { 4 } else { 256 };

/// Places in order.
///
/// Invariant: no piece is empty, and none is longer than two times [`PIECE`].
#[derive(Debug, Clone, Default)]
pub(super) struct Ordered {
    pieces: Vec<Arc<[Place]>>,
    len: usize,
}

impl Ordered {
    /// Of places that are in order.
    pub(super) fn of(places: &[Place]) -> Self {
        Self {
            pieces: places.chunks(PIECE).map(Arc::from).collect(),
            len: places.len(),
        }
    }

    /// The places that come after so many others, in order. Cost: a look at each piece before them.
    pub(super) fn after(&self, mut others: usize) -> Places<'_> {
        let mut pieces = self.pieces.iter();
        for piece in pieces.by_ref() {
            if let Some(rest) = piece.get(others..) {
                let piece = rest.iter();
                return Places { piece, pieces };
            }
            others -= piece.len();
        }
        Places {
            piece: [].iter(),
            pieces,
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The piece that a place belongs in.
    fn piece_of(&self, place: Place, compare: impl Fn(&Place, &Place) -> Ordering) -> usize {
        let before = |piece: &Arc<[Place]>| {
            let last = piece.last();
            last.is_some_and(|last| compare(last, &place).is_lt())
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
            let piece = &self.pieces[at];
            next.pieces[at] = piece.iter().copied().filter(|place| !goes(place)).collect();
        }
        next.pieces.retain(|piece| !piece.is_empty());
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
            let merged = merged(&self.pieces[at], group, &compare);
            match merged.len() > 2 * PIECE {
                true => pieces.extend(merged.chunks(PIECE).map(Arc::from)),
                false => pieces.push(merged.into()),
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
    piece: Iter<'a, Place>,
    pieces: Iter<'a, Arc<[Place]>>,
}

impl Iterator for Places<'_> {
    type Item = Place;

    fn next(&mut self) -> Option<Place> {
        loop {
            if let Some(place) = self.piece.next() {
                return Some(*place);
            }
            self.piece = self.pieces.next()?.iter();
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
