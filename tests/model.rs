//! The recipe of a portfolio over gRPC: shown, set, tried on the portfolio's own history.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
// Tables of cases are long and read well.
#![allow(clippy::too_many_lines)]

mod common;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use carteira::wire::v1;
use carteira::wire::v1::evaluate_recipe_response::Result as Step;
use carteira::wire::v1::model_service_client::ModelServiceClient;
use common::{BINARY, Server, data_dir, make_book};
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_types::StatusExt;

const BOOK: &str = "northwind";

/// Northwind, imported as a user would.
fn import(server: &Server) {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/northwind");
    let mut command = Command::new(BINARY);
    command.args([
        "import",
        "--endpoint",
        &server.endpoint,
        "--portfolio",
        BOOK,
    ]);
    for name in ["clients", "products", "sales"] {
        command
            .arg(format!("--{name}"))
            .arg(data.join(format!("{name}.csv")));
    }
    let ran = command.args(["--currency", "USD"]).output().unwrap();
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
}

async fn evaluate(
    service: &mut ModelServiceClient<Channel>,
    request: v1::EvaluateRecipeRequest,
) -> Result<(usize, v1::FinishedEvaluation), Status> {
    let mut steps = service.evaluate_recipe(request).await?.into_inner();
    let (mut told, mut last) = (0, 0.0);
    while let Some(step) = steps.message().await? {
        match step.result.unwrap() {
            Step::Progress(share) => {
                assert!(share > last && share <= 1.0, "{share} after {last}");
                (told, last) = (told + 1, share);
            }
            Step::Finished(finished) => {
                assert!(steps.message().await?.is_none());
                return Ok((told, finished));
            }
        }
    }
    panic!("no evaluation came");
}

fn asked() -> v1::EvaluateRecipeRequest {
    v1::EvaluateRecipeRequest {
        portfolio_id: BOOK.into(),
        ..Default::default()
    }
}

fn figure(evaluation: &v1::Evaluation, name: &str) -> v1::EvaluationFigure {
    let mut figures = evaluation.figures.iter();
    figures.find(|figure| figure.name == name).unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recipe_is_tried_on_the_portfolios_own_history() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&data_dir(&folder));
    import(&server);
    let mut service = ModelServiceClient::new(server.channel().await);
    let (told, finished) = evaluate(
        &mut service,
        v1::EvaluateRecipeRequest {
            cut_month: "1998-01".into(),
            horizon_months: 4,
            with_report: true,
            ..asked()
        },
    )
    .await
    .unwrap();
    assert!(told > 2, "{told} messages of progress");
    let evaluation = finished.evaluation.unwrap();
    assert_eq!(evaluation.cut_month, "1998-01");
    assert!(evaluation.clients > 80 && evaluation.products == 77 && evaluation.adoptions > 100);
    let pipeline = figure(&evaluation, "pipeline_over_ideal");
    assert!(pipeline.recipe > pipeline.best_sellers, "{pipeline:?}");
    let coverage = figure(&evaluation, "coverage_q80");
    assert!(
        (coverage.recipe.unwrap() - coverage.target).abs() < 0.05,
        "{coverage:?}"
    );
    assert!(finished.report_html.starts_with("<!DOCTYPE html>"));
    assert!(finished.report_html.contains("<svg"));

    // The same question again has the same answer, whoever asks.
    let again = |overrides: &[(&str, f64)]| v1::EvaluateRecipeRequest {
        cut_month: "1998-01".into(),
        horizon_months: 4,
        overrides: overrides
            .iter()
            .map(|(name, value)| ((*name).to_owned(), *value))
            .collect(),
        ..asked()
    };
    let (_, same) = evaluate(&mut service, again(&[])).await.unwrap();
    assert_eq!(same.evaluation.unwrap().figures, evaluation.figures);
    assert_eq!(same.report_html, "");
    // Other numbers, other figures: what is tried is what was asked for.
    let tried = [("adoption.ridge", 100_000.0)];
    let (_, other) = evaluate(&mut service, again(&tried)).await.unwrap();
    let other = other.evaluation.unwrap();
    assert_ne!(other.figures, evaluation.figures);
    assert_eq!(other.overrides.get("adoption.ridge"), Some(&100_000.0));
    server.terminate();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recipe_is_set_and_read_back_and_offers_follow() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&data_dir(&folder));
    import(&server);
    let mut service = ModelServiceClient::new(server.channel().await);
    let listed = service
        .list_recipes(v1::ListRecipesRequest {})
        .await
        .unwrap();
    let listed = listed.into_inner().recipes;
    let request = v1::GetRecipeRequest {
        portfolio_id: BOOK.into(),
    };
    let before = service
        .get_recipe(request.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        before.recipe.as_ref(),
        listed.iter().find(|recipe| recipe.name == "standard")
    );
    let set = v1::SetRecipeRequest {
        portfolio_id: BOOK.into(),
        overrides: [("offer.significant_digits".to_owned(), 1.0)].into(),
        request_id: "one digit".into(),
        ..Default::default()
    };
    let answer = service.set_recipe(set.clone()).await.unwrap().into_inner();
    let again = service.set_recipe(set).await.unwrap().into_inner();
    assert_eq!(answer.sequence, again.sequence);
    // Learnt rows are there once the portfolio was scored.
    let listed = Command::new(BINARY)
        .args([
            "pipeline",
            "--endpoint",
            &server.endpoint,
            "--portfolio",
            BOOK,
        ])
        .args(["--limit", "50", "--output", "json"])
        .output()
        .unwrap();
    let rows: Vec<serde_json::Value> = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(rows.len(), 50);
    for row in rows {
        let potential = row["potential_ticket_minor"].to_string();
        let digits = potential.trim_end_matches('0').len();
        assert!(digits <= 1, "{potential} has more than one digit");
    }
    let after = service.get_recipe(request).await.unwrap().into_inner();
    let parameters = after.recipe.unwrap().parameters;
    let digits = parameters
        .iter()
        .find(|parameter| parameter.name == "offer.significant_digits");
    let digits = digits.unwrap();
    assert_eq!((digits.value, digits.default_value), (1.0, 3.0));
    let form = after
        .learnt
        .iter()
        .find(|row| row.name == "adoption.form")
        .unwrap();
    assert_ne!(form.value, "prior");
    assert!(after.learnt_at.is_some() && after.learnt_sequence == after.sequence);
    server.terminate();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_tried_or_set_is_refused_by_field() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&data_dir(&folder));
    import(&server);
    let channel = server.channel().await;
    make_book(channel.clone(), "empty", 2, 2).await;
    let mut service = ModelServiceClient::new(channel);
    let wrong = [
        (
            v1::EvaluateRecipeRequest {
                cut_month: "1998".into(),
                ..asked()
            },
            Code::InvalidArgument,
            "cut_month",
        ),
        (
            v1::EvaluateRecipeRequest {
                cut_month: "1998-13".into(),
                ..asked()
            },
            Code::InvalidArgument,
            "cut_month",
        ),
        (
            v1::EvaluateRecipeRequest {
                cut_month: "1990-01".into(),
                ..asked()
            },
            Code::InvalidArgument,
            "cut_month",
        ),
        (
            v1::EvaluateRecipeRequest {
                cut_month: "2020-01".into(),
                ..asked()
            },
            Code::InvalidArgument,
            "cut_month",
        ),
        (
            v1::EvaluateRecipeRequest {
                horizon_months: 25,
                ..asked()
            },
            Code::InvalidArgument,
            "horizon_months",
        ),
        (
            v1::EvaluateRecipeRequest {
                overrides: [("no.such".into(), 1.0)].into(),
                ..asked()
            },
            Code::InvalidArgument,
            "overrides",
        ),
        (
            v1::EvaluateRecipeRequest {
                overrides: [("adoption.ridge".into(), -1.0)].into(),
                ..asked()
            },
            Code::InvalidArgument,
            "overrides",
        ),
        (
            v1::EvaluateRecipeRequest {
                portfolio_id: "nowhere".into(),
                ..asked()
            },
            Code::NotFound,
            "",
        ),
        (
            v1::EvaluateRecipeRequest {
                portfolio_id: "empty".into(),
                ..asked()
            },
            Code::FailedPrecondition,
            "",
        ),
    ];
    for (request, code, field) in wrong {
        let refused = evaluate(&mut service, request.clone()).await.unwrap_err();
        let details = refused.get_error_details();
        let bad = details.bad_request().into_iter();
        let mut fields = bad.flat_map(|bad| &bad.field_violations);
        let named = fields.any(|bad| bad.field == field);
        assert!(
            refused.code() == code && (named || field.is_empty()),
            "{request:?}: {refused:?}"
        );
    }
    for overrides in [
        [("no.such".to_owned(), 1.0)],
        [("adoption.ridge".to_owned(), f64::NAN)],
    ] {
        let request = v1::SetRecipeRequest {
            portfolio_id: BOOK.into(),
            overrides: overrides.into(),
            ..Default::default()
        };
        let refused = service.set_recipe(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        let details = refused.get_error_details();
        let bad = details.bad_request().into_iter();
        let mut fields = bad.flat_map(|bad| &bad.field_violations);
        assert!(
            fields.all(|bad| bad.field.starts_with("overrides")),
            "{refused:?}"
        );
    }
    let request = v1::GetEvaluationRequest {
        portfolio_id: "empty".into(),
        ..Default::default()
    };
    assert_eq!(
        service.get_evaluation(request).await.unwrap_err().code(),
        Code::NotFound
    );
    server.terminate();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_ended_ends_the_work() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&data_dir(&folder));
    import(&server);
    let mut service = ModelServiceClient::new(server.channel().await);
    for _ in 0..5 {
        let steps = service.evaluate_recipe(asked()).await.unwrap();
        drop(steps);
    }
    // One evaluation runs at a time: were the five still worked on, this would wait for them.
    let alone = Instant::now();
    evaluate(&mut service, asked()).await.unwrap();
    let one = alone.elapsed();
    let began = Instant::now();
    evaluate(&mut service, asked()).await.unwrap();
    assert!(
        one < began.elapsed() * 3 + Duration::from_secs(2),
        "{one:?}"
    );
    server.terminate();
}
