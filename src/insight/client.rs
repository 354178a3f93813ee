//! Every client of a book, put in its place among the others.

use std::collections::BTreeSet;

use imbl::Vector;

use super::state::{life_cycle, state};
use super::value::{Fifths, Tiers};
use super::{Churn, ChurnModel, LifeCycle, Purchases, Rfm, Rhythm, SegmentNo, State, Tier};
use crate::domain::{ClientNo, Day};
use crate::recommend::Recipe;

/// What is known of one client, apart from the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Facts {
    /// What it bought.
    pub purchases: Purchases,
    /// Its tickets together, in minor units per period.
    pub ticket_minor: i64,
    /// The day on which its latest contract ends.
    pub contract_end: Option<Day>,
    /// The segment that it is in; `None` where it buys nothing, or there are no segments.
    pub segment: Option<SegmentNo>,
}

/// One client in its place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClientInsight {
    /// Which client.
    pub client: ClientNo,
    /// What is known of it.
    pub facts: Facts,
    /// How often it buys; `None` without a dated purchase.
    pub rhythm: Option<Rhythm>,
    /// Where it stands.
    pub state: State,
    /// What to do with it next.
    pub life_cycle: LifeCycle,
    /// What it spends a year, in minor units: the revenue of the last twelve months, or its tickets
    /// over a year where none of its sales has a date. Never negative.
    pub annual_minor: i64,
    /// Its tier, by what it spends a year.
    pub tier: Tier,
    /// Its scores; `None` without a dated purchase.
    pub rfm: Option<Rfm>,
    /// How likely it is to buy nothing; `None` without a dated purchase.
    pub churn: Option<Churn>,
    /// What it will spend over the next year, growth apart, in minor units: what it spends a year times
    /// the chance that it buys in it at all. Never negative.
    pub expected_year_minor: i64,
}

impl ClientInsight {
    fn of(
        client: ClientNo,
        facts: &Facts,
        compared: &Compared,
        (as_of, usual_gap_days): (Day, f64),
        churn: &ChurnModel,
        recipe: &Recipe,
    ) -> Self {
        let purchases = &facts.purchases;
        let rhythm = Rhythm::of(purchases, usual_gap_days, as_of, &recipe.state);
        let state = state(
            rhythm.as_ref(),
            facts.ticket_minor > 0,
            facts.contract_end,
            as_of,
            &recipe.state,
        );
        let churn = rhythm.map(|rhythm| churn.of(purchases, &rhythm, as_of));
        let stays = churn.map_or(1.0, |churn| 1.0 - churn.year_probability);
        let (annual_minor, (tier, rfm)) = (compared.annual_minor, compared.place);
        Self {
            client,
            facts: *facts,
            rhythm,
            state,
            life_cycle: life_cycle(state, purchases, as_of, &recipe.state),
            annual_minor,
            tier,
            rfm,
            churn,
            expected_year_minor: (annual_minor as f64 * stays).round() as i64,
        }
    }

    /// What it spends a year times the chance that it buys nothing within the horizon, in minor units.
    pub fn at_risk_minor(&self) -> i64 {
        let probability = self.churn.map_or(0.0, |churn| churn.probability);
        (self.annual_minor as f64 * probability).round() as i64
    }
}

/// All clients of a book on one day.
#[derive(Debug, Clone, PartialEq)]
pub struct Insights {
    /// The day that it is seen from.
    pub as_of: Day,
    /// Days that clients usually have between purchases.
    pub usual_gap_days: f64,
    /// What is the same as before is shared with those before.
    rows: Vector<Option<ClientInsight>>,
    /// What the rows are compared by, beside them: whoever changes, all of it is gone through.
    compared: Vec<Option<Compared>>,
}

/// What a client is compared with the others by.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Compared {
    annual_minor: i64,
    mean_gap_days: Option<f64>,
    /// The last purchase, purchases and revenue in the year; `None` without a dated purchase.
    rfm: Option<[i64; 3]>,
    /// Where this puts it.
    place: (Tier, Option<Rfm>),
}

impl Compared {
    fn of(facts: &Facts, periods_a_year: i64) -> Self {
        let (purchases, year) = (&facts.purchases, &facts.purchases.year);
        let rfm = purchases.last_day.map(|day| {
            let day = i64::from(day.epoch_days());
            [day, i64::from(year.purchases), year.revenue_minor]
        });
        let ticket_year_minor = facts.ticket_minor.saturating_mul(periods_a_year);
        Self {
            annual_minor: rfm.map_or(ticket_year_minor, |_| year.revenue_minor).max(0),
            mean_gap_days: purchases.mean_gap_days(),
            rfm,
            place: (Tier::C, None),
        }
    }
}

impl Insights {
    /// Puts all clients in their places: `facts` by client number, `None` where there is no client
    /// of it. `periods_a_year` turns tickets into a year's. `earlier` ones, of the same churn and recipe, come
    /// with the clients whose facts changed since. Cost: a few passes over a handful of figures a client, and
    /// the clients whose place changed.
    pub fn of(
        earlier: Option<(&Self, &BTreeSet<ClientNo>)>,
        facts: &Vector<Option<Facts>>,
        as_of: Day,
        periods_a_year: i64,
        churn: &ChurnModel,
        recipe: &Recipe,
    ) -> Self {
        let compare = |facts: &Option<Facts>| Some(Compared::of(facts.as_ref()?, periods_a_year));
        let mut compared = match earlier {
            Some((last, changed)) => {
                let mut compared = last.compared.clone();
                compared.resize(facts.len(), None);
                for client in changed {
                    compared[client.index()] = compare(&facts[client.index()]);
                }
                compared
            }
            None => facts.iter().map(compare).collect(),
        };
        let usual_gap_days = {
            let clients = compared.iter().flatten();
            super::usual_gap_days(clients.filter_map(|one| one.mean_gap_days))
        };
        let same = |(last, _): &(&Self, _)| {
            last.as_of == as_of && last.usual_gap_days.to_bits() == usual_gap_days.to_bits()
        };
        let earlier = earlier.filter(same);
        let annual = compared
            .iter()
            .map(|one| one.map_or(0, |one| one.annual_minor));
        let tiers = Tiers::of(&annual.collect::<Vec<_>>(), &recipe.value);
        let dated: Vec<[i64; 3]> = compared
            .iter()
            .flatten()
            .filter_map(|one| one.rfm)
            .collect();
        let by = |at: usize| Fifths::of(dated.iter().map(|one| one[at]).collect());
        let (recency, frequency, monetary) = (by(0), by(1), by(2));
        let mut rows = earlier.map_or_else(Vector::new, |(last, _)| last.rows.clone());
        rows.truncate(facts.len());
        rows.extend((rows.len()..facts.len()).map(|_| None));
        for (at, one) in compared.iter_mut().enumerate() {
            let client = ClientNo(at as u32);
            let is_known = earlier.is_some_and(|(_, changed)| !changed.contains(&client));
            let Some(one) = one else {
                if !is_known {
                    rows.set(at, None);
                }
                continue;
            };
            let rfm = one.rfm.map(|of| Rfm {
                recency: recency.score(of[0]),
                frequency: frequency.score(of[1]),
                monetary: monetary.score(of[2]),
            });
            let place = (tiers.tier(one.annual_minor, at), rfm);
            let moved = std::mem::replace(&mut one.place, place) != place;
            if is_known {
                if moved && let Some(Some(row)) = rows.get_mut(at) {
                    (row.tier, row.rfm) = place;
                }
                continue;
            }
            let alone = (as_of, usual_gap_days);
            let of = |facts| ClientInsight::of(client, facts, one, alone, churn, recipe);
            rows.set(at, facts[at].as_ref().map(of));
        }
        Self {
            as_of,
            usual_gap_days,
            rows,
            compared,
        }
    }

    /// All clients, by number.
    pub fn iter(&self) -> impl Iterator<Item = &ClientInsight> {
        self.rows.iter().flatten()
    }

    /// One client.
    pub fn get(&self, client: ClientNo) -> Option<&ClientInsight> {
        self.rows.get(client.index())?.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn facts() -> impl Strategy<Value = Option<Facts>> {
        let some = (0..4_i32, 0..40_i32, 1..9_u32, -5..60_i64);
        prop::option::weighted(0.9, some).prop_map(|drawn| {
            let (first, span, purchases, revenue) = drawn?;
            let mut facts = Facts {
                ticket_minor: revenue.max(0) * 100,
                ..Facts::default()
            };
            facts.purchases.purchases = purchases;
            facts.purchases.first_day = Some(Day::from_epoch_days(first));
            facts.purchases.last_day = (first > 0).then(|| Day::from_epoch_days(first + span));
            facts.purchases.year.purchases = purchases;
            facts.purchases.year.revenue_minor = revenue * 1_000;
            Some(facts)
        })
    }

    proptest! {
        #[test]
        fn insights_made_of_earlier_ones_are_those_made_anew(
            before in prop::collection::vec(facts(), 0..60),
            changes in prop::collection::vec((0..70_usize, facts()), 0..8),
            later in prop::bool::ANY) {
            let recipe = Recipe::standard().unwrap();
            let churn = ChurnModel::prior(&recipe);
            let day = Day::from_epoch_days(50);
            let of = |earlier: Option<(&Insights, &BTreeSet<ClientNo>)>, facts: &[Option<Facts>], day: Day| {
                Insights::of(earlier, &facts.iter().copied().collect(), day, 12, &churn, &recipe)
            };
            let earlier = of(None, &before, day);
            let (mut after, mut changed) = (before.clone(), BTreeSet::new());
            for (at, facts) in changes {
                after.resize(after.len().max(at + 1), None);
                after[at] = facts;
                changed.insert(ClientNo(at as u32));
            }
            let day = day.plus(i32::from(later));
            let made = of(Some((&earlier, &changed)), &after, day);
            let anew = of(None, &after, day);
            prop_assert_eq!(made.iter().collect::<Vec<_>>(), anew.iter().collect::<Vec<_>>());
            prop_assert_eq!(made.usual_gap_days.to_bits(), anew.usual_gap_days.to_bits());
            prop_assert_eq!(made, anew);
        }
    }
}
