//! kill -9 at random moments, under load through gRPC and while the server opens.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use carteira::wire::v1;
use carteira::wire::v1::ticket_service_client::TicketServiceClient;
use common::{BINARY, Server, assert_no_panic, data_dir, make_book, mix, spawn};

const WRITERS: u64 = 8;
const CLIENTS: u64 = 16;
const PRODUCTS: u64 = 5;

/// Request `number`: three sales whose cells and amounts follow from the number.
fn request(number: u64) -> v1::RecordSalesRequest {
    let sale = |at: u64| {
        let draw = mix(number * 7 + at);
        v1::Sale {
            client_id: format!("c{}", draw % CLIENTS),
            product_id: format!("p{}", draw / 100 % PRODUCTS),
            date: format!("2026-{:02}-15", draw / 1_000 % 12 + 1),
            amount_minor: (draw / 100_000 % 10_000 + 1) as i64,
            quantity: None,
            sale_id: if at == 0 {
                format!("sale-{number}")
            } else {
                String::new()
            },
        }
    };
    v1::RecordSalesRequest {
        portfolio_id: "crash".into(),
        sales: (0..3).map(sale).collect(),
        currency: "BRL".into(),
        request_id: format!("request-{number}"),
    }
}

type Cells = BTreeMap<(String, String), i64>;

async fn read_cells(server: &Server) -> Cells {
    let mut service = TicketServiceClient::new(server.channel().await);
    let request = v1::ExportTicketsRequest {
        portfolio_id: "crash".into(),
    };
    let mut stream = service.export_tickets(request).await.unwrap().into_inner();
    let mut cells = Cells::new();
    while let Some(message) = stream.message().await.unwrap() {
        for ticket in message.tickets {
            cells.insert(
                (ticket.client_id, ticket.product_id),
                ticket.sales_amount_minor,
            );
        }
    }
    cells
}

/// Sends requests until the server is gone; notes each that was tried and each that was answered.
async fn write(
    server_endpoint: String,
    next: Arc<Mutex<u64>>,
    acknowledged: Arc<Mutex<Vec<u64>>>,
    tried: Arc<Mutex<Vec<u64>>>,
) {
    let Ok(channel) = tonic::transport::Channel::from_shared(server_endpoint)
        .unwrap()
        .connect()
        .await
    else {
        return;
    };
    let mut service = TicketServiceClient::new(channel);
    loop {
        let number = {
            let mut next = next.lock().unwrap();
            *next += 1;
            *next
        };
        tried.lock().unwrap().push(number);
        match service.record_sales(request(number)).await {
            Ok(_) => acknowledged.lock().unwrap().push(number),
            Err(_) => return,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_requests_survive_kills_whole_and_once() {
    let faults: u64 = std::env::var("CARTEIRA_FAULTS")
        .ok()
        .and_then(|raw| raw.parse().ok())
        .unwrap_or(1);
    let seed: u64 = std::env::var("CARTEIRA_SEED")
        .ok()
        .and_then(|raw| raw.parse().ok())
        .unwrap_or_else(|| u64::from(std::process::id()));
    let rounds = 50 * faults;
    println!("seed {seed}, {rounds} kills");
    let folder = tempfile::tempdir().unwrap();
    let dir = data_dir(&folder);
    let server = Server::start(&dir);
    make_book(
        server.channel().await,
        "crash",
        CLIENTS as usize,
        PRODUCTS as usize,
    )
    .await;
    server.kill();
    let next = Arc::new(Mutex::new(0));
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    let tried = Arc::new(Mutex::new(Vec::new()));
    for round in 0..rounds {
        let draw = mix(seed.wrapping_mul(1_000) + round);
        if draw % 10 < 3 {
            let mut opening = spawn(&dir);
            tokio::time::sleep(Duration::from_micros(draw / 10 % 60_000)).await;
            opening.kill().unwrap();
            let log = opening.wait_with_output().unwrap().stderr;
            assert_no_panic(&[String::from_utf8_lossy(&log).into_owned()]);
            continue;
        }
        // Some kills fall into a checkpoint.
        let server = Server::start_with(&dir, &[("CARTEIRA_CHECKPOINT_EVERY", "50ms")]);
        let writers: Vec<_> = (0..WRITERS)
            .map(|_| {
                tokio::spawn(write(
                    server.endpoint.clone(),
                    next.clone(),
                    acknowledged.clone(),
                    tried.clone(),
                ))
            })
            .collect();
        tokio::time::sleep(Duration::from_micros(20_000 + draw / 10 % 200_000)).await;
        server.kill();
        for writer in writers {
            writer.await.unwrap();
        }
    }
    let server = Server::start(&dir);
    // What was not acknowledged may be there or not. Sent again under its name, it is there once:
    // then every request tried stands exactly once, or the sums differ.
    let acknowledged = acknowledged.lock().unwrap().clone();
    let tried = tried.lock().unwrap().clone();
    let mut service = TicketServiceClient::new(server.channel().await);
    let mut repeated = 0;
    for number in &tried {
        let answer = service
            .record_sales(request(*number))
            .await
            .unwrap()
            .into_inner();
        let known = acknowledged.contains(number);
        assert!(
            answer.repeated || !known,
            "request {number} was acknowledged and is gone (seed {seed})"
        );
        repeated += u64::from(answer.repeated);
    }
    let mut expected = Cells::new();
    for number in &tried {
        for sale in request(*number).sales {
            *expected
                .entry((sale.client_id, sale.product_id))
                .or_default() += sale.amount_minor;
        }
    }
    assert_eq!(read_cells(&server).await, expected, "seed {seed}");
    println!(
        "{} requests tried, {} acknowledged, {repeated} found again",
        tried.len(),
        acknowledged.len()
    );
    assert!(acknowledged.len() > 20);
    server.kill();
    let check = Command::new(BINARY)
        .args(["check", "--data-dir"])
        .arg(&dir)
        .output()
        .unwrap();
    assert!(
        check.status.success(),
        "{}",
        String::from_utf8_lossy(&check.stderr)
    );
}
