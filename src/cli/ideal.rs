//! `carteira ideal`: what sets the best clients apart.

use serde_json::{Value, json};

use super::clients::ClientArgs;
use super::connect::{PortfolioArgs, block_on, explain};
use super::language::LanguageArg;
use super::output::{self, Column, Output};
use super::rows;
use crate::wire::v1;
use crate::wire::v1::insight_service_client::InsightServiceClient;

const TRAITS: [Column; 14] = [
    Column::plain("standing", "more frequent among"),
    Column::plain("attribute", "attribute"),
    Column::plain("values", "value"),
    Column::plain("clients", "clients"),
    Column::plain("best_clients", "best"),
    Column::plain("lift", "lift"),
    Column::plain("lift_low", "from"),
    Column::plain("lift_high", "to"),
    Column::plain("text", ""),
    Column::plain("min", ""),
    Column::plain("max", ""),
    Column::plain("known_clients", ""),
    Column::plain("known_best_clients", ""),
    Column::plain("p_value", ""),
];

/// Print what sets the best clients apart: values and ranges of attributes, with lift and support.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub portfolio: PortfolioArgs,
    #[command(flatten)]
    pub clients: ClientArgs,
    /// Also print what chance alone would do as well; JSON and CSV always hold it
    #[arg(long)]
    pub all: bool,
    #[command(flatten)]
    pub language: LanguageArg,
    /// How to print; CSV holds the traits
    #[arg(long, value_enum, default_value = "table")]
    pub output: Output,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let (profile, currency) = block_on(async {
        let request = v1::GetIdealClientProfileRequest {
            portfolio_id: args.portfolio.portfolio.clone(),
            filter: Some(args.clients.to_wire()?),
            language: args.language.to_wire(),
        };
        let (channel, currency) = args.portfolio.open().await?;
        let answer = InsightServiceClient::new(channel)
            .get_ideal_client_profile(request)
            .await;
        let profile = answer.map_err(|status| explain(&status))?.into_inner();
        Ok((profile, currency))
    })?;
    let traits: Vec<Value> = profile.traits.iter().map(row).collect();
    match args.output {
        Output::Csv => output::rows(args.output, &TRAITS, &traits, Some(currency)),
        Output::Json => output::json(&json!({
            "currency": profile.currency,
            "as_of_date": profile.as_of_date,
            "best_clients": profile.best_clients,
            "other_clients": profile.other_clients,
            "best_median_year_minor": profile.best_median_year_minor,
            "other_median_year_minor": profile.other_median_year_minor,
            "traits": traits,
            "tested": profile.tested,
            "auc": profile.auc,
            "auc_low": profile.auc_low,
            "auc_high": profile.auc_high,
            "rules": profile.rules.map(|rules| json!({
                "best_share": rules.best_share,
                "least_best": rules.least_best,
                "least_support": rules.least_support,
                "pseudo_clients": rules.pseudo_clients,
                "false_share": rules.false_share,
            })),
            "notices": rows::notices(&profile.notices),
            "sequence": profile.sequence,
        })),
        Output::Table => {
            let money = |minor: i64| output::grouped(&currency.decimal(minor));
            output::print(&format!(
                "seen from {}; {} best clients (half expected to spend {} or more a year), {} others ({})",
                profile.as_of_date,
                profile.best_clients,
                money(profile.best_median_year_minor),
                profile.other_clients,
                money(profile.other_median_year_minor),
            ))?;
            if let (Some(auc), Some(low), Some(high)) =
                (profile.auc, profile.auc_low, profile.auc_high)
            {
                output::print(&format!(
                    "all attributes together tell the best from the others with AUC {auc:.2} ({low:.2} to {high:.2}; 0.5 tells nothing)"
                ))?;
            }
            let shown: Vec<Value> = traits
                .into_iter()
                .filter(|one| args.all || one["standing"] != "not_shown")
                .collect();
            if !shown.is_empty() {
                output::print(&output::table(&TRAITS, &shown, Some(currency)))?;
            }
            for notice in &profile.notices {
                eprintln!("note: {}", notice.text);
            }
            Ok(())
        }
    }
}

fn row(one: &v1::ProfileTrait) -> Value {
    use v1::profile_trait::Values;
    let standing = one.standing().as_str_name();
    let (text, range) = match &one.values {
        Some(Values::Text(text)) => (Some(text), None),
        Some(Values::Range(range)) => (None, Some(range)),
        None => (None, None),
    };
    json!({
        "attribute": one.attribute,
        "values": match range {
            Some(range) => format!("{} to {}", range.min, range.max),
            None => text.cloned().unwrap_or_default(),
        },
        "text": text,
        "min": range.map(|range| range.min),
        "max": range.map(|range| range.max),
        "standing": standing.trim_start_matches("TRAIT_STANDING_").to_lowercase(),
        "clients": one.clients,
        "best_clients": one.best_clients,
        "known_clients": one.known_clients,
        "known_best_clients": one.known_best_clients,
        "lift": one.lift,
        "lift_low": one.lift_low,
        "lift_high": one.lift_high,
        "p_value": one.p_value,
    })
}
