//! All opportunities of a portfolio, by client and in order of priority.

use std::sync::Arc;

use super::Order;
use crate::domain::{ClientNo, Opportunity};

/// Where an opportunity stands: its client and its place in the client's row.
type Place = (u32, u32);

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
            order.extend((0..row.len() as u32).map(|at| (client as u32, at)));
        }
        let at = |place: &Place| &rows[place.0 as usize][place.1 as usize];
        order.sort_by(|a, b| Order::Priority.compare(at(a), at(b)));
        Self {
            rows,
            order: order.into(),
        }
    }

    /// This pipeline with some clients' rows replaced or added. Cost: a sort of a list in which all
    /// but these rows stand in order already.
    #[must_use]
    pub fn with_rows(
        &self,
        changed: impl IntoIterator<Item = (ClientNo, Arc<[Opportunity]>)>,
    ) -> Self {
        let mut rows = self.rows.clone();
        for (client, row) in changed {
            if rows.len() <= client.index() {
                rows.resize(client.index() + 1, Arc::from([]));
            }
            rows[client.index()] = row;
        }
        Self::new(rows)
    }

    /// One client's opportunities, by priority.
    pub fn of(&self, client: ClientNo) -> &[Opportunity] {
        self.rows.get(client.index()).map_or(&[], |row| row)
    }

    /// All opportunities, best first.
    pub fn iter(&self) -> impl Iterator<Item = &Opportunity> {
        self.order
            .iter()
            .map(|place| &self.rows[place.0 as usize][place.1 as usize])
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
