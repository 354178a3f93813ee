//! Portfolios are graded by themselves: their recipe tried on their own history, now and then, where
//! it is in nobody's way.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use rayon::ThreadPool;

use super::EngineError;
use super::evaluating::Wanted;
use super::priority::pool_that_stands_back;
use super::tenant::Tenant;

/// How long a portfolio must be quiet before it is graded.
const QUIET: Duration = Duration::from_secs(30);
/// A portfolio is not graded again before this, however much it changes, unless its recipe does.
const REST: Duration = Duration::from_hours(6);
/// How often the thread looks which portfolios are quiet by now.
const STEP: Duration = Duration::from_secs(1);

/// The thread that grades. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Grading {
    touched: Sender<Weak<Tenant>>,
}

/// A portfolio that is to be graded.
struct Waiting {
    tenant: Weak<Tenant>,
    touched: Instant,
}

impl Grading {
    /// Starts the thread.
    pub(super) fn start() -> Self {
        let (touched, queue) = channel();
        let spawned = std::thread::Builder::new()
            .name("grading".into())
            .spawn(move || run(&queue));
        if let Err(error) = spawned {
            tracing::error!(%error, "no thread to grade recipes; they are evaluated on request");
        }
        Self { touched }
    }

    /// Takes up a portfolio whose offers were just brought up to date.
    pub(super) fn touch(&self, tenant: &Arc<Tenant>) {
        // Without a thread nobody listens.
        let _ = self.touched.send(Arc::downgrade(tenant));
    }
}

/// Half of the cores, so that requests find one free; `None` where the system has no threads.
fn pool() -> Option<ThreadPool> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    pool_that_stands_back(Some((cores / 2).max(1)))
}

fn run(queue: &Receiver<Weak<Tenant>>) {
    let pool = pool();
    let mut waiting: BTreeMap<usize, Waiting> = BTreeMap::new();
    loop {
        match queue.recv_timeout(STEP) {
            Ok(tenant) => {
                let touched = Instant::now();
                waiting.insert(tenant.as_ptr() as usize, Waiting { tenant, touched });
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let due = |one: &Waiting| one.touched.elapsed() >= QUIET;
        let keys: Vec<usize> = waiting
            .iter()
            .filter(|one| due(one.1))
            .map(|one| *one.0)
            .collect();
        for key in keys {
            if let Some(one) = waiting.remove(&key) {
                match &pool {
                    Some(pool) => pool.install(|| grade(&one.tenant)),
                    None => grade(&one.tenant),
                }
            }
        }
    }
}

/// Grades a portfolio unless it was lately. Given up when the portfolio is gone.
fn grade(tenant: &Weak<Tenant>) {
    let Some(there) = tenant.upgrade() else {
        return;
    };
    let moment = there.moment();
    let portfolio = moment.book.portfolio();
    let lately = there.graded().is_some_and(|last| {
        let same = last.sequence == moment.book.sequence();
        let rests = last.at.elapsed().is_ok_and(|since| since < REST);
        same || (rests && last.overrides == portfolio.recipe_overrides)
    });
    if lately {
        return;
    }
    let portfolio = portfolio.id.clone();
    let began = Instant::now();
    let go_on = |_: f64| match tenant.strong_count() {
        // Ours alone: the portfolio was deleted, or the server stops.
        0 | 1 => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    match there.evaluate(&moment, &Wanted::default(), &go_on) {
        Ok(graded) => {
            let took_ms = began.elapsed().as_millis() as u64;
            tracing::debug!(%portfolio, took_ms, "recipe graded on the portfolio's history");
            there.set_graded(graded);
        }
        Err(EngineError::Refused(refusal)) => {
            tracing::debug!(%portfolio, %refusal, "the history is too short to grade a recipe on");
        }
        Err(error) => tracing::warn!(%portfolio, %error, "a recipe could not be graded"),
    }
}
