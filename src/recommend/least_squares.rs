//! Small fits: non-negative least squares and Poisson regression over a handful of columns.

/// The weights `w >= 0` that bring `sum_j w_j x_j` nearest to `y` in squares.
///
/// Coordinate descent on the normal equations (Franc, Hlavac, Navara, CAIP 2005): each weight in
/// turn takes its best value not below 0; columns that say the same share. Cost: rows × columns²,
/// then 2,000 rounds of columns².
pub fn non_negative<const N: usize>(rows: &[([f64; N], f64)]) -> [f64; N] {
    const ROUNDS: usize = 2_000;
    let mut normal = [[0.0; N]; N];
    let mut right = [0.0; N];
    for (x, y) in rows {
        for i in 0..N {
            right[i] += x[i] * y;
            for j in 0..N {
                normal[i][j] += x[i] * x[j];
            }
        }
    }
    let mut weights = [0.0; N];
    for _ in 0..ROUNDS {
        for i in 0..N {
            if normal[i][i] > 0.0 {
                let fitted: f64 = (0..N).map(|j| normal[i][j] * weights[j]).sum();
                weights[i] = f64::max(0.0, weights[i] + (right[i] - fitted) / normal[i][i]);
            }
        }
    }
    weights
}

/// An amount that grows with its exposure, and what is known of it.
#[derive(Debug, Clone, Copy)]
pub struct Exposed<const N: usize> {
    /// What is known, the constant 1 first.
    pub columns: [f64; N],
    /// What the amount is a multiple of, above 0.
    pub exposure: f64,
    /// The amount, not negative.
    pub amount: f64,
}

/// The coefficients of `E[amount] = exposure × exp(w·x)` by Poisson regression, Newton's method.
///
/// A ridge of `ridge` holds each coefficient but the first (the constant) near 0. `None` when all
/// amounts are 0. Cost: 40 × rows × columns².
pub fn poisson<const N: usize>(rows: &[Exposed<N>], ridge: f64) -> Option<[f64; N]> {
    const ROUNDS: usize = 40;
    let amount: f64 = rows.iter().map(|row| row.amount).sum();
    let exposure: f64 = rows.iter().map(|row| row.exposure).sum();
    if amount <= 0.0 || exposure <= 0.0 {
        return None;
    }
    let mut weights = [0.0; N];
    weights[0] = (amount / exposure).ln();
    for _ in 0..ROUNDS {
        let mut gradient = [0.0; N];
        let mut curvature = [[0.0; N]; N];
        for i in 0..N {
            let ridge = if i == 0 { 1e-6 } else { ridge };
            gradient[i] = -ridge * weights[i];
            curvature[i][i] = ridge;
        }
        for row in rows {
            let mean = row.exposure * rate(&weights, &row.columns);
            for i in 0..N {
                gradient[i] += (row.amount - mean) * row.columns[i];
                let scaled = mean * row.columns[i];
                for (sum, column) in curvature[i][..=i].iter_mut().zip(&row.columns) {
                    *sum += scaled * column;
                }
            }
        }
        let step = solve(curvature, gradient);
        for i in 0..N {
            weights[i] += step[i].clamp(-0.5, 0.5);
        }
    }
    weights
        .iter()
        .all(|weight| weight.is_finite())
        .then_some(weights)
}

/// `exp(w·x)`, kept within `e^-10` and `e^6`.
pub fn rate<const N: usize>(weights: &[f64; N], x: &[f64; N]) -> f64 {
    let dot: f64 = weights.iter().zip(x).map(|(w, x)| w * x).sum();
    dot.clamp(-10.0, 6.0).exp()
}

/// Solves a symmetric positive definite system by Cholesky's method; reads the lower triangle.
fn solve<const N: usize>(mut a: [[f64; N]; N], mut b: [f64; N]) -> [f64; N] {
    for i in 0..N {
        for j in 0..=i {
            let dot: f64 = (0..j).map(|k| a[i][k] * a[j][k]).sum();
            let rest = a[i][j] - dot;
            a[i][j] = if i == j {
                rest.max(1e-12).sqrt()
            } else {
                rest / a[j][j]
            };
        }
        let dot: f64 = (0..i).map(|k| a[i][k] * b[k]).sum();
        b[i] = (b[i] - dot) / a[i][i];
    }
    for i in (0..N).rev() {
        let dot: f64 = (i + 1..N).map(|k| a[k][i] * b[k]).sum();
        b[i] = (b[i] - dot) / a[i][i];
    }
    b
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_that_would_be_negative_stay_at_zero() {
        let rows: Vec<_> = (0..20)
            .map(|at| {
                let (a, b) = (f64::from(at), f64::from(at * 7 % 5));
                ([a, b], 2.0 * a - 0.5 * b)
            })
            .collect();
        let weights = non_negative(&rows);
        assert!(weights[0] > 1.8 && weights[1] <= 0.0, "{weights:?}");
        assert!(non_negative::<2>(&[]).iter().all(|weight| *weight == 0.0));
    }

    #[test]
    fn a_poisson_regression_finds_the_means_it_is_shown() {
        let rows: Vec<_> = (0..400)
            .map(|at| Exposed {
                columns: [1.0, f64::from(at % 2)],
                exposure: 2.0,
                amount: if at % 2 == 0 {
                    f64::from(at % 8)
                } else {
                    f64::from(at % 4) * 5.0
                },
            })
            .collect();
        let weights = poisson(&rows, 0.001).unwrap();
        assert!((2.0 * rate(&weights, &[1.0, 0.0]) - 3.0).abs() < 0.01);
        assert!((2.0 * rate(&weights, &[1.0, 1.0]) - 10.0).abs() < 0.01);
        assert_eq!(poisson::<2>(&[], 1.0), None);
    }
}
