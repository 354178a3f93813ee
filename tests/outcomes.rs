//! What became of offers, over gRPC to a real server: what waits, what is logged, what is held out,
//! and what the report says of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
// A story is long and reads well.
#![allow(clippy::too_many_lines)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use carteira::wire::v1;
use carteira::wire::v1::catalog_service_client::CatalogServiceClient;
use carteira::wire::v1::model_service_client::ModelServiceClient;
use carteira::wire::v1::outcome_service_client::OutcomeServiceClient;
use carteira::wire::v1::recommendation_service_client::RecommendationServiceClient;
use carteira::wire::v1::ticket_service_client::TicketServiceClient;
use common::{BINARY, Server, data_dir, make_book, mix};
use tonic::transport::Channel;

const BOOK: &str = "northwind";
/// How long a write may take to be seen in the pipeline.
const FRESH: Duration = Duration::from_secs(1);

type Offer = (String, String, i32);

/// Runs a client command and returns what it prints.
fn carteira(server: &Server, args: &[&str]) -> String {
    let mut command = Command::new(BINARY);
    command.args(args).args(["--endpoint", &server.endpoint]);
    let ran = command.args(["--portfolio", BOOK]).output().unwrap();
    assert!(
        ran.status.success(),
        "{args:?}: {}",
        String::from_utf8_lossy(&ran.stderr)
    );
    String::from_utf8_lossy(&ran.stdout).into_owned()
}

fn import(server: &Server) {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/northwind");
    let file = |name: &str| data.join(name).to_string_lossy().into_owned();
    let files = [
        "import".to_owned(),
        "--currency".to_owned(),
        "USD".to_owned(),
        format!("--clients={}", file("clients.csv")),
        format!("--products={}", file("products.csv")),
        format!("--sales={}", file("sales.csv")),
    ];
    carteira(server, &files.each_ref().map(String::as_str));
}

/// A day counted from today, as the server sees it.
fn day(offset: i32) -> String {
    carteira::engine::today().plus(offset).to_string()
}

fn offer_of(row: &v1::Opportunity) -> Offer {
    (row.client_id.clone(), row.product_id.clone(), row.kind)
}

/// The whole pipeline, page by page.
async fn pipeline(channel: &Channel, log_shown: bool) -> Vec<v1::Opportunity> {
    let mut service = RecommendationServiceClient::new(channel.clone());
    let mut rows = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = v1::ListOpportunitiesRequest {
            portfolio_id: BOOK.into(),
            page_size: 700,
            page_token,
            log_shown,
            ..Default::default()
        };
        let page = service
            .list_opportunities(request)
            .await
            .unwrap()
            .into_inner();
        rows.extend(page.opportunities);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return rows;
        }
    }
}

async fn listed(channel: &Channel, offer: &Offer) -> bool {
    let rows = pipeline(channel, false).await;
    rows.iter().any(|row| offer_of(row) == *offer)
}

async fn recommended(channel: &Channel, offer: &Offer) -> bool {
    let request = v1::RecommendForClientRequest {
        portfolio_id: BOOK.into(),
        client_id: offer.0.clone(),
        max_per_kind: 1_000,
        ..Default::default()
    };
    let answer = RecommendationServiceClient::new(channel.clone())
        .recommend_for_client(request)
        .await
        .unwrap()
        .into_inner();
    let sell = answer.upsell.iter().chain(&answer.cross_sell);
    let mut rows = sell.chain(&answer.keep);
    rows.any(|row| offer_of(row) == *offer)
}

/// Asserts that an offer is shown or not, everywhere, within the time a write may take.
async fn expect_shown(channel: &Channel, offer: &Offer, shown: bool, why: &str) {
    let began = Instant::now();
    loop {
        let seen = (
            listed(channel, offer).await,
            recommended(channel, offer).await,
        );
        if seen == (shown, shown) {
            return;
        }
        assert!(began.elapsed() < FRESH, "{why}: {offer:?} seen {seen:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn outcome(offer: &Offer, date: String, result: v1::OutcomeResult) -> v1::Outcome {
    v1::Outcome {
        client_id: offer.0.clone(),
        product_id: offer.1.clone(),
        kind: offer.2,
        date,
        result: result.into(),
        ..Default::default()
    }
}

async fn record(channel: &Channel, outcomes: Vec<v1::Outcome>) -> v1::RecordOutcomesResponse {
    let request = v1::RecordOutcomesRequest {
        portfolio_id: BOOK.into(),
        outcomes,
        ..Default::default()
    };
    OutcomeServiceClient::new(channel.clone())
        .record_outcomes(request)
        .await
        .unwrap()
        .into_inner()
}

async fn offers(channel: &Channel, client: &str) -> Vec<v1::OfferRecord> {
    let mut service = OutcomeServiceClient::new(channel.clone());
    let mut rows = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = v1::ListOutcomesRequest {
            portfolio_id: BOOK.into(),
            page_size: 7,
            page_token,
            client_id: client.into(),
            ..Default::default()
        };
        let page = service.list_outcomes(request).await.unwrap().into_inner();
        rows.extend(page.offers);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return rows;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_offer_waits_as_its_last_outcome_says_and_a_restart_changes_nothing() {
    use v1::OutcomeResult::{Lost, Postponed, Rejected, Won};
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&data_dir(&folder));
    let channel = server.channel().await;
    import(&server);
    let rows = pipeline(&channel, false).await;
    let offer = |at: usize| offer_of(&rows[at]);
    let rejected = |offer: &Offer, date, reason: v1::RejectReason| v1::Outcome {
        reason: reason.into(),
        ..outcome(offer, date, Rejected)
    };
    let postponed = |offer: &Offer, date, until| v1::Outcome {
        until_date: until,
        ..outcome(offer, date, Postponed)
    };
    let won = |offer: &Offer, date| v1::Outcome {
        won_ticket_minor: 5_000,
        ..outcome(offer, date, Won)
    };
    // The recipe's days: lost 90, price 90, no use 1,095, won 60.
    let cases = [
        (
            outcome(&offer(0), day(-89), Lost),
            false,
            "lost 89 days ago",
        ),
        (outcome(&offer(1), day(-90), Lost), true, "lost 90 days ago"),
        (
            rejected(&offer(2), day(-400), v1::RejectReason::NoUse),
            false,
            "no use",
        ),
        (
            rejected(&offer(3), day(-400), v1::RejectReason::Price),
            true,
            "the price, long ago",
        ),
        (
            postponed(&offer(4), day(-500), day(1)),
            false,
            "postponed until tomorrow",
        ),
        (
            postponed(&offer(5), day(-500), day(0)),
            true,
            "postponed until today",
        ),
        (won(&offer(6), day(0)), false, "won today"),
        (won(&offer(7), day(-60)), true, "won 60 days ago"),
    ];
    let answer = record(&channel, cases.iter().map(|case| case.0.clone()).collect()).await;
    assert_eq!((answer.created, answer.replaced), (8, 0));
    for (outcome, shown, why) in &cases {
        let offer = (
            outcome.client_id.clone(),
            outcome.product_id.clone(),
            outcome.kind,
        );
        expect_shown(&channel, &offer, *shown, why).await;
    }
    // A second word of the same day takes the place of the first, a later one decides.
    let answer = record(&channel, vec![postponed(&offer(0), day(-89), day(-1))]).await;
    assert_eq!((answer.created, answer.replaced), (0, 1));
    expect_shown(&channel, &offer(0), true, "postponed to yesterday instead").await;
    record(
        &channel,
        vec![rejected(&offer(5), day(-1), v1::RejectReason::Timing)],
    )
    .await;
    expect_shown(&channel, &offer(5), false, "rejected since").await;

    // An open complaint holds everything of a client back.
    let complained = offer(9);
    let event = |kind: v1::ClientEventKind, date| v1::RecordClientEventsRequest {
        portfolio_id: BOOK.into(),
        events: vec![v1::ClientEvent {
            client_id: complained.0.clone(),
            kind: kind.into(),
            date,
            ..Default::default()
        }],
        ..Default::default()
    };
    let mut catalog = CatalogServiceClient::new(channel.clone());
    let opened = event(v1::ClientEventKind::ComplaintOpened, day(-1));
    catalog.record_client_events(opened).await.unwrap();
    expect_shown(&channel, &complained, false, "a complaint is open").await;
    let closed = event(v1::ClientEventKind::ComplaintClosed, day(0));
    catalog.record_client_events(closed).await.unwrap();
    expect_shown(&channel, &complained, true, "the complaint is settled").await;

    // What is known of a client goes with an export, stays over a restart, and goes with the client.
    let told = offers(&channel, "").await;
    assert_eq!(told.len(), 8);
    let client = offer(2).0;
    let export = |client: &str| v1::ExportClientRequest {
        portfolio_id: BOOK.into(),
        client_id: client.to_owned(),
    };
    let exported = catalog.export_client(export(&client)).await.unwrap();
    let of_client = offers(&channel, &client).await;
    assert_eq!(exported.into_inner().offers, of_client);
    assert!(!of_client.is_empty());
    server.kill();
    let server = Server::start(&data_dir(&folder));
    let channel = server.channel().await;
    assert_eq!(offers(&channel, "").await, told);
    expect_shown(&channel, &offer(4), false, "postponed, after a restart").await;
    let request = v1::DeleteClientRequest {
        portfolio_id: BOOK.into(),
        client_id: client.clone(),
        ..Default::default()
    };
    let mut catalog = CatalogServiceClient::new(channel.clone());
    catalog.delete_client(request).await.unwrap();
    let left = offers(&channel, "").await;
    assert!(left.iter().all(|row| row.client_id != client));
    assert_eq!(left.len(), told.len() - of_client.len());
    server.kill();
    let server = Server::start(&data_dir(&folder));
    assert_eq!(offers(&server.channel().await, "").await, left);
    server.stop();
}

/// 40 clients that buy two products every month for two years; a fifth of them stopped buying one of
/// these half a year ago, and a tenth stopped as a whole.
async fn kept_book(channel: &Channel) {
    make_book(channel.clone(), BOOK, 40, 2).await;
    let mut sales = Vec::new();
    for client in 0..40 {
        for product in 0..2 {
            let months = match (client % 10, product) {
                (9, _) => 14,
                (0 | 5, 1) => 18,
                _ => 24,
            };
            sales.extend((0..months).map(|month| v1::Sale {
                client_id: format!("c{client}"),
                product_id: format!("p{product}"),
                date: format!("{}-{:02}-10", 2024 + month / 12, 1 + month % 12),
                amount_minor: 30_000 + 5_000 * (client % 7),
                ..Default::default()
            }));
        }
    }
    let request = v1::RecordSalesRequest {
        portfolio_id: BOOK.into(),
        sales,
        ..Default::default()
    };
    let mut service = TicketServiceClient::new(channel.clone());
    service.record_sales(request).await.unwrap();
}

/// A contract that ends soon, or a complaint, of one client.
async fn event(channel: &Channel, client: &str, kind: v1::ClientEventKind, date: &str, end: &str) {
    let request = v1::RecordClientEventsRequest {
        portfolio_id: BOOK.into(),
        events: vec![v1::ClientEvent {
            client_id: client.into(),
            kind: kind.into(),
            date: date.into(),
            end_date: end.into(),
            ..Default::default()
        }],
        ..Default::default()
    };
    CatalogServiceClient::new(channel.clone())
        .record_client_events(request)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offers_that_keep_a_client_wait_count_and_are_explained_like_any_other() {
    use v1::OpportunityKind::{Lapse, Renewal, WinBack};
    use v1::OutcomeResult::{Postponed, Rejected, Won};
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&data_dir(&folder));
    let channel = server.channel().await;
    kept_book(&channel).await;
    // The book ends on 2025-12-10: a contract that ends two months later is up for renewal.
    let kind = v1::ClientEventKind::Contract;
    event(&channel, "c1", kind, "2025-02-01", "2026-02-01").await;
    let rows = pipeline(&channel, false).await;
    let of = |kind: v1::OpportunityKind| -> Vec<Offer> {
        let rows = rows.iter().filter(|row| row.kind() == kind);
        rows.map(offer_of).collect()
    };
    let (lapses, renewals, win_backs) = (of(Lapse), of(Renewal), of(WinBack));
    assert!(lapses.len() == 8 && lapses.iter().all(|offer| offer.1 == "p1"));
    assert!(win_backs.len() == 8 && renewals.len() == 2);
    assert!(renewals.iter().all(|offer| offer.0 == "c1"));
    for offer in [&lapses[0], &renewals[0], &win_backs[0]] {
        let request = v1::ExplainOpportunityRequest {
            portfolio_id: BOOK.into(),
            client_id: offer.0.clone(),
            product_id: offer.1.clone(),
            kind: offer.2,
            ..Default::default()
        };
        let answer = RecommendationServiceClient::new(channel.clone())
            .explain_opportunity(request)
            .await
            .unwrap()
            .into_inner();
        let row = rows.iter().find(|row| offer_of(row) == *offer);
        assert_eq!(answer.opportunity.as_ref(), row);
        let keep = answer.receipt.unwrap().keep.unwrap();
        let probability = row.unwrap().probability;
        assert!((keep.risk * keep.kept_share - probability).abs() < 1e-7);
        expect_shown(&channel, offer, true, "nothing holds it back").await;
    }
    let rejected = v1::Outcome {
        reason: v1::RejectReason::Price.into(),
        ..outcome(&lapses[0], day(0), Rejected)
    };
    let postponed = v1::Outcome {
        until_date: day(3),
        ..outcome(&renewals[0], day(0), Postponed)
    };
    let won = v1::Outcome {
        won_ticket_minor: 5_000,
        ..outcome(&win_backs[0], day(0), Won)
    };
    record(&channel, vec![rejected, postponed, won]).await;
    for offer in [&lapses[0], &renewals[0], &win_backs[0]] {
        expect_shown(&channel, offer, false, "it has an outcome").await;
    }
    // A complaint holds all of a client's offers back, those that keep it too, until it is settled.
    let client = &lapses[1].0;
    let opened = v1::ClientEventKind::ComplaintOpened;
    event(&channel, client, opened, "2025-12-01", "").await;
    expect_shown(&channel, &lapses[1], false, "a complaint is open").await;
    let closed = v1::ClientEventKind::ComplaintClosed;
    event(&channel, client, closed, "2025-12-02", "").await;
    expect_shown(&channel, &lapses[1], true, "the complaint is settled").await;
    // Shown, they count by their kind.
    pipeline(&channel, true).await;
    let request = v1::GetEffectReportRequest {
        portfolio_id: BOOK.into(),
        ..Default::default()
    };
    let report = OutcomeServiceClient::new(channel.clone())
        .get_effect_report(request)
        .await
        .unwrap()
        .into_inner();
    let kinds: Vec<&str> = report
        .conversions
        .iter()
        .filter(|row| row.group() == v1::ConversionGroup::Kind)
        .map(|row| row.value.as_str())
        .collect();
    for kind in ["lapse", "renewal", "win_back"] {
        assert!(kinds.contains(&kind), "{kinds:?}");
    }
    server.terminate();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_outcomes_is_recorded_whole_or_the_bad_rows_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&data_dir(&folder));
    let channel = server.channel().await;
    import(&server);
    let rows = pipeline(&channel, false).await;
    let kind = |row: &v1::Opportunity| match row.kind() {
        v1::OpportunityKind::Upsell => "upsell",
        v1::OpportunityKind::CrossSell => "cross-sell",
        v1::OpportunityKind::Lapse => "lapse",
        v1::OpportunityKind::Renewal => "renewal",
        _ => "win-back",
    };
    let (a, b) = (&rows[0], &rows[1]);
    let file = folder.path().join("outcomes.csv");
    let path = file.to_string_lossy().into_owned();
    let header =
        "client_id;product_id;kind;date;result;won_ticket;reason;until_date;wallet_estimate\n";
    let good = format!(
        "{header}{};{};{};{};Won;1.234,50;;;2.000,00\n{};{};{};{};rejected;;Contract elsewhere;;\n",
        a.client_id,
        a.product_id,
        kind(a),
        day(-1),
        b.client_id,
        b.product_id,
        kind(b),
        day(-2)
    );
    std::fs::write(&file, format!("{good}x;y;gift;tomorrow;maybe;;;;\n")).unwrap();
    let mut command = Command::new(BINARY);
    command.args(["outcomes", "record", "--portfolio", BOOK, "--file", &path]);
    let ran = command
        .args(["--endpoint", &server.endpoint])
        .output()
        .unwrap();
    assert_eq!(ran.status.code(), Some(2));
    let told = String::from_utf8_lossy(&ran.stderr);
    assert!(
        told.contains("line 4: ") && told.contains("'gift'"),
        "{told}"
    );
    assert!(offers(&channel, "").await.is_empty());

    std::fs::write(&file, good).unwrap();
    let told = carteira(&server, &["outcomes", "record", "--file", &path]);
    assert!(told.contains("2 recorded"), "{told}");
    let told = carteira(&server, &["outcomes", "list", "--output", "json"]);
    let rows: Vec<serde_json::Value> = serde_json::from_str(&told).unwrap();
    let won = rows.iter().find(|row| row["result"] == "won").unwrap();
    assert_eq!(won["won_ticket_minor"], 123_450);
    let rejected = rows.iter().find(|row| row["result"] == "rejected").unwrap();
    assert_eq!(rejected["reason"], "contract_elsewhere");
    let told = carteira(
        &server,
        &["outcomes", "list", "--result", "won", "--output", "json"],
    );
    let rows: Vec<serde_json::Value> = serde_json::from_str(&told).unwrap();
    assert_eq!(rows.len(), 1);
    server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_shown_is_logged_what_is_held_out_is_not_shown_and_the_report_counts_both() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&data_dir(&folder));
    let channel = server.channel().await;
    import(&server);
    let whole = pipeline(&channel, false).await;
    assert!(offers(&channel, "").await.is_empty(), "nothing was logged");
    let told = carteira(&server, &["effect"]);
    assert!(told.contains("nothing was logged as shown yet"), "{told}");

    let request = v1::SetRecipeRequest {
        portfolio_id: BOOK.into(),
        recipe: "standard".into(),
        overrides: BTreeMap::from([("outcomes.held_out_share".to_owned(), 0.4)]),
        ..Default::default()
    };
    ModelServiceClient::new(channel.clone())
        .set_recipe(request)
        .await
        .unwrap();
    let shown = pipeline(&channel, true).await;
    let of = |rows: &[v1::Opportunity]| -> BTreeSet<Offer> { rows.iter().map(offer_of).collect() };
    let (all, kept) = (of(&whole), of(&shown));
    assert!(kept.is_subset(&all) && kept.len() < all.len());
    let clients = |offers: &BTreeSet<Offer>| -> BTreeSet<String> {
        offers.iter().map(|offer| offer.0.clone()).collect()
    };
    let held: BTreeSet<Offer> = all.difference(&kept).cloned().collect();
    assert!(clients(&held).is_disjoint(&clients(&kept)), "whole clients");
    let share = clients(&held).len() as f64 / clients(&all).len() as f64;
    assert!((0.2..0.6).contains(&share), "{share}");

    // Logged: every row shown as shown, every row of those held out as held out, with its figures.
    let logged = offers(&channel, "").await;
    let mut by_offer = BTreeMap::new();
    for row in &logged {
        let offer = (row.client_id.clone(), row.product_id.clone(), row.kind);
        assert_eq!(row.showings.len(), 1);
        assert_eq!(row.showings[0].date, day(0));
        by_offer.insert(offer, row.showings[0].clone());
    }
    let with = |held_out: bool| -> BTreeSet<Offer> {
        let of = by_offer.iter().filter(|(_, one)| one.held_out == held_out);
        of.map(|(offer, _)| offer.clone()).collect()
    };
    assert_eq!((with(false), with(true)), (kept.clone(), held.clone()));
    for row in &whole {
        let showing = &by_offer[&offer_of(row)];
        assert_eq!(showing.potential_ticket_minor, row.potential_ticket_minor);
        assert!((showing.probability - row.probability).abs() < 1e-12);
    }
    // The same list again the same day changes nothing.
    pipeline(&channel, true).await;
    assert_eq!(offers(&channel, "").await, logged);

    // A client held out gets no row, and says why; its opportunities can still be explained.
    let one = held.first().unwrap().clone();
    let request = v1::RecommendForClientRequest {
        portfolio_id: BOOK.into(),
        client_id: one.0.clone(),
        ..Default::default()
    };
    let mut service = RecommendationServiceClient::new(channel.clone());
    let answer = service.recommend_for_client(request).await.unwrap();
    let answer = answer.into_inner();
    assert!(answer.upsell.is_empty() && answer.cross_sell.is_empty());
    assert_eq!(answer.notices[0].code(), v1::NoticeCode::HeldOut);
    let request = v1::ExplainOpportunityRequest {
        portfolio_id: BOOK.into(),
        client_id: one.0.clone(),
        product_id: one.1.clone(),
        ..Default::default()
    };
    service.explain_opportunity(request).await.unwrap();

    // Offers shown sell 1,000 more each; the report finds what a count by hand finds.
    let mut came: BTreeMap<String, i64> = BTreeMap::new();
    let mut sales = Vec::new();
    for (at, offer) in all.iter().enumerate() {
        let amount = 5_000 + 37 * (at as i64 % 11) + if kept.contains(offer) { 1_000 } else { 0 };
        *came.entry(offer.0.clone()).or_default() += amount;
        sales.push(v1::Sale {
            client_id: offer.0.clone(),
            product_id: offer.1.clone(),
            date: day(0),
            amount_minor: amount,
            ..Default::default()
        });
    }
    let request = v1::RecordSalesRequest {
        portfolio_id: BOOK.into(),
        sales,
        ..Default::default()
    };
    TicketServiceClient::new(channel.clone())
        .record_sales(request)
        .await
        .unwrap();
    let won: Vec<Offer> = kept.iter().take(30).cloned().collect();
    let lost: Vec<Offer> = kept.iter().skip(30).take(50).cloned().collect();
    let outcomes = won.iter().map(|offer| v1::Outcome {
        won_ticket_minor: 1_000,
        wallet_estimate_minor: Some(by_offer[offer].potential_ticket_minor * 2),
        ..outcome(offer, day(0), v1::OutcomeResult::Won)
    });
    let lost_too = lost
        .iter()
        .map(|offer| outcome(offer, day(0), v1::OutcomeResult::Lost));
    record(&channel, outcomes.chain(lost_too).collect()).await;
    let report = OutcomeServiceClient::new(channel.clone())
        .get_effect_report(v1::GetEffectReportRequest {
            portfolio_id: BOOK.into(),
            segment_attribute: "country".into(),
            ..Default::default()
        })
        .await
        .unwrap()
        .into_inner();
    let row = |group: v1::ConversionGroup, value: &str| {
        let mut rows = report.conversions.iter();
        rows.find(|row| row.group() == group && row.value == value)
            .unwrap()
    };
    let total = row(v1::ConversionGroup::All, "");
    assert_eq!(
        (total.shown, total.won, total.lost),
        (kept.len() as u64, 30, 50)
    );
    assert_eq!(total.open, kept.len() as u64 - 80);
    assert!((total.conversion.unwrap() - 30.0 / 80.0).abs() < 1e-12);
    assert_eq!(total.won_ticket_minor, 30_000);
    let foretold: f64 = won
        .iter()
        .chain(&lost)
        .map(|offer| by_offer[offer].probability)
        .sum();
    assert!((total.foretold - foretold).abs() < 1e-9);
    for group in [
        v1::ConversionGroup::Kind,
        v1::ConversionGroup::Owner,
        v1::ConversionGroup::Segment,
        v1::ConversionGroup::Decile,
    ] {
        let of_group = report.conversions.iter().filter(|row| row.group() == group);
        let (shown, won) = of_group.fold((0, 0), |(shown, won), row| {
            (shown + row.shown, won + row.won)
        });
        assert_eq!((shown, won), (total.shown, total.won), "{group:?}");
    }
    let wallets = report.wallets.unwrap();
    assert_eq!(wallets.offers, 30);
    assert!((wallets.median_ratio.unwrap() - 0.5).abs() < 1e-9);

    let uplift = &report.uplifts[0];
    assert_eq!(uplift.group(), v1::ConversionGroup::All);
    assert_eq!(uplift.shown_clients, clients(&kept).len() as u64);
    assert_eq!(uplift.held_out_clients, clients(&held).len() as u64);
    assert_eq!(report.months, 1);
    let mean = |of: &BTreeSet<String>| {
        of.iter().map(|client| came[client] as f64).sum::<f64>() / of.len() as f64
    };
    assert!(
        (uplift.shown_mean_minor - mean(&clients(&kept))).abs() < 1e-6,
        "{uplift:?}"
    );
    let told = carteira(&server, &["effect", "--segment", "country"]);
    assert!(told.contains("uplift a client and month"), "{told}");
    let told = carteira(&server, &["effect", "--output", "json"]);
    let json: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(json["conversions"][0]["won"], 30);
    server.stop();
}

/// Outcome `number`: no two of the same offer and day.
fn numbered(number: u64) -> v1::Outcome {
    let kind = match number / 80 % 2 {
        0 => v1::OpportunityKind::Upsell,
        _ => v1::OpportunityKind::CrossSell,
    };
    let offer = (
        format!("c{}", number % 16),
        format!("p{}", number / 16 % 5),
        kind.into(),
    );
    v1::Outcome {
        note: number.to_string(),
        ..outcome(
            &offer,
            day(-((number / 160) as i32)),
            v1::OutcomeResult::Lost,
        )
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_outcomes_survive_kills() {
    let faults: u64 = std::env::var("CARTEIRA_FAULTS").map_or(1, |raw| raw.parse().unwrap());
    let seed: u64 = std::env::var("CARTEIRA_SEED").map_or_else(
        |_| u64::from(std::process::id()),
        |raw| raw.parse().unwrap(),
    );
    let rounds = 10 * faults.min(4);
    let folder = tempfile::tempdir().unwrap();
    let dir = data_dir(&folder);
    let (mut next, mut acknowledged) = (0, BTreeSet::new());
    for round in 0..rounds {
        let server = Server::start(&dir);
        let channel = server.channel().await;
        if round == 0 {
            make_book(channel.clone(), BOOK, 16, 5).await;
        }
        let kept: BTreeSet<String> = offers(&channel, "")
            .await
            .iter()
            .flat_map(|offer| offer.outcomes.iter().map(|outcome| outcome.note.clone()))
            .collect();
        let lost: Vec<&String> = acknowledged.difference(&kept).collect();
        assert!(lost.is_empty(), "{lost:?} of seed {seed}, round {round}");
        let first = next;
        let writer = tokio::spawn(async move {
            let mut service = OutcomeServiceClient::new(channel);
            let mut recorded = Vec::new();
            // Fewer than the outcomes that 160 offers may have, over all rounds.
            for number in first..first + 190 {
                let request = v1::RecordOutcomesRequest {
                    portfolio_id: BOOK.into(),
                    outcomes: vec![numbered(number)],
                    ..Default::default()
                };
                match service.record_outcomes(request).await {
                    Ok(_) => recorded.push(number.to_string()),
                    Err(_) => break,
                }
            }
            recorded
        });
        let wait = mix(seed.wrapping_mul(1_000) + round) % 100_000;
        tokio::time::sleep(Duration::from_micros(wait)).await;
        server.kill();
        acknowledged.extend(writer.await.unwrap());
        next += 190;
    }
    println!(
        "seed {seed}, {rounds} kills: {} acknowledged, 0 lost",
        acknowledged.len()
    );
    // A slow disk takes some milliseconds a write, and each round lasts a tenth of a second at most.
    assert!(acknowledged.len() > 20);
}

/// A book too large to be fitted anew at each read: 500 clients in 5 kinds, 80 products, 14 months.
async fn make_large_book(channel: &Channel) {
    make_book(channel.clone(), BOOK, 500, 80).await;
    let mut service = TicketServiceClient::new(channel.clone());
    for month in 0..14 {
        let mut sales = Vec::new();
        for client in 0..500_u64 {
            for product in 0..80_u64 {
                let draw = mix(client * 80 + product);
                let likes = product % 5 == client % 5;
                let from = draw / 100 % 20;
                if draw % 100 < if likes { 70 } else { 25 } && month >= from {
                    sales.push(v1::Sale {
                        client_id: format!("c{client}"),
                        product_id: format!("p{product}"),
                        date: format!("{}-{:02}-10", 2024 + month / 12, month % 12 + 1),
                        amount_minor: (1_000 + draw / 2_000 % 9_000) as i64,
                        ..Default::default()
                    });
                }
            }
        }
        for sales in sales.chunks(10_000) {
            let request = v1::RecordSalesRequest {
                portfolio_id: BOOK.into(),
                sales: sales.to_vec(),
                ..Default::default()
            };
            service.record_sales(request).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outcome_is_seen_within_a_second_while_the_model_is_fitted_anew() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(&data_dir(&folder), &[("CARTEIRA_LOG", "debug")]);
    let channel = server.channel().await;
    make_large_book(&channel).await;
    // The first list waits for the first fit.
    let rows = pipeline(&channel, false).await;
    assert!(rows.len() > 10_000, "{}", rows.len());
    let mut worst = Duration::ZERO;
    // Once nothing is written for two seconds the fit begins, and takes some more.
    for row in rows.iter().take(12) {
        tokio::time::sleep(Duration::from_millis(2_300)).await;
        let offer = offer_of(row);
        record(
            &channel,
            vec![outcome(&offer, day(0), v1::OutcomeResult::Lost)],
        )
        .await;
        let began = Instant::now();
        loop {
            let request = v1::ListOpportunitiesRequest {
                portfolio_id: BOOK.into(),
                page_size: 1_000,
                ..Default::default()
            };
            let answer = RecommendationServiceClient::new(channel.clone())
                .list_opportunities(request)
                .await
                .unwrap()
                .into_inner();
            if !answer
                .opportunities
                .iter()
                .any(|row| offer_of(row) == offer)
            {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        worst = worst.max(began.elapsed());
    }
    let renewed = |line: &&String| line.contains("model and pipeline renewed");
    let lines = server.stop();
    println!(
        "the slowest took {worst:?}; {} renewals",
        lines.iter().filter(renewed).count()
    );
    assert!(
        lines.iter().any(|line| renewed(&line)),
        "no fit was under way"
    );
    assert!(worst < FRESH, "{worst:?}");
}
