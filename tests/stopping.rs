//! The word to stop: calls under way are answered, and the process is gone within seconds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use carteira::wire::v1;
use carteira::wire::v1::recommendation_service_client::RecommendationServiceClient;
use carteira::wire::v1::ticket_service_client::TicketServiceClient;
use common::{Server, data_dir, faults, figures, make_book};
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

const CLIENTS: usize = 40;
const PRODUCTS: usize = 20;

fn sales(of: usize) -> v1::RecordSalesRequest {
    let sales = (0..PRODUCTS).map(|product| v1::Sale {
        client_id: format!("c{}", of % CLIENTS),
        product_id: format!("p{product}"),
        date: format!("2026-0{}-10", 1 + of % 9),
        amount_minor: 1_000 + product as i64,
        ..Default::default()
    });
    v1::RecordSalesRequest {
        portfolio_id: "book".into(),
        sales: sales.collect(),
        ..Default::default()
    }
}

/// Whether a call was not taken up at all: its connection had parted when it came.
fn not_taken_up(status: &tonic::Status) -> bool {
    let said = format!("{status:?}");
    status.code() == tonic::Code::Unavailable
        && (said.contains("Connect") || said.contains("refused") || said.contains("closed"))
}

/// Calls one after the other until told to stop; those that failed though they had begun before.
async fn keep_calling(
    channel: Channel,
    at: usize,
    told: Arc<AtomicBool>,
    tried: Arc<AtomicUsize>,
) -> Vec<String> {
    let mut failed = Vec::new();
    loop {
        let late = told.load(Ordering::SeqCst);
        if late {
            return failed;
        }
        tried.fetch_add(1, Ordering::SeqCst);
        let answer = match at % 2 {
            0 => {
                let mut tickets = TicketServiceClient::new(channel.clone());
                tickets.record_sales(sales(at)).await.map(drop)
            }
            _ => {
                let mut service = RecommendationServiceClient::new(channel.clone());
                let request = v1::ListOpportunitiesRequest {
                    portfolio_id: "book".into(),
                    page_size: 100,
                    ..Default::default()
                };
                service.list_opportunities(request).await.map(drop)
            }
        };
        if let Err(status) = answer
            && !(told.load(Ordering::SeqCst) && not_taken_up(&status))
        {
            failed.push(format!("{status:?}"));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_told_to_stop_answers_what_it_took_up_and_is_gone_within_five_seconds() {
    for round in 0..3 * faults() {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(&data_dir(&folder));
        let channel = server.channel().await;
        make_book(channel.clone(), "book", CLIENTS, PRODUCTS).await;
        for of in 0..CLIENTS {
            let mut tickets = TicketServiceClient::new(channel.clone());
            tickets.record_sales(sales(of)).await.unwrap();
        }
        let (before, _) = figures(&channel, "book").await;
        assert!(before.sales > 0 || before.tickets > 0);
        // Streams and channels that nobody uses do not hold it up.
        let mut health = HealthClient::new(server.channel().await);
        let watched = health.watch(HealthCheckRequest::default()).await.unwrap();
        let _idle = server.channel().await;
        let told = Arc::new(AtomicBool::new(false));
        let tried = Arc::new(AtomicUsize::new(0));
        let mut callers = Vec::new();
        for at in 0..8 {
            let channel = server.channel().await;
            callers.push(tokio::spawn(keep_calling(
                channel,
                at,
                told.clone(),
                tried.clone(),
            )));
        }
        tokio::time::sleep(Duration::from_millis(300 + 70 * round as u64)).await;
        told.store(true, Ordering::SeqCst);
        let began = Instant::now();
        let stopped = tokio::task::spawn_blocking(move || server.terminate());
        let mut failed = Vec::new();
        for caller in callers {
            failed.extend(caller.await.unwrap());
        }
        stopped.await.unwrap();
        let took = began.elapsed();
        drop(watched);
        let tried = tried.load(Ordering::SeqCst);
        assert_eq!(failed, Vec::<String>::new(), "of {tried} calls");
        assert!(took <= Duration::from_secs(5), "{took:?}");
        println!("round {round}: {tried} calls, 0 failed, stopped in {took:?}");
    }
}
