//! What each owner can work and what can be sold, and the pipeline cut to it.

use std::collections::BTreeMap;

use super::plan::{MINUTES, OFFERS, VISITS};
use super::plan::{OF_OWNER, Offer, Plan, Problem, UNLIMITED, Visit};
use crate::domain::{Attribute, Client, ClientNo, Kind, Opportunity, ProductNo, Text};

/// Offers that a plan chooses from at most, best by priority.
pub const MOST_CONSIDERED: usize = 200_000;

/// What there is for the time that is planned: a week, a month.
#[derive(Debug, Clone, PartialEq)]
pub struct Capacity {
    /// Minutes, offers and visits of owners that are named.
    pub owners: BTreeMap<Text, [i64; OF_OWNER]>,
    /// The same of every other owner.
    pub others: [i64; OF_OWNER],
    /// Minutes that an offer of a kind takes.
    pub minutes: BTreeMap<Kind, i64>,
    /// The same of kinds that are not named.
    pub other_minutes: i64,
    /// The attribute of clients that the way to them follows.
    pub travel_attribute: Text,
    /// Minutes to a client with this value of it.
    pub travel: BTreeMap<Text, i64>,
    /// Minutes to any other client.
    pub other_travel: i64,
    /// What there is of a product, in minor units per period.
    pub stock: BTreeMap<ProductNo, i64>,
    /// What a client may buy more, in minor units per period.
    pub credit: BTreeMap<ClientNo, i64>,
}

impl Default for Capacity {
    /// No limit, and work that takes no time.
    fn default() -> Self {
        Self {
            owners: BTreeMap::new(),
            others: [UNLIMITED; OF_OWNER],
            minutes: BTreeMap::new(),
            other_minutes: 0,
            travel_attribute: Text::default(),
            travel: BTreeMap::new(),
            other_travel: 0,
            stock: BTreeMap::new(),
            credit: BTreeMap::new(),
        }
    }
}

/// An offer that is planned.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedRow {
    /// The offer.
    pub opportunity: Opportunity,
    /// Whose it is, by place in [`Planned::owners`].
    pub owner: usize,
    /// Which of the owner's visits it is made on, from 1; those worth most first.
    pub visit: usize,
    /// Minutes it takes.
    pub minutes: i64,
    /// Minutes to get there, with the first offer of a visit; else 0.
    pub travel_minutes: i64,
}

/// What an owner's plan uses.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnerUse {
    /// The owner; empty for clients that have none.
    pub owner: Text,
    /// Minutes, offers and visits there are.
    pub limits: [i64; OF_OWNER],
    /// The same that the plan uses.
    pub used: [i64; OF_OWNER],
    /// What the plan is worth, in minor units.
    pub value_minor: f64,
    /// What one more minute, offer and visit would be worth, in minor units.
    pub prices: [f64; OF_OWNER],
}

/// What a plan uses of a product's stock.
#[derive(Debug, Clone, PartialEq)]
pub struct StockUse {
    /// The product.
    pub product: ProductNo,
    /// What there is.
    pub limit_minor: i64,
    /// What the plan is expected to sell of it.
    pub used_minor: i64,
    /// What one more minor unit of it would be worth, in minor units.
    pub price: f64,
}

/// The pipeline cut to what there is.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// The offers, by owner and visit, most worth first.
    pub rows: Vec<PlannedRow>,
    /// Owners, by name.
    pub owners: Vec<OwnerUse>,
    /// Products whose stock is limited.
    pub stock: Vec<StockUse>,
    /// What the offers are worth, in minor units.
    pub value_minor: f64,
    /// No other choice is worth more.
    pub bound_minor: f64,
    /// Offers that were chosen from.
    pub considered: usize,
}

impl Capacity {
    /// Chooses from offers, best by priority first. Those that are worth nothing are left out, and so are
    /// all after [`MOST_CONSIDERED`]. Cost: see [`Plan::of`].
    pub fn plan<'a>(
        &self,
        opportunities: &[&Opportunity],
        client: impl Fn(ClientNo) -> Option<&'a Client>,
    ) -> Planned {
        let worth: Vec<&Opportunity> = opportunities
            .iter()
            .copied()
            .filter(|one| one.priority_minor > 0.0)
            .take(MOST_CONSIDERED)
            .collect();
        let mut clients: BTreeMap<ClientNo, (Text, i64)> = BTreeMap::new();
        for one in &worth {
            clients.entry(one.client).or_insert_with(|| {
                let record = client(one.client);
                let owner = record.map_or_else(Text::default, |record| record.owner.clone());
                (owner, self.travel_minutes(record))
            });
        }
        let mut owners: Vec<Text> = clients.values().map(|(owner, _)| owner.clone()).collect();
        owners.sort_unstable();
        owners.dedup();
        let owner_at = |owner: &Text| owners.binary_search(owner).unwrap_or(0);
        let numbers: Vec<ClientNo> = clients.keys().copied().collect();
        let products: Vec<ProductNo> = self.stock.keys().copied().collect();
        let problem = Problem {
            offers: worth
                .iter()
                .map(|one| Offer {
                    visit: numbers.binary_search(&one.client).unwrap_or(0),
                    value: one.priority_minor,
                    minutes: self.minutes_of(one.kind),
                    sells: products
                        .binary_search(&one.product)
                        .ok()
                        .map(|at| (at, expected_minor(one))),
                    asks: one.gain_minor,
                })
                .collect(),
            visits: clients
                .iter()
                .map(|(number, (owner, minutes))| Visit {
                    owner: owner_at(owner),
                    minutes: *minutes,
                    credit: self.credit.get(number).copied().unwrap_or(UNLIMITED),
                })
                .collect(),
            owners: owners
                .iter()
                .map(|owner| self.owners.get(owner).copied().unwrap_or(self.others))
                .collect(),
            stock: self.stock.values().copied().collect(),
        };
        let plan = Plan::of(&problem);
        written(&problem, &plan, &worth, &owners, &products)
    }

    fn minutes_of(&self, kind: Kind) -> i64 {
        self.minutes
            .get(&kind)
            .copied()
            .unwrap_or(self.other_minutes)
    }

    fn travel_minutes(&self, client: Option<&Client>) -> i64 {
        let value = client.and_then(|client| client.attributes.get(&self.travel_attribute));
        let minutes = match value {
            Some(Attribute::Text(text)) => self.travel.get(text),
            Some(Attribute::Number(number)) => self.travel.get(number.to_string().as_str()),
            None => None,
        };
        minutes.copied().unwrap_or(self.other_travel)
    }
}

/// What an offer sells on average, in minor units per period.
fn expected_minor(one: &Opportunity) -> i64 {
    (one.probability * one.gain_minor as f64).round() as i64
}

fn written(
    problem: &Problem,
    plan: &Plan,
    worth: &[&Opportunity],
    owners: &[Text],
    products: &[ProductNo],
) -> Planned {
    let mut of_visit: Vec<Vec<usize>> = vec![Vec::new(); problem.visits.len()];
    let mut stock = vec![0_i64; products.len()];
    for (at, offer) in problem.offers.iter().enumerate() {
        if plan.chosen[at] {
            of_visit[offer.visit].push(at);
            if let Some((of, sells)) = offer.sells {
                stock[of] = stock[of].saturating_add(sells);
            }
        }
    }
    let value = |offers: &[usize]| -> f64 {
        offers
            .iter()
            .map(|offer| problem.offers[*offer].value)
            .sum()
    };
    let mut visits: Vec<usize> = (0..problem.visits.len())
        .filter(|visit| !of_visit[*visit].is_empty())
        .collect();
    visits.sort_by(|a, b| {
        let owner = |visit: &usize| problem.visits[*visit].owner;
        owner(a)
            .cmp(&owner(b))
            .then(value(&of_visit[*b]).total_cmp(&value(&of_visit[*a])))
            .then(a.cmp(b))
    });
    let mut rows = Vec::new();
    let mut uses: Vec<OwnerUse> = owners
        .iter()
        .enumerate()
        .map(|(at, owner)| OwnerUse {
            owner: owner.clone(),
            limits: problem.owners[at],
            used: [0; OF_OWNER],
            value_minor: 0.0,
            prices: plan.prices.owners[at],
        })
        .collect();
    for at in visits {
        let visit = &problem.visits[at];
        let one = &mut uses[visit.owner];
        one.used[VISITS] += 1;
        one.used[MINUTES] += visit.minutes;
        one.value_minor += value(&of_visit[at]);
        for (place, offer) in of_visit[at].iter().enumerate() {
            let minutes = problem.offers[*offer].minutes;
            one.used[OFFERS] += 1;
            one.used[MINUTES] += minutes;
            rows.push(PlannedRow {
                opportunity: worth[*offer].clone(),
                owner: visit.owner,
                visit: one.used[VISITS] as usize,
                minutes,
                travel_minutes: if place == 0 { visit.minutes } else { 0 },
            });
        }
    }
    Planned {
        rows,
        owners: uses,
        stock: products
            .iter()
            .enumerate()
            .map(|(at, product)| StockUse {
                product: *product,
                limit_minor: problem.stock[at],
                used_minor: stock[at],
                price: plan.prices.stock[at],
            })
            .collect(),
        value_minor: plan.value,
        bound_minor: plan.bound,
        considered: worth.len(),
    }
}
