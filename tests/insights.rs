//! Where clients stand, over gRPC to a real server: states by events and dates, pages of one moment,
//! and answers that follow writes.
//!
//! The figures themselves are worked out again from the book's files by `tests/python/insights.py`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
// A story is long and reads well.
#![allow(clippy::too_many_lines)]

mod common;

use std::collections::BTreeSet;

use carteira::wire::v1;
use carteira::wire::v1::catalog_service_client::CatalogServiceClient;
use carteira::wire::v1::insight_service_client::InsightServiceClient;
use carteira::wire::v1::portfolio_service_client::PortfolioServiceClient;
use carteira::wire::v1::ticket_service_client::TicketServiceClient;
use common::{Server, data_dir, make_book};
use tonic::transport::Channel;

const BOOK: &str = "book";

async fn list(channel: &Channel, filter: v1::ClientFilter) -> v1::ListClientInsightsResponse {
    let request = v1::ListClientInsightsRequest {
        portfolio_id: BOOK.into(),
        page_size: 1_000,
        filter: Some(filter),
        ..Default::default()
    };
    let answer = InsightServiceClient::new(channel.clone())
        .list_client_insights(request)
        .await;
    answer.unwrap().into_inner()
}

async fn one(channel: &Channel, client_id: &str) -> v1::ClientInsight {
    let filter = v1::ClientFilter {
        client_ids: vec![client_id.into()],
        ..Default::default()
    };
    list(channel, filter).await.clients.remove(0)
}

async fn add_client(channel: &Channel, id: &str, contract_end: Option<&str>) {
    let attributes = contract_end.map(|end| {
        let value = v1::attribute_value::Value::Text(end.into());
        let value = v1::AttributeValue { value: Some(value) };
        ("contract_end".to_owned(), value)
    });
    let request = v1::BatchUpsertClientsRequest {
        portfolio_id: BOOK.into(),
        clients: vec![v1::Client {
            client_id: id.into(),
            attributes: attributes.into_iter().collect(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let mut service = CatalogServiceClient::new(channel.clone());
    service.batch_upsert_clients(request).await.unwrap();
}

async fn sell(channel: &Channel, client_id: &str, dates: &[&str]) {
    let sale = |date: &&str| v1::Sale {
        client_id: client_id.into(),
        product_id: "milk".into(),
        date: (*date).into(),
        amount_minor: 1_000,
        ..Default::default()
    };
    let request = v1::RecordSalesRequest {
        portfolio_id: BOOK.into(),
        sales: dates.iter().map(sale).collect(),
        ..Default::default()
    };
    let mut service = TicketServiceClient::new(channel.clone());
    service.record_sales(request).await.unwrap();
}

async fn empty_book(channel: &Channel) {
    let request = v1::CreatePortfolioRequest {
        portfolio: Some(v1::Portfolio {
            portfolio_id: BOOK.into(),
            currency: "BRL".into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let mut service = PortfolioServiceClient::new(channel.clone());
    service.create_portfolio(request).await.unwrap();
    let request = v1::BatchUpsertProductsRequest {
        portfolio_id: BOOK.into(),
        products: vec![v1::Product {
            product_id: "milk".into(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let mut service = CatalogServiceClient::new(channel.clone());
    service.batch_upsert_products(request).await.unwrap();
}

const MONTHLY: [&str; 8] = [
    "2025-01-10",
    "2025-02-10",
    "2025-03-10",
    "2025-04-10",
    "2025-05-10",
    "2025-06-10",
    "2025-07-10",
    "2025-08-10",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_client_moves_through_its_states_as_sales_and_contracts_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&data_dir(&folder));
    let channel = server.channel().await;
    empty_book(&channel).await;
    // Nothing is known: an empty book is an answer, not an error.
    assert!(
        list(&channel, v1::ClientFilter::default())
            .await
            .clients
            .is_empty()
    );

    add_client(&channel, "bakery", None).await;
    let bakery = one(&channel, "bakery").await;
    assert_eq!(bakery.state(), v1::ClientState::Prospect);
    assert_eq!(bakery.life_cycle(), v1::LifeCycle::Acquisition);
    assert_eq!((bakery.tier(), bakery.rfm), (v1::ValueTier::C, None));

    let set = v1::SetTicketsRequest {
        portfolio_id: BOOK.into(),
        tickets: vec![v1::TicketToSet {
            client_id: "bakery".into(),
            product_id: "milk".into(),
            ticket_minor: 700,
        }],
        ..Default::default()
    };
    let mut tickets = TicketServiceClient::new(channel.clone());
    tickets.set_tickets(set).await.unwrap();
    let bakery = one(&channel, "bakery").await;
    assert_eq!(bakery.state(), v1::ClientState::Undated);
    assert_eq!(
        (bakery.annual_minor, bakery.tier()),
        (8_400, v1::ValueTier::A)
    );

    add_client(&channel, "hotel", None).await;
    sell(&channel, "hotel", &MONTHLY).await;
    let hotel = one(&channel, "hotel").await;
    assert_eq!(hotel.state(), v1::ClientState::Active);
    assert_eq!(hotel.life_cycle(), v1::LifeCycle::Loyalty);
    assert_eq!((hotel.purchases, hotel.revenue_minor), (8, 8_000));
    assert!(hotel.reason.contains("0 days ago"), "{}", hotel.reason);

    // Time passes as others buy: 90 days on the hotel slips, 200 days on it has stopped.
    add_client(&channel, "diner", None).await;
    sell(&channel, "diner", &["2025-11-08"]).await;
    assert_eq!(
        one(&channel, "hotel").await.state(),
        v1::ClientState::Slipping
    );
    sell(&channel, "diner", &["2026-02-26"]).await;
    let hotel = one(&channel, "hotel").await;
    assert_eq!(hotel.state(), v1::ClientState::Inactive);
    assert_eq!(hotel.life_cycle(), v1::LifeCycle::Recovery);
    assert_eq!(hotel.idle_days, 200);

    // A contract by attribute, a later one by event.
    add_client(&channel, "diner", Some("2026-04-30")).await;
    assert_eq!(
        one(&channel, "diner").await.state(),
        v1::ClientState::Renewal
    );
    let event = v1::RecordClientEventsRequest {
        portfolio_id: BOOK.into(),
        events: vec![v1::ClientEvent {
            client_id: "diner".into(),
            kind: v1::ClientEventKind::Contract.into(),
            date: "2026-01-01".into(),
            end_date: "2026-12-31".into(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let mut catalog = CatalogServiceClient::new(channel.clone());
    catalog.record_client_events(event).await.unwrap();
    let diner = one(&channel, "diner").await;
    assert_eq!(diner.contract_end_date, "2026-12-31");
    assert_ne!(diner.state(), v1::ClientState::Renewal);

    // A rule of the portfolio's own takes effect at once.
    let patch = v1::SetRecipeRequest {
        portfolio_id: BOOK.into(),
        overrides: [("state.inactive_gaps".to_owned(), 50.0)].into(),
        ..Default::default()
    };
    let mut model = v1::model_service_client::ModelServiceClient::new(channel.clone());
    model.set_recipe(patch).await.unwrap();
    let all = list(&channel, v1::ClientFilter::default()).await;
    assert!(all.rules.unwrap().inactive_gaps > 49.0);
    assert_eq!(
        one(&channel, "hotel").await.state(),
        v1::ClientState::Slipping
    );

    // A client that is deleted is gone from the book's sums.
    let delete = v1::DeleteClientRequest {
        portfolio_id: BOOK.into(),
        client_id: "hotel".into(),
        ..Default::default()
    };
    catalog.delete_client(delete).await.unwrap();
    let request = v1::GetPortfolioSummaryRequest {
        portfolio_id: BOOK.into(),
        ..Default::default()
    };
    let summary = InsightServiceClient::new(channel.clone())
        .get_portfolio_summary(request)
        .await
        .unwrap()
        .into_inner();
    let all = &summary.sums[0];
    assert_eq!((all.clients, all.buyers, all.revenue_minor), (2, 1, 2_000));
    assert_eq!(all.lifetime_value_minor, Some(2_000));
    assert_eq!(summary.as_of_date, "2026-02-26");
    server.terminate();
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_clients_are_of_one_moment_while_writes_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&data_dir(&folder));
    let channel = server.channel().await;
    make_book(channel.clone(), BOOK, 200, 5).await;
    let mut service = InsightServiceClient::new(channel.clone());
    let mut request = v1::ListClientInsightsRequest {
        portfolio_id: BOOK.into(),
        page_size: 7,
        order: v1::ClientOrder::Idle.into(),
        ..Default::default()
    };
    let (mut ids, mut sequences) = (BTreeSet::new(), BTreeSet::new());
    let mut rows = 0_u64;
    loop {
        let page = service
            .list_client_insights(request.clone())
            .await
            .unwrap()
            .into_inner();
        rows += page.clients.len() as u64;
        ids.extend(page.clients.iter().map(|row| row.client_id.clone()));
        sequences.insert(page.sequence);
        assert_eq!(page.total_size, 200);
        add_client(&channel, &format!("new {rows}"), None).await;
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    assert_eq!((rows, ids.len(), sequences.len()), (200, 200, 1));
    // The same token with another order leads nowhere.
    let first = v1::ListClientInsightsRequest {
        portfolio_id: BOOK.into(),
        page_size: 7,
        ..Default::default()
    };
    let token = service
        .list_client_insights(first.clone())
        .await
        .unwrap()
        .into_inner();
    let crossed = v1::ListClientInsightsRequest {
        page_token: token.next_page_token,
        order: v1::ClientOrder::Idle.into(),
        ..first
    };
    let refused = service.list_client_insights(crossed).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
    server.terminate();
}
