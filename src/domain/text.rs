//! Short texts a caller sends: names, owners, attribute values.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The longest short text, in bytes.
pub const MAX_TEXT_BYTES: usize = 256;

/// Why a string cannot be a short text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Longer than [`MAX_TEXT_BYTES`].
    #[error("is {0} bytes long; at most {MAX_TEXT_BYTES} are kept")]
    TooLong(usize),
    /// Holds a control character.
    #[error("must not contain control characters")]
    Control,
}

/// A short text without control characters; it may be empty.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Text(Arc<str>);

impl Text {
    /// Reads a text as a caller wrote it.
    pub fn parse(raw: &str) -> Result<Self, TextError> {
        if raw.len() > MAX_TEXT_BYTES {
            return Err(TextError::TooLong(raw.len()));
        }
        if raw.chars().any(char::is_control) {
            return Err(TextError::Control);
        }
        Ok(Self(Arc::from(raw)))
    }

    /// The text as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Text {
    /// Its length alone: names and notes of people belong in no log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({} bytes)", self.0.len())
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Text {
    type Error = TextError;
    fn try_from(raw: String) -> Result<Self, TextError> {
        Self::parse(&raw)
    }
}

impl From<Text> for String {
    fn from(text: Text) -> String {
        text.0.as_ref().to_owned()
    }
}

impl std::borrow::Borrow<str> for Text {
    fn borrow(&self) -> &str {
        &self.0
    }
}
