//! The ticket matrix in memory: clients × products, by row and by column.
//!
//! A [`TicketMatrix`] is immutable. A write makes a new one that shares the base of the old and
//! carries the rows that changed in a small overlay; readers of either see one consistent state.
//! When the overlay has grown, [`TicketMatrix::fold`] makes a new base of it.
//!
//! This room knows no disk, no wire and no clock, and depends on `domain` alone.

mod columns;
mod purchases;
mod quick_ln;
mod statistics;
mod tickets;
mod window;

pub use columns::Columns;
pub use purchases::{Purchase, PurchaseLog, PurchaseLogBuilder};
pub use quick_ln::quick_ln;
pub use statistics::{ClientStatistics, ProductStatistics, Statistics};
pub use tickets::{BLOCK, Cell, Posting, Run, TicketMatrix};
pub use window::Window;
