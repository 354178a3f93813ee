//! Both kinds of offer behind one door: fit once, then advise, explain, compare.

use std::ops::ControlFlow;

use super::adoption::{AdoptionModel, AdoptionReceipt, AdoptionScratch, Cancelled, Scene, Span};
use super::advice::{ignorance, is_publishable, upsell_offer};
use super::cross_sell::{offers, score, value_minor};
use super::history::{BackTest, History};
use super::similar::similar;
use super::upsell::{self, UpsellModel};
use super::{Advice, Book, SimilarClient, SuccessModel};
use crate::domain::{Day, Opportunity, ProductNo, QuantileReceipt, Shortfall};
use crate::matrix::PurchaseLog;
use crate::neighbours::Subject;

/// How a ticket was estimated.
#[derive(Debug, Clone, PartialEq)]
pub enum TicketReceipt {
    /// From what similar clients spend.
    Quantile(QuantileReceipt),
    /// From a line fitted to first purchases.
    Line(AdoptionReceipt),
}

/// How a probability was estimated from the history:
/// `1 / (1 + exp(-(intercept + sum(value x coefficient))))`.
#[derive(Debug, Clone, PartialEq)]
pub struct ProbabilityReceipt {
    /// The constant.
    pub intercept: f64,
    /// Names, values and coefficients of the sum.
    pub terms: Vec<(String, f64, f64)>,
    /// Whether it was calibrated on the portfolio's history.
    pub calibrated: bool,
}

/// How a priority follows: `probability x value x margin - contact cost`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PriorityReceipt {
    /// Probability of success.
    pub probability: f64,
    /// What success is worth per period, in minor units.
    pub value_minor: f64,
    /// Margin as a share of the amount.
    pub margin_rate: f64,
    /// What an offer costs, in minor units.
    pub contact_cost_minor: f64,
}

/// Everything that one opportunity's figures were made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Receipt {
    /// How the ticket was estimated.
    pub ticket: TicketReceipt,
    /// How the probability was estimated.
    pub probability: ProbabilityReceipt,
    /// How the priority follows from both.
    pub priority: PriorityReceipt,
}

/// Buffers of one thread, reused from subject to subject.
#[derive(Debug, Default)]
pub struct Scratch {
    upsell: upsell::Scratch,
    adoption: AdoptionScratch,
}

/// What was learnt from one state of a book.
#[derive(Debug)]
pub struct Advisor {
    pub(super) upsell: UpsellModel,
    pub(super) success: SuccessModel,
    pub(super) adoption: AdoptionModel,
}

impl Advisor {
    /// Learns from a book and its dated purchases as they stand at `as_of`, for tickets counted by
    /// `period_days`. Cost: that of [`UpsellModel::fit`] and [`AdoptionModel::fit`].
    pub fn fit(
        scene: &Scene<'_>,
        log: &PurchaseLog,
        as_of: Day,
        period_days: f64,
        progress: &dyn Fn(f64) -> ControlFlow<()>,
    ) -> Result<Self, Cancelled> {
        let horizon_days = scene.book.recipe.offer.horizon_days;
        let span = Span {
            horizon_days,
            period_days,
        };
        let upsell = UpsellModel::fit(&scene.book);
        let history = History::of(log, as_of, horizon_days);
        let sample = scene.book.recipe.upsell.sample_cells;
        let back_test = BackTest::of(&history, &scene.book, &upsell, sample);
        Ok(Self {
            success: SuccessModel::fit(&back_test, scene.book.recipe),
            upsell,
            adoption: AdoptionModel::fit(log, scene, span, as_of, progress)?,
        })
    }

    /// What was learnt of tickets.
    #[must_use]
    pub fn upsell(&self) -> &UpsellModel {
        &self.upsell
    }

    /// How many similar clients are asked what they buy: what a [`Scene::nearest`] is to hold.
    pub fn neighbours(&self) -> usize {
        self.adoption.neighbours()
    }

    /// What to offer a subject, of both kinds, and why less than was asked for. Cost: the postings
    /// of its products, twice.
    pub fn advise(
        &self,
        scene: &Scene<'_>,
        subject: &Subject<'_>,
        scratch: &mut Scratch,
    ) -> Advice {
        let book = &scene.book;
        let mut advice = Advice::default();
        advice.shortfalls.extend(ignorance(book, subject));
        if advice.shortfalls.contains(&Shortfall::TooFewClients) {
            return advice;
        }
        let mut upsells = Vec::new();
        self.upsell
            .begin(book, subject, subject.products(), &mut scratch.upsell);
        for cell in subject.cells {
            let estimate = self
                .upsell
                .estimate(book, subject, cell.product, &mut scratch.upsell);
            match estimate.filter(|estimate| is_publishable(book, estimate)) {
                None => advice.shortfalls.push(Shortfall::TooFewNeighbours),
                Some(estimate) => {
                    upsells.extend(upsell_offer(book, self.success, subject, cell, &estimate));
                }
            }
        }
        advice.take(upsells, book.recipe.offer.per_client);
        let least = book.recipe.upsell.least_effective_neighbours;
        let scratch = &mut scratch.adoption;
        let adoptions = self.adoption.score_offers(scene, subject, least, scratch);
        let propensities = scratch.propensities();
        let (cross_sells, missing) = offers(book, subject, &adoptions, propensities);
        advice.shortfalls.extend(missing);
        if !self.adoption.is_calibrated() && !cross_sells.is_empty() {
            advice.shortfalls.push(Shortfall::Uncalibrated);
        }
        let sold_more = advice.opportunities.len();
        advice.take(cross_sells, book.recipe.offer.per_client);
        score(&mut advice.opportunities[sold_more..], propensities);
        advice.shortfalls.sort_unstable();
        advice.shortfalls.dedup();
        advice
    }

    /// The opportunity of a subject and a product with its receipt; `None` where no figure is
    /// published. Cost: as [`Advisor::advise`].
    pub fn explain(
        &self,
        scene: &Scene<'_>,
        subject: &Subject<'_>,
        product: ProductNo,
        scratch: &mut Scratch,
    ) -> Option<(Opportunity, Receipt)> {
        match subject.cell(product) {
            Some(_) => self.explain_upsell(&scene.book, subject, product, scratch),
            None => self.explain_cross_sell(scene, subject, product, scratch),
        }
    }

    fn explain_upsell(
        &self,
        book: &Book<'_>,
        subject: &Subject<'_>,
        product: ProductNo,
        scratch: &mut Scratch,
    ) -> Option<(Opportunity, Receipt)> {
        let cell = subject.cell(product)?;
        let scratch = &mut scratch.upsell;
        self.upsell.begin(book, subject, [product], scratch);
        let estimate = self.upsell.estimate(book, subject, product, scratch)?;
        if !is_publishable(book, &estimate) {
            return None;
        }
        let opportunity = upsell_offer(book, self.success, subject, cell, &estimate)?;
        let ticket = self.upsell.explain(book, subject, product, scratch)?;
        let success = self.success.explain(f64::from(cell.ticket), &estimate);
        let receipt = Receipt {
            ticket: TicketReceipt::Quantile(ticket),
            probability: ProbabilityReceipt {
                intercept: success.intercept,
                terms: success
                    .terms
                    .iter()
                    .map(|term| (term.name.to_owned(), term.value, term.coefficient))
                    .collect(),
                calibrated: success.is_calibrated,
            },
            priority: priority(book, &opportunity, opportunity.gain_minor as f64),
        };
        Some((opportunity, receipt))
    }

    fn explain_cross_sell(
        &self,
        scene: &Scene<'_>,
        subject: &Subject<'_>,
        product: ProductNo,
        scratch: &mut Scratch,
    ) -> Option<(Opportunity, Receipt)> {
        let book = &scene.book;
        if ignorance(book, subject) == Some(Shortfall::TooFewClients) {
            return None;
        }
        let least = book.recipe.upsell.least_effective_neighbours;
        let adoptions = self
            .adoption
            .score_offers(scene, subject, least, &mut scratch.adoption);
        let propensities = scratch.adoption.propensities();
        let (mut offers, _) = offers(book, subject, &adoptions, propensities);
        offers.retain(|offer| offer.product == product);
        score(&mut offers, propensities);
        let opportunity = offers.pop()?;
        let line = self
            .adoption
            .explain(scene, subject, product, &mut scratch.adoption)?;
        let terms = line
            .terms
            .iter()
            .map(|term| (term.name.clone(), term.value, term.coefficient));
        let receipt = Receipt {
            probability: ProbabilityReceipt {
                intercept: line.intercept,
                terms: terms.collect(),
                calibrated: line.calibrated,
            },
            priority: priority(book, &opportunity, value_minor(&line.published)),
            ticket: TicketReceipt::Line(line),
        };
        Some((opportunity, receipt))
    }

    /// The `k` clients most like a subject, and why there may be fewer.
    pub fn similar(
        &self,
        book: &Book<'_>,
        subject: &Subject<'_>,
        k: usize,
        scratch: &mut Scratch,
    ) -> (Vec<SimilarClient>, Option<Shortfall>) {
        let found = similar(book, &self.upsell, subject, k, &mut scratch.upsell);
        (found, ignorance(book, subject))
    }
}

fn priority(book: &Book<'_>, opportunity: &Opportunity, value_minor: f64) -> PriorityReceipt {
    PriorityReceipt {
        probability: opportunity.probability,
        value_minor,
        margin_rate: book.margin_rate(opportunity.product),
        contact_cost_minor: book.recipe.offer.contact_cost_minor,
    }
}
