//! The engine: all portfolios of a data folder, and the queue before the thread that commits.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::oneshot;

use super::background::Background;
use super::committer::{Committer, Job};
use super::restore::restore;
use super::tenant::{Tenant, Tenants};
use super::{
    Answer, EngineError, FairQueue, NotQueued, Patience, QueueRules, Refusal, StartError,
    WriteRequest,
};
use crate::domain::PortfolioId;
use crate::store::{Loaded, OpenOptions, Store, newest_checkpoint};

/// Which writes may wait for the commit thread; others are turned away as busy. A group takes some
/// milliseconds, a large one some hundred: importers that send one batch after another stay far below.
const QUEUE: QueueRules = QueueRules {
    most: 1_024,
    burst: Duration::from_secs(10),
    standing: Duration::from_secs(2),
    standing_after: Duration::from_secs(10),
};

/// All portfolios of a data folder.
#[derive(Debug)]
pub struct Engine {
    tenants: Arc<ArcSwap<Tenants>>,
    queue: Arc<FairQueue<Job>>,
    thread: Option<JoinHandle<()>>,
    read_only: Arc<AtomicBool>,
}

impl Engine {
    /// Opens a data folder, checks all of it, and loads it. Cost: every record once.
    pub fn open(dir: &Path, options: &OpenOptions) -> Result<Self, StartError> {
        let (store, loaded) = Store::open(dir, options)?;
        Self::over(store, loaded)
    }

    /// Serves what a store has loaded.
    pub(super) fn over(store: Store, loaded: Loaded) -> Result<Self, StartError> {
        let background = Background::start();
        let mut ledgers = BTreeMap::new();
        let mut tenants = Tenants::new();
        let next_no = loaded.next_portfolio.0;
        for portfolio in loaded.portfolios {
            let ledger = restore(portfolio);
            let book = ledger.book.clone();
            let id = book.portfolio().id.clone();
            let tenant = Arc::new(Tenant::new(book));
            background.touch(&tenant);
            tenants.insert(id.clone(), tenant);
            ledgers.insert(id, ledger);
        }
        let tenants = Arc::new(ArcSwap::from_pointee(tenants));
        let read_only = Arc::new(AtomicBool::new(false));
        let queue = Arc::new(FairQueue::new(QUEUE));
        let jobs = queue.clone();
        let committer = Committer {
            store,
            ledgers,
            next_no,
            tenants: tenants.clone(),
            background,
            failed: None,
            read_only: read_only.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("commit".into())
            .spawn(move || {
                // However it ends, nobody is to wait for a thread that is gone.
                let _closing = CloseAtEnd(&jobs);
                committer.run(&jobs);
            })
            .map_err(StartError::Thread)?;
        Ok(Self {
            tenants,
            queue,
            thread: Some(thread),
            read_only,
        })
    }

    /// Applies a write: whole, durable and visible to every later read when this answers. A write whose
    /// caller's patience is over before its turn comes is not applied.
    pub async fn apply(
        &self,
        request: WriteRequest,
        patience: &Patience,
    ) -> Result<Answer, EngineError> {
        let (reply, answer) = oneshot::channel();
        let portfolio = request.portfolio.clone();
        let job = Job::Write(Box::new(request), reply);
        self.queue
            .push(&portfolio, patience, job)
            .map_err(|error| match error {
                NotQueued::Busy { retry_after } => EngineError::Busy { retry_after },
                NotQueued::Closed => EngineError::Closing,
            })?;
        // Without an answer it was dropped unread.
        let unread = |_| match patience.is_over(Instant::now()) {
            true => EngineError::Late,
            false => EngineError::Closing,
        };
        answer.await.map_err(unread)?
    }

    /// Keeps a checkpoint that is no older than `every`, as long as the engine is open.
    pub fn keep_checkpoints(&self, dir: &Path, every: Duration) -> Result<(), StartError> {
        let queue = Arc::downgrade(&self.queue);
        let dir = dir.to_owned();
        std::thread::Builder::new()
            .name("checkpoints".into())
            .spawn(move || keep_checkpoints(&dir, every, &queue))
            .map(|_| ())
            .map_err(StartError::Thread)
    }

    /// All portfolios, as they are at this moment.
    pub fn tenants(&self) -> Arc<Tenants> {
        self.tenants.load_full()
    }

    /// One portfolio.
    pub fn tenant(&self, id: &PortfolioId) -> Result<Arc<Tenant>, Refusal> {
        self.tenants
            .load()
            .get(id)
            .cloned()
            .ok_or_else(|| Refusal::NotFound {
                what: "portfolio",
                id: id.to_string(),
            })
    }

    /// Whether writes are refused since one failed on the disk.
    pub fn is_read_only(&self) -> bool {
        self.read_only.load(Ordering::Acquire)
    }
}

/// Asks for a checkpoint whenever the newest is too old; one a commit is enough, and the store sees to
/// that.
fn keep_checkpoints(dir: &Path, every: Duration, queue: &Weak<FairQueue<Job>>) {
    /// How often the thread looks, and so how long it outlives the engine at most.
    const STEP: Duration = Duration::from_millis(500);
    let mut asked: Option<Instant> = None;
    loop {
        std::thread::sleep(STEP.min(every));
        let Some(queue) = queue.upgrade() else {
            return;
        };
        let written = newest_checkpoint(dir).and_then(|(_, at)| at.elapsed().ok());
        let due = written.is_none_or(|since| since >= every);
        if due
            && asked.is_none_or(|at| at.elapsed() >= every)
            && queue.push_errand(Job::Checkpoint).is_ok()
        {
            asked = Some(Instant::now());
        }
    }
}

impl Drop for Engine {
    /// Commits what waits, then lets the store close.
    fn drop(&mut self) {
        self.queue.close();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the commit thread stopped short");
        }
    }
}

/// Closes the queue when the commit thread ends.
struct CloseAtEnd<'a>(&'a FairQueue<Job>);

impl Drop for CloseAtEnd<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}
