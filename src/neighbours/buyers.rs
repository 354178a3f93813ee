//! The buyers of some products that are nearest to one subject.

use std::cmp::Ordering;

use super::distance::{DistanceRule, Sum, Within};
use super::measure::Measure;
use super::nearest::{Nearest, Ranked};
use super::sums::Sums;
use super::{Profiles, Subject};
use crate::domain::{ClientNo, ProductNo};
use crate::matrix::{BLOCK, Cell, Run, TicketMatrix, quick_ln};

/// Of the buyers that a guess is made from, as many are to be expected among the nearest.
const SAMPLED: usize = 8;
/// And hardly ever so many: two deviations more.
const SURELY: usize = 14;

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

impl Buyer {
    /// Nearest first, ties by client.
    pub fn nearer(&self, other: &Self) -> Ordering {
        Self::order(self, other)
    }
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
    /// Buyers; while they are sampled, those that were gone through.
    buyers: u32,
    /// Distances of some buyers, evenly spread.
    sample: Vec<f64>,
    nearest: Nearest<Buyer>,
}

/// The nearest buyers of one subject's products; buffers are reused from subject to subject.
///
/// With `D = sum over shared products (ln x - ln y)^2` and the attributes' mean squared difference
/// `A`, the distance is `(D + shrink v + weight v A) / (shared + shrink + weight)`, the judged
/// product left out of both sums: left in, today's ticket would choose its own yardstick.
///
/// The sums are added up block by block, so that those of a block stay in the first cache. A buyer that is
/// beyond what a product's nearest reach is passed over by a comparison of whole numbers ([`Within`]). How far
/// these reach is guessed from some of the buyers, evenly spread: far enough that a guess is rarely short, and
/// where it is, all buyers of the product are gone through once more without one. The result is the same
/// either way.
#[derive(Debug, Default)]
pub struct BuyerSearch {
    sums: Sums,
    /// Mean squared differences of the attributes of all clients, found once each: NaN where not
    /// looked at yet, below 0 where none is shared.
    attributes: Vec<f32>,
    few: Few,
    /// The subject's products and the logarithms of its tickets.
    own: Vec<(ProductNo, f32)>,
    judged: Vec<Judged>,
    /// How many of `judged` are of this subject; the others are spare.
    count: usize,
    by_product: ByProduct,
}

/// Buffers for those of a run that are worth a closer look.
#[derive(Debug)]
struct Few {
    places: Vec<u32>,
    buyers: Vec<Buyer>,
}

impl Default for Few {
    fn default() -> Self {
        let nobody = Buyer {
            distance: 0.0,
            client: ClientNo(0),
            posting: NOT_IN_BASE,
        };
        // One more than a run has: what comes after the last is written down as well.
        Self {
            places: vec![0; BLOCK + 1],
            buyers: vec![nobody; BLOCK + 1],
        }
    }
}

/// Writes down which of a run's clients may be near, told by their place in the block and the logarithm of
/// their ticket: where they stand in the run. Says how many.
///
/// A function of its own, so that all that it needs is in registers.
#[inline(never)]
fn write_down(run: Run<'_>, places: &mut [u32], may_be: impl Fn(usize, f32) -> bool) -> usize {
    let mut count = 0;
    for (place, (&client, &ln)) in run.clients.iter().zip(run.lns).enumerate() {
        places[count] = place as u32;
        count += usize::from(may_be(client as usize % BLOCK, ln));
    }
    count
}

impl BuyerSearch {
    /// Finds the `k` nearest buyers of each of some products, whether the subject buys them or not;
    /// [`BuyerSearch::buyers`] then gives them.
    ///
    /// Cost: the postings of the subject's products, and of these products.
    pub fn survey(
        &mut self,
        matrix: &TicketMatrix,
        subject: &Subject<'_>,
        profiles: &Profiles,
        products: impl IntoIterator<Item = ProductNo>,
        rule: &DistanceRule,
        k: usize,
    ) {
        subject.lns(&mut self.own);
        self.count = 0;
        for product in products {
            self.judge(product);
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
            few,
            own,
            judged,
            count,
            by_product,
        } = self;
        let judged = &mut judged[..*count];
        sums.start(matrix);
        attributes.clear();
        if rule.attribute_weight > 0.0 {
            attributes.resize(matrix.clients(), f32::NAN);
        }
        let step = (k / SAMPLED).max(1);
        for block in 0..matrix.blocks() {
            sums.add_up(matrix, block, own);
            let mut seen = Seen {
                matrix,
                measure,
                sums,
                attributes,
            };
            for one in &mut *judged {
                seen.sample(one, matrix.run(one.product, block), step);
            }
        }
        for one in &mut *judged {
            let limit = one.guess();
            one.nearest.start_within(k, limit);
        }
        for (client, _) in matrix.changed_rows() {
            sums.pass_over(client);
        }
        if let Some(itself) = subject.client {
            sums.pass_over(itself);
        }
        let mut seen = Seen {
            matrix,
            measure,
            sums,
            attributes,
        };
        for block in 0..matrix.blocks() {
            for one in &mut *judged {
                seen.look(one, block, few);
            }
        }
        for one in &mut *judged {
            if one.nearest.count() < k && one.sample.len() > SURELY {
                // The guess was short.
                one.nearest.start(k);
                for block in 0..matrix.blocks() {
                    seen.look(one, block, few);
                }
            }
        }
        if matrix.overlay_rows() > 0 {
            by_product.lay_out(matrix.products(), own, judged);
            by_product.look(matrix, measure, attributes, judged);
        }
        for one in judged {
            let itself = subject.client.and_then(|own| matrix.cell(own, one.product));
            one.buyers = matrix.buyers(one.product) - u32::from(itself.is_some());
            one.nearest.narrow();
        }
    }

    /// What the last [`BuyerSearch::survey`] found of a product; `None` of one that it was not asked for.
    pub fn buyers(&self, product: ProductNo) -> Option<Buyers<'_>> {
        let judged = &self.judged[..self.count];
        let at = judged.binary_search_by_key(&product, |one| one.product);
        let found = &judged[at.ok()?];
        Some(Buyers {
            buyers: found.buyers,
            nearest: found.nearest.found(),
        })
    }

    fn judge(&mut self, product: ProductNo) {
        if self.judged.len() == self.count {
            self.judged.push(Judged::default());
        }
        let judged = &mut self.judged[self.count];
        let own = self.own.binary_search_by_key(&product, |own| own.0);
        judged.product = product;
        judged.own = own.ok().map(|at| self.own[at].1);
        judged.buyers = 0;
        judged.sample.clear();
        self.count += 1;
    }
}

/// The base of a matrix as a subject sees it, once its sums are found.
struct Seen<'a> {
    matrix: &'a TicketMatrix,
    measure: Measure<'a>,
    sums: &'a Sums,
    attributes: &'a mut [f32],
}

impl Seen<'_> {
    /// Measures every so manieth buyer of a product, of those in a run of its column, which comes after those
    /// that were counted.
    fn sample(&mut self, one: &mut Judged, run: Run<'_>, step: usize) {
        let first = (one.buyers as usize).next_multiple_of(step) - one.buyers as usize;
        one.buyers += run.clients.len() as u32;
        for place in (first..run.clients.len()).step_by(step) {
            let client = ClientNo(run.clients[place]);
            if self.is_another(client) {
                let sum = one.without_own(self.sums.of(client), run.lns[place]);
                let difference = self.measure.difference(self.attributes, client);
                one.sample.push(self.measure.distance(sum, difference));
            }
        }
    }

    /// Looks at the buyers of a product within a block; the subject and clients whose rows changed are within
    /// no limit.
    ///
    /// What is near is not foreseeable, so nothing branches on it: places are written down one over the other
    /// until one stays, of buyers that may be near, then of those that are.
    fn look(&mut self, one: &mut Judged, block: usize, few: &mut Few) {
        let run = self.matrix.run(one.product, block);
        let Some(sums) = self.sums.of_block(block) else {
            return;
        };
        let within = one.within(self.measure.rule);
        let may_be = match one.own {
            Some(own) => write_down(run, &mut few.places, |place, ln| {
                within.may_be(sums[place].without(Sum::of(own - ln)))
            }),
            None => write_down(run, &mut few.places, |place, _| within.may_be(sums[place])),
        };
        let limit = one.nearest.limit();
        let mut near = 0;
        for &place in &few.places[..may_be] {
            let (client, posting) = (run.clients[place as usize], run.first + place);
            let client = ClientNo(client);
            let sum = one.without_own(self.sums.of(client), run.lns[place as usize]);
            let difference = self.measure.difference(self.attributes, client);
            let distance = self.measure.distance(sum, difference);
            few.buyers[near] = Buyer {
                distance,
                client,
                posting,
            };
            near += usize::from(distance <= limit);
        }
        one.nearest.take(&few.buyers[..near]);
    }

    /// Whether a client is not the subject, and its row still that of the base.
    #[inline]
    fn is_another(&self, client: ClientNo) -> bool {
        let changed = self.matrix.overlay_rows() > 0 && self.matrix.is_changed(client);
        Some(client) != self.measure.subject.client && !changed
    }
}

/// What is known of the subject by product, for rows that stand in no column: those of the overlay.
#[derive(Debug, Default)]
struct ByProduct(Vec<OfProduct>);

/// The subject's side of one product.
#[derive(Debug, Clone, Copy)]
struct OfProduct {
    /// The logarithm of its ticket; NaN without one.
    own: f32,
    /// Where the product stands among the judged; [`NOT_JUDGED`] where it is not.
    judged: u32,
}

/// The place of a product that is not judged.
const NOT_JUDGED: u32 = u32::MAX;

impl ByProduct {
    fn lay_out(&mut self, products: usize, own: &[(ProductNo, f32)], judged: &[Judged]) {
        let nothing = OfProduct {
            own: f32::NAN,
            judged: NOT_JUDGED,
        };
        self.0.clear();
        self.0.resize(products, nothing);
        for (product, ln) in own {
            self.0[product.index()].own = *ln;
        }
        for (at, one) in judged.iter().enumerate() {
            self.0[one.product.index()].judged = at as u32;
        }
    }

    /// Looks at every changed row whose bound is low enough.
    fn look(
        &self,
        matrix: &TicketMatrix,
        measure: Measure<'_>,
        attributes: &mut [f32],
        judged: &mut [Judged],
    ) {
        let farthest = judged.iter().map(|one| one.nearest.limit());
        let farthest = Within::of(measure.rule, farthest.fold(f64::NEG_INFINITY, f64::max));
        for (client, row) in matrix.changed_rows() {
            let (sum, largest) = self.sum_of(row);
            // Whichever product is left out, none leaves a client nearer than the largest difference does.
            let may_be = farthest.may_be(sum) || farthest.may_be(sum.without(largest));
            if !may_be || Some(client) == measure.subject.client {
                continue;
            }
            for cell in row {
                let Some(one) = judged.get_mut(self.0[cell.product.index()].judged as usize) else {
                    continue;
                };
                let sum = one.without_own(sum, quick_ln(cell.ticket));
                if !one.within(measure.rule).may_be(sum) {
                    continue;
                }
                let difference = measure.difference(attributes, client);
                one.nearest.offer(Buyer {
                    distance: measure.distance(sum, difference),
                    client,
                    posting: NOT_IN_BASE,
                });
            }
        }
    }

    /// The sums of a row, and of the product in it that differs most; of none where nothing is shared.
    fn sum_of(&self, row: &[Cell]) -> (Sum, Sum) {
        let (mut sum, mut largest) = (Sum::default(), Sum::default());
        for cell in row {
            let own = self.0[cell.product.index()].own;
            if !own.is_nan() {
                let one = Sum::of(own - quick_ln(cell.ticket));
                sum = sum.and(one);
                largest = largest.max(one);
            }
        }
        (sum, largest)
    }
}

impl Judged {
    /// A distance that the `k` nearest are hardly ever beyond; without end where few buyers were measured.
    ///
    /// Of every `k / SAMPLED`-th buyer, [`SAMPLED`] are to be expected among the nearest, and more than [`SURELY`]
    /// would be two deviations too many.
    fn guess(&mut self) -> f64 {
        match self.sample.len() > SURELY {
            true => {
                let order = f64::total_cmp;
                *self.sample.select_nth_unstable_by(SURELY, order).1
            }
            false => f64::INFINITY,
        }
    }

    /// Which sums may be of clients among the nearest.
    #[inline]
    fn within(&self, rule: &DistanceRule) -> Within {
        Within::of(rule, self.nearest.limit())
    }

    /// A client's sums without its ticket for the product, where the subject buys it as well.
    #[inline]
    fn without_own(&self, sum: Sum, ln: f32) -> Sum {
        match self.own {
            Some(own) => sum.without(Sum::of(own - ln)),
            None => sum,
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::{Attribute, Text};
    use crate::neighbours::books::{BOOKS, RULE, edges, ticket};

    /// Every buyer measured product by product, sorted whole.
    fn slow(
        matrix: &TicketMatrix,
        profiles: &Profiles,
        rule: &DistanceRule,
        client: ClientNo,
        product: ProductNo,
    ) -> Vec<(ClientNo, f64)> {
        let others = (0..matrix.clients() as u32).map(ClientNo);
        let buyers =
            others.filter(|other| *other != client && matrix.cell(*other, product).is_some());
        let distance = |other: ClientNo| {
            let mut sum = Sum::default();
            for cell in matrix
                .row(client)
                .iter()
                .filter(|cell| cell.product != product)
            {
                if let Some(same) = matrix.cell(other, cell.product) {
                    sum = sum.and(Sum::of(quick_ln(cell.ticket) - quick_ln(same.ticket)));
                }
            }
            let (own, other_profile) = (profiles.of_client(client), profiles.of_client(other));
            let (difference, shared) = own.difference(&other_profile);
            let counts = rule.attribute_weight > 0.0 && shared > 0;
            let difference = counts.then(|| f64::from(difference / shared as f32));
            let (total, evidence) = rule.parts(sum, difference);
            (other, total / evidence)
        };
        let mut found: Vec<(ClientNo, f64)> = buyers.map(distance).collect();
        found.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        found
    }

    /// Sectors and numbers of staff; some clients lack one or both.
    fn profiles(clients: usize) -> Profiles {
        let text = |raw: &str| Text::parse(raw).unwrap();
        let of_client = |client: usize| {
            let sector = Attribute::Text(text(["bakery", "hotel", "school"][client % 3]));
            let staff = Attribute::Number((1 + client * 37 % 90) as f64);
            let all = [
                (text("sector"), sector, !client.is_multiple_of(5)),
                (text("staff"), staff, client % 4 != 1),
            ];
            let known = all.into_iter().filter(|(_, _, known)| *known);
            known.map(|(name, value, _)| (name, value)).collect()
        };
        let all: Vec<BTreeMap<Text, Attribute>> = (0..clients).map(of_client).collect();
        Profiles::of(&all.iter().collect::<Vec<_>>())
    }

    #[test]
    fn a_changed_buyer_that_shares_nothing_else_is_found_where_strangers_count_for_nothing() {
        let rows = [vec![ticket(0, 7.0)], vec![ticket(1, 2.0)]];
        let matrix = TicketMatrix::from_rows(2, rows);
        let matrix = matrix.with_rows(2, 2, [(ClientNo(1), [ticket(0, 9.0)].into())]);
        let rule = DistanceRule {
            shrink: 0.0,
            ..RULE
        };
        let (profiles, mut search) = (Profiles::default(), BuyerSearch::default());
        let subject = Subject::existing(&matrix, &profiles, ClientNo(0));
        search.survey(&matrix, &subject, &profiles, [ProductNo(0)], &rule, 5);
        let found = search.buyers(ProductNo(0)).unwrap().nearest;
        assert_eq!(found.len(), 1);
        assert!((found[0].distance - rule.spread).abs() < 1e-12);
    }

    #[test]
    fn a_guess_that_is_short_is_made_good() {
        // Of the buyers that are sampled, every fifth, twenty are near, and nobody else is.
        let row = |client: u32| {
            let near = client.is_multiple_of(5) && client < 100;
            let other = if near { 10.0 } else { 1_000.0 + client as f32 };
            vec![ticket(0, 7.0), ticket(1, other)]
        };
        let matrix = TicketMatrix::from_rows(2, (0..300).map(row));
        let profiles = Profiles::default();
        let mut search = BuyerSearch::default();
        let subject = Subject::existing(&matrix, &profiles, ClientNo(0));
        search.survey(&matrix, &subject, &profiles, [ProductNo(0)], &RULE, 40);
        let mut found = search.buyers(ProductNo(0)).unwrap().nearest.to_vec();
        found.sort_unstable_by(Buyer::nearer);
        let found: Vec<_> = found.iter().map(|one| one.client).collect();
        let slow = slow(&matrix, &profiles, &RULE, ClientNo(0), ProductNo(0));
        let slow: Vec<_> = slow.iter().take(40).map(|one| one.0).collect();
        assert_eq!(found, slow);
    }

    #[test]
    fn the_nearest_buyers_are_those_of_a_slow_search_in_every_kind_of_book() {
        let attributes_count = DistanceRule {
            attribute_weight: 1.5,
            ..RULE
        };
        let mut search = BuyerSearch::default();
        for (name, rows) in BOOKS {
            let whole = TicketMatrix::from_rows(12, rows());
            // The same rows again, every third of them by way of the overlay.
            let third = |client: &u32| client % 3 == 1;
            let changed = (0..whole.clients() as u32).filter(third).map(|client| {
                let client = ClientNo(client);
                (client, std::sync::Arc::from(whole.row(client)))
            });
            let overlaid = whole.with_rows(whole.clients(), 12, changed);
            let profiles = profiles(whole.clients());
            for client in edges(whole.clients()).step_by(3) {
                let products = [0, 1, 4, 11].map(ProductNo);
                for (matrix, rule) in [&whole, &overlaid]
                    .into_iter()
                    .flat_map(|matrix| [(matrix, RULE), (matrix, attributes_count)])
                {
                    let subject = Subject::existing(matrix, &profiles, client);
                    search.survey(matrix, &subject, &profiles, products, &rule, 9);
                    for product in products {
                        let found = search.buyers(product).unwrap();
                        let slow = slow(&whole, &profiles, &rule, client, product);
                        assert_eq!(found.buyers as usize, slow.len(), "{name}, {client:?}");
                        let mut found = found.nearest.to_vec();
                        found.sort_unstable_by(Buyer::nearer);
                        let found: Vec<_> = found.iter().map(|one| one.client).collect();
                        let nearest: Vec<_> = slow.iter().take(9).map(|one| one.0).collect();
                        assert_eq!(found, nearest, "{name}, {client:?}");
                    }
                }
            }
        }
    }
}
