//! From a value to a place on the page.

/// A straight or a root scale between two places; values outside are drawn at its ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    /// Whether small values get more room: by their square roots.
    root: bool,
}

impl Scale {
    /// Values from `low` to `high` between two places.
    pub(super) fn straight(low: f64, high: f64, from: f64, to: f64) -> Self {
        Self {
            low,
            high: if high > low { high } else { low + 1.0 },
            from,
            to,
            root: false,
        }
    }

    /// Values from 0 to `high`, by their square roots.
    pub(super) fn root(high: f64, from: f64, to: f64) -> Self {
        Self {
            root: true,
            ..Self::straight(0.0, high, from, to)
        }
    }

    /// Where a value stands, to a tenth of a unit, so that the page stays small.
    pub(super) fn at(&self, value: f64) -> f64 {
        let share = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        let share = if self.root { share.sqrt() } else { share };
        let place = self.from + (self.to - self.from) * share;
        (place * 10.0).round() / 10.0
    }
}

/// Round values from 0 to at least `high`, few enough to read.
pub(super) fn ticks(high: f64) -> Vec<f64> {
    let high = if high > 0.0 && high.is_finite() {
        high
    } else {
        1.0
    };
    let rough = high / 4.0;
    let unit = 10.0_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .map(|times| times * unit)
        .find(|step| *step >= rough)
        .unwrap_or(unit);
    let count = (high / step).ceil() as usize;
    (0..=count).map(|at| at as f64 * step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_where_they_should_and_never_outside() {
        let straight = Scale::straight(0.0, 2.0, 100.0, 200.0);
        assert!((straight.at(1.0) - 150.0).abs() < 1e-9);
        assert!((straight.at(9.0) - 200.0).abs() < 1e-9);
        let root = Scale::root(1.0, 0.0, 100.0);
        assert!((root.at(0.25) - 50.0).abs() < 1e-9);
        let none = Scale::straight(1.0, 1.0, 0.0, 100.0);
        assert!(none.at(1.0).is_finite());
    }

    #[test]
    fn ticks_are_round_and_reach_the_highest_value() {
        assert_eq!(ticks(1.0), [0.0, 0.25, 0.5, 0.75, 1.0]);
        assert_eq!(ticks(0.9).last(), Some(&1.0));
        for high in [0.003, 0.37, 7.0, 1e9, 0.0, f64::NAN] {
            let found = ticks(high);
            assert!((2..=6).contains(&found.len()), "{high}: {found:?}");
        }
    }
}
