//! What scoring needs of a book besides its tickets: statistics and encoded profiles.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Book;
use crate::domain::{Attribute, ClientNo, Text};
use crate::matrix::Statistics;
use crate::neighbours::Profiles;

/// Books up to this many tickets are measured anew after every write: it takes milliseconds.
pub(super) const SMALL_BOOK_TICKETS: usize = 50_000;

/// The measures of one book.
#[derive(Debug)]
pub struct View {
    /// Medians, sizes, spread.
    pub statistics: Statistics,
    /// Attributes of all clients, encoded.
    pub profiles: Profiles,
}

impl View {
    /// Measures a book. Cost: its tickets, three times, and its attributes.
    pub(super) fn of(book: &Book) -> Self {
        let none = BTreeMap::new();
        let numbers = 0..book.clients().numbers() as u32;
        let attributes: Vec<_> = numbers.map(|number| attributes(book, number, &none)).collect();
        Self {
            statistics: Statistics::of(book.matrix()),
            profiles: Profiles::of(&attributes),
        }
    }

    /// The measures of a book that differs from the one measured in some clients. Medians and
    /// encodings stay as they were.
    pub(super) fn refresh(&self, book: &Book, changed: &BTreeSet<ClientNo>) -> Self {
        let none = BTreeMap::new();
        let clients = book.clients().numbers();
        let profiles = changed.iter().map(|client| (*client, attributes(book, client.0, &none)));
        Self {
            statistics: self.statistics.refresh(book.matrix(), changed.iter().copied()),
            profiles: self.profiles.refresh(clients, profiles),
        }
    }
}

fn attributes<'a>(
    book: &'a Book,
    number: u32,
    none: &'a BTreeMap<Text, Attribute>,
) -> &'a BTreeMap<Text, Attribute> {
    let client: Option<&'a Arc<_>> = book.clients().get(number);
    client.map_or(none, |client| &client.attributes)
}
