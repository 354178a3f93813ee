//! What anybody could say without a model: the figures that a recipe has to beat.

use crate::domain::ProductNo;
use crate::matrix::{Columns, TicketMatrix};

use super::forecast::{Hidden, Offer};
use super::measure::LEVELS;

/// Who foretold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Forecaster {
    /// The recipe under test.
    Recipe,
    /// Everybody is offered what most clients buy, at its middle ticket; the share of clients that
    /// buy it is taken for the probability.
    BestSellers,
    /// A ticket goes on as it lately was. Of products that a client never bought it knows nothing.
    OwnHistory,
    /// A hidden ticket is like those of the product's other buyers, whoever the client is.
    ProductQuantile,
}

impl Forecaster {
    /// All of them, the recipe first.
    pub const ALL: [Self; 4] = [
        Self::Recipe,
        Self::BestSellers,
        Self::OwnHistory,
        Self::ProductQuantile,
    ];

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Recipe => "recipe",
            Self::BestSellers => "best-sellers",
            Self::OwnHistory => "own history",
            Self::ProductQuantile => "product quantile",
        }
    }
}

/// How common each product is, and what it usually brings.
pub(super) struct BestSellers {
    /// Share of clients that buy it, and its middle ticket.
    products: Vec<(f64, f64)>,
}

impl BestSellers {
    /// Counts buyers. Cost: the tickets, and a sort a product.
    pub(super) fn of(matrix: &TicketMatrix) -> Self {
        let clients = matrix.clients().max(1) as f64;
        let columns = matrix.columns();
        let of_product = |product: u32| {
            let tickets = sorted_tickets(&columns, ProductNo(product));
            let middle = quantile(&tickets, 0.5).unwrap_or(0.0);
            (tickets.len() as f64 / clients, middle)
        };
        Self {
            products: (0..matrix.products() as u32).map(of_product).collect(),
        }
    }

    /// What it says of the pair of an offer.
    pub(super) fn offer(&self, pair: &Offer) -> Offer {
        let (probability, ticket) = self.products[pair.product.index()];
        Offer {
            probability,
            ticket,
            money: probability * ticket,
            ..*pair
        }
    }
}

/// The quantiles of hidden tickets as those of the product's visible ones; of all tickets where
/// nobody else buys it. Cost: a sort a product.
pub(super) fn product_quantiles(visible: &TicketMatrix, hidden: &[Hidden]) -> Vec<[f64; 3]> {
    let products = 0..visible.products() as u32;
    let columns = visible.columns();
    let tickets: Vec<Vec<f64>> = products
        .map(|product| sorted_tickets(&columns, ProductNo(product)))
        .collect();
    let mut all = tickets.concat();
    all.sort_unstable_by(f64::total_cmp);
    let of = |cell: &Hidden| {
        let own = &tickets[cell.product.index()];
        let own = if own.is_empty() { &all } else { own };
        LEVELS.map(|level| quantile(own, level).unwrap_or(0.0))
    };
    hidden.iter().map(of).collect()
}

fn sorted_tickets(columns: &Columns<'_>, product: ProductNo) -> Vec<f64> {
    let column = columns.of(product);
    let mut tickets: Vec<f64> = column.map(|posting| f64::from(posting.ticket)).collect();
    tickets.sort_unstable_by(f64::total_cmp);
    tickets
}

/// A quantile of sorted numbers, interpolated between the two that it falls between.
fn quantile(sorted: &[f64], level: f64) -> Option<f64> {
    let place = level * (sorted.len().checked_sub(1)?) as f64;
    let (low, high) = (
        sorted[place.floor() as usize],
        sorted[place.ceil() as usize],
    );
    Some(low + (high - low) * place.fract())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ClientNo;
    use crate::matrix::Cell;

    fn matrix(rows: &[[f32; 3]]) -> TicketMatrix {
        let row = |row: &[f32; 3]| -> Vec<Cell> {
            let cells = row.iter().enumerate().filter(|(_, ticket)| **ticket > 0.0);
            cells
                .map(|(product, &ticket)| Cell {
                    product: ProductNo(product as u32),
                    ticket,
                    last_day: None,
                })
                .collect()
        };
        TicketMatrix::from_rows(3, rows.iter().map(row))
    }

    #[test]
    fn best_sellers_are_counted_and_priced_at_their_middle() {
        let matrix = matrix(&[
            [10.0, 0.0, 0.0],
            [30.0, 5.0, 0.0],
            [20.0, 0.0, 0.0],
            [40.0, 0.0, 0.0],
        ]);
        let best = BestSellers::of(&matrix);
        let offer = |product| {
            best.offer(&Offer {
                client: ClientNo(0),
                product: ProductNo(product),
                probability: 0.0,
                ticket: 0.0,
                money: 0.0,
            })
        };
        let first = offer(0);
        assert!((first.probability - 1.0).abs() < 1e-12 && (first.ticket - 25.0).abs() < 1e-12);
        let second = offer(1);
        assert!((second.money - 0.25 * 5.0).abs() < 1e-12);
        assert!(offer(2).probability.abs() < 1e-12);
    }

    #[test]
    fn a_hidden_ticket_is_like_the_visible_ones_of_its_product() {
        let visible = matrix(&[[10.0, 1.0, 0.0], [20.0, 2.0, 0.0], [30.0, 3.0, 0.0]]);
        let cell = |product| Hidden {
            client: ClientNo(0),
            product: ProductNo(product),
        };
        let found = product_quantiles(&visible, &[cell(0), cell(2)]);
        for (quantile, expected) in found[0].iter().zip([20.0, 26.0, 28.0]) {
            assert!((quantile - expected).abs() < 1e-9);
        }
        // 1, 2, 3, 10, 20, 30
        assert!((found[1][0] - 6.5).abs() < 1e-9);
    }
}
