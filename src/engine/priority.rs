//! Threads that work in the background stand back where those that answer want the processor.

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
