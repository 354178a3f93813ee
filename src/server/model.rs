//! `ModelService`.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Mutex;
use std::time::SystemTime;

use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::Api;
use super::access::Caller;
use super::form::Form;
use super::portfolios::overrides;
use crate::domain::{ClientNo, Month, ProductNo, Text};
use crate::engine::{
    Book, Evaluated, MAX_HORIZON_MONTHS, PortfolioPatch, Refusal, Wanted, Write, recipe_with,
    recipes,
};
use crate::evaluate::figures::{Aim, FIGURES};
use crate::evaluate::report::{Names, called, report};
use crate::evaluate::{Evaluation, Forecaster};
use crate::recommend::Recipe;
use crate::wire::v1;
use crate::wire::v1::evaluate_recipe_response::Result as Step;
use crate::wire::v1::model_service_server::ModelService;

/// The least share between two messages of progress.
const PROGRESS_STEP: f64 = 0.01;

type Answers = mpsc::Sender<Result<v1::EvaluateRecipeResponse, Status>>;

#[tonic::async_trait]
impl ModelService for Api {
    async fn list_recipes(
        &self,
        _request: Request<v1::ListRecipesRequest>,
    ) -> Result<Response<v1::ListRecipesResponse>, Status> {
        let recipes = recipes()?;
        let rows = recipes
            .iter()
            .map(|(name, recipe)| to_wire(name, recipe, recipe));
        Ok(Response::new(v1::ListRecipesResponse {
            recipes: rows.collect(),
        }))
    }

    async fn get_recipe(
        &self,
        request: Request<v1::GetRecipeRequest>,
    ) -> Result<Response<v1::GetRecipeResponse>, Status> {
        let (caller, request) = Caller::of(request)?;
        let mut form = Form::default();
        let id = form.portfolio(&request.portfolio_id);
        let tenant = self.gate.tenant(&caller, &form.finish(id)?)?;
        let book = tenant.book();
        let model = tenant.latest_model();
        let learnt = model.iter().flat_map(|model| model.learnt());
        Ok(Response::new(v1::GetRecipeResponse {
            recipe: Some(recipe_of(
                &book.portfolio().recipe,
                &book.portfolio().recipe_overrides,
            )?),
            overrides: plain(&book.portfolio().recipe_overrides),
            learnt: learnt
                .map(|row| v1::Learnt {
                    name: row.name.to_owned(),
                    value: row.value,
                    about: row.about.to_owned(),
                })
                .collect(),
            learnt_at: model.as_ref().map(|model| timestamp(model.at)),
            learnt_sequence: model.as_ref().map_or(0, |model| model.sequence),
            evaluation: tenant.graded().as_deref().map(evaluation),
            sequence: book.sequence(),
        }))
    }

    async fn set_recipe(
        &self,
        request: Request<v1::SetRecipeRequest>,
    ) -> Result<Response<v1::SetRecipeResponse>, Status> {
        let (caller, request) = Caller::of(request)?;
        let mut form = Form::default();
        let id = form.portfolio(&request.portfolio_id);
        let request_id = form.request_id(&request.request_id);
        let recipe = match request.recipe.as_str() {
            "" => Some(None),
            name => form.text("recipe", name).map(Some),
        };
        let overrides = overrides(&mut form, "overrides", &request.overrides);
        let wanted = id.zip(request_id).zip(recipe.zip(overrides));
        let ((id, request_id), (recipe, overrides)) = form.finish(wanted)?;
        // The engine looks too, and would name the field as a portfolio has it.
        recipe_with(&overrides, "overrides")?;
        let patch = PortfolioPatch {
            recipe,
            recipe_overrides: Some(overrides),
            ..PortfolioPatch::default()
        };
        let write = Write::UpdatePortfolio(patch);
        let answer = self
            .gate
            .write(&caller, id.clone(), request_id, write)
            .await?;
        let book = self.gate.tenant(&caller, &id)?.book();
        let portfolio = book.portfolio();
        Ok(Response::new(v1::SetRecipeResponse {
            recipe: Some(recipe_of(&portfolio.recipe, &portfolio.recipe_overrides)?),
            sequence: answer.sequence,
        }))
    }

    type EvaluateRecipeStream =
        Pin<Box<dyn Stream<Item = Result<v1::EvaluateRecipeResponse, Status>> + Send>>;

    async fn evaluate_recipe(
        &self,
        request: Request<v1::EvaluateRecipeRequest>,
    ) -> Result<Response<Self::EvaluateRecipeStream>, Status> {
        let (caller, request) = Caller::of(request)?;
        let mut form = Form::default();
        let id = form.portfolio(&request.portfolio_id);
        let wanted = wanted(&mut form, &request);
        let (id, wanted) = form.finish(id.zip(wanted))?;
        let tenant = self.gate.tenant(&caller, &id)?;
        let (answers, stream) = mpsc::channel(2);
        let evaluations = self.evaluations.clone();
        tokio::spawn(async move {
            let told = answers.clone();
            let done = evaluations
                .run(&caller, move || {
                    let last = Mutex::new(0.0);
                    let go_on = |share: f64| tell(&told, &last, share);
                    let evaluated = tenant.evaluate(&tenant.moment(), &wanted, &go_on)?;
                    Ok(v1::FinishedEvaluation {
                        evaluation: Some(evaluation(&evaluated)),
                        report_html: page(&evaluated, &tenant.book(), request.with_report),
                    })
                })
                .await;
            let last = done.map(|finished| v1::EvaluateRecipeResponse {
                result: Some(Step::Finished(finished)),
            });
            // A caller that went away needs no answer.
            let _ = answers.send(last).await;
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }

    async fn get_evaluation(
        &self,
        request: Request<v1::GetEvaluationRequest>,
    ) -> Result<Response<v1::GetEvaluationResponse>, Status> {
        let (caller, request) = Caller::of(request)?;
        let mut form = Form::default();
        let id = form.portfolio(&request.portfolio_id);
        let tenant = self.gate.tenant(&caller, &form.finish(id)?)?;
        let graded = tenant.graded().ok_or_else(|| {
            Status::not_found(
                "the portfolio was not evaluated yet: ask for it with EvaluateRecipe, or wait until it was quiet for a minute",
            )
        })?;
        Ok(Response::new(v1::GetEvaluationResponse {
            evaluation: Some(evaluation(&graded)),
            report_html: page(&graded, &tenant.book(), request.with_report),
        }))
    }
}

/// Tells a caller how far the work is, now and then; stops it when the caller is gone.
fn tell(answers: &Answers, last: &Mutex<f64>, share: f64) -> ControlFlow<()> {
    if answers.is_closed() {
        return ControlFlow::Break(());
    }
    let Ok(mut last) = last.lock() else {
        return ControlFlow::Continue(());
    };
    if share - *last >= PROGRESS_STEP {
        let step = v1::EvaluateRecipeResponse {
            result: Some(Step::Progress(share.min(1.0))),
        };
        // A caller that reads slowly misses a step, and the work waits for nobody.
        if answers.try_send(Ok(step)).is_ok() {
            *last = share;
        }
    }
    ControlFlow::Continue(())
}

fn wanted(form: &mut Form, request: &v1::EvaluateRecipeRequest) -> Option<Wanted> {
    let cut = match request.cut_month.as_str() {
        "" => Some(None),
        month => form.take("cut_month", Month::parse(month)).map(Some),
    };
    let months = match request.horizon_months {
        0 => None,
        months if months <= MAX_HORIZON_MONTHS => Some(months),
        months => {
            let reason = format!("is {months}; it may be 1 to {MAX_HORIZON_MONTHS}");
            form.refuse("horizon_months", reason);
            None
        }
    };
    let overrides = match request.overrides.is_empty() {
        true => Some(None),
        false => overrides(form, "overrides", &request.overrides).map(Some),
    };
    Some(Wanted {
        cut: cut?,
        months,
        overrides: overrides?,
    })
}

fn plain(overrides: &BTreeMap<Text, f64>) -> BTreeMap<String, f64> {
    let entries = overrides.iter();
    entries
        .map(|(name, value)| (name.to_string(), *value))
        .collect()
}

/// A recipe with a portfolio's own values in it.
fn recipe_of(name: &Text, overrides: &BTreeMap<Text, f64>) -> Result<v1::Recipe, Refusal> {
    let recipes = recipes()?;
    let found = recipes.iter().find(|(there, _)| *there == name.as_str());
    let (_, recipe) = found.ok_or_else(|| Refusal::NotFound {
        what: "recipe",
        id: name.to_string(),
    })?;
    let own = recipe.with_overrides(overrides);
    let own = own.map_err(|error| Refusal::Precondition(error.to_string()))?;
    Ok(to_wire(name.as_str(), recipe, &own))
}

fn to_wire(name: &str, recipe: &Recipe, own: &Recipe) -> v1::Recipe {
    let both = recipe.parameters().iter().zip(own.parameters().iter());
    let row = |((name, default), (_, own)): (
        (&str, &crate::recommend::Parameter),
        (&str, &crate::recommend::Parameter),
    )| {
        v1::RecipeParameter {
            name: name.to_owned(),
            value: own.value,
            default_value: default.value,
            unit: default.unit.clone(),
            min: default.range[0],
            max: default.range[1],
            about: default.about.clone(),
        }
    };
    v1::Recipe {
        name: name.to_owned(),
        parameters: both.map(row).collect(),
    }
}

fn evaluation(evaluated: &Evaluated) -> v1::Evaluation {
    let Evaluation { span, book, .. } = &evaluated.evaluation;
    v1::Evaluation {
        cut_month: span.map_or_else(String::new, |span| span.cut.month().to_string()),
        horizon_days: span.map_or(0, |span| span.horizon_days),
        history_days: span.map_or(0, |span| span.history_days),
        clients: book.clients as u32,
        judged_clients: book.judged_clients as u32,
        products: book.products as u32,
        pairs: book.pairs as u64,
        adoptions: book.adoptions as u64,
        new_money_minor: book.new_money_minor.round() as i64,
        calibrated: span.is_some_and(|span| span.is_calibrated),
        figures: figures(&evaluated.evaluation),
        overrides: plain(&evaluated.overrides),
        sequence: evaluated.sequence,
        evaluated_at: Some(timestamp(evaluated.at)),
    }
}

fn figures(evaluation: &Evaluation) -> Vec<v1::EvaluationFigure> {
    let row = |figure: &crate::evaluate::figures::Figure| {
        let (aim, target) = match figure.aim {
            Aim::High => (v1::Aim::High, 0.0),
            Aim::Low => (v1::Aim::Low, 0.0),
            Aim::Near(target) => (v1::Aim::Near, target),
        };
        let of = |forecaster| {
            let method = evaluation.method(forecaster)?;
            figure.of(method).filter(|value| value.is_finite())
        };
        let [recipe, best_sellers, own_history, product_quantile] = Forecaster::ALL.map(of);
        v1::EvaluationFigure {
            name: figure.field.to_owned(),
            question: figure.question.to_owned(),
            about: figure.name.to_owned(),
            aim: aim.into(),
            target,
            recipe,
            best_sellers,
            own_history,
            product_quantile,
        }
    };
    FIGURES.iter().map(row).collect()
}

/// The page of an evaluation; nothing unless it is wanted. Names are those of now: who was erased
/// since has none.
fn page(evaluated: &Evaluated, book: &Book, wanted: bool) -> String {
    if !wanted {
        return String::new();
    }
    let gone = || "(erased)".to_owned();
    let client = |no: ClientNo| {
        let there = book.clients().get(no.0);
        there.map_or_else(gone, |client| {
            called(client.id.as_str(), client.name.as_str())
        })
    };
    let product = |no: ProductNo| {
        let there = book.products().get(no.0);
        there.map_or_else(gone, |product| {
            called(product.id.as_str(), product.name.as_str())
        })
    };
    let names = Names {
        book: book.portfolio().id.as_str(),
        client: &client,
        product: &product,
    };
    report(&evaluated.evaluation, &names)
}

fn timestamp(at: SystemTime) -> prost_types::Timestamp {
    at.into()
}
