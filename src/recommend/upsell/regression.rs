//! One product's loadings and intercept, by ridge regression on strengths that are not surely known.

use super::factors::{FactorRule, MOST_FACTORS_AND_ONE};

/// Numbers of the lower triangle of a symmetric matrix of this width, row by row.
pub(super) const fn triangle(width: usize) -> usize {
    width * (width + 1) / 2
}

/// The most numbers of a triangle over all factors and a constant.
pub(super) const MOST_TRIANGLE: usize = triangle(MOST_FACTORS_AND_ONE);

/// One product's ridge regression of log residuals on strengths and a constant.
pub(super) struct Regression {
    width: usize,
    /// The sum of the second moments of strengths and constant: a [`triangle`].
    moments: [f64; MOST_TRIANGLE],
    right: [f64; MOST_FACTORS_AND_ONE],
    squares: f64,
    pub(super) tickets: f64,
}

/// What a product's tickets say.
pub(super) struct Fitted {
    /// Loadings, then the intercept.
    pub(super) solution: [f64; MOST_FACTORS_AND_ONE],
    pub(super) tickets: f64,
    /// The expected sum of squared errors.
    pub(super) squares: f64,
}

impl Regression {
    pub(super) fn new(rank: usize) -> Self {
        Self {
            width: rank + 1,
            moments: [0.0; MOST_TRIANGLE],
            right: [0.0; MOST_FACTORS_AND_ONE],
            squares: 0.0,
            tickets: 0.0,
        }
    }

    /// Adds a ticket of a client with these second moments of strengths and constant. Their last row is what
    /// is expected of the strengths, and 1.
    #[inline]
    pub(super) fn add(&mut self, residual: f64, moments: &[f64]) {
        for (sum, moment) in self.moments.iter_mut().zip(moments) {
            *sum += moment;
        }
        let expected = &moments[triangle(self.width - 1)..];
        for (sum, expected) in self.right.iter_mut().zip(expected) {
            *sum += expected * residual;
        }
        self.squares += residual * residual;
        self.tickets += 1.0;
    }

    /// The solution drawn to these mean loadings and this prior intercept. The errors are those of the sums:
    /// no ticket is read again.
    pub(super) fn solve(&self, mean: &[f64], prior: f64, rule: FactorRule) -> Fitted {
        let width = self.width;
        // A trace of both ridges stays whatever the rule says, so that the system has one solution.
        let (ridge, intercept_ridge) = (rule.ridge.max(1e-3), rule.intercept_ridge.max(1e-3));
        let mut normal = [0.0; MOST_FACTORS_AND_ONE * MOST_FACTORS_AND_ONE];
        let mut right = self.right;
        unpack(&self.moments, width, &mut normal);
        for (at, mean) in mean.iter().enumerate() {
            normal[at * width + at] += ridge;
            right[at] += ridge * mean;
        }
        normal[width * width - 1] += intercept_ridge;
        right[width - 1] += intercept_ridge * prior;
        let inverse = invert(&mut normal, width);
        let mut solution = [0.0; MOST_FACTORS_AND_ONE];
        for (row, solved) in inverse.chunks_exact(width).zip(&mut solution[..width]) {
            *solved = row.iter().zip(&right).map(|(a, b)| a * b).sum();
        }
        let mut squares = self.squares;
        for i in 0..width {
            let row = &self.moments[triangle(i)..triangle(i + 1)];
            let (own, others) = (row[i], &row[..i]);
            let dot: f64 = others.iter().zip(&solution).map(|(a, b)| a * b).sum();
            squares += solution[i] * (2.0 * dot + own * solution[i] - 2.0 * self.right[i]);
        }
        Fitted {
            solution,
            tickets: self.tickets,
            squares: squares.max(0.0),
        }
    }
}

/// Writes a [`triangle`] to the lower triangle of a matrix, row by row.
pub(super) fn unpack(packed: &[f64], width: usize, matrix: &mut [f64]) {
    for i in 0..width {
        matrix[i * width..=i * width + i].copy_from_slice(&packed[triangle(i)..triangle(i + 1)]);
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
