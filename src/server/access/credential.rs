//! Keys as texts: `ctk_<16 digits>_<secret>`, and the operator's.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::domain::KeyId;

const PREFIX: &str = "ctk_";
/// Bytes of a secret.
const SECRET: usize = 32;
/// The least characters of an operator's key: it cannot be known how it was drawn.
const LEAST_OPERATOR: usize = 32;

/// A key as a caller shows it: what is public of it, and the hash of the rest.
#[derive(Clone)]
pub(in crate::server) struct Presented {
    pub(in crate::server) id: KeyId,
    hash: [u8; 32],
}

impl Presented {
    /// Reads a key; `None` where the text is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let id = KeyId::parse(id).ok()?;
        let secret: [u8; SECRET] = URL_SAFE_NO_PAD.decode(secret).ok()?.try_into().ok()?;
        Some(Self {
            id,
            hash: Sha256::digest(secret).into(),
        })
    }

    /// Whether its secret is the one that was hashed, in a time that says nothing of it.
    pub(super) fn matches(&self, secret_hash: &[u8; 32]) -> bool {
        self.hash.ct_eq(secret_hash).into()
    }
}

/// Whether a text looks like a portfolio's key.
pub(in crate::server) fn presented(text: &str) -> bool {
    Presented::parse(text).is_some()
}

/// A new key: its text, its public part, and what is kept of its secret.
pub(in crate::server) fn fresh() -> Result<(String, KeyId, [u8; 32]), getrandom::Error> {
    let (mut id, mut secret) = ([0; 8], [0; SECRET]);
    getrandom::fill(&mut id)?;
    getrandom::fill(&mut secret)?;
    let id = KeyId(id);
    let text = format!("{PREFIX}{id}_{}", URL_SAFE_NO_PAD.encode(secret));
    Ok((text, id, Sha256::digest(secret).into()))
}

/// The key of whoever runs the server. It opens everything and is kept nowhere.
#[derive(Clone)]
pub struct OperatorKey(Arc<[u8; 32]>);

/// A text that is too easily guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "an operator key has at least {LEAST_OPERATOR} characters; draw one with: openssl rand -hex 32"
)]
pub struct OperatorKeyError;

impl OperatorKey {
    /// Takes a key as it was configured, without the white space around it.
    pub fn parse(text: &str) -> Result<Self, OperatorKeyError> {
        let text = text.trim();
        if text.chars().count() < LEAST_OPERATOR || text.contains(char::is_whitespace) {
            return Err(OperatorKeyError);
        }
        Ok(Self(Arc::new(Sha256::digest(text).into())))
    }

    pub(super) fn is(&self, text: &str) -> bool {
        let hash: [u8; 32] = Sha256::digest(text).into();
        hash.ct_eq(&*self.0).into()
    }
}

impl fmt::Debug for OperatorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OperatorKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_fresh_key_reads_back_and_matches_itself_alone() {
        let (text, id, hash) = fresh().unwrap();
        let presented = Presented::parse(&text).unwrap();
        assert!(presented.id == id && presented.matches(&hash));
        let (other, _, other_hash) = fresh().unwrap();
        assert_ne!(text, other);
        assert!(!presented.matches(&other_hash));
        assert!(OperatorKey::parse("short").is_err());
        let operator = OperatorKey::parse(&format!(" {text}\n")).unwrap();
        assert!(operator.is(&text) && !operator.is(&other));
        assert!(!format!("{operator:?}").contains(&text[4..]));
    }

    proptest! {
        #[test]
        fn any_text_is_a_key_or_not_and_never_a_panic(text in "(ctk_)?[0-9a-f_é]{0,24}[A-Za-z0-9_-]{0,60}") {
            let _ = Presented::parse(&text);
        }
    }
}
