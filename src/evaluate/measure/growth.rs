//! Bought tickets ranked by expected growth: how much of the growth is where the list begins.

use serde::Serialize;

use super::{part, ranking};

/// The share of bought tickets that is looked at.
const WORKED: f64 = 0.05;

/// What the first 5 % of a ranking of bought tickets caught.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct GrowthFound {
    /// Tickets in the first 5 %.
    pub listed: usize,
    /// Rises in these over all rises, falls counted as nothing.
    pub up: f64,
    /// The most that so many tickets could hold of it.
    pub up_ceiling: f64,
    /// Rises less falls in these, over those of as many tickets that grew most.
    pub net: f64,
}

/// Measures two rankings of tickets: by `rise` for what grows, by `change` for what is left of it
/// after what falls. `grew` is the ticket after less the ticket before. `None` where not even the
/// best of them gain anything.
/// Cost: three sorts.
pub fn growth(rise: &[f64], change: &[f64], grew: &[f64]) -> Option<GrowthFound> {
    let listed = part(grew.len(), WORKED);
    let ideal = ranking(grew);
    let all: f64 = grew.iter().map(|grew| grew.max(0.0)).sum();
    let net = |order: &[usize]| order[..listed].iter().map(|&at| grew[at]).sum::<f64>();
    if net(&ideal) <= 0.0 {
        return None;
    }
    let up = |order: &[usize]| {
        let rises = order[..listed].iter().map(|&at| grew[at].max(0.0));
        rises.sum::<f64>() / all
    };
    Some(GrowthFound {
        listed,
        up: up(&ranking(rise)),
        up_ceiling: net(&ideal) / all,
        net: net(&ranking(change)) / net(&ideal),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn figures_worked_by_hand() {
        // 40 tickets, so two are looked at.
        let mut grew = vec![0.0; 40];
        (grew[3], grew[4], grew[5], grew[6]) = (60.0, 40.0, -80.0, 100.0);
        let mut rise = vec![0.0; 40];
        (rise[3], rise[5]) = (2.0, 1.0);
        let mut change = vec![0.0; 40];
        (change[4], change[6]) = (1.0, 2.0);
        let found = growth(&rise, &change, &grew).unwrap();
        assert_eq!(found.listed, 2);
        assert!((found.up - 60.0 / 200.0).abs() < 1e-12);
        assert!((found.up_ceiling - 160.0 / 200.0).abs() < 1e-12);
        assert!((found.net - 140.0 / 160.0).abs() < 1e-12);
        let both = growth(&rise, &rise, &grew).unwrap();
        assert!((both.net - -20.0 / 160.0).abs() < 1e-12);
        assert_eq!(growth(&[1.0], &[1.0], &[-1.0]), None);
        assert_eq!(growth(&[], &[], &[]), None);
    }

    proptest! {
        #[test]
        fn to_know_the_growth_is_the_best_there_is(
            tickets in prop::collection::vec((-50.0..50.0_f64, -50.0..50.0_f64), 1..200),
        ) {
            let (guess, grew): (Vec<f64>, Vec<f64>) = tickets.into_iter().unzip();
            if let Some(found) = growth(&guess, &guess, &grew) {
                let best = growth(&grew, &grew, &grew).unwrap();
                prop_assert!(found.up <= best.up + 1e-9 && found.net <= best.net + 1e-9);
                prop_assert!((best.net - 1.0).abs() < 1e-9);
                // A share of no rises at all cannot be negative.
                prop_assert!(found.up >= 0.0);
            }
        }
    }
}
