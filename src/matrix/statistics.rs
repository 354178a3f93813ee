//! What a ticket is measured against: its product's median, and how large its client buys.

use std::cell::LazyCell;

use rayon::prelude::*;

use super::{Columns, TicketMatrix};
use crate::domain::{ClientNo, ProductNo};

/// Sums over a whole ticket matrix that every score starts from.
///
/// With `x` a ticket and `m(p)` the median ticket of the product's buyers, the **log residual** is
/// `E(c,p) = ln x(c,p) - ln m(p)`: 0 for the middle buyer, ln 2 for twice as much. A client's
/// **size** is the mean of its residuals, drawn towards 0 by one or more pseudo-tickets. How far
/// size carries from one product to another is the **size exponent** `g`, 0 to 1, fitted over all
/// tickets with each left out of its own client's size.
///
/// The product medians, `v` and `g` are those of the last [`Statistics::of`]; a [`refresh`] after
/// a few writes updates the rows that changed and measures products that had no buyer yet.
///
/// [`refresh`]: Statistics::refresh
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Statistics {
    products: Vec<ProductStatistics>,
    clients: Vec<ClientStatistics>,
    spread: f64,
    size_exponent: f64,
}

/// What is known of one product's tickets.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ProductStatistics {
    /// Clients that buy it.
    pub buyers: u32,
    /// Natural logarithm of the median ticket in minor units; 0 without buyers.
    pub ln_median: f64,
}

/// What is known of one client's tickets.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ClientStatistics {
    /// Sum of its log residuals.
    pub residual_sum: f64,
    /// Products it buys.
    pub products: u32,
}

impl ClientStatistics {
    /// The sums of one row.
    fn of(row: &[super::Cell], products: &[ProductStatistics]) -> Self {
        let residual = |cell: &super::Cell| {
            f64::from(cell.ticket).ln() - products[cell.product.index()].ln_median
        };
        Self {
            residual_sum: row.iter().map(residual).sum(),
            products: row.len() as u32,
        }
    }

    /// The client's size: the sum of its residuals over their number plus `pseudo_tickets`.
    pub fn size(&self, pseudo_tickets: f64) -> f64 {
        self.residual_sum / (f64::from(self.products) + pseudo_tickets).max(1.0)
    }

    /// The client's size with one of its own residuals left out.
    pub fn size_without(&self, residual: f64, pseudo_tickets: f64) -> f64 {
        let products = f64::from(self.products) - 1.0;
        (self.residual_sum - residual) / (products + pseudo_tickets).max(1.0)
    }
}

impl Statistics {
    /// Measures a matrix. Cost: the tickets, three times, and a median a product; both cores.
    pub fn of(matrix: &TicketMatrix) -> Self {
        let columns = matrix.columns();
        let products: Vec<_> = (0..matrix.products() as u32)
            .into_par_iter()
            .map(|product| measure(&columns, ProductNo(product)))
            .collect();
        let clients: Vec<_> = (0..matrix.clients() as u32)
            .into_par_iter()
            .map(|client| ClientStatistics::of(matrix.row(ClientNo(client)), &products))
            .collect();
        let mut statistics = Self {
            products,
            clients,
            spread: 0.0,
            size_exponent: 0.0,
        };
        statistics.fit(matrix);
        statistics
    }

    /// These statistics after some rows of the matrix changed or were added.
    ///
    /// Cost: a copy of the sums (40 bytes a client or product), and the tickets of the clients named.
    #[must_use]
    pub fn refresh(
        &self,
        matrix: &TicketMatrix,
        changed: impl IntoIterator<Item = ClientNo>,
    ) -> Self {
        let mut next = self.clone();
        next.products
            .resize(matrix.products(), ProductStatistics::default());
        next.clients
            .resize(matrix.clients(), ClientStatistics::default());
        // Hardly ever is one of their products new.
        let columns = LazyCell::new(|| matrix.columns());
        for client in changed {
            let row = matrix.row(client);
            for cell in row {
                let at = cell.product.index();
                if next.products[at].buyers == 0 {
                    next.products[at] = measure(&columns, cell.product);
                }
            }
            next.clients[client.index()] = ClientStatistics::of(row, &next.products);
        }
        next
    }

    /// Fits the spread and the size exponent, in the order of clients.
    fn fit(&mut self, matrix: &TicketMatrix) {
        let (mut count, mut sum, mut squares) = (0.0_f64, 0.0_f64, 0.0_f64);
        let (mut cross, mut own) = (0.0_f64, 0.0_f64);
        for (client, sums) in self.clients.iter().enumerate() {
            for cell in matrix.row(ClientNo(client as u32)) {
                let residual = self.residual(cell.product, cell.ticket);
                count += 1.0;
                sum += residual;
                squares += residual * residual;
                let size = sums.size_without(residual, 1.0);
                cross += size * residual;
                own += size * size;
            }
        }
        if count > 0.0 {
            self.spread = 2.0 * (squares / count - (sum / count).powi(2)).max(0.0);
        }
        if own > 0.0 {
            self.size_exponent = (cross / own).clamp(0.0, 1.0);
        }
    }

    /// Clients measured.
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// Products measured.
    pub fn products(&self) -> usize {
        self.products.len()
    }

    /// One product's figures; those of a product without buyers when it is not known.
    pub fn product(&self, product: ProductNo) -> ProductStatistics {
        self.products
            .get(product.index())
            .copied()
            .unwrap_or_default()
    }

    /// One client's figures; those of a client without tickets when it is not known.
    pub fn client(&self, client: ClientNo) -> ClientStatistics {
        self.clients
            .get(client.index())
            .copied()
            .unwrap_or_default()
    }

    /// The figures of a row that stands in no matrix, such as a prospect's.
    pub fn row(&self, row: &[super::Cell]) -> ClientStatistics {
        ClientStatistics {
            residual_sum: row
                .iter()
                .map(|cell| self.residual(cell.product, cell.ticket))
                .sum(),
            products: row.len() as u32,
        }
    }

    /// `E = ln x - ln m(p)` of a ticket of `ticket` minor units.
    pub fn residual(&self, product: ProductNo, ticket: f32) -> f64 {
        f64::from(ticket).ln() - self.product(product).ln_median
    }

    /// `v`: twice the variance of the log residuals, which is the mean squared difference of two
    /// unrelated ones.
    pub fn spread(&self) -> f64 {
        self.spread
    }

    /// `g`: the share of a client's size that carries over to its next product, 0 to 1.
    pub fn size_exponent(&self) -> f64 {
        self.size_exponent
    }
}

fn measure(columns: &Columns<'_>, product: ProductNo) -> ProductStatistics {
    let column = columns.of(product);
    let mut tickets: Vec<f32> = column.map(|posting| posting.ticket).collect();
    let buyers = tickets.len() as u32;
    if tickets.is_empty() {
        return ProductStatistics::default();
    }
    let middle = tickets.len() / 2;
    let (below, &mut upper, _) = tickets.select_nth_unstable_by(middle, f32::total_cmp);
    let lower = if buyers % 2 == 1 {
        upper
    } else {
        below.iter().copied().fold(f32::MIN_POSITIVE, f32::max)
    };
    ProductStatistics {
        buyers,
        ln_median: f64::midpoint(f64::from(lower), f64::from(upper)).ln(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::Cell;
    use std::sync::Arc;

    fn row(tickets: &[f32]) -> Arc<[Cell]> {
        let cell = |(product, &ticket): (usize, &f32)| {
            (ticket > 0.0).then_some(Cell {
                product: ProductNo(product as u32),
                ticket,
                last_day: None,
            })
        };
        tickets.iter().enumerate().filter_map(cell).collect()
    }

    #[test]
    fn a_client_that_buys_double_of_everything_has_the_size_of_ln_two() {
        let rows = [[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]].map(|tickets| row(&tickets));
        let statistics = Statistics::of(&TicketMatrix::from_rows(2, rows));
        assert!((statistics.client(ClientNo(2)).size(0.0) - 2.0_f64.ln()).abs() < 1e-9);
        assert!((statistics.client(ClientNo(1)).size(0.0)).abs() < 1e-9);
        assert!((statistics.size_exponent() - 1.0).abs() < 1e-9);
        assert_eq!(statistics.product(ProductNo(0)).buyers, 3);
    }

    #[test]
    fn equal_tickets_an_empty_book_and_unbought_products_give_no_nan() {
        let equal = [[5.0, 0.0], [5.0, 0.0]].map(|tickets| row(&tickets));
        for rows in [equal.to_vec(), Vec::new(), vec![row(&[0.0, 0.0])]] {
            let statistics = Statistics::of(&TicketMatrix::from_rows(2, rows));
            assert!(statistics.spread() == 0.0 && statistics.size_exponent() == 0.0);
            assert_eq!(statistics.product(ProductNo(1)).buyers, 0);
            assert!(statistics.client(ClientNo(9)).size(1.0) == 0.0);
        }
    }

    #[test]
    fn a_refresh_measures_the_rows_that_changed_and_products_new_to_the_book() {
        let rows = [[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]].map(|tickets| row(&tickets));
        let matrix = TicketMatrix::from_rows(2, rows);
        let old = Statistics::of(&matrix);
        let matrix = matrix.with_rows(4, 3, [(ClientNo(3), row(&[8.0, 0.0, 7.0]))]);
        let new = old.refresh(&matrix, [ClientNo(3)]);
        assert_eq!(new.product(ProductNo(0)), old.product(ProductNo(0)));
        assert!((new.product(ProductNo(2)).ln_median - 7.0_f64.ln()).abs() < 1e-9);
        assert!((new.client(ClientNo(3)).residual_sum - 4.0_f64.ln()).abs() < 1e-9);
        assert_eq!(new.client(ClientNo(1)), old.client(ClientNo(1)));
    }
}
