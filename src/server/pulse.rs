//! What one connection is doing, noted by its calls and judged once a second: a connection keeps its place
//! only while somebody makes use of it.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::Limits;

/// How long a connection without calls may take to part.
const LEAVE: Duration = Duration::from_secs(1);

/// What is to become of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It goes on.
    Stay,
    /// It takes no new call, and ends with those under way.
    Part(&'static str),
    /// It ends now.
    Cut(&'static str),
}

/// The state of a connection. Times are milliseconds since it was taken up.
#[derive(Debug)]
pub(super) struct Pulse {
    began: Instant,
    calls: AtomicUsize,
    called: AtomicU64,
    /// When the last call ended.
    idle_ms: AtomicU64,
    answers: Held,
    /// Those that come bit by bit: who works on each bit may take his time.
    streams: Held,
    answered: AtomicU64,
    accused: AtomicBool,
}

/// Answers that are ready and that their caller has not come for.
#[derive(Debug, Default)]
struct Held {
    count: AtomicUsize,
    /// When one was last come for.
    taken_ms: AtomicU64,
}

impl Default for Pulse {
    fn default() -> Self {
        Self::new(Instant::now())
    }
}

impl Pulse {
    /// A connection that was taken up at a moment.
    pub(super) fn new(began: Instant) -> Self {
        Self {
            began,
            calls: AtomicUsize::new(0),
            called: AtomicU64::new(0),
            idle_ms: AtomicU64::new(0),
            answers: Held::default(),
            streams: Held::default(),
            answered: AtomicU64::new(0),
            accused: AtomicBool::new(false),
        }
    }

    /// A call's headers are there.
    pub(super) fn call_begins(&self) {
        self.calls.fetch_add(1, Relaxed);
        self.called.fetch_add(1, Relaxed);
    }

    /// A call's answer was taken to its end, or its caller left.
    pub(super) fn call_ends(&self) {
        self.idle_ms.store(self.now_ms(), Relaxed);
        self.calls.fetch_sub(1, Relaxed);
    }

    /// A piece of an answer is ready, or was come for.
    pub(super) fn hold(&self, held: bool, stream: bool) {
        let of = match stream {
            true => &self.streams,
            false => &self.answers,
        };
        match held {
            true => of.count.fetch_add(1, Relaxed),
            false => of.count.fetch_sub(1, Relaxed),
        };
        of.taken_ms.store(self.now_ms(), Relaxed);
    }

    /// So many bytes of answers were handed on.
    pub(super) fn answered(&self, bytes: usize) {
        self.answered.fetch_add(bytes as u64, Relaxed);
    }

    /// Its peer began a request and did not go on with it.
    pub(super) fn accuse(&self) {
        self.accused.store(true, Relaxed);
    }

    /// Calls that it has made.
    pub(super) fn called(&self) -> u64 {
        self.called.load(Relaxed)
    }

    /// Bytes of answers that it was given.
    pub(super) fn answered_bytes(&self) -> u64 {
        self.answered.load(Relaxed)
    }

    /// What is to become of it; `parting` is since when it takes no new call.
    pub(super) fn judge(&self, now: Instant, limits: &Limits, parting: Option<Instant>) -> Verdict {
        let now_ms = now.saturating_duration_since(self.began).as_millis() as u64;
        let since = |ms: &AtomicU64| Duration::from_millis(now_ms.saturating_sub(ms.load(Relaxed)));
        let calls = self.calls.load(Relaxed);
        let left =
            |held: &Held, longest| held.count.load(Relaxed) > 0 && since(&held.taken_ms) > longest;
        if left(&self.answers, limits.stall) || left(&self.streams, limits.idle) {
            return Verdict::Cut("its answers are not taken");
        }
        if let Some(parting) = parting {
            let waited = now.saturating_duration_since(parting);
            return match waited > limits.grace || (calls == 0 && waited > LEAVE) {
                true => Verdict::Cut("it was told to part"),
                false => Verdict::Stay,
            };
        }
        if self.called() == 0 && now.saturating_duration_since(self.began) > limits.first_call {
            return Verdict::Part("it made no call");
        }
        if self.accused.load(Relaxed) {
            return Verdict::Part("a request of it did not go on");
        }
        if calls == 0 && since(&self.idle_ms) > limits.idle {
            return Verdict::Part("it was idle");
        }
        if now.saturating_duration_since(self.began) > limits.age {
            return Verdict::Part("it is old");
        }
        Verdict::Stay
    }

    fn now_ms(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_stays_while_it_is_used_and_parts_otherwise() {
        let limits = Limits::default();
        let began = Instant::now();
        let at = |after: Duration| began + after;
        let second = Duration::from_secs(1);
        let pulse = Pulse::new(began);
        assert_eq!(
            pulse.judge(at(limits.first_call), &limits, None),
            Verdict::Stay
        );
        let late = at(limits.first_call + second);
        assert!(matches!(pulse.judge(late, &limits, None), Verdict::Part(_)));
        pulse.call_begins();
        assert_eq!(pulse.judge(late, &limits, None), Verdict::Stay);
        assert_eq!(
            pulse.judge(at(limits.idle * 2), &limits, None),
            Verdict::Stay
        );
        pulse.hold(true, true);
        assert_eq!(
            pulse.judge(at(limits.stall * 2), &limits, None),
            Verdict::Stay
        );
        assert!(matches!(
            pulse.judge(at(limits.idle * 2), &limits, None),
            Verdict::Cut(_)
        ));
        pulse.hold(false, true);
        pulse.hold(true, false);
        assert!(matches!(
            pulse.judge(at(limits.stall * 2), &limits, None),
            Verdict::Cut(_)
        ));
        pulse.hold(false, false);
        assert_eq!(
            pulse.judge(at(limits.stall * 2), &limits, None),
            Verdict::Stay
        );
        // Told to part, it may end its call, within the grace.
        let told = Some(at(limits.stall));
        assert_eq!(
            pulse.judge(at(limits.stall + second * 2), &limits, told),
            Verdict::Stay
        );
        assert!(matches!(
            pulse.judge(at(limits.stall + limits.grace + second), &limits, told),
            Verdict::Cut(_)
        ));
        pulse.call_ends();
        assert!(matches!(
            pulse.judge(at(limits.stall + second * 2), &limits, told),
            Verdict::Cut(_)
        ));
        assert_eq!(pulse.judge(at(limits.idle), &limits, None), Verdict::Stay);
        assert!(matches!(
            pulse.judge(at(limits.idle + second), &limits, None),
            Verdict::Part(_)
        ));
        pulse.call_begins();
        assert!(matches!(
            pulse.judge(at(limits.age + second), &limits, None),
            Verdict::Part(_)
        ));
        pulse.accuse();
        assert!(matches!(
            pulse.judge(began, &limits, None),
            Verdict::Part(_)
        ));
    }
}
