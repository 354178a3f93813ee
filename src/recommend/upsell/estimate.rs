//! One subject and one product: the quantiles of the ticket, and what they rest on.

use super::UpsellModel;
use super::coverage::ln_total;
use super::residuals::Residuals;
use crate::domain::{ClientNo, ProductNo};
use crate::matrix::{Cell, ClientStatistics};
use crate::neighbours::{Buyer, BuyerSearch, Buyers, ClientSearch, Subject};
use crate::recommend::Book;
use crate::recommend::quantile::{self, Weighted};

/// The quantile levels that are estimated.
pub const LEVELS: [f64; 4] = [0.2, 0.5, 0.8, 0.9];
/// Points at which the residuals of all buyers are kept: 5 %, 10 %, … 95 %.
pub(crate) const POINTS: usize = 19;
/// Logarithms of tickets beyond this would overflow what an amount can hold.
pub(crate) const MOST_LN: f64 = 36.0;

/// What a client like this one spends on a product, in minor units per period.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TicketEstimate {
    /// Two in ten like it spend less.
    pub q20: f64,
    /// The expected ticket: half spend less.
    pub q50: f64,
    /// The potential ticket: eight in ten spend less.
    pub q80: f64,
    /// Nine in ten spend less.
    pub q90: f64,
    /// Similar buyers that the figures rest on.
    pub neighbours: u32,
    /// Their effective number, `(sum w)^2 / sum w^2`.
    pub effective_neighbours: f64,
    /// All buyers of the product, the subject left out.
    pub buyers: u32,
    /// Where the subject's current ticket stands among tickets like its own, 0 to 1; 0 without one.
    pub standing: f64,
}

/// One neighbour's part in an estimate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evidence {
    /// Who.
    pub client: ClientNo,
    /// Its weight.
    pub weight: f64,
    /// How far its ticket stands from its own level, in its own deviations.
    pub residual: f64,
    /// Its ticket, in minor units.
    pub ticket: f32,
    /// Products that it shares with the subject, the judged one left out.
    pub common: u32,
}

/// Buffers that are reused from estimate to estimate; one a thread.
#[derive(Debug, Default)]
pub struct Scratch {
    search: BuyerSearch,
    clients: ClientSearch,
    workings: Workings,
}

/// What an estimate is worked out from beside the neighbours: the subject's sums, and buffers.
#[derive(Debug, Default)]
pub(super) struct Workings {
    strengths: Vec<f32>,
    /// Sums over the subject's tickets.
    sums: ClientStatistics,
    /// Residuals and weights of the neighbours, packed so that they sort as whole numbers.
    keys: Vec<u128>,
    neighbours: Vec<Weighted>,
    pseudo: Vec<Weighted>,
    sample: Vec<Weighted>,
}

impl Scratch {
    /// Buffers to look for clients like a subject with.
    pub(in crate::recommend) fn clients(&mut self) -> &mut ClientSearch {
        &mut self.clients
    }
}

/// The parts of an estimate, from which the receipt is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::recommend) struct Parts {
    pub ln_median: f64,
    /// The client's size, the judged ticket left out.
    pub size: f64,
    /// What the lines of business add to the size's part in the level.
    pub mix: f64,
    pub level: f64,
    pub deviation: f64,
    pub buyers: u32,
    pub effective: f64,
    /// What each neighbour's weight is raised by where the neighbours are all the buyers there are.
    pub own_share: f64,
    /// Weight of each of the points of all buyers of the product.
    pub product_weight: f64,
    /// Weight of each of the points of the whole book.
    pub book_weight: f64,
    pub quantiles: [f64; LEVELS.len()],
    /// What coverage lacked at each level for clients of this size, in deviations.
    pub shifts: [f64; LEVELS.len()],
}

impl UpsellModel {
    /// Takes a subject on: its strengths, and the nearest buyers of each of some products, each
    /// named once, which are those that it can then be asked for.
    ///
    /// Cost: the postings of the subject's products and of these, and its tickets × factors².
    pub fn begin(
        &self,
        book: &Book<'_>,
        subject: &Subject<'_>,
        products: impl IntoIterator<Item = ProductNo>,
        scratch: &mut Scratch,
    ) {
        let (rule, k) = (self.distance_rule(), self.choice.neighbours);
        let search = &mut scratch.search;
        search.survey(book.matrix, subject, book.profiles, products, &rule, k);
        self.take_on(book, subject, &mut scratch.workings);
    }

    /// Reads what a subject's own tickets say. Cost: its tickets × factors².
    pub(super) fn take_on(&self, book: &Book<'_>, subject: &Subject<'_>, workings: &mut Workings) {
        workings.sums = book.statistics.row(subject.cells);
        workings.strengths.clear();
        let (statistics, strengths) = (book.statistics, &mut workings.strengths);
        self.factors.pack(statistics, subject.cells, strengths);
    }

    /// The ticket of the subject of the last [`UpsellModel::begin`] for a product, whether it buys
    /// it or not; its own ticket for it is left out of everything.
    ///
    /// `None` when nobody else buys the product, or it is not one of those begun with. A figure that rests on few effective neighbours
    /// is returned all the same; whether it is fit to publish is for the caller, who has the
    /// recipe's limit. Cost: neighbours × factors².
    pub fn estimate(
        &self,
        book: &Book<'_>,
        subject: &Subject<'_>,
        product: ProductNo,
        scratch: &mut Scratch,
    ) -> Option<TicketEstimate> {
        let parts = self.parts(book, subject, product, scratch)?;
        let ticket = Self::tickets(&parts);
        let standing = subject.cell(product).map_or(0.0, |cell| {
            let residual = f64::from(cell.ticket).ln() - parts.ln_median - parts.level;
            quantile::standing(&scratch.workings.sample, residual / parts.deviation)
        });
        Some(TicketEstimate {
            q20: ticket[0],
            q50: ticket[1],
            q80: ticket[2],
            q90: ticket[3],
            neighbours: scratch.workings.neighbours.len() as u32,
            effective_neighbours: parts.effective,
            buyers: parts.buyers,
            standing,
        })
    }

    /// The tickets at the four levels, never crossing.
    pub(super) fn tickets(parts: &Parts) -> [f64; LEVELS.len()] {
        let mut least = f64::NEG_INFINITY;
        let mut tickets = [0.0; LEVELS.len()];
        for (at, ticket) in tickets.iter_mut().enumerate() {
            let residual = parts.quantiles[at] + parts.shifts[at];
            let ln = parts.ln_median + parts.level + parts.deviation * residual;
            least = least.max(ln.clamp(-MOST_LN, MOST_LN));
            *ticket = least.exp();
        }
        tickets
    }

    pub(in crate::recommend) fn parts(
        &self,
        book: &Book<'_>,
        subject: &Subject<'_>,
        product: ProductNo,
        scratch: &mut Scratch,
    ) -> Option<Parts> {
        let found = scratch.search.buyers(product)?;
        self.parts_of(book, subject, product, found, &mut scratch.workings)
    }

    /// The parts of an estimate that rests on these buyers; the subject is the one last taken on.
    pub(super) fn parts_of(
        &self,
        book: &Book<'_>,
        subject: &Subject<'_>,
        product: ProductNo,
        found: Buyers<'_>,
        workings: &mut Workings,
    ) -> Option<Parts> {
        if found.nearest.is_empty() {
            return None;
        }
        let buyers = found.buyers;
        self.gather(book, product, found.nearest, &mut workings.keys);
        let neighbours = &mut workings.neighbours;
        neighbours.clear();
        neighbours.extend(workings.keys.iter().map(|&key| unpack(key)));
        let count = neighbours.len() as f64;
        let mean = neighbours.iter().map(|one| one.weight).sum::<f64>() / count;
        // Where the neighbours are all the buyers there are, these stand for themselves: mixing
        // them in is a weight more for each, and the subject's own ticket stays out.
        let everyone = neighbours.len() == buyers as usize;
        let mixed = self.choice.product_weight * mean;
        let (own_share, product_weight) = match everyone {
            true => (mixed / count, 0.0),
            false => (0.0, mixed / POINTS as f64),
        };
        let (mut sum, mut squares) = (0.0, 0.0);
        for one in &mut *neighbours {
            one.weight += own_share;
            sum += one.weight;
            squares += one.weight * one.weight;
        }
        let book_weight = self.choice.book_weight * mean / POINTS as f64;
        let own = subject
            .cell(product)
            .map(|cell| book.statistics.residual(product, cell.ticket));
        let expected = self.factors.expect(&workings.strengths, product, own);
        let pseudo = book.recipe.upsell.size_pseudo_tickets;
        let sums = workings.sums;
        let size = match own {
            Some(own) => sums.size_without(own, pseudo),
            None => sums.size(pseudo),
        };
        let carried = book.statistics.size_exponent() * size;
        let mix = expected.level - carried;
        let mut parts = Parts {
            ln_median: book.statistics.product(product).ln_median,
            size,
            mix,
            level: carried + mix,
            deviation: expected.deviation,
            buyers,
            effective: if squares > 0.0 {
                sum * sum / squares
            } else {
                0.0
            },
            own_share,
            product_weight,
            book_weight,
            quantiles: [0.0; LEVELS.len()],
            shifts: self.coverage.shifts(ln_total(subject.cells, Some(product))),
        };
        let Workings {
            neighbours,
            pseudo,
            sample,
            ..
        } = workings;
        let weigh = |points: &[f32; POINTS], weight: f64| {
            points.map(|residual| Weighted {
                value: f64::from(residual),
                weight,
            })
        };
        let of_product = weigh(self.points_of(product), product_weight);
        let of_book = weigh(&self.book_points, book_weight);
        let weighed = |points| if weight_of(points) > 0.0 { points } else { &[] };
        quantile::merge(weighed(&of_product[..]), weighed(&of_book[..]), pseudo);
        quantile::merge(neighbours, pseudo, sample);
        parts.quantiles = quantile::quantiles(sample, &LEVELS)?;
        Some(parts)
    }

    /// The residuals that stand for all buyers of the product, then for the whole book, each with
    /// its weight.
    pub(in crate::recommend) fn pseudo_observations(
        &self,
        product: ProductNo,
        parts: &Parts,
    ) -> impl Iterator<Item = (f64, f64)> {
        let weigh = |points: &[f32; POINTS], weight: f64| {
            let points = if weight > 0.0 { *points } else { [0.0; POINTS] };
            points
                .into_iter()
                .filter(move |_| weight > 0.0)
                .map(move |residual| (f64::from(residual), weight))
        };
        let product = weigh(self.points_of(product), parts.product_weight);
        product.chain(weigh(&self.book_points, parts.book_weight))
    }

    /// Weighs the neighbours and measures each against its own level: sorted by residual, then
    /// weight, so that their sums do not depend on how they were found.
    fn gather(&self, book: &Book<'_>, product: ProductNo, nearest: &[Buyer], keys: &mut Vec<u128>) {
        let rule = self.distance_rule();
        let kept = self.residuals.now();
        let known = kept.know(book.matrix, book.statistics, product);
        let kept = known.then_some(&**kept);
        keys.clear();
        keys.extend(nearest.iter().map(|buyer| {
            let residual = self.residual_at(book, product, buyer, kept);
            pack(residual, rule.weight(buyer.distance))
        }));
        keys.sort_unstable();
    }

    /// The residual of a buyer's ticket, from what is kept where that is true of the product.
    fn residual_at(
        &self,
        book: &Book<'_>,
        product: ProductNo,
        buyer: &Buyer,
        kept: Option<&Residuals>,
    ) -> f32 {
        let kept = kept.and_then(|kept| kept.at(buyer.posting));
        kept.unwrap_or_else(|| {
            let cell = book.matrix.cell(buyer.client, product);
            let ticket = cell.map_or(f32::MIN_POSITIVE, |cell| cell.ticket);
            self.residual_of(book, buyer.client, product, ticket)
        })
    }

    /// The neighbours behind the last estimate, whose parts these are, nearest first.
    ///
    /// Cost: their tickets.
    pub(in crate::recommend) fn evidence(
        &self,
        book: &Book<'_>,
        subject: &Subject<'_>,
        product: ProductNo,
        parts: &Parts,
        scratch: &Scratch,
    ) -> Vec<Evidence> {
        let rule = self.distance_rule();
        let kept = self.residuals.now();
        let known = kept.know(book.matrix, book.statistics, product);
        let kept = known.then_some(&**kept);
        let found = scratch.search.buyers(product);
        let mut nearest = found.map_or(Vec::new(), |found| found.nearest.to_vec());
        nearest.sort_unstable_by(Buyer::nearer);
        let evidence = |buyer: &Buyer| {
            let row = book.matrix.row(buyer.client);
            let both =
                |cell: &&Cell| cell.product != product && subject.cell(cell.product).is_some();
            let ticket = row.iter().find(|cell| cell.product == product);
            Evidence {
                client: buyer.client,
                weight: rule.weight(buyer.distance) + parts.own_share,
                residual: f64::from(self.residual_at(book, product, buyer, kept)),
                ticket: ticket.map_or(0.0, |cell| cell.ticket),
                common: row.iter().filter(both).count() as u32,
            }
        };
        nearest.iter().map(evidence).collect()
    }

    /// How far a client's ticket stands from its level, in deviations, itself left out of both.
    pub(super) fn residual_of(
        &self,
        book: &Book<'_>,
        client: ClientNo,
        product: ProductNo,
        ticket: f32,
    ) -> f32 {
        let own = book.statistics.residual(product, ticket);
        let strengths = self.strengths.of_client(client);
        let expected = self.factors.expect(strengths, product, Some(own));
        ((own - expected.level) / expected.deviation) as f32
    }
}

/// A residual and a weight above 0 as a whole number that rises with the residual, then the weight.
fn pack(residual: f32, weight: f64) -> u128 {
    debug_assert!(weight > 0.0);
    let bits = residual.to_bits();
    let rising = if bits >> 31 == 1 {
        !bits
    } else {
        bits | 1 << 31
    };
    u128::from(rising) << 64 | u128::from(weight.to_bits())
}

fn unpack(key: u128) -> Weighted {
    let rising = (key >> 64) as u32;
    let bits = if rising >> 31 == 1 {
        rising & !(1 << 31)
    } else {
        !rising
    };
    Weighted {
        value: f64::from(f32::from_bits(bits)),
        weight: f64::from_bits(key as u64),
    }
}

fn weight_of(points: &[Weighted]) -> f64 {
    points.first().map_or(0.0, |point| point.weight)
}
