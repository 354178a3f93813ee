//! What to sell to whom, for how much, and why.
//!
//! Everything here is a plain function of a ticket matrix, its statistics, the clients' profiles
//! and a recipe. The same input gives the same bytes, whatever the number of threads. Where the
//! data is too thin for a figure, there is none, and the answer says why.

pub mod adoption;
mod advice;
mod advisor;
mod book;
mod cross_sell;
pub mod growth;
pub mod history;
mod ideal_recipe;
mod keep_recipe;
mod learnt;
mod least_squares;
pub mod quantile;
mod reason;
mod receipt;
mod recipe;
mod rise;
mod similar;
mod success;
pub mod upsell;

pub(crate) use adoption::linear;
pub(crate) use adoption::logistic;
pub use advice::{Advice, NOBODY};
pub use advisor::{Advisor, PriorityReceipt, ProbabilityReceipt, Receipt, Scratch, TicketReceipt};
pub use book::{Book, ProductTraits};
pub use ideal_recipe::{IdealRecipe, ProspectsRecipe};
pub use keep_recipe::KeepRecipe;
pub use learnt::Learnt;
pub use reason::reason;
pub use receipt::{recompute, round_minor};
pub use recipe::{
    ChurnRecipe, ListsRecipe, OfferRecipe, OutcomesRecipe, Parameter, Parameters, Recipe,
    RecipeError, SegmentsRecipe, StateRecipe, UpsellRecipe, ValueRecipe,
};
pub use similar::SimilarClient;
pub use success::{SuccessModel, SuccessReceipt, SuccessTerm};
