//! What the layers of the server cost a call: the same health check answered by `carteira serve` and by tonic's
//! own server without any of them, in turns, by the processor time of the server's threads alone.
//!
//! `cargo test --release --test edge_cost -- --nocapture` gives the figure; a debug build only that it runs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use common::{Server, data_dir, quantile};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

/// Calls of one turn.
const CALLS: usize = if cfg!(debug_assertions) {
    2_000
} else {
    20_000
};
const TURNS: usize = 5;
const AT_ONCE: usize = 16;
/// The name of the threads of the server without layers; the system keeps 15 characters.
const PLAIN: &str = "plain-tonic";

/// tonic's own server, on threads of its own in this process.
fn plain() -> SocketAddr {
    let (send, address) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name(PLAIN)
            .enable_all()
            .build()
            .unwrap();
        let serving = runtime.spawn(async move {
            let (_, health) = tonic_health::server::health_reporter();
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            send.send(listener.local_addr().unwrap()).unwrap();
            let incoming =
                tokio_stream::StreamExt::map(TcpListenerStream::new(listener), |stream| {
                    let stream = stream?;
                    stream.set_nodelay(true)?;
                    std::io::Result::Ok(stream)
                });
            let server = tonic::transport::Server::builder().add_service(health);
            server.serve_with_incoming(incoming).await.unwrap();
        });
        runtime.block_on(serving).unwrap();
    });
    address.recv().unwrap()
}

/// Processor time of this process's threads of a name.
fn cpu_of_threads(name: &str) -> Duration {
    let mut ticks = 0;
    for thread in std::fs::read_dir("/proc/self/task").unwrap() {
        let folder = thread.unwrap().path();
        let Ok(stat) = std::fs::read_to_string(folder.join("stat")) else {
            continue;
        };
        if stat.contains(&format!("({name})")) {
            let words: Vec<&str> = stat
                .rsplit(')')
                .next()
                .unwrap()
                .split_whitespace()
                .collect();
            ticks += words[11].parse::<u64>().unwrap() + words[12].parse::<u64>().unwrap();
        }
    }
    Duration::from_millis(ticks * 10)
}

async fn call(channel: &Channel, calls: usize) {
    let calling = (0..AT_ONCE).map(|_| {
        let mut health = HealthClient::new(channel.clone());
        tokio::spawn(async move {
            for _ in 0..calls / AT_ONCE {
                health.check(HealthCheckRequest::default()).await.unwrap();
            }
        })
    });
    for calling in calling.collect::<Vec<_>>() {
        calling.await.unwrap();
    }
}

#[tokio::test]
async fn the_layers_of_the_server_cost_a_call_less_than_the_call_itself() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&data_dir(&folder));
    let layered = server.channel().await;
    let to = format!("http://{}", plain());
    let plain = Channel::from_shared(to).unwrap().connect().await.unwrap();
    let per_call = |time: Duration| time / CALLS as u32;
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..=TURNS {
        let before = server.cpu();
        call(&layered, CALLS).await;
        with.push(per_call(server.cpu().saturating_sub(before)));
        let before = cpu_of_threads(PLAIN);
        call(&plain, CALLS).await;
        without.push(per_call(cpu_of_threads(PLAIN).saturating_sub(before)));
    }
    // The first turn warms both up.
    let (with, without) = (
        quantile(&mut with[1..], 0.5),
        quantile(&mut without[1..], 0.5),
    );
    let ratio = with.as_secs_f64() / without.as_secs_f64();
    println!(
        "{TURNS} turns of {CALLS} calls: {with:?} a call with the layers, {without:?} without, ratio {ratio:.2}"
    );
    let most = if cfg!(debug_assertions) { 4.0 } else { 2.0 };
    assert!(ratio < most, "{ratio:.2}");
    server.terminate();
}
