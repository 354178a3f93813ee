//! How long a caller waits for an answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Until when an answer is of use to its caller. Copies tell of the same caller.
#[derive(Debug, Clone)]
pub struct Patience {
    until: Instant,
    left: Arc<AtomicBool>,
}

impl Patience {
    /// Waits until a moment, or until it leaves.
    pub fn until(moment: Instant) -> Self {
        Self {
            until: moment,
            left: Arc::default(),
        }
    }

    /// When it ends at the latest.
    pub fn end(&self) -> Instant {
        self.until
    }

    /// The caller went away: nothing that waits for it needs to be done.
    pub fn leave(&self) {
        self.left.store(true, Ordering::Release);
    }

    /// How much of it is left.
    pub fn remaining(&self, now: Instant) -> Duration {
        match self.left.load(Ordering::Acquire) {
            true => Duration::ZERO,
            false => self.until.saturating_duration_since(now),
        }
    }

    /// Whether nobody waits any more.
    pub fn is_over(&self, now: Instant) -> bool {
        self.remaining(now).is_zero()
    }
}
