//! Answers kept by `request_id`, so that a repeat gets the same answer and changes nothing.

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::{Answer, EngineError, Refusal, Write};
use crate::domain::{RequestId, Violation};
use crate::store::{Answer as StoredAnswer, RequestHash};

/// How long an answer is kept, in seconds.
const KEPT_SECONDS: i64 = 24 * 60 * 60;
/// How many expired answers one write clears away: more than one write adds, so that they never pile up.
const CLEARED_AT_ONCE: usize = 16;

/// A kept answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    answer: Answer,
    /// Of the write, so that another write under the same name is noticed.
    fingerprint: [u8; 16],
}

/// The kept answers of one portfolio.
#[derive(Debug, Default)]
pub(super) struct Answers {
    kept: HashMap<RequestHash, Kept>,
    by_age: VecDeque<(i64, RequestHash)>,
}

impl Answers {
    /// Puts back what the store kept, in any order.
    ///
    /// An answer that this version cannot read is left out: its request would be applied again, as
    /// if it were older than what is kept.
    pub(super) fn restore(stored: impl IntoIterator<Item = (RequestHash, StoredAnswer)>) -> Self {
        let mut answers = Self::default();
        for (request, stored) in stored {
            answers.by_age.push_back((stored.answered_at_unix, request));
            if let Ok(kept) = postcard::from_bytes(&stored.bytes) {
                answers.kept.insert(request, kept);
            }
        }
        answers.by_age.make_contiguous().sort_unstable();
        answers
    }

    /// The answer that a request got before, if it did.
    pub(super) fn find(
        &self,
        request: RequestHash,
        write: &Write,
    ) -> Result<Option<Answer>, EngineError> {
        let Some(kept) = self.kept.get(&request) else {
            return Ok(None);
        };
        if kept.fingerprint != fingerprint(write) {
            let reason = "was used for another request in the last 24 hours; give each request a name of its own";
            return Err(Refusal::Invalid(vec![Violation::new("request_id", reason)]).into());
        }
        Ok(Some(Answer {
            repeated: true,
            ..kept.answer
        }))
    }

    /// Takes back an answer that did not become durable.
    pub(super) fn forget(&mut self, request: RequestHash) {
        self.kept.remove(&request);
        self.by_age.retain(|(_, kept)| *kept != request);
    }

    /// Keeps an answer. Returns what the store is to keep, and the answers that it is to drop.
    pub(super) fn keep(
        &mut self,
        request: RequestHash,
        write: &Write,
        answer: Answer,
        now_unix: i64,
    ) -> (StoredAnswer, Vec<RequestHash>) {
        let kept = Kept {
            answer,
            fingerprint: fingerprint(write),
        };
        // A plain value has no way to fail to encode; an empty one would read as none kept.
        let bytes = postcard::to_stdvec(&kept).unwrap_or_default();
        self.kept.insert(request, kept);
        self.by_age.push_back((now_unix, request));
        let mut expired = Vec::new();
        while expired.len() < CLEARED_AT_ONCE {
            match self.by_age.front() {
                Some(&(answered_at, old)) if answered_at < now_unix - KEPT_SECONDS => {
                    self.by_age.pop_front();
                    self.kept.remove(&old);
                    expired.push(old);
                }
                _ => break,
            }
        }
        let stored = StoredAnswer {
            answered_at_unix: now_unix,
            bytes: bytes.into(),
        };
        (stored, expired)
    }
}

/// The name of a request as the store keeps it.
pub(super) fn request_hash(request: &RequestId) -> RequestHash {
    RequestHash::of(request)
}

fn fingerprint(write: &Write) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    // Encoding a plain value into a hasher has no way to fail; were it to, two writes that differ
    // would at worst be told apart by what was hashed before.
    let _ = postcard::to_io(write, &mut hasher);
    let mut short = [0; 16];
    short.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    short
}
