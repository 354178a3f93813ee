//! One subject against all clients: squared differences of log tickets over shared products.

use super::nearest::{Nearest, Ranked};
use super::{Profiles, Subject};
use crate::domain::{ClientNo, ProductNo};
use crate::matrix::{BLOCK, Cell, Run, TicketMatrix, quick_ln};

/// How differences become a distance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DistanceRule {
    /// `v`, the mean squared difference of two unrelated log tickets.
    pub spread: f64,
    /// Products over which two clients count as strangers before any evidence.
    pub shrink: f64,
    /// Added to a distance before it is inverted, as a share of `spread`.
    pub floor: f64,
    /// Weight of all attributes together, in shared products; 0 leaves them out.
    pub attribute_weight: f64,
}

impl DistanceRule {
    /// The weight of a neighbour at this distance: `1 / (d + floor v)`, at most 1e9.
    pub fn weight(&self, distance: f64) -> f64 {
        1.0 / (distance + self.floor * self.spread).max(1e-9)
    }
}

/// A client near a subject.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbour {
    /// Who.
    pub client: ClientNo,
    /// Mean squared difference of log tickets, shrunk; never negative.
    pub distance: f64,
    /// Its ticket for the judged product, minor units; 0 in a search without one.
    pub ticket: f32,
    /// Products that both buy, the judged one left out.
    pub common: u32,
    /// Where its ticket stands among those of the matrix's base; [`NOT_IN_BASE`] for one in the
    /// overlay, and in a search without a judged product.
    pub posting: u32,
}

/// Stands for a ticket that the base of a matrix does not have.
pub const NOT_IN_BASE: u32 = u32::MAX;

/// The nearest buyers of a product, and how many buyers there are.
#[derive(Debug, Clone, Copy)]
pub struct Buyers<'a> {
    /// Buyers of the product, the subject left out.
    pub buyers: u32,
    /// The nearest of them, nearest first.
    pub nearest: &'a [Neighbour],
}

/// One client's sums against the subject.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    /// Squared differences of log tickets over the products that both buy.
    squares: f64,
    /// How many these are.
    common: u32,
}

/// A product whose buyers are looked for.
#[derive(Debug, Default)]
struct Judged {
    product: ProductNo,
    /// Logarithm of the subject's own ticket for it.
    own: Option<f32>,
    buyers: u32,
    nearest: Nearest<Neighbour>,
}

/// The nearest clients of one subject; buffers are reused from subject to subject.
///
/// With `D = sum over shared products (ln x - ln y)^2` and the attributes' mean squared difference
/// `A`, the distance is `(D + shrink v + weight v A) / (shared + shrink + weight)`, the judged
/// product left out of both sums: left in, today's ticket would choose its own yardstick.
///
/// Clients are taken block by block, so that the sums of a block and the postings that were just
/// added up are still in the first cache when the buyers of each judged product are read from them;
/// a buyer that cannot be among the nearest is passed over before anything is divided.
#[derive(Debug, Default)]
pub struct Search {
    sums: Vec<Sum>,
    /// Mean squared differences of the attributes of a block's clients, found once each: NaN where
    /// not looked at yet, below 0 where none is shared.
    attributes: Vec<f32>,
    /// The subject's products and the logarithms of its tickets.
    own: Vec<(ProductNo, f32)>,
    judged: Vec<Judged>,
    /// How many of `judged` are of this subject; the others are spare.
    count: usize,
    clients: Nearest<Neighbour>,
}

/// What a subject's clients are measured by.
#[derive(Clone, Copy)]
struct Measure<'a> {
    subject: &'a Subject<'a>,
    profiles: &'a Profiles,
    rule: &'a DistanceRule,
}

impl Search {
    /// Finds the `k` nearest buyers of each of some products, whether the subject buys them or not;
    /// [`Search::buyers`] then gives them.
    ///
    /// Cost: the postings of the subject's products and of these.
    pub fn survey(
        &mut self,
        matrix: &TicketMatrix,
        subject: &Subject<'_>,
        profiles: &Profiles,
        products: impl IntoIterator<Item = ProductNo>,
        rule: &DistanceRule,
        k: usize,
    ) {
        self.take_on(subject);
        for product in products {
            self.judge(product, k);
        }
        let judged = &mut self.judged[..self.count];
        judged.sort_unstable_by_key(|one| one.product);
        debug_assert!(
            judged
                .windows(2)
                .all(|pair| pair[0].product < pair[1].product)
        );
        let measure = Measure {
            subject,
            profiles,
            rule,
        };
        let Self {
            sums,
            attributes,
            own,
            judged,
            count,
            ..
        } = self;
        let judged = &mut judged[..*count];
        for block in 0..matrix.blocks() {
            add_up(matrix, block, own, sums);
            if rule.attribute_weight > 0.0 {
                attributes.fill(f32::NAN);
            }
            for one in &mut *judged {
                let run = matrix.run(one.product, block);
                one.look(matrix, measure, run, sums, attributes);
            }
        }
        for (client, row) in matrix.changed_rows() {
            let sum = sum_of(own, row);
            let mut found = f32::NAN;
            for one in &mut *judged {
                if let Ok(at) = row.binary_search_by_key(&one.product, |cell| cell.product) {
                    one.buyers += 1;
                    let difference = measure.difference(&mut found, client);
                    let ln = quick_ln(row[at].ticket);
                    let buyer = (client, ln, row[at].ticket, NOT_IN_BASE);
                    one.offer(measure, buyer, sum, difference);
                }
            }
        }
        for one in judged {
            let itself = subject.client.and_then(|own| matrix.cell(own, one.product));
            one.buyers -= u32::from(itself.is_some());
            one.nearest.finish();
        }
    }

    /// What the last [`Search::survey`] found of a product; `None` of one that it was not asked for.
    pub fn buyers(&self, product: ProductNo) -> Option<Buyers<'_>> {
        let judged = &self.judged[..self.count];
        let at = judged.binary_search_by_key(&product, |one| one.product);
        let found = &judged[at.ok()?];
        Some(Buyers {
            buyers: found.buyers,
            nearest: found.nearest.found(),
        })
    }

    /// The `k` nearest of all clients that share a product, and with [`Reach::Everyone`] of those
    /// that share an attribute, nearest first.
    ///
    /// Cost: the postings of the subject's products, and all clients.
    pub fn clients(
        &mut self,
        matrix: &TicketMatrix,
        subject: &Subject<'_>,
        profiles: &Profiles,
        rule: &DistanceRule,
        k: usize,
        reach: Reach,
    ) -> &[Neighbour] {
        self.take_on(subject);
        self.clients.start(k);
        let measure = Measure {
            subject,
            profiles,
            rule,
        };
        let take = |client: ClientNo, sum: Sum, clients: &mut Nearest<Neighbour>| {
            let reached = sum.common > 0
                || (reach == Reach::Everyone
                    && subject.profile.difference(&profiles.of_client(client)).1 > 0);
            if reached && Some(client) != subject.client {
                let mut found = f32::NAN;
                let difference = measure.difference(&mut found, client);
                clients.offer(Neighbour {
                    client,
                    distance: measure.distance(sum, difference),
                    ticket: 0.0,
                    common: sum.common,
                    posting: NOT_IN_BASE,
                });
            }
        };
        for block in 0..matrix.clients().div_ceil(BLOCK) {
            add_up(matrix, block, &self.own, &mut self.sums);
            let clients = block * BLOCK..((block + 1) * BLOCK).min(matrix.clients());
            for (sum, client) in self.sums.iter().zip(clients) {
                let client = ClientNo(client as u32);
                if !matrix.is_changed(client) {
                    take(client, *sum, &mut self.clients);
                }
            }
        }
        for (client, row) in matrix.changed_rows() {
            take(client, sum_of(&self.own, row), &mut self.clients);
        }
        self.clients.finish()
    }

    fn take_on(&mut self, subject: &Subject<'_>) {
        let own = subject.cells.iter();
        self.own.clear();
        self.own
            .extend(own.map(|cell| (cell.product, quick_ln(cell.ticket))));
        self.sums.resize(BLOCK, Sum::default());
        self.attributes.resize(BLOCK, f32::NAN);
        self.count = 0;
    }

    fn judge(&mut self, product: ProductNo, k: usize) {
        if self.judged.len() == self.count {
            self.judged.push(Judged::default());
        }
        let judged = &mut self.judged[self.count];
        let own = self.own.binary_search_by_key(&product, |own| own.0);
        judged.product = product;
        judged.own = own.ok().map(|at| self.own[at].1);
        judged.buyers = 0;
        judged.nearest.start(k);
        self.count += 1;
    }
}

/// The sums of one block's clients, by their place in it.
fn add_up(matrix: &TicketMatrix, block: usize, own: &[(ProductNo, f32)], sums: &mut [Sum]) {
    // An array's length is known, so that a place in the block needs no check.
    let Ok(sums) = <&mut [Sum; BLOCK]>::try_from(sums) else {
        return;
    };
    sums.fill(Sum::default());
    for &(product, own) in own {
        let run = matrix.run(product, block);
        for (&client, &ln) in run.clients.iter().zip(run.lns) {
            let sum = &mut sums[client as usize % BLOCK];
            sum.squares += squared(own - ln);
            sum.common += 1;
        }
    }
}

/// The sums of a row that stands in no block.
fn sum_of(own: &[(ProductNo, f32)], row: &[Cell]) -> Sum {
    let mut sum = Sum::default();
    let mut own = own.iter().peekable();
    for cell in row {
        while own.next_if(|own| own.0 < cell.product).is_some() {}
        if let Some((_, own)) = own.next_if(|own| own.0 == cell.product) {
            sum.squares += squared(own - quick_ln(cell.ticket));
            sum.common += 1;
        }
    }
    sum
}

impl Judged {
    /// Looks at the product's buyers within a block.
    fn look(
        &mut self,
        matrix: &TicketMatrix,
        measure: Measure<'_>,
        run: Run<'_>,
        sums: &[Sum],
        attributes: &mut [f32],
    ) {
        let Ok(sums) = <&[Sum; BLOCK]>::try_from(sums) else {
            return;
        };
        let overlaid = matrix.overlay_rows() > 0;
        self.buyers += run.clients.len() as u32;
        let run = (run.first..).zip(run.clients.iter().zip(run.lns).zip(run.tickets));
        for (posting, ((&client, &ln), &ticket)) in run {
            let at = client as usize % BLOCK;
            let client = ClientNo(client);
            if overlaid && matrix.is_changed(client) {
                self.buyers -= 1;
                continue;
            }
            let difference = measure.difference(&mut attributes[at], client);
            let buyer = (client, ln, ticket, posting);
            self.offer(measure, buyer, sums[at], difference);
        }
    }

    /// Takes a buyer in, unless it is too far.
    #[inline]
    fn offer(
        &mut self,
        measure: Measure<'_>,
        (client, ln, ticket, posting): (ClientNo, f32, f32, u32),
        mut sum: Sum,
        difference: Option<f64>,
    ) {
        if let Some(own) = self.own {
            sum.squares = (sum.squares - squared(own - ln)).max(0.0);
            sum.common -= 1;
        }
        let (total, evidence) = measure.rule.parts(sum, difference);
        // Nothing is divided that would be thrown away: a little room for what a division rounds.
        let beyond = total > self.nearest.limit() * (1.0 + 1e-12) * evidence;
        if !beyond && Some(client) != measure.subject.client {
            self.nearest.offer(Neighbour {
                client,
                distance: measure.distance(sum, difference),
                ticket,
                common: sum.common,
                posting,
            });
        }
    }
}

impl Measure<'_> {
    /// The mean squared difference of a client's attributes, where the rule asks for it; found once,
    /// in `found`.
    #[inline]
    fn difference(&self, found: &mut f32, client: ClientNo) -> Option<f64> {
        if self.rule.attribute_weight <= 0.0 {
            return None;
        }
        if found.is_nan() {
            let other = self.profiles.of_client(client);
            let (sum, shared) = self.subject.profile.difference(&other);
            *found = match shared {
                0 => -1.0,
                _ => sum / shared as f32,
            };
        }
        (*found >= 0.0).then(|| f64::from(*found))
    }

    fn distance(&self, sum: Sum, difference: Option<f64>) -> f64 {
        let (total, evidence) = self.rule.parts(sum, difference);
        match evidence > 0.0 {
            true => total / evidence,
            false => self.rule.spread,
        }
    }
}

impl DistanceRule {
    /// What a distance is divided from: the squared differences, and how many they count as.
    #[inline]
    fn parts(&self, sum: Sum, difference: Option<f64>) -> (f64, f64) {
        let (weight, difference) = match difference {
            Some(difference) => (self.attribute_weight, difference),
            None => (0.0, 0.0),
        };
        let total = sum.squares + (self.shrink + weight * difference) * self.spread;
        (total, f64::from(sum.common) + self.shrink + weight)
    }
}

impl Ranked for Neighbour {
    fn farness(&self) -> f64 {
        self.distance
    }

    fn client(&self) -> ClientNo {
        self.client
    }
}

/// Whom a search for similar clients looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Clients that share at least one product.
    SharedProducts,
    /// These, and clients that share an attribute.
    Everyone,
}

fn squared(difference: f32) -> f64 {
    let difference = f64::from(difference);
    difference * difference
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::neighbours::books::{BOOKS, edges};

    const RULE: DistanceRule = DistanceRule {
        spread: 1.5,
        shrink: 2.0,
        floor: 0.05,
        attribute_weight: 0.0,
    };

    /// Every buyer measured product by product, sorted whole.
    fn slow(matrix: &TicketMatrix, client: ClientNo, product: ProductNo) -> Vec<(ClientNo, f64)> {
        let others = (0..matrix.clients() as u32).map(ClientNo);
        let buyers =
            others.filter(|other| *other != client && matrix.cell(*other, product).is_some());
        let distance = |other: ClientNo| {
            let (mut squares, mut common) = (0.0, 0.0);
            for cell in matrix
                .row(client)
                .iter()
                .filter(|cell| cell.product != product)
            {
                if let Some(same) = matrix.cell(other, cell.product) {
                    squares += squared(quick_ln(cell.ticket) - quick_ln(same.ticket));
                    common += 1.0;
                }
            }
            (
                other,
                (squares + RULE.shrink * RULE.spread) / (common + RULE.shrink),
            )
        };
        let mut found: Vec<(ClientNo, f64)> = buyers.map(distance).collect();
        found.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        found
    }

    #[test]
    fn the_nearest_buyers_are_those_of_a_slow_search_in_every_kind_of_book() {
        let profiles = Profiles::default();
        let mut search = Search::default();
        for (name, rows) in BOOKS {
            let whole = TicketMatrix::from_rows(12, rows());
            // The same rows again, every third of them by way of the overlay.
            let third = |client: &u32| client % 3 == 1;
            let changed = (0..whole.clients() as u32).filter(third).map(|client| {
                let client = ClientNo(client);
                (client, std::sync::Arc::from(whole.row(client)))
            });
            let overlaid = whole.with_rows(whole.clients(), 12, changed);
            for client in edges(whole.clients()).step_by(3) {
                let products = [0, 1, 4, 11].map(ProductNo);
                for matrix in [&whole, &overlaid] {
                    let subject = Subject::existing(matrix, &profiles, client);
                    search.survey(matrix, &subject, &profiles, products, &RULE, 9);
                    for product in products {
                        let found = search.buyers(product).unwrap();
                        let slow = slow(&whole, client, product);
                        assert_eq!(found.buyers as usize, slow.len(), "{name}, {client:?}");
                        let found: Vec<_> = found.nearest.iter().map(|one| one.client).collect();
                        let nearest: Vec<_> = slow.iter().take(9).map(|one| one.0).collect();
                        // Taking the judged product out of a sum rounds: what ties may change places.
                        let far = |client: &ClientNo| {
                            slow.iter().find(|one| one.0 == *client).map(|one| one.1)
                        };
                        let pairs = found.iter().zip(&nearest);
                        for (one, other) in pairs.clone() {
                            let (one, other) = (far(one).unwrap(), far(other).unwrap());
                            assert!((one - other).abs() < 1e-12, "{name}: {one} for {other}");
                        }
                        assert_eq!(found.len(), nearest.len());
                    }
                }
            }
        }
    }
}
