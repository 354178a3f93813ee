//! The tickets of all clients, compressed by row and by column, with an overlay of changed rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use imbl::OrdMap;

use super::quick_ln::quick_ln;
use crate::domain::{ClientNo, Day, ProductNo};

/// One ticket in a client's row: what it spends on a product per period.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cell {
    /// The product.
    pub product: ProductNo,
    /// Minor units per period, above 0 and finite.
    pub ticket: f32,
    /// The last day it was bought; `None` for a ticket that was set without a date.
    pub last_day: Option<Day>,
}

const _: () = assert!(size_of::<Cell>() == 12);

/// One ticket in a product's column: who spends it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Posting {
    /// The client.
    pub client: ClientNo,
    /// Minor units per period, above 0 and finite.
    pub ticket: f32,
}

/// Clients in a block: the sums of one subject over a block stay in a core's first cache.
pub const BLOCK: usize = 4_096;

/// The part of a product's column that lies within one block of clients, three arrays in step.
/// Rows that the overlay replaced are still in it: see [`TicketMatrix::is_changed`].
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// Numbers of the clients, rising; each below [`BLOCK`] once the block's start is taken off.
    pub clients: &'a [u32],
    /// Natural logarithms of their tickets, as [`quick_ln`] gives them.
    pub lns: &'a [f32],
    /// Their tickets.
    pub tickets: &'a [f32],
    /// Where the first of them stands among all tickets of the base.
    pub first: u32,
}

/// The numbers that bases are given.
static NEXT_BASE: AtomicU64 = AtomicU64::new(1);

/// Rows and columns in flat arrays: the part that does not change.
#[derive(Debug, Default)]
struct Base {
    /// Tells bases apart; 0 for the empty one.
    number: u64,
    row_starts: Vec<usize>,
    cells: Vec<Cell>,
    /// Blocks of clients: the rows over [`BLOCK`], rounded up.
    blocks: usize,
    /// Where the run of each product and block begins, by product, then block, and the end. A
    /// ticket takes 24 bytes and more, so that 4 G of them fit in no memory that this is made for.
    run_starts: Vec<u32>,
    clients: Vec<u32>,
    lns: Vec<f32>,
    tickets: Vec<f32>,
}

/// Rows that changed since the base was made. A persistent map, so that a copy costs nothing; there are no columns
/// of it, which every write would have to keep for the few that read one.
#[derive(Debug, Clone, Default)]
struct Overlay {
    rows: OrdMap<u32, Arc<[Cell]>>,
    /// Whether a base row is replaced, by client.
    replaced: Arc<Vec<bool>>,
    /// How many more buyers there are than the base has, by product.
    buyers_more: Arc<Vec<i32>>,
    tickets_less: usize,
    tickets_more: usize,
}

/// Clients × products. A copy is cheap and shares everything.
///
/// Invariants: a row is sorted by product without repeats; every ticket is finite and above 0; a
/// row that stands in the overlay hides the base's row of the same client in rows and columns.
#[derive(Debug, Clone, Default)]
pub struct TicketMatrix {
    clients: usize,
    products: usize,
    base: Arc<Base>,
    overlay: Overlay,
}

impl TicketMatrix {
    /// A matrix of these rows, in client order, over products `0..products`.
    ///
    /// Each row is sorted by product without repeats. Cost: the tickets, twice.
    pub fn from_rows<R: AsRef<[Cell]>>(products: usize, rows: impl IntoIterator<Item = R>) -> Self {
        Self::from_rows_with_room(products, rows, 0)
    }

    /// The same, with room for so many tickets from the beginning.
    pub fn from_rows_with_room<R: AsRef<[Cell]>>(
        products: usize,
        rows: impl IntoIterator<Item = R>,
        tickets: usize,
    ) -> Self {
        let mut base = Base {
            number: NEXT_BASE.fetch_add(1, Ordering::Relaxed),
            row_starts: vec![0],
            cells: Vec::with_capacity(tickets),
            ..Base::default()
        };
        for row in rows {
            let row = row.as_ref();
            debug_assert!(row.windows(2).all(|pair| pair[0].product < pair[1].product));
            debug_assert!(
                row.iter()
                    .all(|cell| cell.ticket > 0.0 && cell.ticket.is_finite())
            );
            base.cells.extend_from_slice(row);
            base.row_starts.push(base.cells.len());
        }
        base.transpose(products);
        Self {
            clients: base.row_starts.len() - 1,
            products,
            overlay: Overlay::default(),
            base: Arc::new(base),
        }
    }

    /// This matrix with some rows replaced or added, over at least as many clients and products.
    ///
    /// Cost: the old and new tickets of these rows, a byte a client and 4 a product; the rest is shared.
    #[must_use]
    pub fn with_rows(
        &self,
        clients: usize,
        products: usize,
        rows: impl IntoIterator<Item = (ClientNo, Arc<[Cell]>)>,
    ) -> Self {
        let mut next = self.clone();
        next.clients = clients.max(self.clients);
        next.products = products.max(self.products);
        let mut all_more = std::mem::take(&mut next.overlay.buyers_more);
        let buyers_more = Arc::make_mut(&mut all_more);
        buyers_more.resize(next.products, 0);
        for (client, row) in rows {
            debug_assert!(client.index() < next.clients);
            debug_assert!(row.windows(2).all(|pair| pair[0].product < pair[1].product));
            debug_assert!(
                row.iter()
                    .all(|cell| cell.ticket > 0.0 && cell.ticket.is_finite())
            );
            let overlay = &mut next.overlay;
            let base_row = next.base.row(client.index());
            overlay.tickets_more += row.len();
            for cell in row.iter() {
                buyers_more[cell.product.index()] += 1;
            }
            let old = overlay.rows.insert(client.0, row);
            for cell in old.as_deref().unwrap_or(base_row) {
                buyers_more[cell.product.index()] -= 1;
            }
            match old {
                Some(old) => overlay.tickets_more -= old.len(),
                None => overlay.tickets_less += base_row.len(),
            }
            if client.index() < next.base.clients() && !overlay.replaces(client) {
                let replaced = Arc::make_mut(&mut overlay.replaced);
                replaced.resize(next.base.clients(), false);
                replaced[client.index()] = true;
            }
        }
        next.overlay.buyers_more = all_more;
        next
    }

    /// The same tickets with nothing in the overlay.
    #[must_use]
    pub fn fold(&self) -> Self {
        let rows = (0..self.clients as u32).map(|client| self.row(ClientNo(client)));
        Self::from_rows_with_room(self.products, rows, self.tickets())
    }

    /// Rows that wait in the overlay.
    pub fn overlay_rows(&self) -> usize {
        self.overlay.rows.len()
    }

    /// Clients: the rows, empty ones included.
    pub fn clients(&self) -> usize {
        self.clients
    }

    /// Products: the columns, empty ones included.
    pub fn products(&self) -> usize {
        self.products
    }

    /// Tickets in all.
    pub fn tickets(&self) -> usize {
        self.base.cells.len() - self.overlay.tickets_less + self.overlay.tickets_more
    }

    /// One client's tickets, by product. Empty for a client that has none.
    pub fn row(&self, client: ClientNo) -> &[Cell] {
        match self.overlay.rows.get(&client.0) {
            Some(row) => row,
            None => self.base.row(client.index()),
        }
    }

    /// One client's ticket for a product.
    pub fn cell(&self, client: ClientNo, product: ProductNo) -> Option<&Cell> {
        let row = self.row(client);
        let at = row
            .binary_search_by_key(&product, |cell| cell.product)
            .ok()?;
        Some(&row[at])
    }

    /// How many clients buy a product.
    pub fn buyers(&self, product: ProductNo) -> u32 {
        let more = self.overlay.buyers_more.get(product.index());
        let base = self.base.column(product.index()).clients.len() as u32;
        base.saturating_add_signed(more.copied().unwrap_or(0))
    }

    /// Tells the base from those of other matrices: figures kept by [`Run::first`] are of one base.
    pub fn base_number(&self) -> u64 {
        self.base.number
    }

    /// The base's tickets for a product.
    pub fn base_column(&self, product: ProductNo) -> Run<'_> {
        self.base.column(product.index())
    }

    /// Blocks of [`BLOCK`] clients that the base has, the last one perhaps not full.
    pub fn blocks(&self) -> usize {
        self.base.blocks
    }

    /// The base's tickets for a product within one block; empty where there are none.
    pub fn run(&self, product: ProductNo, block: usize) -> Run<'_> {
        let base = &self.base;
        let at = product.index() * base.blocks + block;
        match base.run_starts.get(at..at + 2) {
            // Of a later block than the last, the place would be that of the next product's.
            Some(bounds) if block < base.blocks => base.between(bounds[0], bounds[1]),
            _ => base.between(0, 0),
        }
    }

    /// A client's tickets as the base has them, whatever the overlay says.
    pub fn base_row(&self, client: ClientNo) -> &[Cell] {
        self.base.row(client.index())
    }

    /// Whether a client's row stands in the overlay, hiding the one in the base if there is any.
    pub fn is_changed(&self, client: ClientNo) -> bool {
        match self.overlay.replaced.get(client.index()) {
            Some(replaced) => *replaced,
            None => self.overlay.rows.contains_key(&client.0),
        }
    }

    /// The rows in the overlay, by client.
    pub fn changed_rows(&self) -> impl Iterator<Item = (ClientNo, &[Cell])> {
        let rows = self.overlay.rows.iter();
        rows.map(|(client, row)| (ClientNo(*client), &row[..]))
    }
}

impl Overlay {
    /// Whether a row of the base is known to be replaced.
    fn replaces(&self, client: ClientNo) -> bool {
        self.replaced.get(client.index()).copied().unwrap_or(false)
    }
}

impl Base {
    fn clients(&self) -> usize {
        self.row_starts.len().saturating_sub(1)
    }

    fn row(&self, client: usize) -> &[Cell] {
        match self.row_starts.get(client..client + 2) {
            Some(bounds) => &self.cells[bounds[0]..bounds[1]],
            None => &[],
        }
    }

    fn column(&self, product: usize) -> Run<'_> {
        let first = product * self.blocks;
        match self.run_starts.get(first..=first + self.blocks) {
            Some(bounds) => self.between(bounds[0], bounds[self.blocks]),
            None => self.between(0, 0),
        }
    }

    fn between(&self, start: u32, end: u32) -> Run<'_> {
        let bounds = start as usize..end as usize;
        Run {
            clients: &self.clients[bounds.clone()],
            lns: &self.lns[bounds.clone()],
            tickets: &self.tickets[bounds],
            first: start,
        }
    }

    /// Fills the columns from the rows by counting: clients stay in order within a column.
    fn transpose(&mut self, products: usize) {
        let (rows, tickets) = (self.clients(), self.cells.len());
        let blocks = rows.div_ceil(BLOCK);
        let mut starts = vec![0_u32; products * blocks + 1];
        for client in 0..rows {
            for cell in self.row(client) {
                starts[cell.product.index() * blocks + client / BLOCK + 1] += 1;
            }
        }
        for run in 1..starts.len() {
            starts[run] += starts[run - 1];
        }
        let mut next = starts.clone();
        let mut clients = vec![0; tickets];
        let mut lns = vec![0.0; tickets];
        let mut amounts = vec![0.0; tickets];
        for client in 0..rows {
            for cell in self.row(client) {
                let next = &mut next[cell.product.index() * blocks + client / BLOCK];
                let at = *next as usize;
                clients[at] = client as u32;
                lns[at] = quick_ln(cell.ticket);
                amounts[at] = cell.ticket;
                *next += 1;
            }
        }
        (self.blocks, self.run_starts) = (blocks, starts);
        (self.clients, self.lns, self.tickets) = (clients, lns, amounts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Rows = Vec<Vec<f32>>;

    fn cells(dense: &[f32]) -> Arc<[Cell]> {
        let cell = |(product, &ticket): (usize, &f32)| {
            (ticket > 0.0).then_some(Cell {
                product: ProductNo(product as u32),
                ticket,
                last_day: None,
            })
        };
        dense.iter().enumerate().filter_map(cell).collect()
    }

    fn assert_same(matrix: &TicketMatrix, dense: &Rows, products: usize) {
        let ticket =
            |client: usize, product: usize| dense[client].get(product).copied().unwrap_or(0.0);
        let mut tickets = 0;
        for (client, row) in dense.iter().enumerate() {
            assert_eq!(matrix.row(ClientNo(client as u32)), cells(row).as_ref());
        }
        let columns = matrix.columns();
        for product in 0..products {
            let mut column: Vec<_> = columns
                .of(ProductNo(product as u32))
                .map(|posting| (posting.client.index(), posting.ticket))
                .collect();
            column.sort_by_key(|posting| posting.0);
            let expected: Vec<_> = (0..dense.len())
                .map(|client| (client, ticket(client, product)))
                .filter(|posting| posting.1 > 0.0)
                .collect();
            tickets += expected.len();
            let buyers = matrix.buyers(ProductNo(product as u32));
            assert_eq!(buyers as usize, expected.len());
            assert_eq!(column, expected);
        }
        assert_eq!(matrix.tickets(), tickets);
    }

    fn dense(clients: usize, products: usize) -> impl Strategy<Value = Rows> {
        let ticket = prop_oneof![2 => Just(0.0f32), 1 => 1.0f32..100.0];
        prop::collection::vec(prop::collection::vec(ticket, products), clients)
    }

    proptest! {
        #[test]
        fn overlaid_rows_read_like_a_matrix_made_of_them(
            mut rows in dense(5, 4),
            writes in prop::collection::vec((0usize..8, dense(1, 6)), 0..12),
        ) {
            let mut matrix = TicketMatrix::from_rows(4, rows.iter().map(|row| cells(row)));
            assert_same(&matrix, &rows, 4);
            for (client, mut row) in writes {
                while rows.len() <= client {
                    rows.push(Vec::new());
                }
                rows[client] = row.remove(0);
                let change = (ClientNo(client as u32), cells(&rows[client]));
                matrix = matrix.with_rows(rows.len(), 6, [change]);
                assert_same(&matrix, &rows, 6);
            }
            let folded = matrix.fold();
            prop_assert_eq!(folded.overlay_rows(), 0);
            assert_same(&folded, &rows, 6);
        }
    }
}
