//! Page tokens: where a list goes on, opaque to callers and checked when they come back.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::domain::Violation;
use crate::engine::Refusal;

/// Bytes of the check that a token ends with.
const CHECK_BYTES: usize = 8;

/// Where the next page of a pinned list starts.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Place {
    /// The pinned list.
    pub(super) list: u64,
    /// Rows already given.
    pub(super) given: u64,
}

/// What a place in a list that is no longer kept is answered with.
pub(super) fn expired() -> Refusal {
    let reason =
        "was given too long ago, or before the server restarted; ask for the first page again";
    Refusal::Invalid(vec![Violation::new("page_token", reason)])
}

/// The token of a place. `list` names the list it belongs to, filter and order included; it is
/// good for no other.
pub(super) fn encode<T: Serialize>(list: &str, place: &T) -> String {
    // A plain value has no way to fail to encode; an empty token would end the list.
    let Ok(mut bytes) = postcard::to_stdvec(place) else {
        return String::new();
    };
    let check = check(list, &bytes);
    bytes.extend_from_slice(&check);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The place of a token that was given for `list`; `None` for the first page.
pub(super) fn decode<T: DeserializeOwned>(list: &str, token: &str) -> Result<Option<T>, Refusal> {
    if token.is_empty() {
        return Ok(None);
    }
    let place = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| {
        let (place, tail) = bytes.split_at_checked(bytes.len().checked_sub(CHECK_BYTES)?)?;
        if tail != check(list, place) {
            return None;
        }
        postcard::from_bytes(place).ok()
    });
    place.map(Some).ok_or_else(|| {
        let reason = "is not a token of this list; send the next_page_token of the answer before with the same request, or none for the first page";
        Refusal::Invalid(vec![Violation::new("page_token", reason)])
    })
}

fn check(list: &str, place: &[u8]) -> [u8; CHECK_BYTES] {
    let mut hasher = blake3::Hasher::new_derive_key("carteira 2026 page token v1");
    hasher.update(&(list.len() as u64).to_le_bytes());
    hasher.update(list.as_bytes());
    hasher.update(place);
    let mut short = [0; CHECK_BYTES];
    short.copy_from_slice(&hasher.finalize().as_bytes()[..CHECK_BYTES]);
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_back_to_its_place_in_its_list_and_in_no_other() {
        let token = encode("clients of a", &42_u32);
        assert_eq!(decode::<u32>("clients of a", &token).unwrap(), Some(42));
        assert_eq!(decode::<u32>("clients of a", "").unwrap(), None);
        for (list, token) in [
            ("clients of b", token.as_str()),
            ("clients of a", "AAAA"),
            ("clients of a", "é"),
        ] {
            assert!(decode::<u32>(list, token).is_err());
        }
    }
}
