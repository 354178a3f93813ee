//! The probability of an adoption: which terms, and what each weighs.

use super::backtest::{Lessons, unit_hash};
use super::linear::{Design, Linear, Slope};
use super::receipt::MOST_LOG_ODDS;
use super::recipe::AdoptionRecipe;
use super::signals::{Form, SIGNALS, Signal, Term, Wanted};

/// Parts that clients are dealt into when a form is chosen.
const FOLDS: u32 = 4;
/// Forms whose log-loss is within this share of the best are averaged.
const CLOSE: f64 = 0.003;
/// The forms, smallest first, that read nothing of who buys what.
const WITHOUT_STRUCTURE: [Form; 2] = [Form::Plain, Form::Popular];
/// Adoptions from which the full form is taken without a comparison.
const PLENTY: usize = 20_000;

/// A logistic regression over some terms.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Propensity {
    /// The largest form in it.
    pub(super) form: Form,
    terms: Vec<Term>,
    pub(super) line: Linear,
}

/// `1 / (1 + exp(-log_odds))`.
pub(crate) fn logistic(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

impl Propensity {
    /// Fits on lessons. `None` with fewer adoptions than the recipe asks for.
    pub(super) fn fit(lessons: &Lessons, recipe: &AdoptionRecipe) -> Option<Self> {
        let adoptions = lessons.tickets.len();
        let others = lessons.adopted.len() - adoptions;
        if adoptions < recipe.least_adoptions || others < recipe.least_adoptions {
            return None;
        }
        let forms = if adoptions >= PLENTY {
            vec![Form::Full]
        } else {
            choose(lessons, recipe, adoptions)
        };
        let rows: Vec<usize> = (0..lessons.adopted.len()).collect();
        let mut mean = Self {
            form: *forms.last()?,
            terms: Vec::new(),
            line: Linear::default(),
        };
        for form in &forms {
            let line = fit(lessons, &rows, *form, recipe)?;
            mean.add(form.terms(), &line, 1.0 / forms.len() as f64);
        }
        Some(mean)
    }

    /// Fits what lasts on the same lessons, with as much of who buys what as this reads.
    pub(super) fn lasting(&self, lessons: &Lessons, recipe: &AdoptionRecipe) -> Option<Self> {
        let form = match self.form {
            Form::Plain | Form::Popular => Form::LastingPopular,
            _ => Form::Lasting,
        };
        let rows: Vec<usize> = (0..lessons.adopted.len()).collect();
        Some(Self {
            form,
            terms: form.terms().to_vec(),
            line: fit(lessons, &rows, form, recipe)?,
        })
    }

    /// The same with log odds so many times as large.
    pub(super) fn scaled(&self, by: f64) -> Self {
        let mut scaled = self.clone();
        scaled.line.intercept *= by;
        scaled
            .line
            .coefficients
            .iter_mut()
            .for_each(|one| *one *= by);
        scaled
    }

    /// The mean with another, which has this share in it.
    pub(super) fn mixed(&self, other: &Self, share: f64) -> Self {
        let mut mean = Self {
            form: self.form,
            terms: Vec::new(),
            line: Linear::default(),
        };
        mean.add(&self.terms, &self.line, 1.0 - share);
        mean.add(&other.terms, &other.line, share);
        mean
    }

    /// Adds a share of a line: the mean of log odds is a line over all terms that occur.
    fn add(&mut self, terms: &[Term], line: &Linear, share: f64) {
        self.line.intercept += share * line.intercept;
        for (term, coefficient) in terms.iter().zip(&line.coefficients) {
            if let Some(at) = self.terms.iter().position(|known| known == term) {
                self.line.coefficients[at] += share * coefficient;
            } else {
                self.terms.push(*term);
                self.line.coefficients.push(share * coefficient);
            }
        }
    }

    /// Without labels: the odds of the neighbours' share, times the recipe's conversion.
    pub(super) fn prior(conversion: f64) -> Self {
        Self {
            form: Form::Prior,
            terms: Vec::new(),
            line: Linear {
                intercept: conversion.max(1e-6).ln(),
                coefficients: vec![1.0],
            },
        }
    }

    /// Writes the terms' values for one pair.
    pub(super) fn values(&self, signals: &[f64; SIGNALS], into: &mut Vec<f64>) {
        into.clear();
        if self.form == Form::Prior {
            into.push(prior_log_odds(signals));
        } else {
            into.extend(self.terms.iter().map(|term| term.value(signals)));
        }
    }

    /// The signals that the values are made of.
    pub(super) fn wanted(&self) -> Wanted {
        let mut wanted = [false; SIGNALS];
        let named = self.terms.iter().flat_map(|term| [Some(term.0), term.1]);
        for signal in named.flatten() {
            wanted[signal as usize] = true;
        }
        if self.form == Form::Prior {
            wanted[Signal::RootShareEver as usize] = true;
        }
        wanted
    }

    /// The names of the values.
    pub(super) fn names(&self) -> Vec<String> {
        if self.form == Form::Prior {
            return vec!["log_odds_share_ever".to_owned()];
        }
        self.terms.iter().map(|term| term.name()).collect()
    }

    /// The log odds that the values give.
    pub(super) fn log_odds(&self, values: &[f64]) -> f64 {
        self.line.at(values).clamp(-MOST_LOG_ODDS, MOST_LOG_ODDS)
    }
}

/// The log odds of the neighbours' share of buyers.
fn prior_log_odds(signals: &[f64; SIGNALS]) -> f64 {
    let share = signals[Signal::RootShareEver as usize].powi(2);
    let share = share.clamp(1e-4, 0.99);
    (share / (1.0 - share)).ln()
}

/// The forms that predict clients held out of the fit best, all that are close, smallest first.
fn choose(lessons: &Lessons, recipe: &AdoptionRecipe, adoptions: usize) -> Vec<Form> {
    let fold = |row: usize| (unit_hash(lessons.clients[row], 0) * f64::from(FOLDS)) as u32;
    let clients = lessons
        .clients
        .iter()
        .max()
        .map_or(0, |&last| last as usize + 1);
    let mut losses: Vec<(Form, Vec<f64>)> = Vec::new();
    for form in Form::FITTED {
        // Twenty adoptions a coefficient, or the comparison itself is noise.
        if adoptions < 20 * form.terms().len() && !WITHOUT_STRUCTURE.contains(&form) {
            continue;
        }
        let mut loss = vec![0.0; clients];
        for held in 0..FOLDS {
            let (out, rows): (Vec<usize>, Vec<usize>) =
                (0..lessons.adopted.len()).partition(|&row| fold(row) == held);
            let line = fit(lessons, &rows, form, recipe);
            for row in out {
                loss[lessons.clients[row] as usize] += match &line {
                    Some(line) => loss_at(lessons, row, form.terms(), line),
                    None => f64::INFINITY,
                };
            }
        }
        losses.push((form, loss));
    }
    let total = |loss: &[f64]| loss.iter().sum::<f64>();
    let best_of = |losses: &[(Form, Vec<f64>)]| {
        let totals = losses.iter().map(|of| total(&of.1));
        totals.enumerate().min_by(|a, b| a.1.total_cmp(&b.1))
    };
    let plain = WITHOUT_STRUCTURE.len().min(losses.len());
    let among = match (best_of(&losses), best_of(&losses[..plain])) {
        (Some(best), Some(plainer)) if surely_better(&losses[best.0].1, &losses[plainer.0].1) => {
            &losses[..]
        }
        _ => &losses[..plain],
    };
    let least = best_of(among).map_or(0.0, |best| best.1);
    let close = among
        .iter()
        .filter(|of| total(&of.1) <= least * (1.0 + CLOSE));
    close.map(|of| of.0).collect()
}

/// Whether the first losses are lower by more than their difference's standard error over clients:
/// where there is no structure, nothing must be read into chance.
fn surely_better(first: &[f64], second: &[f64]) -> bool {
    let gains: Vec<f64> = first.iter().zip(second).map(|(a, b)| b - a).collect();
    let sum: f64 = gains.iter().sum();
    let error = gains.iter().map(|gain| gain * gain).sum::<f64>().sqrt();
    sum > error
}

fn loss_at(lessons: &Lessons, row: usize, terms: &[Term], line: &Linear) -> f64 {
    let signals = lessons.signals[row].map(f64::from);
    let values: Vec<f64> = terms.iter().map(|term| term.value(&signals)).collect();
    let log_odds = line.at(&values).clamp(-MOST_LOG_ODDS, MOST_LOG_ODDS);
    let sign = if lessons.adopted[row] { -1.0 } else { 1.0 };
    f64::from(lessons.weights[row]) * (sign * log_odds).exp().ln_1p()
}

fn fit(lessons: &Lessons, rows: &[usize], form: Form, recipe: &AdoptionRecipe) -> Option<Linear> {
    let terms = form.terms();
    let write = |row: usize, into: &mut [f64]| {
        let signals = lessons.signals[rows[row]].map(f64::from);
        for (value, term) in into.iter_mut().zip(terms) {
            *value = term.value(&signals);
        }
    };
    let slope = |row: usize, log_odds: f64| {
        let probability = logistic(log_odds.clamp(-MOST_LOG_ODDS, MOST_LOG_ODDS));
        let weight = f64::from(lessons.weights[rows[row]]);
        let label = f64::from(u8::from(lessons.adopted[rows[row]]));
        Slope {
            gradient: weight * (label - probability),
            curvature: weight * (probability * (1.0 - probability)).max(1e-6),
        }
    };
    let rate = lessons.rate().clamp(1e-6, 1.0 - 1e-6);
    let start = (rate / (1.0 - rate)).ln();
    let design = Design {
        rows: rows.len(),
        width: terms.len(),
        write: &write,
    };
    let ridge: Vec<f64> = terms
        .iter()
        .map(|term| match term.0 {
            Signal::LnHistory => recipe.history_ridge,
            _ => recipe.ridge,
        })
        .collect();
    Linear::fit(&design, &ridge, start, 25, &slope)
}
