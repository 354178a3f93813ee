//! A line through many rows: logistic, least absolute errors, whatever a slope describes.

use ndarray::{Array1, Array2, Axis};
use rayon::prelude::*;

use super::inverse::solve;

/// Rows summed as one block; the blocks are added in order, so that the number of threads does not
/// reach the sums.
const BLOCK_ROWS: usize = 4096;
/// A standardised coefficient moves at most this far in one step.
const LONGEST_STEP: f64 = 5.0;
/// Steps shorter than this are the last.
const SHORTEST_STEP: f64 = 1e-6;

/// `intercept + sum of coefficient x value`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Linear {
    pub(crate) intercept: f64,
    pub(crate) coefficients: Vec<f64>,
}

/// What is fitted: how many rows, how wide, and how to write one.
pub(crate) struct Design<'a> {
    pub(crate) rows: usize,
    pub(crate) width: usize,
    /// Writes a row's values; they must be finite.
    pub(crate) write: &'a (dyn Fn(usize, &mut [f64]) + Sync),
}

/// Sums and sums of squares by column.
type Moments = (Vec<f64>, Vec<f64>);

/// How a loss falls at one row for one prediction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slope {
    /// Minus the first derivative by the prediction.
    pub(crate) gradient: f64,
    /// The second derivative, or a bound on it; above 0.
    pub(crate) curvature: f64,
}

impl Linear {
    /// The line at one row.
    pub(crate) fn at(&self, values: &[f64]) -> f64 {
        let terms = self.coefficients.iter().zip(values);
        terms.fold(self.intercept, |sum, (coefficient, value)| {
            sum + coefficient * value
        })
    }

    /// Fits by Newton steps on standardised columns with a ridge of so many rows a coefficient, in
    /// the order of the columns, from a line at `start`.
    ///
    /// With the slope of the logistic loss this is iteratively reweighted least squares; with that
    /// of a weighted square, the weights taken from the last residuals, least absolute errors.
    /// `None` when there are no rows or the sums are not finite. Cost: a step is
    /// `rows x width^2`, both cores. smartcore's logistic regression takes no row weights, which a
    /// sample of the negatives needs.
    pub(crate) fn fit(
        design: &Design<'_>,
        ridge: &[f64],
        start: f64,
        steps: usize,
        slope: &(dyn Fn(usize, f64) -> Slope + Sync),
    ) -> Option<Self> {
        if design.rows == 0 {
            return None;
        }
        let (means, scales) = design.moments();
        let mut line = vec![0.0; design.width + 1];
        line[0] = start;
        for _ in 0..steps {
            let (mut gradient, mut hessian) = design.sums(&line, &means, &scales, slope);
            for (at, ridge) in ridge.iter().enumerate() {
                gradient[at + 1] -= ridge * line[at + 1];
                hessian[[at + 1, at + 1]] += ridge.max(1e-9);
            }
            hessian[[0, 0]] += 1e-9;
            let step = solve(&hessian.view(), gradient.as_slice()?);
            let longest = step.iter().fold(0.0_f64, |most, by| most.max(by.abs()));
            if !longest.is_finite() {
                return None;
            }
            let shorten = (LONGEST_STEP / longest.max(1e-12)).min(1.0);
            for (coefficient, by) in line.iter_mut().zip(&step) {
                *coefficient += by * shorten;
            }
            if longest < SHORTEST_STEP {
                break;
            }
        }
        let mut fitted = Self {
            intercept: line[0],
            coefficients: Vec::with_capacity(design.width),
        };
        for at in 0..design.width {
            let coefficient = line[at + 1] / scales[at];
            fitted.intercept -= coefficient * means[at];
            fitted.coefficients.push(coefficient);
        }
        let finite = fitted.intercept.is_finite()
            && fitted.coefficients.iter().all(|value| value.is_finite());
        finite.then_some(fitted)
    }
}

impl Design<'_> {
    fn blocks(&self) -> Vec<std::ops::Range<usize>> {
        (0..self.rows)
            .step_by(BLOCK_ROWS)
            .map(|start| start..(start + BLOCK_ROWS).min(self.rows))
            .collect()
    }

    /// Mean and standard deviation of each column.
    fn moments(&self) -> (Vec<f64>, Vec<f64>) {
        let sums: Vec<Moments> = self
            .blocks()
            .into_par_iter()
            .map(|rows| {
                let mut values = vec![0.0; self.width];
                let (mut sum, mut squares) = (vec![0.0; self.width], vec![0.0; self.width]);
                for row in rows {
                    (self.write)(row, &mut values);
                    for (at, value) in values.iter().enumerate() {
                        sum[at] += value;
                        squares[at] += value * value;
                    }
                }
                (sum, squares)
            })
            .collect();
        let count = self.rows as f64;
        let total = |pick: fn(&Moments) -> &Vec<f64>, at: usize| {
            sums.iter().map(|block| pick(block)[at]).sum::<f64>() / count
        };
        let means: Vec<f64> = (0..self.width)
            .map(|at| total(|sums| &sums.0, at))
            .collect();
        let deviation = |at: usize| {
            let variance = total(|sums| &sums.1, at) - means[at] * means[at];
            if variance > 1e-12 {
                variance.sqrt()
            } else {
                1.0
            }
        };
        let scales = (0..self.width).map(deviation).collect();
        (means, scales)
    }

    /// Gradient and curvature of the whole loss, first the intercept's, then the columns'.
    fn sums(
        &self,
        line: &[f64],
        means: &[f64],
        scales: &[f64],
        slope: &(dyn Fn(usize, f64) -> Slope + Sync),
    ) -> (Array1<f64>, Array2<f64>) {
        let width = self.width + 1;
        let blocks: Vec<(Array1<f64>, Array2<f64>)> = self
            .blocks()
            .into_par_iter()
            .map(|rows| {
                let first = rows.start;
                let mut block = Array2::<f64>::ones((rows.len(), width));
                let mut weighted = Array2::<f64>::zeros((rows.len(), width));
                let mut gradient = Array1::<f64>::zeros(width);
                let mut values = vec![0.0; self.width];
                for row in rows {
                    (self.write)(row, &mut values);
                    let mut standard = block.index_axis_mut(Axis(0), row - first);
                    for at in 0..self.width {
                        standard[at + 1] = (values[at] - means[at]) / scales[at];
                    }
                    let predicted = standard.iter().zip(line).map(|(x, b)| x * b).sum();
                    let slope = slope(row, predicted);
                    gradient.scaled_add(slope.gradient, &standard);
                    weighted
                        .index_axis_mut(Axis(0), row - first)
                        .scaled_add(slope.curvature, &standard);
                }
                (gradient, weighted.t().dot(&block))
            })
            .collect();
        let mut gradient = Array1::zeros(width);
        let mut hessian = Array2::zeros((width, width));
        for (block_gradient, block_hessian) in blocks {
            gradient += &block_gradient;
            hessian += &block_hessian;
        }
        (gradient, hessian)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data() -> Vec<[f64; 2]> {
        (0..9000)
            .map(|at| [f64::from(at % 97) / 50.0, f64::from(at % 31) - 15.0])
            .collect()
    }

    #[test]
    fn a_known_line_is_found_by_least_absolute_errors_despite_outliers() {
        let rows = data();
        let write = |row: usize, values: &mut [f64]| values.copy_from_slice(&rows[row]);
        let truth = |row: usize| {
            let [a, b] = rows[row];
            1.5 + 2.0 * a - 0.25 * b + if row.is_multiple_of(10) { 40.0 } else { 0.0 }
        };
        let slope = |row: usize, predicted: f64| {
            let residual = truth(row) - predicted;
            let curvature = 1.0 / residual.abs().max(1e-3);
            Slope {
                gradient: curvature * residual,
                curvature,
            }
        };
        let design = Design {
            rows: rows.len(),
            width: 2,
            write: &write,
        };
        let line = Linear::fit(&design, &[1e-6; 2], 0.0, 60, &slope).unwrap();
        assert!((line.intercept - 1.5).abs() < 0.01, "{line:?}");
        assert!((line.coefficients[0] - 2.0).abs() < 0.01);
        assert!((line.coefficients[1] + 0.25).abs() < 0.01);
        assert!((line.at(&[1.0, 4.0]) - 2.5).abs() < 0.03);
    }

    #[test]
    fn no_rows_give_no_line() {
        let design = Design {
            rows: 0,
            width: 1,
            write: &|_, _| {},
        };
        let slope = |_: usize, _: f64| Slope {
            gradient: 0.0,
            curvature: 1.0,
        };
        assert_eq!(Linear::fit(&design, &[1.0], 0.0, 5, &slope), None);
    }
}
