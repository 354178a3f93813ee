//! Pages of ListOpportunities: with and without a filter, and beside a server that sends the same bytes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use carteira::wire::v1::ticket_service_client::TicketServiceClient;

use super::book::Random;
use super::ceiling::Ceiling;
use super::figures::{Spread, micros, ratio};
use super::load::{self, Call, Work};
use super::loaded::{Loaded, page};
use super::process::{cpu, go_on, hold};

/// Rows of a page.
pub const ROWS: u32 = 100;
/// The method that gives a page.
pub const LIST: &str = "/carteira.v1.RecommendationService/ListOpportunities";
/// How long a write may take until it shows.
const SHOWS: Duration = Duration::from_millis(1_500);

/// Prints the rows.
pub async fn measure(loaded: &Loaded, ceiling: &Ceiling, rounds: usize, lasts: Duration) {
    let pid = loaded.pid;
    let ours = load::connect(&loaded.endpoint).await;
    let theirs = load::connect(&ceiling.endpoint).await;
    let call = |filter| Call::new(LIST, &page(ROWS, filter));
    let work = |filter| Arc::new(Work::of(vec![call(filter)], Vec::new(), 1));
    let sides = [
        ("without a filter", &ours, pid, work(None)),
        ("with a filter", &ours, pid, work(Some(1))),
        (
            "ready page, the same bytes",
            &theirs,
            ceiling.pid(),
            work(None),
        ),
    ];
    let mut rates = vec![Vec::new(); sides.len()];
    let mut prices = vec![Vec::new(); sides.len()];
    let mut bytes = vec![0.0; sides.len()];
    for round in 0..=rounds {
        for (at, (_, channels, who, work)) in sides.iter().enumerate() {
            if *who != pid {
                hold(pid);
            }
            let before = cpu(*who);
            let ran = load::closed(channels, work, lasts).await;
            let took = cpu(*who).saturating_sub(before);
            if *who != pid {
                go_on(pid);
            }
            assert_eq!(ran.errors, 0, "{:?}", ran.error);
            // The first round warms up.
            if round > 0 {
                rates[at].push(ran.rate());
                prices[at].push(took.as_secs_f64() * 1e6 / ran.reads.max(1) as f64);
                bytes[at] = ran.answer_bytes();
            }
        }
    }
    println!(
        "  ListOpportunities, pages of {ROWS} of a list that was asked for before, 4 connections x 16, {rounds} rounds of {lasts:?}:"
    );
    for (at, (what, ..)) in sides.iter().enumerate() {
        let rate = Spread::of(rates[at].iter().copied());
        let price = Spread::of(prices[at].iter().copied());
        let bytes = bytes[at];
        println!(
            "    {what}: {rate:.0} a second, {price:.1} us of server a call, {bytes:.0} bytes"
        );
    }
    println!(
        "    time with a filter to time without: {:.2}; throughput to a ready page: {:.3}",
        ratio(&rates[0], &rates[1]),
        ratio(&rates[0], &rates[2]),
    );

    // Lists are found anew once a write shows.
    let mut random = Random::new(7);
    let mut tickets = TicketServiceClient::new(ours[0].clone());
    let (mut all, mut some) = (Vec::new(), Vec::new());
    for round in 0..rounds.max(2) {
        tickets
            .set_tickets(loaded.write(&mut random))
            .await
            .unwrap();
        tokio::time::sleep(SHOWS).await;
        for (filter, times) in [(None, &mut all), (Some(round), &mut some)] {
            let began = Instant::now();
            call(filter).send(&ours[0]).await.unwrap();
            times.push(began.elapsed().as_secs_f64() * 1e6);
        }
    }
    println!(
        "    the first page after a write, one caller: {} without a filter, {} with one, ratio {:.2}",
        micros(&all),
        micros(&some),
        ratio(&some, &all),
    );
}
