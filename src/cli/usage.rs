//! A command line that cannot be meant, found out only once the command runs.

/// Wrong usage: the exit code is 2, as for flags that do not parse.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(String);

/// The error for a command line that cannot be meant, saying what to write instead.
pub fn usage(text: impl Into<String>) -> anyhow::Error {
    Usage(text.into()).into()
}
