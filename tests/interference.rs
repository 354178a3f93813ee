//! Nothing crosses from one portfolio to another: random sequences of calls on three portfolios that share
//! every id, every name of a request and every name of a sale, against a server that has the first of them
//! alone. What the first one answers is the same, byte for byte.
//!
//! `CARTEIRA_FAULTS` multiplies the sequences, `CARTEIRA_SEED` repeats them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::contract::{Call, Contract, Fill};
use common::faults::{seed_of, tell, times_more};
use common::raw::{Answered, call};
use common::{Server, data_dir, mix};
use prost_types::field_descriptor_proto::{Label, Type};
use tonic::Code;
use tonic::transport::Channel;

const SEQUENCES: u64 = 10_000;
/// Calls of one sequence, over all three portfolios.
const CALLS: u64 = 6;
/// Threes of portfolios side by side, each with its share of the sequences.
const LANES: u64 = 40;

/// Calls whose answers are not of one portfolio's data alone: all portfolios, secrets drawn at random,
/// figures of when a background fit was done.
const LEFT_OUT: [&str; 6] = [
    "PortfolioService/ListPortfolios",
    "PortfolioService/CreateApiKey",
    "ModelService/GetRecipe",
    "ModelService/EvaluateRecipe",
    "ModelService/GetEvaluation",
    "TicketService/StreamSales",
];

/// How often a call is drawn: what computes waits for the processor, what founds and ends would leave no
/// book.
fn weight(name: &str) -> u64 {
    match name {
        "PortfolioService/CreatePortfolio" | "PortfolioService/DeletePortfolio" => 1,
        "CatalogService/BatchUpsertClients"
        | "CatalogService/BatchUpsertProducts"
        | "TicketService/RecordSales" => 24,
        _ if name.starts_with("RecommendationService")
            || name.starts_with("OutcomeService/Get") =>
        {
            2
        }
        _ => 8,
    }
}

/// One call: the same for whichever portfolio it is sent to.
struct Drawn<'a> {
    call: &'a Call,
    seed: u64,
}

impl Drawn<'_> {
    fn bytes(&self, contract: &Contract, portfolio: &str) -> Vec<u8> {
        let mut at = 0;
        contract.encode(&self.call.request, &mut |(message, field)| {
            at += 1;
            let draw = mix(self.seed.wrapping_add(at * 7_919));
            let one_of = |prefix: &str, many: u64| Fill::Text(format!("{prefix}{}", draw % many));
            // One text in two hundred is wrong.
            let wrong = (draw / 1_000).is_multiple_of(200);
            let date = format!("2026-{:02}-{:02}", draw % 9 + 1, draw / 10 % 28 + 1);
            match (field.name(), field.label()) {
                ("recipe_overrides" | "overrides", _) => Fill::Nothing,
                (
                    "tickets" | "client_ids" | "owners" | "attributes" | "categories"
                    | "product_ids" | "kinds" | "states" | "life_cycles" | "tiers" | "results",
                    Label::Repeated,
                ) => Fill::Times((draw % 2) as usize),
                (_, Label::Repeated) => Fill::Times((draw % 3 + 1) as usize),
                ("portfolio_id", _) => Fill::Text(portfolio.to_owned()),
                (_, _) if wrong && field.r#type() == Type::String => one_of("wrong\u{7}", 3),
                ("client_id" | "client_ids", _) => one_of("c", 8),
                ("product_id" | "product_ids", _) => one_of("p", 5),
                ("request_id", _) if !draw.is_multiple_of(3) => one_of("request ", 400),
                ("sale_id", _) if !draw.is_multiple_of(3) => one_of("sale ", 60),
                ("owner" | "owners", _) => one_of("owner ", 3),
                ("category" | "categories", _) => one_of("family ", 2),
                ("key" | "value" | "text" | "values", _) if field.r#type() == Type::String => {
                    one_of("attribute ", 3)
                }
                ("name", _) if message == "AttributeFilter" => one_of("attribute ", 3),
                ("name" | "note", _) => one_of("name ", 1_000),
                ("update_fields", _) => Fill::Text("name".into()),
                ("currency", _) => Fill::Text("BRL".into()),
                ("recipe", _) => Fill::Text("standard".into()),
                ("date" | "from_date", _) => Fill::Text(date),
                ("end_date" | "until_date" | "to_date", _) => {
                    Fill::Text(format!("2026-12-{:02}", draw % 28 + 1))
                }
                ("key_id", _) => Fill::Text("0123456789abcdef".into()),
                // Tokens are drawn at random by each server; the first page is asked for.
                (
                    "page_token"
                    | "group_by"
                    | "segment_attribute"
                    | "needs_product_id"
                    | "upgrade_of_product_id"
                    | "min_gain_minor",
                    _,
                ) => Fill::Nothing,
                ("page_size" | "max_per_kind" | "max_clients" | "limit", _) => {
                    Fill::Whole((draw % 7) as i64)
                }
                ("window_months", _) => Fill::Whole((draw % 6 + 3) as i64),
                (_, _) => match field.r#type() {
                    Type::Message => Fill::Times(1),
                    Type::String => Fill::Nothing,
                    Type::Double => Fill::Float((draw % 100) as f64 / 200.0),
                    Type::Enum => Fill::Whole((draw % 3) as i64),
                    Type::Bool => Fill::Whole((draw % 2) as i64),
                    _ => Fill::Whole((draw % 50_000 + 1) as i64),
                },
            }
        })
    }
}

/// Places of the next page are numbers drawn when a server starts; whether there is one must be the same.
fn without_tokens(mut answered: Answered) -> Answered {
    use carteira::wire::v1;
    use prost::Message;
    macro_rules! blank {
        ($($response:ident)*) => {
            for message in &mut answered.messages {
                let mut blanked = None;
                $(if let Ok(mut read) = v1::$response::decode(message.as_slice())
                    && read.encode_to_vec() == *message
                    && read.next_page_token.len() > 20
                {
                    read.next_page_token = "there is a next page".into();
                    blanked = Some(read.encode_to_vec());
                })*
                if let Some(blanked) = blanked {
                    *message = blanked;
                }
            }
        };
    }
    blank!(ListOpportunitiesResponse ListClientInsightsResponse ListOutcomesResponse);
    answered
}

/// What one lane found.
#[derive(Default)]
struct Found {
    calls: u64,
    compared: u64,
    answered_well: u64,
    by_call: BTreeMap<String, u64>,
}

/// Sequences on one three of portfolios, one after another.
async fn lane(
    contract: Arc<Contract>,
    drawn_from: Arc<Vec<usize>>,
    [all, alone]: [Channel; 2],
    seed: u64,
    lane: u64,
    sequences: u64,
) -> Found {
    let names = ["a", "b", "c"].map(|letter| format!("{letter}{lane}"));
    let mut found = Found::default();
    for sequence in 0..sequences {
        let mut of_each: [Vec<Drawn<'_>>; 3] = Default::default();
        // Founded at first, and again where one of them was removed.
        let founding = contract
            .calls
            .iter()
            .filter(|call| sequence % 5 == 0 && call.path.ends_with("/CreatePortfolio"));
        for call in founding {
            for of in &mut of_each {
                of.push(Drawn { call, seed: lane });
            }
        }
        for at in 0..CALLS {
            let draw = mix(seed ^ mix(lane * 1_000_003 + sequence * 31 + at));
            let call = &contract.calls[drawn_from[(draw / 8) as usize % drawn_from.len()]];
            of_each[(draw % 3) as usize].push(Drawn { call, seed: draw });
        }
        let run = async |channel: &Channel, portfolio: &str, drawn: &[Drawn<'_>]| {
            let mut answers = Vec::new();
            for one in drawn {
                let bytes = one.bytes(&contract, portfolio);
                answers.push(call(channel, &one.call.path, bytes, None).await);
            }
            answers
        };
        let [a, b, c] = &of_each;
        let (beside, _, _, by_itself) = tokio::join!(
            run(&all, &names[0], a),
            run(&all, &names[1], b),
            run(&all, &names[2], c),
            run(&alone, &names[0], a),
        );
        found.calls += (b.len() + c.len() + 2 * a.len()) as u64;
        for ((one, beside), by_itself) in a.iter().zip(beside).zip(by_itself) {
            let path = &one.call.path;
            found.compared += 1;
            found.answered_well += u64::from(beside.code == Code::Ok);
            if beside.code == Code::Ok {
                *found.by_call.entry(path.clone()).or_default() += 1;
            }
            assert!(
                !matches!(
                    beside.code,
                    Code::Internal | Code::Unknown | Code::Unavailable
                ),
                "{path}: {beside:?}"
            );
            assert_eq!(
                without_tokens(beside),
                without_tokens(by_itself),
                "{path} of lane {lane}, sequence {sequence} (seed {seed})"
            );
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_portfolio_answers_the_same_bytes_whatever_others_do() {
    let seed = seed_of("sequences over three portfolios");
    let contract = Arc::new(Contract::read());
    let mut drawn_from = Vec::new();
    for (at, call) in contract.calls.iter().enumerate() {
        if !LEFT_OUT.contains(&call.name()) {
            drawn_from.extend((0..weight(call.name())).map(|_| at));
        }
    }
    let drawn_from = Arc::new(drawn_from);
    let folder = tempfile::tempdir().unwrap();
    let all = Server::start(&data_dir(&folder).join("all"));
    let alone = Server::start(&data_dir(&folder).join("alone"));
    let channels = [all.channel().await, alone.channel().await];
    let sequences = SEQUENCES * times_more();
    let lanes: Vec<_> = (0..LANES)
        .map(|at| {
            tokio::spawn(lane(
                contract.clone(),
                drawn_from.clone(),
                channels.clone(),
                seed,
                at,
                sequences / LANES,
            ))
        })
        .collect();
    let mut sum = Found::default();
    for lane in lanes {
        let found = lane.await.unwrap();
        sum.calls += found.calls;
        sum.compared += found.compared;
        sum.answered_well += found.answered_well;
        for (path, times) in found.by_call {
            *sum.by_call.entry(path).or_default() += times;
        }
    }
    tell(format_args!(
        "{sequences} sequences, {} calls, {} answers of one portfolio the same with and without the others ({} of them OK, of {} kinds of call)",
        sum.calls,
        sum.compared,
        sum.answered_well,
        sum.by_call.len()
    ));
    // Half must be of substance, and nearly every kind of call.
    assert!(sum.answered_well * 2 > sum.compared, "{:?}", sum.by_call);
    assert!(sum.by_call.len() > 25, "{:?}", sum.by_call);
    all.terminate();
    alone.terminate();
}
