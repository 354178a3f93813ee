//! Who buys like whom: cosine of damped, rarity-weighted tickets, one subject against all clients.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::{ClientNo, ProductNo};
use crate::matrix::{Cell, Statistics, TicketMatrix};

use super::{Profiles, Subject};

/// A client whose purchases resemble the subject's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Similar {
    /// Who.
    pub client: ClientNo,
    /// Cosine of the two clients' weights, above 0, at most 1 (but for rounding).
    pub similarity: f32,
}

/// What a ticket of each product weighs in a similarity.
#[derive(Debug, Clone, Copy, Default)]
struct Scale {
    ln_median: f32,
    /// `ln(1 + clients / buyers)`; 0 for a product without buyers when the index was made.
    rarity: f32,
}

#[derive(Debug, Default)]
struct Base {
    scales: Vec<Scale>,
    starts: Vec<usize>,
    /// By product: client and weight.
    postings: Vec<(u32, f32)>,
    /// Euclidean length of each client's weights.
    lengths: Vec<f32>,
}

#[derive(Debug, Clone)]
struct Changed {
    weights: Arc<[(u32, f32)]>,
    length: f32,
}

/// The weights of all clients, by product, 8 bytes a ticket.
///
/// `f(c,p) = ln(1 + x(c,p) / m(p)) ln(1 + C / buyers(p))` with `x` the ticket, `m` the median
/// ticket of the product's buyers and `C` the clients; the similarity of two clients is the cosine
/// of their rows of `f`. The logarithm damps large tickets, the second factor is the inverse
/// document frequency of text search (Spärck Jones, 1972). A copy is cheap and shares the base.
#[derive(Debug, Clone, Default)]
pub struct CosineIndex {
    base: Arc<Base>,
    changed: BTreeMap<u32, Changed>,
    clients: usize,
}

/// What one search leaves for the next: sums by client, reused.
#[derive(Debug, Default)]
pub struct CosineSearch {
    dots: Vec<f32>,
    touched: Vec<u32>,
    subject: Vec<f32>,
    found: Vec<Similar>,
}

impl CosineIndex {
    /// Weighs all tickets of a matrix. Cost: the tickets, twice.
    pub fn of(matrix: &TicketMatrix, statistics: &Statistics) -> Self {
        let clients = matrix.clients();
        let scale = |product: u32| {
            let product = statistics.product(ProductNo(product));
            if product.buyers == 0 {
                return Scale::default();
            }
            Scale {
                ln_median: product.ln_median as f32,
                rarity: (clients as f64 / f64::from(product.buyers)).ln_1p() as f32,
            }
        };
        let mut base = Base {
            scales: (0..matrix.products() as u32).map(scale).collect(),
            starts: vec![0],
            postings: Vec::with_capacity(matrix.tickets()),
            lengths: vec![0.0; clients],
        };
        for product in 0..matrix.products() as u32 {
            let start = base.postings.len();
            let scale = base.scales[product as usize];
            base.postings.extend(
                matrix
                    .column(ProductNo(product))
                    .map(|posting| (posting.client.0, scale.weight(posting.ticket))),
            );
            base.postings[start..].sort_unstable_by_key(|posting| posting.0);
            base.starts.push(base.postings.len());
        }
        for client in 0..clients as u32 {
            base.lengths[client as usize] = base.length(matrix.row(ClientNo(client)));
        }
        Self {
            base: Arc::new(base),
            changed: BTreeMap::new(),
            clients,
        }
    }

    /// The same index with some clients' rows as they now stand in the matrix.
    ///
    /// Medians and rarities stay those of the last [`CosineIndex::of`]; products that had no buyer
    /// then weigh nothing. Cost: the tickets of these clients.
    #[must_use]
    pub fn refresh(
        &self,
        matrix: &TicketMatrix,
        changed: impl IntoIterator<Item = ClientNo>,
    ) -> Self {
        let mut next = self.clone();
        next.clients = matrix.clients().max(self.clients);
        for client in changed {
            let row = matrix.row(client);
            let weights = row
                .iter()
                .map(|cell| (cell.product.0, self.base.weight(cell)))
                .collect();
            let length = self.base.length(row);
            next.changed.insert(client.0, Changed { weights, length });
        }
        next
    }

    /// The `k` clients most similar to a subject, most similar first, ties by client number; the
    /// subject itself and clients that share nothing with it are left out.
    ///
    /// A subject without tickets is compared by its attributes: similarity `1 - d`, with `d` the
    /// mean difference of the attributes that both have; with no attributes nobody is found.
    /// Cost: the postings of the subject's products (of the attributes: all clients).
    pub fn nearest<'s>(
        &self,
        subject: &Subject<'_>,
        profiles: &Profiles,
        k: usize,
        search: &'s mut CosineSearch,
    ) -> &'s [Similar] {
        search.found.clear();
        if subject.cells.is_empty() {
            self.alike(subject, profiles, &mut search.found);
        } else {
            self.accumulate(subject, search);
        }
        let found = &mut search.found;
        let nearer = |a: &Similar, b: &Similar| {
            b.similarity
                .total_cmp(&a.similarity)
                .then(a.client.cmp(&b.client))
        };
        if k < found.len() {
            found.select_nth_unstable_by(k, nearer);
            found.truncate(k);
        }
        found.sort_unstable_by(nearer);
        found
    }

    fn accumulate(&self, subject: &Subject<'_>, search: &mut CosineSearch) {
        let base = &self.base;
        let own_length = base.length(subject.cells);
        search.dots.resize(self.clients, 0.0);
        for cell in subject.cells {
            let own = base.weight(cell);
            if own <= 0.0 {
                continue;
            }
            for &(client, weight) in base.column(cell.product) {
                let dot = &mut search.dots[client as usize];
                if *dot == 0.0 {
                    search.touched.push(client);
                }
                *dot += own * weight;
            }
        }
        for client in search.touched.drain(..) {
            let dot = std::mem::take(&mut search.dots[client as usize]);
            let length = base.lengths[client as usize] * own_length;
            let stale = !self.changed.is_empty() && self.changed.contains_key(&client);
            if dot > 0.0 && length > 0.0 && !stale {
                let client = ClientNo(client);
                let similarity = dot / length;
                search.found.push(Similar { client, similarity });
            }
        }
        if !self.changed.is_empty() {
            self.compare_changed(subject, own_length, search);
        }
        search
            .found
            .retain(|near| Some(near.client) != subject.client);
    }

    /// Rows that changed since the base was made, each against the subject's spread-out weights.
    fn compare_changed(&self, subject: &Subject<'_>, own_length: f32, search: &mut CosineSearch) {
        let base = &self.base;
        search.subject.resize(base.scales.len(), 0.0);
        for cell in subject.cells {
            if let Some(place) = search.subject.get_mut(cell.product.index()) {
                *place = base.weight(cell);
            }
        }
        for (&client, row) in &self.changed {
            let own = |product: u32| search.subject.get(product as usize).copied();
            let dot: f32 = row
                .weights
                .iter()
                .map(|&(product, weight)| own(product).unwrap_or(0.0) * weight)
                .sum();
            let length = row.length * own_length;
            if dot > 0.0 && length > 0.0 {
                let client = ClientNo(client);
                let similarity = dot / length;
                search.found.push(Similar { client, similarity });
            }
        }
        for cell in subject.cells {
            if let Some(place) = search.subject.get_mut(cell.product.index()) {
                *place = 0.0;
            }
        }
    }

    fn alike(&self, subject: &Subject<'_>, profiles: &Profiles, found: &mut Vec<Similar>) {
        if subject.profile.is_empty() {
            return;
        }
        for client in 0..self.clients as u32 {
            let client = ClientNo(client);
            let (difference, shared) = subject.profile.difference(&profiles.of_client(client));
            let similarity = 1.0 - difference / shared.max(1) as f32;
            if shared > 0 && similarity > 0.0 && Some(client) != subject.client {
                found.push(Similar { client, similarity });
            }
        }
    }
}

impl Base {
    fn weight(&self, cell: &Cell) -> f32 {
        self.scales
            .get(cell.product.index())
            .map_or(0.0, |scale| scale.weight(cell.ticket))
    }

    fn length(&self, row: &[Cell]) -> f32 {
        let squares = row.iter().map(|cell| self.weight(cell).powi(2));
        squares.sum::<f32>().sqrt()
    }

    fn column(&self, product: ProductNo) -> &[(u32, f32)] {
        match self.starts.get(product.index()..product.index() + 2) {
            Some(bounds) => &self.postings[bounds[0]..bounds[1]],
            None => &[],
        }
    }
}

impl Scale {
    fn weight(self, ticket: f32) -> f32 {
        if self.rarity <= 0.0 {
            return 0.0;
        }
        // A ticket is at most 1e20 times a median, or far less: neither overflows.
        (ticket.ln() - self.ln_median)
            .clamp(-40.0, 40.0)
            .exp()
            .ln_1p()
            * self.rarity
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row(tickets: &[f32]) -> Arc<[Cell]> {
        let cell = |(product, &ticket): (usize, &f32)| {
            (ticket > 0.0).then_some(Cell {
                product: ProductNo(product as u32),
                ticket,
                last_day: None,
            })
        };
        tickets.iter().enumerate().filter_map(cell).collect()
    }

    /// All clients, each compared product by product, sorted whole.
    fn slow(
        index: &CosineIndex,
        matrix: &TicketMatrix,
        subject: &Subject<'_>,
        k: usize,
    ) -> Vec<Similar> {
        let length = |cells: &[Cell]| {
            let squares = cells.iter().map(|cell| index.base.weight(cell).powi(2));
            squares.sum::<f32>().sqrt()
        };
        let mut found: Vec<Similar> = (0..matrix.clients() as u32)
            .map(ClientNo)
            .filter(|&client| Some(client) != subject.client)
            .map(|client| {
                let own = matrix.row(client);
                let dot = subject.cells.iter().fold(0.0, |dot, cell| {
                    let other = own.iter().find(|other| other.product == cell.product);
                    dot + other.map_or(0.0, |other| {
                        index.base.weight(cell) * index.base.weight(other)
                    })
                });
                let similarity = dot / (length(own) * length(subject.cells));
                Similar { client, similarity }
            })
            .filter(|near| near.similarity > 0.0)
            .collect();
        found.sort_by(|a, b| {
            let falling = b.similarity.total_cmp(&a.similarity);
            falling.then(a.client.cmp(&b.client))
        });
        found.truncate(k);
        found
    }

    fn dense(clients: usize) -> impl Strategy<Value = Vec<Vec<f32>>> {
        let ticket = prop_oneof![2 => Just(0.0f32), 1 => Just(7.0f32), 2 => 1.0f32..100.0];
        prop::collection::vec(prop::collection::vec(ticket, 6), 1..clients)
    }

    proptest! {
        #[test]
        fn the_nearest_are_those_of_a_comparison_with_everybody(
            rows in dense(12),
            changes in prop::collection::vec((0usize..14, dense(2)), 0..4),
            k in 1usize..15,
        ) {
            let mut matrix = TicketMatrix::from_rows(6, rows.iter().map(|tickets| row(tickets)));
            let statistics = Statistics::of(&matrix);
            let mut index = CosineIndex::of(&matrix, &statistics);
            for (client, mut tickets) in changes {
                let client = ClientNo(client as u32);
                let clients = matrix.clients().max(client.index() + 1);
                matrix = matrix.with_rows(clients, 6, [(client, row(&tickets.remove(0)))]);
                index = index.refresh(&matrix, [client]);
            }
            let profiles = Profiles::default();
            let mut search = CosineSearch::default();
            for client in 0..matrix.clients() as u32 {
                let subject = Subject::existing(&matrix, &profiles, ClientNo(client));
                let found = index.nearest(&subject, &profiles, k, &mut search);
                prop_assert_eq!(found, slow(&index, &matrix, &subject, k));
            }
        }
    }
}
