//! Names, amounts and secrets that can be recognised, sent through every call, right and wrong, with everything
//! logged: none of them stands in the log, in the text of an error, or in what the types of the domain show for
//! debugging. And what an erased client was is in no file of the data folder.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
// Tables of cases are long and read well.
#![allow(clippy::too_many_lines, clippy::match_same_arms)]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use carteira::wire::v1;
use carteira::wire::v1::portfolio_service_client::PortfolioServiceClient;
use common::contract::{Contract, Fill};
use common::faults::tell;
use common::raw::{Answered, call};
use common::{Server, carteira, data_dir};
use prost::Message;
use prost_types::field_descriptor_proto::{Label, Type};
use tonic::transport::Channel;
use tonic::{Code, Request};

const BOOK: &str = "aviary";
const OPERATOR: &str = "zzOperatorQuetzal0123456789abcdefghijklmnop";
/// Stands in every name, note, owner, category and attribute.
const NAME: &str = "Quetzalcoatl";
/// Every amount.
const AMOUNT: i64 = 918_273_645;
const QUANTITY: f64 = 7_364.25;

/// Ways in which a mark may have been written.
fn forms(secrets: &[String]) -> Vec<String> {
    let mut forms = Vec::new();
    let texts = secrets.iter().map(String::as_str).chain([NAME]);
    for text in texts {
        forms.push(text.to_owned());
        forms.push(text.to_lowercase());
        let bytes = text.bytes().take(8);
        let listed: Vec<String> = bytes.clone().map(|byte| byte.to_string()).collect();
        forms.push(listed.join(", "));
        let hex: Vec<String> = bytes.map(|byte| format!("{byte:02x}")).collect();
        forms.push(hex.join(""));
        forms.push(hex.join("\\x"));
    }
    forms.push(AMOUNT.to_string());
    forms.push("9182736.45".into());
    forms.push("7364.25".into());
    forms.push("7364250".into());
    forms
}

/// A request of a call with marks wherever people's data goes; `wrong` makes one thing of it wrong.
fn marked(contract: &Contract, request: &str, wrong: Option<Wrong>) -> Vec<u8> {
    contract.encode(request, &mut |(message, field)| {
        let kind = field.r#type();
        let long = format!("{NAME} {}", "é".repeat(200));
        match (field.name(), field.label(), wrong) {
            ("recipe_overrides" | "overrides", _, _) => Fill::Nothing,
            (
                "states" | "life_cycles" | "tiers" | "kinds" | "results" | "client_ids"
                | "product_ids" | "categories" | "owners" | "segment_ids",
                Label::Repeated,
                _,
            ) => Fill::Nothing,
            ("tickets", Label::Repeated, _) if message == "RecommendWhatIfRequest" => {
                Fill::Times(1)
            }
            (_, Label::Repeated, _) => Fill::Times(1),
            ("portfolio_id", _, Some(Wrong::Elsewhere)) => Fill::Text("nowhere".into()),
            ("portfolio_id", _, _) => Fill::Text(BOOK.into()),
            ("client_id", _, Some(Wrong::Missing)) => Fill::Text("c9".into()),
            ("product_id", _, Some(Wrong::Missing)) => Fill::Text("p9".into()),
            ("client_id", _, _) => Fill::Text("c1".into()),
            ("product_id", _, _) => Fill::Text("p1".into()),
            (
                "request_id"
                | "page_token"
                | "group_by"
                | "key_id"
                | "segment_attribute"
                | "excluded_product_ids"
                | "upgrade_of_product_id"
                | "needs_product_id",
                _,
                _,
            ) => Fill::Nothing,
            ("group", _, _) if message == "Objective" => Fill::Nothing,
            ("objective_id" | "action_id" | "prospect_id", _, _) => Fill::Text("o1".into()),
            ("due_date", _, _) => Fill::Text("2199-12-31".into()),
            ("travel_attribute", _, _) => Fill::Text("sector".into()),
            ("sale_id", _, _) => Fill::Text("sale 1".into()),
            ("update_fields", _, _) => Fill::Text("name".into()),
            ("currency", _, _) => Fill::Text("BRL".into()),
            ("recipe", _, _) => Fill::Text("standard".into()),
            ("cut_month", _, _) => Fill::Nothing,
            ("date" | "from_date", _, Some(Wrong::Texts)) => Fill::Text(NAME.into()),
            ("date" | "from_date", _, _) => Fill::Text("2026-01-10".into()),
            ("end_date" | "until_date" | "to_date", _, _) => Fill::Text("2026-02-10".into()),
            ("name", _, None) if message == "AttributeFilter" => Fill::Text("sector".into()),
            ("key", _, _) if kind == Type::String => Fill::Text("sector".into()),
            (_, _, Some(Wrong::Texts)) if kind == Type::String => Fill::Text(long),
            (_, _, Some(Wrong::Controls)) if kind == Type::String => {
                Fill::Text(format!("{NAME}\u{1b}[31m\r\n{{\"level\":\"forged\"}}"))
            }
            (_, _, _) => match kind {
                Type::Message => Fill::Times(1),
                Type::String => Fill::Text(NAME.into()),
                Type::Double if wrong == Some(Wrong::Numbers) => Fill::Float(f64::NAN),
                Type::Double if field.name() == "quantity" => Fill::Float(QUANTITY),
                Type::Double => Fill::Float(0.5),
                Type::Int64 if wrong == Some(Wrong::Numbers) => Fill::Whole(-AMOUNT),
                Type::Int64 if field.name() == "min_gain_minor" => Fill::Nothing,
                Type::Int64 => Fill::Whole(AMOUNT),
                _ => Fill::Whole(1),
            },
        }
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    /// Too long, or no date.
    Texts,
    Controls,
    Numbers,
    /// Of nobody and nothing that is there.
    Missing,
    Elsewhere,
}

/// The calls in an order in which there is something to look at.
fn in_order(contract: &Contract) -> Vec<(String, String)> {
    let first = [
        "CreatePortfolio",
        "BatchUpsertProducts",
        "BatchUpsertClients",
        "RecordSales",
        "StreamSales",
        "SetTickets",
        "RecordClientEvents",
        "RecordOutcomes",
        "SetObjective",
    ];
    let place = |path: &str| {
        let verb = path.rsplit('/').next().unwrap_or_default();
        match first.iter().position(|name| *name == verb) {
            Some(at) => at,
            None if verb.starts_with("Delete") => 100,
            None => 50,
        }
    };
    let mut calls: Vec<_> = contract
        .calls
        .iter()
        .map(|of| (of.path.clone(), of.request.clone()))
        .collect();
    calls.sort_by_key(|(path, _)| place(path));
    calls
}

fn bearer(key: &str) -> String {
    format!("Bearer {key}")
}

/// A key of the portfolio's, with its secret.
async fn make_key(channel: &Channel, role: v1::KeyRole) -> String {
    let mut request = Request::new(v1::CreateApiKeyRequest {
        portfolio_id: BOOK.into(),
        name: NAME.into(),
        role: role.into(),
        expires_at: None,
    });
    request
        .metadata_mut()
        .insert("authorization", bearer(OPERATOR).parse().unwrap());
    let mut service = PortfolioServiceClient::new(channel.clone());
    service
        .create_api_key(request)
        .await
        .unwrap()
        .into_inner()
        .key
}

/// More clients, or nobody has neighbours and models are not tried: all of them named.
async fn fill_book(channel: &Channel) {
    let clients = (0..30).map(|at| v1::Client {
        client_id: format!("c{at}"),
        name: format!("{NAME} {at}"),
        owner: NAME.into(),
        attributes: BTreeMap::from([(
            "sector".to_owned(),
            v1::AttributeValue {
                value: Some(v1::attribute_value::Value::Text(NAME.into())),
            },
        )]),
        ..Default::default()
    });
    let products = (0..6).map(|at| v1::Product {
        product_id: format!("p{at}"),
        name: format!("{NAME} {at}"),
        category: NAME.into(),
        ..Default::default()
    });
    let sales = (0..1_000_u64).map(|at| v1::Sale {
        client_id: format!("c{}", at % 30),
        product_id: format!("p{}", at / 30 % 6),
        date: format!("2025-{:02}-1{}", at % 12 + 1, at % 10),
        amount_minor: AMOUNT,
        quantity: Some(QUANTITY),
        sale_id: format!("sale {at}"),
    });
    let portfolio_id = BOOK.to_owned();
    for (path, body) in [
        (
            "/carteira.v1.CatalogService/BatchUpsertClients",
            v1::BatchUpsertClientsRequest {
                portfolio_id: portfolio_id.clone(),
                clients: clients.collect(),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "/carteira.v1.CatalogService/BatchUpsertProducts",
            v1::BatchUpsertProductsRequest {
                portfolio_id: portfolio_id.clone(),
                products: products.collect(),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "/carteira.v1.TicketService/RecordSales",
            v1::RecordSalesRequest {
                portfolio_id,
                sales: sales.collect(),
                ..Default::default()
            }
            .encode_to_vec(),
        ),
    ] {
        let answered = call(channel, path, body, Some(&bearer(OPERATOR))).await;
        assert_eq!(answered.code, Code::Ok, "{path}: {answered:?}");
    }
}

/// Every call, right and wrong; `(what, answer)`.
async fn every_call(channel: &Channel, keys: &[String]) -> Vec<(String, Answered)> {
    let contract = Contract::read();
    let mut answers = Vec::new();
    let shown: Vec<Option<String>> = keys.iter().map(|key| Some(bearer(key))).collect();
    let broken = [
        None,
        Some(bearer(&format!("{NAME}{}", "x".repeat(60)))),
        Some(format!("Basic {NAME}")),
        Some(bearer(&keys[0][..keys[0].len() - 1])),
    ];
    let operator = Some(bearer(OPERATOR));
    let mut in_order = in_order(&contract);
    // Once more before the end, so that what was wrong had something to be wrong about.
    let ends = in_order
        .iter()
        .position(|(path, _)| path.contains("/Delete"));
    let ends = in_order.split_off(ends.unwrap());
    for (path, request) in in_order.iter().chain(&ends) {
        for wrong in [
            Some(Wrong::Texts),
            Some(Wrong::Controls),
            Some(Wrong::Numbers),
            Some(Wrong::Missing),
            Some(Wrong::Elsewhere),
            None,
        ] {
            let body = marked(&contract, request, wrong);
            let answered = call(channel, path, body, operator.as_deref()).await;
            answers.push((format!("{path} {wrong:?}"), answered));
        }
        let body = marked(&contract, request, None);
        for key in shown.iter().chain(&broken) {
            if !path.contains("/Delete") {
                let answered = call(channel, path, body.clone(), key.as_deref()).await;
                answers.push((format!("{path} with another key"), answered));
            }
        }
        let mut cut = body.clone();
        cut.truncate(body.len().saturating_sub(3));
        cut.extend(b"\xff\xff");
        let answered = call(channel, path, cut, operator.as_deref()).await;
        answers.push((format!("{path} cut"), answered));
        let answered = call(channel, &format!("{path}Not"), body, operator.as_deref()).await;
        answers.push((format!("{path}Not"), answered));
    }
    answers
}

fn clip(line: &str) -> String {
    line.chars().take(400).collect()
}

async fn drive(format: &str) -> (usize, usize) {
    let folder = tempfile::tempdir().unwrap();
    let variables = [
        ("CARTEIRA_OPERATOR_KEY", OPERATOR),
        ("CARTEIRA_LOG", "trace"),
        ("CARTEIRA_LOG_FORMAT", format),
        ("CARTEIRA_CHECKPOINT_EVERY", "200ms"),
    ];
    let dir = data_dir(&folder);
    let server = Server::start_with(&dir, &variables);
    let channel = server.channel().await;
    let contract = Contract::read();
    let (path, request) = in_order(&contract).remove(0);
    let body = marked(&contract, &request, None);
    let made = call(&channel, &path, body, Some(&bearer(OPERATOR))).await;
    assert_eq!(made.code, Code::Ok, "{made:?}");
    fill_book(&channel).await;
    let mut keys = Vec::new();
    for role in [
        v1::KeyRole::Reader,
        v1::KeyRole::OutcomeOnly,
        v1::KeyRole::Writer,
    ] {
        keys.push(make_key(&channel, role).await);
    }
    let answers = every_call(&channel, &keys).await;
    // Fits, grades and checkpoints in the background have their say.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let log = server.stop();
    let mut secrets: Vec<String> = keys.iter().map(|key| key[21..].to_owned()).collect();
    secrets.push(OPERATOR.to_owned());
    let forms = forms(&secrets);
    let told: Vec<String> = log
        .iter()
        .filter(|line| forms.iter().any(|form| line.contains(form)))
        .map(|line| clip(line))
        .collect();
    assert!(
        told.is_empty(),
        "{} lines tell: {:#?}",
        told.len(),
        &told[..told.len().min(20)]
    );
    let controls = log
        .iter()
        .filter(|line| line.chars().any(|c| c.is_control() && c != '\t'));
    assert_eq!(controls.count(), 0, "a control character stands in the log");
    assert!(!log.iter().any(|line| line.contains("forged")));
    if format == "json" {
        for line in &log {
            serde_json::from_str::<serde_json::Value>(line)
                .unwrap_or_else(|error| panic!("{error}: {line}"));
        }
    }
    let mut failures = 0;
    let mut telling = Vec::new();
    for (what, answered) in &answers {
        if answered.code == Code::Ok {
            continue;
        }
        failures += 1;
        let details = String::from_utf8_lossy(&answered.details);
        for form in &forms {
            if answered.text.contains(form) || details.contains(form) {
                telling.push(format!("{what}: {}", clip(&answered.text)));
            }
        }
    }
    telling.dedup();
    assert!(telling.is_empty(), "{telling:#?}");
    // Enough of both, or it shows little.
    let fine = answers.len() - failures;
    assert!(fine > 60 && failures > 200, "{fine} {failures}");
    (log.len(), failures)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_name_amount_or_secret_stands_in_a_log_or_an_error() {
    for format in ["json", "text"] {
        let (lines, failures) = drive(format).await;
        tell(format_args!(
            "{lines} lines of log at trace ({format}) and {failures} errors: 0 names, amounts or secrets"
        ));
    }
}

#[test]
fn types_of_the_domain_show_no_names_for_debugging() {
    use carteira::domain::{
        Attribute, Client, ClientEvent, ClientEventKind, ClientId, Currency, Day, Language, Offer,
        Outcome, Period, Portfolio, PortfolioId, Product, ProductId, ReportedOutcome, Text,
        WindowMonths,
    };
    let text = || Text::parse(NAME).unwrap();
    let day = Day::parse("2026-01-10").unwrap();
    let client = Client {
        id: ClientId::parse("c1").unwrap(),
        name: text(),
        owner: text(),
        attributes: BTreeMap::from([(text(), Attribute::Text(text()))]),
        excluded_products: [ProductId::parse("p1").unwrap()].into(),
    };
    let product = Product {
        id: ProductId::parse("p1").unwrap(),
        name: text(),
        category: text(),
        margin_rate: None,
        list_price_minor: None,
        active: true,
        upgrade_of: None,
        needs_product: None,
    };
    let event = ClientEvent {
        kind: ClientEventKind::Contact,
        day,
        end_day: None,
        note: text(),
    };
    let portfolio = Portfolio {
        id: PortfolioId::parse(BOOK).unwrap(),
        name: text(),
        currency: Currency::parse("BRL").unwrap(),
        period: Period::Month,
        window: WindowMonths::default(),
        language: Language::English,
        recipe: text(),
        recipe_overrides: BTreeMap::from([(text(), 1.0)]),
    };
    let mut offer = Offer::default();
    let _ = offer.report(ReportedOutcome {
        day,
        outcome: Outcome::Lost,
        wallet_minor: None,
        note: text(),
    });
    let key = carteira::server::OperatorKey::parse(OPERATOR).unwrap();
    let shown = format!(
        "{client:?} {product:?} {event:?} {portfolio:?} {offer:?} {key:?} {:?}",
        text()
    );
    assert!(
        !shown.contains(NAME) && !shown.contains(OPERATOR),
        "{shown}"
    );
    assert!(
        shown.contains("c1") && shown.contains("p1"),
        "ids are shown: {shown}"
    );
}

/// Values go into a log as fields that show themselves to people, never as they are debugged: messages of the
/// contract would show all that is in them.
#[test]
fn no_value_is_logged_as_it_is_debugged() {
    let mut sources = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut macros = 0;
    while let Some(path) = sources.pop() {
        if path.is_dir() {
            sources.extend(path.read_dir().unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let source = std::fs::read_to_string(&path).unwrap();
        for said in source.split("tracing::").skip(1) {
            let Some((_, said)) = said.split_once("!(") else {
                continue;
            };
            let said = said.split(");").next().unwrap_or_default();
            macros += 1;
            let debugged = said.contains(":?}")
                || said.contains("= ?")
                || said.contains("(?")
                || said.contains(", ?");
            assert!(!debugged, "{}: {said}", path.display());
        }
    }
    assert!(macros > 20, "{macros} logged events were looked at");
}

/// All files of a folder.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in dir.read_dir().unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => all.extend(files(&path)),
            false => all.push(path),
        }
    }
    all
}

/// The files in which one of the texts stands, by the first of them.
fn holding(dir: &Path, texts: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files(dir) {
        let bytes = std::fs::read(&file).unwrap();
        for text in texts {
            if bytes
                .windows(text.len())
                .any(|some| some == text.as_bytes())
            {
                found.push(format!("{}: {text}", file.display()));
            }
        }
    }
    found
}

/// Everything that is kept of a client, each part recognisable.
const ERASED: [&str; 9] = [
    "erased-client-id",
    "Erased Name",
    "Erased Owner",
    "Erased Attribute",
    "Erased Value",
    "Erased Event",
    "Erased Note",
    "erased-excluded",
    "erased-sale",
];

async fn make_the_erased(channel: &Channel) {
    let id = ERASED[0].to_owned();
    let portfolio_id = BOOK.to_owned();
    let client = v1::Client {
        client_id: id.clone(),
        name: ERASED[1].into(),
        owner: ERASED[2].into(),
        attributes: BTreeMap::from([(
            ERASED[3].to_owned(),
            v1::AttributeValue {
                value: Some(v1::attribute_value::Value::Text(ERASED[4].into())),
            },
        )]),
        excluded_product_ids: vec![ERASED[7].into()],
    };
    let other = v1::Client {
        client_id: "kept-client-id".into(),
        name: "Kept Name".into(),
        ..Default::default()
    };
    let products = ["p0", "p1"].map(|id| v1::Product {
        product_id: id.into(),
        ..Default::default()
    });
    let sale = |client: &str, at: u32| v1::Sale {
        client_id: client.into(),
        product_id: format!("p{}", at % 2),
        date: format!("2026-{:02}-10", at % 9 + 1),
        amount_minor: AMOUNT,
        sale_id: format!("{} {client} {at}", ERASED[8]),
        ..Default::default()
    };
    let sales = (0..40).flat_map(|at| [sale(ERASED[0], at), sale("kept-client-id", at)]);
    let outcome = v1::Outcome {
        client_id: id.clone(),
        product_id: "p1".into(),
        kind: v1::OpportunityKind::Upsell.into(),
        date: "2026-01-10".into(),
        result: v1::OutcomeResult::Lost.into(),
        note: ERASED[6].into(),
        ..Default::default()
    };
    let portfolio = v1::Portfolio {
        portfolio_id: portfolio_id.clone(),
        currency: "BRL".into(),
        ..Default::default()
    };
    let event = v1::ClientEvent {
        client_id: id.clone(),
        kind: v1::ClientEventKind::Contact.into(),
        date: "2026-01-10".into(),
        note: ERASED[5].into(),
        ..Default::default()
    };
    macro_rules! send {
        ($path:literal, $request:ident { $($field:ident: $value:expr),* }) => {{
            let request = v1::$request {
                $($field: $value,)*
                request_id: format!("{} {}", ERASED[8], $path),
            };
            let path = concat!("/carteira.v1.", $path);
            let answered = call(channel, path, request.encode_to_vec(), None).await;
            assert_eq!(answered.code, Code::Ok, "{path}: {answered:?}");
        }};
    }
    send!(
        "PortfolioService/CreatePortfolio",
        CreatePortfolioRequest {
            portfolio: Some(portfolio)
        }
    );
    send!(
        "CatalogService/BatchUpsertProducts",
        BatchUpsertProductsRequest {
            portfolio_id: portfolio_id.clone(),
            products: products.to_vec()
        }
    );
    send!(
        "CatalogService/BatchUpsertClients",
        BatchUpsertClientsRequest {
            portfolio_id: portfolio_id.clone(),
            clients: vec![client.clone(), other]
        }
    );
    send!(
        "TicketService/RecordSales",
        RecordSalesRequest {
            portfolio_id: portfolio_id.clone(),
            sales: sales.collect(),
            currency: String::new()
        }
    );
    send!(
        "CatalogService/RecordClientEvents",
        RecordClientEventsRequest {
            portfolio_id: portfolio_id.clone(),
            events: vec![event.clone()]
        }
    );
    send!(
        "OutcomeService/RecordOutcomes",
        RecordOutcomesRequest {
            portfolio_id: portfolio_id.clone(),
            outcomes: vec![outcome.clone()]
        }
    );

    // The export has all of it.
    let request = v1::ExportClientRequest {
        portfolio_id,
        client_id: id.clone(),
    };
    let path = "/carteira.v1.CatalogService/ExportClient";
    let answered = call(channel, path, request.encode_to_vec(), None).await;
    let export = v1::ExportClientResponse::decode(answered.messages[0].as_slice()).unwrap();
    assert_eq!(export.client, Some(client));
    assert_eq!(export.events, [event]);
    assert_eq!(export.offers[0].outcomes, [outcome]);
    let sums: i64 = export.purchases.iter().map(|of| of.amount_minor).sum();
    let counted: u32 = export.purchases.iter().map(|of| of.sales).sum();
    assert_eq!((sums, counted), (40 * AMOUNT, 40));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_byte_of_an_erased_client_is_left_after_compacting() {
    let folder = tempfile::tempdir().unwrap();
    let dir = data_dir(&folder);
    let server = Server::start_with(&dir, &[("CARTEIRA_CHECKPOINT_EVERY", "100ms")]);
    let channel = server.channel().await;
    make_the_erased(&channel).await;
    // Shown and logged, so that there is an offer with a showing too.
    for path in ["RecommendForClient", "ListOpportunities"] {
        let request = v1::RecommendForClientRequest {
            portfolio_id: BOOK.into(),
            client_id: if path == "RecommendForClient" {
                ERASED[0].into()
            } else {
                String::new()
            },
            ..Default::default()
        };
        let path = format!("/carteira.v1.RecommendationService/{path}");
        call(&channel, &path, request.encode_to_vec(), None).await;
    }
    tokio::time::sleep(Duration::from_millis(400)).await;
    // They are there to be found, or their absence shows nothing. Sale ids are kept as hashes.
    let before = holding(&dir, &ERASED[..8]);
    for text in &ERASED[..8] {
        assert!(
            before.iter().any(|found| found.ends_with(text)),
            "{text}: {before:?}"
        );
    }
    assert!(
        holding(&dir, &ERASED[8..]).is_empty(),
        "a sale's name is kept as it was sent"
    );
    let request = v1::DeleteClientRequest {
        portfolio_id: BOOK.into(),
        client_id: ERASED[0].into(),
        request_id: format!("erase {}", ERASED[0]),
    };
    let path = "/carteira.v1.CatalogService/DeleteClient";
    let answered = call(&channel, path, request.encode_to_vec(), None).await;
    assert_eq!(answered.code, Code::Ok, "{answered:?}");
    server.terminate();
    carteira(&["compact"], &[("--data-dir", &dir)]).unwrap();
    assert_eq!(holding(&dir, &ERASED), Vec::<String>::new());
    assert!(!holding(&dir, &["Kept Name"]).is_empty());
    // What is left is whole, and the other client is as it was.
    let server = Server::start(&dir);
    let request = v1::ExportClientRequest {
        portfolio_id: BOOK.into(),
        client_id: "kept-client-id".into(),
    };
    let path = "/carteira.v1.CatalogService/ExportClient";
    let answered = call(&server.channel().await, path, request.encode_to_vec(), None).await;
    let export = v1::ExportClientResponse::decode(answered.messages[0].as_slice()).unwrap();
    let sums: i64 = export.purchases.iter().map(|of| of.amount_minor).sum();
    assert_eq!(sums, 40 * AMOUNT);
    server.terminate();
    tell(format_args!(
        "{} places of an erased client before, 0 bytes after compacting",
        before.len()
    ));
}
