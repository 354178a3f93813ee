//! Who is let in: every call of the contract against every kind of key.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
// Tables of cases are long and read well.
#![allow(clippy::too_many_lines, clippy::needless_update)]

mod common;

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use carteira::wire::{DESCRIPTORS, v1};
use common::raw::Raw;
use common::{BINARY, Server, data_dir};
use prost::Message;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

const OPERATOR: &str = "an operator key that nobody guesses, 0123456789";
const NAME: &str = "Padaria Segredo";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Least {
    OutcomeOnly,
    Reader,
    Writer,
    Admin,
    Operator,
}

impl Least {
    /// Who is let in where this is the least.
    fn lets_in(self, role: Self) -> bool {
        match self {
            Self::OutcomeOnly => role != Self::Reader,
            _ => role >= self,
        }
    }
}

/// A valid request of every call that needs something, and the least that it needs.
fn calls(portfolio: &str) -> Vec<(&'static str, Least, Vec<u8>)> {
    use Least::{Admin, Operator, OutcomeOnly, Reader, Writer};
    let id = || portfolio.to_owned();
    macro_rules! call {
        ($path:literal, $least:ident, $request:ident { $($field:ident: $value:expr),* }) => {
            (
                concat!("/carteira.v1.", $path),
                $least,
                v1::$request { $($field: $value,)* ..Default::default() }.encode_to_vec(),
            )
        };
    }
    let book = || {
        Some(v1::Portfolio {
            portfolio_id: id(),
            currency: "BRL".into(),
            ..Default::default()
        })
    };
    let sale = || v1::Sale {
        client_id: "c0".into(),
        product_id: "p0".into(),
        date: "2026-01-10".into(),
        amount_minor: 5,
        ..Default::default()
    };
    let client = |id: &str| v1::Client {
        client_id: id.into(),
        name: NAME.into(),
        ..Default::default()
    };
    let product = |id: &str| v1::Product {
        product_id: id.into(),
        ..Default::default()
    };
    vec![
        call!(
            "CatalogService/BatchUpsertProducts",
            Writer,
            BatchUpsertProductsRequest {
                portfolio_id: id(),
                products: vec![product("p0"), product("p1")]
            }
        ),
        call!(
            "CatalogService/BatchUpsertClients",
            Writer,
            BatchUpsertClientsRequest {
                portfolio_id: id(),
                clients: vec![client("c0"), client("c1")]
            }
        ),
        call!(
            "TicketService/RecordSales",
            Writer,
            RecordSalesRequest {
                portfolio_id: id(),
                sales: vec![sale()]
            }
        ),
        call!(
            "TicketService/StreamSales",
            Writer,
            StreamSalesRequest {
                portfolio_id: id(),
                sales: vec![sale()]
            }
        ),
        call!(
            "TicketService/SetTickets",
            Writer,
            SetTicketsRequest {
                portfolio_id: id(),
                tickets: vec![v1::TicketToSet {
                    client_id: "c0".into(),
                    product_id: "p1".into(),
                    ticket_minor: 7
                }]
            }
        ),
        call!(
            "CatalogService/RecordClientEvents",
            Writer,
            RecordClientEventsRequest {
                portfolio_id: id(),
                events: vec![v1::ClientEvent {
                    client_id: "c0".into(),
                    kind: v1::ClientEventKind::Contact.into(),
                    date: "2026-01-10".into(),
                    ..Default::default()
                }]
            }
        ),
        call!(
            "OutcomeService/RecordOutcomes",
            OutcomeOnly,
            RecordOutcomesRequest {
                portfolio_id: id(),
                outcomes: vec![v1::Outcome {
                    client_id: "c0".into(),
                    product_id: "p1".into(),
                    kind: v1::OpportunityKind::CrossSell.into(),
                    date: "2026-01-10".into(),
                    result: v1::OutcomeResult::Lost.into(),
                    ..Default::default()
                }]
            }
        ),
        call!(
            "OutcomeService/ListOutcomes",
            Reader,
            ListOutcomesRequest { portfolio_id: id() }
        ),
        call!(
            "OutcomeService/GetEffectReport",
            Reader,
            GetEffectReportRequest { portfolio_id: id() }
        ),
        call!(
            "InsightService/GetPortfolioSummary",
            Reader,
            GetPortfolioSummaryRequest { portfolio_id: id() }
        ),
        call!(
            "InsightService/ListClientInsights",
            Reader,
            ListClientInsightsRequest { portfolio_id: id() }
        ),
        call!(
            "InsightService/ListSegments",
            Reader,
            ListSegmentsRequest { portfolio_id: id() }
        ),
        call!(
            "InsightService/SetObjective",
            Writer,
            SetObjectiveRequest {
                portfolio_id: id(),
                objective: Some(v1::Objective {
                    objective_id: "o".into(),
                    measure: v1::ObjectiveMeasure::ActiveClients.into(),
                    target: Some(v1::MeasuredValue {
                        value: Some(v1::measured_value::Value::Number(2.0)),
                    }),
                    due_date: "2199-12-31".into(),
                    ..Default::default()
                })
            }
        ),
        call!(
            "InsightService/RecordActions",
            Writer,
            RecordActionsRequest {
                portfolio_id: id(),
                objective_id: "o".into(),
                actions: vec![v1::ObjectiveAction {
                    action_id: "a".into(),
                    date: "2026-01-10".into(),
                    text: "call".into(),
                    ..Default::default()
                }]
            }
        ),
        call!(
            "InsightService/ListObjectives",
            Reader,
            ListObjectivesRequest { portfolio_id: id() }
        ),
        call!(
            "InsightService/DeleteObjective",
            Writer,
            DeleteObjectiveRequest {
                portfolio_id: id(),
                objective_id: "o".into()
            }
        ),
        call!(
            "InsightService/GetIdealClientProfile",
            Reader,
            GetIdealClientProfileRequest { portfolio_id: id() }
        ),
        call!(
            "InsightService/RankProspects",
            Reader,
            RankProspectsRequest {
                portfolio_id: id(),
                prospects: vec![v1::Prospect {
                    prospect_id: "new".into(),
                    ..Default::default()
                }]
            }
        ),
        call!(
            "RecommendationService/PlanPipeline",
            Reader,
            PlanPipelineRequest { portfolio_id: id() }
        ),
        call!(
            "CatalogService/GetClient",
            Reader,
            GetClientRequest {
                portfolio_id: id(),
                client_id: "c0".into()
            }
        ),
        call!(
            "CatalogService/ListClients",
            Reader,
            ListClientsRequest { portfolio_id: id() }
        ),
        call!(
            "CatalogService/GetProduct",
            Reader,
            GetProductRequest {
                portfolio_id: id(),
                product_id: "p0".into()
            }
        ),
        call!(
            "CatalogService/ListProducts",
            Reader,
            ListProductsRequest { portfolio_id: id() }
        ),
        call!(
            "TicketService/GetClientTickets",
            Reader,
            GetClientTicketsRequest {
                portfolio_id: id(),
                client_id: "c0".into()
            }
        ),
        call!(
            "TicketService/ExportTickets",
            Reader,
            ExportTicketsRequest { portfolio_id: id() }
        ),
        call!(
            "RecommendationService/RecommendForClient",
            Reader,
            RecommendForClientRequest {
                portfolio_id: id(),
                client_id: "c0".into()
            }
        ),
        call!(
            "RecommendationService/ListOpportunities",
            Reader,
            ListOpportunitiesRequest { portfolio_id: id() }
        ),
        call!(
            "RecommendationService/StreamOpportunities",
            Reader,
            StreamOpportunitiesRequest { portfolio_id: id() }
        ),
        call!(
            "RecommendationService/ExplainOpportunity",
            Reader,
            ExplainOpportunityRequest {
                portfolio_id: id(),
                client_id: "c0".into(),
                product_id: "p0".into()
            }
        ),
        call!(
            "RecommendationService/FindSimilarClients",
            Reader,
            FindSimilarClientsRequest {
                portfolio_id: id(),
                client_id: "c0".into()
            }
        ),
        call!(
            "RecommendationService/RecommendWhatIf",
            Reader,
            RecommendWhatIfRequest { portfolio_id: id() }
        ),
        call!(
            "ModelService/GetRecipe",
            Reader,
            GetRecipeRequest { portfolio_id: id() }
        ),
        call!(
            "ModelService/EvaluateRecipe",
            Reader,
            EvaluateRecipeRequest { portfolio_id: id() }
        ),
        call!(
            "ModelService/GetEvaluation",
            Reader,
            GetEvaluationRequest { portfolio_id: id() }
        ),
        call!(
            "ModelService/SetRecipe",
            Admin,
            SetRecipeRequest { portfolio_id: id() }
        ),
        call!(
            "PortfolioService/GetPortfolio",
            Reader,
            GetPortfolioRequest { portfolio_id: id() }
        ),
        call!(
            "PortfolioService/UpdatePortfolio",
            Admin,
            UpdatePortfolioRequest {
                portfolio: book(),
                update_fields: vec!["name".into()]
            }
        ),
        call!(
            "PortfolioService/CreateApiKey",
            Admin,
            CreateApiKeyRequest {
                portfolio_id: id(),
                role: v1::KeyRole::Reader.into()
            }
        ),
        call!(
            "PortfolioService/ListApiKeys",
            Admin,
            ListApiKeysRequest { portfolio_id: id() }
        ),
        call!(
            "PortfolioService/RevokeApiKey",
            Admin,
            RevokeApiKeyRequest {
                portfolio_id: id(),
                key_id: "0123456789abcdef".into()
            }
        ),
        call!(
            "CatalogService/ExportClient",
            Admin,
            ExportClientRequest {
                portfolio_id: id(),
                client_id: "c1".into()
            }
        ),
        call!(
            "CatalogService/DeleteClient",
            Admin,
            DeleteClientRequest {
                portfolio_id: id(),
                client_id: "c1".into()
            }
        ),
        call!(
            "CatalogService/DeleteProduct",
            Admin,
            DeleteProductRequest {
                portfolio_id: id(),
                product_id: "p1".into()
            }
        ),
        call!(
            "PortfolioService/CreatePortfolio",
            Operator,
            CreatePortfolioRequest { portfolio: book() }
        ),
        call!(
            "PortfolioService/ListPortfolios",
            Operator,
            ListPortfoliosRequest {}
        ),
        call!(
            "PortfolioService/DeletePortfolio",
            Operator,
            DeletePortfolioRequest { portfolio_id: id() }
        ),
    ]
}

/// Makes a call with what stands in `authorization`; an answer is read to its end.
async fn send(channel: &Channel, path: &'static str, body: Vec<u8>, shown: Option<&str>) -> Status {
    let mut request = Request::new(tokio_stream::iter([body]));
    if let Some(shown) = shown {
        request
            .metadata_mut()
            .insert("authorization", shown.parse().unwrap());
    }
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let path = path.parse().unwrap();
    let mut answers = match client.streaming(request, path, Raw).await {
        Ok(answers) => answers.into_inner(),
        Err(status) => return status,
    };
    loop {
        match answers.message().await {
            Ok(Some(_)) => {}
            Ok(None) => return Status::new(Code::Ok, ""),
            Err(status) => return status,
        }
    }
}

fn bearer(key: &str) -> String {
    format!("Bearer {key}")
}

/// `carteira` with the operator's key; what it printed.
fn carteira(server: &Server, args: &[&str]) -> String {
    let ran = Command::new(BINARY)
        .args(args)
        .args(["--endpoint", &server.endpoint])
        .env("CARTEIRA_KEY", OPERATOR.replace(' ', "-"))
        .output()
        .unwrap();
    assert!(
        ran.status.success(),
        "{args:?}: {}",
        String::from_utf8_lossy(&ran.stderr)
    );
    String::from_utf8_lossy(&ran.stdout).trim().to_owned()
}

fn make_key(server: &Server, portfolio: &str, role: &str, more: &[&str]) -> String {
    let args = [
        &["keys", "create", "--portfolio", portfolio, "--role", role],
        more,
    ]
    .concat();
    carteira(server, &args)
}

async fn make_portfolio(channel: &Channel, id: &str) {
    let operator = bearer(&OPERATOR.replace(' ', "-"));
    let (path, _, body) = calls(id)
        .into_iter()
        .find(|call| call.0.ends_with("CreatePortfolio"))
        .unwrap();
    let made = send(channel, path, body, Some(&operator)).await;
    assert_eq!(made.code(), Code::Ok, "{made:?}");
    for (path, _, body) in calls(id).into_iter().take(2) {
        let made = send(channel, path, body, Some(&operator)).await;
        assert_eq!(made.code(), Code::Ok, "{made:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_lets_in_whom_it_should_and_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let operator = OPERATOR.replace(' ', "-");
    let keys_on = [
        ("CARTEIRA_OPERATOR_KEY", operator.as_str()),
        ("CARTEIRA_LOG", "trace"),
    ];
    let server = Server::start_with(&data_dir(&folder), &keys_on);
    let channel = server.channel().await;
    make_portfolio(&channel, "a").await;
    make_portfolio(&channel, "b").await;
    let [outcome_only, reader, writer, admin] =
        ["outcome-only", "reader", "writer", "admin"].map(|role| make_key(&server, "a", role, &[]));
    let other = make_key(&server, "b", "admin", &[]);
    let expired = make_key(&server, "a", "admin", &["--expires-in", "1s"]);
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    let revoked = make_key(&server, "a", "admin", &[]);
    carteira(
        &server,
        &["keys", "revoke", "--portfolio", "a", &revoked[4..20]],
    );
    let unknown = format!("ctk_00000000000000ff_{}", &admin[21..]);
    let other_secret = format!("{}{}", &admin[..21], &reader[21..]);

    // Every call of the contract that is not open to all stands in the table.
    let files = prost_types::FileDescriptorSet::decode(DESCRIPTORS)
        .unwrap()
        .file;
    let services = files
        .iter()
        .flat_map(|file| file.service.iter().map(move |service| (file, service)));
    let paths: BTreeSet<String> = services
        .flat_map(|(file, service)| {
            let of = move |method: &prost_types::MethodDescriptorProto| {
                format!("/{}.{}/{}", file.package(), service.name(), method.name())
            };
            service.method.iter().map(of)
        })
        .filter(|path| path != "/carteira.v1.ModelService/ListRecipes")
        .collect();
    let rows: BTreeSet<String> = calls("a").iter().map(|call| call.0.to_owned()).collect();
    assert_eq!(rows, paths);

    let mut tried = 0;
    let mut wrong = Vec::new();
    let mut expect = |what: &str, path: &str, status: &Status, codes: &[Code]| {
        tried += 1;
        if !codes.contains(&status.code()) {
            wrong.push(format!(
                "{path} with {what}: {:?} {}",
                status.code(),
                status.message()
            ));
        }
    };
    for (path, least, body) in calls("a") {
        let turned_away = match least {
            Least::Operator => [Code::PermissionDenied],
            _ => [Code::Unauthenticated],
        };
        for (what, shown, codes) in [
            ("no key", None, &[Code::Unauthenticated][..]),
            ("no scheme", Some(admin.clone()), &[Code::Unauthenticated]),
            (
                "a malformed key",
                Some(bearer("ctk_x_y")),
                &[Code::Unauthenticated],
            ),
            ("an empty key", Some(bearer("")), &[Code::Unauthenticated]),
            (
                "a key too long",
                Some(bearer(&format!("{admin}A"))),
                &[Code::Unauthenticated],
            ),
            ("an unknown key", Some(bearer(&unknown)), &turned_away),
            (
                "another's secret",
                Some(bearer(&other_secret)),
                &turned_away,
            ),
            ("a revoked key", Some(bearer(&revoked)), &turned_away),
            ("an expired key", Some(bearer(&expired)), &turned_away),
            (
                "another portfolio's key",
                Some(bearer(&other)),
                &turned_away,
            ),
        ] {
            let status = send(&channel, path, body.clone(), shown.as_deref()).await;
            expect(what, path, &status, codes);
        }
        for (role, key) in [
            (Least::OutcomeOnly, &outcome_only),
            (Least::Reader, &reader),
            (Least::Writer, &writer),
            (Least::Admin, &admin),
        ] {
            if !least.lets_in(role) {
                let status = send(&channel, path, body.clone(), Some(&bearer(key))).await;
                expect("a lower role", path, &status, &[Code::PermissionDenied]);
            }
        }
        // Not yours and not there are one answer.
        if least != Least::Operator {
            let of = |portfolio: &str| {
                let mut all = calls(portfolio).into_iter();
                all.find(|call| call.0 == path).unwrap().2
            };
            let yours = send(&channel, path, of("b"), Some(&bearer(&admin))).await;
            let there = send(&channel, path, of("z"), Some(&bearer(&admin))).await;
            expect("nothing there", path, &there, &[Code::Unauthenticated]);
            assert_eq!(yours.message().replace("'b'", "'z'"), there.message());
            assert_eq!(
                (yours.code(), yours.details()),
                (there.code(), there.details())
            );
        }
    }
    // And those that may are let in: the least role of each call, then the operator.
    let allowed = [
        Code::Ok,
        Code::NotFound,
        Code::AlreadyExists,
        Code::FailedPrecondition,
    ];
    for (path, least, body) in calls("a") {
        let key = match least {
            Least::OutcomeOnly => &outcome_only,
            Least::Reader => &reader,
            Least::Writer => &writer,
            Least::Admin => &admin,
            Least::Operator => continue,
        };
        let status = send(&channel, path, body, Some(&bearer(key))).await;
        expect("its least role", path, &status, &allowed);
    }
    for (path, _, body) in calls("b") {
        let status = send(&channel, path, body, Some(&bearer(&operator))).await;
        expect("the operator's key", path, &status, &allowed);
    }
    assert!(
        wrong.is_empty(),
        "{} of {tried}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    println!("{tried} calls, 0 unexpected answers");

    // A key goes on after a restart, and no log tells of a secret or a name.
    let lines = server.stop();
    let server = Server::start_with(&data_dir(&folder), &keys_on);
    let (path, _, body) = calls("a")
        .into_iter()
        .find(|call| call.0.ends_with("GetPortfolio"))
        .unwrap();
    let channel = server.channel().await;
    let status = send(&channel, path, body, Some(&bearer(&reader))).await;
    assert_eq!(status.code(), Code::Ok, "{status:?}");
    for line in lines.iter().chain(&server.stop()) {
        for secret in [
            &reader[21..],
            &writer[21..],
            &admin[21..],
            &other[21..],
            operator.as_str(),
            NAME,
        ] {
            assert!(
                !line.contains(secret),
                "a log line tells of '{secret}': {line}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_most_two_valid_keys_of_a_role_and_a_revoked_one_makes_room() {
    let folder = tempfile::tempdir().unwrap();
    let operator = OPERATOR.replace(' ', "-");
    let server = Server::start_with(
        &data_dir(&folder),
        &[("CARTEIRA_OPERATOR_KEY", operator.as_str())],
    );
    let channel = server.channel().await;
    make_portfolio(&channel, "a").await;
    let first = make_key(&server, "a", "writer", &["--name", "the CRM"]);
    make_key(&server, "a", "writer", &[]);
    let (path, body) = (
        "/carteira.v1.PortfolioService/CreateApiKey",
        v1::CreateApiKeyRequest {
            portfolio_id: "a".into(),
            role: v1::KeyRole::Writer.into(),
            ..Default::default()
        },
    );
    let third = send(
        &channel,
        path,
        body.encode_to_vec(),
        Some(&bearer(&operator)),
    )
    .await;
    assert_eq!(third.code(), Code::FailedPrecondition, "{third:?}");
    carteira(
        &server,
        &["keys", "revoke", "--portfolio", "a", &first[4..20]],
    );
    make_key(&server, "a", "writer", &[]);
    let listed = carteira(
        &server,
        &["keys", "list", "--portfolio", "a", "--output", "json"],
    );
    let rows: Vec<serde_json::Value> = serde_json::from_str(&listed).unwrap();
    assert_eq!(rows.len(), 2);
    assert!(!listed.contains(&first[4..20]) && !listed.contains("the CRM"));
    // What cannot be is refused by field.
    for (request, field) in [
        (
            v1::CreateApiKeyRequest {
                role: 0,
                ..body.clone()
            },
            "role",
        ),
        (
            v1::CreateApiKeyRequest {
                role: 9,
                ..body.clone()
            },
            "role",
        ),
        (
            v1::CreateApiKeyRequest {
                name: "a\nb".into(),
                ..body.clone()
            },
            "name",
        ),
        (
            v1::CreateApiKeyRequest {
                expires_at: Some(prost_types::Timestamp {
                    seconds: 1,
                    nanos: 0,
                }),
                ..body.clone()
            },
            "expires_at",
        ),
    ] {
        let refused = send(
            &channel,
            path,
            request.encode_to_vec(),
            Some(&bearer(&operator)),
        )
        .await;
        assert!(
            refused.code() == Code::InvalidArgument && refused.message().contains(field),
            "{refused:?}"
        );
    }
    server.terminate();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_lets_in_nobody_a_second_after_it_was_revoked_or_expired() {
    let folder = tempfile::tempdir().unwrap();
    let operator = OPERATOR.replace(' ', "-");
    let keys_on = [("CARTEIRA_OPERATOR_KEY", operator.as_str())];
    let server = Server::start_with(&data_dir(&folder), &keys_on);
    let channel = server.channel().await;
    make_portfolio(&channel, "a").await;
    let (path, _, body) = calls("a")
        .into_iter()
        .find(|call| call.0.ends_with("GetPortfolio"))
        .unwrap();
    for (what, more) in [("revoked", &[][..]), ("expired", &["--expires-in", "2s"])] {
        let key = make_key(&server, "a", "reader", more);
        let made = Instant::now();
        let stop = Arc::new(AtomicBool::new(false));
        let (channel, told, shown) = (channel.clone(), stop.clone(), bearer(&key));
        let body = body.clone();
        // Calls without a pause: when each began, and whether it was let in.
        let calling = tokio::spawn(async move {
            let mut seen = Vec::new();
            while !told.load(Ordering::Relaxed) {
                let began = Instant::now();
                let status = send(&channel, path, body.clone(), Some(&shown)).await;
                assert!([Code::Ok, Code::Unauthenticated].contains(&status.code()));
                seen.push((began, status.code() == Code::Ok));
            }
            seen
        });
        tokio::time::sleep(Duration::from_millis(300)).await;
        let over = match what {
            "revoked" => {
                let args = ["keys", "revoke", "--portfolio", "a", &key[4..20]];
                carteira(&server, &args);
                Instant::now()
            }
            _ => made + Duration::from_secs(2),
        };
        tokio::time::sleep_until((over + Duration::from_millis(1_500)).into()).await;
        stop.store(true, Ordering::Relaxed);
        let seen = calling.await.unwrap();
        let last = seen
            .iter()
            .filter(|(_, let_in)| *let_in)
            .map(|(at, _)| *at)
            .max();
        let after = last.unwrap().saturating_duration_since(over);
        assert!(
            after <= Duration::from_secs(1),
            "{what}: let in {after:?} later"
        );
        let refused = seen.iter().filter(|(_, let_in)| !let_in).count();
        assert!(refused > 10);
        println!(
            "{what}: {} calls, the last let in {after:?} after, {refused} refused",
            seen.len()
        );
    }
    server.terminate();
}

#[test]
fn beyond_this_machine_it_starts_with_keys_and_tls_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    for (args, variables, told) in [
        (vec![], vec![], "neither TLS nor keys"),
        (
            vec![],
            vec![(
                "CARTEIRA_OPERATOR_KEY",
                "0123456789012345678901234567890123456789",
            )],
            "no TLS",
        ),
        (
            vec!["--tls-cert", "nowhere.pem"],
            vec![],
            "both --tls-cert and --tls-key",
        ),
        (
            vec![],
            vec![("CARTEIRA_OPERATOR_KEY", "short")],
            "at least 32 characters",
        ),
    ] {
        let ran = Command::new(BINARY)
            .args(["serve", "--listen", "0.0.0.0:0", "--data-dir"])
            .arg(data_dir(&folder))
            .args(&args)
            .envs(variables)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ran.stderr);
        assert!(
            !ran.status.success() && said.contains(told),
            "{args:?}: {said}"
        );
        assert!(!said.contains("0123456789012345"), "{said}");
    }
}
