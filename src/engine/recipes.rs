//! The recipe that a portfolio is scored with.

use std::sync::{Arc, LazyLock};

use super::Refusal;
use crate::domain::{Portfolio, Violation};
use crate::recommend::{Recipe, RecipeError};

/// The name of the recipe that the binary carries.
const STANDARD: &str = "standard";

/// The recipe of a portfolio, with the parameters that it sets otherwise.
pub(super) fn recipe_of(portfolio: &Portfolio) -> Result<Arc<Recipe>, Refusal> {
    static RECIPE: LazyLock<Result<Arc<Recipe>, RecipeError>> =
        LazyLock::new(|| Recipe::standard().map(Arc::new));
    let refuse =
        |field: &str, reason: String| Err(Refusal::Invalid(vec![Violation::new(field, reason)]));
    if portfolio.recipe.as_str() != STANDARD {
        let reason = format!(
            "names the recipe '{}'; there is '{STANDARD}'",
            portfolio.recipe
        );
        return refuse("portfolio.recipe", reason);
    }
    let recipe = match &*RECIPE {
        Ok(recipe) => recipe,
        Err(error) => return refuse("portfolio.recipe", error.to_string()),
    };
    if portfolio.recipe_overrides.is_empty() {
        return Ok(recipe.clone());
    }
    match recipe.with_overrides(&portfolio.recipe_overrides) {
        Ok(recipe) => Ok(Arc::new(recipe)),
        Err(error) => refuse("portfolio.recipe_overrides", error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recipe_that_the_binary_carries_is_whole() {
        Recipe::standard().unwrap();
    }
}
