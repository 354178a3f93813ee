//! Work that waits for a thread: a line for each portfolio, one turn each, and nobody let in who would wait
//! too long.
//!
//! The lines are those of FQ-CoDel (RFC 8290): what one portfolio sends makes its own line longer, not
//! another's. Who is turned away is decided when it comes, by the time that it would wait and not by
//! how many wait: the pace at which its line moved lately, times its length. A line that was empty a
//! short while ago takes a burst; one that stands takes only what soon has its turn (the rule of
//! B. Maurer, *Fail at Scale*, ACM Queue 13(8), 2015). What nobody waits for any more is dropped when
//! its turn comes, and never done.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Patience;
use crate::domain::PortfolioId;

/// Over how long a line's pace is measured at least.
const SAMPLE: Duration = Duration::from_millis(20);
/// What is kept of the older samples with each new one.
const KEPT: f64 = 0.75;
/// The least time after which a caller that was turned away is told to come again.
const LEAST_RETRY: Duration = Duration::from_millis(100);

/// Who is let in.
#[derive(Debug, Clone, Copy)]
pub struct QueueRules {
    /// In all lines together; it bounds the memory, whatever the pace.
    pub most: usize,
    /// The longest that work may be foreseen to wait in a line that was empty lately.
    pub burst: Duration,
    /// The longest in a line that has been standing.
    pub standing: Duration,
    /// How long a line has to be without an empty moment to be standing.
    pub standing_after: Duration,
}

/// Why work is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotQueued {
    /// It would wait too long.
    Busy {
        /// When to come again.
        retry_after: Duration,
    },
    /// Nothing is done any more.
    Closed,
}

/// Lines of work.
pub struct FairQueue<T> {
    rules: QueueRules,
    state: Mutex<State<T>>,
    comes: Condvar,
}

/// Invariant: `turns` holds each key of `lines` once, no line is empty, and `waiting` is their length.
struct State<T> {
    lines: HashMap<PortfolioId, Line<T>>,
    turns: VecDeque<PortfolioId>,
    waiting: usize,
    errands: VecDeque<T>,
    closed: bool,
}

struct Line<T> {
    waiting: VecDeque<(Patience, T)>,
    since: Instant,
    pace: Pace,
}

/// How fast a line moves: turns over time, both fading, so that a slow turn among quick ones counts as one.
#[derive(Debug)]
struct Pace {
    time: Duration,
    turns: f64,
    sampled: Instant,
    served: u32,
}

impl Pace {
    fn new(now: Instant) -> Self {
        Self {
            time: Duration::ZERO,
            turns: 0.0,
            sampled: now,
            served: 0,
        }
    }

    fn serve(&mut self, now: Instant) {
        self.served += 1;
        let since = now.saturating_duration_since(self.sampled);
        if since >= SAMPLE {
            self.time = self.time.mul_f64(KEPT) + since;
            self.turns = self.turns * KEPT + f64::from(self.served);
            self.sampled = now;
            self.served = 0;
        }
    }

    /// How long one would wait that comes after so many. A line that does not move makes everybody wait
    /// for as long as it has stood still.
    fn wait(&self, waiting: usize, now: Instant) -> Duration {
        let since = now.saturating_duration_since(self.sampled);
        let (time, turns) = match self.turns > 0.0 {
            true => (self.time, self.turns),
            false => (since, f64::from(self.served)),
        };
        let turn = match turns > 0.0 {
            true => time.div_f64(turns),
            false => Duration::ZERO,
        };
        let still = match self.served {
            0 => since.saturating_sub(turn),
            _ => Duration::ZERO,
        };
        turn.mul_f64(waiting as f64 + 1.0) + still
    }
}

impl<T> fmt::Debug for FairQueue<T> {
    /// What waits is its callers' own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FairQueue")
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

impl<T> FairQueue<T> {
    /// Empty lines.
    pub fn new(rules: QueueRules) -> Self {
        Self {
            rules,
            state: Mutex::new(State {
                lines: HashMap::new(),
                turns: VecDeque::new(),
                waiting: 0,
                errands: VecDeque::new(),
                closed: false,
            }),
            comes: Condvar::new(),
        }
    }

    /// Lets work in at the end of its portfolio's line, or says why not. Never waits.
    pub fn push(
        &self,
        portfolio: &PortfolioId,
        patience: &Patience,
        work: T,
    ) -> Result<(), NotQueued> {
        self.push_at(Instant::now(), portfolio, patience, work)
    }

    /// Why work would not be let in now, for whoever has much to do before there is some. Never waits.
    pub fn refuses(&self, portfolio: &PortfolioId, patience: &Patience) -> Option<NotQueued> {
        let now = Instant::now();
        self.lock().refusal(&self.rules, now, portfolio, patience)
    }

    fn push_at(
        &self,
        now: Instant,
        portfolio: &PortfolioId,
        patience: &Patience,
        work: T,
    ) -> Result<(), NotQueued> {
        let mut state = self.lock();
        if let Some(refusal) = state.refusal(&self.rules, now, portfolio, patience) {
            return Err(refusal);
        }
        if let Some(line) = state.lines.get_mut(portfolio) {
            line.waiting.push_back((patience.clone(), work));
        } else {
            let line = Line {
                waiting: VecDeque::from([(patience.clone(), work)]),
                since: now,
                pace: Pace::new(now),
            };
            state.lines.insert(portfolio.clone(), line);
            state.turns.push_back(portfolio.clone());
        }
        state.waiting += 1;
        drop(state);
        self.comes.notify_one();
        Ok(())
    }

    /// Lets in work of the server's own, which is done before all other.
    pub fn push_errand(&self, work: T) -> Result<(), NotQueued> {
        let mut state = self.lock();
        if state.closed {
            return Err(NotQueued::Closed);
        }
        state.errands.push_back(work);
        drop(state);
        self.comes.notify_one();
        Ok(())
    }

    /// The work whose turn it is, waiting for some; `None` once the queue is closed and empty.
    pub fn take(&self) -> Option<T> {
        let mut late = Vec::new();
        let mut state = self.lock();
        loop {
            if let Some(work) = state.next(Instant::now(), &mut late) {
                return Some(work);
            }
            if state.closed {
                return None;
            }
            if !late.is_empty() {
                // What nobody waits for may be large: it is dropped while others get at the lines.
                drop(state);
                late.clear();
                state = self.lock();
                continue;
            }
            state = self
                .comes
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The work whose turn it is, where there is some.
    pub fn try_take(&self) -> Option<T> {
        let mut late = Vec::new();
        self.lock().next(Instant::now(), &mut late)
    }

    /// Lets nothing in any more; what waits is still done.
    pub fn close(&self) {
        self.lock().closed = true;
        self.comes.notify_all();
    }

    /// A poisoned lock guards lines that no step leaves half changed.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    fn refusal(
        &self,
        rules: &QueueRules,
        now: Instant,
        portfolio: &PortfolioId,
        patience: &Patience,
    ) -> Option<NotQueued> {
        if self.closed {
            return Some(NotQueued::Closed);
        }
        if self.waiting >= rules.most {
            let retry_after = rules.burst.max(LEAST_RETRY);
            return Some(NotQueued::Busy { retry_after });
        }
        let line = self.lines.get(portfolio)?;
        let standing = now.saturating_duration_since(line.since) >= rules.standing_after;
        let longest = match standing {
            true => rules.standing,
            false => rules.burst,
        };
        // Half of the time that the caller has is for the work itself, and for what was misjudged.
        let longest = longest.min(patience.remaining(now) / 2);
        let foreseen = line.pace.wait(line.waiting.len(), now);
        (foreseen > longest).then(|| NotQueued::Busy {
            retry_after: foreseen.saturating_sub(longest).max(LEAST_RETRY),
        })
    }

    /// Takes the next work; what nobody waits for goes to `late` and costs its line no turn.
    fn next(&mut self, now: Instant, late: &mut Vec<T>) -> Option<T> {
        if let Some(errand) = self.errands.pop_front() {
            return Some(errand);
        }
        while let Some(portfolio) = self.turns.pop_front() {
            let Some(line) = self.lines.get_mut(&portfolio) else {
                continue;
            };
            let mut found = None;
            while let Some((patience, work)) = line.waiting.pop_front() {
                self.waiting -= 1;
                if !patience.is_over(now) {
                    found = Some(work);
                    break;
                }
                late.push(work);
            }
            if found.is_some() {
                line.pace.serve(now);
            }
            match line.waiting.is_empty() {
                true => drop(self.lines.remove(&portfolio)),
                false => self.turns.push_back(portfolio),
            }
            if found.is_some() {
                return found;
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULES: QueueRules = QueueRules {
        most: 1_000,
        burst: Duration::from_secs(2),
        standing: Duration::from_millis(200),
        standing_after: Duration::from_secs(1),
    };

    fn id(name: usize) -> PortfolioId {
        PortfolioId::parse(&format!("p{name}")).unwrap()
    }

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    /// Turns of `every` ms against arrivals of `comes` ms for `lasts` ms: how long those let in waited,
    /// and how many were not.
    fn simulate(
        queue: &FairQueue<Instant>,
        began: Instant,
        (comes, every, lasts): (u64, u64, u64),
        patience: Duration,
    ) -> (Vec<Duration>, usize) {
        let (mut waited, mut refused) = (Vec::new(), 0);
        for at in 0..lasts {
            let now = began + ms(at);
            if at % comes == 0 {
                let patience = Patience::until(now + patience);
                refused += usize::from(queue.push_at(now, &id(0), &patience, now).is_err());
            }
            if at % every == 0
                && let Some(came) = queue.lock().next(now, &mut Vec::new())
            {
                waited.push(now - came);
            }
        }
        (waited, refused)
    }

    #[test]
    fn below_capacity_nobody_is_turned_away() {
        let queue = FairQueue::new(RULES);
        let (waited, refused) = simulate(&queue, Instant::now(), (11, 10, 20_000), ms(1_000));
        assert_eq!(refused, 0);
        assert!(waited.iter().all(|waited| *waited <= ms(20)));
    }

    #[test]
    fn at_ten_times_capacity_every_turn_is_used_and_nobody_let_in_waits_long() {
        let queue = FairQueue::new(RULES);
        let (waited, refused) = simulate(&queue, Instant::now(), (1, 10, 20_000), ms(10_000));
        assert_eq!(waited.len(), 2_000, "a turn was wasted");
        assert!(refused > 17_000);
        // The burst of the first second is let in, then the line stays short.
        let late = &waited[waited.len() / 2..];
        assert!(late.iter().all(|waited| *waited <= RULES.standing + ms(50)));
        assert!(waited.iter().all(|waited| *waited <= RULES.burst + ms(200)));
    }

    #[test]
    fn nobody_is_let_in_that_would_wait_more_than_half_of_its_time() {
        let queue = FairQueue::new(RULES);
        let (waited, _) = simulate(&queue, Instant::now(), (1, 10, 10_000), ms(100));
        assert_eq!(waited.len(), 1_000);
        // The pace is not known before the first turns.
        let late = &waited[20..];
        assert!(late.iter().all(|waited| *waited <= ms(75)), "{waited:?}");
    }

    #[test]
    fn a_line_that_does_not_move_takes_nobody_in_and_another_does() {
        let queue = FairQueue::new(RULES);
        let began = Instant::now();
        let patience = Patience::until(began + ms(60_000));
        queue.push_at(began, &id(0), &patience, began).unwrap();
        queue
            .push_at(began + ms(900), &id(0), &patience, began)
            .unwrap();
        let refused = queue.push_at(began + ms(5_000), &id(0), &patience, began);
        assert!(matches!(refused, Err(NotQueued::Busy { .. })));
        let state = queue.lock();
        let foretold = |line| state.refusal(&RULES, began + ms(5_000), &id(line), &patience);
        assert_eq!((foretold(0), foretold(1)), (refused.err(), None));
        drop(state);
        queue
            .push_at(began + ms(5_000), &id(1), &patience, began)
            .unwrap();
    }

    #[test]
    fn a_closed_queue_gives_what_waits_and_takes_nothing() {
        let queue = FairQueue::new(RULES);
        let patience = Patience::until(Instant::now() + ms(60_000));
        queue.push(&id(0), &patience, 1).unwrap();
        queue.close();
        assert_eq!(queue.push(&id(0), &patience, 2), Err(NotQueued::Closed));
        assert_eq!((queue.take(), queue.take()), (Some(1), None));
    }

    proptest! {
        #[test]
        fn turns_go_round_each_line_keeps_its_order_and_the_late_are_never_done(
            steps in prop::collection::vec((0_usize..4, any::<bool>()), 0..200),
        ) {
            let queue = FairQueue::new(QueueRules { standing: Duration::from_secs(60), burst: Duration::from_secs(60), ..RULES });
            let now = Instant::now();
            // A plain list: who came in which line, whether its caller stays.
            let mut expected: Vec<VecDeque<usize>> = vec![VecDeque::new(); 4];
            for (at, (line, stays)) in steps.iter().enumerate() {
                let patience = Patience::until(now + Duration::from_secs(600));
                queue.push_at(now, &id(*line), &patience, at).unwrap();
                match stays {
                    true => expected[*line].push_back(at),
                    false => patience.leave(),
                }
            }
            let mut late = Vec::new();
            let mut served = [0; 4];
            while let Some(work) = queue.lock().next(now, &mut late) {
                let line = steps[work].0;
                prop_assert_eq!(expected[line].pop_front(), Some(work));
                served[line] += 1;
                for other in 0..4 {
                    // Nobody that still waits is more than a turn behind.
                    prop_assert!(expected[other].is_empty() || served[other] + 1 >= served[line]);
                }
            }
            prop_assert!(expected.iter().all(VecDeque::is_empty));
            prop_assert_eq!(late.len(), steps.iter().filter(|(_, stays)| !stays).count());
            let state = queue.lock();
            prop_assert!(state.lines.is_empty() && state.turns.is_empty() && state.waiting == 0);
        }
    }
}
