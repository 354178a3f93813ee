//! A portfolio as the store has it, put back into memory.

use std::sync::Arc;

use imbl::OrdMap;

use super::answers::Answers;
use super::book::Book;
use super::ledger::Ledger;
use crate::domain::{ClientNo, History, Slot};
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
    for (client, history) in loaded.histories {
        count(&mut book, &history);
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

/// Adds a history to the sums of its book.
fn count(book: &mut Book, history: &History) {
    for bucket in history.iter() {
        let amount = i128::from(bucket.amount_minor);
        match bucket.slot {
            Slot::SetTicket => book.figures.set_tickets_minor += amount,
            Slot::Month(month) => {
                book.figures.sales_amount_minor += amount;
                book.figures.sales += u64::from(bucket.sales);
                let buckets = book.months.get(&month).copied().unwrap_or(0);
                book.months.insert(month, buckets + 1);
            }
        }
    }
}
