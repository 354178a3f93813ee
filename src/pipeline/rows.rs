//! The rows of a pipeline by client, in pieces: one that differs in a few rows shares all other pieces with it.

use std::ops::Index;
use std::sync::Arc;

use super::OfferRow;
use crate::domain::ClientNo;

/// Rows in a piece. A change copies the pieces that it falls into, and 16 bytes for each other one.
const PIECE: usize = if cfg!(test) { 4 } else { 64 };

/// A row for each client, by number; those of later clients are empty.
///
/// Invariant: no piece is longer than [`PIECE`], and none but the last is shorter.
#[derive(Debug, Clone, Default)]
pub(super) struct Rows {
    pieces: Vec<Arc<[OfferRow]>>,
}

impl Rows {
    /// Of rows in client order.
    pub(super) fn of(rows: Vec<OfferRow>) -> Self {
        let pieces = rows.chunks(PIECE).map(Arc::from);
        Self {
            pieces: pieces.collect(),
        }
    }

    /// Numbers of clients below this have a row.
    pub(super) fn len(&self) -> usize {
        let full = self.pieces.len().saturating_sub(1) * PIECE;
        full + self.pieces.last().map_or(0, |last| last.len())
    }

    /// One client's row.
    pub(super) fn get(&self, client: ClientNo) -> Option<&OfferRow> {
        let piece = self.pieces.get(client.index() / PIECE)?;
        piece.get(client.index() % PIECE)
    }

    /// Puts a row in the place of a client's.
    pub(super) fn set(&mut self, client: ClientNo, row: OfferRow) {
        let (piece, at) = (client.index() / PIECE, client.index() % PIECE);
        // Clients come one after the other: no more than a few rows are missing.
        while self.pieces.len() <= piece {
            self.fill_up(PIECE);
            self.pieces.push(Arc::from([]));
        }
        if piece + 1 == self.pieces.len() {
            self.fill_up(at + 1);
        }
        Arc::make_mut(&mut self.pieces[piece])[at] = row;
    }

    /// Gives the last piece at least so many rows.
    fn fill_up(&mut self, len: usize) {
        let Some(last) = self.pieces.last_mut().filter(|last| last.len() < len) else {
            return;
        };
        let missing = std::iter::repeat_with(OfferRow::default).take(len - last.len());
        *last = last.iter().cloned().chain(missing).collect();
    }
}

impl Index<ClientNo> for Rows {
    type Output = OfferRow;

    /// The row of a client below [`Rows::len`].
    #[inline]
    fn index(&self, client: ClientNo) -> &OfferRow {
        &self.pieces[client.index() / PIECE][client.index() % PIECE]
    }
}
