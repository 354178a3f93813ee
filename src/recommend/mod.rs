//! What to sell to whom, for how much, and why.
//!
//! Everything here is a plain function of a ticket matrix, its statistics, the clients' profiles
//! and a recipe. The same input gives the same bytes, whatever the number of threads. Where the
//! data is too thin for a figure, there is none, and the answer says why.

mod advice;
mod book;
pub mod growth;
pub mod history;
mod least_squares;
pub mod quantile;
mod reason;
mod receipt;
mod recipe;
mod similar;
mod success;
pub mod upsell;

pub use advice::{Advice, CrossSell, NOBODY, recommend};
pub use book::{Book, ProductTraits};
pub use reason::{ReasonNames, reason};
pub use receipt::{recompute, round_minor};
pub use recipe::{OfferRecipe, Parameter, Parameters, Recipe, RecipeError, UpsellRecipe};
pub use similar::{SimilarClient, similar};
pub use success::{SuccessModel, SuccessReceipt, SuccessTerm};
