//! Names that callers give to things, and the dense numbers that we give them.
//!
//! A caller's id is any UTF-8 string of 1 to 128 bytes without control characters. Inside, each
//! gets a dense number on first sight, never reused, so that rows and columns are plain indices.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The longest id that a caller may use, in bytes.
pub const MAX_ID_BYTES: usize = 128;

/// Why a string cannot be an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The string is empty.
    #[error("must not be empty")]
    Empty,
    /// The string is longer than [`MAX_ID_BYTES`].
    #[error("is {0} bytes long; an id has at most {MAX_ID_BYTES}")]
    TooLong(usize),
    /// The string holds a control character.
    #[error("must not contain control characters")]
    Control,
}

fn check(raw: &str) -> Result<(), IdError> {
    if raw.is_empty() {
        return Err(IdError::Empty);
    }
    if raw.len() > MAX_ID_BYTES {
        return Err(IdError::TooLong(raw.len()));
    }
    if raw.chars().any(char::is_control) {
        return Err(IdError::Control);
    }
    Ok(())
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Reads an id as a caller wrote it.
            pub fn parse(raw: &str) -> Result<Self, IdError> {
                check(raw)?;
                Ok(Self(Arc::from(raw)))
            }

            /// The id as the caller wrote it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(raw: String) -> Result<Self, IdError> {
                Self::parse(&raw)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.as_ref().to_owned()
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

id!(
    /// Names one supplier's book: the unit of tenancy.
    PortfolioId
);
id!(
    /// Names a company that buys.
    ClientId
);
id!(
    /// Names what a company buys.
    ProductId
);
id!(
    /// Names one sale, so that the same sale sent again replaces and never doubles.
    SaleId
);
id!(
    /// Names what a manager wants of a group of clients.
    ObjectiveId
);
id!(
    /// Names what is done towards an objective.
    ActionId
);
id!(
    /// Names one write request, so that a repeat gets the same answer and changes nothing.
    RequestId
);

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug,
            Clone,
            Copy,
            Default,
            PartialEq,
            Eq,
            PartialOrd,
            Ord,
            Hash,
            Serialize,
            Deserialize,
        )]
        pub struct $name(pub u32);

        impl $name {
            /// The number as an index into a dense array.
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}

number!(
    /// A portfolio's number in the store.
    PortfolioNo
);
number!(
    /// A client's row in its portfolio.
    ClientNo
);
number!(
    /// A product's column in its portfolio.
    ProductNo
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_any_script_are_kept_as_written() {
        for raw in ["queijo", "Padaria São João", "乳製品", "молоко", "a b", "x"] {
            assert_eq!(ProductId::parse(raw).unwrap().as_str(), raw);
        }
    }

    #[test]
    fn ids_that_cannot_be_are_refused_with_the_reason() {
        assert_eq!(ClientId::parse(""), Err(IdError::Empty));
        assert_eq!(ClientId::parse("a\nb"), Err(IdError::Control));
        assert_eq!(ClientId::parse("a\u{85}b"), Err(IdError::Control));
        assert_eq!(ClientId::parse(&"é".repeat(65)), Err(IdError::TooLong(130)));
        assert!(ClientId::parse(&"é".repeat(64)).is_ok());
    }
}
