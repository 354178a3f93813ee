//! A portfolio's own values.

use std::collections::BTreeMap;

use super::SetArgs;
use crate::cli::connect::{block_on, explain};
use crate::cli::output;
use crate::cli::setting::overrides;
use crate::wire::v1;
use crate::wire::v1::model_service_client::ModelServiceClient;

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
