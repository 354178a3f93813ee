//! Fitting: variants are chosen and coverage is corrected on tickets held out of the data given.

use rayon::prelude::*;

use super::estimate::{LEVELS, POINTS, Scratch};
use super::factors::{FactorRule, Factors};
use super::mix;
use super::strengths::StrengthTable;
use crate::domain::{ClientNo, ProductNo};
use crate::matrix::{Cell, Statistics, TicketMatrix};
use crate::neighbours::{DistanceRule, Subject};
use crate::recommend::Book;
use crate::recommend::quantile::{self, Weighted};

/// Under this many tickets nothing can be held out, and the simplest variant serves.
const LEAST_TICKETS: usize = 40;
/// Up to this many tickets each is held out once, in [`FOLDS`] parts; above it one part suffices.
const SMALL_BOOK: usize = 20_000;
const FOLDS: u64 = 5;
/// The largest share held out of a book that is not small.
const MOST_HELD_OUT: f64 = 0.1;
/// A more complex variant must lower the held-out loss by this share to be taken.
const WORTH_IT: f64 = 0.0005;
/// A coverage shift found on `n` tickets counts for `n / (n + 50)`.
const SHIFT_PSEUDO_TICKETS: f64 = 50.0;

/// What the data chose.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// The factor model.
    pub factors: FactorRule,
    /// Nearest buyers that are kept.
    pub neighbours: usize,
    /// Weight of all buyers of the product, in average neighbours.
    pub product_weight: f64,
    /// Weight of the whole book, in average neighbours.
    pub book_weight: f64,
    /// Weight of all attributes in the distance, in shared products.
    pub attribute_weight: f64,
}

/// A fitted model of tickets. Made in the background; a write needs [`UpsellModel::refresh`] only.
#[derive(Debug, Clone)]
pub struct UpsellModel {
    pub(super) factors: Factors,
    pub(super) strengths: StrengthTable,
    pub(super) choice: Choice,
    pub(super) shifts: [f64; LEVELS.len()],
    pub(super) book_points: [f32; POINTS],
    product_points: std::sync::Arc<Vec<[f32; POINTS]>>,
    rule: DistanceRule,
    held_out: usize,
    held_out_loss: f64,
}

/// A ticket that was held out, and what the model said of it.
struct Judged {
    /// `(ln x - ln q) / deviation` at each level, before shifts.
    errors: [f64; LEVELS.len()],
    /// Pinball loss of the log ticket, summed over P50, P80 and P90.
    loss: f64,
}

/// One part of the tickets, and the book without them.
struct Fold {
    matrix: TicketMatrix,
    statistics: Statistics,
    hidden: Vec<(ClientNo, Vec<Cell>)>,
}

impl UpsellModel {
    /// Fits a model to a book, choosing between variants by tickets held out of that book.
    ///
    /// Cost: about 30 passes over the tickets × factors² for each of the variants, and
    /// `upsell.sample_cells` estimates each; seconds for some hundred thousand tickets.
    pub fn fit(book: &Book<'_>) -> Self {
        let folded;
        let mut book = *book;
        if book.matrix.overlay_rows() > 0 {
            folded = book.matrix.fold();
            book.matrix = &folded;
        }
        let mut choice = Choice::simplest(&book);
        let folds = folds(&book);
        let judged_of = |models: &[Self]| -> Vec<Judged> {
            let judge = |(fold, model): (&Fold, &Self)| model.judge(&book, fold);
            folds.iter().zip(models).flat_map(judge).collect()
        };
        let fit = |choice: Choice| -> Vec<Self> {
            let fit = |fold: &Fold| Self::with_choice(&fold.book(&book), choice);
            folds.iter().map(fit).collect()
        };
        let mut models = fit(choice);
        let mut judged = judged_of(&models);
        for factors in FACTOR_RULES {
            let other = Choice { factors, ..choice };
            let others = fit(other);
            let judgement = judged_of(&others);
            if loss(&judgement) < loss(&judged) * (1.0 - WORTH_IT) {
                (choice, models, judged) = (other, others, judgement);
            }
        }
        for other in Choice::variants(&book) {
            let other = other(choice);
            for model in &mut models {
                model.choice = other;
            }
            let judgement = judged_of(&models);
            if loss(&judgement) < loss(&judged) * (1.0 - WORTH_IT) {
                (choice, judged) = (other, judgement);
            }
        }
        let mut model = Self::with_choice(&book, choice);
        model.shifts = shifts(&judged);
        model.held_out = judged.len();
        model.held_out_loss = loss(&judged);
        model
    }

    /// Fits one variant, without coverage correction.
    fn with_choice(book: &Book<'_>, choice: Choice) -> Self {
        let priors = priors(book);
        let factors = Factors::fit(book.matrix, book.statistics, &priors, choice.factors);
        let upsell = &book.recipe.upsell;
        let mut model = Self {
            strengths: StrengthTable::of(&factors, book.matrix, book.statistics),
            factors,
            choice,
            shifts: [0.0; LEVELS.len()],
            book_points: [0.0; POINTS],
            product_points: std::sync::Arc::default(),
            rule: DistanceRule {
                spread: book.statistics.spread(),
                shrink: upsell.distance_shrink,
                floor: upsell.distance_floor,
                attribute_weight: 0.0,
            },
            held_out: 0,
            held_out_loss: 0.0,
        };
        model.measure(book);
        model
    }

    /// Finds the residual quantiles of each product's buyers and of the book.
    fn measure(&mut self, book: &Book<'_>) {
        let residuals: Vec<Vec<f32>> = (0..book.matrix.products() as u32)
            .into_par_iter()
            .map(|product| {
                let product = ProductNo(product);
                let residual = |posting: crate::matrix::Posting| {
                    self.residual_of(book, posting.client, product, posting.ticket) as f32
                };
                let mut residuals: Vec<f32> = book.matrix.column(product).map(residual).collect();
                residuals.sort_unstable_by(f32::total_cmp);
                residuals
            })
            .collect();
        let of_product = |residuals: &Vec<f32>| points(residuals);
        let product_points = residuals.par_iter().map(of_product).collect();
        let mut all = residuals.concat();
        all.par_sort_unstable_by(f32::total_cmp);
        self.book_points = points(&all);
        self.product_points = std::sync::Arc::new(product_points);
    }

    /// The same choices and coverage shifts on another state of the book, such as an earlier one.
    ///
    /// Cost: 30 passes over the tickets × factors².
    #[must_use]
    pub fn refit(&self, book: &Book<'_>) -> Self {
        Self {
            shifts: self.shifts,
            held_out: self.held_out,
            held_out_loss: self.held_out_loss,
            ..Self::with_choice(book, self.choice)
        }
    }

    /// This model after some rows of the book changed or were added; `book` is the new one.
    ///
    /// Cost: tickets of these clients × factors², and a copy of 256 clients' strengths for each.
    #[must_use]
    pub fn refresh(&self, book: &Book<'_>, changed: impl IntoIterator<Item = ClientNo>) -> Self {
        Self {
            strengths: self
                .strengths
                .refresh(&self.factors, book.matrix, book.statistics, changed),
            ..self.clone()
        }
    }

    /// What the data chose.
    pub fn choice(&self) -> Choice {
        self.choice
    }

    /// Tickets held out to choose and to correct; 0 in a book too small for it.
    pub fn held_out(&self) -> usize {
        self.held_out
    }

    /// Mean pinball loss of held-out log tickets, summed over P50, P80 and P90.
    pub fn held_out_loss(&self) -> f64 {
        self.held_out_loss
    }

    /// How far apart clients are.
    pub fn distance_rule(&self) -> DistanceRule {
        DistanceRule {
            attribute_weight: self.choice.attribute_weight,
            ..self.rule
        }
    }

    /// The residual quantiles of a product's buyers; the book's for a product newer than the model.
    pub(super) fn points_of(&self, product: ProductNo) -> &[f32; POINTS] {
        self.product_points
            .get(product.index())
            .unwrap_or(&self.book_points)
    }

    /// Estimates every hidden ticket of a fold.
    fn judge(&self, book: &Book<'_>, fold: &Fold) -> Vec<Judged> {
        let visible = fold.book(book);
        let judge = |scratch: &mut Scratch, (client, hidden): &(ClientNo, Vec<Cell>)| {
            let subject = Subject::existing(visible.matrix, visible.profiles, *client);
            self.begin(&visible, &subject, scratch);
            let judge = |cell: &Cell| {
                let parts = self.parts(&visible, &subject, cell.product, scratch)?;
                let error = f64::from(cell.ticket).ln() - parts.ln_median - parts.level;
                let errors = parts
                    .quantiles
                    .map(|quantile| error / parts.deviation - quantile);
                let pinball = |at: usize| {
                    let error = errors[at] * parts.deviation;
                    (LEVELS[at] * error).max((LEVELS[at] - 1.0) * error)
                };
                Some(Judged {
                    errors,
                    loss: pinball(1) + pinball(2) + pinball(3),
                })
            };
            hidden.iter().filter_map(judge).collect::<Vec<_>>()
        };
        fold.hidden
            .par_iter()
            .map_init(Scratch::default, judge)
            .flatten_iter()
            .collect()
    }
}

/// Variants of the factor model, from the simplest on; the simplest is where a choice starts.
const FACTOR_RULES: [FactorRule; 5] = [
    FactorRule {
        rank: 1,
        ridge: 150.0,
        intercept_ridge: 10.0,
    },
    FactorRule {
        rank: 4,
        ridge: 10.0,
        intercept_ridge: 0.0,
    },
    FactorRule {
        rank: 8,
        ridge: 40.0,
        intercept_ridge: 1.0,
    },
    FactorRule {
        rank: 8,
        ridge: 120.0,
        intercept_ridge: 4.0,
    },
    FactorRule {
        rank: 8,
        ridge: 400.0,
        intercept_ridge: 12.0,
    },
];

impl Choice {
    fn simplest(book: &Book<'_>) -> Self {
        let upsell = &book.recipe.upsell;
        let small = book.matrix.products() < upsell.small_catalogue;
        Self {
            factors: FactorRule {
                rank: 1,
                ridge: 150.0,
                intercept_ridge: 0.0,
            },
            neighbours: if small {
                upsell.neighbours_small_catalogue
            } else {
                upsell.neighbours
            },
            product_weight: upsell.pseudo_weight,
            book_weight: upsell.pseudo_weight,
            attribute_weight: 0.0,
        }
    }

    /// Changes to try one after the other, each to what the ones before it left.
    fn variants(book: &Book<'_>) -> Vec<Box<dyn Fn(Self) -> Self + Sync>> {
        let mut variants: Vec<Box<dyn Fn(Self) -> Self + Sync>> = vec![
            Box::new(|choice| Self {
                neighbours: choice.neighbours * 2,
                ..choice
            }),
            Box::new(|choice| Self {
                product_weight: choice.product_weight * 3.0,
                ..choice
            }),
            Box::new(|choice| Self {
                product_weight: 0.0,
                ..choice
            }),
            Box::new(|choice| Self {
                book_weight: choice.book_weight * 3.0,
                ..choice
            }),
        ];
        let weight = book.recipe.upsell.attribute_weight;
        if book.profiles.attributes() > 0 && weight > 0.0 {
            variants.push(Box::new(move |choice| Self {
                attribute_weight: weight,
                ..choice
            }));
        }
        variants
    }
}

impl Fold {
    fn book<'a>(&'a self, whole: &Book<'a>) -> Book<'a> {
        Book {
            matrix: &self.matrix,
            statistics: &self.statistics,
            ..*whole
        }
    }
}

/// Cuts a book into what is seen and what is held out, by a hash of client and product.
fn folds(book: &Book<'_>) -> Vec<Fold> {
    let tickets = book.matrix.tickets();
    if tickets < LEAST_TICKETS {
        return Vec::new();
    }
    let sample = book.recipe.upsell.sample_cells;
    let parts = if tickets <= SMALL_BOOK.min(sample) {
        FOLDS
    } else {
        1
    };
    let share = (sample as f64 / tickets as f64).min(MOST_HELD_OUT);
    let part_of = move |client: u32, product: u32| -> Option<u64> {
        let hash = mix((u64::from(client) << 32) | u64::from(product));
        if parts == 1 {
            ((hash >> 11) as f64 / (1_u64 << 53) as f64 >= share).then_some(1)
        } else {
            Some(hash % parts)
        }
    };
    let fold = |fold: u64| {
        let mut hidden = Vec::new();
        let rows = (0..book.matrix.clients() as u32).map(|client| {
            let is_hidden = |cell: &Cell| part_of(client, cell.product.0).unwrap_or(0) == fold;
            let row = book.matrix.row(ClientNo(client));
            let (out, seen): (Vec<Cell>, Vec<Cell>) = row.iter().partition(|cell| is_hidden(cell));
            if !out.is_empty() {
                hidden.push((ClientNo(client), out));
            }
            seen
        });
        let matrix = TicketMatrix::from_rows(book.matrix.products(), rows);
        Fold {
            statistics: Statistics::of(&matrix),
            matrix,
            hidden,
        }
    };
    (0..parts).map(fold).collect()
}

fn loss(judged: &[Judged]) -> f64 {
    judged.iter().map(|one| one.loss).sum::<f64>() / judged.len().max(1) as f64
}

/// What each quantile lacked on the held-out tickets, in deviations.
fn shifts(judged: &[Judged]) -> [f64; LEVELS.len()] {
    let mut shifts = [0.0; LEVELS.len()];
    let trust = judged.len() as f64 / (judged.len() as f64 + SHIFT_PSEUDO_TICKETS);
    for (at, shift) in shifts.iter_mut().enumerate() {
        let mut errors: Vec<Weighted> = judged
            .iter()
            .map(|one| Weighted {
                value: one.errors[at],
                weight: 1.0,
            })
            .collect();
        quantile::sort(&mut errors);
        if let Some([found]) = quantile::quantiles(&errors, &[LEVELS[at]]) {
            *shift = found * trust;
        }
    }
    shifts
}

/// Points at 5 %, 10 %, … 95 % of a sorted sample, zeros without one.
fn points(sorted: &[f32]) -> [f32; POINTS] {
    let mut points = [0.0; POINTS];
    if sorted.is_empty() {
        return points;
    }
    for (at, point) in points.iter_mut().enumerate() {
        let place = (at + 1) as f64 / (POINTS + 1) as f64 * (sorted.len() - 1) as f64;
        let (below, share) = (place.floor() as usize, place.fract() as f32);
        let above = sorted[(below + 1).min(sorted.len() - 1)];
        *point = sorted[below] + (above - sorted[below]) * share;
    }
    points
}

/// Where each product's intercept is drawn to: what its list price says of its median ticket,
/// where enough products have one; else the median itself.
fn priors(book: &Book<'_>) -> Vec<f64> {
    const LEAST_PRICED: usize = 8;
    let products = book.matrix.products();
    let mut priors = vec![0.0; products];
    let priced: Vec<(usize, f64, f64, f64)> = (0..products)
        .filter_map(|at| {
            let price = book.products.get(at)?.list_price_minor?;
            let product = book.statistics.product(ProductNo(at as u32));
            let known = price > 0 && product.buyers > 0;
            known.then(|| {
                let buyers = f64::from(product.buyers);
                (at, (price as f64).ln(), product.ln_median, buyers)
            })
        })
        .collect();
    if priced.len() < LEAST_PRICED {
        return priors;
    }
    let weight: f64 = priced.iter().map(|one| one.3).sum();
    let mean_price = priced.iter().map(|one| one.3 * one.1).sum::<f64>() / weight;
    let mean_ticket = priced.iter().map(|one| one.3 * one.2).sum::<f64>() / weight;
    let (mut cross, mut own) = (0.0, 0.0);
    for (_, price, ticket, buyers) in &priced {
        cross += buyers * (price - mean_price) * (ticket - mean_ticket);
        own += buyers * (price - mean_price).powi(2);
    }
    let slope = if own > 1e-9 { cross / own } else { 0.0 };
    for (at, price, ticket, _) in priced {
        priors[at] = mean_ticket + slope * (price - mean_price) - ticket;
    }
    priors
}
