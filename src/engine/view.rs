//! What scoring needs of a book besides its tickets: statistics and encoded profiles.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Book;
use crate::domain::{Attribute, ClientNo, Product, Text};
use crate::matrix::Statistics;
use crate::neighbours::{CosineIndex, Profiles};
use crate::recommend::ProductTraits;

/// Books up to this many tickets are measured anew after every write: it takes milliseconds.
pub(super) const SMALL_BOOK_TICKETS: usize = if cfg!(test) { 5_000 } else { 50_000 };

/// The measures of one book.
#[derive(Debug)]
pub struct View {
    /// Medians, sizes, spread.
    pub statistics: Statistics,
    /// Attributes of all clients, encoded.
    pub profiles: Profiles,
    /// Tickets weighed for the cosine.
    pub cosine: CosineIndex,
    /// What products are, by number.
    pub products: Vec<ProductTraits>,
}

impl View {
    /// Measures a book. Cost: its tickets, three times, and its attributes.
    pub(super) fn of(book: &Book) -> Self {
        let none = BTreeMap::new();
        let numbers = 0..book.clients().numbers() as u32;
        let attributes: Vec<_> = numbers
            .map(|number| attributes(book, number, &none))
            .collect();
        let statistics = Statistics::of(book.matrix());
        Self {
            cosine: CosineIndex::of(book.matrix(), &statistics),
            statistics,
            profiles: Profiles::of(&attributes),
            products: traits(book),
        }
    }

    /// The measures of a book that differs from the one measured in some clients. Medians and
    /// encodings stay as they were.
    pub(super) fn refresh(&self, book: &Book, changed: &BTreeSet<ClientNo>) -> Self {
        let none = BTreeMap::new();
        let clients = book.clients().numbers();
        let profiles = changed
            .iter()
            .map(|client| (*client, attributes(book, client.0, &none)));
        Self {
            statistics: self
                .statistics
                .refresh(book.matrix(), changed.iter().copied()),
            profiles: self.profiles.refresh(clients, profiles),
            cosine: self.cosine.refresh(book.matrix(), changed.iter().copied()),
            products: self.products.clone(),
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

fn traits(book: &Book) -> Vec<ProductTraits> {
    let numbers = 0..book.products().numbers() as u32;
    let of = |product: &Arc<Product>| ProductTraits {
        list_price_minor: product.list_price_minor,
        margin_rate: product.margin_rate,
    };
    numbers
        .map(|number| book.products().get(number).map(of).unwrap_or_default())
        .collect()
}
