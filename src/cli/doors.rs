//! What people's files hold, thrown open for tests: see `crate::doors`.

use std::path::Path;

pub use super::import::doors::{clients, products, sales};

/// A file of outcomes.
pub fn outcomes(path: &Path) {
    super::outcomes::door(path);
}
