//! K-means, and how well its clusters stand apart.
//!
//! Lloyd's algorithm (1982) from k-means++ starts (Arthur and Vassilvitskii 2007), the best of a few;
//! the silhouette is Rousseeuw's (1987). Own code because a start has to be repeatable, tried several
//! times, and sound where clients are all alike: smartcore's reads past its rows where a draw rounds
//! up, and divides by the size of an empty cluster.

use rayon::prelude::*;

/// Rounds of one run at most.
const ROUNDS: usize = 100;
/// A round that improves the fit by less, as a share of it, is the last.
const ENOUGH: f64 = 1e-6;

/// Points in rows of one width.
#[derive(Debug, Clone, Default)]
pub(super) struct Points {
    pub(super) width: usize,
    pub(super) values: Vec<f64>,
}

impl Points {
    pub(super) fn len(&self) -> usize {
        self.values.len() / self.width.max(1)
    }

    pub(super) fn row(&self, at: usize) -> &[f64] {
        &self.values[at * self.width..(at + 1) * self.width]
    }

    /// At most so many of them, at even steps.
    pub(super) fn evenly(&self, most: usize) -> Self {
        let step = self.len().div_ceil(most.max(1)).max(1);
        let rows = (0..self.len()).step_by(step).flat_map(|at| self.row(at));
        Self {
            width: self.width,
            values: rows.copied().collect(),
        }
    }
}

/// Numbers from a seed (splitmix64).
struct Draws(u64);

impl Draws {
    /// Uniform, from 0 to below 1.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn squared(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// The nearest centre of a point, the first of equals, and its squared distance.
pub(super) fn nearest(centres: &[Vec<f64>], point: &[f64]) -> (usize, f64) {
    let mut best = (0, f64::INFINITY);
    for (at, centre) in centres.iter().enumerate() {
        let distance = squared(centre, point);
        if distance < best.1 {
            best = (at, distance);
        }
    }
    best
}

/// The centres of `k` clusters, the best of some `starts`; fewer where fewer points differ.
pub(super) fn centres(points: &Points, k: usize, starts: usize) -> Vec<Vec<f64>> {
    let runs: Vec<(f64, Vec<Vec<f64>>)> = (0..starts as u64)
        .into_par_iter()
        .map(|start| run(points, plus_plus(points, k, start)))
        .collect();
    let best = runs.into_iter().min_by(|a, b| a.0.total_cmp(&b.0));
    best.map(|(_, centres)| centres).unwrap_or_default()
}

/// Centres far apart: each next one drawn by squared distance from those before.
fn plus_plus(points: &Points, k: usize, seed: u64) -> Vec<Vec<f64>> {
    let mut draws = Draws(seed);
    let count = points.len();
    let mut centres: Vec<Vec<f64>> = Vec::with_capacity(k);
    let mut distances = vec![f64::INFINITY; count];
    let mut next = (draws.next() * count as f64) as usize;
    while centres.len() < k && next < count {
        let centre = points.row(next).to_vec();
        let mut total = 0.0;
        for (at, distance) in distances.iter_mut().enumerate() {
            *distance = distance.min(squared(points.row(at), &centre));
            total += *distance;
        }
        centres.push(centre);
        if total <= 1e-12 {
            break;
        }
        let mut left = draws.next() * total;
        let drawn = distances.iter().position(|distance| {
            left -= distance;
            left < 0.0
        });
        // Rounding may leave a little: the last point that differs.
        let last = || distances.iter().rposition(|distance| *distance > 0.0);
        next = drawn.or_else(last).unwrap_or(count);
    }
    centres
}

/// These centres moved to the means of their points among `points`.
pub(super) fn settle(points: &Points, centres: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    run(points, centres).1
}

/// Moves centres to the means of the points nearest to them until that changes nothing.
fn run(points: &Points, mut centres: Vec<Vec<f64>>) -> (f64, Vec<Vec<f64>>) {
    let mut last = f64::INFINITY;
    for _ in 0..ROUNDS {
        let mut sums = vec![vec![0.0; points.width]; centres.len()];
        let mut sizes = vec![0_usize; centres.len()];
        let mut total = 0.0;
        for at in 0..points.len() {
            let point = points.row(at);
            let (cluster, distance) = nearest(&centres, point);
            total += distance;
            sizes[cluster] += 1;
            for (sum, value) in sums[cluster].iter_mut().zip(point) {
                *sum += value;
            }
        }
        for ((centre, sum), size) in centres.iter_mut().zip(sums).zip(sizes) {
            // A cluster that lost its points stays where it is.
            if size > 0 {
                *centre = sum.into_iter().map(|sum| sum / size as f64).collect();
            }
        }
        if last - total <= ENOUGH * total {
            return (total, centres);
        }
        last = total;
    }
    (last, centres)
}

/// The mean silhouette of points in clusters: how much nearer each is to its own cluster than to the
/// next, from -1 to 1; points alone in theirs count 0. Cost: the square of the points.
pub(super) fn silhouette(points: &Points, clusters: &[usize], k: usize) -> f64 {
    let mut sizes = vec![0_usize; k];
    for cluster in clusters {
        sizes[*cluster] += 1;
    }
    let one = |at: usize| {
        let mut sums = vec![0.0; k];
        for (other, cluster) in clusters.iter().enumerate() {
            sums[*cluster] += squared(points.row(at), points.row(other)).sqrt();
        }
        let own = clusters[at];
        if sizes[own] < 2 {
            return 0.0;
        }
        let within = sums[own] / (sizes[own] - 1) as f64;
        let others = (0..k).filter(|cluster| *cluster != own && sizes[*cluster] > 0);
        let next = others.map(|cluster| sums[cluster] / sizes[cluster] as f64);
        let next = next.fold(f64::INFINITY, f64::min);
        match next.is_finite() && next.max(within) > 0.0 {
            true => (next - within) / next.max(within),
            false => 0.0,
        }
    };
    let all: Vec<f64> = (0..clusters.len()).into_par_iter().map(one).collect();
    all.iter().sum::<f64>() / all.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn blobs(count: usize, each: usize) -> Points {
        let mut draws = Draws(7);
        let mut values = Vec::new();
        for blob in 0..count {
            let centre = [10.0 * (blob % 3) as f64, 10.0 * (blob / 3) as f64];
            for _ in 0..each {
                values.extend(centre.map(|at| at + draws.next()));
            }
        }
        Points { width: 2, values }
    }

    #[test]
    fn clusters_that_stand_apart_are_found_and_their_number_stands_out() {
        let points = blobs(5, 40);
        let of = |k: usize| {
            let centres = centres(&points, k, 4);
            let clusters: Vec<_> = (0..points.len())
                .map(|at| nearest(&centres, points.row(at)).0)
                .collect();
            (silhouette(&points, &clusters, centres.len()), clusters)
        };
        let best = (2..=8)
            .max_by(|a, b| of(*a).0.total_cmp(&of(*b).0))
            .unwrap();
        assert_eq!(best, 5);
        let (_, clusters) = of(5);
        for blob in clusters.chunks(40) {
            assert!(blob.iter().all(|cluster| *cluster == blob[0]));
        }
    }

    #[test]
    fn points_that_are_all_alike_are_one_cluster() {
        let points = Points {
            width: 2,
            values: [3.0; 40].to_vec(),
        };
        assert_eq!(centres(&points, 4, 3).len(), 1);
        assert_eq!(
            centres(
                &Points {
                    width: 2,
                    values: Vec::new()
                },
                4,
                3
            )
            .len(),
            0
        );
    }

    proptest! {
        #[test]
        fn a_run_leaves_every_centre_at_the_mean_of_its_points(
            values in prop::collection::vec(-100_i32..100, 4..120), k in 1_usize..6) {
            let mut values: Vec<f64> = values.into_iter().map(f64::from).collect();
            values.truncate(values.len() / 2 * 2);
            let points = Points { width: 2, values };
            let found = centres(&points, k, 2);
            prop_assert!(!found.is_empty() && found.len() <= k);
            let mut inertia = [0.0, 0.0];
            for (of, centres) in [(0, &found), (1, &vec![points.row(0).to_vec()])] {
                inertia[of] = (0..points.len()).map(|at| nearest(centres, points.row(at)).1).sum();
            }
            prop_assert!(inertia[0] <= inertia[1] + 1e-9);
        }
    }
}
