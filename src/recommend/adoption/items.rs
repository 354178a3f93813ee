//! What the products that a client buys say about those that it does not.

use ndarray::Array2;
use rayon::prelude::*;

use super::inverse::inverse;

/// `(product, weight)`, by product.
type Row = Vec<(u32, f32)>;
/// Client rows as weights.
pub(super) type Weights = Vec<Row>;

/// Neighbours kept a product where the catalogue is too large for a dense inverse.
const SPARSE_NEIGHBOURS: usize = 50;

/// Evidence from product to product, learnt from who buys what together.
///
/// **Dense** is EASE (Steck, *Embarrassingly Shallow Autoencoders for Sparse Data*, WWW 2019):
/// with `P = (X'X + lambda I)^-1`, `W = -P / diag(P)` by column and a zero diagonal; the score of a
/// product is `sum over q of x(q) W(q,p)`. 4 bytes a pair of products, `O(products^3)` to fit.
/// **Sparse**, for larger catalogues, keeps the 50 products of highest cosine a product.
#[derive(Debug, Clone)]
pub(super) enum Items {
    /// Weights from product (row) to product (column).
    Dense(Array2<f32>),
    /// By product it comes from: where it points and how strongly.
    Sparse(Weights),
}

impl Items {
    /// Learns from client rows. `ridge` is EASE's lambda in clients; above `dense_limit` products
    /// the sparse form is used. Deterministic.
    pub(super) fn fit(rows: &Weights, products: usize, ridge: f64, dense_limit: usize) -> Self {
        if products <= dense_limit {
            Self::dense(rows, products, ridge)
        } else {
            Self::sparse(rows, products)
        }
    }

    fn dense(rows: &Weights, products: usize, ridge: f64) -> Self {
        let mut gram = Array2::<f64>::zeros((products, products));
        for row in rows {
            for &(from, x) in row {
                let mut sums = gram.row_mut(from as usize);
                for &(to, y) in row {
                    sums[to as usize] += f64::from(x) * f64::from(y);
                }
            }
        }
        for product in 0..products {
            gram[[product, product]] += ridge.max(1e-6);
        }
        let precision = inverse(&gram.view());
        let diagonal: Vec<f64> = precision.diag().to_vec();
        Self::Dense(Array2::from_shape_fn((products, products), |(from, to)| {
            if from == to {
                0.0
            } else {
                (-precision[[from, to]] / diagonal[to].max(f64::MIN_POSITIVE)) as f32
            }
        }))
    }

    fn sparse(rows: &Weights, products: usize) -> Self {
        let mut columns: Weights = vec![Vec::new(); products];
        let mut squares = vec![0.0_f32; products];
        for (client, row) in rows.iter().enumerate() {
            for &(product, x) in row {
                columns[product as usize].push((client as u32, x));
                squares[product as usize] += x * x;
            }
        }
        let buffers = || (vec![0.0_f32; products], Row::new());
        let near = |(dots, found): &mut (Vec<f32>, Row), (from, column): (usize, &Row)| {
            dots.fill(0.0);
            for &(client, x) in column {
                for &(to, y) in &rows[client as usize] {
                    dots[to as usize] += x * y;
                }
            }
            let cosine = |to: usize| dots[to] / (squares[from] * squares[to]).sqrt();
            let others = (0..products).filter(|&to| to != from && dots[to] > 0.0);
            found.clear();
            found.extend(others.map(|to| (to as u32, cosine(to))));
            let stronger = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
            if found.len() > SPARSE_NEIGHBOURS {
                found.select_nth_unstable_by(SPARSE_NEIGHBOURS, stronger);
                found.truncate(SPARSE_NEIGHBOURS);
            }
            found.sort_unstable_by_key(|to| to.0);
            // Of what is kept alone: the buffer has room for the whole catalogue.
            found.clone()
        };
        let all = columns.par_iter().enumerate();
        Self::Sparse(all.map_init(buffers, near).collect())
    }

    /// Products it was learnt from.
    pub(super) fn products(&self) -> usize {
        match self {
            Self::Dense(weights) => weights.nrows(),
            Self::Sparse(rows) => rows.len(),
        }
    }

    /// Adds what a client's rows say to `scores`, by product. A product unknown to it says nothing.
    pub(super) fn score(&self, row: impl Iterator<Item = (u32, f32)>, scores: &mut [f32]) {
        for (from, x) in row.filter(|(from, _)| (*from as usize) < self.products()) {
            match self {
                Self::Dense(weights) => {
                    for (score, weight) in scores.iter_mut().zip(weights.row(from as usize)) {
                        *score += x * weight;
                    }
                }
                Self::Sparse(rows) => {
                    for &(to, weight) in &rows[from as usize] {
                        if let Some(score) = scores.get_mut(to as usize) {
                            *score += x * weight;
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CATALOGUE: usize = 70;

    fn bought() -> impl Strategy<Value = Weights> {
        let row = prop::collection::btree_map(0..CATALOGUE as u32, 0.1_f32..3.0, 0..CATALOGUE);
        prop::collection::vec(row, 0..12).prop_map(|rows| {
            rows.into_iter()
                .map(|row| row.into_iter().collect())
                .collect()
        })
    }

    proptest! {
        #[test]
        fn a_large_catalogue_keeps_the_nearest_by_cosine(rows in bought()) {
            let items = Items::fit(&rows, CATALOGUE, 1.0, CATALOGUE - 1);
            let column = |product: u32| -> Vec<f64> {
                let of = |row: &Row| row.iter().find(|one| one.0 == product).map_or(0.0, |one| f64::from(one.1));
                rows.iter().map(of).collect()
            };
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            for from in 0..CATALOGUE as u32 {
                let own = column(from);
                let others = (0..CATALOGUE as u32).filter(|to| *to != from).map(|to| {
                    let other = column(to);
                    dot(&own, &other) / (dot(&own, &own) * dot(&other, &other)).sqrt()
                });
                let mut cosines: Vec<f64> = others.filter(|cosine| *cosine > 0.0).collect();
                cosines.sort_by(|a, b| b.total_cmp(a));
                cosines.truncate(SPARSE_NEIGHBOURS);
                let mut scores = vec![0.0; CATALOGUE];
                items.score(std::iter::once((from, 1.0)), &mut scores);
                scores.retain(|score| *score > 0.0);
                scores.sort_by(|a, b| b.total_cmp(a));
                prop_assert_eq!(scores.len(), cosines.len());
                for (score, cosine) in scores.iter().zip(&cosines) {
                    prop_assert!((f64::from(*score) - cosine).abs() < 1e-5, "{} {}", score, cosine);
                }
            }
        }
    }

    /// Each column of W minimises `|x_p - X w|^2 + lambda |w|^2` with `w_p = 0`: a direct solve of
    /// the other products' normal equations must agree with the closed form.
    #[test]
    fn the_closed_form_agrees_with_a_direct_solve_of_each_product() {
        let rows: Weights = vec![
            vec![(0, 1.0), (1, 1.0)],
            vec![(0, 1.0), (2, 0.5), (3, 1.0)],
            vec![(1, 2.0), (2, 1.0)],
            vec![(0, 1.0), (1, 1.0), (3, 1.0)],
        ];
        let (products, ridge) = (4, 0.7);
        let Items::Dense(weights) = Items::fit(&rows, products, ridge, 100) else {
            unreachable!("a small catalogue is dense")
        };
        let x = Array2::from_shape_fn((rows.len(), products), |(client, product)| {
            let found = rows[client].iter().find(|item| item.0 as usize == product);
            found.map_or(0.0, |item| f64::from(item.1))
        });
        for target in 0..products {
            let others: Vec<usize> = (0..products).filter(|&p| p != target).collect();
            let normal = Array2::from_shape_fn((3, 3), |(i, j)| {
                x.column(others[i]).dot(&x.column(others[j])) + if i == j { ridge } else { 0.0 }
            });
            let right: Vec<f64> = others
                .iter()
                .map(|&p| x.column(p).dot(&x.column(target)))
                .collect();
            for (other, w) in others
                .iter()
                .zip(super::super::inverse::solve(&normal.view(), &right))
            {
                assert!((f64::from(weights[[*other, target]]) - w).abs() < 1e-6);
            }
            assert!(weights[[target, target]] == 0.0);
        }
    }

    #[test]
    fn a_large_catalogue_keeps_cosines_and_points_the_same_way() {
        let rows: Weights = vec![
            vec![(0, 1.0), (1, 1.0)],
            vec![(0, 1.0), (1, 1.0)],
            vec![(2, 1.0)],
        ];
        let items = Items::fit(&rows, 3, 1.0, 2);
        let mut scores = vec![0.0; 3];
        items.score([(0, 1.0), (9, 1.0)].into_iter(), &mut scores);
        assert_eq!(scores, [0.0, 1.0, 0.0]);
    }
}
