//! A good client: a call every few milliseconds, each timed from when it was due.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use carteira::wire::v1;
use carteira::wire::v1::catalog_service_client::CatalogServiceClient;
use tonic::transport::Channel;

/// How often it calls.
const EVERY: Duration = Duration::from_millis(5);

/// What it saw.
#[derive(Debug, Default)]
pub struct Seen {
    pub times: Vec<Duration>,
    pub errors: Vec<String>,
}

/// Calls until told to stop.
pub async fn call_on(channel: Channel, stop: Arc<AtomicBool>) -> Seen {
    let mut catalog = CatalogServiceClient::new(channel);
    let mut seen = Seen::default();
    let mut due = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        let request = v1::GetClientRequest {
            portfolio_id: "good".into(),
            client_id: "c7".into(),
        };
        let began = Instant::now();
        match catalog.get_client(request).await {
            Ok(_) => seen.times.push(began.elapsed()),
            Err(status) => seen.errors.push(format!("{status:?}")),
        }
        due = (due + EVERY).max(Instant::now());
        tokio::time::sleep_until(due.into()).await;
    }
    seen
}
