//! Where a client stands: by the time since its last purchase beside its own rhythm.

use super::Purchases;
use crate::domain::{DAYS_PER_MONTH, Day};
use crate::recommend::StateRecipe;

/// What a client is today.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// It buys as it used to.
    Active,
    /// Its next purchase is overdue.
    Slipping,
    /// It stopped.
    Inactive,
    /// It buys, and its contract ends soon.
    Renewal,
    /// It has tickets and no dated sale: when it buys is not known.
    Undated,
    /// It has bought nothing.
    Prospect,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Active,
        Self::Slipping,
        Self::Inactive,
        Self::Renewal,
        Self::Undated,
        Self::Prospect,
    ];
}

/// What to do with a client next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LifeCycle {
    /// To be won, or won a short while ago.
    Acquisition,
    /// To be kept.
    Retention,
    /// Loyal: it buys as it used to, and has for long.
    Loyalty,
    /// To be won back.
    Recovery,
}

impl LifeCycle {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Acquisition,
        Self::Retention,
        Self::Loyalty,
        Self::Recovery,
    ];
}

/// How often a client buys, and how long it has not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rhythm {
    /// Days expected from one purchase to the next.
    pub gap_days: f64,
    /// Days since the last purchase.
    pub idle_days: i32,
    /// Purchases a day since the first, drawn to the usual rate as by one purchase.
    pub purchases_a_day: f64,
}

impl Rhythm {
    /// A client's rhythm on a day: its mean gap, drawn to the usual one where it has few. `None`
    /// without a purchase.
    pub fn of(
        purchases: &Purchases,
        usual_gap_days: f64,
        as_of: Day,
        recipe: &StateRecipe,
    ) -> Option<Self> {
        let last = purchases.last_day?;
        let gaps = f64::from(purchases.purchases.saturating_sub(1));
        let pseudo = recipe.rhythm_pseudo_gaps;
        let days = f64::from(purchases.span_days()) + pseudo * usual_gap_days;
        let first = purchases.first_day.unwrap_or(last);
        let tenure = f64::from((as_of.epoch_days() - first.epoch_days()).max(0));
        Some(Self {
            purchases_a_day: f64::from(purchases.purchases)
                / (tenure + usual_gap_days.max(recipe.least_gap_days)),
            gap_days: (days / (gaps + pseudo)).max(recipe.least_gap_days),
            idle_days: (as_of.epoch_days() - last.epoch_days()).max(0),
        })
    }

    /// Days since the last purchase, in expected gaps.
    pub fn gaps_idle(&self) -> f64 {
        f64::from(self.idle_days) / self.gap_days
    }
}

/// The gap that clients usually have between purchases: the median of their means, in days. A month
/// where nobody bought twice.
pub fn usual_gap_days(means: impl Iterator<Item = f64>) -> f64 {
    let mut gaps: Vec<f64> = means.collect();
    if gaps.is_empty() {
        return DAYS_PER_MONTH;
    }
    let half = gaps.len() / 2;
    let is_even = gaps.len().is_multiple_of(2);
    let (lower, middle, _) = gaps.select_nth_unstable_by(half, f64::total_cmp);
    match lower.iter().copied().max_by(f64::total_cmp) {
        Some(other) if is_even => other.midpoint(*middle),
        _ => *middle,
    }
}

/// The state of a client with this rhythm.
pub(super) fn state(
    rhythm: Option<&Rhythm>,
    has_tickets: bool,
    contract_end: Option<Day>,
    as_of: Day,
    recipe: &StateRecipe,
) -> State {
    let days_left = contract_end.map(|end| end.epoch_days() - as_of.epoch_days());
    let ends = days_left.is_some_and(|left| (0..=recipe.renewal_days).contains(&left));
    match rhythm {
        None if ends => State::Renewal,
        None if has_tickets => State::Undated,
        None => State::Prospect,
        Some(rhythm) if rhythm.gaps_idle() > recipe.inactive_gaps => State::Inactive,
        Some(_) if ends => State::Renewal,
        Some(rhythm) if rhythm.gaps_idle() > recipe.slipping_gaps => State::Slipping,
        Some(_) => State::Active,
    }
}

/// The place of a client in its life.
pub(super) fn life_cycle(
    state: State,
    purchases: &Purchases,
    as_of: Day,
    recipe: &StateRecipe,
) -> LifeCycle {
    let since_first = purchases
        .first_day
        .map(|first| as_of.epoch_days() - first.epoch_days());
    match (state, since_first) {
        (State::Inactive, _) => LifeCycle::Recovery,
        (State::Undated, _) | (State::Renewal, None) => LifeCycle::Retention,
        (_, None) => LifeCycle::Acquisition,
        (_, Some(days)) if days < recipe.new_days => LifeCycle::Acquisition,
        (State::Active | State::Renewal, Some(days))
            if days >= recipe.loyal_days && purchases.purchases >= recipe.loyal_purchases =>
        {
            LifeCycle::Loyalty
        }
        _ => LifeCycle::Retention,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::recommend::Recipe;

    fn bought(purchases: u32, first: i32, last: i32) -> Purchases {
        Purchases {
            purchases,
            first_day: Some(Day::from_epoch_days(first)),
            last_day: Some(Day::from_epoch_days(last)),
            ..Purchases::default()
        }
    }

    fn place(purchases: &Purchases, contract_end: Option<i32>, today: i32) -> (State, LifeCycle) {
        let recipe = Recipe::standard().unwrap().state;
        let today = Day::from_epoch_days(today);
        let rhythm = Rhythm::of(purchases, 30.0, today, &recipe);
        let contract_end = contract_end.map(Day::from_epoch_days);
        let state = state(rhythm.as_ref(), false, contract_end, today, &recipe);
        (state, life_cycle(state, purchases, today, &recipe))
    }

    #[test]
    fn a_client_slips_and_stops_by_its_own_rhythm() {
        // Every 10 days for a year, drawn to 30 by two gaps: (360 + 60) / 38 is about 11.
        let often = bought(37, 0, 360);
        assert_eq!(
            place(&often, None, 375),
            (State::Active, LifeCycle::Loyalty)
        );
        assert_eq!(
            place(&often, None, 385),
            (State::Slipping, LifeCycle::Retention)
        );
        assert_eq!(
            place(&often, None, 420),
            (State::Inactive, LifeCycle::Recovery)
        );
        // Once: the usual rhythm stands in.
        let once = bought(1, 360, 360);
        assert_eq!(
            place(&once, None, 420),
            (State::Active, LifeCycle::Acquisition)
        );
        assert_eq!(
            place(&once, None, 481),
            (State::Inactive, LifeCycle::Recovery)
        );
        assert_eq!(
            place(&Purchases::default(), None, 0),
            (State::Prospect, LifeCycle::Acquisition)
        );
    }

    #[test]
    fn a_contract_near_its_end_is_up_for_renewal_unless_the_client_stopped() {
        let often = bought(37, 0, 360);
        assert_eq!(place(&often, Some(400), 365).0, State::Renewal);
        assert_eq!(place(&often, Some(364), 365).0, State::Active);
        assert_eq!(place(&often, Some(900), 365).0, State::Active);
        assert_eq!(place(&often, Some(450), 430).0, State::Inactive);
        assert_eq!(
            place(&Purchases::default(), Some(10), 0),
            (State::Renewal, LifeCycle::Retention)
        );
    }

    proptest! {
        #[test]
        fn the_usual_gap_is_a_median(gaps in prop::collection::vec(0_i32..400, 1..30)) {
            let all: Vec<_> = gaps.iter().map(|gap| bought(2, 0, *gap)).collect();
            let usual = usual_gap_days(all.iter().filter_map(Purchases::mean_gap_days));
            let below = gaps.iter().filter(|gap| f64::from(**gap) < usual).count();
            let above = gaps.iter().filter(|gap| f64::from(**gap) > usual).count();
            prop_assert!(below * 2 <= gaps.len() && above * 2 <= gaps.len());
        }

        #[test]
        fn waiting_never_makes_a_client_more_active(purchases in 1_u32..50, span in 0_i32..700, idle in 0_i32..900) {
            let client = bought(purchases, 0, span);
            let order = |state: State| State::ALL.iter().position(|other| *other == state);
            let now = place(&client, None, span + idle).0;
            prop_assert!(order(now) <= order(place(&client, None, span + idle + 1).0));
        }
    }
}
