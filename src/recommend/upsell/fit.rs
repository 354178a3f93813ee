//! Fitting: variants are chosen and coverage is corrected on tickets held out of the data given.

use rayon::prelude::*;

use super::choice::{Choice, FACTOR_RULES};
use super::coverage::{Coverage, ln_total};
use super::estimate::{LEVELS, POINTS, Scratch};
use super::factors::{FactorRule, Factors};
use super::held_out::{Fold, Judged, Part, folds, loss};
use super::prices::priors;
use super::residuals::{KeptResiduals, Residuals};
use super::strengths::StrengthTable;
use crate::domain::{ClientNo, ProductNo};
use crate::matrix::Cell;
use crate::neighbours::{DistanceRule, Subject};
use crate::recommend::Book;

/// A more complex factor model must lower the held-out loss by this share to be taken.
const WORTH_IT: f64 = 0.0005;
/// Any other variant that lowers it by this share is taken whole, by less in proportion.
const SURELY_WORTH_IT: f64 = 0.001;

/// A fitted model of tickets. Made in the background; a write needs [`UpsellModel::refresh`] only.
#[derive(Debug, Clone)]
pub struct UpsellModel {
    pub(super) factors: Factors,
    pub(super) strengths: StrengthTable,
    pub(super) choice: Choice,
    pub(super) coverage: Coverage,
    pub(super) book_points: [f32; POINTS],
    product_points: std::sync::Arc<Vec<[f32; POINTS]>>,
    pub(super) residuals: KeptResiduals,
    rule: DistanceRule,
    held_out: usize,
    held_out_loss: f64,
}

impl UpsellModel {
    /// Fits a model to a book, choosing between variants by tickets held out of that book.
    ///
    /// Cost: about 30 passes over the tickets × factors² for each of the variants, and
    /// `upsell.sample_cells` estimates each; seconds for some hundred thousand tickets. Above
    /// `upsell.choice_tickets` the variants see a sample of so many, and only the one chosen all.
    pub fn fit(book: &Book<'_>) -> Self {
        let folded;
        let unfolded = book;
        let mut book = *book;
        if book.matrix.overlay_rows() > 0 {
            folded = book.matrix.fold();
            book.matrix = &folded;
        }
        // A sample of the clients says which variant suits a vast book as surely as all of them do.
        let sample = Part::of_some_clients(&book);
        let chosen_on = sample.as_ref().map_or(book, |part| part.book(&book));
        let (choice, mut judged) = Self::choose(&chosen_on);
        if sample.is_some() {
            // How far the quantiles are off depends on how near neighbours are, and so on all clients.
            let judge =
                |fold: &Fold| Self::with_choice(&fold.book(&book), choice).judge(&book, fold);
            judged = folds(&book).iter().flat_map(judge).collect();
        }
        let mut model = Self::with_choice(&book, choice);
        let pseudo = book.recipe.upsell.shift_pseudo_tickets;
        model.coverage = Coverage::of(book.matrix, &judged, pseudo);
        model.held_out = judged.len();
        model.held_out_loss = loss(&judged);
        if unfolded.matrix.overlay_rows() > 0 {
            model.keep_residuals(unfolded);
        }
        model
    }

    /// The variant that foretells tickets held out of a book best, and how it does.
    fn choose(book: &Book<'_>) -> (Choice, Vec<Judged>) {
        let mut choice = Choice::simplest(book);
        let folds = folds(book);
        let judged_of = |models: &[Self]| -> Vec<Judged> {
            let judge = |(fold, model): (&Fold, &Self)| model.judge(book, fold);
            folds.iter().zip(models).flat_map(judge).collect()
        };
        let fit = |choice: Choice| -> Vec<Self> {
            let fit = |fold: &Fold| Self::with_choice(&fold.book(book), choice);
            folds.iter().map(fit).collect()
        };
        let mut models = fit(choice);
        let mut judged = judged_of(&models);
        let most_factors = book.recipe.upsell.most_factors;
        for factors in FACTOR_RULES {
            let rank = factors.rank.min(most_factors);
            let factors = FactorRule { rank, ..factors };
            let other = Choice { factors, ..choice };
            let others = fit(other);
            let judgement = judged_of(&others);
            if loss(&judgement) < loss(&judged) * (1.0 - WORTH_IT) {
                (choice, models, judged) = (other, others, judgement);
            }
        }
        for other in Choice::variants(book) {
            let mut judge = |choice: Choice| {
                for model in &mut models {
                    model.choice = choice;
                }
                judged_of(&models)
            };
            let other = other(choice);
            let judgement = judge(other);
            let gain = 1.0 - loss(&judgement) / loss(&judged).max(f64::MIN_POSITIVE);
            let share = gain / SURELY_WORTH_IT;
            if share >= 1.0 {
                (choice, judged) = (other, judgement);
            } else if share > 0.0 {
                // Two variants that are nearly level are mixed: a book that changes a little must
                // not change its figures by the whole step between them.
                choice = choice.toward(&other, share);
                judged = judge(choice);
            }
        }
        (choice, judged)
    }

    /// Fits one variant, without coverage correction.
    fn with_choice(book: &Book<'_>, choice: Choice) -> Self {
        let upsell = &book.recipe.upsell;
        let priors = priors(book);
        let factors = Factors::fit(
            book.matrix,
            book.statistics,
            &priors,
            choice.factors,
            upsell.breadth_pseudo_clients,
        )
        .with_dispersion(
            book.matrix,
            book.statistics,
            upsell.dispersion_pseudo_tickets,
        );
        let mut model = Self {
            strengths: StrengthTable::of(&factors, book.matrix, book.statistics),
            factors,
            choice,
            coverage: Coverage::default(),
            book_points: [0.0; POINTS],
            product_points: std::sync::Arc::default(),
            residuals: KeptResiduals::default(),
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
        let mut residuals: Vec<Vec<f32>> = (0..book.matrix.products() as u32)
            .into_par_iter()
            .map(|product| {
                let product = ProductNo(product);
                let residual = |posting: crate::matrix::Posting| {
                    self.residual_of(book, posting.client, product, posting.ticket)
                };
                book.matrix.column(product).map(residual).collect()
            })
            .collect();
        self.keep_residuals(book);
        residuals
            .par_iter_mut()
            .for_each(|residuals| residuals.sort_unstable_by(f32::total_cmp));
        let of_product = |residuals: &Vec<f32>| points(residuals);
        let product_points = residuals.par_iter().map(of_product).collect();
        let mut all = residuals.concat();
        all.par_sort_unstable_by(f32::total_cmp);
        self.book_points = points(&all);
        self.product_points = std::sync::Arc::new(product_points);
    }

    /// Keeps the residuals of the tickets in the base of a book's matrix, for estimates from it.
    fn keep_residuals(&self, book: &Book<'_>) {
        let of_product = |product: u32| {
            let product = ProductNo(product);
            let run = book.matrix.base_column(product);
            let tickets = run.clients.iter().zip(run.tickets);
            tickets
                .map(|(&client, &ticket)| self.residual_of(book, ClientNo(client), product, ticket))
                .collect()
        };
        let products = 0..book.matrix.products() as u32;
        let residuals: Vec<Vec<f32>> = products.into_par_iter().map(of_product).collect();
        self.residuals
            .put(Residuals::of(book.matrix, book.statistics, &residuals));
    }

    /// Keeps the residuals of the tickets in the base of a book's matrix where those that are kept are of another:
    /// estimates from this book are the same either way, and take a fraction of the time. Cost: a look at each
    /// product, or the tickets × factors.
    pub fn remember(&self, book: &Book<'_>) {
        if !self.residuals.now().know_all(book.matrix, book.statistics) {
            self.keep_residuals(book);
        }
    }

    /// The same choices and coverage shifts on another state of the book, such as an earlier one.
    ///
    /// Cost: 30 passes over the tickets × factors².
    #[must_use]
    pub fn refit(&self, book: &Book<'_>) -> Self {
        Self {
            coverage: self.coverage.clone(),
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
            let products = hidden.iter().map(|cell| cell.product);
            self.begin(&visible, &subject, products, scratch);
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
                    ln_total: ln_total(subject.cells, Some(cell.product)),
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

/// Points at 5 %, 10 %, … 95 % of a sorted sample, zeros without one.
fn points(sorted: &[f32]) -> [f32; POINTS] {
    let mut points = [0.0; POINTS];
    if sorted.is_empty() {
        return points;
    }
    let mut least = f32::NEG_INFINITY;
    for (at, point) in points.iter_mut().enumerate() {
        let place = (at + 1) as f64 / (POINTS + 1) as f64 * (sorted.len() - 1) as f64;
        let (below, share) = (place.floor() as usize, place.fract() as f32);
        let above = sorted[(below + 1).min(sorted.len() - 1)];
        // What rounding takes from one between two must not put it before the last.
        least = least.max(sorted[below] + (above - sorted[below]) * share);
        *point = least;
    }
    points
}
