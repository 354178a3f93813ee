//! Sets that keep to all limits: put together at given prices, and improved.

use super::prices::{net, visit_worth};
use super::{Groups, MINUTES, OF_OWNER, OFFERS, Prices, Problem, UNLIMITED, VISITS};
use crate::recommend::upsell::mix;

/// Offers that may be looked at while a plan is improved: about half a second.
const BUDGET: usize = 40_000_000;
/// Clients that are taken out at once, at most.
const MOST_OUT: usize = 4;
/// With more offers, what one owner's clients free of a stock is not handed to the other owners.
const SHARED: usize = 5_000;
/// A set that is worse by up to this many offers of average worth may be gone on from; less and less.
const FIRST_SLACK: f64 = 0.6;
/// How far the worth of a client is moved to try another order, as a share of what its offers are worth.
const NOISE: f64 = 1.6;
/// A gain that is none.
const NOTHING: f64 = 1e-9;

/// What a set is worth, summed in the order of the offers.
pub(super) fn value(problem: &Problem, chosen: &[bool]) -> f64 {
    let taken = problem.offers.iter().zip(chosen);
    taken
        .filter(|(_, chosen)| **chosen)
        .map(|(offer, _)| offer.value)
        .sum()
}

/// A set that keeps to all limits: the clients of most worth at these prices first, each with the offers
/// that are worth their price, and then whatever still fits.
pub(super) fn put_together(problem: &Problem, groups: &Groups, prices: &Prices) -> Vec<bool> {
    let orders = Orders::of(problem, groups, prices);
    let mut visits: Vec<usize> = (0..problem.visits.len()).collect();
    visits.sort_by(|a, b| orders.worth[*b].total_cmp(&orders.worth[*a]).then(a.cmp(b)));
    let mut set = Set::empty(problem);
    for priced in [true, false] {
        for visit in &visits {
            for offer in &orders.offers[*visit] {
                if (!priced || orders.net[*offer] > 0.0) && set.fits(*offer) {
                    set.change(*offer, 1);
                }
            }
        }
    }
    set.chosen
}

/// A set, improved: some clients or offers are taken out at random and what is free is filled up again in
/// an order that is random as well, near that of their worth (Shaw 1998, large neighbourhood search). What
/// is worth more is kept, and at first what is worth little less, so that the search does not end where it
/// began (Dueck and Scheuer 1990, threshold accepting). The random numbers are the same every time.
pub(super) fn improve(
    problem: &Problem,
    groups: &Groups,
    prices: &Prices,
    chosen: Vec<bool>,
    bound: f64,
) -> Vec<bool> {
    let orders = Orders::of(problem, groups, prices);
    let mut set = Set::empty(problem);
    for (offer, chosen) in chosen.iter().enumerate() {
        if *chosen {
            set.change(offer, 1);
        }
    }
    let (mut best, mut most) = (chosen, set.value);
    let owners: Vec<usize> = (0..problem.owners.len())
        .filter(|owner| !groups.visits[*owner].is_empty())
        .collect();
    if owners.is_empty() {
        return best;
    }
    let shared = !problem.stock.is_empty() && problem.offers.len() <= SHARED;
    let all: Vec<usize> = (0..problem.visits.len()).collect();
    let mut turn = Turn {
        problem,
        groups,
        orders: &orders,
        random: Random(problem.offers.len() as u64),
        looked: 0,
    };
    while turn.looked < BUDGET && most < bound - NOTHING * (1.0 + bound) {
        let owner = owners[turn.random.below(owners.len())];
        let visits = match shared && turn.random.below(2) == 0 {
            true => &all,
            false => &groups.visits[owner],
        };
        set.journal.clear();
        let before = set.value;
        turn.take_out(&mut set, visits);
        match turn.random.below(2) {
            0 => turn.fill_by_client(&mut set, visits),
            _ => turn.fill_by_offer(&mut set, visits),
        }
        turn.fill_up(&mut set, visits);
        let left = 1.0 - turn.looked as f64 / BUDGET as f64;
        let slack = FIRST_SLACK * left * left * most / f64::from(set.made.max(1));
        if set.value > most + NOTHING * (1.0 + most) {
            most = set.value;
            best.clone_from(&set.chosen);
        } else if set.value < before && set.value < most - slack {
            set.undo();
        }
    }
    best
}

/// One try after the other.
struct Turn<'a> {
    problem: &'a Problem,
    groups: &'a Groups,
    orders: &'a Orders,
    random: Random,
    looked: usize,
}

impl Turn<'_> {
    /// Takes out some clients, single offers of some, or half of what sells from one stock.
    fn take_out(&mut self, set: &mut Set<'_>, visits: &[usize]) {
        let visited: Vec<usize> = visits
            .iter()
            .copied()
            .filter(|visit| set.offers[*visit] > 0)
            .collect();
        if visited.is_empty() {
            return;
        }
        let how = self.random.below(5);
        if how == 0 && !self.problem.stock.is_empty() {
            let stock = self.random.below(self.problem.stock.len());
            for offer in visited.iter().flat_map(|visit| &self.groups.offers[*visit]) {
                let sells = self.problem.offers[*offer].sells;
                let of_it = sells.is_some_and(|(of, _)| of == stock);
                if of_it && set.chosen[*offer] && self.random.below(2) == 0 {
                    set.change(*offer, -1);
                }
            }
            return;
        }
        for _ in 0..=self.random.below(MOST_OUT) {
            let visit = visited[self.random.below(visited.len())];
            let made = self.groups.offers[visit].iter().copied();
            let made: Vec<usize> = made.filter(|offer| set.chosen[*offer]).collect();
            let one = self.random.below(made.len());
            for (at, offer) in made.into_iter().enumerate() {
                if how <= 2 || at == one {
                    set.change(offer, -1);
                }
            }
        }
    }

    /// Worth moved by chance.
    fn near(&mut self, worth: f64, whole: f64) -> f64 {
        worth + NOISE * (self.random.uniform() - 0.5) * self.random.uniform() * whole
    }

    /// Client after client, offers that are worth their price, a few passed over.
    fn fill_by_client(&mut self, set: &mut Set<'_>, visits: &[usize]) {
        let orders = self.orders;
        let mut order: Vec<(f64, usize)> = visits
            .iter()
            .map(|visit| {
                (
                    self.near(orders.worth[*visit], orders.gross[*visit]),
                    *visit,
                )
            })
            .collect();
        order.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let passes = [2, 5, 17, usize::MAX][self.random.below(4)];
        for (_, visit) in order {
            let offers = &orders.offers[visit];
            self.looked += offers.len();
            for offer in offers {
                let passed = passes < usize::MAX && self.random.below(passes) == 0;
                if orders.net[*offer] > 0.0 && !passed && !set.chosen[*offer] && set.fits(*offer) {
                    set.change(*offer, 1);
                }
            }
        }
    }

    /// Offer after offer, whoever the client is.
    fn fill_by_offer(&mut self, set: &mut Set<'_>, visits: &[usize]) {
        let orders = self.orders;
        let mut order: Vec<(f64, usize)> = Vec::new();
        for visit in visits {
            let visited = set.offers[*visit] > 0;
            if !visited && self.near(orders.worth[*visit], orders.gross[*visit]) <= 0.0 {
                continue;
            }
            for offer in &orders.offers[*visit] {
                if !set.chosen[*offer] {
                    let value = self.problem.offers[*offer].value;
                    order.push((self.near(orders.net[*offer], value), *offer));
                }
            }
        }
        self.looked += 2 * order.len();
        order.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        for (worth, offer) in order {
            if worth > 0.0 && set.fits(offer) {
                set.change(offer, 1);
            }
        }
    }

    /// Whatever still fits, from a random client on.
    fn fill_up(&mut self, set: &mut Set<'_>, visits: &[usize]) {
        let from = self.random.below(visits.len());
        for visit in visits[from..].iter().chain(&visits[..from]) {
            let offers = &self.orders.offers[*visit];
            self.looked += offers.len();
            for offer in offers {
                if !set.chosen[*offer] && set.fits(*offer) {
                    set.change(*offer, 1);
                }
            }
        }
        self.looked += 1;
    }
}

/// Numbers from a seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(1);
        mix(self.0)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// What clients and their offers are worth at some prices.
struct Orders {
    /// Each client's offers, most worth first; by worth a unit of credit where that is short.
    offers: Vec<Vec<usize>>,
    /// What offers are worth less their price.
    net: Vec<f64>,
    /// What clients are worth less the price of the way to them.
    worth: Vec<f64>,
    /// What their offers are worth.
    gross: Vec<f64>,
}

impl Orders {
    fn of(problem: &Problem, groups: &Groups, prices: &Prices) -> Self {
        let net: Vec<f64> = (0..problem.offers.len())
            .map(|offer| net(problem, offer, prices))
            .collect();
        let mut offers = groups.offers.clone();
        for (visit, of_visit) in problem.visits.iter().zip(&mut offers) {
            let wanted = of_visit.iter().filter(|offer| net[**offer] > 0.0);
            let asked: i128 = wanted
                .map(|offer| i128::from(problem.offers[*offer].asks))
                .sum();
            let short = visit.credit != UNLIMITED && asked > i128::from(visit.credit);
            let rate = |offer: &usize| match short {
                true => net[*offer] / (problem.offers[*offer].asks as f64).max(1.0),
                false => net[*offer],
            };
            of_visit.sort_by(|a, b| rate(b).total_cmp(&rate(a)).then(a.cmp(b)));
        }
        let mut taken = Vec::new();
        let visits = problem.visits.iter().zip(&groups.offers);
        let (worth, gross) = visits
            .map(|(visit, offers)| {
                let own = &prices.owners[visit.owner];
                let worth = visit_worth(problem, offers, prices, &mut taken);
                let gross: f64 = taken
                    .iter()
                    .map(|(offer, share)| share * problem.offers[*offer].value)
                    .sum();
                let way = own[MINUTES] * visit.minutes as f64 + own[VISITS];
                (worth - way, gross)
            })
            .unzip();
        Self {
            offers,
            net,
            worth,
            gross,
        }
    }
}

/// A set, what it uses of each limit, and what was changed in it last.
struct Set<'a> {
    problem: &'a Problem,
    chosen: Vec<bool>,
    value: f64,
    owners: Vec<[i128; OF_OWNER]>,
    stock: Vec<i128>,
    asked: Vec<i128>,
    offers: Vec<u32>,
    /// Offers in it.
    made: u32,
    journal: Vec<(usize, i128)>,
}

impl<'a> Set<'a> {
    fn empty(problem: &'a Problem) -> Self {
        Self {
            problem,
            chosen: vec![false; problem.offers.len()],
            value: 0.0,
            owners: vec![[0; OF_OWNER]; problem.owners.len()],
            stock: vec![0; problem.stock.len()],
            asked: vec![0; problem.visits.len()],
            offers: vec![0; problem.visits.len()],
            made: 0,
            journal: Vec::new(),
        }
    }

    /// What an offer uses of its owner's limits, the way to the client where it is the only one there.
    fn uses(&self, offer: usize, others_there: bool) -> [i128; OF_OWNER] {
        let offer = &self.problem.offers[offer];
        let visit = &self.problem.visits[offer.visit];
        let mut uses = [0; OF_OWNER];
        uses[MINUTES] = i128::from(offer.minutes);
        uses[OFFERS] = 1;
        if !others_there {
            uses[MINUTES] += i128::from(visit.minutes);
            uses[VISITS] = 1;
        }
        uses
    }

    fn fits(&self, at: usize) -> bool {
        let offer = &self.problem.offers[at];
        let visit = &self.problem.visits[offer.visit];
        let uses = self.uses(at, self.offers[offer.visit] > 0);
        let used = self.owners[visit.owner].iter().zip(uses);
        let limits = self.problem.owners[visit.owner];
        let stock = offer.sells.is_none_or(|(of, sells)| {
            self.stock[of] + i128::from(sells) <= i128::from(self.problem.stock[of])
        });
        stock
            && used
                .zip(limits)
                .all(|((used, more), limit)| used + more <= i128::from(limit))
            && self.asked[offer.visit] + i128::from(offer.asks) <= i128::from(visit.credit)
    }

    /// Puts an offer in (1) or takes it out (-1).
    fn change(&mut self, at: usize, sign: i128) {
        let offer = self.problem.offers[at];
        let others_there = self.offers[offer.visit] > u32::from(sign < 0);
        let uses = self.uses(at, others_there);
        let owner = self.problem.visits[offer.visit].owner;
        for (used, more) in self.owners[owner].iter_mut().zip(uses) {
            *used += sign * more;
        }
        if let Some((of, sells)) = offer.sells {
            self.stock[of] += sign * i128::from(sells);
        }
        self.asked[offer.visit] += sign * i128::from(offer.asks);
        self.chosen[at] = sign > 0;
        match sign > 0 {
            true => {
                self.offers[offer.visit] += 1;
                self.made += 1;
                self.value += offer.value;
            }
            false => {
                self.offers[offer.visit] -= 1;
                self.made -= 1;
                self.value -= offer.value;
            }
        }
        self.journal.push((at, sign));
    }

    /// Takes back what was changed since the journal was begun.
    fn undo(&mut self) {
        let journal = std::mem::take(&mut self.journal);
        for (offer, sign) in journal.iter().rev() {
            self.change(*offer, -sign);
        }
        self.journal = journal;
        self.journal.clear();
    }
}
