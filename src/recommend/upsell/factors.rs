//! What a client's other tickets say of one: a factor model of the log residuals.
//!
//! `E(c,p) = a(p) + l(p) · z(c) + noise(p)`, with `z(c)` a few hidden strengths of the client, of
//! variance 1, and `l(p)` the product's loadings. One factor that loads all products alike is the
//! client's size with a fitted exponent; further factors are lines of business that rise together.
//! Fitted by expectation maximisation over the tickets there are: Rubin & Thayer, *EM algorithms
//! for ML factor analysis*, Psychometrika 1982; gaps as in Tipping & Bishop, *Probabilistic
//! principal component analysis*, JRSS B 1999. Loadings are drawn to their mean over products and
//! intercepts to their prior, so that rare products borrow from all.

use rayon::prelude::*;

use crate::domain::{ClientNo, ProductNo};
use crate::matrix::{Cell, Statistics, TicketMatrix};

/// The most factors a model may have.
pub const MOST_FACTORS: usize = 8;
const MOST_FACTORS_AND_ONE: usize = MOST_FACTORS + 1;
/// Rounds of expectation maximisation; the held-out loss is flat from about 15.
const ROUNDS: usize = 25;
/// Tickets' worth of the book's noise that each product's own is mixed with.
const NOISE_PSEUDO_TICKETS: f64 = 5.0;
/// The least noise variance: equal tickets everywhere would leave none.
const LEAST_NOISE: f64 = 1e-6;

/// How strongly a model is held back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FactorRule {
    /// Factors, 1 to [`MOST_FACTORS`].
    pub rank: usize,
    /// Pseudo-tickets that draw a product's loadings to the mean loadings.
    pub ridge: f64,
    /// Pseudo-tickets that draw a product's intercept to its prior.
    pub intercept_ridge: f64,
}

/// A fitted model. 8 bytes × (factors + 2) a product.
#[derive(Debug, Clone, PartialEq)]
pub struct Factors {
    rank: usize,
    /// Products × factors.
    loadings: Vec<f64>,
    intercepts: Vec<f64>,
    noise: Vec<f64>,
}

/// A client's strengths and how well they are known, given all its tickets.
#[derive(Debug, Clone, PartialEq)]
pub struct Strengths {
    rank: usize,
    mean: [f64; MOST_FACTORS],
    /// The covariance, rank × rank, row by row.
    covariance: [f64; MOST_FACTORS * MOST_FACTORS],
}

/// What is expected of one log residual.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expectation {
    /// Its mean.
    pub level: f64,
    /// Its standard deviation, what is not known of the client included; above 0.
    pub deviation: f64,
}

impl Factors {
    /// Fits a model. `priors` holds one prior intercept a product.
    ///
    /// Cost: 25 rounds of tickets × rank². The order of summation is that of clients, whatever
    /// the number of threads, on a matrix without overlay.
    pub fn fit(
        matrix: &TicketMatrix,
        statistics: &Statistics,
        priors: &[f64],
        rule: FactorRule,
    ) -> Self {
        let rank = rule.rank.clamp(1, MOST_FACTORS);
        let products = matrix.products();
        let variance = (statistics.spread() / 2.0).max(LEAST_NOISE);
        let mut model = Self {
            rank,
            loadings: (0..products * rank)
                .map(|at| match at % rank {
                    0 => (variance / 4.0).sqrt(),
                    _ => 0.1 * scatter(at as u64) * variance.sqrt().min(1.0),
                })
                .collect(),
            intercepts: priors.to_vec(),
            noise: vec![variance * 0.7; products],
        };
        model.intercepts.resize(products, 0.0);
        for _ in 0..ROUNDS {
            model.improve(matrix, statistics, priors, rule);
        }
        model
    }

    /// One round: strengths of all clients, then each product's regression on them.
    fn improve(
        &mut self,
        matrix: &TicketMatrix,
        statistics: &Statistics,
        priors: &[f64],
        rule: FactorRule,
    ) {
        let rank = self.rank;
        let strengths: Vec<Strengths> = (0..matrix.clients() as u32)
            .into_par_iter()
            .map(|client| self.strengths(statistics, matrix.row(ClientNo(client))))
            .collect();
        let products = matrix.products();
        let mut mean = [0.0; MOST_FACTORS];
        for loadings in self.loadings.chunks_exact(rank) {
            for (sum, loading) in mean.iter_mut().zip(loadings) {
                *sum += loading / products as f64;
            }
        }
        let fitted: Vec<Regression> = (0..products as u32)
            .into_par_iter()
            .map(|product| {
                let product = ProductNo(product);
                let prior = priors.get(product.index()).copied().unwrap_or(0.0);
                let mut sums = Regression::start(&mean[..rank], prior, rule);
                for posting in matrix.column(product) {
                    let residual = statistics.residual(product, posting.ticket);
                    sums.add(residual, &strengths[posting.client.index()]);
                }
                sums.solve(rank);
                for posting in matrix.column(product) {
                    let residual = statistics.residual(product, posting.ticket);
                    sums.judge(residual, &strengths[posting.client.index()]);
                }
                sums
            })
            .collect();
        let tickets: f64 = fitted.iter().map(|product| product.tickets).sum();
        let squares: f64 = fitted.iter().map(|product| product.squares).sum();
        let common = if tickets > 0.0 {
            squares / tickets
        } else {
            1.0
        };
        for (product, sums) in fitted.iter().enumerate() {
            self.loadings[product * rank..(product + 1) * rank]
                .copy_from_slice(&sums.solution[..rank]);
            self.intercepts[product] = sums.solution[rank];
            let noise = (sums.squares + NOISE_PSEUDO_TICKETS * common)
                / (sums.tickets + NOISE_PSEUDO_TICKETS);
            self.noise[product] = noise.max(LEAST_NOISE);
        }
    }

    /// The strengths of whoever has these tickets. Cost: tickets × rank².
    pub fn strengths(&self, statistics: &Statistics, row: &[Cell]) -> Strengths {
        let rank = self.rank;
        let mut precision = [0.0; MOST_FACTORS * MOST_FACTORS];
        let mut pull = [0.0; MOST_FACTORS];
        for factor in 0..rank {
            precision[factor * rank + factor] = 1.0;
        }
        for cell in row {
            let Some((loadings, intercept, noise)) = self.product(cell.product) else {
                continue;
            };
            let residual = statistics.residual(cell.product, cell.ticket) - intercept;
            for i in 0..rank {
                let scaled = loadings[i] / noise;
                pull[i] += scaled * residual;
                for j in 0..=i {
                    precision[i * rank + j] += scaled * loadings[j];
                }
            }
        }
        let covariance = invert(&mut precision, rank);
        let mut mean = [0.0; MOST_FACTORS];
        for i in 0..rank {
            mean[i] = (0..rank).map(|j| covariance[i * rank + j] * pull[j]).sum();
        }
        Strengths {
            rank,
            mean,
            covariance,
        }
    }

    /// What is expected of a client's log residual of a product, its own ticket for it left out
    /// if there is one (`own` is that ticket's log residual).
    ///
    /// Leaving one ticket out of a Gaussian posterior is a division: with `h = l'Sl` and
    /// `k = h / noise`, the mean without it is `(l'z - k (E - a)) / (1 - k)`, the variance
    /// `h / (1 - k)`. Cost: rank².
    pub fn expect(&self, strengths: &[f32], product: ProductNo, own: Option<f64>) -> Expectation {
        let rank = self.rank;
        debug_assert_eq!(strengths.len(), packed_len(rank));
        let (mean, covariance) = strengths.split_at(rank);
        let Some((loadings, intercept, noise)) = self.product(product) else {
            return Expectation {
                level: 0.0,
                deviation: 1.0,
            };
        };
        let (mut fitted, mut unknown) = (0.0, 0.0);
        let mut row = 0;
        for i in 0..rank {
            fitted += loadings[i] * f64::from(mean[i]);
            let mut dot = 0.0;
            for j in 0..i {
                dot += f64::from(covariance[row + j]) * loadings[j];
            }
            unknown += loadings[i] * (2.0 * dot + f64::from(covariance[row + i]) * loadings[i]);
            row += i + 1;
        }
        unknown = unknown.max(0.0);
        if let Some(own) = own {
            let share = unknown / noise;
            let rest = (1.0 - share).max(1e-6);
            fitted = (fitted - share * (own - intercept)) / rest;
            unknown /= rest;
        }
        Expectation {
            level: intercept + fitted,
            deviation: (unknown + noise).sqrt(),
        }
    }

    /// Factors.
    pub fn rank(&self) -> usize {
        self.rank
    }

    fn product(&self, product: ProductNo) -> Option<(&[f64], f64, f64)> {
        let at = product.index();
        let loadings = self.loadings.get(at * self.rank..(at + 1) * self.rank)?;
        Some((loadings, self.intercepts[at], self.noise[at]))
    }
}

/// Numbers in a client's packed strengths: the mean, then the covariance's lower triangle.
pub fn packed_len(rank: usize) -> usize {
    rank + rank * (rank + 1) / 2
}

impl Strengths {
    /// Appends these strengths, packed, 4 bytes a number.
    pub fn pack(&self, packed: &mut Vec<f32>) {
        let rank = self.rank;
        packed.extend(self.mean[..rank].iter().map(|&mean| mean as f32));
        for i in 0..rank {
            let row = &self.covariance[i * rank..=i * rank + i];
            packed.extend(row.iter().map(|&covariance| covariance as f32));
        }
    }
}

/// One product's ridge regression of log residuals on strengths and a constant.
struct Regression {
    width: usize,
    normal: [f64; MOST_FACTORS_AND_ONE * MOST_FACTORS_AND_ONE],
    right: [f64; MOST_FACTORS_AND_ONE],
    solution: [f64; MOST_FACTORS_AND_ONE],
    tickets: f64,
    squares: f64,
}

impl Regression {
    fn start(mean: &[f64], prior: f64, rule: FactorRule) -> Self {
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

    fn add(&mut self, residual: f64, strengths: &Strengths) {
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

    fn solve(&mut self, rank: usize) {
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
    fn judge(&mut self, residual: f64, strengths: &Strengths) {
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
fn invert<const SIZE: usize>(matrix: &mut [f64; SIZE], n: usize) -> [f64; SIZE] {
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

/// A number from -1 to 1 that looks random and is always the same for `seed` (splitmix64).
fn scatter(seed: u64) -> f64 {
    (super::mix(seed) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
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
