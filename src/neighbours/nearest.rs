//! The best few of many, without keeping the many.

use std::cmp::Ordering;

use crate::domain::ClientNo;

/// Room beyond what is kept, so that the worst are thrown out many at a time.
const ROOM: usize = 128;

/// Something to be ranked: nearest first, ties by client.
pub(super) trait Ranked: Copy {
    /// How far it is.
    fn farness(&self) -> f64;
    /// Whose it is.
    fn client(&self) -> ClientNo;

    /// The order of ranks.
    #[inline]
    fn order(a: &Self, b: &Self) -> Ordering {
        let key = |one: &Self| (rising(one.farness()), one.client());
        key(a).cmp(&key(b))
    }
}

/// A whole number that rises with a float, in the order of [`f64::total_cmp`].
#[inline]
fn rising(value: f64) -> i64 {
    let bits = value.to_bits() as i64;
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

/// The `k` nearest of those that are offered; reused from search to search.
///
/// The result does not depend on the order of the offers. Cost: a comparison an offer, and a few
/// passes over `k` each time that as many near ones have come.
#[derive(Debug)]
pub(super) struct Nearest<T> {
    k: usize,
    kept: Vec<T>,
    limit: f64,
}

impl<T> Default for Nearest<T> {
    /// Takes nothing until it is started.
    fn default() -> Self {
        Self {
            k: 0,
            kept: Vec::new(),
            limit: f64::NEG_INFINITY,
        }
    }
}

impl<T: Ranked> Nearest<T> {
    /// Forgets everything and starts over for the `k` nearest.
    pub(super) fn start(&mut self, k: usize) {
        self.start_within(k, f64::INFINITY);
    }

    /// Forgets everything and starts over for the `k` nearest of those that are not beyond a limit.
    pub(super) fn start_within(&mut self, k: usize, limit: f64) {
        self.k = k;
        self.kept.clear();
        self.limit = match k {
            0 => f64::NEG_INFINITY,
            _ => limit,
        };
    }

    /// How many are kept, up to some more than were asked for.
    pub(super) fn count(&self) -> usize {
        self.kept.len()
    }

    /// Nothing farther than this can be among the nearest.
    #[inline]
    pub(super) fn limit(&self) -> f64 {
        self.limit
    }

    /// Takes one in, unless it is too far.
    #[inline]
    pub(super) fn offer(&mut self, one: T) {
        if one.farness() > self.limit {
            return;
        }
        self.kept.push(one);
        if self.kept.len() >= self.k.saturating_add(ROOM) {
            self.narrow();
        }
    }

    /// Takes some in that are not too far.
    pub(super) fn take(&mut self, some: &[T]) {
        debug_assert!(some.iter().all(|one| one.farness() <= self.limit));
        self.kept.extend_from_slice(some);
        if self.kept.len() >= self.k.saturating_add(ROOM) {
            self.narrow();
        }
    }

    /// Throws out all but the `k` nearest; these stand in no order.
    pub(super) fn narrow(&mut self) {
        if self.k == 0 {
            self.kept.clear();
        } else if self.kept.len() > self.k {
            let (_, last, _) = self.kept.select_nth_unstable_by(self.k - 1, T::order);
            self.limit = last.farness();
            self.kept.truncate(self.k);
        }
    }

    /// The nearest, in order.
    pub(super) fn finish(&mut self) -> &[T] {
        self.narrow();
        self.kept.sort_unstable_by(T::order);
        &self.kept
    }

    /// What the last [`Nearest::finish`] or [`Nearest::narrow`] left.
    pub(super) fn found(&self) -> &[T] {
        &self.kept
    }
}
