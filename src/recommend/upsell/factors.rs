//! What a client's other tickets say of one: a factor model of the log residuals.
//!
//! `E(c,p) = a(p) + l(p) · z(c) + noise(p)`, with `z(c)` a few hidden strengths of the client, of
//! variance 1, and `l(p)` the product's loadings. One factor that loads all products alike is the
//! client's size with a fitted exponent; further factors are lines of business that rise together.
//! Fitted by expectation maximisation over the tickets there are: Rubin & Thayer, *EM algorithms
//! for ML factor analysis*, Psychometrika 1982; gaps as in Tipping & Bishop, *Probabilistic
//! principal component analysis*, JRSS B 1999. Loadings are drawn to their mean over products and
//! intercepts to their prior, so that rare products borrow from all. What is expected of a client's
//! strengths before any ticket is read follows its breadth, the logarithm of how many products it
//! buys: who buys few things mostly buys little of each.
//!
//! How far a client's tickets scatter about these levels is a trait of its own ([`Dispersion`]):
//! some buy every product as clients like them do, others much of this and little of that.

use rayon::prelude::*;

use super::dispersion::{Dispersion, Scatter};
use super::regression::{Fitted, MOST_TRIANGLE, Regression, invert, triangle, unpack};
use crate::domain::{ClientNo, ProductNo};
use crate::matrix::{Cell, Statistics, TicketMatrix};

/// The most factors a model may have.
pub const MOST_FACTORS: usize = 8;
pub(super) const MOST_FACTORS_AND_ONE: usize = MOST_FACTORS + 1;
/// Rounds of expectation maximisation; the held-out loss is flat from about 15.
const ROUNDS: usize = 25;
/// Tickets' worth of the book's noise that each product's own is mixed with.
const NOISE_PSEUDO_TICKETS: f64 = 5.0;
/// The least noise variance: equal tickets everywhere would leave none.
const LEAST_NOISE: f64 = 1e-6;

/// How strongly a model is held back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FactorRule {
    /// Factors, up to [`MOST_FACTORS`]; with none a product's level is its intercept.
    pub rank: usize,
    /// Pseudo-tickets that draw a product's loadings to the mean loadings.
    pub ridge: f64,
    /// Pseudo-tickets that draw a product's intercept to its prior.
    pub intercept_ridge: f64,
}

/// A fitted model. 8 bytes × (2 × factors + 2 + a [`triangle`] over the factors) a product.
#[derive(Debug, Clone, PartialEq)]
pub struct Factors {
    rank: usize,
    /// Products × factors.
    loadings: Vec<f64>,
    intercepts: Vec<f64>,
    noise: Vec<f64>,
    /// What a ticket of each product adds to what is known of whoever has it: how sure it makes the strengths, a
    /// [`triangle`], and what pulls them, loadings ÷ noise.
    information: Vec<f64>,
    /// What one unit of breadth adds to each strength.
    breadth: [f64; MOST_FACTORS],
    /// Mean breadth of the clients that buy anything.
    usual_breadth: f64,
    dispersion: Dispersion,
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
    /// Fits a model. `priors` holds one prior intercept a product; `breadth_pseudo_clients` hold the
    /// weight of breadth near 0.
    ///
    /// Cost: 25 rounds of tickets × rank². The order of summation is that of clients, whatever
    /// the number of threads, on a matrix without overlay.
    pub fn fit(
        matrix: &TicketMatrix,
        statistics: &Statistics,
        priors: &[f64],
        rule: FactorRule,
        breadth_pseudo_clients: f64,
    ) -> Self {
        let rank = rule.rank.min(MOST_FACTORS);
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
            information: Vec::new(),
            breadth: [0.0; MOST_FACTORS],
            usual_breadth: usual_breadth(matrix),
            dispersion: Dispersion::default(),
        };
        model.intercepts.resize(products, 0.0);
        model.inform();
        for _ in 0..ROUNDS {
            model.improve(matrix, statistics, priors, rule, breadth_pseudo_clients);
        }
        model
    }

    /// This model with what clients' tickets scatter, held back by so many tickets a client besides
    /// what the book asks for. Cost: tickets × rank².
    #[must_use]
    pub fn with_dispersion(
        mut self,
        matrix: &TicketMatrix,
        statistics: &Statistics,
        pseudo_tickets: f64,
    ) -> Self {
        let scatters: Vec<Scatter> = (0..matrix.clients() as u32)
            .into_par_iter()
            .map_init(Vec::new, |packed, client| {
                let row = matrix.row(ClientNo(client));
                packed.clear();
                self.strengths(statistics, row).pack(packed);
                self.scatter_of(statistics, row, packed)
            })
            .collect();
        self.dispersion = Dispersion::of(&scatters, pseudo_tickets);
        self
    }

    /// One round: strengths of all clients, then each product's regression on them.
    fn improve(
        &mut self,
        matrix: &TicketMatrix,
        statistics: &Statistics,
        priors: &[f64],
        rule: FactorRule,
        breadth_pseudo_clients: f64,
    ) {
        let rank = self.rank;
        let width = triangle(rank + 1);
        let mut moments = vec![0.0; matrix.clients() * width];
        let clients = moments.par_chunks_exact_mut(width).enumerate();
        clients.for_each(|(client, moments)| {
            let row = matrix.row(ClientNo(client as u32));
            self.strengths(statistics, row).moments(moments);
        });
        self.weigh_breadth(matrix, &moments, breadth_pseudo_clients);
        let products = matrix.products();
        let mut mean = [0.0; MOST_FACTORS];
        for loadings in self.loadings.chunks_exact(rank.max(1)) {
            for (sum, loading) in mean.iter_mut().zip(loadings) {
                *sum += loading / products as f64;
            }
        }
        let columns = matrix.columns();
        let fitted: Vec<Fitted> = (0..products as u32)
            .into_par_iter()
            .map(|product| {
                let product = ProductNo(product);
                let mut sums = Regression::new(rank);
                for posting in columns.of(product) {
                    let residual = statistics.residual(product, posting.ticket);
                    let at = posting.client.index() * width;
                    sums.add(residual, &moments[at..at + width]);
                }
                let prior = priors.get(product.index()).copied().unwrap_or(0.0);
                sums.solve(&mean[..rank], prior, rule)
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
        self.inform();
    }

    /// Works out what a ticket of each product adds.
    fn inform(&mut self) {
        let rank = self.rank;
        self.information.clear();
        for (product, noise) in self.noise.iter().enumerate() {
            let loadings = &self.loadings[product * rank..(product + 1) * rank];
            for (i, loading) in loadings.iter().enumerate() {
                let scaled = loading / noise;
                self.information
                    .extend(loadings[..=i].iter().map(|other| scaled * other));
            }
            self.information
                .extend(loadings.iter().map(|loading| loading / noise));
        }
    }

    /// The regression of all clients' strengths on their breadth.
    fn weigh_breadth(&mut self, matrix: &TicketMatrix, moments: &[f64], pseudo_clients: f64) {
        let mut sums = [0.0; MOST_FACTORS];
        let mut squares = pseudo_clients;
        let (rank, first) = (self.rank, triangle(self.rank));
        for (client, moments) in moments.chunks_exact(triangle(rank + 1)).enumerate() {
            let breadth = self.breadth(matrix.row(ClientNo(client as u32)));
            squares += breadth * breadth;
            for (sum, mean) in sums.iter_mut().zip(&moments[first..first + rank]) {
                *sum += breadth * mean;
            }
        }
        self.breadth = sums.map(|sum| sum / squares.max(1e-9));
    }

    /// How much broader than usual a client buys; 0 for one that is known by no ticket at all.
    fn breadth(&self, row: &[Cell]) -> f64 {
        match row.len() {
            0 => 0.0,
            products => (products as f64).ln() - self.usual_breadth,
        }
    }

    /// The strengths of whoever has these tickets. Cost: tickets × rank².
    pub fn strengths(&self, statistics: &Statistics, row: &[Cell]) -> Strengths {
        let (rank, width) = (self.rank, triangle(self.rank) + self.rank);
        let breadth = self.breadth(row);
        // How sure the strengths are, as a triangle, and in its last row what pulls them.
        let mut known = [0.0; MOST_TRIANGLE];
        for factor in 0..rank {
            known[triangle(factor) + factor] = 1.0;
        }
        let (sure, pull) = known.split_at_mut(triangle(rank));
        for (pull, by) in pull.iter_mut().zip(&self.breadth[..rank]) {
            *pull = by * breadth;
        }
        for cell in row {
            let at = cell.product.index();
            let Some(adds) = self.information.get(at * width..(at + 1) * width) else {
                continue;
            };
            let residual = statistics.residual(cell.product, cell.ticket) - self.intercepts[at];
            let (surer, pulls) = adds.split_at(triangle(rank));
            for (sum, adds) in sure.iter_mut().zip(surer) {
                *sum += adds;
            }
            for (sum, pulls) in pull[..rank].iter_mut().zip(pulls) {
                *sum += pulls * residual;
            }
        }
        let mut precision = [0.0; MOST_FACTORS * MOST_FACTORS];
        unpack(sure, rank, &mut precision);
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

    /// Appends what is known of whoever has these tickets, [`packed_len`] numbers of 4 bytes: the
    /// strengths, then how far the tickets scatter. Cost: tickets × rank².
    pub fn pack(&self, statistics: &Statistics, row: &[Cell], packed: &mut Vec<f32>) {
        let first = packed.len();
        self.strengths(statistics, row).pack(packed);
        let scatter = match self.dispersion.is_known() {
            true => self.scatter_of(statistics, row, &packed[first..]),
            false => Scatter::default(),
        };
        packed.extend([scatter.squares as f32, scatter.tickets as f32]);
    }

    /// How far tickets stand from what the others say of each.
    fn scatter_of(&self, statistics: &Statistics, row: &[Cell], strengths: &[f32]) -> Scatter {
        let mut scatter = Scatter::default();
        for cell in row {
            let own = statistics.residual(cell.product, cell.ticket);
            if let Some(expected) = self.plainly(strengths, cell.product, Some(own)) {
                scatter.add((own - expected.level) / expected.deviation);
            }
        }
        scatter
    }

    /// What is expected of a client's log residual of a product, its own ticket for it left out
    /// if there is one (`own` is that ticket's log residual). Cost: rank².
    pub fn expect(&self, packed: &[f32], product: ProductNo, own: Option<f64>) -> Expectation {
        debug_assert_eq!(packed.len(), packed_len(self.rank));
        let (strengths, scatter) = packed.split_at(packed_len(self.rank) - SCATTER_LEN);
        let Some(mut expected) = self.plainly(strengths, product, own) else {
            return Expectation {
                level: 0.0,
                deviation: 1.0,
            };
        };
        let mut scatter = Scatter::packed(scatter[0], scatter[1]);
        if let Some(own) = own {
            scatter.leave_out((own - expected.level) / expected.deviation);
        }
        expected.deviation *= self.dispersion.of_client(scatter);
        expected
    }

    /// The same for a client that scatters as all do; `None` of a product newer than the model.
    ///
    /// Leaving one ticket out of a Gaussian posterior is a division: with `h = l'Sl` and
    /// `k = h / noise`, the mean without it is `(l'z - k (E - a)) / (1 - k)`, the variance
    /// `h / (1 - k)`.
    fn plainly(
        &self,
        strengths: &[f32],
        product: ProductNo,
        own: Option<f64>,
    ) -> Option<Expectation> {
        let rank = self.rank;
        let (mean, covariance) = strengths.split_at(rank);
        let (loadings, intercept, noise) = self.product(product)?;
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
        Some(Expectation {
            level: intercept + fitted,
            deviation: (unknown + noise).sqrt(),
        })
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

fn usual_breadth(matrix: &TicketMatrix) -> f64 {
    let rows = (0..matrix.clients() as u32).map(|client| matrix.row(ClientNo(client)).len());
    let (count, sum) = rows
        .filter(|products| *products > 0)
        .fold((0.0_f64, 0.0), |(count, sum), products| {
            (count + 1.0, sum + (products as f64).ln())
        });
    sum / count.max(1.0)
}

/// Numbers of a packed [`Scatter`].
const SCATTER_LEN: usize = 2;

/// Numbers that a client is packed in: the mean of its strengths, the lower triangle of their
/// covariance, its scatter.
pub fn packed_len(rank: usize) -> usize {
    rank + rank * (rank + 1) / 2 + SCATTER_LEN
}

impl Strengths {
    /// Writes the second moments of these strengths and a constant, as a [`triangle`].
    fn moments(&self, moments: &mut [f64]) {
        let rank = self.rank;
        for i in 0..rank {
            let row = &mut moments[triangle(i)..triangle(i + 1)];
            for (j, moment) in row.iter_mut().enumerate() {
                *moment = self.covariance[i * rank + j] + self.mean[i] * self.mean[j];
            }
        }
        let last = &mut moments[triangle(rank)..];
        last[..rank].copy_from_slice(&self.mean[..rank]);
        last[rank] = 1.0;
    }

    /// Appends these strengths, packed, 4 bytes a number.
    fn pack(&self, packed: &mut Vec<f32>) {
        let rank = self.rank;
        packed.extend(self.mean[..rank].iter().map(|&mean| mean as f32));
        for i in 0..rank {
            let row = &self.covariance[i * rank..=i * rank + i];
            packed.extend(row.iter().map(|&covariance| covariance as f32));
        }
    }
}

/// A number from -1 to 1 that looks random and is always the same for `seed` (splitmix64).
fn scatter(seed: u64) -> f64 {
    (super::mix(seed) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}
