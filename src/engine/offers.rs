//! Offers in the ledger: what was shown, and what became of it.

use std::sync::Arc;

use super::ledger::Ledger;
use super::sales::NAMED_VIOLATIONS;
use super::{EngineError, OfferId, OfferKey, Refusal};
use crate::domain::{ClientNo, ProductNo, ReportedOutcome, Showing, Violation};
use crate::store::Change;

impl Ledger {
    /// Works outcomes in; all of them or none.
    pub(super) fn record_outcomes(
        &mut self,
        outcomes: &[(OfferId, ReportedOutcome)],
        changes: &mut Vec<Change>,
    ) -> Result<(u32, u32), EngineError> {
        let mut violations = Vec::new();
        let mut offers = self.book.offers.clone();
        let mut touched = Vec::with_capacity(outcomes.len());
        let (mut created, mut replaced) = (0, 0);
        for (at, (id, outcome)) in outcomes.iter().enumerate() {
            if violations.len() >= NAMED_VIOLATIONS {
                break;
            }
            let field = |name: &str| format!("outcomes[{at}].{name}");
            let client = self.book.clients.number(&id.client);
            let product = self.book.products.number(&id.product);
            if client.is_none() {
                let reason = format!(
                    "names the client '{}', which is not in the portfolio; add it with BatchUpsertClients",
                    id.client
                );
                violations.push(Violation::new(field("client_id"), reason));
            }
            if product.is_none() {
                let reason = format!(
                    "names the product '{}', which is not in the portfolio; add it with BatchUpsertProducts",
                    id.product
                );
                violations.push(Violation::new(field("product_id"), reason));
            }
            let (Some(client), Some(product)) = (client, product) else {
                continue;
            };
            let key: OfferKey = (ClientNo(client), ProductNo(product), id.kind);
            let mut offer = offers
                .get(&key)
                .map_or_else(Default::default, |offer| offer.as_ref().clone());
            match offer.report(outcome.clone()) {
                Ok(true) => created += 1,
                Ok(false) => replaced += 1,
                Err(error) => violations.push(Violation::new(field("date"), error.to_string())),
            }
            offers.insert(key, Arc::new(offer));
            touched.push(key);
        }
        if !violations.is_empty() {
            return Err(Refusal::Invalid(violations).into());
        }
        self.book.offers = offers;
        self.put_offers(touched, changes);
        Ok((created, replaced))
    }

    /// Works showings in. A client or product that went since the list was made is no error: what
    /// was shown of it goes with it.
    pub(super) fn log_showings(
        &mut self,
        showings: &[(OfferId, Showing)],
        changes: &mut Vec<Change>,
    ) -> (u32, u32) {
        let mut touched = Vec::with_capacity(showings.len());
        for (id, showing) in showings {
            let (Some(client), Some(product)) = (
                self.book.clients.number(&id.client),
                self.book.products.number(&id.product),
            ) else {
                continue;
            };
            let key: OfferKey = (ClientNo(client), ProductNo(product), id.kind);
            let offer = self.book.offers.entry(key).or_default();
            if Arc::make_mut(offer).show(*showing) {
                touched.push(key);
            }
        }
        let shown = touched.len() as u32;
        self.put_unchanging(touched, changes);
        (shown, showings.len() as u32 - shown)
    }

    /// Makes offers durable whose outcomes changed what may be offered to their clients.
    fn put_offers(&mut self, touched: Vec<OfferKey>, changes: &mut Vec<Change>) {
        for (client, ..) in &touched {
            self.changed.client(*client);
        }
        self.put_unchanging(touched, changes);
    }

    fn put_unchanging(&self, mut touched: Vec<OfferKey>, changes: &mut Vec<Change>) {
        touched.sort_unstable();
        touched.dedup();
        for key in touched {
            if let Some(offer) = self.book.offers.get(&key) {
                changes.push(Change::PutOffer(key.0, key.1, key.2, offer.clone()));
            }
        }
    }
}
