//! `carteira pipeline`: the prioritised list, filtered.

use tonic::Streaming;

use super::clients::ClientArgs;
use super::connect::{PortfolioArgs, block_on, explain};
use super::language::LanguageArg;
use super::output::{self, Output};
use super::rows;
use super::usage::usage;
use crate::domain::Currency;
use crate::wire::v1;
use crate::wire::v1::recommendation_service_client::RecommendationServiceClient;

/// What the list is ordered by.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
pub enum OrderArg {
    /// Expected value of working it
    #[default]
    Priority,
    /// Gain
    Gain,
    /// Probability of success
    Probability,
}

/// Kinds of offers.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum KindArg {
    /// More of what a client buys
    Upsell,
    /// What it does not buy but would
    #[value(alias = "cross-sell")]
    CrossSell,
    /// A product whose next purchase is overdue
    Lapse,
    /// What is bought under a contract that ends soon
    Renewal,
    /// What a client that stopped used to buy
    #[value(alias = "win-back")]
    WinBack,
}

impl KindArg {
    /// As the contract numbers it.
    pub fn to_wire(self) -> v1::OpportunityKind {
        match self {
            Self::Upsell => v1::OpportunityKind::Upsell,
            Self::CrossSell => v1::OpportunityKind::CrossSell,
            Self::Lapse => v1::OpportunityKind::Lapse,
            Self::Renewal => v1::OpportunityKind::Renewal,
            Self::WinBack => v1::OpportunityKind::WinBack,
        }
    }
}

/// Which opportunities.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct FilterArgs {
    /// Only this kind; may be repeated
    #[arg(long, value_enum)]
    pub kind: Vec<KindArg>,
    /// Only this product, by id; may be repeated
    #[arg(long, value_name = "ID")]
    pub product: Vec<String>,
    /// Only products of this category; may be repeated
    #[arg(long)]
    pub category: Vec<String>,
    #[command(flatten)]
    pub clients: ClientArgs,
    /// Only gains of at least this much, in whole units such as 1000.00
    #[arg(long, value_name = "AMOUNT")]
    pub min_gain: Option<String>,
    /// Only probabilities of at least this, 0 to 1
    #[arg(long, value_name = "P")]
    pub min_probability: Option<f64>,
    /// What to order by, best first
    #[arg(long, value_enum, default_value = "priority")]
    pub order: OrderArg,
    /// Log the rows as shown today, so that `carteira effect` can say what showing earns
    #[arg(long)]
    pub log_shown: bool,
}

/// Print the opportunities of all clients, in the order in which to work them.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub portfolio: PortfolioArgs,
    /// At most this many; 0 for all
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub limit: u64,
    #[command(flatten)]
    pub filter: FilterArgs,
    #[command(flatten)]
    pub language: LanguageArg,
    /// How to print
    #[arg(long, value_enum, default_value = "table")]
    pub output: Output,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let (opportunities, currency) = block_on(fetch(
        &args.portfolio,
        &args.filter,
        args.language,
        args.limit,
    ))?;
    let values: Vec<_> = opportunities
        .iter()
        .map(|row| rows::opportunity(row, currency.code()))
        .collect();
    output::rows(args.output, &rows::OPPORTUNITY, &values, Some(currency))?;
    if values.is_empty() && args.output == Output::Table {
        eprintln!(
            "no opportunity meets the conditions; `carteira recommend` says why a client has none"
        );
    }
    Ok(())
}

/// The first opportunities, all of them for a limit of 0.
pub async fn fetch(
    portfolio: &PortfolioArgs,
    filter: &FilterArgs,
    language: LanguageArg,
    limit: u64,
) -> anyhow::Result<(Vec<v1::Opportunity>, Currency)> {
    let (mut stream, currency) = stream(portfolio, filter, language, limit).await?;
    let mut opportunities = Vec::new();
    while let Some(message) = stream.message().await.map_err(|status| explain(&status))? {
        opportunities.extend(message.opportunities);
    }
    Ok((opportunities, currency))
}

/// Opportunities as the server streams them.
pub async fn stream(
    portfolio: &PortfolioArgs,
    filter: &FilterArgs,
    language: LanguageArg,
    limit: u64,
) -> anyhow::Result<(Streaming<v1::StreamOpportunitiesResponse>, Currency)> {
    let (channel, currency) = portfolio.open().await?;
    let order = match filter.order {
        OrderArg::Priority => v1::OpportunityOrder::Priority,
        OrderArg::Gain => v1::OpportunityOrder::Gain,
        OrderArg::Probability => v1::OpportunityOrder::Probability,
    };
    let request = v1::StreamOpportunitiesRequest {
        portfolio_id: portfolio.portfolio.clone(),
        filter: Some(filter.to_wire(currency)?),
        order: order.into(),
        limit,
        language: language.to_wire(),
        log_shown: filter.log_shown,
    };
    let mut service = RecommendationServiceClient::new(channel);
    let stream = service.stream_opportunities(request).await;
    let stream = stream.map_err(|status| explain(&status))?.into_inner();
    Ok((stream, currency))
}

impl FilterArgs {
    /// The filter that they name.
    pub fn to_wire(&self, currency: Currency) -> anyhow::Result<v1::OpportunityFilter> {
        use super::import::{Decimal, scaled};
        let min_gain_minor = match &self.min_gain {
            None => 0,
            Some(raw) => scaled(raw, Decimal::Point, currency.digits()).map_err(|error| {
                usage(format!("--min-gain '{raw}' {error}; write it like 1000.00"))
            })?,
        };
        let clients = self.clients.to_wire()?;
        Ok(v1::OpportunityFilter {
            kinds: self.kind.iter().map(|kind| kind.to_wire().into()).collect(),
            product_ids: self.product.clone(),
            categories: self.category.clone(),
            owners: clients.owners,
            client_ids: clients.client_ids,
            attributes: clients.attributes,
            min_gain_minor,
            min_probability: self.min_probability.unwrap_or(0.0),
            states: clients.states,
            life_cycles: clients.life_cycles,
            tiers: clients.tiers,
            min_churn_probability: clients.min_churn_probability,
            segment_ids: clients.segment_ids,
        })
    }
}
