//! One product's loadings and intercept, by ridge regression on strengths that are not surely known.

use super::factors::{FactorRule, MOST_FACTORS_AND_ONE, Strengths};

/// One product's ridge regression of log residuals on strengths and a constant.
pub(super) struct Regression {
    width: usize,
    normal: [f64; MOST_FACTORS_AND_ONE * MOST_FACTORS_AND_ONE],
    right: [f64; MOST_FACTORS_AND_ONE],
    pub(super) solution: [f64; MOST_FACTORS_AND_ONE],
    pub(super) tickets: f64,
    pub(super) squares: f64,
}

impl Regression {
    pub(super) fn start(mean: &[f64], prior: f64, rule: FactorRule) -> Self {
        let width = mean.len() + 1;
        let mut sums = Self {
            width,
            normal: [0.0; MOST_FACTORS_AND_ONE * MOST_FACTORS_AND_ONE],
            right: [0.0; MOST_FACTORS_AND_ONE],
            solution: [0.0; MOST_FACTORS_AND_ONE],
            tickets: 0.0,
            squares: 0.0,
        };
        // A trace of both ridges stays whatever the rule says, so that the system has one solution.
        let (ridge, intercept_ridge) = (rule.ridge.max(1e-3), rule.intercept_ridge.max(1e-3));
        for (factor, mean) in mean.iter().enumerate() {
            sums.normal[factor * width + factor] = ridge;
            sums.right[factor] = ridge * mean;
        }
        sums.normal[width * width - 1] = intercept_ridge;
        sums.right[width - 1] = intercept_ridge * prior;
        sums
    }

    pub(super) fn add(&mut self, residual: f64, strengths: &Strengths) {
        let (width, rank) = (self.width, self.width - 1);
        for i in 0..rank {
            for j in 0..=i {
                self.normal[i * width + j] +=
                    strengths.covariance[i * rank + j] + strengths.mean[i] * strengths.mean[j];
            }
            self.right[i] += strengths.mean[i] * residual;
            self.normal[rank * width + i] += strengths.mean[i];
        }
        self.normal[rank * width + rank] += 1.0;
        self.right[rank] += residual;
        self.tickets += 1.0;
    }

    pub(super) fn solve(&mut self, rank: usize) {
        let width = rank + 1;
        let mut packed = [0.0; MOST_FACTORS_AND_ONE * MOST_FACTORS_AND_ONE];
        packed[..width * width].copy_from_slice(&self.normal[..width * width]);
        let inverse = invert(&mut packed, width);
        for i in 0..width {
            self.solution[i] = (0..width)
                .map(|j| inverse[i * width + j] * self.right[j])
                .sum();
        }
    }

    /// Adds the expected squared error of one ticket under the solution.
    pub(super) fn judge(&mut self, residual: f64, strengths: &Strengths) {
        let rank = self.width - 1;
        let mut error = residual - self.solution[rank];
        let mut unknown = 0.0;
        for i in 0..rank {
            error -= self.solution[i] * strengths.mean[i];
            let row = &strengths.covariance[i * rank..(i + 1) * rank];
            let dot: f64 = row.iter().zip(&self.solution).map(|(s, l)| s * l).sum();
            unknown += self.solution[i] * dot;
        }
        self.squares += error * error + unknown.max(0.0);
    }
}

/// The inverse of a symmetric positive definite matrix, of which the lower triangle is read
/// (`n × n`, row by row, at the start of the array), by Cholesky's method. The input is used up.
pub(super) fn invert<const SIZE: usize>(matrix: &mut [f64; SIZE], n: usize) -> [f64; SIZE] {
    debug_assert!(n * n <= SIZE);
    for i in 0..n {
        for j in 0..=i {
            let dot: f64 = (0..j).map(|k| matrix[i * n + k] * matrix[j * n + k]).sum();
            let rest = matrix[i * n + j] - dot;
            matrix[i * n + j] = if i == j {
                rest.max(1e-12).sqrt()
            } else {
                rest / matrix[j * n + j]
            };
        }
    }
    let mut inverse = [0.0; SIZE];
    let mut column = [0.0; MOST_FACTORS_AND_ONE];
    for unit in 0..n {
        for i in 0..n {
            let dot: f64 = (unit.min(i)..i)
                .map(|k| matrix[i * n + k] * column[k])
                .sum();
            column[i] = (f64::from(u8::from(i == unit)) - dot) / matrix[i * n + i];
        }
        for i in (0..n).rev() {
            let dot: f64 = (i + 1..n).map(|k| matrix[k * n + i] * column[k]).sum();
            column[i] = (column[i] - dot) / matrix[i * n + i];
            inverse[i * n + unit] = column[i];
        }
    }
    inverse
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inverse_times_its_matrix_is_the_identity() {
        let original = [4.0, 1.0, 0.5, 1.0, 3.0, 0.2, 0.5, 0.2, 2.0];
        let mut used = original;
        let inverse = invert(&mut used, 3);
        for i in 0..3 {
            for j in 0..3 {
                let dot: f64 = (0..3)
                    .map(|k| original[i * 3 + k] * inverse[k * 3 + j])
                    .sum();
                assert!((dot - f64::from(u8::from(i == j))).abs() < 1e-12);
            }
        }
    }
}
