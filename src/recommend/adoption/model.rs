//! The fitted model: a propensity and a ticket for every product that a subject does not buy.

use std::ops::ControlFlow;

use crate::domain::{Day, ProductNo};
use crate::matrix::PurchaseLog;
use crate::neighbours::Subject;

use super::backtest::{Learnt, Lessons};
use super::evidence::{Evidence, Heeded, Scene, not_bought};
use super::history::{Past, Span};
use super::lasting::heard_today;
use super::propensity::{Propensity, logistic};
use super::receipt::{AdoptionReceipt, ReceiptTerm};
use super::signals::{self, Form, Wanted};
use super::ticket::{self, TicketModel, TicketTerm};

/// The work was stopped by its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the fit was cancelled")]
pub struct Cancelled;

/// That a client takes up a product it does not buy, and for how much.
///
/// Tickets are minor units per period, unrounded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adoption {
    /// The product.
    pub product: ProductNo,
    /// Probability of a first purchase within the horizon, above 0 and under 1.
    pub propensity: f64,
    /// P20 of the ticket if it does.
    pub low_ticket: f64,
    /// P50.
    pub expected_ticket: f64,
    /// P80.
    pub high_ticket: f64,
    /// Propensity times the mean ticket: what sums of money are made of.
    pub expected_money: f64,
    /// Similar clients that were asked.
    pub neighbours: u32,
    /// How many of these buy the product.
    pub neighbours_buying: u32,
}

/// What the fit rests on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdoptionFit {
    /// Pairs of client and product in the back-test's sample.
    pub pairs: usize,
    /// Adoptions among them.
    pub adoptions: usize,
    /// Earlier days that taught.
    pub cuts: usize,
    /// The terms chosen; [`Form::Prior`] when there was too little to calibrate on.
    pub form: Form,
}

/// Buffers of one scoring thread, reused from subject to subject.
#[derive(Debug, Default)]
pub struct AdoptionScratch {
    evidence: Evidence,
    values: Vec<f64>,
    propensities: Vec<f64>,
}

impl AdoptionScratch {
    /// The propensities of all products that the last subject does not buy, by product; of products
    /// without buyers at the fit there are none.
    pub(in crate::recommend) fn propensities(&self) -> &[f64] {
        &self.propensities
    }
}

/// Cross-sell: a calibrated propensity, and the ticket if adopted.
///
/// Fitted once on a snapshot and its purchases, it then scores any subject in that snapshot or a
/// later one: rows that changed count as they now are, clients and products that came later have
/// no past, and a product that nobody had bought when it was fitted gets no figure. Memory: the
/// item weights (8 bytes a pair of products up to the recipe's `dense_products`), 12 bytes an
/// adoption of the last horizon and about 130 bytes a client or product.
#[derive(Debug, Clone)]
pub struct AdoptionModel {
    learnt: Learnt,
    propensity: Propensity,
    /// The signals that the propensity is made of.
    wanted: Wanted,
    ticket: TicketModel,
    fit: AdoptionFit,
}

impl AdoptionModel {
    /// Fits on a portfolio as it stands at the start of `as_of`.
    ///
    /// `log` holds the dated purchases that the scene's matrix was made of, before `as_of`; empty
    /// where tickets have no dates. Labels are made by time: what is known a horizon before
    /// `as_of` against what was taken up since; with few adoptions also half a horizon earlier. A
    /// history of under `adoption.history_parts` horizons teaches a shorter one, whose odds are then
    /// stretched to the horizon asked for.
    /// `progress` is told the share that is done and may break. Cost: for each cut and once more
    /// an item inverse (`products^3` up to the dense limit) and one pass over all clients as in
    /// [`AdoptionModel::score`], then some passes over the sampled pairs.
    pub fn fit(
        log: &PurchaseLog,
        scene: &Scene<'_>,
        span: Span,
        as_of: Day,
        progress: &dyn Fn(f64) -> ControlFlow<()>,
    ) -> Result<Self, Cancelled> {
        let step = |share: f64| match progress(share) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Cancelled),
        };
        step(0.0)?;
        let recipe = &scene.book.recipe.adoption;
        let asked = span;
        let span = asked.taught(log, as_of, recipe.history_parts);
        let mut lessons = Lessons::default();
        let mut cuts = 0;
        for halves in [2, 3] {
            let cut = as_of.plus(-((i64::from(span.horizon_days.max(1)) * halves / 2) as i32));
            let enough_past = log.days().is_some_and(|(first, _)| {
                cut.epoch_days() - first.epoch_days() >= span.horizon_days.max(1) as i32 / 2
            });
            if enough_past && (cuts == 0 || lessons.tickets.len() < recipe.one_cut_from) {
                lessons.add(log, &scene.book, cut, span);
                cuts += 1;
                step(0.2 * cuts as f64)?;
            }
        }
        let recent = Propensity::fit(&lessons, recipe);
        let share = recipe.lasting_share(asked, span);
        let lasting = recent.as_ref().filter(|_| share > 0.0);
        let lasting = lasting.and_then(|recent| recent.lasting(&lessons, recipe));
        let fitted = match (&recent, &lasting) {
            (Some(recent), Some(lasting)) => Some(recent.mixed(lasting, share)),
            _ => recent.clone(),
        };
        step(0.7)?;
        let mut ticket = fitted.as_ref().and_then(|fitted| {
            lessons.write_log_odds(fitted);
            TicketModel::fit(&lessons.ticket_values, &lessons.tickets, recipe.mean_ridge)
        });
        let stretch = recipe.stretch_exponent * (asked.days() / span.days()).ln();
        if let Some(ticket) = &mut ticket {
            ticket.stretch(stretch);
        }
        let statistics = scene.book.statistics;
        let mut propensity = fitted.unwrap_or_else(|| Propensity::prior(recipe.prior_conversion));
        let ticket = ticket.unwrap_or_else(|| {
            let exponent = statistics.size_exponent();
            TicketModel::prior(!log.is_empty(), exponent, statistics.spread())
        });
        step(0.8)?;
        let mut past = Past::of(log, as_of, span, recipe);
        if log.is_empty() {
            past = Past::undated(scene.book.matrix);
        }
        let fit = AdoptionFit {
            pairs: lessons.adopted.len(),
            adoptions: lessons.tickets.len(),
            cuts,
            form: propensity.form,
        };
        let learnt = Learnt::of(scene, past, as_of, span);
        if let (Some(recent), Some(lasting)) = (&recent, &lasting) {
            propensity = heard_today(scene, &learnt, &lessons, (recent, lasting), share);
        }
        if recent.is_some() {
            propensity.line.intercept += stretch;
        }
        step(1.0)?;
        Ok(Self {
            learnt,
            wanted: propensity.wanted(),
            propensity,
            ticket,
            fit,
        })
    }

    /// How many similar clients are asked.
    pub fn neighbours(&self) -> usize {
        self.learnt.neighbours
    }

    /// What the fit rests on.
    pub fn fitted(&self) -> AdoptionFit {
        self.fit
    }

    /// Whether the propensities are calibrated on this portfolio's own adoptions. If not, they rest
    /// on the recipe's prior, and the answer should say [`crate::domain::Shortfall::Uncalibrated`].
    pub fn is_calibrated(&self) -> bool {
        self.fit.form != Form::Prior
    }

    /// Scores every product that the subject does not buy, by product number.
    ///
    /// Left out: products without buyers at the fit, and everything where the subject has neither
    /// tickets nor attributes shared with anyone. Cost: the postings of its products, the rows of
    /// its neighbours, the item weights of its products, and about 60 logarithms a product.
    pub fn score(
        &self,
        scene: &Scene<'_>,
        subject: &Subject<'_>,
        scratch: &mut AdoptionScratch,
    ) -> Vec<Adoption> {
        self.score_offers(scene, subject, 0.0, scratch)
    }

    /// The same, without products that fewer than `least_buying` of the neighbours buy: most of a large
    /// catalogue, and nothing of it is offered. [`AdoptionScratch::propensities`] then has all.
    pub(in crate::recommend) fn score_offers(
        &self,
        scene: &Scene<'_>,
        subject: &Subject<'_>,
        least_buying: f64,
        scratch: &mut AdoptionScratch,
    ) -> Vec<Adoption> {
        let AdoptionScratch {
            evidence,
            values,
            propensities,
        } = scratch;
        propensities.clear();
        let lens = self.learnt.lens(&scene.book.recipe.adoption);
        let heeded = Heeded {
            items: signals::heed_items(&self.wanted),
            residuals: self.ticket.terms.contains(&TicketTerm::Residual),
        };
        evidence.gather(scene, &lens, heeded, subject);
        if evidence.neighbours == 0 && subject.cells.is_empty() {
            return Vec::new();
        }
        let mut signals = signals::of_client(evidence);
        let ever_alone = signals::wants_ever_alone(&self.wanted);
        let mut found = Vec::new();
        for product in not_bought(subject.cells, evidence.heard.len()) {
            // A product newer than the fit has no past, and so no buyers in it.
            let Some((past, of_product)) = self.learnt.product(product) else {
                continue;
            };
            if past.population <= 0.0 {
                continue;
            }
            let heard = &evidence.heard[product.index()];
            match ever_alone {
                true => signals::of_ever_alone(&mut signals, evidence, heard, past),
                false => {
                    let wanted = &self.wanted;
                    signals::of_pair(&mut signals, evidence, heard, past, of_product, wanted);
                }
            }
            self.propensity.values(&signals, values);
            let log_odds = self.propensity.log_odds(values);
            let propensity = logistic(log_odds);
            propensities.push(propensity);
            if f64::from(heard.buyers) < least_buying {
                continue;
            }
            let ln_median = scene.book.statistics.product(product).ln_median;
            let mut terms = ticket::values(evidence, heard, past, ln_median);
            terms[TicketTerm::LogOdds as usize] = log_odds;
            let expected_ticket = self.ticket.middle(&terms);
            found.push(Adoption {
                product,
                propensity,
                low_ticket: expected_ticket * self.ticket.low_factor,
                expected_ticket,
                high_ticket: expected_ticket * self.ticket.high_factor,
                expected_money: propensity * expected_ticket * self.ticket.money_factor(&terms),
                neighbours: evidence.neighbours,
                neighbours_buying: heard.buyers,
            });
        }
        found
    }

    /// How one figure came about; `None` where [`AdoptionModel::score`] gives none.
    ///
    /// Cost: as a score.
    pub fn explain(
        &self,
        scene: &Scene<'_>,
        subject: &Subject<'_>,
        product: ProductNo,
        scratch: &mut AdoptionScratch,
    ) -> Option<AdoptionReceipt> {
        let scored = self.score(scene, subject, scratch);
        let published = *scored.iter().find(|adoption| adoption.product == product)?;
        let AdoptionScratch {
            evidence, values, ..
        } = scratch;
        let past = self.learnt.past.product(product);
        let heard = &evidence.heard[product.index()];
        let mut signals = signals::of_client(evidence);
        let of_product = self.learnt.of_product(product);
        let wanted = &self.wanted;
        signals::of_pair(&mut signals, evidence, heard, &past, &of_product, wanted);
        self.propensity.values(&signals, values);
        let ln_median = scene.book.statistics.product(product).ln_median;
        let mut ticket_values = ticket::values(evidence, heard, &past, ln_median);
        ticket_values[TicketTerm::LogOdds as usize] = self.propensity.log_odds(values);
        let line = &self.propensity.line;
        let terms = self.propensity.names().into_iter().zip(values.iter());
        let ticket_terms = self.ticket.terms.iter().zip(&self.ticket.line.coefficients);
        Some(AdoptionReceipt {
            published,
            calibrated: self.is_calibrated(),
            has_past: subject
                .client
                .is_some_and(|client| self.learnt.past.knows(client)),
            intercept: line.intercept,
            terms: terms
                .zip(&line.coefficients)
                .map(|((name, &value), &coefficient)| ReceiptTerm {
                    name,
                    value,
                    coefficient,
                })
                .collect(),
            ticket_intercept: self.ticket.line.intercept,
            ticket_terms: ticket_terms
                .map(|(&term, &coefficient)| ReceiptTerm {
                    name: term.name().to_owned(),
                    value: ticket_values[term as usize],
                    coefficient,
                })
                .collect(),
            low_factor: self.ticket.low_factor,
            high_factor: self.ticket.high_factor,
            money_factor: self.ticket.money_factor(&ticket_values),
        })
    }
}

impl Lessons {
    /// Puts the log odds, now that they are known, among the terms of the adopted tickets.
    fn write_log_odds(&mut self, propensity: &Propensity) {
        let mut values = Vec::new();
        for (&row, terms) in self.adopted_rows.iter().zip(&mut self.ticket_values) {
            propensity.values(&self.signals[row].map(f64::from), &mut values);
            terms[TicketTerm::LogOdds as usize] = propensity.log_odds(&values);
        }
    }

    /// The log odds of every row.
    pub(super) fn log_odds(&self, propensity: &Propensity) -> impl Iterator<Item = f64> {
        let mut values = Vec::new();
        self.signals.iter().map(move |signals| {
            propensity.values(&signals.map(f64::from), &mut values);
            propensity.log_odds(&values)
        })
    }
}
