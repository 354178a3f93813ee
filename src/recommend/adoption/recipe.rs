//! How adoption is estimated: section `adoption` of the recipe.

use super::history::Span;
use crate::recommend::recipe::{Parameters, RecipeError};

/// How adoption is estimated: section `adoption`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdoptionRecipe {
    /// Most similar clients that are asked.
    pub neighbours: usize,
    /// The same for a portfolio of fewer than [`AdoptionRecipe::few_clients`].
    pub neighbours_few_clients: usize,
    /// Clients from which a portfolio is no longer small.
    pub few_clients: usize,
    /// Adoptions in the back-test under which nothing is calibrated.
    pub least_adoptions: usize,
    /// Adoptions under which a second, earlier back-test is added.
    pub one_cut_from: usize,
    /// The most buyers that a product is thought to have needed to be in the catalogue.
    pub most_listed_buyers: usize,
    /// A history of fewer horizons than this teaches a shorter one.
    pub history_parts: f64,
    /// With which power of its length a horizon brings adoptions, and tickets per period shrink.
    pub stretch_exponent: f64,
    /// How fast what lasts takes over where the horizon asked for is beyond the one taught.
    pub lasting_weight: f64,
    /// Rows of prior per standardised coefficient.
    pub ridge: f64,
    /// The same for the slowing of take-up with the length of the history.
    pub history_ridge: f64,
    /// Pairs of client and product that a back-test is fitted on.
    pub sample_pairs: usize,
    /// EASE's lambda in clients.
    pub items_ridge: f64,
    /// The same from [`AdoptionRecipe::large_catalogue`] products.
    pub items_ridge_large: f64,
    /// Products from which a catalogue is large.
    pub large_catalogue: usize,
    /// Products up to which item evidence is a dense inverse.
    pub dense_products: usize,
    /// Similarity of a pseudo-neighbour that buys as the population does.
    pub share_pseudo: f64,
    /// Similarity of a pseudo-neighbour that takes up at the product's own rate.
    pub take_up_pseudo: f64,
    /// Clients at the average rate that every product's take-up starts with.
    pub take_up_pseudo_clients: f64,
    /// Pseudo-tickets that draw a client's size towards 0.
    pub size_pseudo_tickets: f64,
    /// Neighbours of average weight and no residual, in a neighbourhood's residual.
    pub residual_pseudo_neighbours: f64,
    /// Buyers at the product's usual ticket that the tickets of first-time buyers start with.
    pub first_pseudo_buyers: f64,
    /// Rows of prior per term of the mean ticket over the middle one.
    pub mean_ridge: f64,
    /// Odds of adoption over odds of a neighbour's buying, where there is nothing to calibrate on.
    pub prior_conversion: f64,
}

impl AdoptionRecipe {
    pub(in crate::recommend) fn of(parameters: &Parameters) -> Result<Self, RecipeError> {
        Ok(Self {
            neighbours: parameters.count("adoption.neighbours")?,
            neighbours_few_clients: parameters.count("adoption.neighbours_few_clients")?,
            few_clients: parameters.count("adoption.few_clients")?,
            least_adoptions: parameters.count("adoption.least_adoptions")?,
            one_cut_from: parameters.count("adoption.one_cut_from")?,
            most_listed_buyers: parameters.count("adoption.most_listed_buyers")?,
            history_parts: parameters.value("adoption.history_parts")?,
            stretch_exponent: parameters.value("adoption.stretch_exponent")?,
            lasting_weight: parameters.value("adoption.lasting_weight")?,
            ridge: parameters.value("adoption.ridge")?,
            history_ridge: parameters.value("adoption.history_ridge")?,
            sample_pairs: parameters.count("adoption.sample_pairs")?,
            items_ridge: parameters.value("adoption.items_ridge")?,
            items_ridge_large: parameters.value("adoption.items_ridge_large")?,
            large_catalogue: parameters.count("adoption.large_catalogue")?,
            dense_products: parameters.count("adoption.dense_products")?,
            share_pseudo: parameters.value("adoption.share_pseudo")?,
            take_up_pseudo: parameters.value("adoption.take_up_pseudo")?,
            take_up_pseudo_clients: parameters.value("adoption.take_up_pseudo_clients")?,
            size_pseudo_tickets: parameters.value("adoption.size_pseudo_tickets")?,
            residual_pseudo_neighbours: parameters.value("adoption.residual_pseudo_neighbours")?,
            first_pseudo_buyers: parameters.value("adoption.first_pseudo_buyers")?,
            mean_ridge: parameters.value("adoption.mean_ridge")?,
            prior_conversion: parameters.value("adoption.prior_conversion")?,
        })
    }

    pub(super) fn neighbours(&self, clients: usize) -> usize {
        if clients < self.few_clients {
            self.neighbours_few_clients
        } else {
            self.neighbours
        }
    }

    /// The share that what lasts has in a probability for one horizon, learnt on another.
    pub(super) fn lasting_share(&self, asked: Span, taught: Span) -> f64 {
        let beyond = 1.0 - taught.days() / asked.days();
        (self.lasting_weight * beyond).clamp(0.0, 1.0)
    }

    pub(super) fn items_ridge(&self, products: usize) -> f64 {
        if products < self.large_catalogue {
            self.items_ridge
        } else {
            self.items_ridge_large
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::DAYS_PER_MONTH;
    use crate::recommend::Recipe;

    #[test]
    fn what_lasts_counts_only_where_the_horizon_lies_beyond_the_one_taught() {
        let recipe = Recipe::standard().unwrap().adoption;
        let span = |horizon_days: u32| Span {
            horizon_days,
            period_days: DAYS_PER_MONTH,
        };
        let share = |asked: u32, taught: u32| recipe.lasting_share(span(asked), span(taught));
        assert!(share(90, 90) <= 0.0);
        assert!((share(100, 80) - 0.2 * recipe.lasting_weight).abs() < 1e-9);
        assert!((share(100, 1) - 1.0).abs() < 1e-9);
    }
}
