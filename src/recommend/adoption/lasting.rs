//! What lasts, heard beside what is recent.
//!
//! Who ever bought what grows with the history that is read: a line over it, learnt on an earlier day, finds more of
//! everything today and takes that for more take-up, and larger differences, the more the shorter the history of that day
//! was. What was taken up lately does not grow so. So what lasts helps to say which products, with differences as large as
//! they were on the day that it was learnt from, and what is recent says how many.

use rayon::prelude::*;

use super::backtest::{Learnt, Lessons, in_sample};
use super::evidence::{Evidence, Heeded, Scene, clients, not_bought};
use super::propensity::{Propensity, logistic};
use super::signals::{self, SIGNALS};
use crate::domain::ClientNo;
use crate::neighbours::Subject;

/// Clients that the level is read from at most, at even steps.
const CLIENTS: usize = 500;
/// Pairs of these at most, about.
const PAIRS: f64 = 200_000.0;
/// Steps of Newton's method; it ends within some.
const STEPS: usize = 30;

/// The mean of what is recent and what lasts, which has this share in it, as it is to be read today. Cost: one pass over
/// some clients as in [`super::AdoptionModel::score`].
pub(super) fn heard_today(
    scene: &Scene<'_>,
    learnt: &Learnt,
    lessons: &Lessons,
    (recent, lasting): (&Propensity, &Propensity),
    share: f64,
) -> Propensity {
    let pairs = pairs_today(scene, learnt, recent, lasting);
    let then = lessons.log_odds(lasting);
    let then = then.zip(lessons.weights.iter().map(|&weight| f64::from(weight)));
    let today = pairs.iter().map(|[_, lasting]| (*lasting, 1.0));
    let narrowed = (deviation(then) / deviation(today).max(1e-9)).min(1.0);
    let mut mixed = recent.mixed(&lasting.scaled(narrowed), share);
    let both = pairs
        .iter()
        .map(|[recent, lasting]| [*recent, recent * (1.0 - share) + lasting * narrowed * share]);
    mixed.line.intercept += shift(&both.collect::<Vec<_>>());
    mixed
}

/// The log odds of today's pairs by both.
fn pairs_today(
    scene: &Scene<'_>,
    learnt: &Learnt,
    recent: &Propensity,
    lasting: &Propensity,
) -> Vec<[f64; 2]> {
    let matrix = scene.book.matrix;
    let step = matrix.clients().div_ceil(CLIENTS).max(1);
    let some: Vec<ClientNo> = clients(matrix)
        .step_by(step)
        .filter(|client| !matrix.row(*client).is_empty())
        .collect();
    let all = some.len() as f64 * matrix.products() as f64;
    let kept = PAIRS / all.max(1.0);
    let of_client = |(evidence, values): &mut (Evidence, Vec<f64>), client: &ClientNo| {
        let subject = Subject::existing(matrix, scene.book.profiles, *client);
        let heeded = Heeded {
            items: true,
            residuals: false,
        };
        let lens = learnt.lens(&scene.book.recipe.adoption);
        evidence.gather(scene, &lens, heeded, &subject);
        let mut signals = signals::of_client(evidence);
        let mut pairs: Vec<[f64; 2]> = Vec::new();
        for product in not_bought(subject.cells, evidence.heard.len()) {
            let Some((past, of_product)) = learnt.product(product) else {
                continue;
            };
            if past.population <= 0.0 || !in_sample(*client, product.0, kept) {
                continue;
            }
            let heard = &evidence.heard[product.index()];
            signals::of_pair(
                &mut signals,
                evidence,
                heard,
                past,
                of_product,
                &[true; SIGNALS],
            );
            pairs.push([recent, lasting].map(|propensity| {
                propensity.values(&signals, values);
                propensity.log_odds(values)
            }));
        }
        pairs
    };
    let pairs: Vec<Vec<[f64; 2]>> = some
        .par_iter()
        .map_init(Default::default, of_client)
        .collect();
    pairs.concat()
}

/// The standard deviation of weighted values.
fn deviation(values: impl Iterator<Item = (f64, f64)>) -> f64 {
    let (mut sum, mut squares, mut all) = (0.0, 0.0, 0.0);
    for (value, weight) in values {
        sum += weight * value;
        squares += weight * value * value;
        all += weight;
    }
    let mean = sum / f64::max(all, 1e-9);
    (squares / f64::max(all, 1e-9) - mean * mean)
        .max(0.0)
        .sqrt()
}

/// By how much the second log odds have to change for both to have one mean probability.
fn shift(pairs: &[[f64; 2]]) -> f64 {
    let wanted: f64 = pairs.iter().map(|[recent, _]| logistic(*recent)).sum();
    let mut shift = 0.0_f64;
    for _ in 0..STEPS {
        let (mut sum, mut slope) = (0.0, 0.0);
        for [_, other] in pairs {
            let probability = logistic(other + shift);
            sum += probability;
            slope += probability * (1.0 - probability);
        }
        if slope <= 1e-9 {
            break;
        }
        // The mean bends: a long step is cut.
        let by = ((wanted - sum) / slope).clamp(-1.0, 1.0);
        shift += by;
        if by.abs() < 1e-9 {
            break;
        }
    }
    shift
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn shifted_log_odds_have_the_mean_of_the_others(
            pairs in prop::collection::vec([-6.0..3.0_f64, -6.0..3.0_f64], 1..200)) {
            let shift = shift(&pairs);
            let mean = |of: &dyn Fn(&[f64; 2]) -> f64| {
                pairs.iter().map(|pair| logistic(of(pair))).sum::<f64>() / pairs.len() as f64
            };
            let (recent, other) = (mean(&|pair| pair[0]), mean(&|pair| pair[1] + shift));
            prop_assert!((recent - other).abs() < 1e-9, "{recent} {other}");
        }
    }

    #[test]
    fn a_deviation_counts_each_value_by_its_weight() {
        let values = [(1.0, 2.0), (4.0, 1.0)];
        let each = [(1.0, 1.0), (1.0, 1.0), (4.0, 1.0)];
        let [weighed, plain] = [&values[..], &each[..]].map(|of| deviation(of.iter().copied()));
        assert!((weighed - plain).abs() < 1e-12 && (plain - 2.0_f64.sqrt()).abs() < 1e-12);
        assert!(deviation(std::iter::empty()).abs() <= 0.0);
    }

    #[test]
    fn without_pairs_nothing_is_shifted() {
        assert!(shift(&[]).abs() <= 0.0);
    }
}
