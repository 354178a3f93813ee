//! API keys as they are kept: who may do what in one portfolio, and nothing that opens it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Text;

/// The public part of a key, by which it is named: 64 random bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyId(pub [u8; 8]);

/// A text that is no key's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not the id of a key: 16 digits from 0 to f")]
pub struct KeyIdError;

impl KeyId {
    /// Reads 16 hexadecimal digits.
    pub fn parse(raw: &str) -> Result<Self, KeyIdError> {
        let digits = raw.len() == 16 && raw.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u64::from_str_radix(raw, 16).map_err(|_| KeyIdError)?;
        match digits {
            true => Ok(Self(number.to_be_bytes())),
            false => Err(KeyIdError),
        }
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

/// What a key may do in its portfolio. The order is that of the stored numbers, not of power.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Role {
    /// Read everything.
    Reader,
    /// Also record sales, tickets, events, outcomes, clients and products.
    Writer,
    /// Also change settings and the recipe, erase clients, make and revoke keys.
    Admin,
    /// Report outcomes, and nothing else.
    OutcomeOnly,
}

impl Role {
    /// All, the least first.
    pub const ALL: [Self; 4] = [Self::OutcomeOnly, Self::Reader, Self::Writer, Self::Admin];

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Writer => "writer",
            Self::Admin => "admin",
            Self::OutcomeOnly => "outcome-only",
        }
    }

    /// Whether a key of this role may do what takes a key of the role `needed`.
    pub fn covers(self, needed: Self) -> bool {
        match self {
            Self::Admin => true,
            Self::Writer => needed != Self::Admin,
            Self::Reader | Self::OutcomeOnly => self == needed,
        }
    }
}

/// A key as it is kept. Its secret is not in it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Its public part.
    pub id: KeyId,
    /// What people call it, such as the program that uses it.
    pub name: Text,
    /// What it may do.
    pub role: Role,
    /// When it was made, in seconds since 1970-01-01 UTC.
    pub created_at_unix: i64,
    /// From when on it opens nothing; `None` for never.
    pub expires_at_unix: Option<i64>,
    /// SHA-256 of its secret.
    pub secret_hash: [u8; 32],
}

impl ApiKey {
    /// Whether it has not expired.
    pub fn is_valid_at(&self, now_unix: i64) -> bool {
        self.expires_at_unix
            .is_none_or(|expires| now_unix < expires)
    }
}

impl fmt::Debug for ApiKey {
    /// Without the hash: it belongs in no log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey")
            .field("id", &self.id)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_and_nothing_else_is_one() {
        let id = KeyId([0, 1, 2, 3, 250, 251, 252, 253]);
        assert_eq!(KeyId::parse(&id.to_string()), Ok(id));
        for wrong in [
            "",
            "0001",
            "00010203fafbfcfg",
            "+0010203fafbfcfd",
            "00010203fafbfcfd0",
        ] {
            assert_eq!(KeyId::parse(wrong), Err(KeyIdError), "{wrong}");
        }
    }
}
