//! A recipe and its figures, printed.

use serde_json::{Value, json};

use super::ShowArgs;
use crate::cli::connect::{block_on, explain};
use crate::cli::output::{self, Column, Output};
use crate::wire::v1;
use crate::wire::v1::model_service_client::ModelServiceClient;

const PARAMETERS: [Column; 6] = [
    Column::plain("name", "parameter"),
    Column::plain("value", "value"),
    Column::plain("default_value", "the recipe's"),
    Column::plain("unit", "unit"),
    Column::plain("range", "range"),
    Column::plain("about", "what it does"),
];
const LEARNT: [Column; 3] = [
    Column::plain("name", "learnt"),
    Column::plain("value", "value"),
    Column::plain("about", "what it means"),
];
const FIGURES: [Column; 6] = [
    Column::plain("question", "question"),
    Column::plain("figure", "figure"),
    Column::plain("recipe", "recipe"),
    Column::plain("best_sellers", "best-sellers"),
    Column::plain("own_history", "own history"),
    Column::plain("product_quantile", "product quantile"),
];

/// Prints a portfolio's recipe.
pub(super) fn show(args: &ShowArgs) -> anyhow::Result<()> {
    let answer = block_on(async {
        let (channel, _) = args.portfolio.open().await?;
        let request = v1::GetRecipeRequest {
            portfolio_id: args.portfolio.portfolio.clone(),
        };
        let answer = ModelServiceClient::new(channel).get_recipe(request).await;
        Ok(answer.map_err(|status| explain(&status))?.into_inner())
    })?;
    let recipe = answer.recipe.unwrap_or_default();
    let parameters: Vec<Value> = recipe.parameters.iter().map(parameter).collect();
    let learnt: Vec<Value> = answer
        .learnt
        .iter()
        .map(|row| json!({"name": row.name, "value": row.value, "about": row.about}))
        .collect();
    match args.output {
        Output::Csv => output::rows(args.output, &PARAMETERS, &parameters, None),
        Output::Json => output::json(&json!({
            "recipe": recipe.name,
            "parameters": parameters,
            "learnt": learnt,
            "evaluation": answer.evaluation.as_ref().map(evaluation),
            "sequence": answer.sequence,
        })),
        Output::Table => {
            output::rows(args.output, &PARAMETERS, &parameters, None)?;
            output::rows(args.output, &LEARNT, &learnt, None)?;
            match &answer.evaluation {
                Some(found) => print(args.output, found),
                None => {
                    eprintln!(
                        "note: it was not evaluated yet; `carteira recipe evaluate --portfolio {}` does",
                        args.portfolio.portfolio
                    );
                    Ok(())
                }
            }
        }
    }
}

/// Prints an evaluation.
pub(super) fn print(output: Output, found: &v1::Evaluation) -> anyhow::Result<()> {
    if output == Output::Json {
        return output::json(&evaluation(found));
    }
    if output == Output::Table {
        output::print(&headline(found))?;
    }
    let rows: Vec<Value> = found
        .figures
        .iter()
        .filter(|figure| figure.recipe.is_some())
        .map(|figure| match output {
            Output::Table => {
                let shown = |value: Option<f64>| {
                    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.3}"))
                };
                json!({
                    "question": figure.question,
                    "figure": figure.about,
                    "recipe": shown(figure.recipe),
                    "best_sellers": shown(figure.best_sellers),
                    "own_history": shown(figure.own_history),
                    "product_quantile": shown(figure.product_quantile),
                })
            }
            _ => json!({
                "question": figure.question,
                "figure": figure.name,
                "recipe": figure.recipe,
                "best_sellers": figure.best_sellers,
                "own_history": figure.own_history,
                "product_quantile": figure.product_quantile,
            }),
        })
        .collect();
    output::rows(output, &FIGURES, &rows, None)
}

fn headline(found: &v1::Evaluation) -> String {
    match found.cut_month.as_str() {
        "" => format!(
            "{} clients, {} products; without dates, so the potential alone was measured",
            found.clients, found.products
        ),
        month => format!(
            "{} clients, {} products; learnt from the {} days before {month}, measured on the {} days from it: {} of {} pairs were taken up",
            found.clients,
            found.products,
            found.history_days,
            found.horizon_days,
            found.adoptions,
            found.pairs
        ),
    }
}

fn parameter(parameter: &v1::RecipeParameter) -> Value {
    json!({
        "name": parameter.name,
        "value": parameter.value,
        "default_value": parameter.default_value,
        "unit": parameter.unit,
        "range": format!("{} to {}", parameter.min, parameter.max),
        "about": parameter.about,
    })
}

fn evaluation(found: &v1::Evaluation) -> Value {
    let figures: Vec<Value> = found
        .figures
        .iter()
        .map(|figure| {
            json!({
                "name": figure.name,
                "about": figure.about,
                "recipe": figure.recipe,
                "best_sellers": figure.best_sellers,
                "own_history": figure.own_history,
                "product_quantile": figure.product_quantile,
            })
        })
        .collect();
    json!({
        "cut_month": found.cut_month,
        "horizon_days": found.horizon_days,
        "history_days": found.history_days,
        "clients": found.clients,
        "judged_clients": found.judged_clients,
        "products": found.products,
        "pairs": found.pairs,
        "adoptions": found.adoptions,
        "new_money_minor": found.new_money_minor,
        "calibrated": found.calibrated,
        "overrides": found.overrides,
        "sequence": found.sequence,
        "figures": figures,
    })
}
