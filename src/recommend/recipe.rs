//! The recipe: every number that shapes a score, named, with unit, range and reason.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::domain::Text;

use super::adoption::AdoptionRecipe;
use super::ideal_recipe::{IdealRecipe, ProspectsRecipe};
use super::keep_recipe::KeepRecipe;

/// The recipe that the binary carries.
const STANDARD: &str = include_str!("../../models/standard/recipe.toml");

/// Why a recipe cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RecipeError {
    /// The file is not what a recipe looks like.
    #[error("the recipe is not readable: {0}")]
    Unreadable(String),
    /// A parameter that the scoring needs is not in it.
    #[error("the recipe lacks the parameter `{0}`")]
    Missing(String),
    /// An override names no parameter.
    #[error("the recipe has no parameter `{0}`")]
    Unknown(String),
    /// A value outside the parameter's range.
    #[error("`{name}` is {value}; it must be from {low} to {high} {unit}")]
    OutOfRange {
        /// The parameter.
        name: String,
        /// The value given.
        value: f64,
        /// The least it may be.
        low: f64,
        /// The most it may be.
        high: f64,
        /// What it is counted in.
        unit: String,
    },
}

/// One number of a recipe.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// The number.
    pub value: f64,
    /// What it is counted in.
    pub unit: String,
    /// The least and the most it may be.
    pub range: [f64; 2],
    /// What it does, and why it is what it is.
    pub about: String,
}

/// All numbers of a recipe, by name (`section.parameter`).
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters(BTreeMap<String, Parameter>);

impl Parameters {
    /// Reads a recipe file. Every value must lie in its own range.
    pub fn parse(toml: &str) -> Result<Self, RecipeError> {
        let sections: BTreeMap<String, BTreeMap<String, Parameter>> =
            toml::from_str(toml).map_err(|error| RecipeError::Unreadable(error.to_string()))?;
        let mut parameters = BTreeMap::new();
        for (section, entries) in sections {
            for (name, parameter) in entries {
                let name = format!("{section}.{name}");
                parameter.check(&name, parameter.value)?;
                parameters.insert(name, parameter);
            }
        }
        Ok(Self(parameters))
    }

    /// One number by its full name.
    pub fn value(&self, name: &str) -> Result<f64, RecipeError> {
        match self.0.get(name) {
            Some(parameter) => Ok(parameter.value),
            None => Err(RecipeError::Missing(name.to_owned())),
        }
    }

    /// One number that counts something, rounded to a whole.
    pub fn count(&self, name: &str) -> Result<usize, RecipeError> {
        Ok(self.value(name)?.round().max(0.0) as usize)
    }

    /// All parameters, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Parameter)> {
        self.0
            .iter()
            .map(|(name, parameter)| (name.as_str(), parameter))
    }

    fn set(&mut self, name: &str, value: f64) -> Result<(), RecipeError> {
        let Some(parameter) = self.0.get_mut(name) else {
            return Err(RecipeError::Unknown(name.to_owned()));
        };
        parameter.check(name, value)?;
        parameter.value = value;
        Ok(())
    }
}

impl Parameter {
    fn check(&self, name: &str, value: f64) -> Result<(), RecipeError> {
        let [low, high] = self.range;
        if (low..=high).contains(&value) {
            return Ok(());
        }
        Err(RecipeError::OutOfRange {
            name: name.to_owned(),
            value,
            low,
            high,
            unit: self.unit.clone(),
        })
    }
}

/// What an offer is, whatever its kind: section `offer`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OfferRecipe {
    /// Within how many days an offer is meant to succeed.
    pub horizon_days: u32,
    /// Digits that published tickets are rounded to.
    pub significant_digits: u32,
    /// Margin of a product that states none, as a share of the amount.
    pub margin_rate: f64,
    /// What working one opportunity costs, in minor units.
    pub contact_cost_minor: f64,
    /// The least gain worth offering, as a share of the current ticket.
    pub least_gain_share: f64,
    /// At most this many opportunities of each kind a client.
    pub per_client: usize,
}

/// How the potential ticket is estimated: section `upsell`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UpsellRecipe {
    /// Nearest buyers of the judged product.
    pub neighbours: usize,
    /// The same for catalogues under [`UpsellRecipe::small_catalogue`] products.
    pub neighbours_small_catalogue: usize,
    /// Products from which a catalogue is no longer small.
    pub small_catalogue: usize,
    /// Effective neighbours under which nothing is published.
    pub least_effective_neighbours: f64,
    /// Products over which two clients count as strangers before any evidence.
    pub distance_shrink: f64,
    /// Added to each distance before it is inverted, as a share of the spread `v`.
    pub distance_floor: f64,
    /// Weight of all buyers of the product, in average neighbours.
    pub pseudo_weight: f64,
    /// Pseudo-tickets that draw a client's size towards 0.
    pub size_pseudo_tickets: f64,
    /// Weight of all attributes together, in shared products.
    pub attribute_weight: f64,
    /// Tickets held out to choose variants and to correct coverage.
    pub sample_cells: usize,
    /// Tickets that variants are chosen on; a larger book gives a sample of its clients.
    pub choice_tickets: usize,
    /// The most tickets of others that judging the sample once may read.
    pub judged_postings: f64,
    /// The most factors of a variant; 0 leaves size out as well.
    pub most_factors: usize,
    /// Clients of usual strength that hold the weight of breadth near 0.
    pub breadth_pseudo_clients: f64,
    /// Tickets that hold back what a client's tickets scatter more or less than others'.
    pub dispersion_pseudo_tickets: f64,
    /// A coverage shift found on `n` tickets counts for `n / (n + this)`.
    pub shift_pseudo_tickets: f64,
    /// Products with a list price from which prices say what a rare product's level is.
    pub least_priced_products: usize,
    /// Probability of success without a calibration.
    pub success_prior: f64,
}

/// How lists that serve two ends are ordered: section `lists`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ListsRecipe {
    /// Rows that are looked at together.
    pub page_rows: usize,
    /// What a new product counts for beside its ticket, in average first tickets of the book.
    pub new_product_worth: f64,
    /// What net change counts for beside rise, each as a share of its own total.
    pub net_weight: f64,
}

/// How long outcomes hold offers back, and how their effect is measured: section `outcomes`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OutcomesRecipe {
    /// Days that a won offer is not made again.
    pub won_days: i32,
    /// Days that a lost offer is not made again.
    pub lost_days: i32,
    /// The same where the client has a contract elsewhere.
    pub contract_elsewhere_days: i32,
    /// The same where the client has no use for the product.
    pub no_use_days: i32,
    /// The same where the price was the reason.
    pub price_days: i32,
    /// The same where it was not the time.
    pub timing_days: i32,
    /// The same for any other reason.
    pub other_reason_days: i32,
    /// The share of clients of which nothing is shown.
    pub held_out_share: f64,
    /// With fewer, outcomes do not correct the probabilities.
    pub least_outcomes: usize,
}

/// When a client slips, stops, is new or loyal: section `state`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StateRecipe {
    /// A client's mean gap between purchases is drawn to the usual one as by this many gaps.
    pub rhythm_pseudo_gaps: f64,
    /// The least gap that is expected, in days.
    pub least_gap_days: f64,
    /// Expected gaps without a purchase after which a client slips.
    pub slipping_gaps: f64,
    /// Expected gaps without a purchase after which it has stopped.
    pub inactive_gaps: f64,
    /// Days before its contract ends in which a client is up for renewal.
    pub renewal_days: i32,
    /// Days from its first purchase on in which a client is new.
    pub new_days: i32,
    /// Days from its first purchase on after which it may be loyal.
    pub loyal_days: i32,
    /// Purchases from which on it may be loyal.
    pub loyal_purchases: u32,
}

/// How likely clients are to stop: section `churn`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChurnRecipe {
    /// With fewer that stopped, or went on, in the book's past, nothing is learnt.
    pub least_events: usize,
    /// A past of fewer horizons than this teaches a shorter one.
    pub history_parts: f64,
    /// Months at whose ends clients are looked at.
    pub cuts: usize,
    /// Draws each standardised coefficient towards 0 as this many rows would.
    pub ridge: f64,
    /// A horizon r times as long brings r to this power times the odds of a purchase.
    pub stretch_exponent: f64,
}

/// What clients are worth: section `value`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ValueRecipe {
    /// Share of a year's money up to which the largest clients are tier A.
    pub a_share: f64,
    /// The same for tiers A and B together.
    pub b_share: f64,
}

/// How clients are put into segments: section `segments`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SegmentsRecipe {
    /// With fewer clients that buy there are no segments.
    pub least_clients: usize,
    /// The fewest that are chosen, where there are as many.
    pub least: usize,
    /// The most segments.
    pub most: usize,
    /// Starts that a number of segments is tried from.
    pub starts: usize,
    /// The same once their number is chosen.
    pub final_starts: usize,
    /// Clients that numbers of segments are tried on at most.
    pub sample_clients: usize,
    /// Clients that the chosen ones are learnt from at most.
    pub learnt_clients: usize,
    /// Clients that the number of segments is judged on at most.
    pub judged_clients: usize,
    /// Groups of products that the mix is told by, beside all others together.
    pub groups: usize,
    /// Values of one attribute that are told apart.
    pub values: usize,
    /// The least share of the clients that a value is told apart from.
    pub least_value_share: f64,
    /// Standard deviations that a number counts at most.
    pub most_deviations: f64,
    /// Variance of what clients buy.
    pub mix_weight: f64,
    /// Variance of how much they buy.
    pub size_weight: f64,
    /// Variance of what they are.
    pub profile_weight: f64,
}

/// All parameters of the scoring, read and checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// What an offer is.
    pub offer: OfferRecipe,
    /// How the potential ticket is estimated.
    pub upsell: UpsellRecipe,
    /// How adoption is estimated.
    pub adoption: AdoptionRecipe,
    /// How lists that serve two ends are ordered.
    pub lists: ListsRecipe,
    /// How long outcomes hold offers back.
    pub outcomes: OutcomesRecipe,
    /// When a client slips, stops, is new or loyal.
    pub state: StateRecipe,
    /// How likely clients are to stop.
    pub churn: ChurnRecipe,
    /// How clients are put into segments.
    pub segments: SegmentsRecipe,
    /// What clients are worth.
    pub value: ValueRecipe,
    /// Which clients are the best.
    pub ideal: IdealRecipe,
    /// Which prospects are not worth a call.
    pub prospects: ProspectsRecipe,
    /// How tickets at risk become offers.
    pub keep: KeepRecipe,
    parameters: Parameters,
}

impl Recipe {
    /// The standard recipe, which the binary carries.
    pub fn standard() -> Result<Self, RecipeError> {
        Self::parse(STANDARD)
    }

    /// Reads a recipe file; see `models/standard/recipe.toml`.
    pub fn parse(toml: &str) -> Result<Self, RecipeError> {
        Self::of(Parameters::parse(toml)?)
    }

    /// This recipe with some parameters set otherwise, by name.
    ///
    /// Fails on the first name that no parameter has, or the first value outside its range.
    pub fn with_overrides(&self, overrides: &BTreeMap<Text, f64>) -> Result<Self, RecipeError> {
        let mut parameters = self.parameters.clone();
        for (name, &value) in overrides {
            parameters.set(name.as_str(), value)?;
        }
        Self::of(parameters)
    }

    /// The numbers it was read from, with their units, ranges and reasons.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn of(parameters: Parameters) -> Result<Self, RecipeError> {
        Ok(Self {
            offer: OfferRecipe::of(&parameters)?,
            upsell: UpsellRecipe::of(&parameters)?,
            adoption: AdoptionRecipe::of(&parameters)?,
            lists: ListsRecipe::of(&parameters)?,
            outcomes: OutcomesRecipe::of(&parameters)?,
            state: StateRecipe::of(&parameters)?,
            churn: ChurnRecipe::of(&parameters)?,
            segments: SegmentsRecipe::of(&parameters)?,
            value: ValueRecipe::of(&parameters)?,
            ideal: IdealRecipe::of(&parameters)?,
            prospects: ProspectsRecipe::of(&parameters)?,
            keep: KeepRecipe::of(&parameters)?,
            parameters,
        })
    }
}

impl OfferRecipe {
    fn of(parameters: &Parameters) -> Result<Self, RecipeError> {
        Ok(Self {
            horizon_days: parameters.count("offer.horizon_days")? as u32,
            significant_digits: parameters.count("offer.significant_digits")? as u32,
            margin_rate: parameters.value("offer.margin_rate")?,
            contact_cost_minor: parameters.value("offer.contact_cost_minor")?,
            least_gain_share: parameters.value("offer.least_gain_share")?,
            per_client: parameters.count("offer.per_client")?,
        })
    }
}

impl ListsRecipe {
    fn of(parameters: &Parameters) -> Result<Self, RecipeError> {
        Ok(Self {
            page_rows: parameters.count("lists.page_rows")?,
            new_product_worth: parameters.value("lists.new_product_worth")?,
            net_weight: parameters.value("lists.net_weight")?,
        })
    }
}

impl OutcomesRecipe {
    fn of(parameters: &Parameters) -> Result<Self, RecipeError> {
        let days = |name: &str| Ok(parameters.count(&format!("outcomes.{name}_days"))? as i32);
        Ok(Self {
            won_days: days("won")?,
            lost_days: days("lost")?,
            contract_elsewhere_days: days("contract_elsewhere")?,
            no_use_days: days("no_use")?,
            price_days: days("price")?,
            timing_days: days("timing")?,
            other_reason_days: days("other_reason")?,
            held_out_share: parameters.value("outcomes.held_out_share")?,
            least_outcomes: parameters.count("outcomes.least_outcomes")?,
        })
    }
}

impl StateRecipe {
    fn of(parameters: &Parameters) -> Result<Self, RecipeError> {
        Ok(Self {
            rhythm_pseudo_gaps: parameters.value("state.rhythm_pseudo_gaps")?,
            least_gap_days: parameters.value("state.least_gap_days")?,
            slipping_gaps: parameters.value("state.slipping_gaps")?,
            inactive_gaps: parameters.value("state.inactive_gaps")?,
            renewal_days: parameters.count("state.renewal_days")? as i32,
            new_days: parameters.count("state.new_days")? as i32,
            loyal_days: parameters.count("state.loyal_days")? as i32,
            loyal_purchases: parameters.count("state.loyal_purchases")? as u32,
        })
    }
}

impl ChurnRecipe {
    fn of(parameters: &Parameters) -> Result<Self, RecipeError> {
        Ok(Self {
            least_events: parameters.count("churn.least_events")?,
            history_parts: parameters.value("churn.history_parts")?,
            cuts: parameters.count("churn.cuts")?,
            ridge: parameters.value("churn.ridge")?,
            stretch_exponent: parameters.value("churn.stretch_exponent")?,
        })
    }
}

impl SegmentsRecipe {
    fn of(parameters: &Parameters) -> Result<Self, RecipeError> {
        Ok(Self {
            least_clients: parameters.count("segments.least_clients")?,
            least: parameters.count("segments.least")?,
            most: parameters.count("segments.most")?,
            starts: parameters.count("segments.starts")?,
            final_starts: parameters.count("segments.final_starts")?,
            sample_clients: parameters.count("segments.sample_clients")?,
            learnt_clients: parameters.count("segments.learnt_clients")?,
            judged_clients: parameters.count("segments.judged_clients")?,
            groups: parameters.count("segments.groups")?,
            values: parameters.count("segments.values")?,
            least_value_share: parameters.value("segments.least_value_share")?,
            most_deviations: parameters.value("segments.most_deviations")?,
            mix_weight: parameters.value("segments.mix_weight")?,
            size_weight: parameters.value("segments.size_weight")?,
            profile_weight: parameters.value("segments.profile_weight")?,
        })
    }
}

impl ValueRecipe {
    fn of(parameters: &Parameters) -> Result<Self, RecipeError> {
        Ok(Self {
            a_share: parameters.value("value.a_share")?,
            b_share: parameters.value("value.b_share")?,
        })
    }
}

impl UpsellRecipe {
    fn of(parameters: &Parameters) -> Result<Self, RecipeError> {
        Ok(Self {
            neighbours: parameters.count("upsell.neighbours")?,
            neighbours_small_catalogue: parameters.count("upsell.neighbours_small_catalogue")?,
            small_catalogue: parameters.count("upsell.small_catalogue")?,
            least_effective_neighbours: parameters.value("upsell.least_effective_neighbours")?,
            distance_shrink: parameters.value("upsell.distance_shrink")?,
            distance_floor: parameters.value("upsell.distance_floor")?,
            pseudo_weight: parameters.value("upsell.pseudo_weight")?,
            size_pseudo_tickets: parameters.value("upsell.size_pseudo_tickets")?,
            attribute_weight: parameters.value("upsell.attribute_weight")?,
            sample_cells: parameters.count("upsell.sample_cells")?,
            choice_tickets: parameters.count("upsell.choice_tickets")?,
            judged_postings: parameters.value("upsell.judged_postings")?,
            most_factors: parameters.count("upsell.most_factors")?,
            breadth_pseudo_clients: parameters.value("upsell.breadth_pseudo_clients")?,
            dispersion_pseudo_tickets: parameters.value("upsell.dispersion_pseudo_tickets")?,
            shift_pseudo_tickets: parameters.value("upsell.shift_pseudo_tickets")?,
            least_priced_products: parameters.count("upsell.least_priced_products")?,
            success_prior: parameters.value("upsell.success_prior")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overrides(name: &str, value: f64) -> BTreeMap<Text, f64> {
        BTreeMap::from([(Text::parse(name).unwrap(), value)])
    }

    #[test]
    fn the_standard_recipe_is_readable_and_every_number_says_what_it_does() {
        let recipe = Recipe::standard().unwrap();
        assert_eq!(recipe.offer.horizon_days, 90);
        for (name, parameter) in recipe.parameters().iter() {
            assert!(
                !parameter.unit.is_empty() && !parameter.about.is_empty(),
                "{name}"
            );
        }
    }

    #[test]
    fn an_override_is_taken_and_a_wrong_one_is_named() {
        let recipe = Recipe::standard().unwrap();
        let other = recipe
            .with_overrides(&overrides("upsell.neighbours", 40.0))
            .unwrap();
        assert_eq!(other.upsell.neighbours, 40);
        let unknown = recipe.with_overrides(&overrides("upsell.neighbors", 40.0));
        assert_eq!(
            unknown,
            Err(RecipeError::Unknown("upsell.neighbors".to_owned()))
        );
        for value in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let refused = recipe.with_overrides(&overrides("upsell.neighbours", value));
            assert!(
                matches!(refused, Err(RecipeError::OutOfRange { .. })),
                "{value}"
            );
        }
    }
}
