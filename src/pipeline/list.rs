//! All opportunities of a portfolio, by client and in order of priority.

use std::sync::Arc;

use super::Order;
use crate::domain::{ClientNo, Opportunity};

/// Where an opportunity stands in a pipeline: its client and its place in the client's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(u32, u32);

/// The opportunities of a portfolio. A copy is cheap and shares the rows.
///
/// Invariant: `order` names every opportunity of `rows` once, in [`Order::Priority`].
#[derive(Debug, Clone, Default)]
pub struct Pipeline {
    rows: Vec<Arc<[Opportunity]>>,
    order: Arc<[Place]>,
}

impl Pipeline {
    /// A pipeline of these rows, in client order. Cost: a sort of all opportunities.
    pub fn new(rows: Vec<Arc<[Opportunity]>>) -> Self {
        let mut order: Vec<Place> = Vec::with_capacity(rows.iter().map(|row| row.len()).sum());
        for (client, row) in rows.iter().enumerate() {
            order.extend((0..row.len() as u32).map(|at| Place(client as u32, at)));
        }
        let at = |place: &Place| &rows[place.0 as usize][place.1 as usize];
        order.sort_by(|a, b| Order::Priority.compare(at(a), at(b)));
        Self {
            rows,
            order: order.into(),
        }
    }

    /// This pipeline with some clients' rows replaced or added, each client once. Cost: a pass over
    /// the order, and a search in it for each new opportunity.
    #[must_use]
    pub fn with_rows(
        &self,
        changed: impl IntoIterator<Item = (ClientNo, Arc<[Opportunity]>)>,
    ) -> Self {
        let mut rows = self.rows.clone();
        let mut replaced = vec![false; rows.len()];
        let mut new: Vec<Place> = Vec::new();
        for (client, row) in changed {
            if rows.len() <= client.index() {
                rows.resize(client.index() + 1, Arc::from([]));
                replaced.resize(rows.len(), false);
            }
            debug_assert!(!replaced[client.index()]);
            new.extend((0..row.len() as u32).map(|at| Place(client.0, at)));
            replaced[client.index()] = true;
            rows[client.index()] = row;
        }
        let at = |place: &Place| &rows[place.0 as usize][place.1 as usize];
        let before = |a: &Place, b: &Place| Order::Priority.compare(at(a), at(b));
        new.sort_by(before);
        let mut kept: Vec<Place> = Vec::with_capacity(self.order.len());
        kept.extend(
            self.order
                .iter()
                .filter(|place| !replaced[place.0 as usize]),
        );
        let mut order: Vec<Place> = Vec::with_capacity(kept.len() + new.len());
        let mut rest = kept.as_slice();
        for place in &new {
            let (first, last) =
                rest.split_at(rest.partition_point(|old| before(old, place).is_lt()));
            order.extend_from_slice(first);
            order.push(*place);
            rest = last;
        }
        order.extend_from_slice(rest);
        Self {
            rows,
            order: order.into(),
        }
    }

    /// One client's opportunities, by priority.
    pub fn of(&self, client: ClientNo) -> &[Opportunity] {
        self.rows.get(client.index()).map_or(&[], |row| row)
    }

    /// All opportunities, best first.
    pub fn iter(&self) -> impl Iterator<Item = &Opportunity> {
        self.order.iter().map(|place| self.at(*place))
    }

    /// Where they stand, best first.
    pub fn places(&self) -> &[Place] {
        &self.order
    }

    /// The opportunity at a place of this pipeline.
    pub fn at(&self, place: Place) -> &Opportunity {
        &self.rows[place.0 as usize][place.1 as usize]
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Kind, ProductNo};
    use proptest::prelude::*;

    fn row(client: u32, priorities: &[u8]) -> Arc<[Opportunity]> {
        let offer = |(product, &priority): (usize, &u8)| Opportunity {
            client: ClientNo(client),
            product: ProductNo(product as u32),
            kind: Kind::Upsell,
            current_ticket_minor: 0,
            low_ticket_minor: 0,
            expected_ticket_minor: 0,
            high_ticket_minor: 0,
            potential_ticket_minor: 0,
            gain_minor: 0,
            probability: 0.5,
            score: 0.0,
            priority_minor: f64::from(priority),
            neighbours: 0,
            neighbours_buying: 0,
        };
        let mut row: Vec<Opportunity> = priorities.iter().enumerate().map(offer).collect();
        row.sort_by(|a, b| Order::Priority.compare(a, b));
        row.into()
    }

    proptest! {
        #[test]
        fn a_pipeline_after_any_changes_is_the_pipeline_made_anew(
            rows in prop::collection::vec(prop::collection::vec(0u8..6, 0..5), 0..8),
            changes in prop::collection::vec(
                prop::collection::btree_map(0u32..10, prop::collection::vec(0u8..6, 0..5), 0..4),
                0..5,
            ),
        ) {
            let mut rows: Vec<Arc<[Opportunity]>> =
                (0..).zip(&rows).map(|(client, priorities)| row(client, priorities)).collect();
            let mut pipeline = Pipeline::new(rows.clone());
            for changed in changes {
                let changed: Vec<_> = changed
                    .iter()
                    .map(|(&client, priorities)| (ClientNo(client), row(client, priorities)))
                    .collect();
                for (client, row) in &changed {
                    if rows.len() <= client.index() {
                        rows.resize(client.index() + 1, Arc::from([]));
                    }
                    rows[client.index()] = row.clone();
                }
                pipeline = pipeline.with_rows(changed);
                let anew = Pipeline::new(rows.clone());
                prop_assert_eq!(&pipeline.order, &anew.order);
                prop_assert!(pipeline.iter().eq(anew.iter()));
            }
        }
    }
}
