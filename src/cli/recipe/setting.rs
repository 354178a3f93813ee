//! Parameters on a command line.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::SetArgs;
use crate::cli::connect::{block_on, explain};
use crate::cli::output;
use crate::wire::v1;
use crate::wire::v1::model_service_client::ModelServiceClient;

/// `name=value`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Setting {
    name: String,
    value: f64,
}

impl FromStr for Setting {
    type Err = String;

    fn from_str(raw: &str) -> Result<Self, Self::Err> {
        let Some((name, value)) = raw.split_once('=') else {
            return Err("write NAME=VALUE, such as upsell.neighbours=50".into());
        };
        match value.trim().parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Self {
                name: name.trim().to_owned(),
                value,
            }),
            _ => Err(format!("'{value}' is not a number; write it as 0.25 or 50")),
        }
    }
}

/// Settings by name; of two for one name the last counts.
pub(super) fn overrides(settings: &[Setting]) -> BTreeMap<String, f64> {
    let entries = settings.iter();
    entries
        .map(|setting| (setting.name.clone(), setting.value))
        .collect()
}

/// Sets parameters beside those that are set already.
pub(super) fn set(args: &SetArgs) -> anyhow::Result<()> {
    let recipe = block_on(async {
        let (channel, _) = args.portfolio.open().await?;
        let mut service = ModelServiceClient::new(channel);
        let portfolio_id = args.portfolio.portfolio.clone();
        let mut all = BTreeMap::new();
        if !args.reset {
            let request = v1::GetRecipeRequest {
                portfolio_id: portfolio_id.clone(),
            };
            let answer = service.get_recipe(request).await;
            all = answer
                .map_err(|status| explain(&status))?
                .into_inner()
                .overrides;
        }
        all.extend(overrides(&args.settings));
        let request = v1::SetRecipeRequest {
            portfolio_id,
            overrides: all,
            ..Default::default()
        };
        let answer = service.set_recipe(request).await;
        let answer = answer.map_err(|status| explain(&status))?.into_inner();
        Ok(answer.recipe.unwrap_or_default())
    })?;
    let other: Vec<String> = recipe
        .parameters
        .iter()
        .filter(|parameter| parameter.value.to_bits() != parameter.default_value.to_bits())
        .map(|parameter| {
            format!(
                "{} = {} {} (the recipe: {})",
                parameter.name, parameter.value, parameter.unit, parameter.default_value
            )
        })
        .collect();
    output::print(&match other.is_empty() {
        true => format!("every parameter is as the recipe '{}' has it", recipe.name),
        false => other.join("\n"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_a_name_and_a_number() {
        let read = |raw: &str| raw.parse::<Setting>();
        let setting = read("upsell.neighbours = 50").unwrap();
        assert_eq!(
            (setting.name.as_str(), setting.value),
            ("upsell.neighbours", 50.0)
        );
        for wrong in ["upsell.neighbours", "a=", "a=b", "a=NaN", "a=1,5"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
