//! One operation on the disk fails under a running server: it answers no write any more, says so to whoever
//! asks for its health, reads on, and after a restart has all that it acknowledged.
//!
//! `CARTEIRA_FAULTS` multiplies the rounds, `CARTEIRA_SEED` repeats them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
#![cfg(all(target_os = "linux", target_pointer_width = "64"))]

mod common;
#[path = "common/preload.rs"]
mod preload;

use std::path::Path;
use std::time::{Duration, Instant};

use carteira::wire::v1;
use carteira::wire::v1::ticket_service_client::TicketServiceClient;
use common::faults::{seed_of, tell, times_more};
use common::{Server, data_dir, figures, make_book, mix};
use preload::library;
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

const BOOK: &str = "read-only";
const ROUNDS: u64 = 6;
const EIO: &str = "5";
const ENOSPC: &str = "28";
/// Operations while a folder opens and the book is made are fewer.
const OPENED: u64 = 120;

async fn write(channel: &Channel) -> Result<u64, tonic::Status> {
    let request = v1::RecordSalesRequest {
        portfolio_id: BOOK.into(),
        sales: vec![v1::Sale {
            client_id: "c0".into(),
            product_id: "p0".into(),
            date: "2026-01-10".into(),
            amount_minor: 1,
            ..Default::default()
        }],
        ..Default::default()
    };
    let answered = TicketServiceClient::new(channel.clone())
        .record_sales(request)
        .await;
    answered.map(|answer| answer.into_inner().sequence)
}

async fn health(channel: &Channel, service: &str) -> ServingStatus {
    let request = HealthCheckRequest {
        service: service.into(),
    };
    let answered = HealthClient::new(channel.clone()).check(request).await;
    answered.unwrap().get_ref().status()
}

async fn one_round(library: &Path, at: u64, errno: &str) {
    let folder = tempfile::tempdir().unwrap();
    let dir = data_dir(&folder);
    let server = Server::start_with(
        &dir,
        &[
            ("LD_PRELOAD", library.to_str().unwrap()),
            ("CARTEIRA_FAULT_FOLDER", dir.to_str().unwrap()),
            ("CARTEIRA_FAULT_AT", &at.to_string()),
            (
                "CARTEIRA_FAULT_FOR",
                if errno == EIO { "1" } else { "1000000" },
            ),
            ("CARTEIRA_FAULT_ERRNO", errno),
        ],
    );
    let channel = server.channel().await;
    make_book(channel.clone(), BOOK, 1, 1).await;
    let mut last = 0;
    let refused = loop {
        match write(&channel).await {
            Ok(sequence) => last = sequence,
            Err(status) => break status,
        }
    };
    assert_eq!(
        refused.code(),
        Code::Unavailable,
        "operation {at}: {refused:?}"
    );
    let began = Instant::now();
    for service in [
        "",
        "carteira.v1.TicketService",
        "carteira.v1.CatalogService",
    ] {
        while health(&channel, service).await != ServingStatus::NotServing {
            assert!(
                began.elapsed() < Duration::from_secs(2),
                "operation {at}: health says nothing"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    let reading = health(&channel, "carteira.v1.RecommendationService").await;
    assert_eq!(reading, ServingStatus::Serving, "operation {at}");
    for _ in 0..20 {
        let refused = write(&channel).await.unwrap_err();
        assert_eq!(
            refused.code(),
            Code::Unavailable,
            "operation {at}: {refused:?}"
        );
    }
    assert_eq!(figures(&channel, BOOK).await.1, last, "operation {at}");
    server.kill();
    let server = Server::start(&dir);
    // The one that failed may be there: it was not acknowledged, and may have reached the disk.
    let (_, there) = figures(&server.channel().await, BOOK).await;
    assert!(
        (last..=last + 1).contains(&there),
        "operation {at}: {last} acknowledged, {there} there"
    );
    assert_eq!(write(&server.channel().await).await.unwrap(), there + 1);
    server.terminate();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failed_operation_writes_are_refused_health_says_so_and_reads_go_on() {
    let seed = seed_of("a failing disk under a server");
    let tools = tempfile::tempdir().unwrap();
    let library = library("faulty_io", tools.path());
    let rounds = ROUNDS * times_more();
    for round in 0..rounds {
        let at = OPENED + mix(seed + round) % 200;
        one_round(&library, at, [EIO, ENOSPC][(round % 2) as usize]).await;
    }
    tell(format_args!(
        "{rounds} servers whose disk failed: 0 writes accepted afterwards, NOT_SERVING, reads go on, 0 acknowledged lost"
    ));
}
