//! `carteira prospects`: companies that do not buy yet, ranked.

use std::cmp::Reverse;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::connect::{PortfolioArgs, block_on, explain};
use super::import::Dialect;
use super::import::clients::Clients;
use super::language::LanguageArg;
use super::output::{self, Column, Output};
use super::rows;
use super::usage::usage;
use crate::wire::v1;
use crate::wire::v1::insight_service_client::InsightServiceClient;

/// The column of the id.
const ID: &str = "prospect_id";
/// Prospects in one request.
const BATCH: usize = 1_000;
/// At most this many bad rows are named.
const NAMED: usize = 10;

const PROSPECT: [Column; 12] = [
    Column::plain("prospect_id", "prospect"),
    Column::plain("name", "name"),
    Column::plain("fit", "fit"),
    Column::money("expected_minor", "expected"),
    Column::money("expected_year_minor", "first year"),
    Column::plain("would_buy", "would buy"),
    Column::plain("disqualified", "not worth a call"),
    Column::plain("difference", ""),
    Column::plain("known_attributes", ""),
    Column::plain("unknown_attributes", ""),
    Column::plain("fit_terms", ""),
    Column::plain("products", ""),
];

/// What the list is ordered by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum OrderArg {
    /// How much they look like the best clients
    #[default]
    Fit,
    /// Expected value
    Value,
}

/// Rank companies that do not buy yet: how much they look like the best clients, what they would buy.
///
/// Nothing of them is written. The file holds prospect_id, optional name, then any attributes, named as
/// those of the clients are.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub portfolio: PortfolioArgs,
    /// Prospects: prospect_id, name, then any attributes
    #[arg(long, value_name = "FILE")]
    pub file: PathBuf,
    #[command(flatten)]
    pub dialect: Dialect,
    /// At most this many; 0 for all
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub limit: usize,
    /// At most this many products of each
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub products: u32,
    /// What to order by
    #[arg(long, value_enum, default_value = "fit")]
    pub order: OrderArg,
    #[command(flatten)]
    pub language: LanguageArg,
    /// How to print
    #[arg(long, value_enum, default_value = "table")]
    pub output: Output,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let (mut ranked, notices, currency) = block_on(async {
        let prospects = tokio::task::block_in_place(|| read(args))?;
        let (channel, currency) = args.portfolio.open().await?;
        let mut service = InsightServiceClient::new(channel);
        let (mut ranked, mut notices) = (Vec::new(), Vec::new());
        for batch in prospects.chunks(BATCH) {
            let request = v1::RankProspectsRequest {
                portfolio_id: args.portfolio.portfolio.clone(),
                prospects: batch.to_vec(),
                max_products: args.products,
                order: order(args.order).into(),
                language: args.language.to_wire(),
            };
            let answer = service.rank_prospects(request).await;
            let answer = answer.map_err(|status| explain(&status))?.into_inner();
            ranked.extend(answer.prospects);
            notices = answer.notices;
        }
        Ok((ranked, notices, currency))
    })?;
    // Each answer is in order; several become one list.
    ranked.sort_by_key(|one| Reverse(one.expected_minor));
    if args.order == OrderArg::Fit {
        ranked.sort_by(|a, b| b.fit.unwrap_or(0.0).total_cmp(&a.fit.unwrap_or(0.0)));
    }
    ranked.sort_by_key(|one| !one.disqualifications.is_empty());
    if args.limit > 0 {
        ranked.truncate(args.limit);
    }
    let rows: Vec<Value> = ranked.iter().map(|one| row(one, currency.code())).collect();
    output::rows(args.output, &PROSPECT, &rows, Some(currency))?;
    for notice in notices {
        eprintln!("note: {}", notice.text);
    }
    Ok(())
}

fn order(order: OrderArg) -> v1::ProspectOrder {
    match order {
        OrderArg::Fit => v1::ProspectOrder::Fit,
        OrderArg::Value => v1::ProspectOrder::Value,
    }
}

/// All prospects of the file; an error that names the first rows that cannot be read.
fn read(args: &Args) -> anyhow::Result<Vec<v1::Prospect>> {
    let clients = Clients::open_by(ID, args.dialect.reading(false), &args.file)?;
    let (mut prospects, mut bad) = (Vec::new(), Vec::new());
    clients.read(|row| match row {
        Ok(client) => prospects.push(v1::Prospect {
            prospect_id: client.client_id,
            name: client.name,
            attributes: client.attributes,
        }),
        Err(row) => bad.push(format!("  line {}: {}", row.line, row.reason)),
    })?;
    if !bad.is_empty() {
        let count = bad.len();
        bad.truncate(NAMED);
        return Err(usage(format!(
            "{count} rows of {} cannot be read, so nothing was asked; mend them first:\n{}",
            args.file.display(),
            bad.join("\n")
        )));
    }
    if prospects.is_empty() {
        return Err(usage(format!("{} has no rows", args.file.display())));
    }
    Ok(prospects)
}

fn row(one: &v1::RankedProspect, currency: &str) -> Value {
    let products: Vec<Value> = one
        .products
        .iter()
        .map(|product| rows::opportunity(product, currency))
        .collect();
    let names: Vec<&str> = products
        .iter()
        .filter_map(|product| product["product_name"].as_str())
        .collect();
    let codes: Vec<String> = one
        .disqualifications
        .iter()
        .map(|one| {
            let code = one.code().as_str_name();
            code.trim_start_matches("DISQUALIFICATION_CODE_")
                .to_lowercase()
        })
        .collect();
    json!({
        "prospect_id": one.prospect_id,
        "name": one.name,
        "fit": one.fit,
        "expected_minor": one.expected_minor,
        "expected_year_minor": one.expected_year_minor,
        "would_buy": names.join(", "),
        "disqualified": codes.join(", "),
        "disqualifications": one.disqualifications.iter().zip(&codes).map(|(one, code)| json!({
            "code": code,
            "text": one.text,
        })).collect::<Vec<_>>(),
        "difference": one.difference,
        "known_attributes": one.known_attributes,
        "unknown_attributes": one.unknown_attributes,
        "fit_terms": one.fit_terms.iter().map(|term| json!({
            "attribute": term.attribute,
            "log_lift": term.log_lift,
        })).collect::<Vec<_>>(),
        "products": products,
    })
}
