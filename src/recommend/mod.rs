//! What to sell to whom, for how much, and why.
//!
//! Everything here is a plain function of a ticket matrix, its statistics, the clients' profiles
//! and a recipe. The same input gives the same bytes, whatever the number of threads. Where the
//! data is too thin for a figure, there is none, and the answer says why.

pub mod adoption;
mod book;
pub mod quantile;
mod recipe;
pub mod upsell;

pub use book::Book;
pub use recipe::{OfferRecipe, Parameter, Parameters, Recipe, RecipeError, UpsellRecipe};
