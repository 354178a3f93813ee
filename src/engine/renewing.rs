//! Models are fitted anew once a portfolio is quiet, and all its offers with them: minutes in a large
//! book. A thread and a pool of its own, so that what is written meanwhile shows at once; they stand back where
//! others want the processor, and rest, so that trickling writes do not keep them at it all the time.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::grading::Grading;
use super::priority::{pool_that_stands_back, stand_back};
use super::tenant::Tenant;

/// A portfolio is not renewed again before this many times as long as it took, a tenth of the time at most; unless the
/// model came to say little of it, as one that was fitted in the middle of an import.
const REST: u32 = 9;
/// How often the thread looks whether a portfolio has rested.
const STEP: Duration = Duration::from_millis(500);

/// The thread that renews. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Renewing {
    quiet: Sender<Weak<Tenant>>,
}

impl Renewing {
    /// Starts the thread.
    pub(super) fn start() -> Self {
        let (quiet, queue) = channel();
        let spawned = std::thread::Builder::new()
            .name("renewing".into())
            .spawn(move || run(&queue, &Grading::start()));
        if let Err(error) = spawned {
            tracing::error!(%error, "no thread to fit models; they are fitted on request");
        }
        Self { quiet }
    }

    /// Takes up a portfolio that no write touches any more.
    pub(super) fn touch(&self, tenant: &Arc<Tenant>) {
        // Without a thread nobody listens.
        let _ = self.quiet.send(Arc::downgrade(tenant));
    }
}

/// A portfolio that was renewed, or is to be.
struct Known {
    /// It keeps the place in memory that names it taken.
    tenant: Weak<Tenant>,
    rests_until: Instant,
    touched: bool,
}

fn run(queue: &Receiver<Weak<Tenant>>, grading: &Grading) {
    stand_back();
    // Tasks of one pool wait for one another: in the common one a write's few would wait for all these.
    let pool = pool_that_stands_back(None);
    let mut known: BTreeMap<usize, Known> = BTreeMap::new();
    loop {
        match queue.recv_timeout(STEP) {
            Ok(tenant) => {
                let one = known.entry(tenant.as_ptr() as usize).or_insert(Known {
                    tenant,
                    rests_until: Instant::now(),
                    touched: true,
                });
                one.touched = true;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        known.retain(|_, one| one.tenant.strong_count() > 0);
        for one in known.values_mut() {
            let Some(tenant) = one.tenant.upgrade() else {
                continue;
            };
            let began = Instant::now();
            let rests = began < one.rests_until && !tenant.outgrew_model();
            if !one.touched || rests {
                continue;
            }
            one.touched = false;
            match &pool {
                Some(pool) => pool.install(|| renew(&tenant)),
                None => renew(&tenant),
            }
            one.rests_until = Instant::now() + began.elapsed() * REST;
            grading.touch(&tenant);
        }
    }
}

fn renew(tenant: &Tenant) {
    let started = Instant::now();
    // What the past says first: offers that keep clients rest on it, and it takes seconds where they take minutes.
    if let Err(error) = tenant.renew_insights() {
        tracing::warn!(%error, "insights could not be renewed");
    }
    match tenant.renew() {
        Ok(scored) => {
            tracing::debug!(
                portfolio = %scored.moment.book.portfolio().id,
                sequence = scored.moment.book.sequence(),
                opportunities = scored.pipeline.len(),
                took_us = started.elapsed().as_micros() as u64,
                "model and pipeline renewed"
            );
        }
        Err(error) => tracing::warn!(%error, "a model could not be renewed"),
    }
}
