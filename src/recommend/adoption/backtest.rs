//! The past as a teacher: what was known on an earlier day, and what was taken up after it.

use rayon::prelude::*;

use crate::domain::{ClientNo, Day, ProductNo};
use crate::matrix::{Cell, PurchaseLog, Statistics, TicketMatrix};
use crate::neighbours::{CosineIndex, NearestOfAll, Subject};
use crate::recommend::Book;

use super::cut::{bought_within, matrix_before};
use super::evidence::{self, Evidence, Heeded, Lens, Scene, damped, not_bought};
use super::history::{Past, ProductPast, Span};
use super::items::{Items, Weights};
use super::recency::Recencies;
use super::recipe::AdoptionRecipe;
use super::signals::{self, OF_PRODUCT, SIGNALS};
use super::ticket;

/// Everything that is learnt from the tickets of one day, besides the calibration.
#[derive(Debug, Clone)]
pub(super) struct Learnt {
    pub(super) past: Past,
    /// What [`signals::of_product`] says, by product.
    of_product: Vec<[f64; OF_PRODUCT.len()]>,
    recencies: Recencies,
    pub(super) items_bought: Items,
    pub(super) items_amount: Items,
    pub(super) neighbours: usize,
    pub(super) as_of: Day,
    pub(super) span: Span,
}

impl Learnt {
    pub(super) fn of(scene: &Scene<'_>, past: Past, as_of: Day, span: Span) -> Self {
        let recipe = &scene.book.recipe.adoption;
        let products = scene.book.matrix.products();
        let ridge = recipe.items_ridge(products);
        let learn = |weight: &(dyn Fn(&Cell) -> f32 + Sync)| {
            let row = |client: ClientNo| {
                let cells = scene.book.matrix.row(client).iter();
                cells.map(|cell| (cell.product.0, weight(cell))).collect()
            };
            let rows: Weights = evidence::clients(scene.book.matrix).map(row).collect();
            Items::fit(&rows, products, ridge, recipe.dense_products)
        };
        let (items_bought, items_amount) = rayon::join(
            || learn(&|_| 1.0),
            || learn(&|cell| damped(scene.book.statistics, cell)),
        );
        Self {
            of_product: past.products.iter().map(signals::of_product).collect(),
            recencies: Recencies::of(as_of, span),
            past,
            items_bought,
            items_amount,
            neighbours: recipe.neighbours(scene.book.matrix.clients()),
            as_of,
            span,
        }
    }

    /// The past of a product that was known at the fit, and its signals.
    pub(super) fn product(
        &self,
        product: ProductNo,
    ) -> Option<(&ProductPast, &[f64; OF_PRODUCT.len()])> {
        let past = self.past.products.get(product.index())?;
        Some((past, self.of_product.get(product.index())?))
    }

    /// The signals of a product alone; those of one without a past where it is not known.
    pub(super) fn of_product(&self, product: ProductNo) -> [f64; OF_PRODUCT.len()] {
        let known = self.of_product.get(product.index()).copied();
        known.unwrap_or_else(|| signals::of_product(&ProductPast::default()))
    }

    pub(super) fn lens<'a>(&'a self, recipe: &'a AdoptionRecipe) -> Lens<'a> {
        Lens {
            past: &self.past,
            items_bought: &self.items_bought,
            items_amount: &self.items_amount,
            recencies: &self.recencies,
            recipe,
            neighbours: self.neighbours,
        }
    }
}

/// Pairs of client and product not bought on the day, with what came of them.
#[derive(Debug, Default)]
pub(super) struct Lessons {
    pub(super) signals: Vec<[f32; SIGNALS]>,
    /// Whether it was taken up within the horizon.
    pub(super) adopted: Vec<bool>,
    /// How many pairs the row stands for.
    pub(super) weights: Vec<f32>,
    pub(super) clients: Vec<u32>,
    /// The adopted rows: where they stand, the terms of their tickets, and the tickets.
    pub(super) adopted_rows: Vec<usize>,
    pub(super) ticket_values: Vec<[f64; ticket::TERMS]>,
    pub(super) tickets: Vec<f64>,
}

impl Lessons {
    /// Adds what one earlier day teaches: features from before `cut`, labels from the horizon after
    /// it. Keeps all adoptions and, of the rest, an even sample so that about `most` rows result.
    pub(super) fn add(&mut self, log: &PurchaseLog, book: &Book<'_>, cut: Day, span: Span) {
        let recipe = &book.recipe.adoption;
        let matrix = matrix_before(log, cut, span.period_days);
        let statistics = Statistics::of(&matrix);
        let cosine = CosineIndex::of(&matrix, &statistics);
        let scene = Scene {
            book: Book {
                matrix: &matrix,
                statistics: &statistics,
                ..*book
            },
            cosine: &cosine,
            nearest: None,
        };
        let learnt = Learnt::of(&scene, Past::of(log, cut, span, recipe), cut, span);
        let active = evidence::clients(&matrix).filter(|&client| !matrix.row(client).is_empty());
        let active: Vec<ClientNo> = active.collect();
        let listed = listed(book.matrix, &matrix, recipe.most_listed_buyers);
        let pairs: usize = listed
            .iter()
            .flatten()
            .map(|buyers| active.len() - buyers)
            .sum();
        let kept = (recipe.sample_pairs as f64 / pairs.max(1) as f64).min(1.0);
        let nearest = NearestOfAll::of_index(&cosine, learnt.neighbours);
        let scene = Scene {
            nearest: Some(&nearest),
            ..scene
        };
        let lessons: Vec<Self> = active
            .par_iter()
            .map_init(Evidence::default, |evidence, &client| {
                of_client(log, &scene, &learnt, &listed, evidence, client, kept)
            })
            .collect();
        for of_client in lessons {
            self.append(of_client);
        }
    }

    fn append(&mut self, mut other: Self) {
        let first = self.adopted.len();
        self.signals.append(&mut other.signals);
        self.adopted.append(&mut other.adopted);
        self.weights.append(&mut other.weights);
        self.clients.append(&mut other.clients);
        self.adopted_rows
            .extend(other.adopted_rows.iter().map(|row| row + first));
        self.ticket_values.append(&mut other.ticket_values);
        self.tickets.append(&mut other.tickets);
    }

    /// The share of all pairs that were adopted.
    pub(super) fn rate(&self) -> f64 {
        let all: f64 = self.weights.iter().map(|&weight| f64::from(weight)).sum();
        self.tickets.len() as f64 / all.max(1.0)
    }
}

/// How many clients bought each product before, for the products that the catalogue held then.
///
/// A catalogue often lists only what has sold to so many clients by now. A product that had fewer
/// of them on the earlier day is in it because of those that came after: it would teach that what
/// few have bought is about to spread. So the earlier catalogue is cut by the same rule: at least as
/// many buyers as the least bought product has today, or `most` where all have more: nobody cuts a
/// catalogue there.
fn listed(today: &TicketMatrix, before: &TicketMatrix, most: usize) -> Vec<Option<usize>> {
    let buyers =
        |matrix: &TicketMatrix, product: usize| matrix.buyers(ProductNo(product as u32)) as usize;
    let bought = (0..today.products()).map(|product| buyers(today, product));
    let fewest = bought.filter(|&buyers| buyers > 0).min().unwrap_or(1);
    let fewest = fewest.min(most.max(1));
    (0..before.products())
        .map(|product| Some(buyers(before, product)).filter(|&buyers| buyers >= fewest))
        .collect()
}

fn of_client(
    log: &PurchaseLog,
    scene: &Scene<'_>,
    learnt: &Learnt,
    listed: &[Option<usize>],
    evidence: &mut Evidence,
    client: ClientNo,
    kept: f64,
) -> Lessons {
    let matrix: &TicketMatrix = scene.book.matrix;
    let subject = Subject::existing(matrix, scene.book.profiles, client);
    // No fitted ticket weighs what neighbours spend.
    let heeded = Heeded {
        items: true,
        residuals: false,
    };
    let lens = learnt.lens(&scene.book.recipe.adoption);
    evidence.gather(scene, &lens, heeded, &subject);
    let after = bought_within(log, client, learnt.as_of, learnt.span);
    let mut after = after.iter().peekable();
    let mut lessons = Lessons::default();
    let mut signals = signals::of_client(evidence);
    for product in not_bought(subject.cells, matrix.products()) {
        while after.next_if(|item| item.0 < product).is_some() {}
        let adopted = after.next_if(|item| item.0 == product);
        let past = learnt.past.product(product);
        let listed = listed[product.index()].is_some();
        if !listed || (adopted.is_none() && !in_sample(client, product.0, kept)) {
            continue;
        }
        let heard = &evidence.heard[product.index()];
        let of_product = learnt.of_product(product);
        let all = [true; SIGNALS];
        signals::of_pair(&mut signals, evidence, heard, &past, &of_product, &all);
        if let Some((_, amount_minor)) = adopted {
            let ln_median = scene.book.statistics.product(product).ln_median;
            lessons.adopted_rows.push(lessons.adopted.len());
            lessons
                .ticket_values
                .push(ticket::values(evidence, heard, &past, ln_median));
            lessons.tickets.push(amount_minor / learnt.span.periods());
        }
        lessons.signals.push(signals.map(|value| value as f32));
        lessons.adopted.push(adopted.is_some());
        let weight = if adopted.is_some() { 1.0 } else { 1.0 / kept };
        lessons.weights.push(weight as f32);
        lessons.clients.push(client.0);
    }
    lessons
}

/// Whether a pair is in an even sample: a hash of its numbers, so that it never depends on order.
pub(super) fn in_sample(client: ClientNo, product: u32, kept: f64) -> bool {
    kept >= 1.0 || unit_hash(client.0, product) < kept
}

/// A number from 0 to 1 that two numbers always give (SplitMix64; Steele, Lea, Flood, 2014).
pub(super) fn unit_hash(first: u32, second: u32) -> f64 {
    let mut z = (u64::from(first) << 32 | u64::from(second)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) as f64 / 2.0_f64.powi(64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A matrix in which the first so many clients buy each product.
    fn bought_by(buyers: &[u32]) -> TicketMatrix {
        let row = |client: u32| {
            let buys = |product: &usize| buyers[*product] > client;
            let cell = |product: usize| Cell {
                product: ProductNo(product as u32),
                ticket: 1.0,
                last_day: None,
            };
            (0..buyers.len())
                .filter(buys)
                .map(cell)
                .collect::<Vec<Cell>>()
        };
        TicketMatrix::from_rows(buyers.len(), (0..50).map(row))
    }

    #[test]
    fn the_earlier_catalogue_is_cut_by_the_rule_of_todays() {
        let before = bought_by(&[20, 4, 3, 0]);
        let known = |today: &[u32], most: usize| listed(&bought_by(today), &before, most);
        assert_eq!(known(&[30, 8, 4, 4], 5), [Some(20), Some(4), None, None]);
        // Nobody cuts a catalogue at thirty buyers; one that holds products without any is not cut.
        assert_eq!(known(&[40, 30, 30, 30], 4)[1..3], [Some(4), None]);
        assert_eq!(known(&[40, 9, 9, 0], 1), [Some(20), Some(4), Some(3), None]);
        assert_eq!(known(&[40, 9, 1, 0], 5)[..3], [Some(20), Some(4), Some(3)]);
    }
}
