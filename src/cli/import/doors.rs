//! The readers of an import's files, thrown open for tests: see `crate::doors`.

use std::path::Path;

use super::clients::Clients;
use super::dialect::Dialect;
use super::known::Known;
use super::products::Products;
use super::sales::Sales;

/// Digits of a currency.
const DIGITS: u32 = 2;

/// A file of clients.
pub fn clients(path: &Path) {
    let opened = Clients::open(Dialect::default().reading(true), path);
    let _ = opened.and_then(|file| file.read(|_| ()));
}

/// A file of products.
pub fn products(path: &Path) {
    let opened = Products::open(Dialect::default().reading(true), path);
    let _ = opened.and_then(|file| file.read(DIGITS, |_| ()));
}

/// A file of sales.
pub fn sales(path: &Path) {
    let ids = |prefix: &'static str| (0..3).map(move |at| format!("{prefix}{at}"));
    let known = Known::in_files(ids("c"), ids("p"));
    let dialect = Dialect::default();
    let opened = Sales::open(dialect.reading(true), path, None);
    let _ = opened.and_then(|file| file.read(known, &dialect, DIGITS, |_| ()));
}
