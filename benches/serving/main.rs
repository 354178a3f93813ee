//! A real server under load, beside a ceiling: a server of the same contract on the same tonic whose answers
//! stand ready.
//!
//! `cargo bench --bench serving -- M --seconds 10` (S, M, L or XL; `--rounds 5`; `import`, `recommend`, `pages`,
//! `effect`, `crowd`, `start` or `memory` for those rows alone); `cargo bench --bench serving -- hour M --minutes 60`
//! for a long mixed load.
//! A server that runs already is measured with `--endpoint URL --pid N`, by the rows that need no restart.
//! With `--test`, or without a size, everything is run once, shortly, at size S.
//!
//! Load and server share the machine: only ratios of one run mean anything.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../book/mod.rs"]
mod book;
mod ceiling;
#[path = "../../tests/common/mod.rs"]
mod common;
mod crowd;
mod effect;
mod figures;
mod files;
mod hour;
mod import;
mod load;
mod loaded;
mod pages;
mod process;
mod raw;
mod recommend;
mod start;

use std::time::Duration;

use book::Size;
use carteira::wire::v1;
use carteira::wire::v1::recommendation_service_client::RecommendationServiceClient;
use ceiling::Ceiling;
use loaded::{BOOK, Loaded, Until};
use prost::Message;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, answer, page] = arguments.as_slice()
        && first == ceiling::ARGUMENT
    {
        return ceiling::serve(answer, page).await;
    }
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let text = |name: &str| -> Option<String> {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let value = |name: &str| -> Option<f64> { text(name)?.parse().ok() };
    let once = has("--test") || !arguments.iter().any(|name| Size::named(name).is_some());
    let lasts = Duration::from_secs_f64(value("--seconds").unwrap_or(if once { 0.3 } else { 5.0 }));
    let rounds = value("--rounds").map_or(if once { 1 } else { 5 }, |rounds| rounds as usize);
    let minutes = value("--minutes").unwrap_or(if once { 0.05 } else { 60.0 });
    let rows = [
        "import",
        "recommend",
        "pages",
        "effect",
        "crowd",
        "start",
        "memory",
        "hour",
    ];
    let some = rows.iter().any(|row| has(row));
    // An hour is for those who name it.
    let wanted = |row: &str| has(row) || (!some && (once || row != "hour"));
    let needs_ceiling = wanted("recommend") || wanted("pages");
    let needs_pipeline = needs_ceiling || ["effect", "crowd", "hour"].into_iter().any(wanted);
    let until = match (needs_pipeline, once) {
        (false, _) => Until::Imported,
        (true, true) => Until::Pipeline,
        (true, false) => Until::AtRest,
    };
    for size in Size::of_arguments() {
        if wanted("import") {
            import::measure(size, rounds).await;
        }
        if !needs_pipeline && !wanted("start") && !wanted("memory") {
            continue;
        }
        let loaded = match (text("--endpoint"), value("--pid")) {
            (Some(endpoint), Some(pid)) => Loaded::found(size, &endpoint, pid as u32),
            _ => Loaded::start(size, until).await,
        };
        if needs_ceiling {
            let ceiling = beside(&loaded).await;
            if wanted("recommend") {
                recommend::measure(&loaded, &ceiling, rounds, lasts).await;
                loaded::at_rest(loaded.pid).await;
            }
            if wanted("pages") {
                pages::measure(&loaded, &ceiling, rounds, lasts).await;
            }
        }
        if wanted("effect") {
            effect::measure(&loaded, rounds, lasts).await;
        }
        if wanted("crowd") {
            crowd::measure(&loaded, lasts).await;
        }
        if wanted("hour") {
            hour::measure(&loaded, minutes).await;
        }
        if !loaded.is_found() {
            let tickets = loaded.files.tickets();
            let (data, folder) = loaded.stop();
            if wanted("hour") {
                hour::disk(&data);
            }
            if wanted("start") {
                start::measure(&data, rounds).await;
            }
            if wanted("memory") {
                start::memory(&data, tickets).await;
            }
            drop(folder);
        }
    }
}

/// A ceiling that has the answers of a server.
async fn beside(loaded: &Loaded) -> Ceiling {
    let mut service = RecommendationServiceClient::new(loaded.channel().await);
    let mut answers = Vec::new();
    for client in 0..100 {
        let request = v1::RecommendForClientRequest {
            portfolio_id: BOOK.into(),
            client_id: files::client_id(client),
            ..Default::default()
        };
        let answer = service.recommend_for_client(request).await.unwrap();
        answers.push(answer.into_inner());
    }
    answers.sort_by_key(Message::encoded_len);
    let middle = answers.swap_remove(answers.len() / 2);
    let answer = v1::RecommendWhatIfResponse {
        currency: middle.currency,
        upsell: middle.upsell,
        upsell_total_minor: middle.upsell_total_minor,
        cross_sell: middle.cross_sell,
        cross_sell_total_minor: middle.cross_sell_total_minor,
        notices: middle.notices,
        sequence: middle.sequence,
    };
    let page = service.list_opportunities(loaded::page(pages::ROWS, None));
    let page = page.await.unwrap().into_inner();
    let path = |name: &str| loaded.folder.path().join(name);
    std::fs::write(path("answer"), answer.encode_to_vec()).unwrap();
    std::fs::write(path("page"), page.encode_to_vec()).unwrap();
    Ceiling::start(&path("answer"), &path("page"))
}
