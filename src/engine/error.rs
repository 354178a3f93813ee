//! Why the engine does not do what it was asked.

use std::time::Duration;

use crate::domain::Violation;

/// Why a request is refused, whatever the state of the disk. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Fields that cannot be as they were sent.
    #[error("{} of the request cannot be applied", fields(.0))]
    Invalid(Vec<Violation>),
    /// There is no such thing.
    #[error("there is no {what} '{id}'")]
    NotFound {
        /// `portfolio`, `client` or `product`.
        what: &'static str,
        /// The id that was asked for.
        id: String,
    },
    /// The id is taken.
    #[error("there is a {what} '{id}' already")]
    AlreadyExists {
        /// `portfolio`.
        what: &'static str,
        /// The id that was asked for.
        id: String,
    },
    /// The state of the portfolio forbids it.
    #[error("{0}")]
    Precondition(String),
}

fn fields(violations: &[Violation]) -> String {
    match violations {
        [one] => format!("'{}' {}: the field", one.field, one.reason),
        many => format!("{} fields", many.len()),
    }
}

/// Why an engine does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder is not opened.
    #[error(transparent)]
    Open(#[from] crate::store::OpenError),
    /// The system has no thread for the commit queue.
    #[error("no thread for the commit queue: {0}; free some memory or raise the limit on threads")]
    Thread(std::io::Error),
}

/// Why a write or a read failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EngineError {
    /// The request itself is refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// An earlier write failed on the disk; reads go on, writes wait for a restart.
    #[error(
        "the store is read-only since a write to the disk failed: {0}; restart the server once the disk is well"
    )]
    ReadOnly(String),
    /// Too little room on the disk to write safely.
    #[error("the disk is nearly full: {0}; free some room and send the request again")]
    DiskFull(String),
    /// The write would wait too long.
    #[error("too many writes are waiting; send the request again in a moment")]
    Busy {
        /// When to send it again.
        retry_after: Duration,
    },
    /// Its caller's time was over before its turn came; nothing was done.
    #[error(
        "the time that the caller gave was over before the write had its turn; nothing was written"
    )]
    Late,
    /// The caller stopped it.
    #[error("the work was stopped by its caller")]
    Cancelled,
    /// The engine is shutting down.
    #[error("the server is shutting down; send the request again to the one that follows")]
    Closing,
}
