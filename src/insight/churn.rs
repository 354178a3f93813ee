//! How likely a client is to buy nothing within the horizon.
//!
//! A logistic line over what rate × decay is made of (how often it bought, how long it has not) is
//! fitted to the book's own past: clients as they stood at the end of some months, and whether they
//! bought in those that followed. Rate × decay alone orders clients as well as BG/NBD does (Fader,
//! Hardie and Lee 2005, measured on CDNOW); the line adds the level, which a P(alive) does not have.

use crate::domain::{Bucket, DAYS_PER_MONTH, Day, Month, Slot};
use crate::recommend::linear::{Design, Linear, Slope};
use crate::recommend::{ChurnRecipe, Recipe, logistic};

use super::state::usual_gap_days;
use super::{Purchases, Rhythm, Tally};
use rayon::prelude::*;

/// A month whose last sale falls into its last days counts as whole.
const LAST_DAYS: i32 = 5;
/// Newton steps; five are the usual.
const STEPS: usize = 25;

/// What the probability is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signal {
    /// Log of purchases a day.
    Rate,
    /// In how many of the last three spans of 30 days it bought.
    Recent,
    /// Log of one more than its expected gaps since its last purchase.
    GapsIdle,
    /// Months since its last purchase.
    Idle,
    /// Log of its purchases.
    Purchases,
}

impl Signal {
    /// Those that say whether a client stops.
    pub const OF_CLIENTS: [Self; 3] = [Self::Rate, Self::Recent, Self::GapsIdle];
    /// Those that say whether a client stops with a product: most are bought a few times, and how many
    /// says more than how often.
    pub const OF_PRODUCTS: [Self; 4] = [Self::Rate, Self::Recent, Self::GapsIdle, Self::Purchases];

    fn of(self, purchases: &Purchases, rhythm: &Rhythm, as_of: Day) -> f64 {
        match self {
            Self::Rate => rhythm.purchases_a_day.ln(),
            Self::Recent => f64::from(purchases.recent_spans(as_of)),
            Self::GapsIdle => rhythm.gaps_idle().ln_1p(),
            Self::Idle => f64::from(rhythm.idle_days) / DAYS_PER_MONTH,
            Self::Purchases => f64::from(purchases.purchases.max(1)).ln(),
        }
    }
}

/// One client's chance to buy nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Churn {
    /// That it buys nothing within the horizon.
    pub probability: f64,
    /// The same within a year.
    pub year_probability: f64,
}

/// What a book's past says of clients that stop.
#[derive(Debug, Clone, PartialEq)]
pub struct ChurnModel {
    horizon_days: f64,
    inactive_gaps: f64,
    stretch_exponent: f64,
    signals: Vec<Signal>,
    learnt: Option<Learnt>,
    lessons: usize,
    stopped: usize,
}

#[derive(Debug, Clone, PartialEq)]
struct Learnt {
    line: Linear,
    means: Vec<f64>,
    taught_days: f64,
}

/// A client as it once stood, and what it then did.
#[derive(Debug, Clone)]
struct Lesson {
    signals: Vec<f64>,
    stopped: bool,
}

impl ChurnModel {
    /// Learns from the dated purchases of buyers `0..buyers` (clients, or one product of a client
    /// each), the book's first month and its last day with a sale. Where the past is too short, or
    /// too few stopped or went on, the recipe's prior stands in. Cost: the buckets of the buyers, once
    /// for each of a few cuts, on all cores; the same whatever their number.
    pub fn learn<I: Iterator<Item = Bucket>>(
        buyers: usize,
        buckets: impl Fn(usize) -> I + Sync,
        (first, last_day): (Month, Day),
        signals: &[Signal],
        recipe: &Recipe,
    ) -> Self {
        let churn = &recipe.churn;
        let mut model = Self {
            signals: signals.to_vec(),
            ..Self::prior(recipe)
        };
        let Some((cuts, taught)) = cuts(first, last_day, recipe) else {
            return model;
        };
        let taught_days = f64::from(taught) * DAYS_PER_MONTH;
        let lessons: Vec<Lesson> = cuts
            .into_iter()
            .flat_map(|cut| model.lessons_at(cut, first, taught, buyers, &buckets, recipe))
            .collect();
        model.lessons = lessons.len();
        model.stopped = lessons.iter().filter(|lesson| lesson.stopped).count();
        let rarer = model.stopped.min(model.lessons - model.stopped);
        if rarer >= churn.least_events {
            model.learnt = fit(&lessons, signals.len(), churn).map(|line| Learnt {
                line,
                means: means(&lessons, signals.len()),
                taught_days,
            });
        }
        model
    }

    /// Every buyer that had bought by the end of a month, as it stood then.
    fn lessons_at<I: Iterator<Item = Bucket>>(
        &self,
        cut: Month,
        first: Month,
        taught: u32,
        buyers: usize,
        buckets: &(impl Fn(usize) -> I + Sync),
        recipe: &Recipe,
    ) -> Vec<Lesson> {
        let end = cut.plus(taught as i32);
        let as_of = cut.day(31);
        let stood: Vec<(Purchases, bool)> = (0..buyers)
            .into_par_iter()
            .map_init(Tally::default, |tally, buyer| {
                let mut bought_later = false;
                let watched = buckets(buyer).inspect(|bucket| {
                    bought_later |= bucket.amount_minor > 0
                        && matches!(bucket.slot, Slot::Month(month) if month > cut && month <= end);
                });
                let purchases = tally.sum(watched, (first, cut), |_| 0.0);
                (purchases, !bought_later)
            })
            .collect();
        let usual = usual_gap_days(
            stood
                .iter()
                .filter_map(|(purchases, _)| purchases.mean_gap_days()),
        );
        let lesson = |(purchases, stopped): &(Purchases, bool)| {
            let rhythm = Rhythm::of(purchases, usual, as_of, &recipe.state)?;
            Some(Lesson {
                signals: self.read(purchases, &rhythm, as_of),
                stopped: *stopped,
            })
        };
        stood.iter().filter_map(lesson).collect()
    }

    fn read(&self, purchases: &Purchases, rhythm: &Rhythm, as_of: Day) -> Vec<f64> {
        let of = |signal: &Signal| signal.of(purchases, rhythm, as_of);
        self.signals.iter().map(of).collect()
    }

    /// What stands in where nothing can be learnt: a client that buys at its own rhythm, which fades
    /// while it does not buy.
    pub fn prior(recipe: &Recipe) -> Self {
        Self {
            horizon_days: f64::from(recipe.offer.horizon_days),
            inactive_gaps: recipe.state.inactive_gaps,
            stretch_exponent: recipe.churn.stretch_exponent,
            signals: Signal::OF_CLIENTS.to_vec(),
            learnt: None,
            lessons: 0,
            stopped: 0,
        }
    }

    /// Days that probabilities are for.
    pub fn horizon_days(&self) -> u32 {
        self.horizon_days as u32
    }

    /// Whether probabilities rest on the book's own past.
    pub fn is_calibrated(&self) -> bool {
        self.learnt.is_some()
    }

    /// Clients as they once stood that it was learnt from, and how many of them stopped.
    pub fn lessons(&self) -> (usize, usize) {
        (self.lessons, self.stopped)
    }

    /// A client's chance, from what it bought until a day and its rhythm then.
    pub fn of(&self, purchases: &Purchases, rhythm: &Rhythm, as_of: Day) -> Churn {
        let Some(learnt) = &self.learnt else {
            return Churn {
                probability: self.prior_of(rhythm, self.horizon_days),
                year_probability: self.prior_of(rhythm, 12.0 * DAYS_PER_MONTH),
            };
        };
        let signals = self.read(purchases, rhythm, as_of);
        let log_odds = learnt.line.at(&signals);
        // A horizon r times as long brings r to some power times the odds of a purchase.
        let within = |days: f64| {
            logistic(log_odds - self.stretch_exponent * (days / learnt.taught_days).ln())
        };
        Churn {
            probability: within(self.horizon_days),
            year_probability: within(12.0 * DAYS_PER_MONTH),
        }
    }

    /// By how much each signal raises the log odds above those of an average buyer of the past; empty
    /// where the recipe's prior stands in.
    pub fn terms(&self, purchases: &Purchases, rhythm: &Rhythm, as_of: Day) -> Vec<(Signal, f64)> {
        let Some(learnt) = &self.learnt else {
            return Vec::new();
        };
        let signals = self.read(purchases, rhythm, as_of);
        let pulls = signals
            .iter()
            .zip(&learnt.means)
            .zip(&learnt.line.coefficients);
        let pulls = pulls.map(|((value, mean), coefficient)| coefficient * (value - mean));
        self.signals.iter().copied().zip(pulls).collect()
    }

    /// That a Poisson buyer at the client's rhythm, slowed down by its silence, buys nothing.
    fn prior_of(&self, rhythm: &Rhythm, days: f64) -> f64 {
        let slowed = (-rhythm.gaps_idle() / self.inactive_gaps).exp();
        (-days / rhythm.gap_days * slowed).exp()
    }
}

/// The months at whose ends clients are looked at, the latest first, and for how many months what
/// they did then is known. `None` where the past is too short.
fn cuts(first: Month, last_day: Day, recipe: &Recipe) -> Option<(Vec<Month>, u32)> {
    let last = last_whole_month(last_day);
    let known = last.number() - first.number() + 1;
    let asked = (f64::from(recipe.offer.horizon_days) / DAYS_PER_MONTH).round();
    let taught = asked
        .max(1.0)
        .min((f64::from(known) / recipe.churn.history_parts).floor()) as i32;
    if taught < 1 {
        return None;
    }
    let cuts = (0..recipe.churn.cuts as i32)
        .map(|back| last.plus(-taught - back))
        .take_while(|cut| cut.number() - first.number() + 1 >= taught)
        .collect();
    Some((cuts, taught as u32))
}

/// The last month that is whole in a book whose last sale was on a day.
pub(super) fn last_whole_month(last_day: Day) -> Month {
    let month = last_day.month();
    let days_left = month.day(31).epoch_days() - last_day.epoch_days();
    if days_left < LAST_DAYS {
        month
    } else {
        month.plus(-1)
    }
}

fn means(lessons: &[Lesson], width: usize) -> Vec<f64> {
    let sum = |at: usize| lessons.iter().map(|lesson| lesson.signals[at]).sum::<f64>();
    let count = lessons.len().max(1) as f64;
    (0..width).map(|at| sum(at) / count).collect()
}

fn fit(lessons: &[Lesson], width: usize, recipe: &ChurnRecipe) -> Option<Linear> {
    let write = |row: usize, into: &mut [f64]| into.copy_from_slice(&lessons[row].signals);
    let design = Design {
        rows: lessons.len(),
        width,
        write: &write,
    };
    let slope = |row: usize, log_odds: f64| {
        let probability = logistic(log_odds);
        Slope {
            gradient: f64::from(u8::from(lessons[row].stopped)) - probability,
            curvature: (probability * (1.0 - probability)).max(1e-6),
        }
    };
    let stopped = lessons.iter().filter(|lesson| lesson.stopped).count() as f64;
    let start = (stopped / (lessons.len() as f64 - stopped)).ln();
    let ridge = vec![recipe.ridge; width];
    Linear::fit(&design, &ridge, start, STEPS, &slope)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ProductNo;

    /// Client `at` of 400 buys on a day of every month until it stops: a tenth of those that go on
    /// stop each month, and the seldom bought month is rare.
    fn history(client: u32, months: i32) -> Vec<Bucket> {
        let mut state = u64::from(client).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678;
        let mut random = move || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) as f64 / f64::from(1_u32 << 31)
        };
        let mut buckets = Vec::new();
        for month in 0..months {
            if month > 0 && random() < 0.1 {
                break;
            }
            if random() < 0.7 {
                buckets.push(Bucket {
                    product: ProductNo(0),
                    slot: Slot::Month(Month::from_number(1_400 + month)),
                    amount_minor: 100,
                    quantity_milli: 0,
                    sales: 1,
                    last_day_of_month: 1 + (random() * 28.0) as u8,
                });
            }
        }
        buckets
    }

    fn learn(clients: u32, months: i32) -> ChurnModel {
        let recipe = Recipe::standard().unwrap();
        let all: Vec<_> = (0..clients).map(|client| history(client, months)).collect();
        let buckets = |client: usize| all[client].iter().copied();
        let first = Month::from_number(1_400);
        let last = first.plus(months - 1).day(31);
        ChurnModel::learn(
            clients as usize,
            buckets,
            (first, last),
            &Signal::OF_CLIENTS,
            &recipe,
        )
    }

    fn risk(model: &ChurnModel, purchases: u32, idle: i32) -> f64 {
        let recipe = Recipe::standard().unwrap();
        let as_of = Day::from_epoch_days(1_000);
        let purchases = Purchases {
            purchases,
            first_day: Some(as_of.plus(-idle - 45 * (purchases as i32 - 1))),
            last_day: Some(as_of.plus(-idle)),
            ..Purchases::default()
        };
        let rhythm = Rhythm::of(&purchases, 40.0, as_of, &recipe.state).unwrap();
        let churn = model.of(&purchases, &rhythm, as_of);
        assert!((0.0..=1.0).contains(&churn.year_probability));
        assert!(churn.year_probability <= churn.probability);
        churn.probability
    }

    #[test]
    fn silence_raises_the_risk_and_the_level_is_that_of_the_past() {
        let model = learn(1_500, 18);
        assert!(model.is_calibrated());
        let (lessons, stopped) = model.lessons();
        assert!(lessons > 3_000 && stopped > 500, "{lessons} {stopped}");
        assert!(risk(&model, 8, 10) < risk(&model, 8, 60));
        assert!(risk(&model, 8, 60) < risk(&model, 8, 200));
        assert!(risk(&model, 8, 10) < 0.5 && risk(&model, 8, 200) > 0.9);
    }

    #[test]
    fn probabilities_hold_on_months_that_were_not_learnt_from() {
        let recipe = Recipe::standard().unwrap();
        let months = 18;
        let all: Vec<_> = (0..3_000)
            .map(|client| history(client, months + 3))
            .collect();
        let first = Month::from_number(1_400);
        let cut = first.plus(months - 1);
        let buckets = |client: usize| all[client].iter().copied();
        let until = |bucket: &Bucket| matches!(bucket.slot, Slot::Month(month) if month <= cut);
        let known = |client: usize| buckets(client).filter(until);
        let model = ChurnModel::learn(
            all.len(),
            known,
            (first, cut.day(31)),
            &Signal::OF_CLIENTS,
            &recipe,
        );
        let mut tally = Tally::default();
        let (mut told, mut came) = (0.0, 0.0);
        for number in 0..all.len() {
            let sums = tally.sum(known(number), (first, cut), |_| 0.0);
            if let Some(rhythm) = Rhythm::of(&sums, 40.0, cut.day(31), &recipe.state) {
                told += model.of(&sums, &rhythm, cut.day(31)).probability;
                let bought_later = buckets(number).any(|bucket| !until(&bucket));
                came += f64::from(u8::from(!bought_later));
            }
        }
        assert!((told / came - 1.0).abs() < 0.1, "told {told}, came {came}");
    }

    #[test]
    fn a_short_past_or_a_small_book_leaves_the_prior() {
        for model in [learn(1_500, 2), learn(10, 18), learn(0, 18)] {
            assert!(!model.is_calibrated());
            assert!(risk(&model, 8, 10) < risk(&model, 8, 200));
        }
    }

    #[test]
    fn the_same_book_gives_the_same_model_on_one_thread_and_on_two() {
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.unwrap().install(|| learn(5_000, 18))
        };
        assert_eq!(on(1), on(2));
    }
}
