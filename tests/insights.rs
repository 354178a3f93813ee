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
use carteira::wire::v1::outcome_service_client::OutcomeServiceClient;
use carteira::wire::v1::portfolio_service_client::PortfolioServiceClient;
use carteira::wire::v1::recommendation_service_client::RecommendationServiceClient;
use carteira::wire::v1::ticket_service_client::TicketServiceClient;
use common::{Server, data_dir, make_book};
use prost::Message;
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

/// Three trades of forty clients each that buy mostly their own category, on routes of two clients.
async fn trades(channel: &Channel) {
    empty_book(channel).await;
    let mut catalog = CatalogServiceClient::new(channel.clone());
    let product = |at: usize| v1::Product {
        product_id: format!("p{at}"),
        category: ["dairy", "bread", "drinks"][at / 3].into(),
        ..Default::default()
    };
    let request = v1::BatchUpsertProductsRequest {
        portfolio_id: BOOK.into(),
        products: (0..9).map(product).collect(),
        ..Default::default()
    };
    catalog.batch_upsert_products(request).await.unwrap();
    let request = v1::BatchUpsertClientsRequest {
        portfolio_id: BOOK.into(),
        clients: (0..120).map(|at| trader(at, true)).collect(),
        ..Default::default()
    };
    catalog.batch_upsert_clients(request).await.unwrap();
    let tickets = (0..120).flat_map(tickets_of).collect();
    set(channel, tickets).await;
}

fn trader(at: usize, told: bool) -> v1::Client {
    let text = |text: &str| v1::AttributeValue {
        value: Some(v1::attribute_value::Value::Text(text.into())),
    };
    let trade = ["bar", "bakery", "hotel"][at % 3];
    let told = told.then(|| {
        [
            ("trade".to_owned(), text(trade)),
            ("route".to_owned(), text(&format!("{}", at % 60))),
        ]
    });
    v1::Client {
        client_id: format!("t{at}"),
        owner: ["Ana", "Rui"][at % 2].into(),
        attributes: told.into_iter().flatten().collect(),
        ..Default::default()
    }
}

fn tickets_of(at: usize) -> Vec<v1::TicketToSet> {
    let own = at % 3 * 3;
    let ticket = |product: usize, ticket_minor: i64| v1::TicketToSet {
        client_id: format!("t{at}"),
        product_id: format!("p{product}"),
        ticket_minor,
    };
    let size = [5_000, 20_000, 80_000][at % 3] + 37 * (at as i64 * 7 % 40);
    let mut tickets = vec![ticket(own + at % 2, size), ticket(own + 2, size / 2)];
    if !at.is_multiple_of(4) {
        tickets.push(ticket(own + (at + 1) % 2, size / 50));
    }
    tickets
}

async fn set(channel: &Channel, tickets: Vec<v1::TicketToSet>) {
    let request = v1::SetTicketsRequest {
        portfolio_id: BOOK.into(),
        tickets,
        ..Default::default()
    };
    let mut service = TicketServiceClient::new(channel.clone());
    service.set_tickets(request).await.unwrap();
}

async fn segments(channel: &Channel) -> v1::ListSegmentsResponse {
    let request = v1::ListSegmentsRequest {
        portfolio_id: BOOK.into(),
        filter: None,
    };
    let answer = InsightServiceClient::new(channel.clone())
        .list_segments(request)
        .await;
    answer.unwrap().into_inner()
}

async fn summary(channel: &Channel, group_by: &str) -> Vec<v1::ClientSums> {
    let request = v1::GetPortfolioSummaryRequest {
        portfolio_id: BOOK.into(),
        group_by: group_by.into(),
        ..Default::default()
    };
    let answer = InsightServiceClient::new(channel.clone())
        .get_portfolio_summary(request)
        .await;
    answer.unwrap().into_inner().sums
}

async fn pipeline(channel: &Channel, filter: v1::OpportunityFilter) -> Vec<v1::Opportunity> {
    let request = v1::ListOpportunitiesRequest {
        portfolio_id: BOOK.into(),
        page_size: 1_000,
        filter: Some(filter),
        ..Default::default()
    };
    let answer = RecommendationServiceClient::new(channel.clone())
        .list_opportunities(request)
        .await;
    answer.unwrap().into_inner().opportunities
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_buy_alike_are_a_segment_that_every_list_can_be_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&data_dir(&folder));
    let channel = server.channel().await;
    trades(&channel).await;
    let found = segments(&channel).await;
    assert!(found.is_learnt);
    assert_eq!(found.segments.len(), 3, "{:?}", found.tried);
    assert_eq!(found.clients_without_segment, 0);
    let highest = found.tried.iter().filter(|one| one.segments >= 3);
    let highest = highest.max_by(|a, b| a.silhouette.total_cmp(&b.silhouette));
    assert_eq!(highest.unwrap().segments, 3);

    // Each is one trade, and says so.
    let all = list(&channel, v1::ClientFilter::default()).await.clients;
    for segment in &found.segments {
        let sums = segment.sums.as_ref().unwrap();
        assert_eq!((sums.clients, segment.learnt_from), (40, 40));
        let members: Vec<_> = all
            .iter()
            .filter(|row| row.segment_id == segment.segment_id)
            .collect();
        let trades: BTreeSet<usize> = members
            .iter()
            .map(|row| row.client_id[1..].parse::<usize>().unwrap() % 3)
            .collect();
        assert_eq!(trades.len(), 1, "{segment:?}");
        let trade = ["bar", "bakery", "hotel"][*trades.first().unwrap()];
        let mark = |value: &str| segment.marks.iter().find(|mark| mark.value == value);
        let own = mark(trade).unwrap();
        assert_eq!(own.feature(), v1::SegmentFeature::Value);
        assert!((own.here - 1.0).abs() < 1e-9 && (own.everywhere - 1.0 / 3.0).abs() < 1e-9);
        let tickets: i64 = members.iter().map(|row| row.ticket_minor).sum();
        assert_eq!(sums.ticket_minor, tickets);
        let growth: i64 = members
            .iter()
            .map(|row| row.growth_year_minor.unwrap())
            .sum();
        assert_eq!(sums.growth_year_minor, Some(growth));

        // The lists, the sums and the pipeline follow it.
        let filter = v1::ClientFilter {
            segment_ids: vec![segment.segment_id.clone()],
            ..Default::default()
        };
        let listed = list(&channel, filter).await;
        assert_eq!(listed.total_size, 40);
        assert!(listed.clients.iter().all(|row| members.contains(&row)));
        let asked = v1::OpportunityFilter {
            segment_ids: vec![segment.segment_id.clone()],
            ..Default::default()
        };
        let ids: BTreeSet<_> = members.iter().map(|row| row.client_id.as_str()).collect();
        let sieved: Vec<_> = pipeline(&channel, v1::OpportunityFilter::default())
            .await
            .into_iter()
            .filter(|row| ids.contains(row.client_id.as_str()))
            .collect();
        assert!(!sieved.is_empty());
        assert_eq!(pipeline(&channel, asked).await, sieved);
    }
    let of_group = |sums: &[v1::ClientSums], group: v1::SummaryGroup| -> Vec<(String, u64, i64)> {
        let rows = sums.iter().filter(|row| row.group() == group);
        let mut rows: Vec<_> = rows
            .map(|row| (row.value.clone(), row.clients, row.ticket_minor))
            .collect();
        rows.sort();
        rows
    };
    let by_segment = summary(&channel, "segment").await;
    let rows = of_group(&by_segment, v1::SummaryGroup::Segment);
    assert_eq!(rows.len(), 3);
    assert_eq!(rows, of_group(&by_segment, v1::SummaryGroup::Attribute));
    for (by, groups) in [("owner", 2), ("route", 60), ("trade", 3)] {
        let rows = of_group(&summary(&channel, by).await, v1::SummaryGroup::Attribute);
        assert_eq!(rows.len(), groups);
        assert!(
            rows.iter().all(|row| row.1 == 120 / groups as u64),
            "{rows:?}"
        );
    }

    // A client that nobody knew is put where it buys, at once, and one that buys nothing nowhere.
    let bar = all.iter().find(|row| row.client_id == "t0").unwrap();
    let request = v1::BatchUpsertClientsRequest {
        portfolio_id: BOOK.into(),
        clients: vec![trader(120, false), trader(121, false)],
        ..Default::default()
    };
    let mut catalog = CatalogServiceClient::new(channel.clone());
    catalog.batch_upsert_clients(request).await.unwrap();
    set(&channel, tickets_of(120)).await;
    assert_eq!(one(&channel, "t120").await.segment_id, bar.segment_id);
    assert_eq!(one(&channel, "t121").await.segment_id, "");
    assert_eq!(segments(&channel).await.clients_without_segment, 1);
    server.terminate();
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_are_the_same_bytes_after_a_restart_and_on_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let mut answers = Vec::new();
    for threads in ["2", "1", "2"] {
        let variables = [("RAYON_NUM_THREADS", threads)];
        let server = Server::start_with(&data_dir(&folder), &variables);
        let channel = server.channel().await;
        if answers.is_empty() {
            trades(&channel).await;
        }
        let clients = list(&channel, v1::ClientFilter::default()).await.clients;
        let of: Vec<_> = clients.iter().map(|row| row.segment_id.clone()).collect();
        answers.push((segments(&channel).await.encode_to_vec(), of));
        server.terminate();
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0], answers[2]);
}

async fn objectives(channel: &Channel) -> Vec<v1::ObjectiveProgress> {
    let mut service = InsightServiceClient::new(channel.clone());
    let mut all = Vec::new();
    let mut request = v1::ListObjectivesRequest {
        portfolio_id: BOOK.into(),
        page_size: 2,
        ..Default::default()
    };
    loop {
        let page = service.list_objectives(request.clone()).await.unwrap();
        let page = page.into_inner();
        all.extend(page.objectives);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            return all;
        }
    }
}

fn measured(value: v1::measured_value::Value) -> Option<v1::MeasuredValue> {
    Some(v1::MeasuredValue { value: Some(value) })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_objective_follows_the_book_from_where_it_was_set_and_outlives_a_kill() {
    use v1::measured_value::Value::{AmountMinor, Number};
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&data_dir(&folder));
    let channel = server.channel().await;
    trades(&channel).await;
    let segment = segments(&channel).await.segments[0].clone();
    let set_one =
        |id: &str, by: &str, value: &str, measure: v1::ObjectiveMeasure, target, due: &str| {
            v1::SetObjectiveRequest {
                portfolio_id: BOOK.into(),
                objective: Some(v1::Objective {
                    objective_id: id.into(),
                    title: "more".into(),
                    group: Some(v1::ClientGroup {
                        group_by: by.into(),
                        value: value.into(),
                    }),
                    measure: measure.into(),
                    target: measured(target),
                    due_date: due.into(),
                }),
                request_id: format!("set {id}"),
            }
        };
    let mut service = InsightServiceClient::new(channel.clone());
    let tickets = v1::ObjectiveMeasure::Tickets;
    let route = set_one(
        "route",
        "route",
        "0",
        tickets,
        AmountMinor(2_000_000),
        "2199-12-31",
    );
    let answer = service
        .set_objective(route.clone())
        .await
        .unwrap()
        .into_inner();
    assert!(answer.created);
    for (id, by, value, measure, target) in [
        (
            "of segment",
            "segment",
            segment.segment_id.as_str(),
            tickets,
            AmountMinor(9),
        ),
        (
            "won",
            "owner",
            "Ana",
            v1::ObjectiveMeasure::WonTickets,
            AmountMinor(700),
        ),
        (
            "won offers",
            "owner",
            "Rui",
            v1::ObjectiveMeasure::WonOffers,
            Number(3.0),
        ),
        (
            "all",
            "",
            "",
            v1::ObjectiveMeasure::ActiveClients,
            Number(0.0),
        ),
    ] {
        let request = set_one(id, by, value, measure, target, "2199-12-31");
        service.set_objective(request).await.unwrap();
    }
    let sum = |rows: &[v1::ClientInsight]| -> i64 {
        let of = |row: &&v1::ClientInsight| ["t0", "t60"].contains(&row.client_id.as_str());
        rows.iter().filter(of).map(|row| row.ticket_minor).sum()
    };
    let before = sum(&list(&channel, v1::ClientFilter::default()).await.clients);
    let listed = objectives(&channel).await;
    let ids: Vec<_> = listed
        .iter()
        .map(|one| one.objective.as_ref().unwrap().objective_id.as_str())
        .collect();
    assert_eq!(ids, ["all", "of segment", "route", "won", "won offers"]);
    let of = |listed: &[v1::ObjectiveProgress], id: &str| -> v1::ObjectiveProgress {
        let mut all = listed.iter();
        all.find(|one| one.objective.as_ref().unwrap().objective_id == id)
            .unwrap()
            .clone()
    };
    let one = of(&listed, "route");
    assert_eq!(one.baseline, measured(AmountMinor(before)));
    assert_eq!(one.present, one.baseline);
    assert_eq!((one.baseline_clients, one.clients), (2, 2));
    assert_eq!(
        (one.progress, one.standing()),
        (Some(0.0), v1::ObjectiveStanding::JustSet)
    );
    let one = of(&listed, "of segment");
    assert_eq!(one.clients, 40);
    assert_eq!(
        one.baseline,
        measured(AmountMinor(segment.sums.unwrap().ticket_minor))
    );
    assert_eq!(of(&listed, "won").baseline, measured(AmountMinor(0)));
    assert_eq!(
        of(&listed, "all").standing(),
        v1::ObjectiveStanding::Reached
    );

    // A quarter of the way on by a write, two offers won.
    let quarter = (2_000_000 - before) / 4;
    let more = v1::TicketToSet {
        client_id: "t0".into(),
        product_id: "milk".into(),
        ticket_minor: quarter,
    };
    set(&channel, vec![more]).await;
    let won = |client: &str, ticket: i64| v1::Outcome {
        client_id: client.into(),
        product_id: "p8".into(),
        kind: v1::OpportunityKind::CrossSell.into(),
        date: carteira::engine::today().to_string(),
        result: v1::OutcomeResult::Won.into(),
        won_ticket_minor: ticket,
        ..Default::default()
    };
    let outcomes = v1::RecordOutcomesRequest {
        portfolio_id: BOOK.into(),
        outcomes: vec![won("t0", 300), won("t2", 400), won("t1", 5)],
        ..Default::default()
    };
    OutcomeServiceClient::new(channel.clone())
        .record_outcomes(outcomes)
        .await
        .unwrap();
    let listed = objectives(&channel).await;
    let one = of(&listed, "route");
    assert_eq!(one.present, measured(AmountMinor(before + quarter)));
    let share = quarter as f64 / (2_000_000 - before) as f64;
    assert!((one.progress.unwrap() - share).abs() < 1e-9);
    let one = of(&listed, "won");
    assert_eq!(one.present, measured(AmountMinor(700)));
    assert_eq!(one.standing(), v1::ObjectiveStanding::Reached);
    assert_eq!(of(&listed, "won offers").present, measured(Number(1.0)));

    // Actions, a repeat, another target of the same measure: the baseline stays.
    let act = |id: &str, state: v1::ActionState| v1::ObjectiveAction {
        action_id: id.into(),
        date: "2026-03-01".into(),
        text: format!("{id} all bakeries"),
        owner: "Ana".into(),
        state: state.into(),
    };
    let mut actions = v1::RecordActionsRequest {
        portfolio_id: BOOK.into(),
        objective_id: "route".into(),
        actions: vec![
            act("visit", v1::ActionState::Unspecified),
            act("call", v1::ActionState::Done),
        ],
        request_id: "acts".into(),
    };
    let first = service
        .record_actions(actions.clone())
        .await
        .unwrap()
        .into_inner();
    let again = service
        .record_actions(actions.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!((first.created, first.replaced), (2, 0));
    assert_eq!(first, again);
    actions.request_id = String::new();
    actions.actions = vec![act("visit", v1::ActionState::UnderWay)];
    let third = service.record_actions(actions).await.unwrap().into_inner();
    assert_eq!((third.created, third.replaced), (0, 1));
    let repeated = service
        .set_objective(route.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(repeated, answer);
    let other = v1::SetObjectiveRequest {
        request_id: "another".into(),
        ..set_one(
            "route",
            "route",
            "0",
            tickets,
            AmountMinor(3_000_000),
            "2100-01-01",
        )
    };
    assert!(
        !service
            .set_objective(other)
            .await
            .unwrap()
            .into_inner()
            .created
    );
    let listed = objectives(&channel).await;
    let one = of(&listed, "route");
    assert_eq!(one.baseline, measured(AmountMinor(before)));
    assert_eq!(one.objective.as_ref().unwrap().due_date, "2100-01-01");
    let states: Vec<_> = one
        .actions
        .iter()
        .map(|one| (one.action_id.as_str(), one.state()))
        .collect();
    assert_eq!(
        states,
        [
            ("call", v1::ActionState::Done),
            ("visit", v1::ActionState::UnderWay)
        ]
    );

    // A group that nobody is in any more says so and shows nothing.
    let moved = |at: usize| {
        let mut client = trader(at, true);
        client.attributes.remove("route");
        client
    };
    let request = v1::BatchUpsertClientsRequest {
        portfolio_id: BOOK.into(),
        clients: [0, 60].map(moved).to_vec(),
        ..Default::default()
    };
    let mut catalog = CatalogServiceClient::new(channel.clone());
    catalog.batch_upsert_clients(request).await.unwrap();
    let listed = objectives(&channel).await;
    let one = of(&listed, "route");
    assert_eq!((one.present, one.clients), (None, 0));
    assert_eq!(one.standing(), v1::ObjectiveStanding::NoClients);

    // All of it is there after a kill, and what is removed is gone.
    server.kill();
    let server = Server::start(&data_dir(&folder));
    let channel = server.channel().await;
    assert_eq!(objectives(&channel).await, listed);
    let mut service = InsightServiceClient::new(channel.clone());
    let delete = v1::DeleteObjectiveRequest {
        portfolio_id: BOOK.into(),
        objective_id: "route".into(),
        ..Default::default()
    };
    service.delete_objective(delete.clone()).await.unwrap();
    let gone = service.delete_objective(delete).await.unwrap_err();
    assert_eq!(gone.code(), tonic::Code::NotFound);
    assert_eq!(objectives(&channel).await.len(), 4);
    server.terminate();
}
