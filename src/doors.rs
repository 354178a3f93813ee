//! Every way that bytes from outside come in, as functions of bytes: what `tests/fuzz.rs` throws bytes at. None
//! of them panics, whatever the bytes; what is wrong is an error that nobody reads here.

use std::path::Path;

pub use crate::cli::doors::{clients, outcomes, products, sales};
pub use crate::server::doors::{Requests, key, page_token};
pub use crate::store::doors::{backup, records};

/// A recipe file, and overrides of its numbers by name: `name=value` a line.
pub fn recipe(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _ = crate::recommend::Recipe::parse(&text);
    let overrides = text.lines().filter_map(|line| {
        let (name, value) = line.split_once('=')?;
        let name = crate::domain::Text::parse(name.trim()).ok()?;
        Some((name, value.trim().parse().ok()?))
    });
    let _ = crate::engine::recipe_with(&overrides.collect(), "overrides");
}

/// A file of a data folder, as `carteira restore` reads it before anything else.
pub fn backup_file(path: &Path) {
    backup(path);
}
