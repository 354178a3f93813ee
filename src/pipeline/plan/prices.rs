//! What the limits are worth: the Lagrangian dual, by subgradient steps.

use super::search::put_together;
use super::{Groups, MINUTES, OF_OWNER, OFFERS, Prices, Problem, UNLIMITED, VISITS, search};

/// Steps at most.
const STEPS: usize = 400;
/// Steps without a better bound after which they are made half as long.
const PATIENCE: usize = 15;
/// The first length of a step, as a share of Polyak's.
const FIRST_LENGTH: f64 = 1.0;
/// At this length further steps change nothing.
const LAST_LENGTH: f64 = 1e-4;
/// A gap between bound and plan that is not worth closing.
const CLOSED: f64 = 1e-7;
/// A plan is put together at every so many-th step.
const PLAN_EVERY: usize = 4;

/// Prices that promise least, what they promise, and the best set put together on the way.
pub(super) fn settle(problem: &Problem, groups: &Groups) -> (Prices, f64, Vec<bool>) {
    let mut prices = Prices {
        owners: vec![[0.0; OF_OWNER]; problem.owners.len()],
        stock: vec![0.0; problem.stock.len()],
    };
    let mut best = put_together(problem, groups, &prices);
    let mut value = search::value(problem, &best);
    let mut least = (prices.clone(), f64::INFINITY);
    let (mut length, mut idle) = (FIRST_LENGTH, 0);
    for step in 0..STEPS {
        let promised = Promised::at(problem, groups, &prices);
        match promised.bound < least.1 - CLOSED * (1.0 + least.1.abs()) {
            true => idle = 0,
            false => idle += 1,
        }
        if promised.bound < least.1 {
            least = (prices.clone(), promised.bound);
        }
        if step % PLAN_EVERY == 0 {
            let plan = put_together(problem, groups, &prices);
            let worth = search::value(problem, &plan);
            if worth > value {
                (best, value) = (plan, worth);
            }
        }
        if least.1 - value <= CLOSED * (1.0 + value) || length < LAST_LENGTH {
            break;
        }
        if idle >= PATIENCE {
            (length, idle) = (length / 2.0, 0);
            prices = least.0.clone();
            continue;
        }
        if !promised.step(problem, &mut prices, length, value) {
            break;
        }
    }
    (least.0, least.1, best)
}

/// What prices promise, and what would be used of each limit at them.
struct Promised {
    bound: f64,
    owners: Vec<[f64; OF_OWNER]>,
    stock: Vec<f64>,
}

impl Promised {
    fn at(problem: &Problem, groups: &Groups, prices: &Prices) -> Self {
        let mut promised = Self {
            bound: 0.0,
            owners: vec![[0.0; OF_OWNER]; problem.owners.len()],
            stock: vec![0.0; problem.stock.len()],
        };
        let limits = problem.owners.iter().flatten().chain(&problem.stock);
        let all = prices.owners.iter().flatten().chain(&prices.stock);
        // A limit that is not there has no price.
        promised.bound += limits
            .zip(all)
            .filter(|(_, price)| **price > 0.0)
            .map(|(limit, price)| *limit as f64 * price)
            .sum::<f64>();
        let mut taken: Vec<(usize, f64)> = Vec::new();
        for (at, visit) in problem.visits.iter().enumerate() {
            let own = &prices.owners[visit.owner];
            let worth = visit_worth(problem, &groups.offers[at], prices, &mut taken)
                - own[MINUTES] * visit.minutes as f64
                - own[VISITS];
            if worth <= 0.0 {
                continue;
            }
            promised.bound += worth;
            let used = &mut promised.owners[visit.owner];
            used[MINUTES] += visit.minutes as f64;
            used[VISITS] += 1.0;
            for (offer, share) in &taken {
                let offer = &problem.offers[*offer];
                used[MINUTES] += share * offer.minutes as f64;
                used[OFFERS] += share;
                if let Some((of, sells)) = offer.sells {
                    promised.stock[of] += share * sells as f64;
                }
            }
        }
        promised
    }

    /// Moves prices towards where limits are met; whether there is anywhere to go. Each limit is counted
    /// as 1, so that minutes and money move alike.
    fn step(&self, problem: &Problem, prices: &mut Prices, length: f64, value: f64) -> bool {
        let limits: Vec<i64> = problem
            .owners
            .iter()
            .flatten()
            .chain(&problem.stock)
            .copied()
            .collect();
        let used = self.owners.iter().flatten().chain(&self.stock);
        let mut all: Vec<&mut f64> = prices
            .owners
            .iter_mut()
            .flatten()
            .chain(&mut prices.stock)
            .collect();
        let slopes: Vec<f64> = limits
            .iter()
            .zip(used)
            .zip(&all)
            .map(|((limit, used), price)| {
                let free = *limit == UNLIMITED;
                let slope =
                    used / (*limit as f64).max(1.0) - *limit as f64 / (*limit as f64).max(1.0);
                // A price of nothing does not fall.
                if free || (**price <= 0.0 && slope < 0.0) {
                    0.0
                } else {
                    slope
                }
            })
            .collect();
        let steepness: f64 = slopes.iter().map(|slope| slope * slope).sum();
        if steepness <= 0.0 {
            return false;
        }
        let step = length * (self.bound - value).max(0.0) / steepness;
        for ((price, slope), limit) in all.iter_mut().zip(&slopes).zip(&limits) {
            **price = (**price + step * slope / (*limit as f64).max(1.0)).max(0.0);
        }
        true
    }
}

/// The most that one visit is worth at some prices, the way there apart: its offers within its credit, the
/// last of them in part, which is no less than whole ones are worth. Leaves in `taken` which.
pub(super) fn visit_worth(
    problem: &Problem,
    offers: &[usize],
    prices: &Prices,
    taken: &mut Vec<(usize, f64)>,
) -> f64 {
    taken.clear();
    let Some(first) = offers.first() else {
        return 0.0;
    };
    let credit = problem.visits[problem.offers[*first].visit].credit;
    for offer in offers {
        let worth = net(problem, *offer, prices);
        if worth > 0.0 {
            taken.push((*offer, worth));
        }
    }
    let asks = |offer: usize| problem.offers[offer].asks as f64;
    let asked: f64 = taken.iter().map(|(offer, _)| asks(*offer)).sum();
    let mut worth = 0.0;
    if credit == UNLIMITED || asked <= credit as f64 {
        for (_, share) in taken.iter_mut() {
            worth += *share;
            *share = 1.0;
        }
        return worth;
    }
    taken.sort_by(|a, b| {
        let rate = |(offer, worth): &(usize, f64)| worth / asks(*offer).max(f64::MIN_POSITIVE);
        rate(b).total_cmp(&rate(a)).then(a.0.cmp(&b.0))
    });
    let mut left = credit as f64;
    for (offer, share) in taken.iter_mut() {
        let part = match asks(*offer) {
            asks if asks <= left => 1.0,
            asks => left / asks,
        };
        worth += part * *share;
        left -= part * asks(*offer);
        *share = part;
    }
    taken.retain(|(_, share)| *share > 0.0);
    worth
}

/// What an offer is worth less what it uses.
pub(super) fn net(problem: &Problem, offer: usize, prices: &Prices) -> f64 {
    let offer = &problem.offers[offer];
    let own = &prices.owners[problem.visits[offer.visit].owner];
    let stock = offer
        .sells
        .map_or(0.0, |(of, sells)| prices.stock[of] * sells as f64);
    offer.value - own[MINUTES] * offer.minutes as f64 - own[OFFERS] - stock
}
