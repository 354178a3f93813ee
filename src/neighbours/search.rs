//! One subject against all clients, block by block.

use super::distance::{DistanceRule, Sum, squared, sum_of};
use super::nearest::{Nearest, Ranked};
use super::sums::{ROUNDING, Sums};
use super::{Profiles, Subject};
use crate::domain::{ClientNo, ProductNo};
use crate::matrix::{BLOCK, Marks, Run, TicketMatrix, quick_ln};

/// A client near a subject.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbour {
    /// Who.
    pub client: ClientNo,
    /// Mean squared difference of log tickets, shrunk; never negative.
    pub distance: f64,
    /// Products that both buy.
    pub common: u32,
}

/// A buyer of a judged product near a subject.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Buyer {
    /// Mean squared difference of log tickets, the judged product left out, shrunk; never negative.
    pub distance: f64,
    /// Who.
    pub client: ClientNo,
    /// Where its ticket for the product stands among those of the matrix's base; [`NOT_IN_BASE`] for
    /// one in the overlay.
    pub posting: u32,
}

/// Stands for a ticket that the base of a matrix does not have.
pub const NOT_IN_BASE: u32 = u32::MAX;

/// The nearest buyers of a product, and how many buyers there are.
#[derive(Debug, Clone, Copy)]
pub struct Buyers<'a> {
    /// Buyers of the product, the subject left out.
    pub buyers: u32,
    /// The nearest of them, in no order: whoever adds them up sorts them by what it adds.
    pub nearest: &'a [Buyer],
}

/// A product whose buyers are looked for.
#[derive(Debug, Default)]
struct Judged {
    product: ProductNo,
    /// Logarithm of the subject's own ticket for it.
    own: Option<f32>,
    buyers: u32,
    /// Whether, in this block, only clients whose bound is low are looked at.
    by_marks: bool,
    nearest: Nearest<Buyer>,
}

/// The nearest clients of one subject; buffers are reused from subject to subject.
///
/// With `D = sum over shared products (ln x - ln y)^2` and the attributes' mean squared difference
/// `A`, the distance is `(D + shrink v + weight v A) / (shared + shrink + weight)`, the judged
/// product left out of both sums: left in, today's ticket would choose its own yardstick.
///
/// Clients are taken block by block, so that the sums of a block and the postings that were just
/// added up are still in the first cache when the buyers of each judged product are read from them.
/// Whichever product is left out, a distance is at least `(D - m + shrink v) / (shared + shrink - 1)`
/// with `m` the largest of the squared differences: a client whose bound is beyond what a product's
/// nearest have reached is passed over, and of the products that many buy only clients whose bound is
/// low are looked at.
#[derive(Debug, Default)]
pub struct Search {
    sums: Sums,
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
    /// Cost: the postings of the subject's products, and of these products those of clients that
    /// may be among the nearest; all postings of products that few buy.
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
            sums.add_up(matrix, block, own);
            sums.bound(rule);
            if rule.attribute_weight > 0.0 {
                attributes.fill(f32::NAN);
            }
            let seen = Seen {
                matrix,
                block,
                measure,
            };
            seen.look(sums, attributes, judged);
        }
        for (client, row) in matrix.changed_rows() {
            for cell in matrix.base_row(client) {
                if let Ok(at) = judged.binary_search_by_key(&cell.product, |one| one.product) {
                    judged[at].buyers -= 1;
                }
            }
            let sum = sum_of(own, row);
            let mut found = f32::NAN;
            for cell in row {
                if let Ok(at) = judged.binary_search_by_key(&cell.product, |one| one.product) {
                    let one = &mut judged[at];
                    one.buyers += 1;
                    let difference = measure.difference(&mut found, client);
                    let buyer = (client, quick_ln(cell.ticket), NOT_IN_BASE);
                    one.offer(measure, buyer, sum, difference);
                }
            }
        }
        for one in judged {
            let itself = subject.client.and_then(|own| matrix.cell(own, one.product));
            one.buyers -= u32::from(itself.is_some());
            one.nearest.narrow();
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
                    common: sum.common,
                });
            }
        };
        for block in 0..matrix.clients().div_ceil(BLOCK) {
            self.sums.add_up(matrix, block, &self.own);
            let clients = block * BLOCK..((block + 1) * BLOCK).min(matrix.clients());
            for (at, client) in clients.enumerate() {
                let client = ClientNo(client as u32);
                if !matrix.is_changed(client) {
                    take(client, self.sums.of(at), &mut self.clients);
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

/// One block as a subject sees it.
#[derive(Clone, Copy)]
struct Seen<'a> {
    matrix: &'a TicketMatrix,
    block: usize,
    measure: Measure<'a>,
}

impl Seen<'_> {
    /// Looks at the buyers of each judged product within the block.
    fn look(self, sums: &mut Sums, attributes: &mut [f32], judged: &mut [Judged]) {
        let mut farthest = f32::NEG_INFINITY;
        for one in &mut *judged {
            let run = self.matrix.run(one.product, self.block);
            one.buyers += run.clients.len() as u32;
            let marks = self.matrix.marks(one.product, self.block);
            one.by_marks = marks.is_some() && one.nearest.limit() < f64::INFINITY;
            match one.by_marks {
                true => farthest = farthest.max(one.limit()),
                false => self.look_at_all(one, run, sums, attributes),
            }
        }
        if farthest == f32::NEG_INFINITY {
            return;
        }
        sums.find_near(farthest);
        for one in judged.iter_mut().filter(|one| one.by_marks) {
            if let Some(marks) = self.matrix.marks(one.product, self.block) {
                let run = self.matrix.run(one.product, self.block);
                self.look_at_near(one, marks, run, sums, attributes);
            }
        }
    }

    /// Looks at every buyer.
    fn look_at_all(self, one: &mut Judged, run: Run<'_>, sums: &Sums, attributes: &mut [f32]) {
        let Ok(bounds) = <&[f32; BLOCK]>::try_from(&sums.bounds[..]) else {
            return;
        };
        let mut limit = one.limit();
        for (place, &client) in run.clients.iter().enumerate() {
            let at = client as usize % BLOCK;
            if bounds[at] <= limit {
                self.offer(one, (run, place), sums.of(at), &mut attributes[at]);
                limit = one.limit();
            }
        }
        one.nearest.settle();
    }

    /// Looks at the buyers among the clients whose bound is low.
    fn look_at_near(
        self,
        one: &mut Judged,
        marks: Marks<'_>,
        run: Run<'_>,
        sums: &Sums,
        attributes: &mut [f32],
    ) {
        let mut limit = one.limit();
        for (word, (buyers, near)) in marks.words().iter().zip(&sums.near).enumerate() {
            let mut both = buyers & near;
            while both != 0 {
                let at = word * 64 + both.trailing_zeros() as usize;
                both &= both - 1;
                if sums.bounds[at] <= limit {
                    let place = marks.place(at);
                    self.offer(one, (run, place), sums.of(at), &mut attributes[at]);
                    limit = one.limit();
                }
            }
        }
    }

    /// Takes a buyer of the base in, unless it is too far or no longer one.
    #[inline]
    fn offer(self, one: &mut Judged, (run, place): (Run<'_>, usize), sum: Sum, found: &mut f32) {
        let client = ClientNo(run.clients[place]);
        if self.matrix.overlay_rows() > 0 && self.matrix.is_changed(client) {
            return;
        }
        let difference = self.measure.difference(found, client);
        let buyer = (client, run.lns[place], run.first + place as u32);
        one.offer(self.measure, buyer, sum, difference);
    }
}

impl Judged {
    /// A bound beyond this is of no client among the nearest.
    #[inline]
    fn limit(&self) -> f32 {
        (self.nearest.limit() * (1.0 + ROUNDING)) as f32
    }

    /// Takes a buyer in, unless it is too far.
    #[inline]
    fn offer(
        &mut self,
        measure: Measure<'_>,
        (client, ln, posting): (ClientNo, f32, u32),
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
            self.nearest.offer(Buyer {
                distance: measure.distance(sum, difference),
                client,
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

impl Ranked for Buyer {
    #[inline]
    fn farness(&self) -> f64 {
        self.distance
    }

    #[inline]
    fn client(&self) -> ClientNo {
        self.client
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
                        let mut found = found.nearest.to_vec();
                        found.sort_unstable_by(Buyer::order);
                        let found: Vec<_> = found.iter().map(|one| one.client).collect();
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
