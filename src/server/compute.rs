//! Where answers are computed: a bounded number of threads off the async ones, taken turn by turn.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;
use tonic::Status;

use super::access::Caller;
use super::status::busy;
use crate::engine::{FairQueue, NotQueued, QueueRules};

type Work = Box<dyn FnOnce() + Send>;

/// Threads that compute, with a queue before them that turns away who would wait too long. A copy is the
/// same threads; they end with the last copy.
#[derive(Debug, Clone)]
pub(super) struct Compute {
    queue: Arc<Closing>,
}

/// Lets the threads end when nobody can give them work any more.
#[derive(Debug)]
struct Closing(Arc<FairQueue<Work>>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Compute {
    /// So many threads, for work that waits as the rules say.
    pub(super) fn start(name: &str, threads: usize, rules: QueueRules) -> std::io::Result<Self> {
        let queue = Arc::new(Closing(Arc::new(FairQueue::new(rules))));
        for _ in 0..threads.max(1) {
            let work = queue.0.clone();
            std::thread::Builder::new()
                .name(name.to_owned())
                .spawn(move || {
                    while let Some(work) = work.take() {
                        work();
                    }
                })?;
        }
        Ok(Self { queue })
    }

    /// Runs a computation when its portfolio has its turn. One whose caller went away meanwhile, or has no
    /// time left, is not run.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        caller: &Caller,
        work: impl FnOnce() -> Result<T, Status> + Send + 'static,
    ) -> Result<T, Status> {
        // The gate notes the portfolio before anybody gets at what could be computed.
        let portfolio = caller
            .portfolio()
            .ok_or_else(|| Status::internal("the call passed no door"))?;
        let (reply, answer) = oneshot::channel();
        let patience = caller.patience();
        let end = patience.end();
        let work: Work = Box::new(move || {
            let left = end.saturating_duration_since(Instant::now());
            tracing::trace!(left_us = left.as_micros() as u64, "computing");
            // A caller that went away needs no answer.
            let _ = reply.send(catch_unwind(AssertUnwindSafe(work)));
        });
        self.queue
            .0
            .push(portfolio, patience, work)
            .map_err(|error| match error {
                NotQueued::Busy { retry_after } => busy(
                    "too many requests are waiting; send it again in a moment",
                    retry_after,
                ),
                NotQueued::Closed => Status::unavailable("the server is shutting down"),
            })?;
        match answer.await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => {
                tracing::error!("a computation stopped short");
                Err(Status::internal(
                    "the computation stopped short; the log of the server has the details",
                ))
            }
            Err(_) if patience.is_over(Instant::now()) => Err(Status::deadline_exceeded(
                "the time of the call was over before its turn came; nothing was computed",
            )),
            Err(_) => Err(Status::unavailable("the server is shutting down")),
        }
    }
}
