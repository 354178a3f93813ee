//! Which clients a command is about.

use super::usage::usage;
use crate::wire::v1;

/// Where clients stand.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum StateArg {
    /// They buy as they used to
    Active,
    /// Their next purchase is overdue
    Slipping,
    /// They stopped
    Inactive,
    /// Their contracts end soon
    Renewal,
    /// They have tickets without a date
    Undated,
    /// They have bought nothing
    Prospect,
}

/// What to do with clients next.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum LifeCycleArg {
    /// Win them
    Acquisition,
    /// Keep them
    Retention,
    /// They are loyal
    Loyalty,
    /// Win them back
    Recovery,
}

/// Tiers of value.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum TierArg {
    /// Most of the money
    #[value(alias = "A")]
    A,
    /// Most of the rest
    #[value(alias = "B")]
    B,
    /// All others
    #[value(alias = "C")]
    C,
}

/// Which clients.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ClientArgs {
    /// Only clients of this owner; may be repeated
    #[arg(long)]
    pub owner: Vec<String>,
    /// Only this client, by id; may be repeated
    #[arg(long, value_name = "ID")]
    pub client: Vec<String>,
    /// Only clients with this attribute: name=value, name>=number or name<=number; may be repeated
    #[arg(long, value_name = "CONDITION")]
    pub attribute: Vec<String>,
    /// Only clients that stand here; may be repeated
    #[arg(long, value_enum)]
    pub state: Vec<StateArg>,
    /// Only clients at this place of the life cycle; may be repeated
    #[arg(long, value_enum)]
    pub life_cycle: Vec<LifeCycleArg>,
    /// Only clients of this tier of value; may be repeated
    #[arg(long, value_enum)]
    pub tier: Vec<TierArg>,
    /// Only clients of this segment, by its id; see `carteira segments`; may be repeated
    #[arg(long, value_name = "ID")]
    pub segment: Vec<String>,
    /// Only clients that buy nothing within the horizon with at least this probability, 0 to 1
    #[arg(long, value_name = "P")]
    pub min_churn: Option<f64>,
}

impl ClientArgs {
    /// The filter that they name.
    pub fn to_wire(&self) -> anyhow::Result<v1::ClientFilter> {
        let state = |state: &StateArg| match state {
            StateArg::Active => v1::ClientState::Active.into(),
            StateArg::Slipping => v1::ClientState::Slipping.into(),
            StateArg::Inactive => v1::ClientState::Inactive.into(),
            StateArg::Renewal => v1::ClientState::Renewal.into(),
            StateArg::Undated => v1::ClientState::Undated.into(),
            StateArg::Prospect => v1::ClientState::Prospect.into(),
        };
        let life_cycle = |life_cycle: &LifeCycleArg| match life_cycle {
            LifeCycleArg::Acquisition => v1::LifeCycle::Acquisition.into(),
            LifeCycleArg::Retention => v1::LifeCycle::Retention.into(),
            LifeCycleArg::Loyalty => v1::LifeCycle::Loyalty.into(),
            LifeCycleArg::Recovery => v1::LifeCycle::Recovery.into(),
        };
        let tier = |tier: &TierArg| match tier {
            TierArg::A => v1::ValueTier::A.into(),
            TierArg::B => v1::ValueTier::B.into(),
            TierArg::C => v1::ValueTier::C.into(),
        };
        Ok(v1::ClientFilter {
            client_ids: self.client.clone(),
            owners: self.owner.clone(),
            attributes: attributes(&self.attribute)?,
            states: self.state.iter().map(state).collect(),
            life_cycles: self.life_cycle.iter().map(life_cycle).collect(),
            tiers: self.tier.iter().map(tier).collect(),
            min_churn_probability: self.min_churn.unwrap_or(0.0),
            segment_ids: self.segment.clone(),
        })
    }
}

/// Conditions on attributes; several `name=value` of one name are alternatives.
fn attributes(conditions: &[String]) -> anyhow::Result<Vec<v1::AttributeFilter>> {
    let mut filters: Vec<v1::AttributeFilter> = Vec::new();
    let mut of = |name: &str| -> usize {
        let name = name.trim();
        let at = filters
            .iter()
            .position(|filter| filter.name == name)
            .unwrap_or(filters.len());
        if at == filters.len() {
            filters.push(v1::AttributeFilter {
                name: name.to_owned(),
                ..v1::AttributeFilter::default()
            });
        }
        at
    };
    let mut edits = Vec::new();
    for condition in conditions {
        if let Some((name, number)) = condition.split_once(">=") {
            edits.push((of(name), Some(number), None, None));
        } else if let Some((name, number)) = condition.split_once("<=") {
            edits.push((of(name), None, Some(number), None));
        } else if let Some((name, value)) = condition.split_once('=') {
            edits.push((of(name), None, None, Some(value)));
        } else {
            return Err(usage(format!(
                "--attribute '{condition}' is no condition; write name=value, name>=number or name<=number"
            )));
        }
    }
    let number = |raw: &str| {
        let number = raw.trim().parse::<f64>().ok();
        number.filter(|number| number.is_finite()).ok_or_else(|| {
            usage(format!(
                "'{raw}' in --attribute is not a number; write it like staff>=10"
            ))
        })
    };
    for (at, min, max, value) in edits {
        let filter = &mut filters[at];
        if let Some(min) = min {
            filter.min = Some(number(min)?);
        }
        if let Some(max) = max {
            filter.max = Some(number(max)?);
        }
        filter
            .values
            .extend(value.map(|value| value.trim().to_owned()));
    }
    Ok(filters)
}
