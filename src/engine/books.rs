//! What books of tests are made of.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{
    Client, ClientId, Currency, Language, Period, Portfolio, PortfolioId, Product, ProductId, Text,
    WindowMonths,
};

/// A portfolio by months in Brazil.
pub(super) fn portfolio() -> Portfolio {
    Portfolio {
        id: PortfolioId::parse("book").unwrap(),
        name: Text::default(),
        currency: Currency::parse("BRL").unwrap(),
        period: Period::Month,
        window: WindowMonths::parse(12).unwrap(),
        language: Language::English,
        recipe: Text::parse("standard").unwrap(),
        recipe_overrides: BTreeMap::new(),
    }
}

/// A client of which nothing is known.
pub(super) fn client(number: usize) -> Client {
    Client {
        id: ClientId::parse(&format!("c{number}")).unwrap(),
        name: Text::default(),
        owner: Text::default(),
        attributes: BTreeMap::new(),
        excluded_products: BTreeSet::new(),
    }
}

/// A product that can be sold.
pub(super) fn product(number: usize) -> Product {
    Product {
        id: ProductId::parse(&format!("p{number}")).unwrap(),
        name: Text::default(),
        category: Text::default(),
        margin_rate: None,
        list_price_minor: None,
        active: true,
        upgrade_of: None,
        needs_product: None,
    }
}
