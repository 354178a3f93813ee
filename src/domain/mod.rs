//! The field's terms as plain types that cannot hold a wrong value.
//!
//! Everything is parsed into these once, at the edge; inside, the types prove it. This room
//! depends on no other, and knows no wire, no disk and no clock.

mod bucket;
mod client;
mod day;
mod history;
mod ids;
mod key;
mod money;
mod objective;
mod offer;
mod opportunity;
mod packed;
mod portfolio;
mod product;
mod receipt;
mod sale;
mod share;
mod text;
mod violation;

pub use bucket::{Bucket, BucketChange, BucketKey, Slot};
pub use client::{
    Attribute, Client, ClientEvent, ClientEventKind, MAX_ATTRIBUTES, MAX_CLIENT_BYTES,
    MAX_EXCLUDED_PRODUCTS,
};
pub use day::{DAYS_PER_MONTH, Day, DayError, Month};
pub use history::{BlockChange, History};
pub use ids::{
    ActionId, ClientId, ClientNo, IdError, MAX_ID_BYTES, ObjectiveId, PortfolioId, PortfolioNo,
    ProductId, ProductNo, RequestId, SaleId,
};
pub use key::{ApiKey, KeyId, KeyIdError, Role};
pub use money::{Currency, CurrencyError};
pub use objective::{
    Action, ActionState, Aim, Baseline, ClientGroup, MAX_ACTIONS, Measure, Measured, Objective,
    TooManyActions,
};
pub use offer::{
    MAX_OUTCOMES, MAX_SHOWINGS, Offer, Outcome, RejectReason, ReportedOutcome, Showing,
    TooManyOutcomes,
};
pub use opportunity::{Kind, Opportunity, Shortfall, published};
pub use packed::{Block, HistoryError, MAX_BLOCK_BYTES};
pub use portfolio::{Language, Period, Portfolio, WindowError, WindowMonths};
pub use product::Product;
pub use receipt::{NeighbourEvidence, PseudoObservation, QuantileReceipt};
pub use sale::{MAX_AMOUNT_MINOR, MAX_QUANTITY_MILLI};
pub use share::{Share, ShareError};
pub use text::{MAX_TEXT_BYTES, Text, TextError};
pub use violation::Violation;
