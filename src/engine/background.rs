//! What is worked out after writes, so that no request has to: pipelines here, models by the renewal.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::priority::pool_that_stands_back;
use super::renewing::Renewing;
use super::tenant::Tenant;

/// Portfolios that may wait for the background; one that finds no room is taken up by its next
/// write or read.
const QUEUE: usize = 4_096;
/// How long a portfolio must be quiet before its model is fitted anew.
const QUIET: Duration = Duration::from_secs(2);
/// A portfolio that is never quiet has its model fitted anew after this all the same.
const RESTLESS: Duration = Duration::from_secs(60);
/// Between two looks at portfolios that are not quiet yet the background rests this many times as long as the last one
/// took, so that it leaves a core to those who ask …
const REST: u32 = 4;
/// … but no shorter than this …
const LEAST_REST: Duration = Duration::from_millis(10);
/// … and no longer: until its row is worked out again, each question about a client that a write touched is answered
/// from scratch.
const MOST_REST: Duration = Duration::from_millis(200);

/// The background thread. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Background {
    touched: mpsc::Sender<Weak<Tenant>>,
}

impl Background {
    /// Starts the thread.
    pub(super) fn start() -> Self {
        let (touched, queue) = mpsc::channel(QUEUE);
        let spawned = std::thread::Builder::new()
            .name("scoring".into())
            .spawn(|| run(queue, &Renewing::start()));
        if let Err(error) = spawned {
            tracing::error!(%error, "no background thread; pipelines are worked out on request");
        }
        Self { touched }
    }

    /// Takes up a portfolio that a write has touched.
    pub(super) fn touch(&self, tenant: &Arc<Tenant>) {
        // A full queue is no loss: see `QUEUE`.
        let _ = self.touched.try_send(Arc::downgrade(tenant));
    }
}

/// A portfolio that writes touched.
struct Touched {
    tenant: Weak<Tenant>,
    first: Instant,
    last: Instant,
}

fn run(mut queue: mpsc::Receiver<Weak<Tenant>>, renewing: &Renewing) {
    let mut waiting: BTreeMap<usize, Touched> = BTreeMap::new();
    let mut took = Duration::ZERO;
    // Working out a whole book again is a task of its own, not the price of one write: it stands back.
    let aside = pool_that_stands_back(None);
    loop {
        if waiting.is_empty() {
            match queue.blocking_recv() {
                Some(tenant) => note(&mut waiting, tenant),
                None => return,
            }
        }
        std::thread::sleep((took * REST).clamp(LEAST_REST, MOST_REST));
        let began = Instant::now();
        loop {
            match queue.try_recv() {
                Ok(tenant) => note(&mut waiting, tenant),
                Err(mpsc::error::TryRecvError::Empty) => break,
                Err(mpsc::error::TryRecvError::Disconnected) => return,
            }
        }
        let keys: Vec<_> = waiting.keys().copied().collect();
        for key in keys {
            let Some(touched) = waiting.get_mut(&key) else {
                continue;
            };
            let quiet = touched.last.elapsed() >= QUIET;
            let due = quiet || touched.first.elapsed() >= RESTLESS;
            if let Some(tenant) = touched.tenant.upgrade() {
                match &aside {
                    Some(aside) if tenant.changed_much() => {
                        aside.install(|| bring_up_to_date(&tenant));
                    }
                    _ => bring_up_to_date(&tenant),
                }
                if due {
                    renewing.touch(&tenant);
                    touched.first = Instant::now();
                }
            }
            if quiet {
                waiting.remove(&key);
            }
        }
        took = began.elapsed();
    }
}

fn note(waiting: &mut BTreeMap<usize, Touched>, tenant: Weak<Tenant>) {
    let now = Instant::now();
    let touched = waiting.entry(tenant.as_ptr() as usize).or_insert(Touched {
        tenant,
        first: now,
        last: now,
    });
    touched.last = now;
}

/// Works the offers of the clients that writes touched out again. The first offers of all are left to
/// the renewal, or to whoever asks for them, and so are the first insights.
fn bring_up_to_date(tenant: &Tenant) {
    if let Err(error) = tenant.refresh_insights() {
        tracing::warn!(%error, "insights could not be worked out");
    }
    if !tenant.has_scores() {
        return;
    }
    let started = Instant::now();
    tenant.withhold();
    match tenant.score() {
        Ok(scored) => {
            tracing::debug!(
                portfolio = %scored.moment.book.portfolio().id,
                sequence = scored.moment.book.sequence(),
                opportunities = scored.pipeline.len(),
                took_us = started.elapsed().as_micros() as u64,
                "pipeline up to date"
            );
        }
        Err(error) => tracing::warn!(%error, "a pipeline could not be worked out"),
    }
}
