//! Every client of a book, put in its place among the others.

use imbl::Vector;

use super::state::{life_cycle, state, usual_gap_days};
use super::value::{fifths, tiers};
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
}

impl Insights {
    /// Puts all clients in their places: `facts` by client number, `None` where there is no client
    /// of it. `periods_a_year` turns tickets into a year's. What `earlier` ones, of the same churn and recipe, say of a
    /// client alone holds where its facts and the day are the same. Cost: sorting the clients.
    pub fn of(
        earlier: Option<&Self>,
        facts: &Vector<Option<Facts>>,
        as_of: Day,
        periods_a_year: i64,
        churn: &ChurnModel,
        recipe: &Recipe,
    ) -> Self {
        let clients: Vec<(ClientNo, &Facts)> = (0..)
            .zip(facts)
            .filter_map(|(number, facts)| Some((ClientNo(number), facts.as_ref()?)))
            .collect();
        let usual_gap_days = usual_gap_days(clients.iter().map(|(_, facts)| &facts.purchases));
        let annual: Vec<i64> = clients
            .iter()
            .map(|(_, facts)| match facts.purchases.last_day {
                Some(_) => facts.purchases.year.revenue_minor.max(0),
                None => facts.ticket_minor.saturating_mul(periods_a_year).max(0),
            })
            .collect();
        let earlier = earlier.filter(|last| {
            last.as_of == as_of && last.usual_gap_days.to_bits() == usual_gap_days.to_bits()
        });
        let tiers = tiers(&annual, &recipe.value);
        let dated: Vec<&Purchases> = clients
            .iter()
            .map(|(_, facts)| &facts.purchases)
            .filter(|purchases| purchases.last_day.is_some())
            .collect();
        let by = |figure: &dyn Fn(&Purchases) -> i64| {
            fifths(&dated.iter().map(|one| figure(one)).collect::<Vec<_>>()).into_iter()
        };
        let mut recency = by(&|one| one.last_day.map_or(0, |day| i64::from(day.epoch_days())));
        let mut frequency = by(&|one| i64::from(one.year.purchases));
        let mut monetary = by(&|one| one.year.revenue_minor);
        let mut rows = earlier.map_or_else(Vector::new, |last| last.rows.clone());
        rows.truncate(facts.len());
        rows.extend((rows.len()..facts.len()).map(|_| None));
        for (((client, facts), annual_minor), tier) in clients.into_iter().zip(annual).zip(tiers) {
            let purchases = &facts.purchases;
            // The scores are of the dated clients, in their order.
            let rfm = purchases.last_day.and_then(|_| {
                Some(Rfm {
                    recency: recency.next()?,
                    frequency: frequency.next()?,
                    monetary: monetary.next()?,
                })
            });
            let known = earlier.and_then(|last| last.get(client));
            let same = |known: &&ClientInsight| {
                known.facts == *facts && known.annual_minor == annual_minor
            };
            if let Some(known) = known.filter(same) {
                if (known.tier, known.rfm) != (tier, rfm) {
                    rows.set(
                        client.index(),
                        Some(ClientInsight {
                            tier,
                            rfm,
                            ..*known
                        }),
                    );
                }
                continue;
            }
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
            let insight = ClientInsight {
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
            };
            rows.set(client.index(), Some(insight));
        }
        let gone = facts.iter().zip(&rows).enumerate();
        let gone = gone.filter(|(_, (facts, row))| facts.is_none() && row.is_some());
        for at in gone.map(|(at, _)| at).collect::<Vec<_>>() {
            rows.set(at, None);
        }
        Self {
            as_of,
            usual_gap_days,
            rows,
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
            let of = |earlier: Option<&Insights>, facts: &[Option<Facts>], day: Day| {
                Insights::of(earlier, &facts.iter().copied().collect(), day, 12, &churn, &recipe)
            };
            let earlier = of(None, &before, day);
            let mut after = before.clone();
            for (at, facts) in changes {
                after.resize(after.len().max(at + 1), None);
                after[at] = facts;
            }
            let day = day.plus(i32::from(later));
            let (made, anew) = (of(Some(&earlier), &after, day), of(None, &after, day));
            prop_assert_eq!(made.iter().collect::<Vec<_>>(), anew.iter().collect::<Vec<_>>());
            prop_assert_eq!(made.usual_gap_days.to_bits(), anew.usual_gap_days.to_bits());
        }
    }
}
