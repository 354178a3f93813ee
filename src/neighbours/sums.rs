//! One subject against all clients, block by block.

use super::distance::{Sum, Within};
use crate::domain::{ClientNo, ProductNo};
use crate::matrix::{BLOCK, TicketMatrix};

/// The sums of all clients of a matrix's base against the subject, by client: 8 bytes each.
#[derive(Debug, Default)]
pub(super) struct Sums(Vec<Sum>);

impl Sums {
    /// Makes room for whole blocks of a matrix's clients.
    pub(super) fn start(&mut self, matrix: &TicketMatrix) {
        let clients = matrix.clients().next_multiple_of(BLOCK);
        self.0.resize(clients, Sum::default());
    }

    /// Sums up one block.
    pub(super) fn add_up(&mut self, matrix: &TicketMatrix, block: usize, own: &[(ProductNo, f32)]) {
        let Some(sums) = self.0[block * BLOCK..].first_chunk_mut::<BLOCK>() else {
            return;
        };
        sums.fill(Sum::default());
        for &(product, own) in own {
            let run = matrix.run(product, block);
            for (&client, &ln) in run.clients.iter().zip(run.lns) {
                // The array's length is known, so that a place in the block needs no check.
                let sum = &mut sums[client as usize % BLOCK];
                *sum = sum.and(Sum::of(own - ln));
            }
        }
    }

    /// The sums of one block's clients, by their place in it.
    #[inline]
    pub(super) fn of_block(&self, block: usize) -> Option<&[Sum; BLOCK]> {
        self.0[block * BLOCK..].first_chunk()
    }

    /// Takes a client out of those that may be near: it is within no limit.
    pub(super) fn pass_over(&mut self, client: ClientNo) {
        if let Some(sum) = self.0.get_mut(client.index()) {
            *sum = Within::NOBODY;
        }
    }

    #[inline]
    pub(super) fn of(&self, client: ClientNo) -> Sum {
        self.0[client.index()]
    }
}
