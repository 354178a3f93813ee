//! The strengths of all clients, shared between versions of a book.

use std::sync::Arc;

use rayon::prelude::*;

use super::factors::{Factors, packed_len};
use crate::domain::ClientNo;
use crate::matrix::{Statistics, TicketMatrix};

/// Clients in a chunk: a write copies the chunks of the clients that it changes, and no more.
const CHUNK: usize = 256;

/// Packed strengths and scatter of all clients: 4 bytes × (factors + factors (factors + 1) / 2 + 2) a
/// client.
#[derive(Debug, Clone, Default)]
pub struct StrengthTable {
    width: usize,
    chunks: Vec<Arc<Vec<f32>>>,
}

impl StrengthTable {
    /// Finds the strengths of every client. Cost: tickets × factors².
    pub fn of(factors: &Factors, matrix: &TicketMatrix, statistics: &Statistics) -> Self {
        let width = packed_len(factors.rank());
        let chunks = matrix.clients().div_ceil(CHUNK);
        let chunk = |chunk: usize| {
            let mut packed = Vec::with_capacity(CHUNK * width);
            for client in chunk * CHUNK..(chunk + 1) * CHUNK {
                let row = matrix.row(ClientNo(client as u32));
                factors.pack(statistics, row, &mut packed);
            }
            Arc::new(packed)
        };
        Self {
            width,
            chunks: (0..chunks).into_par_iter().map(chunk).collect(),
        }
    }

    /// This table after some clients changed or were added.
    pub fn refresh(
        &self,
        factors: &Factors,
        matrix: &TicketMatrix,
        statistics: &Statistics,
        changed: impl IntoIterator<Item = ClientNo>,
    ) -> Self {
        let mut next = self.clone();
        while next.chunks.len() < matrix.clients().div_ceil(CHUNK) {
            let mut empty = Vec::with_capacity(CHUNK * next.width);
            for _ in 0..CHUNK {
                factors.pack(statistics, &[], &mut empty);
            }
            next.chunks.push(Arc::new(empty));
        }
        let mut packed = Vec::with_capacity(next.width);
        for client in changed {
            packed.clear();
            factors.pack(statistics, matrix.row(client), &mut packed);
            let (chunk, at) = (client.index() / CHUNK, client.index() % CHUNK);
            if let Some(chunk) = next.chunks.get_mut(chunk) {
                let chunk = Arc::make_mut(chunk);
                chunk[at * next.width..(at + 1) * next.width].copy_from_slice(&packed);
            }
        }
        next
    }

    /// One client's packed strengths.
    pub fn of_client(&self, client: ClientNo) -> &[f32] {
        let (chunk, at) = (client.index() / CHUNK, client.index() % CHUNK);
        &self.chunks[chunk][at * self.width..(at + 1) * self.width]
    }
}
