//! Writers that each write, wait for their answer, and write again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::book::Random;

/// Writers at once.
const WRITERS: u64 = 64;

/// How fast writes were answered.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// Writes a second.
    pub a_second: f64,
    /// The milliseconds within which 99 of 100 were.
    pub p99_ms: f64,
}

/// 64 writers for a while: each makes a write, then waits for it to be durable.
pub async fn write<T, F>(
    lasts: Duration,
    seed: u64,
    make: impl Fn(&mut Random) -> T + Send + Sync + 'static,
    durable: impl Fn(T) -> F + Send + Sync + 'static,
) -> Rate
where
    T: Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let began = Instant::now();
    let both = Arc::new((make, durable));
    let mut writers = JoinSet::new();
    for number in 0..WRITERS {
        let both = both.clone();
        writers.spawn(async move {
            let mut random = Random::new(seed * WRITERS + number);
            let mut times = Vec::new();
            while began.elapsed() < lasts {
                let write = both.0(&mut random);
                let sent = Instant::now();
                both.1(write).await;
                times.push(sent.elapsed());
            }
            times
        });
    }
    let mut times = writers.join_all().await.concat();
    let lasted = began.elapsed();
    times.sort_unstable();
    Rate {
        a_second: times.len() as f64 / lasted.as_secs_f64(),
        p99_ms: times[times.len() * 99 / 100].as_secs_f64() * 1e3,
    }
}
