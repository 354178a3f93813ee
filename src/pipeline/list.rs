//! All opportunities of a portfolio, by client and in order of priority.

use std::cmp::Ordering;

use rayon::prelude::*;

use super::OfferRow;
use super::ordered::{Ordered, Places};
use super::rows::Rows;
use crate::domain::{ClientNo, Kind, Opportunity, ProductNo};

/// Where an opportunity stands in a pipeline: its client and its place in the client's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(pub(super) u32, pub(super) u32);

impl Place {
    /// Whose opportunity stands there.
    pub fn client(self) -> ClientNo {
        ClientNo(self.0)
    }

    /// Where those of a row stand.
    fn of_row(client: ClientNo, len: usize) -> impl Iterator<Item = Self> + use<> {
        (0..len as u32).map(move |at| Self(client.0, at))
    }
}

/// The opportunities of a portfolio. A copy is cheap and shares the rows.
///
/// Invariants: `order` names every opportunity of `rows` once, in [`Order::Priority`](super::Order);
/// `gain_minor` is the sum of their gains.
#[derive(Debug, Clone, Default)]
pub struct Pipeline {
    rows: Rows,
    order: Ordered,
    gain_minor: i128,
}

impl Pipeline {
    /// A pipeline of these rows, in client order. Cost: a sort of all opportunities.
    pub fn new(rows: Vec<OfferRow>) -> Self {
        let mut order: Vec<Place> = Vec::with_capacity(rows.iter().map(OfferRow::len).sum());
        for (client, row) in (0..).map(ClientNo).zip(&rows) {
            order.extend(Place::of_row(client, row.len()));
        }
        let rank = |place: Place| rows[place.0 as usize].rank(place.1 as usize);
        order.par_sort_unstable_by(|a, b| compare(rank, *a, *b));
        Self {
            order: Ordered::of(&order),
            gain_minor: rows.iter().map(OfferRow::gain_minor).sum(),
            rows: Rows::of(rows),
        }
    }

    /// This pipeline with some clients' rows replaced or added, each client once. Cost: a few searches for each
    /// old and each new opportunity of theirs, and a copy of the pieces of the order and of the rows that these stand in.
    #[must_use]
    pub fn with_rows(&self, changed: impl IntoIterator<Item = (ClientNo, OfferRow)>) -> Self {
        let mut rows = self.rows.clone();
        let mut replaced = vec![false; rows.len()];
        let mut gain_minor = self.gain_minor;
        let (mut old, mut new): (Vec<Place>, Vec<Place>) = (Vec::new(), Vec::new());
        for (client, row) in changed {
            if replaced.len() <= client.index() {
                replaced.resize(client.index() + 1, false);
            }
            debug_assert!(!replaced[client.index()]);
            old.extend(self.places_of(client));
            new.extend(Place::of_row(client, row.len()));
            gain_minor += row.gain_minor() - self.gain_minor_of(client);
            replaced[client.index()] = true;
            rows.set(client, row);
        }
        let was = |a: &Place, b: &Place| compare(|place| rank(&self.rows, place), *a, *b);
        let order = self
            .order
            .without(&old, was, |place| replaced[place.0 as usize]);
        let is = |a: &Place, b: &Place| compare(|place| rank(&rows, place), *a, *b);
        new.sort_by(is);
        Self {
            order: order.with(&new, is),
            rows,
            gain_minor,
        }
    }

    /// This pipeline without some opportunities of these clients, each named once; `None` where that is all of it.
    /// Cost: a look at each opportunity of theirs, and where any goes, see [`Pipeline::with_rows`].
    pub fn without(
        &self,
        clients: impl Iterator<Item = ClientNo>,
        goes: impl Fn(&Opportunity) -> bool,
    ) -> Option<Self> {
        let shorter = |client: ClientNo| {
            let mut row = self.of(client);
            let len = row.len();
            row.retain(|one| !goes(one));
            (row.len() < len).then(|| (client, OfferRow::of(row)))
        };
        let changed: Vec<_> = clients.filter_map(shorter).collect();
        (!changed.is_empty()).then(|| self.with_rows(changed))
    }

    /// One client's opportunities, by priority.
    pub fn of(&self, client: ClientNo) -> Vec<Opportunity> {
        let row = self.rows.get(client);
        row.map_or_else(Vec::new, |row| row.opportunities(client).collect())
    }

    /// All opportunities, best first.
    pub fn iter(&self) -> impl Iterator<Item = Opportunity> {
        self.places().map(|place| self.at(place))
    }

    /// Where they stand, best first.
    pub fn places(&self) -> Places<'_> {
        self.places_after(0)
    }

    /// The same, after so many others.
    pub fn places_after(&self, others: usize) -> Places<'_> {
        self.order.after(others)
    }

    /// The sum of their gains, in minor units.
    pub fn gain_minor(&self) -> i128 {
        self.gain_minor
    }

    /// The sum of one client's gains.
    pub fn gain_minor_of(&self, client: ClientNo) -> i128 {
        let row = self.rows.get(client);
        row.map_or(0, OfferRow::gain_minor)
    }

    /// Where one client's stand, best first.
    pub fn places_of(&self, client: ClientNo) -> impl Iterator<Item = Place> + use<> {
        Place::of_row(client, self.rows.get(client).map_or(0, OfferRow::len))
    }

    /// The opportunity at a place of this pipeline.
    pub fn at(&self, place: Place) -> Opportunity {
        self.rows[place.client()].at(place.client(), place.1 as usize)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn rank(rows: &Rows, place: Place) -> (f64, ProductNo, Kind) {
    rows[place.client()].rank(place.1 as usize)
}

/// [`Order::Priority`](super::Order) of two places.
fn compare(rank: impl Fn(Place) -> (f64, ProductNo, Kind), a: Place, b: Place) -> Ordering {
    let ((first, product, kind), (second, other_product, other_kind)) = (rank(a), rank(b));
    second
        .total_cmp(&first)
        .then(a.0.cmp(&b.0))
        .then(product.cmp(&other_product))
        .then(kind.cmp(&other_kind))
}

#[cfg(test)]
mod tests {
    use super::super::books::row;
    use super::*;
    use crate::pipeline::Order;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_pipeline_after_any_changes_is_the_pipeline_made_anew(
            rows in prop::collection::vec(prop::collection::vec(0u8..6, 0..5), 0..8),
            changes in prop::collection::vec(
                prop::collection::btree_map(0u32..10, prop::collection::vec(0u8..6, 0..5), 0..4),
                0..5,
            ),
        ) {
            let mut rows: Vec<OfferRow> =
                (0..).zip(&rows).map(|(client, priorities)| row(client, priorities)).collect();
            let mut pipeline = Pipeline::new(rows.clone());
            for changed in changes {
                let changed: Vec<_> = changed
                    .iter()
                    .map(|(&client, priorities)| (ClientNo(client), row(client, priorities)))
                    .collect();
                for (client, row) in &changed {
                    if rows.len() <= client.index() {
                        rows.resize(client.index() + 1, OfferRow::default());
                    }
                    rows[client.index()] = row.clone();
                }
                pipeline = pipeline.with_rows(changed);
                let anew = Pipeline::new(rows.clone());
                prop_assert!(pipeline.places().eq(anew.places()));
                for others in 0..pipeline.len() + 2 {
                    prop_assert!(pipeline.places_after(others).eq(anew.places().skip(others)));
                }
                prop_assert!(pipeline.iter().eq(anew.iter()));
                prop_assert_eq!(pipeline.len(), anew.len());
                prop_assert_eq!(pipeline.gain_minor(), anew.gain_minor());
                let clients = (0..rows.len() as u32).map(ClientNo);
                let mut of_each: Vec<Place> = clients.flat_map(|client| pipeline.places_of(client)).collect();
                of_each.sort_by(|a, b| Order::Priority.compare(&pipeline.at(*a), &pipeline.at(*b)));
                prop_assert!(pipeline.places().eq(of_each));
                let goes = |one: &Opportunity| one.product.0 == 1 && one.priority_minor < 4.0;
                let clients = (0..rows.len() as u32).map(ClientNo);
                let less = pipeline.without(clients, goes);
                prop_assert_eq!(less.is_some(), pipeline.iter().any(|one| goes(&one)));
                let less = less.unwrap_or_else(|| pipeline.clone());
                prop_assert!(less.iter().eq(pipeline.iter().filter(|one| !goes(one))));
            }
        }
    }

    #[test]
    fn after_ten_thousand_random_writes_a_pipeline_is_the_one_made_anew() {
        let mut state = 7_u64;
        let mut draw = |end: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) % end
        };
        let mut priorities = |client: u64| -> OfferRow {
            let all: Vec<u8> = (0..draw(12)).map(|_| draw(40) as u8).collect();
            row(client as u32, &all)
        };
        let mut rows: Vec<OfferRow> = (0..200).map(&mut priorities).collect();
        let mut pipeline = Pipeline::new(rows.clone());
        for write in 0..10_000_u64 {
            let client = (write * 7_919 + write / 13) % (200 + write / 100);
            let new = priorities(client);
            if rows.len() <= client as usize {
                rows.resize(client as usize + 1, OfferRow::default());
            }
            rows[client as usize] = new.clone();
            pipeline = pipeline.with_rows([(ClientNo(client as u32), new)]);
            if write % 500 == 499 {
                let anew = Pipeline::new(rows.clone());
                assert!(pipeline.places().eq(anew.places()), "after {write} writes");
                assert!(pipeline.iter().eq(anew.iter()));
            }
        }
    }
}
