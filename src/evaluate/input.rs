//! A book as an evaluation reads it, wherever it is kept.

use std::collections::BTreeMap;

use crate::domain::{Attribute, Text};
use crate::matrix::{PurchaseLog, TicketMatrix};
use crate::recommend::ProductTraits;

/// One supplier's book, borrowed: from files, or from a portfolio in memory.
#[derive(Debug, Clone)]
pub struct Input<'a> {
    /// Dated sales; empty where sales have no dates. A portfolio keeps them by month, dated to the
    /// month's last purchase: cut it at the first day of a month.
    pub log: &'a PurchaseLog,
    /// Tickets set without a date, by client; `None` where sales have dates.
    pub tickets: Option<&'a TicketMatrix>,
    /// Attributes by client number; clients beyond its end have none.
    pub attributes: Vec<&'a BTreeMap<Text, Attribute>>,
    /// What products are, by product number; may be shorter than the catalogue.
    pub products: &'a [ProductTraits],
}
