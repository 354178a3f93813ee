//! Who buys like whom: cosine of damped, rarity-weighted tickets, one subject against all clients.

use std::sync::Arc;

use imbl::OrdMap;

use crate::domain::{ClientNo, ProductNo};
use crate::matrix::{Cell, Statistics, TicketMatrix};

use super::everyone::Place;
use super::nearest::{Nearest, Ranked};
use super::{Profiles, Subject};

/// Clients in a block of the index: the sums of one subject over a block, and a piece of its columns, stay in
/// a core's first cache.
pub(super) const BLOCK: usize = 2_048;
/// Clients of a block that are tried at once: enough for the widest vector registers.
const LANES: usize = 16;
/// A product that so large a share of the clients buys is dense: see [`CosineIndex`].
const DENSE_SHARE: f64 = 0.1;

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
    /// Where each product stands, by product.
    places: Vec<Place>,
    densities: (usize, usize),
    blocks: usize,
    /// Where the run of each product and block of clients begins, by product, then block; and the end.
    run_starts: Vec<u32>,
    /// By product, then client: who, and what its ticket weighs.
    clients: Vec<u32>,
    weights: Vec<f32>,
    rows: usize,
}

/// A row of weights whose squares add up to 1: those of dense products first, each by product.
type Row = Vec<(ProductNo, f32)>;

/// The weights of all clients, by product, 8 bytes a ticket.
///
/// `f(c,p) = ln(1 + x(c,p) / m(p)) ln(1 + C / buyers(p))` with `x` the ticket, `m` the median
/// ticket of the product's buyers and `C` the clients; the similarity of two clients is the cosine
/// of their rows of `f`. The logarithm damps large tickets, the second factor is the inverse
/// document frequency of text search (Spärck Jones, 1972). Rows are kept divided by their length,
/// so that the cosine is their dot product; it is summed up over the products that many buy first,
/// then over the others, here as in [`NearestOfAll`](super::NearestOfAll), which wants them apart. A
/// copy is cheap and shares the base.
#[derive(Debug, Clone, Default)]
pub struct CosineIndex {
    base: Arc<Base>,
    changed: OrdMap<u32, Arc<Row>>,
    clients: usize,
}

/// What one search leaves for the next: buffers, reused.
#[derive(Debug, Default)]
pub struct CosineSearch {
    /// Of a block's clients.
    dots: Vec<f32>,
    own: Row,
    /// The subject's weights by product, 0 where it has none: for rows that changed.
    by_product: Vec<f32>,
    found: Nearest<Similar>,
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
        let dense = (DENSE_SHARE * clients as f64).max(1.0);
        let mut densities = (0, 0);
        let place = |product: u32| {
            let many = f64::from(statistics.product(ProductNo(product)).buyers) >= dense;
            let (of, count): (fn(u32) -> Place, _) = match many {
                true => (Place::Dense, &mut densities.0),
                false => (Place::Sparse, &mut densities.1),
            };
            *count += 1;
            of(*count as u32 - 1)
        };
        let mut base = Base {
            places: (0..matrix.products() as u32).map(place).collect(),
            densities,
            scales: (0..matrix.products() as u32).map(scale).collect(),
            blocks: clients.div_ceil(BLOCK),
            run_starts: vec![0],
            clients: Vec::with_capacity(matrix.tickets()),
            weights: Vec::with_capacity(matrix.tickets()),
            rows: clients,
        };
        let lengths: Vec<f32> = (0..clients as u32)
            .map(|client| base.length(matrix.row(ClientNo(client))))
            .collect();
        let columns = matrix.columns();
        let mut postings: Vec<(u32, f32)> = Vec::new();
        for product in 0..matrix.products() as u32 {
            let scale = base.scales[product as usize];
            let column = columns.of(ProductNo(product));
            postings.clear();
            postings.extend(column.map(|posting| {
                let weight = scale.weight(posting.ticket) / lengths[posting.client.index()];
                (posting.client.0, weight)
            }));
            postings.retain(|posting| posting.1 > 0.0);
            postings.sort_unstable_by_key(|posting| posting.0);
            base.push(&postings);
        }
        Self {
            base: Arc::new(base),
            changed: OrdMap::new(),
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
            let mut row = Row::new();
            self.base.weigh(matrix.row(client), &mut row);
            next.changed.insert(client.0, Arc::new(row));
        }
        next
    }

    /// What the tickets of a row weigh, their squares adding up to 1: the similarity of two clients is
    /// the dot product of their rows.
    pub fn weights_of(&self, cells: &[Cell]) -> Vec<(ProductNo, f32)> {
        let mut row = Row::new();
        self.base.weigh(cells, &mut row);
        row
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
        search.found.start(k);
        if subject.cells.is_empty() {
            self.alike(subject, profiles, &mut search.found);
        } else {
            self.accumulate(subject, search);
        }
        search.found.finish()
    }

    fn accumulate(&self, subject: &Subject<'_>, search: &mut CosineSearch) {
        let base = &self.base;
        base.weigh(subject.cells, &mut search.own);
        search.dots.resize(BLOCK, 0.0);
        for block in 0..base.blocks {
            base.add_up(block, &search.own, &mut search.dots);
            let first = block * BLOCK;
            let rows = BLOCK.min(base.rows - first);
            // The subject is not its own neighbour, and what changed is compared as it is now.
            let here = first as u32..(first + rows) as u32;
            let changed = self.changed.range(here.clone()).map(|(client, _)| *client);
            let itself = subject.client.map(|client| client.0);
            for client in changed.chain(itself.filter(|client| here.contains(client))) {
                search.dots[client as usize - first] = 0.0;
            }
            for (chunk, dots) in search.dots[..rows].chunks(LANES).enumerate() {
                let bar = -search.found.limit() as f32;
                let near = |dot: &f32| *dot > 0.0 && *dot >= bar;
                if !dots.iter().fold(false, |any, dot| any | near(dot)) {
                    continue;
                }
                for (at, &similarity) in dots.iter().enumerate() {
                    if similarity > 0.0 {
                        let client = ClientNo((first + chunk * LANES + at) as u32);
                        search.found.offer(Similar { client, similarity });
                    }
                }
            }
        }
        if self.changed.is_empty() {
            return;
        }
        search.by_product.clear();
        search.by_product.resize(base.places.len(), 0.0);
        for &(product, weight) in &search.own {
            search.by_product[product.index()] = weight;
        }
        for (&client, row) in &self.changed {
            // In the order of the columns, as the sums of a block.
            let products = row.iter();
            let similarity = products.fold(0.0, |dot, &(product, weight)| {
                dot + search.by_product[product.index()] * weight
            });
            let client = ClientNo(client);
            if similarity > 0.0 && Some(client) != subject.client {
                search.found.offer(Similar { client, similarity });
            }
        }
    }

    /// Rows that changed since [`CosineIndex::of`]; every search goes through them.
    pub fn changed_rows(&self) -> usize {
        self.changed.len()
    }

    /// Clients.
    pub(super) fn clients(&self) -> usize {
        self.clients
    }

    /// How many products are dense, and how many are not.
    pub(super) fn densities(&self) -> (usize, usize) {
        self.base.densities
    }

    /// The rows of one block of [`BLOCK`] clients, as they now are: each by place.
    pub(super) fn rows(&self, block: usize) -> Vec<Vec<(Place, f32)>> {
        let first = block * BLOCK;
        let mut rows = vec![Vec::new(); BLOCK.min(self.clients - first)];
        for (product, place) in self.base.places.iter().enumerate() {
            let (clients, weights) = self.base.run(product, block);
            for (&client, &weight) in clients.iter().zip(weights) {
                rows[client as usize - first].push((*place, weight));
            }
        }
        let last = (first + rows.len()) as u32;
        for (&client, row) in self.changed.range(first as u32..last) {
            let known = row.iter();
            let place = |&(product, weight): &(ProductNo, f32)| {
                let place = self.base.places.get(product.index())?;
                Some((*place, weight))
            };
            rows[client as usize - first] = known.filter_map(place).collect();
        }
        rows
    }

    fn alike(&self, subject: &Subject<'_>, profiles: &Profiles, found: &mut Nearest<Similar>) {
        if subject.profile.is_empty() {
            return;
        }
        for client in 0..self.clients as u32 {
            let client = ClientNo(client);
            let (difference, shared) = subject.profile.difference(&profiles.of_client(client));
            let similarity = 1.0 - difference / shared.max(1) as f32;
            if shared > 0 && similarity > 0.0 && Some(client) != subject.client {
                found.offer(Similar { client, similarity });
            }
        }
    }
}

impl Ranked for Similar {
    fn farness(&self) -> f64 {
        -f64::from(self.similarity)
    }

    fn client(&self) -> ClientNo {
        self.client
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

    /// Adds the next product's column, by client.
    fn push(&mut self, postings: &[(u32, f32)]) {
        let first = self.clients.len();
        for block in 1..=self.blocks {
            let end = postings.partition_point(|posting| (posting.0 as usize) < block * BLOCK);
            self.run_starts.push((first + end) as u32);
        }
        self.clients
            .extend(postings.iter().map(|posting| posting.0));
        self.weights
            .extend(postings.iter().map(|posting| posting.1));
    }

    /// A row's weights, divided by its length.
    fn weigh(&self, cells: &[Cell], row: &mut Row) {
        let length = self.length(cells);
        let weighed = cells.iter();
        row.clear();
        row.extend(weighed.map(|cell| (cell.product, self.weight(cell) / length)));
        row.retain(|own| own.1 > 0.0);
        row.sort_by_key(|own| (!self.is_dense(own.0), own.0));
    }

    fn is_dense(&self, product: ProductNo) -> bool {
        matches!(self.places.get(product.index()), Some(Place::Dense(_)))
    }

    /// A product's postings within one block.
    fn run(&self, product: usize, block: usize) -> (&[u32], &[f32]) {
        let at = product * self.blocks + block;
        let Some(bounds) = self.run_starts.get(at..at + 2) else {
            return (&[], &[]);
        };
        let run = bounds[0] as usize..bounds[1] as usize;
        (&self.clients[run.clone()], &self.weights[run])
    }

    /// The dot products of one block's clients with a subject, by their place in it.
    fn add_up(&self, block: usize, own: &Row, dots: &mut [f32]) {
        // An array's length is known, so that a place in the block needs no check.
        let Ok(dots) = <&mut [f32; BLOCK]>::try_from(dots) else {
            return;
        };
        dots.fill(0.0);
        for &(product, own) in own {
            let (clients, weights) = self.run(product.index(), block);
            for (&client, &weight) in clients.iter().zip(weights) {
                dots[client as usize % BLOCK] += own * weight;
            }
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
    use crate::neighbours::NearestOfAll;
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
        let row = |cells: &[Cell]| {
            let mut row = Row::new();
            index.base.weigh(cells, &mut row);
            row
        };
        let own = row(subject.cells);
        let mut found: Vec<Similar> = (0..matrix.clients() as u32)
            .map(ClientNo)
            .filter(|&client| Some(client) != subject.client)
            .map(|client| {
                let other = row(matrix.row(client));
                let similarity = own.iter().fold(0.0, |dot, one| {
                    let same = other.iter().find(|other| other.0 == one.0);
                    dot + same.map_or(0.0, |other| one.1 * other.1)
                });
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
            let all = NearestOfAll::of_index(&index, k);
            let mut search = CosineSearch::default();
            for client in 0..matrix.clients() as u32 {
                let subject = Subject::existing(&matrix, &profiles, ClientNo(client));
                let found = index.nearest(&subject, &profiles, k, &mut search);
                prop_assert_eq!(found, slow(&index, &matrix, &subject, k));
                if !subject.cells.is_empty() {
                    prop_assert_eq!(found, all.of(ClientNo(client)));
                }
            }
        }
    }
}
