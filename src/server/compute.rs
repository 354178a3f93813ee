//! Where answers are computed: a bounded number of threads off the async ones, taken turn by turn.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;
use tonic::Status;

use super::access::Caller;
use super::status::busy;
use crate::domain::PortfolioId;
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

    /// Turns a call away that would be turned away with its work, before anything is done to make that.
    pub(super) fn knock(&self, caller: &Caller) -> Result<(), Status> {
        let refused = self.queue.0.refuses(portfolio(caller)?, caller.patience());
        refused.map_or(Ok(()), |refused| Err(turned_away(refused)))
    }

    /// Runs a computation when its portfolio has its turn. One whose caller went away meanwhile, or has no
    /// time left, is not run.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        caller: &Caller,
        work: impl FnOnce() -> Result<T, Status> + Send + 'static,
    ) -> Result<T, Status> {
        let portfolio = portfolio(caller)?;
        let (reply, answer) = oneshot::channel();
        let patience = caller.patience();
        let end = patience.end();
        let work: Work = Box::new(move || {
            let left = end.saturating_duration_since(Instant::now());
            tracing::trace!(left_us = left.as_micros() as u64, "computing");
            // A caller that went away needs no answer.
            let _ = reply.send(catch_unwind(AssertUnwindSafe(work)));
        });
        let pushed = self.queue.0.push(portfolio, patience, work);
        pushed.map_err(turned_away)?;
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

/// The portfolio of a caller: the gate notes it before anybody gets at what could be computed.
fn portfolio(caller: &Caller) -> Result<&PortfolioId, Status> {
    let portfolio = caller.portfolio();
    portfolio.ok_or_else(|| Status::internal("the call passed no door"))
}

fn turned_away(why: NotQueued) -> Status {
    match why {
        NotQueued::Busy { retry_after } => busy(
            "too many requests are waiting; send it again in a moment",
            retry_after,
        ),
        NotQueued::Closed => Status::unavailable("the server is shutting down"),
    }
}
