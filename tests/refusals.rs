//! Wrong input to every call: the right status, the field at fault named, nothing changed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
// Tables of cases are long and read well.
#![allow(clippy::too_many_lines)]

mod common;

use std::future::Future;
use std::pin::Pin;

use carteira::wire::v1;
use carteira::wire::v1::catalog_service_client::CatalogServiceClient;
use carteira::wire::v1::insight_service_client::InsightServiceClient;
use carteira::wire::v1::outcome_service_client::OutcomeServiceClient;
use carteira::wire::v1::portfolio_service_client::PortfolioServiceClient;
use carteira::wire::v1::recommendation_service_client::RecommendationServiceClient;
use carteira::wire::v1::ticket_service_client::TicketServiceClient;
use common::{Server, data_dir, figures, make_book};
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_types::StatusExt;

const BOOK: &str = "book";

type Answer = Pin<Box<dyn Future<Output = Result<(), Status>> + Send>>;

/// One wrong request, and how it has to be refused.
struct Case {
    rpc: &'static str,
    request: String,
    send: Box<dyn Fn(Channel) -> Answer>,
    code: Code,
    /// The field that the answer has to name; empty for none.
    field: String,
}

/// A row of the table: `rpc(request) => code, field`.
macro_rules! refused {
    ($client:ident.$rpc:ident($request:expr) => $code:ident, $field:expr) => {{
        let request = $request;
        Case {
            rpc: stringify!($rpc),
            request: shortened(&request),
            send: Box::new(move |channel| {
                let request = request.clone();
                Box::pin(async move { $client::new(channel).$rpc(request).await.map(|_| ()) })
            }),
            code: Code::$code,
            field: $field.to_string(),
        }
    }};
}

/// The same for sales that are streamed: the refusal comes as the end of the answers.
fn stream_refused(request: v1::StreamSalesRequest, code: Code, field: &str) -> Case {
    Case {
        rpc: "stream_sales",
        request: shortened(&request),
        send: Box::new(move |channel| {
            let request = request.clone();
            Box::pin(async move {
                let mut service = TicketServiceClient::new(channel);
                let batches = tokio_stream::iter([request]);
                let mut answers = service.stream_sales(batches).await?.into_inner();
                while answers.message().await?.is_some() {}
                Ok(())
            })
        }),
        code,
        field: field.into(),
    }
}

fn shortened(request: &impl std::fmt::Debug) -> String {
    format!("{request:?}").chars().take(300).collect()
}

/// Sends every request of a table; each has to be refused as it says, and to change nothing.
async fn check(channel: &Channel, cases: Vec<Case>) {
    let before = figures(channel, BOOK).await;
    let mut wrong = Vec::new();
    for case in &cases {
        let answer = (case.send)(channel.clone()).await;
        let named: Vec<String> = match &answer {
            Ok(()) => Vec::new(),
            Err(status) => {
                let bad = status.get_error_details().bad_request().cloned();
                let violations = bad.map_or(Vec::new(), |bad| bad.field_violations);
                violations.into_iter().map(|bad| bad.field).collect()
            }
        };
        let code = answer.err().map_or(Code::Ok, |status| status.code());
        let field_named = case.field.is_empty() || named.contains(&case.field);
        if code != case.code || !field_named {
            wrong.push(format!(
                "{}: {code:?} naming {named:?}, not {:?} naming {:?}: {}",
                case.rpc, case.code, case.field, case.request
            ));
        }
        if figures(channel, BOOK).await != before {
            wrong.push(format!("{} changed something: {}", case.rpc, case.request));
            break;
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} requests:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
    println!("{} wrong requests refused", cases.len());
}

/// A server with a small book: clients `c0` to `c5`, products `p0` to `p2`, of which `c0` buys `p0`.
async fn server(folder: &tempfile::TempDir) -> (Server, Channel) {
    let server = Server::start(&data_dir(folder));
    let channel = server.channel().await;
    make_book(channel.clone(), BOOK, 6, 3).await;
    let request = v1::RecordSalesRequest {
        portfolio_id: BOOK.into(),
        sales: vec![sale()],
        request_id: "first".into(),
        ..Default::default()
    };
    TicketServiceClient::new(channel.clone())
        .record_sales(request)
        .await
        .unwrap();
    (server, channel)
}

fn sale() -> v1::Sale {
    v1::Sale {
        client_id: "c0".into(),
        product_id: "p0".into(),
        date: "2026-01-10".into(),
        amount_minor: 700_000,
        ..Default::default()
    }
}

fn ticket() -> v1::TicketToSet {
    v1::TicketToSet {
        client_id: "c0".into(),
        product_id: "p0".into(),
        ticket_minor: 100,
    }
}

fn event() -> v1::ClientEvent {
    v1::ClientEvent {
        client_id: "c0".into(),
        kind: v1::ClientEventKind::Contact.into(),
        date: "2026-01-10".into(),
        ..Default::default()
    }
}

fn measured(number: f64) -> Option<v1::MeasuredValue> {
    let value = Some(v1::measured_value::Value::Number(number));
    Some(v1::MeasuredValue { value })
}

fn objective() -> v1::Objective {
    v1::Objective {
        objective_id: "o".into(),
        measure: v1::ObjectiveMeasure::ActiveClients.into(),
        target: measured(2.0),
        due_date: "2199-12-31".into(),
        ..Default::default()
    }
}

fn action() -> v1::ObjectiveAction {
    v1::ObjectiveAction {
        action_id: "a".into(),
        date: "2026-01-10".into(),
        text: "call".into(),
        ..Default::default()
    }
}

fn lost() -> v1::Outcome {
    v1::Outcome {
        client_id: "c0".into(),
        product_id: "p1".into(),
        kind: v1::OpportunityKind::CrossSell.into(),
        date: "2026-01-10".into(),
        result: v1::OutcomeResult::Lost.into(),
        ..Default::default()
    }
}

fn client(id: &str) -> v1::Client {
    v1::Client {
        client_id: id.into(),
        ..Default::default()
    }
}

fn product(id: &str) -> v1::Product {
    v1::Product {
        product_id: id.into(),
        ..Default::default()
    }
}

fn prospect(id: &str) -> v1::Prospect {
    v1::Prospect {
        prospect_id: id.into(),
        ..Default::default()
    }
}

fn number(number: f64) -> v1::AttributeValue {
    let value = v1::attribute_value::Value::Number(number);
    v1::AttributeValue { value: Some(value) }
}

fn text(text: &str) -> v1::AttributeValue {
    let value = v1::attribute_value::Value::Text(text.into());
    v1::AttributeValue { value: Some(value) }
}

/// Texts that are no id.
fn no_ids() -> [String; 6] {
    [
        String::new(),
        "x".repeat(129),
        "é".repeat(65),
        "a\nb".into(),
        "\0".into(),
        "a\u{85}".into(),
    ]
}

/// Texts that are no name.
fn no_texts() -> [String; 3] {
    ["y".repeat(257), "a\tb".into(), "\u{7f}".into()]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_refuses_a_portfolio_that_is_no_id_or_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let (server, channel) = server(&folder).await;
    let mut cases = Vec::new();
    let wrong = no_ids().map(|id| (id, Code::InvalidArgument, "portfolio_id"));
    let unknown = ["nowhere", "BOOK", "book "].map(|id| (id.to_owned(), Code::NotFound, ""));
    for (id, code, field) in wrong.into_iter().chain(unknown) {
        let before = cases.len();
        macro_rules! of {
            ($client:ident.$rpc:ident($request:ident { $($rest:tt)* })) => {{
                let request = v1::$request {
                    portfolio_id: id.clone(),
                    $($rest)*
                };
                cases.push(Case {
                    code,
                    ..refused!($client.$rpc(request) => Ok, field)
                });
            }};
        }
        of!(PortfolioServiceClient.get_portfolio(GetPortfolioRequest {}));
        of!(PortfolioServiceClient.delete_portfolio(DeletePortfolioRequest {}));
        of!(OutcomeServiceClient.record_outcomes(RecordOutcomesRequest {
            outcomes: vec![lost()],
            ..Default::default()
        }));
        of!(OutcomeServiceClient.list_outcomes(ListOutcomesRequest {
            ..Default::default()
        }));
        of!(
            OutcomeServiceClient.get_effect_report(GetEffectReportRequest {
                ..Default::default()
            })
        );
        of!(
            InsightServiceClient.get_portfolio_summary(GetPortfolioSummaryRequest {
                ..Default::default()
            })
        );
        of!(
            InsightServiceClient.list_client_insights(ListClientInsightsRequest {
                ..Default::default()
            })
        );
        of!(InsightServiceClient.list_segments(ListSegmentsRequest {
            ..Default::default()
        }));
        of!(InsightServiceClient.set_objective(SetObjectiveRequest {
            objective: Some(objective()),
            ..Default::default()
        }));
        of!(InsightServiceClient.record_actions(RecordActionsRequest {
            objective_id: "o".into(),
            actions: vec![action()],
            ..Default::default()
        }));
        of!(InsightServiceClient.list_objectives(ListObjectivesRequest {
            ..Default::default()
        }));
        of!(
            InsightServiceClient.delete_objective(DeleteObjectiveRequest {
                objective_id: "o".into(),
                ..Default::default()
            })
        );
        of!(
            CatalogServiceClient.batch_upsert_clients(BatchUpsertClientsRequest {
                clients: vec![client("new")],
                ..Default::default()
            })
        );
        of!(CatalogServiceClient.get_client(GetClientRequest {
            client_id: "c0".into()
        }));
        of!(CatalogServiceClient.list_clients(ListClientsRequest {
            ..Default::default()
        }));
        of!(CatalogServiceClient.delete_client(DeleteClientRequest {
            client_id: "c0".into(),
            ..Default::default()
        }));
        of!(CatalogServiceClient.export_client(ExportClientRequest {
            client_id: "c0".into()
        }));
        of!(
            CatalogServiceClient.batch_upsert_products(BatchUpsertProductsRequest {
                products: vec![product("new")],
                ..Default::default()
            })
        );
        of!(CatalogServiceClient.get_product(GetProductRequest {
            product_id: "p0".into()
        }));
        of!(CatalogServiceClient.list_products(ListProductsRequest {
            ..Default::default()
        }));
        of!(CatalogServiceClient.delete_product(DeleteProductRequest {
            product_id: "p2".into(),
            ..Default::default()
        }));
        of!(
            CatalogServiceClient.record_client_events(RecordClientEventsRequest {
                events: vec![event()],
                ..Default::default()
            })
        );
        of!(TicketServiceClient.record_sales(RecordSalesRequest {
            sales: vec![sale()],
            ..Default::default()
        }));
        of!(TicketServiceClient.set_tickets(SetTicketsRequest {
            tickets: vec![ticket()],
            ..Default::default()
        }));
        of!(
            TicketServiceClient.get_client_tickets(GetClientTicketsRequest {
                client_id: "c0".into()
            })
        );
        of!(TicketServiceClient.export_tickets(ExportTicketsRequest {}));
        of!(
            RecommendationServiceClient.recommend_for_client(RecommendForClientRequest {
                client_id: "c0".into(),
                ..Default::default()
            })
        );
        of!(
            RecommendationServiceClient.list_opportunities(ListOpportunitiesRequest {
                ..Default::default()
            })
        );
        of!(
            RecommendationServiceClient.stream_opportunities(StreamOpportunitiesRequest {
                ..Default::default()
            })
        );
        of!(
            RecommendationServiceClient.explain_opportunity(ExplainOpportunityRequest {
                client_id: "c0".into(),
                product_id: "p0".into(),
                ..Default::default()
            })
        );
        of!(
            RecommendationServiceClient.find_similar_clients(FindSimilarClientsRequest {
                client_id: "c0".into(),
                ..Default::default()
            })
        );
        of!(
            RecommendationServiceClient.recommend_what_if(RecommendWhatIfRequest {
                ..Default::default()
            })
        );
        of!(
            RecommendationServiceClient.plan_pipeline(PlanPipelineRequest {
                ..Default::default()
            })
        );
        of!(
            InsightServiceClient.get_ideal_client_profile(GetIdealClientProfileRequest {
                ..Default::default()
            })
        );
        of!(InsightServiceClient.rank_prospects(RankProspectsRequest {
            prospects: vec![prospect("new")],
            ..Default::default()
        }));
        let batch = v1::StreamSalesRequest {
            portfolio_id: id.clone(),
            sales: vec![sale()],
            ..Default::default()
        };
        cases.push(stream_refused(batch, code, field));
        let nested = match code {
            Code::NotFound => "",
            _ => "portfolio.portfolio_id",
        };
        let portfolio = v1::Portfolio {
            portfolio_id: id.clone(),
            currency: "BRL".into(),
            ..Default::default()
        };
        let update = v1::UpdatePortfolioRequest {
            portfolio: Some(portfolio.clone()),
            update_fields: vec!["name".into()],
            ..Default::default()
        };
        cases.push(Case {
            code,
            ..refused!(PortfolioServiceClient.update_portfolio(update) => Ok, nested)
        });
        if code == Code::InvalidArgument {
            let create = v1::CreatePortfolioRequest {
                portfolio: Some(portfolio),
                ..Default::default()
            };
            cases.push(
                refused!(PortfolioServiceClient.create_portfolio(create) => InvalidArgument, nested),
            );
        }
        assert!(cases.len() - before >= 24);
    }
    check(&channel, cases).await;
    server.terminate();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_refuses_a_client_or_product_that_is_no_id_or_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let (server, channel) = server(&folder).await;
    let mut cases = Vec::new();
    let wrong = no_ids().map(|id| (id, Code::InvalidArgument));
    let unknown = ["nobody", "C0"].map(|id| (id.to_owned(), Code::NotFound));
    for (id, code) in wrong.into_iter().chain(unknown) {
        macro_rules! of {
            ($client:ident.$rpc:ident($request:ident { $field:ident $(, $($rest:tt)*)? })) => {{
                let request = v1::$request {
                    portfolio_id: BOOK.into(),
                    $field: id.clone(),
                    $($($rest)*)?
                };
                let field = match code {
                    Code::NotFound => "",
                    _ => stringify!($field),
                };
                cases.push(Case {
                    code,
                    ..refused!($client.$rpc(request) => Ok, field)
                });
            }};
        }
        of!(CatalogServiceClient.get_client(GetClientRequest { client_id }));
        of!(CatalogServiceClient.delete_client(DeleteClientRequest {
            client_id,
            ..Default::default()
        }));
        of!(CatalogServiceClient.export_client(ExportClientRequest { client_id }));
        of!(CatalogServiceClient.get_product(GetProductRequest { product_id }));
        of!(CatalogServiceClient.delete_product(DeleteProductRequest {
            product_id,
            ..Default::default()
        }));
        of!(TicketServiceClient.get_client_tickets(GetClientTicketsRequest { client_id }));
        of!(
            RecommendationServiceClient.recommend_for_client(RecommendForClientRequest {
                client_id,
                ..Default::default()
            })
        );
        of!(
            RecommendationServiceClient.explain_opportunity(ExplainOpportunityRequest {
                client_id,
                product_id: "p0".into(),
                ..Default::default()
            })
        );
        of!(
            RecommendationServiceClient.explain_opportunity(ExplainOpportunityRequest {
                product_id,
                client_id: "c0".into(),
                ..Default::default()
            })
        );
        of!(
            RecommendationServiceClient.find_similar_clients(FindSimilarClientsRequest {
                client_id,
                ..Default::default()
            })
        );
        // An empty id is a prospect's.
        if !id.is_empty() {
            of!(
                RecommendationServiceClient.recommend_what_if(RecommendWhatIfRequest {
                    client_id,
                    ..Default::default()
                })
            );
        }
        // Inside a batch, and in a filter, an unknown id is the batch's or the filter's fault.
        let row = v1::Sale {
            client_id: id.clone(),
            ..sale()
        };
        let request = v1::RecordSalesRequest {
            portfolio_id: BOOK.into(),
            sales: vec![sale(), row.clone()],
            ..Default::default()
        };
        cases.push(refused!(TicketServiceClient.record_sales(request) => InvalidArgument, "sales[1].client_id"));
        let row = v1::Sale {
            product_id: id.clone(),
            ..sale()
        };
        let batch = v1::StreamSalesRequest {
            portfolio_id: BOOK.into(),
            sales: vec![sale(), row],
            ..Default::default()
        };
        cases.push(stream_refused(
            batch,
            Code::InvalidArgument,
            "sales[1].product_id",
        ));
        for (field, row) in [
            (
                "tickets[0].client_id",
                v1::TicketToSet {
                    client_id: id.clone(),
                    ..ticket()
                },
            ),
            (
                "tickets[0].product_id",
                v1::TicketToSet {
                    product_id: id.clone(),
                    ..ticket()
                },
            ),
        ] {
            let request = v1::SetTicketsRequest {
                portfolio_id: BOOK.into(),
                tickets: vec![row],
                ..Default::default()
            };
            cases
                .push(refused!(TicketServiceClient.set_tickets(request) => InvalidArgument, field));
        }
        let request = v1::RecordClientEventsRequest {
            portfolio_id: BOOK.into(),
            events: vec![
                event(),
                v1::ClientEvent {
                    client_id: id.clone(),
                    ..event()
                },
            ],
            ..Default::default()
        };
        cases.push(refused!(CatalogServiceClient.record_client_events(request) => InvalidArgument, "events[1].client_id"));
        let request = v1::RecommendWhatIfRequest {
            portfolio_id: BOOK.into(),
            tickets: vec![v1::TicketToSet {
                client_id: String::new(),
                product_id: id.clone(),
                ticket_minor: 1,
            }],
            ..Default::default()
        };
        cases.push(refused!(RecommendationServiceClient.recommend_what_if(request) => InvalidArgument, "tickets[0].product_id"));
        for (field, filter) in [
            (
                "filter.client_ids[0]",
                v1::OpportunityFilter {
                    client_ids: vec![id.clone()],
                    ..Default::default()
                },
            ),
            (
                "filter.product_ids[0]",
                v1::OpportunityFilter {
                    product_ids: vec![id.clone()],
                    ..Default::default()
                },
            ),
        ] {
            cases.extend(filtered(filter, field));
        }
        if code == Code::InvalidArgument {
            let request = v1::BatchUpsertClientsRequest {
                portfolio_id: BOOK.into(),
                clients: vec![client("new"), client(&id)],
                ..Default::default()
            };
            cases.push(refused!(CatalogServiceClient.batch_upsert_clients(request) => InvalidArgument, "clients[1].client_id"));
            let request = v1::BatchUpsertProductsRequest {
                portfolio_id: BOOK.into(),
                products: vec![product("new"), product(&id)],
                ..Default::default()
            };
            cases.push(refused!(CatalogServiceClient.batch_upsert_products(request) => InvalidArgument, "products[1].product_id"));
        }
    }
    check(&channel, cases).await;
    server.terminate();
}

/// A wrong filter, to the list and to the stream.
fn filtered(filter: v1::OpportunityFilter, field: &str) -> [Case; 3] {
    let list = v1::ListOpportunitiesRequest {
        portfolio_id: BOOK.into(),
        filter: Some(filter.clone()),
        ..Default::default()
    };
    let stream = v1::StreamOpportunitiesRequest {
        portfolio_id: BOOK.into(),
        filter: Some(filter.clone()),
        ..Default::default()
    };
    let plan = v1::PlanPipelineRequest {
        portfolio_id: BOOK.into(),
        filter: Some(filter),
        ..Default::default()
    };
    [
        refused!(RecommendationServiceClient.plan_pipeline(plan) => InvalidArgument, field),
        refused!(RecommendationServiceClient.list_opportunities(list) => InvalidArgument, field),
        refused!(RecommendationServiceClient.stream_opportunities(stream) => InvalidArgument, field),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_portfolios_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (server, channel) = server(&folder).await;
    let good = || v1::Portfolio {
        portfolio_id: "other".into(),
        currency: "BRL".into(),
        ..Default::default()
    };
    let overrides = |name: &str, value| [(name.to_owned(), value)].into();
    let mut settings = vec![
        (
            "portfolio.period",
            "period",
            v1::Portfolio {
                period: 9,
                ..good()
            },
        ),
        (
            "portfolio.window_months",
            "window_months",
            v1::Portfolio {
                window_months: 61,
                ..good()
            },
        ),
        (
            "portfolio.language",
            "language",
            v1::Portfolio {
                language: -1,
                ..good()
            },
        ),
        (
            "portfolio.recipe",
            "recipe",
            v1::Portfolio {
                recipe: "unheard of".into(),
                ..good()
            },
        ),
        (
            "portfolio.recipe_overrides",
            "recipe_overrides",
            v1::Portfolio {
                recipe_overrides: overrides("upsell.nothing", 1.0),
                ..good()
            },
        ),
        (
            "portfolio.recipe_overrides[\"a\"]",
            "recipe_overrides",
            v1::Portfolio {
                recipe_overrides: overrides("a", f64::NAN),
                ..good()
            },
        ),
        (
            "portfolio.recipe_overrides[\"a\"]",
            "recipe_overrides",
            v1::Portfolio {
                recipe_overrides: overrides("a", f64::INFINITY),
                ..good()
            },
        ),
        (
            "portfolio.recipe_overrides",
            "recipe_overrides",
            v1::Portfolio {
                recipe_overrides: (0..101).map(|at| (format!("n{at}"), 1.0)).collect(),
                ..good()
            },
        ),
    ];
    for name in no_texts() {
        let portfolio = v1::Portfolio { name, ..good() };
        settings.push(("portfolio.name", "name", portfolio));
    }
    let mut cases = Vec::new();
    for (field, name, portfolio) in settings {
        let update = v1::UpdatePortfolioRequest {
            portfolio: Some(v1::Portfolio {
                portfolio_id: BOOK.into(),
                ..portfolio.clone()
            }),
            update_fields: vec![name.into()],
            ..Default::default()
        };
        cases.push(
            refused!(PortfolioServiceClient.update_portfolio(update) => InvalidArgument, field),
        );
        let create = v1::CreatePortfolioRequest {
            portfolio: Some(portfolio),
            ..Default::default()
        };
        cases.push(
            refused!(PortfolioServiceClient.create_portfolio(create) => InvalidArgument, field),
        );
    }
    for currency in ["", "R$", "brl", "XXXX", "ABC", "BRL\n"] {
        let create = v1::CreatePortfolioRequest {
            portfolio: Some(v1::Portfolio {
                currency: currency.into(),
                ..good()
            }),
            ..Default::default()
        };
        cases.push(refused!(PortfolioServiceClient.create_portfolio(create) => InvalidArgument, "portfolio.currency"));
    }
    for fields in [
        vec![],
        vec![String::new()],
        vec!["currency".into()],
        vec!["name".into(), "portfolio_id".into()],
    ] {
        let update = v1::UpdatePortfolioRequest {
            portfolio: Some(v1::Portfolio {
                portfolio_id: BOOK.into(),
                ..good()
            }),
            update_fields: fields,
            ..Default::default()
        };
        cases.push(refused!(PortfolioServiceClient.update_portfolio(update) => InvalidArgument, "update_fields"));
    }
    let update = v1::UpdatePortfolioRequest {
        portfolio: Some(v1::Portfolio {
            portfolio_id: BOOK.into(),
            ..Default::default()
        }),
        update_fields: vec!["window_months".into()],
        ..Default::default()
    };
    cases.push(refused!(PortfolioServiceClient.update_portfolio(update) => InvalidArgument, "portfolio.window_months"));
    let empty = v1::CreatePortfolioRequest::default();
    cases.push(refused!(PortfolioServiceClient.create_portfolio(empty) => InvalidArgument, "portfolio.portfolio_id"));
    let taken = v1::CreatePortfolioRequest {
        portfolio: Some(v1::Portfolio {
            portfolio_id: BOOK.into(),
            ..good()
        }),
        ..Default::default()
    };
    cases.push(refused!(PortfolioServiceClient.create_portfolio(taken) => AlreadyExists, ""));
    check(&channel, cases).await;
    let all = PortfolioServiceClient::new(channel)
        .list_portfolios(v1::ListPortfoliosRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(all.portfolios.len(), 1);
    server.terminate();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_clients_products_and_events_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (server, channel) = server(&folder).await;
    let mut clients = vec![
        ("clients", vec![]),
        (
            "clients",
            (0..10_001).map(|at| client(&format!("n{at}"))).collect(),
        ),
        ("clients[1].client_id", vec![client("n"), client("n")]),
    ];
    let with = |attributes: Vec<(String, v1::AttributeValue)>| {
        vec![v1::Client {
            attributes: attributes.into_iter().collect(),
            ..client("n")
        }]
    };
    for (name, value) in [
        ("a", number(f64::NAN)),
        ("a", number(f64::NEG_INFINITY)),
        ("a", text("a\u{1}")),
        ("a", text(&"z".repeat(257))),
        ("a", v1::AttributeValue { value: None }),
    ] {
        clients.push((
            "clients[0].attributes[\"a\"]",
            with(vec![(name.into(), value)]),
        ));
    }
    clients.push((
        "clients[0].attributes[\"\"]",
        with(vec![(String::new(), number(1.0))]),
    ));
    let many = (0..65).map(|at| (format!("a{at}"), number(1.0))).collect();
    clients.push(("clients[0].attributes", with(many)));
    clients.push((
        "clients[0].excluded_product_ids",
        vec![v1::Client {
            excluded_product_ids: (0..1_001).map(|at| format!("p{at}")).collect(),
            ..client("n")
        }],
    ));
    clients.push((
        "clients[0].excluded_product_ids[1]",
        vec![v1::Client {
            excluded_product_ids: vec!["p0".into(), String::new()],
            ..client("n")
        }],
    ));
    for wrong in no_texts() {
        let name = v1::Client {
            name: wrong.clone(),
            ..client("n")
        };
        clients.push(("clients[0].name", vec![name]));
        let owner = v1::Client {
            owner: wrong,
            ..client("n")
        };
        clients.push(("clients[0].owner", vec![owner]));
    }
    let mut cases = Vec::new();
    for (field, clients) in clients {
        let request = v1::BatchUpsertClientsRequest {
            portfolio_id: BOOK.into(),
            clients,
            ..Default::default()
        };
        cases.push(
            refused!(CatalogServiceClient.batch_upsert_clients(request) => InvalidArgument, field),
        );
    }
    let mut products = vec![
        ("products", vec![]),
        ("products[1].product_id", vec![product("n"), product("n")]),
        (
            "products[0].list_price_minor",
            vec![v1::Product {
                list_price_minor: Some(-1),
                ..product("n")
            }],
        ),
        (
            "products[0].needs_product_id",
            vec![v1::Product {
                needs_product_id: "n".into(),
                ..product("n")
            }],
        ),
        (
            "products[0].upgrade_of_product_id",
            vec![v1::Product {
                upgrade_of_product_id: "a\nb".into(),
                ..product("n")
            }],
        ),
        (
            "products[0].category",
            vec![v1::Product {
                category: "y".repeat(257),
                ..product("n")
            }],
        ),
        (
            "products[0].name",
            vec![v1::Product {
                name: "\u{9f}".into(),
                ..product("n")
            }],
        ),
    ];
    for margin_rate in [-0.01, 1.01, f64::NAN, f64::INFINITY] {
        let product = v1::Product {
            margin_rate: Some(margin_rate),
            ..product("n")
        };
        products.push(("products[0].margin_rate", vec![product]));
    }
    for (field, products) in products {
        let request = v1::BatchUpsertProductsRequest {
            portfolio_id: BOOK.into(),
            products,
            ..Default::default()
        };
        cases.push(
            refused!(CatalogServiceClient.batch_upsert_products(request) => InvalidArgument, field),
        );
    }
    let bought = v1::DeleteProductRequest {
        portfolio_id: BOOK.into(),
        product_id: "p0".into(),
        ..Default::default()
    };
    cases.push(refused!(CatalogServiceClient.delete_product(bought) => FailedPrecondition, ""));
    let contract = v1::ClientEvent {
        kind: v1::ClientEventKind::Contract.into(),
        ..event()
    };
    let mut events = vec![
        ("events", vec![]),
        (
            "events[0].kind",
            vec![v1::ClientEvent { kind: 0, ..event() }],
        ),
        (
            "events[0].kind",
            vec![v1::ClientEvent {
                kind: 77,
                ..event()
            }],
        ),
        ("events[0].end_date", vec![contract.clone()]),
        (
            "events[0].end_date",
            vec![v1::ClientEvent {
                end_date: "2026-01-09".into(),
                ..contract
            }],
        ),
        (
            "events[0].end_date",
            vec![v1::ClientEvent {
                end_date: "2026-01-11".into(),
                ..event()
            }],
        ),
        (
            "events[0].note",
            vec![v1::ClientEvent {
                note: "n".repeat(257),
                ..event()
            }],
        ),
    ];
    for date in NO_DATES {
        let event = v1::ClientEvent {
            date: date.into(),
            ..event()
        };
        events.push(("events[0].date", vec![event]));
    }
    for (field, events) in events {
        let request = v1::RecordClientEventsRequest {
            portfolio_id: BOOK.into(),
            events,
            ..Default::default()
        };
        cases.push(
            refused!(CatalogServiceClient.record_client_events(request) => InvalidArgument, field),
        );
    }
    check(&channel, cases).await;
    server.terminate();
}

/// Texts that are no date of a sale.
const NO_DATES: [&str; 10] = [
    "",
    "2026-02-30",
    "2026-13-01",
    "01/02/2026",
    "2026-1-1",
    "20260101",
    "0001-01-01",
    "9999-12-31",
    "2026-01-01T00:00:00Z",
    "２０２６-01-01",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_sales_and_tickets_are_refused_streamed_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let (server, channel) = server(&folder).await;
    let mut rows = Vec::new();
    for amount_minor in [0, i64::MAX, i64::MIN, i64::MAX / 1_000 + 1] {
        let row = v1::Sale {
            amount_minor,
            ..sale()
        };
        rows.push(("sales[1].amount_minor", row));
    }
    for quantity in [f64::NAN, f64::INFINITY, 1e308, -1e17] {
        let row = v1::Sale {
            quantity: Some(quantity),
            ..sale()
        };
        rows.push(("sales[1].quantity", row));
    }
    for sale_id in ["s".repeat(129), "a\rb".into()] {
        rows.push(("sales[1].sale_id", v1::Sale { sale_id, ..sale() }));
    }
    for date in NO_DATES {
        let row = v1::Sale {
            date: date.into(),
            ..sale()
        };
        rows.push(("sales[1].date", row));
    }
    let mut batches: Vec<(String, Vec<v1::Sale>, &str, String)> = rows
        .into_iter()
        .map(|(field, row)| (field.into(), vec![sale(), row], "", String::new()))
        .collect();
    let named = |request_id: &str| ("request_id".into(), vec![sale()], "", request_id.to_owned());
    batches.push(named(&"r".repeat(129)));
    batches.push(named("a\nb"));
    batches.push((
        "request_id".into(),
        vec![sale(), sale()],
        "",
        "first".into(),
    ));
    for currency in ["USD", "brl", "R$"] {
        batches.push(("currency".into(), vec![sale()], currency, String::new()));
    }
    batches.push(("sales".into(), vec![], "", String::new()));
    batches.push(("sales".into(), vec![sale(); 10_001], "", String::new()));
    // Each is within bounds; together with the first sale they are more than an i64 holds.
    let huge = v1::Sale {
        amount_minor: i64::MAX / 1_000,
        ..sale()
    };
    let overflow = "sales[999].amount_minor".to_owned();
    batches.push((overflow, vec![huge; 1_000], "", String::new()));
    let huge = v1::Sale {
        quantity: Some(9e12),
        ..sale()
    };
    let overflow = "sales[1024].quantity".to_owned();
    batches.push((overflow, vec![huge; 1_025], "", String::new()));
    let mut cases = Vec::new();
    for (field, sales, currency, request_id) in batches {
        let request = v1::RecordSalesRequest {
            portfolio_id: BOOK.into(),
            sales: sales.clone(),
            currency: currency.into(),
            request_id: request_id.clone(),
        };
        cases.push(refused!(TicketServiceClient.record_sales(request) => InvalidArgument, field));
        let request = v1::StreamSalesRequest {
            portfolio_id: BOOK.into(),
            sales,
            currency: currency.into(),
            request_id,
        };
        cases.push(stream_refused(request, Code::InvalidArgument, &field));
    }
    let mut tickets = vec![
        ("tickets", vec![], ""),
        ("tickets", vec![ticket(); 10_001], ""),
        ("tickets[1].product_id", vec![ticket(), ticket()], ""),
        ("currency", vec![ticket()], "EUR"),
    ];
    for ticket_minor in [-1, i64::MIN, i64::MAX] {
        let row = v1::TicketToSet {
            ticket_minor,
            ..ticket()
        };
        tickets.push(("tickets[0].ticket_minor", vec![row], ""));
    }
    for (field, tickets, currency) in tickets {
        let request = v1::SetTicketsRequest {
            portfolio_id: BOOK.into(),
            tickets,
            currency: currency.into(),
            ..Default::default()
        };
        cases.push(refused!(TicketServiceClient.set_tickets(request) => InvalidArgument, field));
    }
    check(&channel, cases).await;
    // What was answered before the refused batch of a stream stays; what follows it is not taken.
    let before = figures(&channel, BOOK).await;
    let batch = |portfolio: &str, amount_minor| v1::StreamSalesRequest {
        portfolio_id: portfolio.into(),
        sales: vec![v1::Sale {
            amount_minor,
            ..sale()
        }],
        ..Default::default()
    };
    let batches = [batch(BOOK, 5), batch("other", 6), batch(BOOK, 7)];
    let mut service = TicketServiceClient::new(channel.clone());
    let stream = service.stream_sales(tokio_stream::iter(batches)).await;
    let mut stream = stream.unwrap().into_inner();
    let answer = stream.message().await.unwrap().unwrap();
    assert_eq!((answer.recorded, answer.sequence), (1, before.1 + 1));
    let refused = stream.message().await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let after = figures(&channel, BOOK).await;
    assert_eq!(after.0.sales_amount_minor, before.0.sales_amount_minor + 5);
    server.terminate();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_lists_filters_and_suppositions_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (server, channel) = server(&folder).await;
    let mut cases = Vec::new();
    for page_token in ["x", "AAAA", "é", "====", "\0", &"A".repeat(10_000)] {
        let page_token = page_token.to_owned();
        let request = v1::ListPortfoliosRequest {
            page_token: page_token.clone(),
            ..Default::default()
        };
        cases.push(refused!(PortfolioServiceClient.list_portfolios(request) => InvalidArgument, "page_token"));
        let request = v1::ListClientsRequest {
            portfolio_id: BOOK.into(),
            page_token: page_token.clone(),
            ..Default::default()
        };
        cases.push(
            refused!(CatalogServiceClient.list_clients(request) => InvalidArgument, "page_token"),
        );
        let request = v1::ListProductsRequest {
            portfolio_id: BOOK.into(),
            page_token: page_token.clone(),
            ..Default::default()
        };
        cases.push(
            refused!(CatalogServiceClient.list_products(request) => InvalidArgument, "page_token"),
        );
        let request = v1::ListOpportunitiesRequest {
            portfolio_id: BOOK.into(),
            page_token,
            ..Default::default()
        };
        cases.push(refused!(RecommendationServiceClient.list_opportunities(request) => InvalidArgument, "page_token"));
    }
    // A token of one list is no token of another.
    let request = v1::ListClientsRequest {
        portfolio_id: BOOK.into(),
        page_size: 2,
        ..Default::default()
    };
    let clients = CatalogServiceClient::new(channel.clone())
        .list_clients(request)
        .await
        .unwrap()
        .into_inner();
    assert!(!clients.next_page_token.is_empty());
    let request = v1::ListProductsRequest {
        portfolio_id: BOOK.into(),
        page_token: clients.next_page_token,
        ..Default::default()
    };
    cases.push(
        refused!(CatalogServiceClient.list_products(request) => InvalidArgument, "page_token"),
    );
    for page_size in [1_001, u32::MAX] {
        let request = v1::ListPortfoliosRequest {
            page_size,
            ..Default::default()
        };
        cases.push(refused!(PortfolioServiceClient.list_portfolios(request) => InvalidArgument, "page_size"));
        let request = v1::ListClientsRequest {
            portfolio_id: BOOK.into(),
            page_size,
            ..Default::default()
        };
        cases.push(
            refused!(CatalogServiceClient.list_clients(request) => InvalidArgument, "page_size"),
        );
        let request = v1::ListProductsRequest {
            portfolio_id: BOOK.into(),
            page_size,
            ..Default::default()
        };
        cases.push(
            refused!(CatalogServiceClient.list_products(request) => InvalidArgument, "page_size"),
        );
        let request = v1::ListOpportunitiesRequest {
            portfolio_id: BOOK.into(),
            page_size,
            ..Default::default()
        };
        cases.push(refused!(RecommendationServiceClient.list_opportunities(request) => InvalidArgument, "page_size"));
        let request = v1::RecommendForClientRequest {
            portfolio_id: BOOK.into(),
            client_id: "c0".into(),
            max_per_kind: page_size,
            ..Default::default()
        };
        cases.push(refused!(RecommendationServiceClient.recommend_for_client(request) => InvalidArgument, "max_per_kind"));
        let request = v1::RecommendWhatIfRequest {
            portfolio_id: BOOK.into(),
            max_per_kind: page_size,
            ..Default::default()
        };
        cases.push(refused!(RecommendationServiceClient.recommend_what_if(request) => InvalidArgument, "max_per_kind"));
        let request = v1::FindSimilarClientsRequest {
            portfolio_id: BOOK.into(),
            client_id: "c0".into(),
            max_clients: page_size,
        };
        cases.push(refused!(RecommendationServiceClient.find_similar_clients(request) => InvalidArgument, "max_clients"));
    }
    let none = v1::OpportunityFilter::default;
    let condition = |name: &str, values: &[&str], min, max| v1::OpportunityFilter {
        attributes: vec![v1::AttributeFilter {
            name: name.into(),
            values: values.iter().map(ToString::to_string).collect(),
            min,
            max,
        }],
        ..Default::default()
    };
    for (field, filter) in [
        (
            "filter.kinds[0]",
            v1::OpportunityFilter {
                kinds: vec![0],
                ..none()
            },
        ),
        (
            "filter.kinds[1]",
            v1::OpportunityFilter {
                kinds: vec![1, 9],
                ..none()
            },
        ),
        (
            "filter.owners[0]",
            v1::OpportunityFilter {
                owners: vec!["a\nb".into()],
                ..none()
            },
        ),
        (
            "filter.categories[0]",
            v1::OpportunityFilter {
                categories: vec!["k".repeat(257)],
                ..none()
            },
        ),
        (
            "filter.categories",
            v1::OpportunityFilter {
                categories: vec!["k".into(); 1_001],
                ..none()
            },
        ),
        (
            "filter.min_gain_minor",
            v1::OpportunityFilter {
                min_gain_minor: -1,
                ..none()
            },
        ),
        (
            "filter.min_probability",
            v1::OpportunityFilter {
                min_probability: f64::NAN,
                ..none()
            },
        ),
        (
            "filter.min_probability",
            v1::OpportunityFilter {
                min_probability: 1.5,
                ..none()
            },
        ),
        (
            "filter.min_probability",
            v1::OpportunityFilter {
                min_probability: -0.5,
                ..none()
            },
        ),
        (
            "filter.attributes[0].name",
            condition("", &["a"], None, None),
        ),
        (
            "filter.attributes[0].values",
            condition("a", &[], None, None),
        ),
        (
            "filter.attributes[0].values",
            condition("a", &["\n"], None, None),
        ),
        (
            "filter.attributes[0].min",
            condition("a", &[], Some(f64::NAN), None),
        ),
        (
            "filter.attributes[0].max",
            condition("a", &[], None, Some(f64::NAN)),
        ),
    ] {
        cases.extend(filtered(filter, field));
    }
    for raw in [-1, 9] {
        let request = v1::ListOpportunitiesRequest {
            portfolio_id: BOOK.into(),
            order: raw,
            ..Default::default()
        };
        cases.push(refused!(RecommendationServiceClient.list_opportunities(request) => InvalidArgument, "order"));
        let request = v1::StreamOpportunitiesRequest {
            portfolio_id: BOOK.into(),
            language: raw,
            ..Default::default()
        };
        cases.push(refused!(RecommendationServiceClient.stream_opportunities(request) => InvalidArgument, "language"));
        let request = v1::RecommendForClientRequest {
            portfolio_id: BOOK.into(),
            client_id: "c0".into(),
            language: raw,
            ..Default::default()
        };
        cases.push(refused!(RecommendationServiceClient.recommend_for_client(request) => InvalidArgument, "language"));
        let request = v1::ExplainOpportunityRequest {
            portfolio_id: BOOK.into(),
            client_id: "c0".into(),
            product_id: "p0".into(),
            kind: raw,
            ..Default::default()
        };
        cases.push(refused!(RecommendationServiceClient.explain_opportunity(request) => InvalidArgument, "kind"));
    }
    // `c0` buys `p0`, so that is no cross-sell; and with six clients no figure is published.
    let explain = v1::ExplainOpportunityRequest {
        portfolio_id: BOOK.into(),
        client_id: "c0".into(),
        product_id: "p0".into(),
        kind: v1::OpportunityKind::CrossSell.into(),
        ..Default::default()
    };
    cases.push(refused!(RecommendationServiceClient.explain_opportunity(explain.clone()) => InvalidArgument, "kind"));
    let explain = v1::ExplainOpportunityRequest {
        kind: v1::OpportunityKind::Upsell.into(),
        ..explain
    };
    cases.push(refused!(RecommendationServiceClient.explain_opportunity(explain) => FailedPrecondition, ""));
    let supposed = |client_id: &str, ticket_minor| v1::TicketToSet {
        client_id: client_id.into(),
        product_id: "p0".into(),
        ticket_minor,
    };
    for (field, tickets) in [
        ("tickets[0].client_id", vec![supposed("c0", 1)]),
        ("tickets[0].ticket_minor", vec![supposed("", -1)]),
        ("tickets[0].ticket_minor", vec![supposed("", i64::MAX)]),
        (
            "tickets[1].product_id",
            vec![supposed("", 1), supposed("", 2)],
        ),
        ("tickets", vec![supposed("", 1); 10_001]),
    ] {
        let request = v1::RecommendWhatIfRequest {
            portfolio_id: BOOK.into(),
            tickets,
            ..Default::default()
        };
        cases.push(refused!(RecommendationServiceClient.recommend_what_if(request) => InvalidArgument, field));
    }
    let request = v1::RecommendWhatIfRequest {
        portfolio_id: BOOK.into(),
        attributes: [("staff".to_owned(), number(f64::NAN))].into(),
        ..Default::default()
    };
    cases.push(refused!(RecommendationServiceClient.recommend_what_if(request) => InvalidArgument, "attributes[\"staff\"]"));
    check(&channel, cases).await;
    server.terminate();
}

/// `GetPortfolioRequest` with any bytes for the id.
#[derive(Clone, PartialEq, prost::Message)]
struct AnyBytes {
    #[prost(bytes = "vec", tag = "1")]
    portfolio_id: Vec<u8>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_request_at_all_is_refused_and_the_connection_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (server, channel) = server(&folder).await;
    let before = figures(&channel, BOOK).await;
    // Larger than a request may be.
    let request = v1::RecordSalesRequest {
        portfolio_id: BOOK.into(),
        request_id: "z".repeat(9 * 1024 * 1024),
        sales: vec![sale()],
        ..Default::default()
    };
    let refused = TicketServiceClient::new(channel.clone())
        .record_sales(request)
        .await
        .unwrap_err();
    assert!(
        matches!(refused.code(), Code::OutOfRange | Code::ResourceExhausted),
        "{refused:?}"
    );
    // Not UTF-8; and a call that is not there.
    let calls = [
        "/carteira.v1.PortfolioService/GetPortfolio",
        "/carteira.v1.PortfolioService/GetEverything",
    ];
    for (path, codes) in calls.into_iter().zip([
        [Code::Internal, Code::InvalidArgument],
        [Code::Unimplemented; 2],
    ]) {
        let mut raw = tonic::client::Grpc::new(channel.clone());
        raw.ready().await.unwrap();
        let request = AnyBytes {
            portfolio_id: vec![0xff, 0xfe],
        };
        let codec = tonic_prost::ProstCodec::<AnyBytes, v1::GetPortfolioResponse>::default();
        let path = tonic::codegen::http::uri::PathAndQuery::from_static(path);
        let refused = raw
            .unary(tonic::Request::new(request), path, codec)
            .await
            .unwrap_err();
        assert!(codes.contains(&refused.code()), "{refused:?}");
    }
    assert_eq!(figures(&channel, BOOK).await, before);
    server.terminate();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_outcomes_are_refused() {
    use v1::OutcomeResult::{Lost, Postponed, Rejected, Won};
    let folder = tempfile::tempdir().unwrap();
    let (server, channel) = server(&folder).await;
    let of = |result: v1::OutcomeResult| v1::Outcome {
        result: result.into(),
        ..lost()
    };
    let mut wrong: Vec<(v1::Outcome, &str)> = Vec::new();
    for id in no_ids().into_iter().chain(["nobody".into()]) {
        let client_id = id.clone();
        wrong.push((
            v1::Outcome {
                client_id,
                ..lost()
            },
            "client_id",
        ));
        let product_id = id;
        wrong.push((
            v1::Outcome {
                product_id,
                ..lost()
            },
            "product_id",
        ));
    }
    for kind in [0, 9, -1] {
        wrong.push((v1::Outcome { kind, ..lost() }, "kind"));
    }
    for date in [
        "",
        "today",
        "2026-02-30",
        "10/01/2026",
        "2199-01-01",
        "1899-12-31",
    ] {
        let date = date.to_owned();
        wrong.push((v1::Outcome { date, ..lost() }, "date"));
    }
    for result in [0, 9, -1] {
        wrong.push((v1::Outcome { result, ..lost() }, "result"));
    }
    for won_ticket_minor in [0, -1, i64::MIN, i64::MAX] {
        let outcome = v1::Outcome {
            won_ticket_minor,
            ..of(Won)
        };
        wrong.push((outcome, "won_ticket_minor"));
    }
    for reason in [0, 9, -1] {
        wrong.push((
            v1::Outcome {
                reason,
                ..of(Rejected)
            },
            "reason",
        ));
    }
    for until_date in ["", "soon", "2026-01-10", "2026-01-09", "2200-01-01"] {
        let until_date = until_date.to_owned();
        let outcome = v1::Outcome {
            until_date,
            ..of(Postponed)
        };
        wrong.push((outcome, "until_date"));
    }
    // What belongs to one result goes with no other.
    for result in [Lost, Rejected, Postponed] {
        let outcome = v1::Outcome {
            won_ticket_minor: 1,
            reason: i32::from(result == Rejected),
            until_date: if result == Postponed {
                "2026-02-01".into()
            } else {
                String::new()
            },
            ..of(result)
        };
        wrong.push((outcome, "won_ticket_minor"));
    }
    wrong.push((
        v1::Outcome {
            reason: 1,
            ..of(Lost)
        },
        "reason",
    ));
    let until_date = "2026-02-01".to_owned();
    wrong.push((
        v1::Outcome {
            until_date,
            ..of(Lost)
        },
        "until_date",
    ));
    for wallet in [0, -5, i64::MAX] {
        let wallet_estimate_minor = Some(wallet);
        wrong.push((
            v1::Outcome {
                wallet_estimate_minor,
                ..lost()
            },
            "wallet_estimate_minor",
        ));
    }
    for note in no_texts() {
        wrong.push((v1::Outcome { note, ..lost() }, "note"));
    }
    let mut cases = Vec::new();
    let mut record = |outcomes: Vec<v1::Outcome>, field: &str| {
        let request = v1::RecordOutcomesRequest {
            portfolio_id: BOOK.into(),
            outcomes,
            ..Default::default()
        };
        cases.push(
            refused!(OutcomeServiceClient.record_outcomes(request) => InvalidArgument, field),
        );
    };
    // One wrong outcome, and none of the good ones before it is kept.
    for (outcome, field) in wrong {
        let good = v1::Outcome {
            product_id: "p2".into(),
            ..lost()
        };
        record(vec![good, outcome], &format!("outcomes[1].{field}"));
    }
    record(Vec::new(), "outcomes");
    record(vec![lost(); 10_001], "outcomes");
    record(vec![lost(), lost()], "outcomes[1]");
    for page_token in ["x", "AAAA", "é"] {
        let request = v1::ListOutcomesRequest {
            portfolio_id: BOOK.into(),
            page_token: page_token.into(),
            ..Default::default()
        };
        cases.push(
            refused!(OutcomeServiceClient.list_outcomes(request) => InvalidArgument, "page_token"),
        );
    }
    let list = |client_id: &str, results: Vec<i32>, page_size: u32| v1::ListOutcomesRequest {
        portfolio_id: BOOK.into(),
        client_id: client_id.into(),
        results,
        page_size,
        ..Default::default()
    };
    cases.push(refused!(OutcomeServiceClient.list_outcomes(list("", vec![9], 0)) => InvalidArgument, "results[0]"));
    cases.push(refused!(OutcomeServiceClient.list_outcomes(list("", vec![1, 0], 0)) => InvalidArgument, "results[1]"));
    cases.push(refused!(OutcomeServiceClient.list_outcomes(list("", vec![], 1_001)) => InvalidArgument, "page_size"));
    cases.push(
        refused!(OutcomeServiceClient.list_outcomes(list("nobody", vec![], 0)) => NotFound, ""),
    );
    for (from, to, attribute, field) in [
        ("yesterday", "", String::new(), "from_date"),
        ("", "2026-13-01", String::new(), "to_date"),
        ("2026-02-01", "2026-01-31", String::new(), "to_date"),
        ("2199-01-01", "", String::new(), "to_date"),
        ("", "", "x".repeat(257), "segment_attribute"),
    ] {
        let request = v1::GetEffectReportRequest {
            portfolio_id: BOOK.into(),
            from_date: from.into(),
            to_date: to.into(),
            segment_attribute: attribute,
        };
        cases.push(
            refused!(OutcomeServiceClient.get_effect_report(request) => InvalidArgument, field),
        );
    }
    for limit in [0, 10_001, u64::MAX] {
        let request = v1::StreamOpportunitiesRequest {
            portfolio_id: BOOK.into(),
            log_shown: true,
            limit,
            ..Default::default()
        };
        cases.push(refused!(RecommendationServiceClient.stream_opportunities(request) => InvalidArgument, "limit"));
    }
    check(&channel, cases).await;
    let kept = OutcomeServiceClient::new(channel.clone())
        .list_outcomes(list("", vec![], 0))
        .await
        .unwrap()
        .into_inner();
    assert!(kept.offers.is_empty());
    server.terminate();
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_questions_about_clients_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (server, channel) = server(&folder).await;
    let mut cases = Vec::new();
    let list = || v1::ListClientInsightsRequest {
        portfolio_id: BOOK.into(),
        ..Default::default()
    };
    let all = v1::ClientFilter::default;
    let unnamed = v1::AttributeFilter {
        values: vec!["a".into()],
        ..Default::default()
    };
    for (field, filter) in [
        (
            "filter.client_ids[0]",
            v1::ClientFilter {
                client_ids: vec!["nobody".into()],
                ..all()
            },
        ),
        (
            "filter.owners",
            v1::ClientFilter {
                owners: vec!["o".into(); 1_001],
                ..all()
            },
        ),
        (
            "filter.owners[0]",
            v1::ClientFilter {
                owners: vec!["a\nb".into()],
                ..all()
            },
        ),
        (
            "filter.attributes[0].name",
            v1::ClientFilter {
                attributes: vec![unnamed],
                ..all()
            },
        ),
        (
            "filter.states[1]",
            v1::ClientFilter {
                states: vec![1, 0],
                ..all()
            },
        ),
        (
            "filter.states[0]",
            v1::ClientFilter {
                states: vec![7],
                ..all()
            },
        ),
        (
            "filter.life_cycles[0]",
            v1::ClientFilter {
                life_cycles: vec![-1],
                ..all()
            },
        ),
        (
            "filter.tiers[0]",
            v1::ClientFilter {
                tiers: vec![4],
                ..all()
            },
        ),
        (
            "filter.segment_ids[0]",
            v1::ClientFilter {
                segment_ids: vec!["nobody's".into()],
                ..all()
            },
        ),
        (
            "filter.segment_ids",
            v1::ClientFilter {
                segment_ids: vec!["a".into(); 1_001],
                ..all()
            },
        ),
        (
            "filter.min_churn_probability",
            v1::ClientFilter {
                min_churn_probability: 1.5,
                ..all()
            },
        ),
        (
            "filter.tiers",
            v1::ClientFilter {
                tiers: vec![1; 1_001],
                ..all()
            },
        ),
    ] {
        let request = v1::ListClientInsightsRequest {
            filter: Some(filter.clone()),
            ..list()
        };
        cases.push(
            refused!(InsightServiceClient.list_client_insights(request) => InvalidArgument, field),
        );
        let request = v1::GetIdealClientProfileRequest {
            portfolio_id: BOOK.into(),
            filter: Some(filter.clone()),
            ..Default::default()
        };
        cases.push(
            refused!(InsightServiceClient.get_ideal_client_profile(request) => InvalidArgument, field),
        );
        let request = v1::GetPortfolioSummaryRequest {
            portfolio_id: BOOK.into(),
            filter: Some(filter.clone()),
            ..Default::default()
        };
        cases.push(
            refused!(InsightServiceClient.get_portfolio_summary(request) => InvalidArgument, field),
        );
        let request = v1::ListSegmentsRequest {
            portfolio_id: BOOK.into(),
            filter: Some(filter.clone()),
        };
        cases.push(refused!(InsightServiceClient.list_segments(request) => InvalidArgument, field));
        // The pipeline's filter has the same fields.
        let pipeline = v1::OpportunityFilter {
            client_ids: filter.client_ids,
            owners: filter.owners,
            attributes: filter.attributes,
            states: filter.states,
            life_cycles: filter.life_cycles,
            tiers: filter.tiers,
            min_churn_probability: filter.min_churn_probability,
            segment_ids: filter.segment_ids,
            ..Default::default()
        };
        cases.extend(filtered(pipeline, field));
    }
    let request = v1::GetPortfolioSummaryRequest {
        portfolio_id: BOOK.into(),
        group_by: "x".repeat(257),
        ..Default::default()
    };
    cases.push(
        refused!(InsightServiceClient.get_portfolio_summary(request) => InvalidArgument, "group_by"),
    );
    for (field, request) in [
        (
            "page_size",
            v1::ListClientInsightsRequest {
                page_size: 1_001,
                ..list()
            },
        ),
        (
            "order",
            v1::ListClientInsightsRequest { order: 9, ..list() },
        ),
        (
            "language",
            v1::ListClientInsightsRequest {
                language: 9,
                ..list()
            },
        ),
        (
            "page_token",
            v1::ListClientInsightsRequest {
                page_token: "AAAA".into(),
                ..list()
            },
        ),
    ] {
        cases.push(
            refused!(InsightServiceClient.list_client_insights(request) => InvalidArgument, field),
        );
    }
    check(&channel, cases).await;
    server.terminate();
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_objectives_and_actions_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (server, channel) = server(&folder).await;
    let mut cases = Vec::new();
    let wrong = |change: &dyn Fn(&mut v1::Objective)| {
        let mut objective = objective();
        change(&mut objective);
        objective
    };
    let group = |by: &str, value: &str| {
        Some(v1::ClientGroup {
            group_by: by.into(),
            value: value.into(),
        })
    };
    let amount = |minor: i64| {
        let value = Some(v1::measured_value::Value::AmountMinor(minor));
        Some(v1::MeasuredValue { value })
    };
    let mut objectives = vec![
        ("objective.title", wrong(&|one| one.title = "a\nb".into())),
        ("objective.measure", wrong(&|one| one.measure = 0)),
        ("objective.measure", wrong(&|one| one.measure = 99)),
        ("objective.target", wrong(&|one| one.target = None)),
        (
            "objective.target",
            wrong(&|one| one.target = Some(v1::MeasuredValue { value: None })),
        ),
        ("objective.target", wrong(&|one| one.target = amount(5))),
        (
            "objective.target",
            wrong(&|one| one.target = measured(f64::NAN)),
        ),
        (
            "objective.target",
            wrong(&|one| one.target = measured(f64::INFINITY)),
        ),
        (
            "objective.target",
            wrong(&|one| one.target = measured(-1.0)),
        ),
        (
            "objective.target",
            wrong(&|one| {
                one.measure = v1::ObjectiveMeasure::Tickets.into();
                one.target = amount(-1);
            }),
        ),
        (
            "objective.due_date",
            wrong(&|one| one.due_date = String::new()),
        ),
        (
            "objective.due_date",
            wrong(&|one| one.due_date = "31.12.2199".into()),
        ),
        ("due_date", wrong(&|one| one.due_date = "1990-01-01".into())),
        (
            "objective.group.group_by",
            wrong(&|one| one.group = group("", "north")),
        ),
        (
            "objective.group.value",
            wrong(&|one| one.group = group("region", "a\u{0}b")),
        ),
        (
            "group",
            wrong(&|one| one.group = group("region", "nowhere")),
        ),
        (
            "group",
            wrong(&|one| one.group = group("segment", "nobody")),
        ),
    ];
    objectives.extend(no_ids().map(|id| {
        (
            "objective.objective_id",
            wrong(&|one| one.objective_id = id.clone()),
        )
    }));
    for (field, objective) in objectives {
        let request = v1::SetObjectiveRequest {
            portfolio_id: BOOK.into(),
            objective: Some(objective),
            ..Default::default()
        };
        cases.push(refused!(InsightServiceClient.set_objective(request) => InvalidArgument, field));
    }
    let none = v1::SetObjectiveRequest {
        portfolio_id: BOOK.into(),
        ..Default::default()
    };
    cases.push(refused!(InsightServiceClient.set_objective(none) => InvalidArgument, "objective"));
    let act = |actions: Vec<v1::ObjectiveAction>| v1::RecordActionsRequest {
        portfolio_id: BOOK.into(),
        objective_id: "o".into(),
        actions,
        ..Default::default()
    };
    let of = |change: &dyn Fn(&mut v1::ObjectiveAction)| {
        let mut action = action();
        change(&mut action);
        act(vec![action])
    };
    let many = (0..41).map(|at| v1::ObjectiveAction {
        action_id: format!("{at}"),
        ..action()
    });
    for (field, request) in [
        ("actions", act(Vec::new())),
        ("actions", act(many.collect())),
        ("actions[1].action_id", act(vec![action(), action()])),
        (
            "actions[0].action_id",
            of(&|one| one.action_id = String::new()),
        ),
        ("actions[0].date", of(&|one| one.date = "soon".into())),
        ("actions[0].text", of(&|one| one.text = String::new())),
        ("actions[0].text", of(&|one| one.text = "x".repeat(257))),
        ("actions[0].owner", of(&|one| one.owner = "a\tb".into())),
        ("actions[0].state", of(&|one| one.state = 9)),
        (
            "objective_id",
            v1::RecordActionsRequest {
                objective_id: String::new(),
                ..act(vec![action()])
            },
        ),
    ] {
        cases
            .push(refused!(InsightServiceClient.record_actions(request) => InvalidArgument, field));
    }
    let missing = act(vec![action()]);
    cases.push(refused!(InsightServiceClient.record_actions(missing) => NotFound, ""));
    let delete = |id: &str| v1::DeleteObjectiveRequest {
        portfolio_id: BOOK.into(),
        objective_id: id.into(),
        ..Default::default()
    };
    cases.push(refused!(InsightServiceClient.delete_objective(delete("none")) => NotFound, ""));
    let no_id = delete("");
    cases.push(
        refused!(InsightServiceClient.delete_objective(no_id) => InvalidArgument, "objective_id"),
    );
    for (field, page_size, page_token) in [("page_size", 1_001, ""), ("page_token", 0, "AAAA")] {
        let request = v1::ListObjectivesRequest {
            portfolio_id: BOOK.into(),
            page_size,
            page_token: page_token.into(),
        };
        cases.push(
            refused!(InsightServiceClient.list_objectives(request) => InvalidArgument, field),
        );
    }
    check(&channel, cases).await;
    server.terminate();
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_prospects_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (server, channel) = server(&folder).await;
    let mut cases = Vec::new();
    let ask = |prospects: Vec<v1::Prospect>| v1::RankProspectsRequest {
        portfolio_id: BOOK.into(),
        prospects,
        ..Default::default()
    };
    let with = |name: &str, value: v1::AttributeValue| v1::Prospect {
        attributes: [(name.to_owned(), value)].into(),
        ..prospect("new")
    };
    let named = v1::Prospect {
        name: "a\nb".into(),
        ..prospect("new")
    };
    for (field, request) in [
        ("prospects", ask(Vec::new())),
        (
            "prospects",
            ask((0..1_001).map(|at| prospect(&format!("p{at}"))).collect()),
        ),
        ("prospects[0].prospect_id", ask(vec![prospect("")])),
        (
            "prospects[1].prospect_id",
            ask(vec![prospect("new"), prospect("new")]),
        ),
        ("prospects[0].name", ask(vec![named])),
        (
            "prospects[0].attributes[\"staff\"]",
            ask(vec![with("staff", number(f64::NAN))]),
        ),
        (
            "prospects[0].attributes[\"\"]",
            ask(vec![with("", text("a"))]),
        ),
        (
            "prospects[0].attributes[\"sector\"]",
            ask(vec![with("sector", v1::AttributeValue::default())]),
        ),
        (
            "max_products",
            v1::RankProspectsRequest {
                max_products: 101,
                ..ask(vec![prospect("new")])
            },
        ),
        (
            "order",
            v1::RankProspectsRequest {
                order: 9,
                ..ask(vec![prospect("new")])
            },
        ),
        (
            "language",
            v1::RankProspectsRequest {
                language: 9,
                ..ask(vec![prospect("new")])
            },
        ),
    ] {
        cases
            .push(refused!(InsightServiceClient.rank_prospects(request) => InvalidArgument, field));
    }
    let request = v1::GetIdealClientProfileRequest {
        portfolio_id: BOOK.into(),
        language: 9,
        ..Default::default()
    };
    cases.push(
        refused!(InsightServiceClient.get_ideal_client_profile(request) => InvalidArgument, "language"),
    );
    check(&channel, cases).await;
    server.terminate();
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_plans_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (server, channel) = server(&folder).await;
    let mut cases = Vec::new();
    let none = v1::Capacity::default;
    let owner = |owner: &str| v1::OwnerCapacity {
        owner: owner.into(),
        ..Default::default()
    };
    let kind = |kind: i32, minutes: u32| v1::KindMinutes { kind, minutes };
    let way = |value: &str, minutes: u32| v1::TravelMinutes {
        value: value.into(),
        minutes,
    };
    let stock = |product_id: &str, amount_minor: i64| v1::ProductStock {
        product_id: product_id.into(),
        amount_minor,
    };
    let credit = |client_id: &str, amount_minor: i64| v1::ClientCredit {
        client_id: client_id.into(),
        amount_minor,
    };
    let late = v1::OwnerCapacity {
        minutes: Some(10_000_001),
        ..owner("ana")
    };
    for (field, capacity) in [
        (
            "capacity.owners",
            v1::Capacity {
                owners: vec![owner("ana"); 10_001],
                ..none()
            },
        ),
        (
            "capacity.owners[1].owner",
            v1::Capacity {
                owners: vec![owner("ana"), owner("ana")],
                ..none()
            },
        ),
        (
            "capacity.owners[0].owner",
            v1::Capacity {
                owners: vec![owner("a\nb")],
                ..none()
            },
        ),
        (
            "capacity.owners[0].minutes",
            v1::Capacity {
                owners: vec![late.clone()],
                ..none()
            },
        ),
        (
            "capacity.each_other_owner.owner",
            v1::Capacity {
                each_other_owner: Some(owner("ana")),
                ..none()
            },
        ),
        (
            "capacity.each_other_owner.minutes",
            v1::Capacity {
                each_other_owner: Some(late),
                ..none()
            },
        ),
        (
            "capacity.minutes_by_kind[0].kind",
            v1::Capacity {
                minutes_by_kind: vec![kind(0, 5)],
                ..none()
            },
        ),
        (
            "capacity.minutes_by_kind[0].kind",
            v1::Capacity {
                minutes_by_kind: vec![kind(99, 5)],
                ..none()
            },
        ),
        (
            "capacity.minutes_by_kind[1].kind",
            v1::Capacity {
                minutes_by_kind: vec![kind(1, 5), kind(1, 5)],
                ..none()
            },
        ),
        (
            "capacity.minutes_by_kind[0].minutes",
            v1::Capacity {
                minutes_by_kind: vec![kind(1, 10_001)],
                ..none()
            },
        ),
        (
            "capacity.other_minutes",
            v1::Capacity {
                other_minutes: u32::MAX,
                ..none()
            },
        ),
        (
            "capacity.other_travel_minutes",
            v1::Capacity {
                other_travel_minutes: 10_001,
                ..none()
            },
        ),
        (
            "capacity.travel_attribute",
            v1::Capacity {
                travel: vec![way("south", 5)],
                ..none()
            },
        ),
        (
            "capacity.travel[1].value",
            v1::Capacity {
                travel_attribute: "region".into(),
                travel: vec![way("south", 5), way("south", 5)],
                ..none()
            },
        ),
        (
            "capacity.travel[0].minutes",
            v1::Capacity {
                travel_attribute: "region".into(),
                travel: vec![way("south", 10_001)],
                ..none()
            },
        ),
        (
            "capacity.stock[0].product_id",
            v1::Capacity {
                stock: vec![stock("nothing", 5)],
                ..none()
            },
        ),
        (
            "capacity.stock[1].product_id",
            v1::Capacity {
                stock: vec![stock("p0", 5), stock("p0", 5)],
                ..none()
            },
        ),
        (
            "capacity.stock[0].amount_minor",
            v1::Capacity {
                stock: vec![stock("p0", -1)],
                ..none()
            },
        ),
        (
            "capacity.credit[0].client_id",
            v1::Capacity {
                credit: vec![credit("nobody", 5)],
                ..none()
            },
        ),
        (
            "capacity.credit[1].client_id",
            v1::Capacity {
                credit: vec![credit("c0", 5), credit("c0", 5)],
                ..none()
            },
        ),
        (
            "capacity.credit[0].amount_minor",
            v1::Capacity {
                credit: vec![credit("c0", i64::MAX)],
                ..none()
            },
        ),
    ] {
        let request = v1::PlanPipelineRequest {
            portfolio_id: BOOK.into(),
            capacity: Some(capacity),
            ..Default::default()
        };
        cases.push(
            refused!(RecommendationServiceClient.plan_pipeline(request) => InvalidArgument, field),
        );
    }
    for (field, request) in [
        (
            "page_size",
            v1::PlanPipelineRequest {
                page_size: 1_001,
                ..Default::default()
            },
        ),
        (
            "page_token",
            v1::PlanPipelineRequest {
                page_token: "AAAA".into(),
                ..Default::default()
            },
        ),
        (
            "language",
            v1::PlanPipelineRequest {
                language: 9,
                ..Default::default()
            },
        ),
    ] {
        let request = v1::PlanPipelineRequest {
            portfolio_id: BOOK.into(),
            ..request
        };
        cases.push(
            refused!(RecommendationServiceClient.plan_pipeline(request) => InvalidArgument, field),
        );
    }
    check(&channel, cases).await;
    server.terminate();
}
