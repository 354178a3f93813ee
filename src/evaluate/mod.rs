//! Proof on a user's own history: what would have been said, against what happened.
//!
//! [`Task`] answers a task of predictions cut by somebody else and never sees what happened.
//! Everything is a plain function of files read into memory; nothing here knows a server or a
//! store.

mod files;
mod task;

pub use files::{Files, FilesError};
pub use task::{Answers, Horizon, Task};
