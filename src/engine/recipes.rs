//! The recipe that a portfolio is scored with.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use super::Refusal;
use crate::domain::{Portfolio, Text, Violation};
use crate::recommend::{Recipe, RecipeError};

/// The name of the recipe that the binary carries.
const STANDARD: &str = "standard";

/// The recipe of a portfolio, with the parameters that it sets otherwise.
pub fn recipe_of(portfolio: &Portfolio) -> Result<Arc<Recipe>, Refusal> {
    if portfolio.recipe.as_str() != STANDARD {
        let reason = format!(
            "names the recipe '{}'; there is '{STANDARD}'",
            portfolio.recipe
        );
        let violation = Violation::new("portfolio.recipe", reason);
        return Err(Refusal::Invalid(vec![violation]));
    }
    recipe_with(&portfolio.recipe_overrides, "portfolio.recipe_overrides")
}

/// The standard recipe with some parameters set otherwise; `field` names them in a refusal.
pub fn recipe_with(overrides: &BTreeMap<Text, f64>, field: &str) -> Result<Arc<Recipe>, Refusal> {
    static RECIPE: LazyLock<Result<Arc<Recipe>, RecipeError>> =
        LazyLock::new(|| Recipe::standard().map(Arc::new));
    let refuse =
        |error: &RecipeError| Refusal::Invalid(vec![Violation::new(field, error.to_string())]);
    let recipe = RECIPE.as_ref().map_err(refuse)?;
    if overrides.is_empty() {
        return Ok(recipe.clone());
    }
    let changed = recipe.with_overrides(overrides);
    changed.map(Arc::new).map_err(|error| refuse(&error))
}

/// All recipes that the binary carries, by name.
pub fn recipes() -> Result<Vec<(&'static str, Arc<Recipe>)>, Refusal> {
    Ok(vec![(STANDARD, recipe_with(&BTreeMap::new(), "recipe")?)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recipe_that_the_binary_carries_is_whole() {
        Recipe::standard().unwrap();
    }
}
