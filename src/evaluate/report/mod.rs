//! An evaluation as one page that needs nothing else: no script, font or image from outside.
//!
//! Each plot stands under a sentence that says what it shows, over a table of the same figures.
//! Names and attribute values come from users; all text is escaped by the templates.

mod bars;
mod dots;
mod lines;
mod scale;
mod sections;
mod text;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::Evaluation;
use crate::domain::{ClientNo, ProductNo};

/// Colours and widths, for light and dark screens and for paper.
const STYLE: &str = include_str!("style.css");

/// What to call things in a page.
pub struct Names<'a> {
    /// The book, such as the folder it was read from.
    pub book: &'a str,
    /// A client, by its number in the book that was evaluated.
    pub client: &'a dyn Fn(ClientNo) -> String,
    /// A product.
    pub product: &'a dyn Fn(ProductNo) -> String,
}

/// What a client or product is called: its name with its id, or its id alone.
pub fn called(id: &str, name: &str) -> String {
    match name.is_empty() {
        true => id.to_owned(),
        false => format!("{name} ({id})"),
    }
}

/// The page, as HTML.
pub fn report(evaluation: &Evaluation, names: &Names<'_>) -> String {
    let title = match names.book {
        "" | "." => "Proof on a history".to_owned(),
        book => format!("Proof on the history of {book}"),
    };
    let sections: [Option<Markup>; 8] = [
        sections::verdict(evaluation),
        sections::money(evaluation),
        sections::probability(evaluation),
        sections::ticket(evaluation),
        sections::potential(evaluation),
        sections::segments(evaluation),
        sections::first(evaluation, names),
        Some(sections::all_figures(evaluation)),
    ];
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="generator" content={ "carteira " (env!("CARGO_PKG_VERSION")) };
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    h1 { (title) }
                    (sections::span(evaluation))
                    @for section in sections.into_iter().flatten() { (section) }
                    footer {
                        "Made by carteira " (env!("CARGO_PKG_VERSION"))
                        ". The same files, cut and recipe give the same page."
                    }
                }
            }
        }
    };
    page.into_string()
}
