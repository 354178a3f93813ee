//! What time tells of a portfolio on one day: who took up what lately, how often, for how much.

use super::cut::{Bought, NOTHING_MINOR, before, bought_before};
use super::recipe::AdoptionRecipe;
use crate::domain::{ClientNo, Day, ProductNo};
use crate::matrix::{PurchaseLog, TicketMatrix};

/// Windows over which take-up is counted, as parts of the horizon.
pub(super) const WINDOWS: [f64; 4] = [1.0, 2.0, 4.0, 8.0];
/// Mean of a first ticket over its median, of the pseudo-buyers of a product.
const USUAL_MEAN_OVER_MEDIAN: f64 = 1.4;

/// The scales of an estimate: the days in which a product is taken up, and the days of a ticket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    /// The horizon H, days.
    pub horizon_days: u32,
    /// The period that a ticket is counted by, days (30.4375 for a month).
    pub period_days: f64,
}

impl Span {
    /// H in days, at least one.
    pub(super) fn days(self) -> f64 {
        f64::from(self.horizon_days.max(1))
    }

    /// The horizon that a history can teach: as much of this one as leaves `parts` of it in all,
    /// or the features of the back-test would be those of a book that has hardly begun.
    pub(super) fn taught(self, log: &PurchaseLog, as_of: Day, parts: f64) -> Self {
        let Some((first, _)) = log.days().filter(|days| days.0 < as_of) else {
            return self;
        };
        let history = f64::from(as_of.epoch_days() - first.epoch_days());
        let most = (history / parts).round().max(1.0) as u32;
        Self {
            horizon_days: self.horizon_days.min(most),
            ..self
        }
    }

    /// Periods in the horizon.
    pub(super) fn periods(self) -> f64 {
        self.days() / self.period_days.max(1e-9)
    }
}

/// A product's past.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ProductPast {
    /// Share of the clients without it that took it up, in each of [`WINDOWS`].
    pub(super) take_up: [f64; 4],
    /// Share of all clients that ever bought it.
    pub(super) population: f64,
    /// The same, each buyer counted `0.5^(age / H)`, and with a third of that half-life.
    pub(super) population_recent: f64,
    pub(super) population_latest: f64,
    /// Days of purchase per buyer and horizon.
    pub(super) frequency: f64,
    /// Logarithm of the middle amount of one purchase, spread over the horizon's periods.
    pub(super) ln_purchase: f64,
    /// Logarithm of the middle ticket, over the last horizon, of clients that took it up in it.
    pub(super) ln_first: f64,
    /// Logarithm of the mean of these.
    pub(super) ln_first_mean: f64,
}

/// A client's past.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ClientPast {
    /// Products taken up in the last horizon, and in its last half.
    pub(super) taken_up: f64,
    pub(super) taken_up_half: f64,
    /// Days with a purchase, per 30.4375 days, over all history and over the last horizon.
    pub(super) visits: f64,
    pub(super) visits_recent: f64,
    /// Days since the last purchase.
    pub(super) days_since: f64,
    /// How much larger than usual its single purchases are, mean log residual (shrunk).
    pub(super) purchase_size: f64,
    /// The same of the first tickets of products that it took up in the last horizon.
    pub(super) first_size: f64,
}

/// A product that a client took up within the last horizon.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fresh {
    pub(super) product: ProductNo,
    /// Whether it was in the last half of it.
    pub(super) half: bool,
}

/// The past of all clients and products, seen from one day.
#[derive(Debug, Clone, Default)]
pub(super) struct Past {
    /// Horizons of history; 1 without any.
    pub(super) horizons: f64,
    pub(super) products: Vec<ProductPast>,
    clients: Vec<Option<ClientPast>>,
    usual: ClientPast,
    starts: Vec<usize>,
    fresh: Vec<Fresh>,
}

impl Past {
    /// Reads the purchases before `as_of`. Cost: the purchases, a few times.
    pub(super) fn of(log: &PurchaseLog, as_of: Day, span: Span, recipe: &AdoptionRecipe) -> Self {
        let horizon = f64::from(span.horizon_days.max(1));
        let Some((first_day, _)) = log.days().filter(|days| days.0 < as_of) else {
            return Self::default();
        };
        let history_days = f64::from((as_of.epoch_days() - first_day.epoch_days()).max(1));
        let bought = bought_before(log, as_of, span);
        let mut past = Self {
            products: vec![ProductPast::default(); log.products()],
            clients: vec![None; log.clients()],
            horizons: history_days / horizon,
            ..Self::default()
        };
        let pseudo_clients = recipe.take_up_pseudo_clients;
        past.count_products(&bought, as_of, horizon, log.clients(), pseudo_clients);
        let amounts = past.weigh_purchases(log, as_of, span);
        past.frequencies(&bought, &amounts, history_days / horizon);
        past.price_first_tickets(&bought, as_of, span, recipe.first_pseudo_buyers);
        past.count_clients(log, as_of, horizon, history_days);
        past.count_fresh(&bought, as_of, span, log.clients());
        past.size_purchases(&amounts);
        past.usual = usual(&past.clients);
        past
    }

    /// What a matrix without dates tells: shares of all clients, and nothing of time.
    pub(super) fn undated(matrix: &TicketMatrix) -> Self {
        let clients = matrix.clients().max(1) as f64;
        let product = |product: u32| {
            let share = f64::from(matrix.buyers(ProductNo(product))) / clients;
            ProductPast {
                population: share,
                population_recent: share,
                population_latest: share,
                ..ProductPast::default()
            }
        };
        Self {
            products: (0..matrix.products() as u32).map(product).collect(),
            horizons: 1.0,
            ..Self::default()
        }
    }

    /// A client's past; the average active client's for one that is not known.
    pub(super) fn client(&self, client: Option<ClientNo>) -> ClientPast {
        let known = client.and_then(|client| self.clients.get(client.index()).copied().flatten());
        known.unwrap_or(self.usual)
    }

    /// Whether the client has a past of its own.
    pub(super) fn knows(&self, client: ClientNo) -> bool {
        matches!(self.clients.get(client.index()), Some(Some(_)))
    }

    /// A product's past; nothing at all for one that is not known.
    pub(super) fn product(&self, product: ProductNo) -> ProductPast {
        self.products
            .get(product.index())
            .copied()
            .unwrap_or_default()
    }

    /// What a client took up within the last horizon, by product.
    pub(super) fn fresh(&self, client: ClientNo) -> &[Fresh] {
        match self.starts.get(client.index()..client.index() + 2) {
            Some(bounds) => &self.fresh[bounds[0]..bounds[1]],
            None => &[],
        }
    }

    fn count_products(
        &mut self,
        bought: &[Bought],
        as_of: Day,
        horizon: f64,
        clients: usize,
        pseudo_clients: f64,
    ) {
        let products = self.products.len();
        let all = clients as f64;
        for (window, part) in WINDOWS.iter().enumerate() {
            let mut new = vec![0.0; products];
            let mut old = vec![0.0; products];
            for pair in bought {
                let since = f64::from(as_of.epoch_days() - pair.first.epoch_days());
                let side = if since <= horizon / part {
                    &mut new
                } else {
                    &mut old
                };
                side[pair.product] += 1.0;
            }
            let at_risk = (all * products as f64 - old.iter().sum::<f64>()).max(1.0);
            let mean = new.iter().sum::<f64>() / at_risk;
            for (product, past) in self.products.iter_mut().enumerate() {
                past.take_up[window] =
                    (new[product] + pseudo_clients * mean) / (all - old[product] + pseudo_clients);
            }
        }
        for pair in bought {
            let age = f64::from(as_of.epoch_days() - pair.last.epoch_days());
            let recent = 0.5_f64.powf(age / horizon);
            let past = &mut self.products[pair.product];
            past.population += 1.0 / all;
            past.population_recent += recent / all;
            past.population_latest += recent.powi(3) / all;
        }
    }

    /// Every purchase as (client, product, log amount over the horizon's periods), and each
    /// product's middle one.
    fn weigh_purchases(
        &mut self,
        log: &PurchaseLog,
        as_of: Day,
        span: Span,
    ) -> Vec<(u32, u32, f64)> {
        let spread = span.periods().ln();
        let mut amounts = Vec::with_capacity(log.len());
        for client in 0..log.clients() as u32 {
            for purchase in before(log, ClientNo(client), as_of) {
                if purchase.amount_minor > 0.0 {
                    let ln = purchase.amount_minor.ln() - spread;
                    amounts.push((client, purchase.product.0, ln));
                }
            }
        }
        let mut by_product = vec![Vec::new(); self.products.len()];
        for &(_, product, ln) in &amounts {
            by_product[product as usize].push(ln);
        }
        for (past, mut lns) in self.products.iter_mut().zip(by_product) {
            past.ln_purchase = median(&mut lns).unwrap_or(0.0);
        }
        amounts
    }

    fn frequencies(&mut self, bought: &[Bought], amounts: &[(u32, u32, f64)], horizons: f64) {
        let mut buyers = vec![0.0_f64; self.products.len()];
        let mut days = vec![0.0_f64; self.products.len()];
        for pair in bought {
            buyers[pair.product] += 1.0;
        }
        for &(_, product, _) in amounts {
            days[product as usize] += 1.0;
        }
        for (at, past) in self.products.iter_mut().enumerate() {
            past.frequency = days[at] / buyers[at].max(1.0) / horizons.max(1e-9);
        }
    }

    fn price_first_tickets(
        &mut self,
        bought: &[Bought],
        as_of: Day,
        span: Span,
        pseudo_buyers: f64,
    ) {
        let products = self.products.len();
        let mut all = vec![Vec::new(); products];
        let mut first = vec![Vec::new(); products];
        for pair in bought
            .iter()
            .filter(|pair| pair.recent_minor > NOTHING_MINOR)
        {
            let ln = (pair.recent_minor / span.periods()).ln();
            all[pair.product].push(ln);
            if pair.is_fresh(as_of, span) {
                first[pair.product].push(ln);
            }
        }
        for (past, (all, first)) in self.products.iter_mut().zip(all.iter_mut().zip(&mut first)) {
            let usual = median(all).unwrap_or(past.ln_purchase);
            let count = first.len() as f64;
            let middle = median(first).unwrap_or(usual);
            let weight = count + pseudo_buyers;
            past.ln_first = (count * middle + pseudo_buyers * usual) / weight;
            let pseudo = past.ln_first.exp() * USUAL_MEAN_OVER_MEDIAN;
            let sum: f64 = first.iter().map(|ln| ln.exp()).sum();
            past.ln_first_mean = ((sum + pseudo_buyers * pseudo) / weight).ln();
        }
    }

    fn count_clients(&mut self, log: &PurchaseLog, as_of: Day, horizon: f64, history_days: f64) {
        let month = crate::domain::DAYS_PER_MONTH;
        let mut days = Vec::new();
        for client in 0..log.clients() {
            days.clear();
            days.extend(before(log, ClientNo(client as u32), as_of).map(|purchase| purchase.day));
            days.sort_unstable();
            days.dedup();
            let Some(last) = days.last() else { continue };
            let since = |day: &Day| f64::from(as_of.epoch_days() - day.epoch_days());
            let recent = days.iter().filter(|day| since(day) <= horizon).count();
            self.clients[client] = Some(ClientPast {
                visits: days.len() as f64 / (history_days / month),
                visits_recent: recent as f64 / (horizon / month),
                days_since: since(last),
                ..ClientPast::default()
            });
        }
    }

    fn count_fresh(&mut self, bought: &[Bought], as_of: Day, span: Span, clients: usize) {
        let half = span.days() / 2.0;
        self.starts = vec![0];
        let mut at = 0;
        for client in 0..clients {
            let (mut sum, mut count) = (0.0, 0.0);
            let (mut taken_up, mut taken_up_half) = (0.0, 0.0);
            while let Some(pair) = bought.get(at).filter(|pair| pair.client == client) {
                at += 1;
                if !pair.is_fresh(as_of, span) {
                    continue;
                }
                let latest = f64::from(as_of.epoch_days() - pair.first.epoch_days()) <= half;
                let residual = (pair.recent_minor > NOTHING_MINOR).then(|| {
                    (pair.recent_minor / span.periods()).ln() - self.products[pair.product].ln_first
                });
                taken_up += 1.0;
                taken_up_half += f64::from(u8::from(latest));
                if let Some(residual) = residual {
                    sum += residual;
                    count += 1.0;
                }
                self.fresh.push(Fresh {
                    product: ProductNo(pair.product as u32),
                    half: latest,
                });
            }
            self.starts.push(self.fresh.len());
            if let Some(past) = &mut self.clients[client] {
                past.taken_up = taken_up;
                past.taken_up_half = taken_up_half;
                past.first_size = sum / (count + 3.0);
            }
        }
    }

    fn size_purchases(&mut self, amounts: &[(u32, u32, f64)]) {
        let mut sums = vec![(0.0_f64, 0.0_f64); self.clients.len()];
        for &(client, product, ln) in amounts {
            let sum = &mut sums[client as usize];
            sum.0 += ln - self.products[product as usize].ln_purchase;
            sum.1 += 1.0;
        }
        for (client, (sum, count)) in self.clients.iter_mut().zip(sums) {
            if let Some(past) = client {
                past.purchase_size = sum / (count + 5.0);
            }
        }
    }
}

fn usual(clients: &[Option<ClientPast>]) -> ClientPast {
    let count = clients.iter().flatten().count().max(1) as f64;
    let mean =
        |value: fn(&ClientPast) -> f64| clients.iter().flatten().map(value).sum::<f64>() / count;
    ClientPast {
        taken_up: mean(|past| past.taken_up),
        taken_up_half: mean(|past| past.taken_up_half),
        visits: mean(|past| past.visits),
        visits_recent: mean(|past| past.visits_recent),
        days_since: mean(|past| past.days_since),
        purchase_size: mean(|past| past.purchase_size),
        first_size: mean(|past| past.first_size),
    }
}

/// The middle number, the mean of the middle two of an even count; none of none.
pub(super) fn median(values: &mut [f64]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    values.sort_unstable_by(f64::total_cmp);
    let (below, above) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
    Some(f64::midpoint(below, above))
}
