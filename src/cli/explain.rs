//! `carteira explain`: the receipt of one opportunity.

use serde_json::{Value, json};

use super::connect::{PortfolioArgs, block_on, explain};
use super::language::LanguageArg;
use super::output::{self, grouped};
use super::pipeline::KindArg;
use super::rows;
use crate::domain::Currency;
use crate::wire::v1;
use crate::wire::v1::recommendation_service_client::RecommendationServiceClient;

/// How a receipt is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people
    Table,
    /// For programs
    Json,
}

/// Print what the figures of one opportunity were made of.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub portfolio: PortfolioArgs,
    /// The client
    #[arg(long, value_name = "ID")]
    pub client: String,
    /// The product
    #[arg(long, value_name = "ID")]
    pub product: String,
    /// The kind of offer [default: upsell where the client buys the product, else cross_sell]
    #[arg(long, value_enum)]
    pub kind: Option<KindArg>,
    #[command(flatten)]
    pub language: LanguageArg,
    /// How to print
    #[arg(long, value_enum, default_value = "table")]
    pub output: Format,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let (answer, currency) = block_on(async {
        let (channel, currency) = args.portfolio.open().await?;
        let request = v1::ExplainOpportunityRequest {
            portfolio_id: args.portfolio.portfolio.clone(),
            client_id: args.client.clone(),
            product_id: args.product.clone(),
            kind: args
                .kind
                .map_or(v1::OpportunityKind::Unspecified, KindArg::to_wire)
                .into(),
            language: args.language.to_wire(),
        };
        let answer = RecommendationServiceClient::new(channel)
            .explain_opportunity(request)
            .await;
        Ok((
            answer.map_err(|status| explain(&status))?.into_inner(),
            currency,
        ))
    })?;
    let opportunity = answer.opportunity.unwrap_or_default();
    let receipt = answer.receipt.unwrap_or_default();
    match args.output {
        Format::Json => output::json(&json!({
            "opportunity": rows::opportunity(&opportunity, currency.code()),
            "receipt": receipt_value(&receipt),
            "sequence": answer.sequence,
        })),
        Format::Table => output::print(&text(&opportunity, &receipt, currency)),
    }
}

fn terms(terms: &[v1::Term]) -> Value {
    let term = |term: &v1::Term| json!({ "name": term.name, "value": term.value, "coefficient": term.coefficient });
    terms.iter().map(term).collect()
}

fn receipt_value(receipt: &v1::Receipt) -> Value {
    let probability = receipt.probability.clone().unwrap_or_default();
    let priority = receipt.priority.unwrap_or_default();
    let ticket = match receipt.ticket.clone().and_then(|ticket| ticket.method) {
        None => Value::Null,
        Some(v1::ticket_receipt::Method::Linear(line)) => json!({ "linear": {
            "intercept": line.intercept,
            "terms": terms(&line.terms),
            "low_factor": line.low_factor,
            "expected_factor": line.expected_factor,
            "high_factor": line.high_factor,
            "mean_factor": line.mean_factor,
            "digits": line.rounding.unwrap_or_default().digits,
        }}),
        Some(v1::ticket_receipt::Method::Quantile(quantile)) => json!({ "quantile": {
            "ln_median": quantile.ln_median,
            "client_size": quantile.client_size,
            "size_exponent": quantile.size_exponent,
            "mix": quantile.mix,
            "deviation": quantile.deviation,
            "effective_neighbours": quantile.effective_neighbours,
            "neighbours": quantile.neighbours.iter().map(|one| json!({
                "standing": one.standing,
                "weight": one.weight,
                "residual": one.residual,
                "scaled_ticket_minor": one.scaled_ticket_minor,
                "common_products": one.common_products,
            })).collect::<Vec<_>>(),
            "prior": quantile.prior.iter().map(|one| json!({ "weight": one.weight, "residual": one.residual })).collect::<Vec<_>>(),
            "levels": quantile.levels.iter().map(|one| json!({
                "level": one.level,
                "shift": one.shift,
                "ticket_minor": one.ticket_minor,
            })).collect::<Vec<_>>(),
            "digits": quantile.rounding.unwrap_or_default().digits,
        }}),
    };
    let keep = receipt.keep.as_ref().map(|keep| {
        json!({
            "ticket_minor": keep.ticket_minor,
            "purchase_minor": keep.purchase_minor,
            "expected_gap_days": keep.expected_gap_days,
            "last_date": keep.last_date,
            "contract_end_date": keep.contract_end_date,
            "other_buyers": keep.other_buyers,
            "other_buyers_going_on": keep.other_buyers_going_on,
            "going_on_share": keep.going_on_share,
            "risk": keep.risk,
            "kept_share": keep.kept_share,
            "digits": keep.rounding.unwrap_or_default().digits,
        })
    });
    json!({
        "ticket": ticket,
        "keep": keep,
        "probability": {
            "intercept": probability.intercept,
            "terms": terms(&probability.terms),
            "calibrated": probability.calibrated,
        },
        "priority": {
            "probability": priority.probability,
            "value_minor": priority.value_minor,
            "margin_rate": priority.margin_rate,
            "contact_cost_minor": priority.contact_cost_minor,
        },
    })
}

fn text(opportunity: &v1::Opportunity, receipt: &v1::Receipt, currency: Currency) -> String {
    let money = |minor: i64| format!("{currency} {}", grouped(&currency.decimal(minor)));
    let mut lines = vec![
        opportunity.reason.clone(),
        format!(
            "ticket: {} now, P20 {}, P50 {}, P80 {}",
            money(opportunity.current_ticket_minor),
            money(opportunity.low_ticket_minor),
            money(opportunity.expected_ticket_minor),
            money(opportunity.high_ticket_minor),
        ),
    ];
    match receipt
        .ticket
        .as_ref()
        .and_then(|ticket| ticket.method.as_ref())
    {
        Some(v1::ticket_receipt::Method::Quantile(quantile)) => {
            lines.push(format!(
                "from {} similar clients, {:.1} effective; the nearest at this client's size:",
                quantile.neighbours.len(),
                quantile.effective_neighbours
            ));
            for one in quantile.neighbours.iter().take(5) {
                lines.push(format!(
                    "  {}. {} with {} products in common",
                    one.standing,
                    money(one.scaled_ticket_minor),
                    one.common_products
                ));
            }
        }
        Some(v1::ticket_receipt::Method::Linear(line)) => {
            lines.push("from a line through first purchases, in logarithms:".into());
            lines.push(format!("  constant {:+.3}", line.intercept));
            for term in &line.terms {
                lines.push(format!(
                    "  {} {:.3} × {:+.3}",
                    term.name, term.value, term.coefficient
                ));
            }
        }
        None => {}
    }
    if let Some(probability) = &receipt.probability {
        let basis = if probability.calibrated {
            "calibrated on this portfolio's history"
        } else {
            "the recipe's prior"
        };
        lines.push(format!(
            "probability: {:.3}, {basis}",
            opportunity.probability
        ));
        for term in &probability.terms {
            lines.push(format!(
                "  {} {:.3} × {:+.3}",
                term.name, term.value, term.coefficient
            ));
        }
    }
    if let Some(keep) = &receipt.keep {
        lines.push(format!(
            "at risk: {} a period × {:.2}, as other buyers go on ({} of {})",
            money(keep.ticket_minor.round() as i64),
            keep.going_on_share,
            keep.other_buyers_going_on,
            keep.other_buyers,
        ));
        lines.push(format!(
            "probability: {:.3} = {:.2} that it is lost × {:.2} that working it keeps it (the recipe's prior)",
            opportunity.probability, keep.risk, keep.kept_share
        ));
    }
    if let Some(priority) = &receipt.priority {
        lines.push(format!(
            "priority: {} = {:.3} × {} × margin {:.2} − {}",
            money(opportunity.priority_minor),
            priority.probability,
            money(priority.value_minor.round() as i64),
            priority.margin_rate,
            money(priority.contact_cost_minor.round() as i64),
        ));
    }
    lines.join("\n")
}
