//! Who may do what: one table of calls, one place where a key is looked at.
//!
//! The [`layer`] reads the credential of every call before anything else is read, and turns away
//! what cannot be let in whatever it asks for. Which portfolio a call is about stands in its message,
//! so the [`Gate`] before the engine does the rest: there is no other way to a portfolio.
//!
//! A key that is unknown, revoked, expired or another portfolio's, and a portfolio that is not
//! there, all get one and the same answer.

mod credential;
mod gate;
mod layer;
mod rights;

pub use credential::{OperatorKey, OperatorKeyError};

pub(super) use credential::{fresh, presented};
pub(super) use gate::{Caller, Gate};
pub(super) use layer::AccessLayer;
