//! Fitting: variants are chosen and coverage is corrected on tickets held out of the data given.

use rayon::prelude::*;

use super::choice::{Choice, FACTOR_RULES};
use super::coverage::{Coverage, ln_total};
use super::estimate::{LEVELS, POINTS, Workings};
use super::factors::{FactorRule, Factors};
use super::held_out::{Fold, Hidden, Judged, Part, folds, loss};
use super::prices::priors;
use super::residuals::{KeptResiduals, Residuals};
use super::strengths::StrengthTable;
use super::surveys::{Survey, Surveys};
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
            let judge = |fold: &Fold| {
                let model = Self::with_choice(&fold.book(&book), choice);
                let surveys = Surveys::of(&book, fold, &choice, choice.neighbours);
                model.judge(&book, fold, &surveys)
            };
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
        let survey = |choice: &Choice| -> Vec<Surveys> {
            let survey =
                |fold: &Fold| Surveys::of(book, fold, choice, Choice::most_neighbours(book));
            folds.iter().map(survey).collect()
        };
        let judged_of = |models: &[Self], surveys: &[Surveys]| -> Vec<Judged> {
            let folds = folds.iter().zip(models).zip(surveys);
            let judge =
                |((fold, model), surveys): ((&Fold, &Self), _)| model.judge(book, fold, surveys);
            folds.flat_map(judge).collect()
        };
        let fit = |choice: Choice| -> Vec<Self> {
            let fit = |fold: &Fold| Self::with_choice(&fold.book(book), choice);
            folds.iter().map(fit).collect()
        };
        let mut models = fit(choice);
        let mut surveys = survey(&choice);
        let mut judged = judged_of(&models, &surveys);
        let most_factors = book.recipe.upsell.most_factors;
        for factors in FACTOR_RULES {
            let rank = factors.rank.min(most_factors);
            let factors = FactorRule { rank, ..factors };
            let other = Choice { factors, ..choice };
            let others = fit(other);
            let judgement = judged_of(&others, &surveys);
            if loss(&judgement) < loss(&judged) * (1.0 - WORTH_IT) {
                (choice, models, judged) = (other, others, judgement);
            }
        }
        for other in Choice::variants(book) {
            let mut judge = |choice: Choice, surveys: &[Surveys]| {
                for model in &mut models {
                    model.choice = choice;
                }
                judged_of(&models, surveys)
            };
            // Only what changes a distance asks for other neighbours.
            let search = |other: &Choice| {
                let same = other.attribute_weight.to_bits() == choice.attribute_weight.to_bits();
                (!same).then(|| survey(other))
            };
            let mut other = other(choice);
            let mut searched = search(&other);
            let mut judgement = judge(other, searched.as_ref().unwrap_or(&surveys));
            let gain = 1.0 - loss(&judgement) / loss(&judged).max(f64::MIN_POSITIVE);
            let share = gain / SURELY_WORTH_IT;
            if share <= 0.0 {
                continue;
            }
            if share < 1.0 {
                // Two variants that are nearly level are mixed: a book that changes a little must
                // not change its figures by the whole step between them.
                other = choice.toward(&other, share);
                // Those of the whole step are given back before others are found: each takes some 64 MB.
                drop(searched.take());
                searched = search(&other);
                judgement = judge(other, searched.as_ref().unwrap_or(&surveys));
            }
            (choice, judged) = (other, judgement);
            surveys = searched.unwrap_or(surveys);
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
            rule: choice.distance_rule(book),
            held_out: 0,
            held_out_loss: 0.0,
        };
        model.measure(book);
        model
    }

    /// Finds the residual quantiles of each product's buyers and of the book.
    fn measure(&mut self, book: &Book<'_>) {
        let columns = book.matrix.columns();
        let mut residuals: Vec<Vec<f32>> = (0..book.matrix.products() as u32)
            .into_par_iter()
            .map(|product| {
                let product = ProductNo(product);
                let residual = |posting: crate::matrix::Posting| {
                    self.residual_of(book, posting.client, product, posting.ticket)
                };
                columns.of(product).map(residual).collect()
            })
            .collect();
        match book.matrix.overlay_rows() {
            // The columns are those of the base.
            0 => self
                .residuals
                .put(Residuals::of(book.matrix, book.statistics, &residuals)),
            _ => self.keep_residuals(book),
        }
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

    /// Estimates every hidden ticket of a fold from the buyers found near its client.
    fn judge(&self, book: &Book<'_>, fold: &Fold, surveys: &Surveys) -> Vec<Judged> {
        let visible = fold.book(book);
        let k = self.choice.neighbours;
        let judge = |workings: &mut Workings, (hidden, surveys): (&Hidden, &Vec<Survey>)| {
            let (client, hidden) = hidden;
            let subject = Subject::existing(visible.matrix, visible.profiles, *client);
            self.take_on(&visible, &subject, workings);
            let judge = |(cell, survey): (&Cell, &Survey)| {
                let found = survey.of_nearest(k);
                let parts = self.parts_of(&visible, &subject, cell.product, found, workings)?;
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
            let each = hidden.iter().zip(surveys);
            each.filter_map(judge).collect::<Vec<_>>()
        };
        let hidden = fold.hidden.par_iter().zip(surveys.by_client());
        hidden
            .map_init(Workings::default, judge)
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
