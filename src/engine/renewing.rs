//! Models are fitted anew once a portfolio is quiet, and all its offers with them: minutes in a large
//! book. A thread and a pool of its own, so that what is written meanwhile shows at once.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Weak};
use std::time::Instant;

use rayon::ThreadPoolBuilder;

use super::grading::Grading;
use super::tenant::Tenant;

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

fn run(queue: &Receiver<Weak<Tenant>>, grading: &Grading) {
    // Tasks of one pool wait for one another: in the common one a write's few would wait for all these.
    let pool = ThreadPoolBuilder::new().build().ok();
    while let Ok(tenant) = queue.recv() {
        let Some(tenant) = tenant.upgrade() else {
            continue;
        };
        match &pool {
            Some(pool) => pool.install(|| renew(&tenant)),
            None => renew(&tenant),
        }
        grading.touch(&tenant);
    }
}

fn renew(tenant: &Tenant) {
    // First, since it takes seconds where the offers take minutes.
    if let Err(error) = tenant.renew_insights() {
        tracing::warn!(%error, "insights could not be renewed");
    }
    let started = Instant::now();
    // What the past says first: offers that keep clients rest on it.
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
