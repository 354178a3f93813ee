//! The best set of offers that can be worked and sold: time, visits, stock and credit are limited.
//!
//! An offer costs its owner minutes; the first offer to a client also costs the way there and a visit.
//! What is offered of a product is limited by its stock, what is offered to a client by its credit.
//! To choose the set of most value is a knapsack with many sides and fixed charges, which no quick method
//! solves for sure. So it is done in two steps, each of which checks the other:
//!
//! 1. [`prices`]: every limit gets a price, and every client is then decided on alone. Prices at which
//!    what is asked of the limits meets them are sought by subgradient steps (Held and Karp 1971; steps
//!    after Polyak 1969). Whatever the prices, what they promise is no less than the best set is worth:
//!    the least promise is a [bound](Plan::bound), and its prices say what one more hour is worth.
//! 2. [`search`]: at these prices sets are put together that keep to all limits, the client of most worth
//!    first; the best of them is improved by taking clients out at random and filling up again.
//!
//! The answer holds the value of the set and the bound, so that nobody has to trust the method. The same
//! problem gives the same plan, whatever the machine: effort is counted in offers looked at, not in time.

mod prices;
mod search;

/// What an owner has little of.
pub const OF_OWNER: usize = 3;
/// Minutes, in a list of what an owner has little of.
pub const MINUTES: usize = 0;
/// Offers, in the same.
pub const OFFERS: usize = 1;
/// Visits, in the same.
pub const VISITS: usize = 2;
/// No limit.
pub const UNLIMITED: i64 = i64::MAX;

/// One offer that may be made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Offer {
    /// Which visit it is made on, by place in [`Problem::visits`].
    pub visit: usize,
    /// What it is worth, above 0.
    pub value: f64,
    /// Minutes it takes.
    pub minutes: i64,
    /// Which stock it sells from, by place in [`Problem::stock`], and how much of it.
    pub sells: Option<(usize, i64)>,
    /// What it asks of the client's credit.
    pub asks: i64,
}

/// One client that may be visited.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Visit {
    /// By whom, by place in [`Problem::owners`].
    pub owner: usize,
    /// Minutes to get there.
    pub minutes: i64,
    /// What may be asked of its credit.
    pub credit: i64,
}

/// What there is to choose from, and the limits.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Problem {
    /// Offers.
    pub offers: Vec<Offer>,
    /// Clients.
    pub visits: Vec<Visit>,
    /// Minutes, offers and visits of each owner.
    pub owners: Vec<[i64; OF_OWNER]>,
    /// What there is of each product that is limited.
    pub stock: Vec<i64>,
}

/// What one more of each limit would be worth.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prices {
    /// Of a minute, an offer and a visit of each owner.
    pub owners: Vec<[f64; OF_OWNER]>,
    /// Of each stock.
    pub stock: Vec<f64>,
}

/// A set of offers that keeps to all limits.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Whether each offer is in it.
    pub chosen: Vec<bool>,
    /// What it is worth.
    pub value: f64,
    /// No set is worth more.
    pub bound: f64,
    /// What one more of each limit would be worth, at the bound.
    pub prices: Prices,
}

impl Plan {
    /// Chooses. Cost: a few hundred passes over the offers, and the search's budget.
    pub fn of(problem: &Problem) -> Self {
        let groups = Groups::of(problem);
        let (prices, bound, best) = prices::settle(problem, &groups);
        let best = search::improve(problem, &groups, &prices, best, bound);
        Self {
            value: search::value(problem, &best),
            chosen: best,
            bound,
            prices,
        }
    }
}

/// Offers by visit, visits by owner.
struct Groups {
    offers: Vec<Vec<usize>>,
    visits: Vec<Vec<usize>>,
}

impl Groups {
    fn of(problem: &Problem) -> Self {
        let mut offers = vec![Vec::new(); problem.visits.len()];
        for (at, offer) in problem.offers.iter().enumerate() {
            offers[offer.visit].push(at);
        }
        let mut visits = vec![Vec::new(); problem.owners.len()];
        for (at, visit) in problem.visits.iter().enumerate() {
            visits[visit.owner].push(at);
        }
        Self { offers, visits }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The best of all sets, tried one by one.
    fn best_of_all(problem: &Problem) -> f64 {
        let count = problem.offers.len();
        let sets = 0_u32..1 << count;
        sets.filter_map(|set| {
            let chosen: Vec<bool> = (0..count).map(|at| set >> at & 1 == 1).collect();
            keeps_to(problem, &chosen).then(|| search::value(problem, &chosen))
        })
        .fold(0.0, f64::max)
    }

    /// Whether a set keeps to all limits, summed up anew.
    fn keeps_to(problem: &Problem, chosen: &[bool]) -> bool {
        let mut owners = vec![[0_i64; OF_OWNER]; problem.owners.len()];
        let mut stock = vec![0_i64; problem.stock.len()];
        let mut asked = vec![0_i64; problem.visits.len()];
        let mut visited = vec![false; problem.visits.len()];
        for (offer, _) in problem
            .offers
            .iter()
            .zip(chosen)
            .filter(|(_, in_it)| **in_it)
        {
            let visit = &problem.visits[offer.visit];
            let used = &mut owners[visit.owner];
            used[MINUTES] += offer.minutes;
            used[OFFERS] += 1;
            if !visited[offer.visit] {
                visited[offer.visit] = true;
                used[MINUTES] += visit.minutes;
                used[VISITS] += 1;
            }
            asked[offer.visit] += offer.asks;
            if let Some((of, sells)) = offer.sells {
                stock[of] += sells;
            }
        }
        let kept = |used: &[i64], limits: &[i64]| used.iter().zip(limits).all(|(a, b)| a <= b);
        let credit: Vec<i64> = problem.visits.iter().map(|visit| visit.credit).collect();
        owners.iter().zip(&problem.owners).all(|(a, b)| kept(a, b))
            && kept(&stock, &problem.stock)
            && kept(&asked, &credit)
    }

    fn limit(most: i64) -> impl Strategy<Value = i64> {
        prop_oneof![3 => 0..most, 1 => Just(UNLIMITED)]
    }

    fn problems(most_offers: usize) -> impl Strategy<Value = Problem> {
        let offer = (
            0_usize..5,
            1_u32..1_000,
            0_i64..90,
            prop::option::of((0_usize..2, 0_i64..50)),
            0_i64..100,
        );
        let visit = (0_usize..2, 0_i64..60, limit(200));
        let owner = [limit(300), limit(8), limit(4)];
        (
            prop::collection::vec(offer, 0..most_offers),
            prop::collection::vec(visit, 5),
            prop::collection::vec(owner, 2),
            [limit(120), limit(120)],
        )
            .prop_map(|(offers, visits, owners, stock)| Problem {
                offers: offers
                    .into_iter()
                    .map(|(visit, value, minutes, sells, asks)| Offer {
                        visit,
                        value: f64::from(value),
                        minutes,
                        sells,
                        asks,
                    })
                    .collect(),
                visits: visits
                    .into_iter()
                    .map(|(owner, minutes, credit)| Visit {
                        owner,
                        minutes,
                        credit,
                    })
                    .collect(),
                owners,
                stock: stock.to_vec(),
            })
    }

    proptest! {
        // Trying every set, and searching in a debug build, take a while.
        #![proptest_config(ProptestConfig::with_cases(6))]
        #[test]
        fn a_plan_keeps_to_every_limit_and_is_near_the_best_set_and_under_its_bound(problem in problems(10)) {
            let plan = Plan::of(&problem);
            prop_assert!(keeps_to(&problem, &plan.chosen));
            let best = best_of_all(&problem);
            prop_assert!(plan.value >= 0.97 * best - 1e-9, "{} of {best}", plan.value);
            prop_assert!(plan.bound >= best - 1e-6 * (1.0 + best), "{} under {best}", plan.bound);
            prop_assert_eq!(plan, Plan::of(&problem));
        }

        #[test]
        fn a_larger_problem_keeps_to_every_limit(problem in problems(60)) {
            let plan = Plan::of(&problem);
            prop_assert!(keeps_to(&problem, &plan.chosen));
            prop_assert!(plan.value <= plan.bound + 1e-6 * (1.0 + plan.bound));
        }
    }

    #[test]
    fn without_limits_all_is_done_and_one_more_hour_is_worth_nothing() {
        let problem = Problem {
            offers: vec![
                Offer {
                    visit: 0,
                    value: 5.0,
                    minutes: 30,
                    sells: None,
                    asks: 10,
                };
                3
            ],
            visits: vec![Visit {
                owner: 0,
                minutes: 60,
                credit: UNLIMITED,
            }],
            owners: vec![[UNLIMITED; OF_OWNER]],
            stock: Vec::new(),
        };
        let plan = Plan::of(&problem);
        assert_eq!(plan.chosen, [true; 3]);
        assert!((plan.bound - 15.0).abs() < 1e-9);
        assert!(plan.prices.owners[0].iter().all(|price| *price <= 0.0));
    }

    #[test]
    fn the_price_of_a_minute_is_what_the_last_one_earns() {
        // 100 clients an hour away each, worth 1 to 100; time for 40 of them: the 41st is worth 60.
        let problem = Problem {
            offers: (0..100)
                .map(|at| Offer {
                    visit: at,
                    value: (at + 1) as f64,
                    minutes: 30,
                    sells: None,
                    asks: 0,
                })
                .collect(),
            visits: vec![
                Visit {
                    owner: 0,
                    minutes: 30,
                    credit: UNLIMITED,
                };
                100
            ],
            owners: vec![[40 * 60, UNLIMITED, UNLIMITED]],
            stock: Vec::new(),
        };
        let plan = Plan::of(&problem);
        assert!((plan.value - f64::from((61..=100).sum::<i32>())).abs() < 1e-9);
        let hour = 60.0 * plan.prices.owners[0][MINUTES];
        assert!((59.5..=61.5).contains(&hour), "{hour}");
        assert!(plan.bound < 1.001 * plan.value, "{plan:?}");
    }
}
