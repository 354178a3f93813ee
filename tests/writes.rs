//! What a write promises: readers see it at once, a repeat changes nothing, a restart loses nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
// Tables of calls are long and read well.
#![allow(clippy::too_many_lines)]

mod common;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use carteira::wire::v1;
use carteira::wire::v1::catalog_service_client::CatalogServiceClient;
use carteira::wire::v1::portfolio_service_client::PortfolioServiceClient;
use carteira::wire::v1::recommendation_service_client::RecommendationServiceClient;
use carteira::wire::v1::ticket_service_client::TicketServiceClient;
use common::{Server, data_dir, figures, make_book, mix};
use prost::Message;
use tokio::task::JoinSet;
use tonic::Code;
use tonic::transport::Channel;
use tonic_types::StatusExt;

const BOOK: &str = "book";

fn sale(client: impl ToString, product: impl ToString, date: &str, amount_minor: i64) -> v1::Sale {
    v1::Sale {
        client_id: client.to_string(),
        product_id: product.to_string(),
        date: date.into(),
        amount_minor,
        ..Default::default()
    }
}

fn sales(sales: Vec<v1::Sale>, request_id: &str) -> v1::RecordSalesRequest {
    v1::RecordSalesRequest {
        portfolio_id: BOOK.into(),
        sales,
        currency: "BRL".into(),
        request_id: request_id.into(),
    }
}

async fn tickets(channel: &Channel, client: &str) -> v1::GetClientTicketsResponse {
    let request = v1::GetClientTicketsRequest {
        portfolio_id: BOOK.into(),
        client_id: client.into(),
    };
    TicketServiceClient::new(channel.clone())
        .get_client_tickets(request)
        .await
        .unwrap()
        .into_inner()
}

fn sum(tickets: &v1::GetClientTicketsResponse) -> i64 {
    let amounts = tickets
        .tickets
        .iter()
        .map(|ticket| ticket.sales_amount_minor);
    amounts.sum()
}

/// Writes to its own client and to the one that all share, and reads each write back.
async fn write_and_read_back(
    (at, write_on, read_on): (i64, Channel, Channel),
    started: Arc<AtomicI64>,
    acknowledged: Arc<AtomicI64>,
) {
    let own = format!("c{at}");
    let mut service = TicketServiceClient::new(write_on);
    let mut portfolio = PortfolioServiceClient::new(read_on.clone());
    for round in 1..=10 {
        let amount = 100 * at + round;
        started.fetch_add(amount, Ordering::SeqCst);
        let request = sales(
            vec![
                sale(&own, format!("p{}", round % 4), "2026-01-10", amount),
                sale("c0", "p0", "2026-01-10", amount),
            ],
            "",
        );
        let answer = service.record_sales(request).await.unwrap().into_inner();
        acknowledged.fetch_add(amount, Ordering::SeqCst);
        assert_eq!((answer.recorded, answer.replaced), (2, 0));
        let mine = tickets(&read_on, &own).await;
        let expected = (1..=round).map(|past| 100 * at + past).sum::<i64>();
        assert_eq!(sum(&mine), expected, "{own} after {round} writes");
        assert!(mine.sequence >= answer.sequence);
        let request = v1::GetPortfolioRequest {
            portfolio_id: BOOK.into(),
        };
        let seen = portfolio.get_portfolio(request).await.unwrap().into_inner();
        assert!(seen.sequence >= answer.sequence);
        if round % 5 == 0 {
            let request = v1::RecommendForClientRequest {
                portfolio_id: BOOK.into(),
                client_id: own.clone(),
                ..Default::default()
            };
            let advice = RecommendationServiceClient::new(read_on.clone())
                .recommend_for_client(request)
                .await
                .unwrap()
                .into_inner();
            assert!(advice.sequence >= answer.sequence);
        }
    }
}

/// Reads the shared client until told to stop: never less than what was acknowledged before the
/// read, never more than what was started before its answer, and never an older moment.
async fn read_all_along(
    channel: Channel,
    started: Arc<AtomicI64>,
    acknowledged: Arc<AtomicI64>,
    stop: Arc<AtomicBool>,
) -> u64 {
    let (mut reads, mut sequence) = (0, 0);
    while !stop.load(Ordering::SeqCst) {
        let least = acknowledged.load(Ordering::SeqCst);
        let shared = tickets(&channel, "c0").await;
        let most = started.load(Ordering::SeqCst);
        assert!((least..=most).contains(&sum(&shared)));
        assert!(shared.sequence >= sequence);
        sequence = shared.sequence;
        reads += 1;
    }
    reads
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_after_an_acknowledged_write_sees_it_among_64_writers_and_64_readers() {
    let folder = tempfile::tempdir().unwrap();
    // What is asked here is what is seen, not how fast: on a machine with other work nobody is refused.
    let server = Server::start_with(&data_dir(&folder), &[("CARTEIRA_WAIT_MS", "120000")]);
    make_book(server.channel().await, BOOK, 65, 4).await;
    let mut channels = Vec::new();
    for _ in 0..8 {
        channels.push(server.channel().await);
    }
    let on = |at: usize| channels[at % channels.len()].clone();
    let (started, acknowledged) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicI64::new(0)));
    let stop = Arc::new(AtomicBool::new(false));
    let mut readers = JoinSet::new();
    for at in 0..64 {
        let (started, acknowledged) = (started.clone(), acknowledged.clone());
        readers.spawn(read_all_along(on(at), started, acknowledged, stop.clone()));
    }
    let mut writers = JoinSet::new();
    for at in 1..=64 {
        let (started, acknowledged) = (started.clone(), acknowledged.clone());
        let channels = (at as i64, on(at), on(at + 3));
        writers.spawn(write_and_read_back(channels, started, acknowledged));
    }
    writers.join_all().await;
    stop.store(true, Ordering::SeqCst);
    let reads: u64 = readers.join_all().await.into_iter().sum();
    assert!(reads >= 64, "{reads} reads");
    let total = acknowledged.load(Ordering::SeqCst);
    let (figures, sequence) = figures(&channels[0], BOOK).await;
    assert_eq!(figures.sales_amount_minor, 2 * total);
    assert_eq!(figures.sales, 2 * 640);
    // Making the book took three writes.
    assert_eq!(sequence, 3 + 640);
    server.terminate();
}

/// Every write that takes a `request_id`, sent once in an order in which each can be applied;
/// returns the answers, encoded, with the mark of a repeat taken off and returned apart.
async fn every_named_write(channel: &Channel) -> Vec<(Vec<u8>, Option<bool>)> {
    let mut portfolios = PortfolioServiceClient::new(channel.clone());
    let mut catalog = CatalogServiceClient::new(channel.clone());
    let mut service = TicketServiceClient::new(channel.clone());
    let portfolio = v1::Portfolio {
        portfolio_id: BOOK.into(),
        currency: "BRL".into(),
        window_months: 6,
        ..Default::default()
    };
    let mut answers = Vec::new();
    let request = v1::CreatePortfolioRequest {
        portfolio: Some(portfolio.clone()),
        request_id: "create".into(),
    };
    let answer = portfolios.create_portfolio(request).await.unwrap();
    // Settings that change later are shown as they are now; the counter is the answer's own.
    answers.push((answer.get_ref().sequence.to_be_bytes().to_vec(), None));
    let request = v1::UpdatePortfolioRequest {
        portfolio: Some(v1::Portfolio {
            name: "Livro".into(),
            ..portfolio
        }),
        update_fields: vec!["name".into()],
        request_id: "update".into(),
    };
    let answer = portfolios.update_portfolio(request).await.unwrap();
    answers.push((answer.get_ref().encode_to_vec(), None));
    let client = |id: &str| v1::Client {
        client_id: id.into(),
        ..Default::default()
    };
    let request = v1::BatchUpsertClientsRequest {
        portfolio_id: BOOK.into(),
        clients: vec![client("c0"), client("c1"), client("gone")],
        request_id: "clients".into(),
    };
    let answer = catalog.batch_upsert_clients(request).await.unwrap();
    answers.push((answer.get_ref().encode_to_vec(), None));
    let product = |id: &str| v1::Product {
        product_id: id.into(),
        ..Default::default()
    };
    let request = v1::BatchUpsertProductsRequest {
        portfolio_id: BOOK.into(),
        products: vec![product("p0"), product("p1"), product("gone")],
        request_id: "products".into(),
    };
    let answer = catalog.batch_upsert_products(request).await.unwrap();
    answers.push((answer.get_ref().encode_to_vec(), None));
    let request = v1::DeleteProductRequest {
        portfolio_id: BOOK.into(),
        product_id: "gone".into(),
        request_id: "drop product".into(),
    };
    let answer = catalog.delete_product(request).await.unwrap();
    answers.push((answer.get_ref().encode_to_vec(), None));
    let request = v1::DeleteClientRequest {
        portfolio_id: BOOK.into(),
        client_id: "gone".into(),
        request_id: "drop client".into(),
    };
    let answer = catalog.delete_client(request).await.unwrap();
    answers.push((answer.get_ref().encode_to_vec(), None));
    let request = v1::RecordClientEventsRequest {
        portfolio_id: BOOK.into(),
        events: vec![v1::ClientEvent {
            client_id: "c0".into(),
            kind: v1::ClientEventKind::Contact.into(),
            date: "2026-01-09".into(),
            ..Default::default()
        }],
        request_id: "events".into(),
    };
    let answer = catalog.record_client_events(request).await.unwrap();
    answers.push((answer.get_ref().encode_to_vec(), None));
    let request = v1::SetTicketsRequest {
        portfolio_id: BOOK.into(),
        tickets: vec![v1::TicketToSet {
            client_id: "c1".into(),
            product_id: "p1".into(),
            ticket_minor: 900,
        }],
        request_id: "tickets".into(),
        ..Default::default()
    };
    let answer = service.set_tickets(request).await.unwrap();
    answers.push((answer.get_ref().encode_to_vec(), None));
    let request = sales(vec![sale("c0", "p0", "2026-01-10", 100)], "sales");
    let mut answer = service.record_sales(request).await.unwrap().into_inner();
    let repeated = std::mem::take(&mut answer.repeated);
    answers.push((answer.encode_to_vec(), Some(repeated)));
    let batches = ["stream 1", "stream 2"].map(|name| v1::StreamSalesRequest {
        portfolio_id: BOOK.into(),
        sales: vec![sale("c0", "p1", "2026-01-11", 10)],
        request_id: name.into(),
        ..Default::default()
    });
    let stream = service.stream_sales(tokio_stream::iter(batches)).await;
    let mut stream = stream.unwrap().into_inner();
    while let Some(mut answer) = stream.message().await.unwrap() {
        let repeated = std::mem::take(&mut answer.repeated);
        answers.push((answer.encode_to_vec(), Some(repeated)));
    }
    assert_eq!(answers.len(), 11);
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_request_id_gets_the_same_answer_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let dir = data_dir(&folder);
    let server = Server::start(&dir);
    let channel = server.channel().await;
    let first = every_named_write(&channel).await;
    assert!(first.iter().all(|(_, repeated)| *repeated != Some(true)));
    let before = figures(&channel, BOOK).await;
    assert_eq!(
        (before.0.sales_amount_minor, before.0.clients, before.1),
        (120, 2, 11)
    );
    let again = every_named_write(&channel).await;
    server.kill();
    let server = Server::start(&dir);
    let channel = server.channel().await;
    let restarted = every_named_write(&channel).await;
    for repeats in [again, restarted] {
        assert!(repeats.iter().all(|(_, repeated)| *repeated != Some(false)));
        let bytes = |answers: &[(Vec<u8>, _)]| -> Vec<Vec<u8>> {
            answers.iter().map(|(bytes, _)| bytes.clone()).collect()
        };
        assert_eq!(bytes(&repeats), bytes(&first));
    }
    assert_eq!(figures(&channel, BOOK).await, before);
    // Another request under a used name is a slip of the caller, not a repeat.
    let mut service = TicketServiceClient::new(channel.clone());
    let other = sales(vec![sale("c0", "p0", "2026-01-10", 101)], "sales");
    let refused = service.record_sales(other).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let fields = refused.get_error_details().bad_request().cloned().unwrap();
    assert_eq!(fields.field_violations[0].field, "request_id");
    assert_eq!(figures(&channel, BOOK).await, before);
    server.terminate();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_that_send_one_request_at_once_one_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&data_dir(&folder));
    let channel = server.channel().await;
    make_book(channel.clone(), BOOK, 1, 1).await;
    let mut senders = JoinSet::new();
    for _ in 0..64 {
        let mut service = TicketServiceClient::new(channel.clone());
        senders.spawn(async move {
            let request = sales(vec![sale("c0", "p0", "2026-01-10", 70)], "one");
            service.record_sales(request).await.unwrap().into_inner()
        });
    }
    let answers = senders.join_all().await;
    let recorded = answers.iter().filter(|answer| !answer.repeated).count();
    assert_eq!(recorded, 1);
    assert!(answers.iter().all(|answer| answer.sequence == 4));
    let (figures, sequence) = figures(&channel, BOOK).await;
    assert_eq!(
        (figures.sales_amount_minor, figures.sales, sequence),
        (70, 1, 4)
    );
    server.terminate();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sale_id_replaces_and_never_doubles() {
    let folder = tempfile::tempdir().unwrap();
    let dir = data_dir(&folder);
    let server = Server::start(&dir);
    let channel = server.channel().await;
    make_book(channel.clone(), BOOK, 4, 3).await;
    let named = |client: u64, product: u64, amount| v1::Sale {
        sale_id: "invoice 1".into(),
        ..sale(
            format!("c{client}"),
            format!("p{product}"),
            "2026-01-10",
            amount,
        )
    };
    // Twice in one request: the later one stands.
    let mut service = TicketServiceClient::new(channel.clone());
    let request = sales(vec![named(0, 0, 5), named(0, 0, 7)], "");
    let answer = service.record_sales(request).await.unwrap().into_inner();
    assert_eq!((answer.recorded, answer.replaced), (1, 1));
    // By many at once, to several clients and products: one of them stands, whole.
    let mut writers = JoinSet::new();
    for at in 0..64_u64 {
        let mut service = TicketServiceClient::new(channel.clone());
        let request = sales(vec![named(at % 4, at % 3, 1_000 + at as i64)], "");
        writers.spawn(async move { service.record_sales(request).await.unwrap().into_inner() });
    }
    let answers = writers.join_all().await;
    assert!(answers.iter().all(|answer| answer.replaced == 1));
    let last = answers.iter().map(|answer| answer.sequence).max().unwrap();
    let (seen, sequence) = figures(&channel, BOOK).await;
    assert_eq!((seen.sales, sequence), (1, last));
    assert!((1_000..1_064).contains(&seen.sales_amount_minor));
    // After a restart it is replaced still, and the former client has nothing left of it.
    server.kill();
    let server = Server::start(&dir);
    let channel = server.channel().await;
    let mut service = TicketServiceClient::new(channel.clone());
    let request = sales(vec![named(3, 1, 9)], "");
    let answer = service.record_sales(request).await.unwrap().into_inner();
    assert_eq!((answer.recorded, answer.replaced), (0, 1));
    for client in 0..4 {
        let left = tickets(&channel, &format!("c{client}")).await;
        assert_eq!(sum(&left), if client == 3 { 9 } else { 0 });
    }
    server.terminate();
}

/// Loads the same book every time: clients with attributes, products in categories, fourteen
/// months of sales, some tickets set, a complaint, a client erased.
async fn load(channel: &Channel) {
    const CLIENTS: u64 = 60;
    const PRODUCTS: u64 = 10;
    let mut portfolios = PortfolioServiceClient::new(channel.clone());
    let request = v1::CreatePortfolioRequest {
        portfolio: Some(v1::Portfolio {
            portfolio_id: BOOK.into(),
            currency: "BRL".into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    portfolios.create_portfolio(request).await.unwrap();
    let mut catalog = CatalogServiceClient::new(channel.clone());
    let attribute = |value| v1::AttributeValue { value: Some(value) };
    let client = |at: u64| v1::Client {
        client_id: format!("c{at}"),
        name: format!("乳製品 {at}"),
        owner: format!("o{}", at % 3),
        attributes: [
            (
                "sector".to_owned(),
                attribute(v1::attribute_value::Value::Text(format!("s{}", at % 4))),
            ),
            (
                "staff".to_owned(),
                attribute(v1::attribute_value::Value::Number(
                    (mix(at) % 90 + 1) as f64,
                )),
            ),
        ]
        .into(),
        ..Default::default()
    };
    let request = v1::BatchUpsertClientsRequest {
        portfolio_id: BOOK.into(),
        clients: (0..CLIENTS).map(client).collect(),
        ..Default::default()
    };
    catalog.batch_upsert_clients(request).await.unwrap();
    let product = |at: u64| v1::Product {
        product_id: format!("p{at}"),
        category: format!("k{}", at % 3),
        margin_rate: Some(0.1 + 0.02 * at as f64),
        ..Default::default()
    };
    let request = v1::BatchUpsertProductsRequest {
        portfolio_id: BOOK.into(),
        products: (0..PRODUCTS).map(product).collect(),
        ..Default::default()
    };
    catalog.batch_upsert_products(request).await.unwrap();
    let mut service = TicketServiceClient::new(channel.clone());
    for month in 0..14_u64 {
        let mut batch = Vec::new();
        for client in 0..CLIENTS {
            let size = mix(client) % 90 + 10;
            for product in 0..PRODUCTS {
                let taste = mix(client * 97 + product * 13);
                let likes = if product % 4 == client % 4 { 80 } else { 35 };
                if taste % 100 < likes && month >= taste / 100 % 6 {
                    let noise = mix(taste + month) % 60 + 70;
                    let amount = size * noise * (product + 1) * 10;
                    let date = format!(
                        "{}-{:02}-{:02}",
                        2025 + month / 12,
                        month % 12 + 1,
                        taste % 28 + 1
                    );
                    batch.push(sale(
                        format!("c{client}"),
                        format!("p{product}"),
                        &date,
                        amount as i64,
                    ));
                }
            }
        }
        service.record_sales(sales(batch, "")).await.unwrap();
    }
    let ticket = |at: u64| v1::TicketToSet {
        client_id: format!("c{at}"),
        product_id: "p9".into(),
        ticket_minor: 40_000 + 1_000 * at as i64,
    };
    let request = v1::SetTicketsRequest {
        portfolio_id: BOOK.into(),
        tickets: (0..12).map(ticket).collect(),
        ..Default::default()
    };
    service.set_tickets(request).await.unwrap();
    let request = v1::RecordClientEventsRequest {
        portfolio_id: BOOK.into(),
        events: vec![v1::ClientEvent {
            client_id: "c3".into(),
            kind: v1::ClientEventKind::ComplaintOpened.into(),
            date: "2026-02-01".into(),
            ..Default::default()
        }],
        ..Default::default()
    };
    catalog.record_client_events(request).await.unwrap();
    let request = v1::DeleteClientRequest {
        portfolio_id: BOOK.into(),
        client_id: "c7".into(),
        ..Default::default()
    };
    catalog.delete_client(request).await.unwrap();
}

/// What the server says of the whole book, named and encoded. Page tokens are left out: they name
/// a list that one server process keeps.
async fn everything(channel: &Channel) -> Vec<(String, Vec<u8>)> {
    let mut answers = Vec::new();
    let mut service = TicketServiceClient::new(channel.clone());
    let mut catalog = CatalogServiceClient::new(channel.clone());
    let mut advice = RecommendationServiceClient::new(channel.clone());
    for client in (0..60).filter(|client| *client != 7) {
        let client_id = format!("c{client}");
        let seen = tickets(channel, &client_id).await;
        answers.push((format!("tickets of {client_id}"), seen.encode_to_vec()));
        let request = v1::RecommendForClientRequest {
            portfolio_id: BOOK.into(),
            client_id: client_id.clone(),
            ..Default::default()
        };
        let seen = advice.recommend_for_client(request).await.unwrap();
        answers.push((
            format!("advice for {client_id}"),
            seen.get_ref().encode_to_vec(),
        ));
        let request = v1::FindSimilarClientsRequest {
            portfolio_id: BOOK.into(),
            client_id: client_id.clone(),
            max_clients: 20,
        };
        let seen = advice.find_similar_clients(request).await.unwrap();
        answers.push((
            format!("clients like {client_id}"),
            seen.get_ref().encode_to_vec(),
        ));
        let request = v1::ExportClientRequest {
            portfolio_id: BOOK.into(),
            client_id: client_id.clone(),
        };
        let seen = catalog.export_client(request).await.unwrap();
        answers.push((
            format!("export of {client_id}"),
            seen.get_ref().encode_to_vec(),
        ));
    }
    for order in 1..=3 {
        let mut request = v1::ListOpportunitiesRequest {
            portfolio_id: BOOK.into(),
            page_size: 40,
            order,
            ..Default::default()
        };
        loop {
            let seen = advice.list_opportunities(request.clone()).await.unwrap();
            let mut seen = seen.into_inner();
            assert!(seen.total_size > 100, "{} opportunities", seen.total_size);
            request.page_token = std::mem::take(&mut seen.next_page_token);
            answers.push((format!("list by {order}"), seen.encode_to_vec()));
            for row in &seen.opportunities {
                if order == 1 {
                    let request = v1::ExplainOpportunityRequest {
                        portfolio_id: BOOK.into(),
                        client_id: row.client_id.clone(),
                        product_id: row.product_id.clone(),
                        ..Default::default()
                    };
                    let seen = advice.explain_opportunity(request).await.unwrap();
                    let name = format!("receipt of {} {}", row.client_id, row.product_id);
                    answers.push((name, seen.get_ref().encode_to_vec()));
                }
            }
            if request.page_token.is_empty() {
                break;
            }
        }
    }
    let request = v1::ExportTicketsRequest {
        portfolio_id: BOOK.into(),
    };
    let mut stream = service.export_tickets(request).await.unwrap().into_inner();
    while let Some(message) = stream.message().await.unwrap() {
        answers.push(("export of tickets".into(), message.encode_to_vec()));
    }
    let seen = figures(channel, BOOK).await;
    answers.push(("figures".into(), seen.0.encode_to_vec()));
    answers
}

fn assert_same(a: &[(String, Vec<u8>)], b: &[(String, Vec<u8>)]) {
    for (a, b) in a.iter().zip(b) {
        assert_eq!(a.0, b.0);
        assert!(a.1 == b.1, "not the same bytes: {}", a.0);
    }
    assert_eq!(a.len(), b.len());
}

async fn ask_a_restarted_server(dir: &Path) -> (Server, Vec<(String, Vec<u8>)>) {
    let server = Server::start(dir);
    let answers = everything(&server.channel().await).await;
    (server, answers)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let dir = data_dir(&folder);
    let server = Server::start(&dir);
    let channel = server.channel().await;
    load(&channel).await;
    let before = everything(&channel).await;
    server.terminate();
    let (server, after_stop) = ask_a_restarted_server(&dir).await;
    assert_same(&before, &after_stop);
    server.kill();
    let (server, after_kill) = ask_a_restarted_server(&dir).await;
    assert_same(&before, &after_kill);
    server.terminate();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_thread_and_two_give_the_same_bytes() {
    let mut answers = Vec::new();
    for threads in ["1", "2"] {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start_with(&data_dir(&folder), &[("RAYON_NUM_THREADS", threads)]);
        let channel = server.channel().await;
        load(&channel).await;
        answers.push(everything(&channel).await);
        server.terminate();
    }
    assert_same(&answers[0], &answers[1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_token_never_leads_into_another_list() {
    let folder = tempfile::tempdir().unwrap();
    let dir = data_dir(&folder);
    let server = Server::start(&dir);
    let channel = server.channel().await;
    load(&channel).await;
    let page = v1::ListOpportunitiesRequest {
        portfolio_id: BOOK.into(),
        page_size: 10,
        ..Default::default()
    };
    let mut advice = RecommendationServiceClient::new(channel.clone());
    let first = advice.list_opportunities(page.clone()).await.unwrap();
    let next = v1::ListOpportunitiesRequest {
        page_token: first.into_inner().next_page_token,
        ..page.clone()
    };
    server.kill();
    // The new process keeps a list of a later moment, and has never kept the one asked for.
    let server = Server::start(&dir);
    let channel = server.channel().await;
    let mut service = TicketServiceClient::new(channel.clone());
    let request = sales(vec![sale("c0", "p0", "2026-02-10", 5_000_000)], "");
    service.record_sales(request).await.unwrap();
    let mut advice = RecommendationServiceClient::new(channel.clone());
    advice.list_opportunities(page).await.unwrap();
    let refused = advice.list_opportunities(next).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let fields = refused.get_error_details().bad_request().cloned().unwrap();
    assert_eq!(fields.field_violations[0].field, "page_token");
    server.terminate();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_kept_with_the_pipeline_is_the_one_worked_out_anew() {
    let folder = tempfile::tempdir().unwrap();
    let dir = data_dir(&folder);
    let server = Server::start(&dir);
    let channel = server.channel().await;
    load(&channel).await;
    // The second time the pipeline is there; after the write it is of an earlier moment.
    let before = everything(&channel).await;
    assert_same(&before, &everything(&channel).await);
    let mut service = TicketServiceClient::new(channel.clone());
    let request = sales(vec![sale("c0", "p0", "2026-02-10", 5_000_000)], "");
    service.record_sales(request).await.unwrap();
    let after = everything(&channel).await;
    server.terminate();
    let (server, anew) = ask_a_restarted_server(&dir).await;
    assert_same(&after, &anew);
    server.terminate();
}

/// Sales as chance has them: returns and corrections by name among them.
fn random_sales(round: u64, count: u64) -> Vec<v1::Sale> {
    let one = |at: u64| {
        let draw = mix(round * 1_000_003 + at);
        // The book has erased its client 7.
        let client = format!(
            "c{}",
            [(draw >> 8) % 60, 8][usize::from((draw >> 8) % 60 == 7)]
        );
        let product = format!("p{}", (draw >> 20) % 10);
        let date = format!("2026-{:02}-{:02}", draw % 2 + 1, (draw >> 30) % 28 + 1);
        let amount = ((draw >> 40) % 900_000 + 1) as i64;
        let returned = (draw >> 36).is_multiple_of(9);
        let mut sale = sale(
            client,
            product,
            &date,
            if returned { -amount / 4 } else { amount },
        );
        if (draw >> 50).is_multiple_of(3) {
            sale.sale_id = format!("s{}", (draw >> 52) % 500);
        }
        sale
    };
    (0..count).map(one).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_ten_thousand_random_sales_answers_are_those_of_a_server_that_was_just_started() {
    let folder = tempfile::tempdir().unwrap();
    let dir = data_dir(&folder);
    let server = Server::start(&dir);
    let channel = server.channel().await;
    load(&channel).await;
    let mut service = TicketServiceClient::new(channel.clone());
    let mut advice = RecommendationServiceClient::new(channel.clone());
    for round in 0..100 {
        let request = sales(random_sales(round, 100), "");
        service.record_sales(request).await.unwrap();
        if round % 10 == 0 {
            // The pipeline of this moment is what the next one is made of.
            let request = v1::ListOpportunitiesRequest {
                portfolio_id: BOOK.into(),
                ..Default::default()
            };
            advice.list_opportunities(request).await.unwrap();
        }
    }
    let after = everything(&channel).await;
    server.terminate();
    let (server, anew) = ask_a_restarted_server(&dir).await;
    assert_same(&after, &anew);
    server.terminate();
}

#[tokio::test]
async fn a_list_includes_a_write_that_changes_no_offer() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&data_dir(&folder));
    let channel = server.channel().await;
    make_book(channel.clone(), BOOK, 4, 3).await;
    let mut service = RecommendationServiceClient::new(channel.clone());
    let mut portfolio = PortfolioServiceClient::new(channel.clone());
    let list = v1::ListOpportunitiesRequest {
        portfolio_id: BOOK.into(),
        ..Default::default()
    };
    for role in [v1::KeyRole::Reader, v1::KeyRole::Writer] {
        // The offers are worked out before the write.
        service.list_opportunities(list.clone()).await.unwrap();
        let key = v1::CreateApiKeyRequest {
            portfolio_id: BOOK.into(),
            role: role.into(),
            ..Default::default()
        };
        portfolio.create_api_key(key).await.unwrap();
        let (_, sequence) = figures(&channel, BOOK).await;
        let listed = service.list_opportunities(list.clone()).await.unwrap();
        assert_eq!(listed.into_inner().sequence, sequence);
    }
    server.terminate();
}
