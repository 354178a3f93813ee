//! How soon a write shows in the pipeline, and what that takes from those who read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use carteira::wire::v1::recommendation_service_client::RecommendationServiceClient;
use carteira::wire::v1::ticket_service_client::TicketServiceClient;

use super::book::Random;
use super::figures::{Spread, micros, ratio};
use super::load::{self, Work};
use super::loaded::{Loaded, page};

/// How often it is looked whether the write shows.
const LOOK: Duration = Duration::from_millis(20);
/// Time between two writes.
const PAUSE: Duration = Duration::from_millis(500);

/// Prints the row.
pub async fn measure(loaded: &Loaded, rounds: usize, lasts: Duration) {
    let readers = load::connect(&loaded.endpoint).await;
    let channel = loaded.channel().await;
    let work = Arc::new(Work::of(loaded.reads(), Vec::new(), 5));
    let mut random = Random::new(91);
    let (mut without, mut with, mut shows) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        without.push(load::closed(&readers, &work, lasts).await.rate());
    }
    for _ in 0..rounds {
        let done = Arc::new(AtomicBool::new(false));
        let reading = tokio::spawn({
            let (readers, work, done) = (readers.clone(), work.clone(), done.clone());
            async move {
                let ran = load::closed(&readers, &work, lasts).await;
                done.store(true, Ordering::Release);
                ran
            }
        });
        let mut tickets = TicketServiceClient::new(channel.clone());
        let mut pipeline = RecommendationServiceClient::new(channel.clone());
        while !done.load(Ordering::Acquire) {
            let request = loaded.write(&mut random);
            let written = tickets.set_tickets(request).await.unwrap().into_inner();
            let began = Instant::now();
            loop {
                let list = pipeline.list_opportunities(page(1, None)).await.unwrap();
                if list.into_inner().sequence >= written.sequence {
                    break;
                }
                tokio::time::sleep(LOOK).await;
            }
            shows.push(began.elapsed().as_secs_f64() * 1e6);
            tokio::time::sleep(PAUSE).await;
        }
        let ran = reading.await.unwrap();
        assert_eq!(ran.errors, 0, "{:?}", ran.error);
        with.push(ran.rate());
    }
    println!(
        "  a write shows in the pipeline after {} ({} writes); reads meanwhile {:.0} a second, {:.0} without writes, ratio {:.3}",
        micros(&shows),
        shows.len(),
        Spread::of(with.iter().copied()),
        Spread::of(without.iter().copied()),
        ratio(&with, &without),
    );
}
