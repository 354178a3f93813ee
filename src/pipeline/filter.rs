//! Which opportunities are asked for, and in which order.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::domain::{Kind, Opportunity, Product, ProductNo, Text};
use crate::insight::ClientFilter;

/// What a list is ordered by, best first; ties by client, then product.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// Expected value of working it.
    #[default]
    Priority,
    /// Gain.
    Gain,
    /// Probability of success.
    Probability,
}

impl Order {
    /// Whether `a` stands before `b`.
    pub fn compare(self, a: &Opportunity, b: &Opportunity) -> Ordering {
        let best_first = match self {
            Self::Priority => b.priority_minor.total_cmp(&a.priority_minor),
            Self::Gain => b.gain_minor.cmp(&a.gain_minor),
            Self::Probability => b.probability.total_cmp(&a.probability),
        };
        best_first
            .then(a.client.cmp(&b.client))
            .then(a.product.cmp(&b.product))
            .then(a.kind.cmp(&b.kind))
    }
}

/// Which opportunities are asked for. Conditions of different fields must all hold; within one
/// field any. An empty set asks for nothing in particular.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    /// Kinds.
    pub kinds: BTreeSet<Kind>,
    /// Products.
    pub products: Option<BTreeSet<ProductNo>>,
    /// Product categories.
    pub categories: BTreeSet<Text>,
    /// Their clients.
    pub clients: ClientFilter,
    /// The least gain, in minor units.
    pub min_gain_minor: i64,
    /// The least probability.
    pub min_probability: f64,
}

impl Filter {
    /// Whether a product's opportunities may be among those asked for.
    pub fn admits_product(&self, number: ProductNo, product: &Product) -> bool {
        self.products
            .as_ref()
            .is_none_or(|products| products.contains(&number))
            && (self.categories.is_empty() || self.categories.contains(&product.category))
    }

    /// Whether an opportunity of an admitted client and product is asked for.
    pub fn admits(&self, opportunity: &Opportunity) -> bool {
        (self.kinds.is_empty() || self.kinds.contains(&opportunity.kind))
            && opportunity.gain_minor >= self.min_gain_minor
            && opportunity.probability >= self.min_probability
    }
}
