//! Coverage: what each quantile lacked on tickets held out, for small, middling and large clients.
//!
//! A shift of a quantile by the quantile of its errors is split conformal prediction (Romano,
//! Patterson, Candès, *Conformalized quantile regression*, NeurIPS 2019). One shift for all covers
//! all together and not each: so each third of the clients, by the sum of their tickets, has its
//! own, drawn to that of all; between the thirds' middles it is interpolated.

use super::estimate::LEVELS;
use super::held_out::Judged;
use crate::domain::{ClientNo, ProductNo};
use crate::matrix::{Cell, TicketMatrix};
use crate::recommend::quantile::{self, Weighted};

/// Groups of clients by size.
const GROUPS: usize = 3;
/// With fewer tickets held out a group has the shifts of all: its ninth decile would rest on ten.
const LEAST_OF_A_SIZE: usize = 100;

/// What is added to the residual quantiles of a client of some size, in deviations.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Coverage {
    /// By size: the middle of a group, and its shifts. Empty where nothing was held out.
    groups: Vec<(f64, [f64; LEVELS.len()])>,
}

/// The logarithm of the sum of a client's tickets, that of `left_out` not among them; `None` of a
/// client without any.
pub(super) fn ln_total(row: &[Cell], left_out: Option<ProductNo>) -> Option<f64> {
    let others = row.iter().filter(|cell| Some(cell.product) != left_out);
    let total: f64 = others.map(|cell| f64::from(cell.ticket)).sum();
    (total > 0.0).then(|| total.ln())
}

impl Coverage {
    /// From tickets held out of a book. Cost: a sort a group and level.
    pub(super) fn of(matrix: &TicketMatrix, judged: &[Judged], pseudo_tickets: f64) -> Self {
        let everybody: Vec<&Judged> = judged.iter().collect();
        let all = shifts(&everybody, &[0.0; LEVELS.len()], pseudo_tickets);
        let mut totals: Vec<f64> = (0..matrix.clients() as u32)
            .filter_map(|client| ln_total(matrix.row(ClientNo(client)), None))
            .collect();
        totals.sort_unstable_by(f64::total_cmp);
        let bound = |group: usize| match group {
            0 => f64::NEG_INFINITY,
            GROUPS => f64::INFINITY,
            _ => totals[totals.len() * group / GROUPS],
        };
        let mut groups = Vec::with_capacity(GROUPS);
        for group in 0..if totals.is_empty() { 0 } else { GROUPS } {
            let (from, to) = (bound(group), bound(group + 1));
            let mut members: Vec<&Judged> = judged
                .iter()
                .filter(|one| one.ln_total.is_some_and(|size| from <= size && size < to))
                .collect();
            let size = |one: &&Judged| one.ln_total.unwrap_or_default();
            members.sort_by(|a, b| size(a).total_cmp(&size(b)));
            if let Some(middle) = members.get(members.len() / 2) {
                let of_group = match members.len() >= LEAST_OF_A_SIZE {
                    true => shifts(&members, &all, pseudo_tickets),
                    false => all,
                };
                groups.push((size(middle), of_group));
            }
        }
        Self { groups }
    }

    /// The shifts of a client whose other tickets sum to this, as a logarithm.
    pub(super) fn shifts(&self, ln_total: Option<f64>) -> [f64; LEVELS.len()] {
        let Some(first) = self.groups.first() else {
            return [0.0; LEVELS.len()];
        };
        let size = ln_total.unwrap_or(f64::NEG_INFINITY);
        let after = self.groups.partition_point(|group| group.0 <= size);
        let below = after.checked_sub(1).map_or(first, |at| &self.groups[at]);
        let Some(above) = self.groups.get(after) else {
            return below.1;
        };
        let width = above.0 - below.0;
        let share = match width > 0.0 {
            true => ((size - below.0) / width).clamp(0.0, 1.0),
            false => 0.0,
        };
        std::array::from_fn(|at| below.1[at] + share * (above.1[at] - below.1[at]))
    }
}

/// What each quantile lacked on these tickets, drawn to `prior` as by so many tickets.
fn shifts(
    judged: &[&Judged],
    prior: &[f64; LEVELS.len()],
    pseudo_tickets: f64,
) -> [f64; LEVELS.len()] {
    let trust = judged.len() as f64 / (judged.len() as f64 + pseudo_tickets).max(1.0);
    std::array::from_fn(|at| {
        let mut errors: Vec<Weighted> = judged
            .iter()
            .map(|one| Weighted {
                value: one.errors[at],
                weight: 1.0,
            })
            .collect();
        quantile::sort(&mut errors);
        match quantile::quantiles(&errors, &[LEVELS[at]]) {
            Some([found]) => prior[at] + (found - prior[at]) * trust,
            None => prior[at],
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(ln_total: f64, error: f64) -> Judged {
        Judged {
            errors: [error; LEVELS.len()],
            loss: 0.0,
            ln_total: Some(ln_total),
        }
    }

    fn clients(count: u32) -> TicketMatrix {
        let row = |client: u32| {
            vec![Cell {
                product: ProductNo(0),
                ticket: f64::from(client).exp() as f32,
                last_day: None,
            }]
        };
        TicketMatrix::from_rows(1, (0..count).map(row))
    }

    #[test]
    fn each_size_gets_what_it_lacked_and_between_sizes_it_is_interpolated() {
        let all: Vec<Judged> = (0..9)
            .flat_map(|client| {
                let size = f64::from(f64::from(client).exp() as f32).ln();
                (0..1_000).map(move |_| judged(size, if client < 3 { -1.0 } else { 0.5 }))
            })
            .collect();
        let coverage = Coverage::of(&clients(9), &all, 0.0);
        let at = |size: f64| coverage.shifts(Some(size))[1];
        assert!((at(0.0) + 1.0).abs() < 1e-6 && (at(8.5) - 0.5).abs() < 1e-6);
        assert!((at(2.5) + 0.25).abs() < 1e-3, "{}", at(2.5));
        assert!((coverage.shifts(None)[1] + 1.0).abs() < 1e-6);
        let none = Coverage::of(&clients(9), &[], 50.0);
        assert!(
            none.shifts(Some(3.0))
                .iter()
                .all(|shift| shift.abs() < 1e-12)
        );
    }

    #[test]
    fn few_tickets_of_a_size_count_little_beside_all() {
        let mut all: Vec<Judged> = (0..1_000).map(|_| judged(8.0, 0.0)).collect();
        all.push(judged(0.0, 7.0));
        let coverage = Coverage::of(&clients(9), &all, 50.0);
        assert!(coverage.shifts(Some(0.0))[1].abs() < 1e-9);
    }
}
