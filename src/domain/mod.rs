//! The field's terms as plain types that cannot hold a wrong value.
//!
//! Everything is parsed into these once, at the edge; inside, the types prove it. This room
//! depends on no other, and knows no wire, no disk and no clock.

mod client;
mod day;
mod ids;
mod money;
mod opportunity;
mod portfolio;
mod product;
mod receipt;
mod sale;
mod share;
mod text;

pub use client::{
    Attribute, Client, ClientEvent, ClientEventKind, MAX_ATTRIBUTES, MAX_EXCLUDED_PRODUCTS,
};
pub use day::{DAYS_PER_MONTH, Day, DayError, Month};
pub use ids::{
    ClientId, ClientNo, IdError, MAX_ID_BYTES, PortfolioId, PortfolioNo, ProductId, ProductNo,
    RequestId, SaleId,
};
pub use money::{Currency, CurrencyError};
pub use opportunity::{Kind, Opportunity, Shortfall};
pub use portfolio::{Language, Period, Portfolio, WindowError, WindowMonths};
pub use product::Product;
pub use receipt::{NeighbourEvidence, PseudoObservation, QuantileReceipt};
pub use sale::{MAX_AMOUNT_MINOR, MAX_QUANTITY_MILLI, Sale};
pub use share::{Share, ShareError};
pub use text::{MAX_TEXT_BYTES, Text, TextError};
