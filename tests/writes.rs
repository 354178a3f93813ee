//! A read that starts after an acknowledged write sees it; a restart changes no answer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use carteira::wire::v1;
use carteira::wire::v1::recommendation_service_client::RecommendationServiceClient;
use carteira::wire::v1::ticket_service_client::TicketServiceClient;
use common::{Server, data_dir, make_book};
use prost::Message;
use tonic::transport::Channel;

const WORKERS: usize = 64;
const ROUNDS: i64 = 12;

fn sale(client: usize, product: usize, amount_minor: i64) -> v1::RecordSalesRequest {
    let sale = v1::Sale {
        client_id: format!("c{client}"),
        product_id: format!("p{product}"),
        date: "2026-03-10".into(),
        amount_minor,
        ..Default::default()
    };
    v1::RecordSalesRequest {
        portfolio_id: "writes".into(),
        sales: vec![sale],
        ..Default::default()
    }
}

async fn tickets(
    service: &mut TicketServiceClient<Channel>,
    client: usize,
) -> v1::GetClientTicketsResponse {
    let request = v1::GetClientTicketsRequest {
        portfolio_id: "writes".into(),
        client_id: format!("c{client}"),
    };
    let answer = service.get_client_tickets(request).await;
    answer.unwrap().into_inner()
}

async fn advice(
    service: &mut RecommendationServiceClient<Channel>,
    client: usize,
) -> v1::RecommendForClientResponse {
    let request = v1::RecommendForClientRequest {
        portfolio_id: "writes".into(),
        client_id: format!("c{client}"),
        ..Default::default()
    };
    let answer = service.recommend_for_client(request).await;
    answer.unwrap().into_inner()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_after_an_acknowledged_write_sees_it_among_64_writers_and_readers() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&data_dir(&folder));
    make_book(server.channel().await, "writes", WORKERS, 4).await;
    let mut workers = Vec::new();
    for worker in 0..WORKERS {
        let channel = server.channel().await;
        workers.push(tokio::spawn(async move {
            let mut service = TicketServiceClient::new(channel.clone());
            let mut advisor = RecommendationServiceClient::new(channel);
            let mut sum = 0;
            for round in 1..=ROUNDS {
                let request = sale(worker, worker % 4, round * 1_000);
                let answer = service.record_sales(request).await.unwrap().into_inner();
                sum += round * 1_000;
                let seen = tickets(&mut service, worker).await;
                assert!(seen.sequence >= answer.sequence);
                assert_eq!(
                    seen.total_ticket_minor, sum,
                    "worker {worker}, round {round}"
                );
                if round == ROUNDS {
                    let advice = advice(&mut advisor, worker).await;
                    assert!(advice.sequence >= answer.sequence);
                    let shown = |offer: &v1::Opportunity| offer.current_ticket_minor == sum;
                    assert!(advice.upsell.iter().all(shown), "worker {worker}");
                }
            }
        }));
    }
    for worker in workers {
        worker.await.unwrap();
    }
}

async fn answers(server: &Server) -> Vec<Vec<u8>> {
    let channel = server.channel().await;
    let mut advisor = RecommendationServiceClient::new(channel.clone());
    let list = v1::ListOpportunitiesRequest {
        portfolio_id: "writes".into(),
        page_size: 1_000,
        ..Default::default()
    };
    let listed = advisor.list_opportunities(list).await.unwrap().into_inner();
    assert!(listed.opportunities.len() > 20, "there is much to compare");
    let mut bytes = vec![listed.encode_to_vec()];
    let mut service = TicketServiceClient::new(channel);
    for client in 0..8 {
        bytes.push(tickets(&mut service, client).await.encode_to_vec());
        bytes.push(advice(&mut advisor, client).await.encode_to_vec());
    }
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_changes_no_byte_of_an_answer() {
    let folder = tempfile::tempdir().unwrap();
    let dir = data_dir(&folder);
    let server = Server::start(&dir);
    make_book(server.channel().await, "writes", 40, 6).await;
    let mut service = TicketServiceClient::new(server.channel().await);
    for client in 0..40 {
        let bought = (0..6).filter(|product| (client * 7 + product * 5) % 11 < 7);
        let sales = bought.flat_map(|product| {
            let amount = 10_000 + (client * 997 + product * 131) % 50_000;
            sale(client, product, amount as i64).sales
        });
        let request = v1::RecordSalesRequest {
            portfolio_id: "writes".into(),
            sales: sales.collect(),
            ..Default::default()
        };
        service.record_sales(request).await.unwrap();
    }
    let before = answers(&server).await;
    server.kill();
    let server = Server::start(&dir);
    assert_eq!(before, answers(&server).await);
}
