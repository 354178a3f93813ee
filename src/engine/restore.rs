//! A portfolio as the store has it, put back into memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use imbl::OrdMap;
use rayon::prelude::*;

use super::answers::Answers;
use super::book::Book;
use super::ledger::Ledger;
use crate::domain::{ClientNo, History, Month, Slot};
use crate::store::LoadedPortfolio;

/// The ledger of a stored portfolio. Cost: its records, and its buckets once.
pub(super) fn restore(loaded: LoadedPortfolio) -> Ledger {
    let mut book = Book::new(loaded.portfolio);
    book.sequence = loaded.sequence;
    book.facts_sequence = loaded.sequence;
    for (number, client) in loaded.clients {
        book.clients.restore(number.0, client.id.clone(), client);
    }
    book.clients.reserve(loaded.next_client.0);
    for (number, product) in loaded.products {
        book.products.restore(number.0, product.id.clone(), product);
    }
    book.products.reserve(loaded.next_product.0);
    let mut histories = vec![History::default(); book.clients.numbers()];
    count(&mut book, &loaded.histories);
    for (client, history) in loaded.histories {
        histories[client.index()] = history;
    }
    book.histories = histories.into();
    let mut next_events = OrdMap::new();
    let mut events = loaded.events;
    events.sort_by_key(|(client, number, event)| (*client, event.day, *number));
    for of_client in events.chunk_by(|a, b| a.0 == b.0) {
        let client: ClientNo = of_client[0].0;
        let last = of_client
            .iter()
            .map(|(_, number, _)| *number)
            .max()
            .unwrap_or(0);
        next_events.insert(client.0, last + 1);
        let events = of_client
            .iter()
            .map(|(_, _, event)| event.as_ref().clone())
            .collect();
        book.events.insert(client.0, Arc::new(events));
    }
    for key in loaded.api_keys {
        book.api_keys.insert(key.id, key);
    }
    for (client, product, kind, offer) in loaded.offers {
        book.offers.insert((client, product, kind), offer);
    }
    for objective in loaded.objectives {
        book.objectives.insert(objective.aim.id.clone(), objective);
    }
    Ledger::restore(
        loaded.no,
        book,
        Answers::restore(loaded.answers),
        next_events,
    )
}

/// What a book's histories come to.
#[derive(Default)]
struct Sums {
    set_tickets_minor: i128,
    sales_amount_minor: i128,
    sales: u64,
    /// Buckets by month.
    months: BTreeMap<Month, u64>,
}

impl Sums {
    fn with(mut self, history: &History) -> Self {
        for bucket in history.iter() {
            let amount = i128::from(bucket.amount_minor);
            match bucket.slot {
                Slot::SetTicket => self.set_tickets_minor += amount,
                Slot::Month(month) => {
                    self.sales_amount_minor += amount;
                    self.sales += u64::from(bucket.sales);
                    *self.months.entry(month).or_default() += 1;
                }
            }
        }
        self
    }

    fn and(mut self, other: Self) -> Self {
        self.set_tickets_minor += other.set_tickets_minor;
        self.sales_amount_minor += other.sales_amount_minor;
        self.sales += other.sales;
        for (month, buckets) in other.months {
            *self.months.entry(month).or_default() += buckets;
        }
        self
    }
}

/// Adds histories to the sums of their book. On all cores.
fn count(book: &mut Book, histories: &[(ClientNo, History)]) {
    let sums = histories
        .par_iter()
        .fold(Sums::default, |sums, (_, history)| sums.with(history))
        .reduce(Sums::default, Sums::and);
    book.figures.set_tickets_minor += sums.set_tickets_minor;
    book.figures.sales_amount_minor += sums.sales_amount_minor;
    book.figures.sales += sums.sales;
    book.months.extend(sums.months);
}
