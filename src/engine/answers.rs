//! Answers kept by `request_id`, so that a repeat gets the same answer and changes nothing.

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::{Answer, EngineError, Refusal, Write};
use crate::domain::{RequestId, Violation};
use crate::store::RequestHash;

/// How long an answer is kept, in seconds.
const KEPT_SECONDS: i64 = 24 * 60 * 60;
/// How many expired answers one write clears away: more than one write adds, so that they never pile up.
const CLEARED_AT_ONCE: usize = 16;

/// A kept answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
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
    pub(super) fn restore(stored: impl IntoIterator<Item = (RequestHash, i64, Kept)>) -> Self {
        let mut answers = Self::default();
        for (request, answered_at, kept) in stored {
            answers.kept.insert(request, kept);
            answers.by_age.push_back((answered_at, request));
        }
        answers.by_age.make_contiguous().sort_unstable();
        answers
    }

    /// The answer that a request got before, if it did.
    pub(super) fn find(&self, request: RequestHash, write: &Write) -> Result<Option<Answer>, EngineError> {
        let Some(kept) = self.kept.get(&request) else {
            return Ok(None);
        };
        if kept.fingerprint != fingerprint(write) {
            let reason = "was used for another request in the last 24 hours; give each request a name of its own";
            return Err(Refusal::Invalid(vec![Violation::new("request_id", reason)]).into());
        }
        Ok(Some(Answer { repeated: true, ..kept.answer }))
    }

    /// Keeps an answer. Returns what the store is to keep, and the answers that it is to drop.
    pub(super) fn keep(
        &mut self,
        request: RequestHash,
        write: &Write,
        answer: Answer,
        now_unix: i64,
    ) -> (Kept, Vec<RequestHash>) {
        let kept = Kept { answer, fingerprint: fingerprint(write) };
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
        (kept, expired)
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
