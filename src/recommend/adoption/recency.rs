//! How much a purchase still counts, by its age.

use super::history::Span;
use crate::domain::Day;
use crate::matrix::Cell;

/// Ages in days up to which weights are kept ready: a search for evidence reads thousands of them.
const KEPT_DAYS: i32 = 2_048;

/// `0.5^(age / H)`; 1 for a ticket without a date.
#[derive(Debug, Clone)]
pub(super) struct Recencies {
    as_of: Day,
    span: Span,
    by_age: Vec<f64>,
}

impl Recencies {
    /// As seen on a day.
    pub(super) fn of(as_of: Day, span: Span) -> Self {
        Self {
            as_of,
            span,
            by_age: (0..KEPT_DAYS).map(|age| weight(age, span)).collect(),
        }
    }

    /// A ticket's.
    pub(super) fn of_cell(&self, cell: &Cell) -> f64 {
        let Some(day) = cell.last_day else {
            return 1.0;
        };
        let age = (self.as_of.epoch_days() - day.epoch_days()).max(0);
        match self.by_age.get(age as usize) {
            Some(weight) => *weight,
            None => weight(age, self.span),
        }
    }
}

fn weight(age_days: i32, span: Span) -> f64 {
    0.5_f64.powf(f64::from(age_days) / span.days())
}
