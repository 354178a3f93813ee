//! What was shown, logged before it is.

use std::borrow::Borrow;

use tonic::Status;

use super::Api;
use super::access::Caller;
use crate::domain::{Opportunity, PortfolioId, Showing};
use crate::engine::{Book, OfferId, Write, today};
use crate::outcome::Correction;

impl Api {
    /// Logs what was shown, before it is: an answer whose showing is not kept would bend the report.
    pub(super) async fn log(
        &self,
        caller: &Caller,
        portfolio: PortfolioId,
        showings: Vec<(OfferId, Showing)>,
    ) -> Result<(), Status> {
        if showings.is_empty() {
            return Ok(());
        }
        let write = Write::LogShowings(showings);
        self.gate.write(caller, portfolio, None, write).await?;
        Ok(())
    }
}

/// Opportunities as they are logged: shown today, or held out.
pub(super) fn showings<O: Borrow<Opportunity>>(
    book: &Book,
    correction: Correction,
    rows: impl Iterator<Item = (O, bool)>,
) -> Vec<(OfferId, Showing)> {
    let day = today();
    let showing = |(row, held_out): (O, bool)| {
        let row: &Opportunity = row.borrow();
        let client = book.clients().get(row.client.0)?;
        let product = book.products().get(row.product.0)?;
        let offer = OfferId {
            client: client.id.clone(),
            product: product.id.clone(),
            kind: row.kind,
        };
        let showing = Showing {
            day,
            probability: row.probability,
            history_probability: match row.kind.sells() {
                true => correction.undo(row.probability),
                false => row.probability,
            },
            potential_minor: row.potential_ticket_minor,
            gain_minor: row.gain_minor,
            held_out,
        };
        Some((offer, showing))
    };
    rows.filter_map(showing).collect()
}
