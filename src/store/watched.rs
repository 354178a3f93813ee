//! Calls that may never come back, and a caller that does not wait for ever.
//!
//! After a failed write of its own threads, sled now and then misses the wake-up of a flush, which
//! then waits for good. Whoever holds the store must not.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::disk::DiskError;

type Job = Box<dyn FnOnce() + Send>;

/// A thread that runs one call after the other, each for at most so long. The first that takes
/// longer is the last: the thread is given up with it, and every later call fails at once.
pub(super) struct Watched {
    jobs: Sender<Job>,
    limit: Duration,
    is_stuck: Arc<AtomicBool>,
}

/// A call that was begun.
pub(super) struct Begun<T> {
    doing: &'static str,
    answer: Receiver<std::thread::Result<Result<T, DiskError>>>,
    limit: Duration,
    is_stuck: Arc<AtomicBool>,
}

impl Watched {
    /// Starts the thread.
    pub(super) fn start(limit: Duration) -> Result<Self, DiskError> {
        let (jobs, queue) = channel::<Job>();
        std::thread::Builder::new()
            .name("disk".into())
            .spawn(move || queue.into_iter().for_each(|job| job()))
            .map_err(|error| DiskError::new("starting a thread", &error))?;
        Ok(Self {
            jobs,
            limit,
            is_stuck: Arc::default(),
        })
    }

    /// Runs a call; a panic in it, or that it takes too long, becomes an error.
    pub(super) fn run<T: Send + 'static>(
        &self,
        doing: &'static str,
        call: impl FnOnce() -> Result<T, DiskError> + Send + 'static,
    ) -> Result<T, DiskError> {
        self.begin(doing, call)?.wait()
    }

    /// Begins a call, and does not wait for it.
    pub(super) fn begin<T: Send + 'static>(
        &self,
        doing: &'static str,
        call: impl FnOnce() -> Result<T, DiskError> + Send + 'static,
    ) -> Result<Begun<T>, DiskError> {
        let stuck = || DiskError::new(doing, &"an earlier call never came back");
        if self.is_stuck.load(Ordering::Acquire) {
            return Err(stuck());
        }
        let (answered, answer) = channel();
        let job = Box::new(move || {
            // Nobody waits any more after a call that took too long.
            let _ = answered.send(catch_unwind(AssertUnwindSafe(call)));
        });
        self.jobs.send(job).map_err(|_| stuck())?;
        Ok(Begun {
            doing,
            answer,
            limit: self.limit,
            is_stuck: self.is_stuck.clone(),
        })
    }
}

impl<T> Begun<T> {
    /// What came of it. It has taken too long when whoever waits has done so up to the limit.
    pub(super) fn wait(self) -> Result<T, DiskError> {
        match self.answer.recv_timeout(self.limit) {
            Ok(Ok(done)) => done,
            Ok(Err(panic)) => Err(DiskError::of_panic(self.doing, panic.as_ref())),
            Err(_) => {
                self.is_stuck.store(true, Ordering::Release);
                let what = format!("no answer for {} s", self.limit.as_secs());
                Err(DiskError::new(self.doing, &what))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_back_is_handed_on_and_what_panics_or_stays_is_an_error() {
        let watched = Watched::start(Duration::from_secs(2)).unwrap();
        let sum = watched.run("adding", || Ok(2 + 2));
        assert_eq!(sum.unwrap(), 4);
        let (first, second) = (
            watched.begin("adding", || Ok(1)),
            watched.begin("adding", || Ok(2)),
        );
        assert_eq!(second.unwrap().wait().unwrap(), 2);
        assert_eq!(first.unwrap().wait().unwrap(), 1);
        let refused = watched.run("failing", || Err::<(), _>(DiskError::new("failing", &"no")));
        assert_eq!(refused.unwrap_err().to_string(), "failing: no");
        let panicked = watched.run("panicking", || -> Result<(), DiskError> { panic!("oh") });
        assert!(panicked.unwrap_err().panicked);
        let began = std::time::Instant::now();
        let stays = || {
            std::thread::sleep(Duration::from_secs(600));
            Ok(())
        };
        assert!(watched.run("staying", stays).is_err());
        assert!(watched.run("adding", || Ok(2 + 2)).is_err());
        assert!(began.elapsed() < Duration::from_secs(10));
    }
}
