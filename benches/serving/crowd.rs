//! Readers and writers at once, under the settings that a server has by itself: is anybody turned away?

use std::sync::Arc;
use std::time::Duration;

use super::load::{self, Ran, Work};
use super::loaded::Loaded;

/// Prints what 64 readers and 64 writers got.
pub async fn measure(loaded: &Loaded, lasts: Duration) {
    let endpoint = &loaded.endpoint;
    let (readers, writers) = (load::connect(endpoint).await, load::connect(endpoint).await);
    let reads = Arc::new(Work::of(loaded.reads(), Vec::new(), 13));
    let writes = Arc::new(Work::of(loaded.writes(20_000, 13), Vec::new(), 13));
    let (reads, writes) = tokio::join!(
        load::closed(&readers, &reads, lasts),
        load::closed(&writers, &writes, lasts),
    );
    let refused = |ran: &Ran| match &ran.error {
        Some(status) => format!("{} refused ({})", ran.errors, status.message()),
        None => "none refused".to_owned(),
    };
    println!(
        "  64 readers beside 64 writers: {:.0} reads a second, {}; {:.0} durable writes a second, {}",
        reads.rate(),
        refused(&reads),
        writes.rate(),
        refused(&writes),
    );
}
