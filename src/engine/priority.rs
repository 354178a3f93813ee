//! Threads that work in the background stand back where those that answer want the processor.

use std::cell::Cell;
use std::time::{Duration, Instant};

use rayon::{ThreadPool, ThreadPoolBuilder};

/// How much: with this a thread gets about a quarter of what one that answers does, where both want all of it.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 5;

/// Lowers the priority of this thread for good.
pub(super) fn stand_back() {
    // Elsewhere the whole process would stand back.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "a thread keeps its priority");
    }
}

/// Threads that stand back: so many, or one a core; `None` where the system has no threads.
pub(super) fn pool_that_stands_back(threads: Option<usize>) -> Option<ThreadPool> {
    let pool = ThreadPoolBuilder::new().start_handler(|_| stand_back());
    pool.num_threads(threads.unwrap_or(0)).build().ok()
}

thread_local! {
    static LET_ON: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Lets threads on that wait for the processor, if this one has had it for a while. A thread that comes back from the
/// disk or the network waits for the end of the slice of whoever is there, some milliseconds, whatever the priority of either;
/// work that nobody waits for calls this between its pieces.
pub(super) fn let_others_on() {
    const STRETCH: Duration = Duration::from_micros(500);
    LET_ON.with(|at| {
        if at.get().is_none_or(|at| at.elapsed() >= STRETCH) {
            std::thread::yield_now();
            at.set(Some(Instant::now()));
        }
    });
}
