//! The figures of an evaluation on a terminal, or for programs.

use serde_json::{Value, json};

use crate::cli::output::{self, Column, Output};
use crate::evaluate::figures::FIGURES;
use crate::evaluate::measure::Calibration;
use crate::evaluate::{Evaluation, Forecaster, Foreteller, Stoppers};

/// Every forecaster has a column.
const COLUMNS: [Column; 6] = [
    Column::plain("question", "question"),
    Column::plain("figure", "figure"),
    Column::plain("recipe", "recipe"),
    Column::plain("best_sellers", "best-sellers"),
    Column::plain("own_history", "own history"),
    Column::plain("product_quantile", "product quantile"),
];

/// Who stopped, in a table.
const STOPPED: [Column; 6] = [
    Column::plain("who", "who"),
    Column::plain("figure", "figure"),
    Column::plain("recipe", "recipe"),
    Column::plain("recency", "recency"),
    Column::plain("frequency", "frequency"),
    Column::plain("rate_and_decay", "rate x decay"),
];

/// Prints it: the table with a line above it that says what was measured, everything as JSON, or
/// the table's rows as CSV.
pub(super) fn print(output: Output, evaluation: &Evaluation) -> anyhow::Result<()> {
    match output {
        Output::Json => output::json(&serde_json::to_value(evaluation)?),
        Output::Csv => output::rows(output, &COLUMNS, &rows(evaluation, Output::Csv), None),
        Output::Table => {
            output::print(&headline(evaluation))?;
            output::rows(output, &COLUMNS, &rows(evaluation, output), None)?;
            if evaluation.churn.is_empty() {
                return Ok(());
            }
            output::print("who bought nothing any more:")?;
            output::rows(output, &STOPPED, &stopped(evaluation), None)
        }
    }
}

/// A row for each figure of clients that stopped, and of single products.
fn stopped(evaluation: &Evaluation) -> Vec<Value> {
    let mut rows = Vec::new();
    for measured in &evaluation.churn {
        let who = match measured.of {
            Stoppers::Clients => "clients",
            Stoppers::Products => "products of clients",
        };
        let figures: [(&str, fn(&Calibration) -> f64); 4] = [
            ("right order of two (AUC)", |found| found.auc),
            ("squared error (Brier)", |found| found.brier),
            ("calibration error (ECE)", |found| found.ece),
            ("mean probability over the rate", |found| {
                found.mean_over_rate
            }),
        ];
        for (at, (name, figure)) in figures.into_iter().enumerate() {
            let shown = |foreteller: Foreteller| {
                let mut all = measured.foretold.iter();
                let found = all.find(|(of, _)| *of == foreteller);
                let found = found.and_then(|(_, found)| found.as_ref());
                found.map_or("–".to_owned(), |found| format!("{:.3}", figure(found)))
            };
            rows.push(json!({
                "who": if at == 0 { who } else { "" },
                "figure": name,
                "recipe": shown(Foreteller::Recipe),
                "recency": shown(Foreteller::Recency),
                "frequency": shown(Foreteller::Frequency),
                "rate_and_decay": shown(Foreteller::RateAndDecay),
            }));
        }
    }
    rows
}

fn headline(evaluation: &Evaluation) -> String {
    let book = &evaluation.book;
    match &evaluation.span {
        None => format!(
            "{} clients, {} products, {} tickets without dates; {} of them hidden and foretold from the others",
            book.clients, book.products, book.bought, book.hidden_tickets
        ),
        Some(span) => format!(
            "{} clients, {} products; learnt from the {} days before {}, measured on the {} days from it: {} of {} pairs were taken up",
            book.clients,
            book.products,
            span.history_days,
            span.cut,
            span.horizon_days,
            book.adoptions,
            book.pairs
        ),
    }
}

/// A row a figure. In a table what cannot be answered is a dash, and a question stands once.
fn rows(evaluation: &Evaluation, output: Output) -> Vec<Value> {
    let mut rows = Vec::new();
    let mut asked = "";
    for figure in &FIGURES {
        let of = |forecaster| evaluation.method(forecaster).and_then(|of| figure.of(of));
        let values = Forecaster::ALL.map(of);
        if values.iter().all(Option::is_none) {
            continue;
        }
        let [recipe, best_sellers, own_history, product_quantile] =
            values.map(|value| match output {
                Output::Table => value.map_or(json!("–"), |value| json!(format!("{value:.3}"))),
                _ => json!(value),
            });
        let (question, name) = match output {
            Output::Table if figure.question == asked => ("", figure.name),
            Output::Table => (figure.question, figure.name),
            _ => (figure.question, figure.field),
        };
        asked = figure.question;
        rows.push(json!({
            "question": question,
            "figure": name,
            "recipe": recipe,
            "best_sellers": best_sellers,
            "own_history": own_history,
            "product_quantile": product_quantile,
        }));
    }
    rows
}
