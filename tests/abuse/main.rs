//! Callers that mean harm, beside a good one: floods of frames, answers that are not taken, and requests that
//! do not go on.
//!
//! Attacker, server and good client share the cores of one machine, so that an attacker's own work alone
//! makes the good client wait. The good client is therefore timed three times: alone, beside an honest client
//! that calls as fast as it can on one connection from one thread, and beside the attacker, which has one
//! thread as well. Medians of slices of time keep other work of the machine out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "../common/mod.rs"]
mod common;

mod attacks;
mod frames;
mod good;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use carteira::wire::v1;
use carteira::wire::v1::catalog_service_client::CatalogServiceClient;
use carteira::wire::v1::ticket_service_client::TicketServiceClient;
use common::{Server, data_dir, faults, make_book, quantile};
use good::Seen;
use tonic::transport::Channel;

/// What the memory of the server may grow by.
const GROWTH_KIB: u64 = 64 * 1024;
/// The same while answers of a thousand rows are not taken. 64 MiB are aimed at; the last megabytes depend on how many
/// answers were in the making at once.
const UNTAKEN_KIB: u64 = 80 * 1024;
/// How often a measurement is tried: other work of the machine spoils one now and then.
const TRIES: usize = 3;
/// Times under this are those of the machine's clock and scheduler, not of the server.
const NOISE: Duration = Duration::from_millis(4);

/// Held by the test that measures: one after the other.
static ALONE: Mutex<()> = Mutex::new(());

/// Runs an attack on a thread of its own while a good client calls; what both came to.
fn beside<T: Send + 'static>(
    server: &Server,
    attack: impl Future<Output = T> + Send + 'static,
) -> (Seen, T) {
    let endpoint = server.endpoint.clone();
    let stop = Arc::new(AtomicBool::new(false));
    let told = stop.clone();
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap()
    };
    let client = std::thread::spawn(move || {
        runtime().block_on(async {
            let channel = Channel::from_shared(endpoint)
                .unwrap()
                .connect()
                .await
                .unwrap();
            good::call_on(channel, told).await
        })
    });
    let attacked = std::thread::spawn(move || {
        // An attacker has a machine of its own: here it is not to take the cores of those that it attacks.
        rustix::process::setpriority_process(None, 19).unwrap();
        runtime().block_on(attack)
    });
    let attacked = attacked.join().unwrap();
    stop.store(true, Ordering::Relaxed);
    (client.join().unwrap(), attacked)
}

/// The 99th percentile in the middle slice: of five slices of the time, the median.
fn p99(seen: &Seen) -> Duration {
    let slice = (seen.times.len() / 5).max(1);
    let mut each: Vec<Duration> = seen
        .times
        .chunks(slice)
        .filter(|chunk| chunk.len() == slice)
        .map(|chunk| quantile(&mut chunk.to_vec(), 0.99))
        .collect();
    quantile(&mut each, 0.5)
}

fn address(server: &Server) -> SocketAddr {
    server
        .endpoint
        .trim_start_matches("http://")
        .parse()
        .unwrap()
}

/// An honest client that calls as fast as it can.
async fn busy(endpoint: String, lasts: Duration) -> usize {
    let channel = Channel::from_shared(endpoint)
        .unwrap()
        .connect()
        .await
        .unwrap();
    let end = tokio::time::Instant::now() + lasts;
    let calling = (0..32).map(|_| {
        let mut catalog = CatalogServiceClient::new(channel.clone());
        tokio::spawn(async move {
            let mut calls = 0;
            while tokio::time::Instant::now() < end {
                let request = v1::GetClientRequest {
                    portfolio_id: "other".into(),
                    client_id: "c1".into(),
                };
                catalog.get_client(request).await.unwrap();
                calls += 1;
            }
            calls
        })
    });
    let mut calls = 0;
    for calling in calling.collect::<Vec<_>>() {
        calls += calling.await.unwrap();
    }
    calls
}

/// Portfolios to call for: of a good client, of another, and one with large answers.
async fn prepare(server: &Server) {
    let channel = server.channel().await;
    for name in ["good", "other"] {
        make_book(channel.clone(), name, 10, 3).await;
    }
    make_book(channel.clone(), "large", 60, 30).await;
    let mut tickets = TicketServiceClient::new(channel);
    let sales = (0..60_i64).flat_map(|client| {
        let bought = move |product: &i64| common::mix((client * 31 + product) as u64) % 10 < 4;
        (0..30_i64).filter(bought).map(move |product| v1::Sale {
            client_id: format!("c{client}"),
            product_id: format!("p{product}"),
            date: format!("2026-0{}-1{}", 1 + (client + product) % 9, product % 10),
            amount_minor: 1_000 * (1 + (client * 7 + product * 13) % 50),
            ..Default::default()
        })
    });
    let request = v1::RecordSalesRequest {
        portfolio_id: "large".into(),
        sales: sales.collect(),
        ..Default::default()
    };
    tickets.record_sales(request).await.unwrap();
}

fn start() -> (tempfile::TempDir, Server) {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&data_dir(&folder));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(prepare(&server));
    (folder, server)
}

/// The good client alone, and beside an honest busy one.
fn undisturbed(server: &Server) -> (Duration, Duration) {
    let (alone, ()) = beside(server, async { tokio::time::sleep(attacks::FLOOD).await });
    let (honest, calls) = beside(server, busy(server.endpoint.clone(), attacks::FLOOD));
    assert!(alone.errors.is_empty() && honest.errors.is_empty());
    println!("beside an honest client: {calls} calls of it");
    (p99(&alone), p99(&honest))
}

#[test]
fn floods_of_frames_disturb_a_good_client_no_more_than_an_honest_one_does() {
    type Attack = fn(SocketAddr) -> std::pin::Pin<Box<dyn Future<Output = attacks::Done> + Send>>;
    let floods: [(&str, Attack); 5] = [
        ("rapid reset", |to| {
            Box::pin(attacks::rapid_reset(to, 100_000 * faults()))
        }),
        ("CONTINUATION", |to| Box::pin(attacks::continuation(to))),
        ("SETTINGS", |to| Box::pin(attacks::settings(to))),
        ("PING", |to| Box::pin(attacks::pings(to))),
        ("empty DATA", |to| Box::pin(attacks::empty_data(to))),
    ];
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (_folder, server) = start();
    let to = address(&server);
    let (mut alone, mut honest) = undisturbed(&server);
    let base = server.memory_kib("VmRSS");
    for (name, attack) in floods {
        let mut tries = 0;
        loop {
            tries += 1;
            let began = Instant::now();
            let (seen, done) = beside(&server, attack(to));
            assert_eq!(seen.errors, Vec::<String>::new(), "{name}");
            let (attacked, grown) = (p99(&seen), server.memory_kib("VmHWM").saturating_sub(base));
            println!(
                "{name}: {} frames over {} connections; p99 of {} calls {attacked:?} (alone {alone:?}, beside an honest client {honest:?}), 0 errors, {grown} KiB more",
                done.sent,
                done.connections,
                seen.times.len(),
            );
            assert!(grown <= GROWTH_KIB, "{name}: {grown} KiB more than {base}");
            // Whoever breaks in 20 times waits for the next second.
            let seconds = began.elapsed().as_secs() as usize + 2;
            assert!(
                done.connections <= 20 * seconds,
                "{name}: {} connections in {seconds} s",
                done.connections
            );
            if attacked <= 2 * alone.max(honest).max(NOISE) {
                break;
            }
            assert!(tries < TRIES, "{name}: {attacked:?}");
            (alone, honest) = undisturbed(&server);
        }
    }
    server.terminate();
}

#[test]
fn answers_that_are_not_taken_cost_no_memory_and_their_connections_are_closed() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (_folder, server) = start();
    let to = address(&server);
    // The pipeline is worked out before, so that what is measured is the answers.
    let (warm, _) = beside(&server, async move {
        let mut streams = attacks::zero_window(to, 1, 1, 1 << 20).await;
        frames::closes(&mut streams[0], Duration::from_secs(2)).await
    });
    assert!(warm.errors.is_empty());
    let base = server.memory_kib("VmRSS");
    // First no more calls than the 144 that a portfolio may have at once: a connection all of whose calls
    // are refused has nothing untaken, and keeps its place. Then far more, which are refused.
    for (connections, window, all_held) in [
        (14, 0, true),
        (14, 1, true),
        (100 * faults().min(7), 0, false),
        (100 * faults().min(7), 1, false),
    ] {
        let (seen, open) = beside(&server, async move {
            let held = attacks::zero_window(to, connections, 10, window).await;
            // Ten seconds after the last answer was given, which takes its time on a slow machine.
            let ends =
                tokio::time::Instant::now() + Duration::from_secs(if all_held { 30 } else { 3 });
            if !all_held {
                tokio::time::sleep_until(ends).await;
            }
            let mut open = 0;
            for mut stream in held {
                let left = ends.saturating_duration_since(tokio::time::Instant::now());
                let patience = left.max(Duration::from_millis(20));
                open += usize::from(!frames::closes(&mut stream, patience).await);
            }
            open
        });
        let grown = server.memory_kib("VmHWM").saturating_sub(base);
        println!(
            "window {window}: {connections} connections of 10 calls, {open} open at the end; p99 of {} calls {:?}, 0 errors, {grown} KiB more",
            seen.times.len(),
            p99(&seen),
        );
        assert_eq!(seen.errors, Vec::<String>::new());
        assert!(!all_held || open == 0, "{open} keep their places");
        assert!(grown <= UNTAKEN_KIB, "{grown} KiB more than {base}");
    }
    server.terminate();
}

#[test]
fn a_thousand_connections_that_do_not_go_on_are_closed_in_time() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (_folder, server) = start();
    let to = address(&server);
    let (mut alone, mut honest) = undisturbed(&server);
    let base = server.memory_kib("VmRSS");
    let count = 1_000 * faults();
    let mut tries = 0;
    loop {
        tries += 1;
        let (seen, ends) = beside(
            &server,
            attacks::slow_loris(to, count, Duration::from_secs(20)),
        );
        assert_eq!(seen.errors, Vec::<String>::new());
        let late: Vec<_> = ends
            .iter()
            .filter(|(_, kept)| kept.is_none_or(|kept| kept > Duration::from_secs(15)))
            .collect();
        let longest = ends.iter().filter_map(|(_, kept)| *kept).max();
        let (attacked, grown) = (p99(&seen), server.memory_kib("VmHWM").saturating_sub(base));
        println!(
            "{count} slow connections, all closed within {longest:?}; p99 of {} calls {attacked:?} (alone {alone:?}, beside an honest client {honest:?}), 0 errors, {grown} KiB more",
            seen.times.len(),
        );
        assert!(
            late.is_empty(),
            "{} of {count}: {:?}",
            late.len(),
            &late[..late.len().min(8)]
        );
        assert!(grown <= GROWTH_KIB, "{grown} KiB more than {base}");
        if attacked <= 2 * alone.max(honest).max(NOISE) {
            break;
        }
        assert!(tries < TRIES, "{attacked:?}");
        (alone, honest) = undisturbed(&server);
    }
    server.terminate();
}
