//! The columns of a matrix, for whoever goes through many of them.

use super::{Posting, TicketMatrix};
use crate::domain::{ClientNo, ProductNo};

/// The columns of a matrix: those of its base, and the rows of its overlay laid out by product.
#[derive(Debug)]
pub struct Columns<'a> {
    matrix: &'a TicketMatrix,
    /// Where the tickets of each product begin in `changed`, and the end.
    starts: Vec<u32>,
    changed: Vec<Posting>,
}

impl TicketMatrix {
    /// All columns. Cost: the tickets of the overlay, and 4 bytes a product.
    pub fn columns(&self) -> Columns<'_> {
        let mut starts = vec![0_u32; self.products() + 1];
        for (_, row) in self.changed_rows() {
            for cell in row {
                starts[cell.product.index() + 1] += 1;
            }
        }
        for product in 1..starts.len() {
            starts[product] += starts[product - 1];
        }
        let nobody = Posting {
            client: ClientNo(0),
            ticket: 0.0,
        };
        let mut changed = vec![nobody; starts[self.products()] as usize];
        let mut next = starts.clone();
        for (client, row) in self.changed_rows() {
            for cell in row {
                let at = &mut next[cell.product.index()];
                changed[*at as usize] = Posting {
                    client,
                    ticket: cell.ticket,
                };
                *at += 1;
            }
        }
        Columns {
            matrix: self,
            starts,
            changed,
        }
    }
}

impl Columns<'_> {
    /// A product's tickets, each client once: those of the base by client, then those of the overlay by client.
    /// Cost: these, and those of the base that are hidden.
    pub fn of(&self, product: ProductNo) -> impl Iterator<Item = Posting> {
        let base = self.matrix.base_column(product);
        let base = base.clients.iter().zip(base.tickets);
        let base = base.map(|(&client, &ticket)| Posting {
            client: ClientNo(client),
            ticket,
        });
        let hides = self.matrix.overlay_rows() > 0;
        let kept = base.filter(move |posting| !(hides && self.matrix.is_changed(posting.client)));
        let changed = match self.starts.get(product.index()..product.index() + 2) {
            Some(bounds) => &self.changed[bounds[0] as usize..bounds[1] as usize],
            None => &[],
        };
        kept.chain(changed.iter().copied())
    }
}
