//! `carteira plan`: the pipeline cut to what can be worked and sold.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::connect::{PortfolioArgs, block_on, explain};
use super::import::number::money;
use super::import::reading::Reading;
use super::import::survey;
use super::import::table::Table;
use super::language::LanguageArg;
use super::output::{self, Column, Output};
use super::pipeline::{FilterArgs, KindArg};
use super::rows;
use super::usage::usage;
use crate::domain::Currency;
use crate::wire::v1;
use crate::wire::v1::recommendation_service_client::RecommendationServiceClient;

/// Offers in one answer of the server.
const PAGE: u32 = 1_000;

const OFFER: [Column; 23] = [
    Column::plain("owner", "owner"),
    Column::plain("visit", "visit"),
    Column::plain("client_id", "client"),
    Column::plain("travel_minutes", "way"),
    Column::plain("kind", "kind"),
    Column::plain("product_name", "product"),
    Column::plain("minutes", "minutes"),
    Column::money("gain_minor", "gain"),
    Column::plain("probability", "probability"),
    Column::money("priority_minor", "priority"),
    Column::plain("client_name", ""),
    Column::plain("product_id", ""),
    Column::plain("category", ""),
    Column::money("current_ticket_minor", ""),
    Column::money("potential_ticket_minor", ""),
    Column::money("low_ticket_minor", ""),
    Column::money("expected_ticket_minor", ""),
    Column::money("high_ticket_minor", ""),
    Column::plain("score", ""),
    Column::plain("neighbours", ""),
    Column::plain("neighbours_buying", ""),
    Column::plain("currency", ""),
    Column::plain("reason", ""),
];

const OWNER: [Column; 8] = [
    Column::plain("owner", "owner"),
    Column::plain("visits", "visits"),
    Column::plain("offers", "offers"),
    Column::plain("hours", "hours"),
    Column::money("value_minor", "worth"),
    Column::money("hour_worth_minor", "one more hour"),
    Column::money("offer_worth_minor", "one more offer"),
    Column::money("visit_worth_minor", "one more visit"),
];

/// Cut the pipeline to what each owner can work and what can be sold; say what one more hour is worth.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub portfolio: PortfolioArgs,
    /// Hours that each owner has, for offers and ways
    #[arg(long, value_name = "HOURS", value_parser = hours)]
    pub hours: Option<u32>,
    /// Offers that each owner can make
    #[arg(long, value_name = "N")]
    pub offers: Option<u32>,
    /// Clients that each owner can visit
    #[arg(long, value_name = "N")]
    pub visits: Option<u32>,
    /// Hours of one owner, as in ana=30; may be repeated
    #[arg(long, value_name = "OWNER=HOURS")]
    pub owner_hours: Vec<String>,
    /// Minutes that an offer takes
    #[arg(long, value_name = "MINUTES", default_value_t = 30)]
    pub minutes: u32,
    /// Minutes that an offer of a kind takes, as in cross_sell=45; may be repeated
    #[arg(long, value_name = "KIND=MINUTES")]
    pub kind_minutes: Vec<String>,
    /// Minutes to a client and back
    #[arg(long, value_name = "MINUTES", default_value_t = 0)]
    pub way: u32,
    /// The attribute that the way follows
    #[arg(
        long,
        value_name = "ATTRIBUTE",
        default_value = "region",
        requires = "way_to"
    )]
    pub way_by: String,
    /// Minutes to clients with a value of that attribute, as in south=90; may be repeated
    #[arg(long, value_name = "VALUE=MINUTES")]
    pub way_to: Vec<String>,
    /// What there is of products: product_id, amount per period
    #[arg(long, value_name = "FILE")]
    pub stock: Option<PathBuf>,
    /// How much more clients may buy: client_id, amount per period
    #[arg(long, value_name = "FILE")]
    pub credit: Option<PathBuf>,
    #[command(flatten)]
    pub filter: FilterArgs,
    #[command(flatten)]
    pub language: LanguageArg,
    /// How to print; CSV holds the offers
    #[arg(long, value_enum, default_value = "table")]
    pub output: Output,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    if args.filter.log_shown {
        return Err(usage(
            "--log-shown is not for plans; `carteira pipeline --log-shown` logs a list",
        ));
    }
    let (offers, answer, currency) = block_on(async {
        let (channel, currency) = args.portfolio.open().await?;
        let capacity = tokio::task::block_in_place(|| args.capacity(currency))?;
        let mut service = RecommendationServiceClient::new(channel);
        let mut request = v1::PlanPipelineRequest {
            portfolio_id: args.portfolio.portfolio.clone(),
            filter: Some(args.filter.to_wire(currency)?),
            capacity: Some(capacity),
            page_size: PAGE,
            page_token: String::new(),
            language: args.language.to_wire(),
        };
        let mut offers = Vec::new();
        loop {
            let answer = service.plan_pipeline(request.clone()).await;
            let mut answer = answer.map_err(|status| explain(&status))?.into_inner();
            offers.append(&mut answer.opportunities);
            request.page_token = answer.next_page_token.clone();
            if request.page_token.is_empty() {
                return Ok((offers, answer, currency));
            }
        }
    })?;
    let rows: Vec<Value> = offers
        .iter()
        .map(|offer| row(offer, currency.code()))
        .collect();
    let owners: Vec<Value> = answer.owners.iter().map(owner).collect();
    match args.output {
        Output::Csv => output::rows(args.output, &OFFER, &rows, Some(currency)),
        Output::Json => output::json(&json!({
            "opportunities": rows,
            "owners": owners,
            "stock": answer.stock.iter().map(|one| json!({
                "product_id": one.product_id,
                "amount_minor": one.amount_minor,
                "used_minor": one.used_minor,
                "unit_worth_minor": one.unit_worth_minor,
            })).collect::<Vec<_>>(),
            "considered": answer.considered,
            "available": answer.available,
            "value_minor": answer.value_minor,
            "bound_minor": answer.bound_minor,
            "currency": answer.currency,
            "notices": rows::notices(&answer.notices),
            "sequence": answer.sequence,
        })),
        Output::Table => {
            let money = |minor: i64| output::grouped(&currency.decimal(minor));
            output::print(&output::table(&OFFER, &rows, Some(currency)))?;
            output::print(&output::table(&OWNER, &owners, Some(currency)))?;
            output::print(&format!(
                "{} of {} offers, worth {}; no choice within these limits is worth more than {}",
                rows.len(),
                answer.available,
                money(answer.value_minor),
                money(answer.bound_minor),
            ))
        }
    }
}

impl Args {
    fn capacity(&self, currency: Currency) -> anyhow::Result<v1::Capacity> {
        let of_all = v1::OwnerCapacity {
            owner: String::new(),
            minutes: self.hours,
            offers: self.offers,
            visits: self.visits,
        };
        let mut owners = Vec::new();
        for one in &self.owner_hours {
            let (owner, raw) = pair("--owner-hours", one)?;
            let minutes =
                hours(raw).map_err(|error| usage(format!("--owner-hours '{one}' {error}")))?;
            owners.push(v1::OwnerCapacity {
                owner: owner.to_owned(),
                minutes: Some(minutes),
                ..of_all.clone()
            });
        }
        let mut minutes_by_kind = Vec::new();
        for one in &self.kind_minutes {
            let (kind, raw) = pair("--kind-minutes", one)?;
            let kind = <KindArg as clap::ValueEnum>::from_str(kind, true)
                .map_err(|_| usage(format!("--kind-minutes '{one}' names no kind of offer")))?;
            minutes_by_kind.push(v1::KindMinutes {
                kind: kind.to_wire().into(),
                minutes: minutes("--kind-minutes", one, raw)?,
            });
        }
        let mut travel = Vec::new();
        for one in &self.way_to {
            let (value, raw) = pair("--way-to", one)?;
            travel.push(v1::TravelMinutes {
                value: value.to_owned(),
                minutes: minutes("--way-to", one, raw)?,
            });
        }
        let amounts = |path: Option<&Path>, id: &str| match path {
            None => Ok(Vec::new()),
            Some(path) => amounts(path, id, currency),
        };
        let stock = amounts(self.stock.as_deref(), "product_id")?.into_iter();
        let credit = amounts(self.credit.as_deref(), "client_id")?.into_iter();
        Ok(v1::Capacity {
            owners,
            each_other_owner: Some(of_all),
            minutes_by_kind,
            other_minutes: self.minutes,
            travel_attribute: match travel.is_empty() {
                true => String::new(),
                false => self.way_by.clone(),
            },
            travel,
            other_travel_minutes: self.way,
            stock: stock
                .map(|(product_id, amount_minor)| v1::ProductStock {
                    product_id,
                    amount_minor,
                })
                .collect(),
            credit: credit
                .map(|(client_id, amount_minor)| v1::ClientCredit {
                    client_id,
                    amount_minor,
                })
                .collect(),
        })
    }
}

/// Hours as minutes.
fn hours(raw: &str) -> Result<u32, String> {
    let hours: f64 = raw
        .trim()
        .parse()
        .map_err(|_| "is not a number of hours".to_owned())?;
    match (0.0..=100_000.0).contains(&hours) {
        true => Ok((60.0 * hours).round() as u32),
        false => Err("must be from 0 to 100000 hours".to_owned()),
    }
}

fn minutes(flag: &str, whole: &str, raw: &str) -> anyhow::Result<u32> {
    raw.trim().parse().map_err(|_| {
        usage(format!(
            "{flag} '{whole}' must end with a number of minutes"
        ))
    })
}

fn pair<'a>(flag: &str, raw: &'a str) -> anyhow::Result<(&'a str, &'a str)> {
    raw.rsplit_once('=')
        .ok_or_else(|| usage(format!("{flag} '{raw}' has no =; write it like south=90")))
}

/// Ids with amounts, from a file.
fn amounts(path: &Path, id: &str, currency: Currency) -> anyhow::Result<Vec<(String, i64)>> {
    let decimal = survey::decimal(Reading::default(), path, &["amount"])?;
    let mut table = Table::open(path, None)?;
    table.required(id)?;
    table.required("amount")?;
    let (Some(id_at), Some(amount_at)) = (table.column(id), table.column("amount")) else {
        return Ok(Vec::new());
    };
    let mut amounts = Vec::new();
    while let Some(row) = table.next_row()? {
        let bad =
            |line: u64, reason: &str| usage(format!("line {line} of {} {reason}", path.display()));
        let row = row.map_err(|row| bad(row.line, &row.reason))?;
        let amount = money(row.fields[amount_at].trim(), decimal, currency.digits())
            .map_err(|error| bad(row.line, &format!("has an amount that {error}")))?;
        amounts.push((row.fields[id_at].trim().to_owned(), amount.minor));
    }
    Ok(amounts)
}

fn row(offer: &v1::PlannedOpportunity, currency: &str) -> Value {
    let opportunity = offer.opportunity.clone().unwrap_or_default();
    let mut row = rows::opportunity(&opportunity, currency);
    row["visit"] = json!(offer.visit);
    row["minutes"] = json!(offer.minutes);
    row["travel_minutes"] = json!(offer.travel_minutes);
    row
}

fn owner(one: &v1::OwnerPlan) -> Value {
    json!({
        "owner": one.owner,
        "visits": one.visits,
        "offers": one.offers,
        "minutes": one.minutes,
        "hours": one.minutes as f64 / 60.0,
        "value_minor": one.value_minor,
        "hour_worth_minor": one.hour_worth_minor.round() as i64,
        "offer_worth_minor": one.offer_worth_minor.round() as i64,
        "visit_worth_minor": one.visit_worth_minor.round() as i64,
    })
}
