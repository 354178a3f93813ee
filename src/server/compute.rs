//! Where answers are computed: a bounded number of threads off the async ones.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tonic::Status;

/// Requests that may wait for a thread; more are turned away at once.
const WAITING: usize = 1_024;

/// A gate in front of the blocking threads: as many computations at once as there are cores, and a
/// bounded queue behind them. What does not fit in the queue is answered RESOURCE_EXHAUSTED.
#[derive(Debug, Clone)]
pub(super) struct Compute {
    running: Arc<Semaphore>,
    admitted: Arc<Semaphore>,
}

impl Compute {
    /// A gate for `threads` computations at once.
    pub(super) fn new(threads: usize) -> Self {
        Self {
            running: Arc::new(Semaphore::new(threads.max(1))),
            admitted: Arc::new(Semaphore::new(WAITING)),
        }
    }

    /// Runs a computation on a thread of its own. A caller that went away is not computed for.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Status> + Send + 'static,
    ) -> Result<T, Status> {
        let busy = || {
            Status::resource_exhausted("too many requests are waiting; send it again in a moment")
        };
        let _admitted = self
            .admitted
            .clone()
            .try_acquire_owned()
            .map_err(|_| busy())?;
        let running = self
            .running
            .clone()
            .acquire_owned()
            .await
            .map_err(|_| busy())?;
        let done = tokio::task::spawn_blocking(move || {
            let _running = running;
            work()
        });
        done.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a computation stopped short");
            Err(Status::internal(
                "the computation stopped short; the log of the server has the details",
            ))
        })
    }
}
