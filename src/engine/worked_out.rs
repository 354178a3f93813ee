//! Offers that were worked out on request, kept until the pipeline has them.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Advice;
use super::moments::Moment;
use super::scoring::Model;
use crate::domain::{ClientNo, Day, Shortfall};
use crate::pipeline::OfferRow;

/// The most clients whose offers are kept: with as many at once all are let go, and those asked for again kept anew.
const MOST: usize = 1_024;

/// Offers that sell, by client, where they are newer than the pipeline's.
#[derive(Debug, Default)]
pub(super) struct WorkedOut(Mutex<HashMap<ClientNo, Worked>>);

/// What one client's offers follow from, and what they are.
#[derive(Debug)]
struct Worked {
    model: Arc<Model>,
    today: Day,
    facts_sequence: u64,
    shortfalls: BTreeSet<Shortfall>,
    offers: OfferRow,
}

impl WorkedOut {
    /// The offers of a client at a moment by a model on a day, where they were worked out and nothing that
    /// concerns the client was written since.
    pub(super) fn find(
        &self,
        moment: &Moment,
        model: &Arc<Model>,
        today: Day,
        client: ClientNo,
    ) -> Option<(BTreeSet<Shortfall>, OfferRow)> {
        let kept = self.lock();
        let worked = kept.get(&client)?;
        let is_true = moment.is_served_by(client, worked.facts_sequence)
            && worked.today == today
            && Arc::ptr_eq(&worked.model, model);
        is_true.then(|| (worked.shortfalls.clone(), worked.offers.clone()))
    }

    /// Keeps the offers of a client that were worked out at a moment.
    pub(super) fn keep(
        &self,
        moment: &Moment,
        model: &Arc<Model>,
        today: Day,
        client: ClientNo,
        advice: &Advice,
    ) {
        let worked = Worked {
            model: model.clone(),
            today,
            facts_sequence: moment.book.facts_sequence(),
            shortfalls: advice.shortfalls.clone(),
            offers: OfferRow::of(advice.opportunities.clone()),
        };
        let mut kept = self.lock();
        if kept.len() >= MOST {
            kept.clear();
        }
        kept.insert(client, worked);
    }

    /// Lets go what a pipeline by this model, of this state of the book, has.
    pub(super) fn forget(&self, model: &Arc<Model>, facts_sequence: u64) {
        self.lock().retain(|_, worked| {
            Arc::ptr_eq(&worked.model, model) && worked.facts_sequence > facts_sequence
        });
    }

    /// A poisoned lock guards a map that no step leaves half done.
    fn lock(&self) -> MutexGuard<'_, HashMap<ClientNo, Worked>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::moments::tests::{CLIENTS, Writing};
    use super::super::tenant::Tenant;
    use super::*;
    use crate::domain::{Kind, Opportunity};

    /// An upsell follows from the tickets that its client has now.
    fn is_of_now(tenant: &Tenant, offers: &[Opportunity]) -> bool {
        let book = tenant.book();
        let is_now = |offer: &Opportunity| {
            let lines = book.tickets(offer.client);
            let own = lines.iter().find(|line| line.product == offer.product);
            own.map(|line| line.ticket_minor) == Some(offer.current_ticket_minor)
        };
        let mut upsells = offers.iter().filter(|offer| offer.kind == Kind::Upsell);
        upsells.all(is_now)
    }

    #[test]
    fn what_was_worked_out_is_given_again_until_its_client_is_written_and_then_is_the_pipelines() {
        let (mut writing, book) = Writing::begin();
        let tenant = Tenant::new(book);
        tenant.score().unwrap();
        let mut state = 11_u64;
        let mut draw = |end: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) as usize % end
        };
        let mut offered = 0;
        for step in 0..400 {
            let client = draw(CLIENTS / 10);
            match draw(8) {
                0..=2 => {
                    let (book, changed) = writing.set(client..client + 1, 700 + step);
                    tenant.publish(book, changed);
                    let moment = tenant.moment();
                    assert!(
                        tenant
                            .advice_kept(&moment, ClientNo(client as u32))
                            .is_none()
                    );
                }
                3 => {
                    let client = ClientNo(client as u32);
                    let before = tenant.advise(&tenant.moment(), client).unwrap();
                    let scored = tenant.score().unwrap();
                    assert_eq!(scored.pipeline.of(client), before.opportunities);
                    assert!(is_of_now(
                        &tenant,
                        &scored.pipeline.iter().collect::<Vec<_>>()
                    ));
                    let now = scored.moment.book.facts_sequence();
                    let later = |worked: &Worked| worked.facts_sequence > now;
                    assert!(tenant.worked_out().lock().values().all(later));
                }
                _ => {
                    let client = ClientNo(client as u32);
                    let advice = tenant.advise(&tenant.moment(), client).unwrap();
                    let again = tenant.advice_kept(&tenant.moment(), client);
                    assert_eq!(again.as_ref(), Some(&advice));
                    assert!(is_of_now(&tenant, &advice.opportunities));
                    offered += advice.opportunities.len();
                }
            }
        }
        assert!(offered > 100, "{offered}");
    }
}
