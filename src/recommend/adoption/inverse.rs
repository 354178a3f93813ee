//! The inverse of a symmetric positive definite matrix, by blocks.

use ndarray::{Array2, ArrayView2, Axis};

/// Up to this many rows a block is inverted by elimination; above, it is halved.
const BLOCK: usize = 48;

/// Inverts a symmetric positive definite matrix.
///
/// Halves it and uses the Schur complement: with `M = [[A, B], [B', D]]` and
/// `S = D - B' A^-1 B`, the inverse is `[[A^-1 + A^-1 B S^-1 B' A^-1, -A^-1 B S^-1], [.., S^-1]]`
/// (Banachiewicz, 1937), so that almost all work is products of dense blocks. No pivoting: it is
/// for well-conditioned matrices such as a Gram matrix with a ridge. Cost: about `2 n^3`
/// multiplications for `n` rows, one core.
pub(super) fn inverse(matrix: &ArrayView2<'_, f64>) -> Array2<f64> {
    let n = matrix.nrows();
    if n <= BLOCK {
        return eliminate(matrix.to_owned());
    }
    let half = n / 2;
    let (top, bottom) = matrix.split_at(Axis(0), half);
    let (a, b) = top.split_at(Axis(1), half);
    let d = bottom.split_at(Axis(1), half).1;
    let a_inverse = inverse(&a);
    let a_inverse_b = a_inverse.dot(&b);
    let schur = &d - &b.t().dot(&a_inverse_b);
    let schur_inverse = inverse(&schur.view());
    let corner = a_inverse_b.dot(&schur_inverse);
    let mut whole = Array2::zeros((n, n));
    let (top, bottom) = whole.view_mut().split_at(Axis(0), half);
    let (mut a, mut b) = top.split_at(Axis(1), half);
    let (mut c, mut d) = bottom.split_at(Axis(1), half);
    a.assign(&(a_inverse + corner.dot(&a_inverse_b.t())));
    b.assign(&-&corner);
    c.assign(&-&corner.t());
    d.assign(&schur_inverse);
    whole
}

/// Gauss-Jordan in place, pivots taken as they come.
fn eliminate(mut matrix: Array2<f64>) -> Array2<f64> {
    let n = matrix.nrows();
    for pivot in 0..n {
        let scale = 1.0 / matrix[[pivot, pivot]].max(f64::MIN_POSITIVE);
        matrix[[pivot, pivot]] = 1.0;
        for column in 0..n {
            matrix[[pivot, column]] *= scale;
        }
        for row in (0..n).filter(|&row| row != pivot) {
            let factor = matrix[[row, pivot]];
            matrix[[row, pivot]] = 0.0;
            for column in 0..n {
                let reduced = factor * matrix[[pivot, column]];
                matrix[[row, column]] -= reduced;
            }
        }
    }
    matrix
}

/// Solves `matrix x = right` for a symmetric positive definite matrix.
pub(super) fn solve(matrix: &ArrayView2<'_, f64>, right: &[f64]) -> Vec<f64> {
    let inverse = inverse(matrix);
    let row = |row: ndarray::ArrayView1<'_, f64>| row.iter().zip(right).map(|(a, b)| a * b).sum();
    inverse.rows().into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_matrix_times_its_inverse_is_the_unit(
            n in 1usize..130,
            seed in prop::collection::vec(-1.0f64..1.0, 64),
        ) {
            let value = |at: usize| seed[(at * 7 + at / 64 * 13) % seed.len()];
            let factor = Array2::from_shape_fn((n, n), |(i, j)| value(i * n + j));
            let matrix = factor.t().dot(&factor) + Array2::<f64>::eye(n) * (n as f64);
            let unit = inverse(&matrix.view()).dot(&matrix);
            for ((i, j), &found) in unit.indexed_iter() {
                let expected = if i == j { 1.0 } else { 0.0 };
                prop_assert!((found - expected).abs() < 1e-8, "{i} {j}: {found}");
            }
        }
    }
}
