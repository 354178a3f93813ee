//! Errors as gRPC statuses with `google.rpc` details: the one table from one to the other.

use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::engine::{EngineError, Refusal};

/// The status of a refusal.
pub(super) fn of_refusal(refusal: &Refusal) -> Status {
    let text = refusal.to_string();
    match refusal {
        Refusal::Invalid(violations) => {
            let mut details = ErrorDetails::new();
            for violation in violations {
                details.add_bad_request_violation(&violation.field, &violation.reason);
            }
            let text = match violations.first() {
                Some(first) if violations.len() == 1 => format!("{} {}", first.field, first.reason),
                Some(first) => format!(
                    "{} {} (and {} more fields)",
                    first.field,
                    first.reason,
                    violations.len() - 1
                ),
                None => text,
            };
            Status::with_error_details(Code::InvalidArgument, text, details)
        }
        Refusal::NotFound { what, id } => {
            let details =
                ErrorDetails::with_resource_info(*what, id, "", "ids are compared byte by byte");
            Status::with_error_details(Code::NotFound, text, details)
        }
        Refusal::AlreadyExists { what, id } => {
            let details = ErrorDetails::with_resource_info(
                *what,
                id,
                "",
                "choose another id, or update the one there",
            );
            Status::with_error_details(Code::AlreadyExists, text, details)
        }
        Refusal::Precondition(_) => Status::failed_precondition(text),
    }
}

/// The soonest that a caller is told to come again: none is told to do so at once, though room may have come up
/// while it was refused.
const SOONEST: Duration = Duration::from_millis(1);

/// Turned away for now; `retry_after` says when to come again.
pub(super) fn busy(text: impl Into<String>, retry_after: Duration) -> Status {
    let details = ErrorDetails::with_retry_info(Some(retry_after.max(SOONEST)));
    Status::with_error_details(Code::ResourceExhausted, text, details)
}

/// The status of an engine's error.
pub(super) fn of_error(error: &EngineError) -> Status {
    let text = error.to_string();
    let retry = |code, seconds| {
        let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(seconds)));
        Status::with_error_details(code, text.clone(), details)
    };
    match error {
        EngineError::Refused(refusal) => of_refusal(refusal),
        EngineError::ReadOnly(_) => Status::unavailable(text),
        EngineError::DiskFull(_) => retry(Code::ResourceExhausted, 60),
        EngineError::Busy { retry_after } => busy(text, *retry_after),
        EngineError::Late => Status::deadline_exceeded(text),
        EngineError::Cancelled => Status::cancelled(text),
        EngineError::Closing => retry(Code::Unavailable, 1),
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        of_refusal(&refusal)
    }
}

impl From<EngineError> for Status {
    fn from(error: EngineError) -> Self {
        of_error(&error)
    }
}
