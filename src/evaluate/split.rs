//! A book cut in two: what was known on a day, and what happened from it on.

use std::collections::BTreeMap;

use super::EvaluateError;
use super::input::Input;
use super::plan::{Horizon, Plan};
use crate::domain::{Attribute, ClientNo, DAYS_PER_MONTH, ProductNo, Text};
use crate::matrix::{Cell, PurchaseLog, TicketMatrix};
use crate::recommend::ProductTraits;
use crate::recommend::adoption::matrix_before;

/// A net amount up to this many minor units is nothing bought: what rounding leaves of a return.
const NOTHING_MINOR: f64 = 0.5;

/// A book as it stood before the cut, and what came after it.
///
/// Products with too few buyers before the cut are left out, then clients that had bought nothing
/// of the rest; what remains is numbered anew, in the old order. All that predicts is handed
/// [`Split::log`], which ends with the day before the cut, so nothing of what came after reaches it.
#[derive(Debug)]
pub(super) struct Split<'a> {
    /// Sales before the cut; empty where sales have no dates.
    pub(super) log: PurchaseLog,
    /// Tickets a month before the cut, or those set without a date.
    pub(super) matrix: TicketMatrix,
    pub(super) attributes: Vec<&'a BTreeMap<Text, Attribute>>,
    pub(super) products: Vec<ProductTraits>,
    /// The clients' numbers in the book that was cut.
    pub(super) client_numbers: Vec<ClientNo>,
    /// The products' numbers in it.
    pub(super) product_numbers: Vec<ProductNo>,
    pub(super) horizon: Option<Horizon>,
    /// Money a month in the window, by client, then product; above nothing.
    after: Vec<Vec<(ProductNo, f64)>>,
}

/// What a client without attributes has.
static NONE: BTreeMap<Text, Attribute> = BTreeMap::new();

impl<'a> Split<'a> {
    /// Cuts a book. Cost: the purchases, three times.
    pub(super) fn of(input: &Input<'a>, plan: &Plan) -> Result<Self, EvaluateError> {
        let horizon = plan.checked(input.log, input.tickets.is_some())?;
        let whole = match (horizon, input.tickets) {
            (Some(horizon), _) => matrix_before(input.log, horizon.as_of, DAYS_PER_MONTH),
            (None, Some(tickets)) => tickets.clone(),
            (None, None) => return Err(EvaluateError::NoSales),
        };
        let product_numbers: Vec<ProductNo> = (0..whole.products() as u32)
            .map(ProductNo)
            .filter(|&product| u64::from(whole.buyers(product)) >= least_buyers(plan))
            .collect();
        let mut new_numbers = vec![None; whole.products()];
        for (new, old) in product_numbers.iter().enumerate() {
            new_numbers[old.index()] = Some(ProductNo(new as u32));
        }
        let client_numbers: Vec<ClientNo> = (0..whole.clients() as u32)
            .map(ClientNo)
            .filter(|&client| {
                let mut cells = whole.row(client).iter();
                cells.any(|cell| new_numbers[cell.product.index()].is_some())
            })
            .collect();
        if client_numbers.is_empty() {
            let least_buyers = plan.least_buyers;
            return Err(EvaluateError::TooLittleHistory { least_buyers });
        }
        let kept = |product: ProductNo| new_numbers[product.index()];
        let mut log = PurchaseLog::builder(product_numbers.len());
        for &client in client_numbers.iter().filter(|_| horizon.is_some()) {
            let before = input.log.of(client).iter().filter_map(|purchase| {
                let known = horizon.is_some_and(|horizon| purchase.day < horizon.as_of);
                let product = kept(purchase.product).filter(|_| known)?;
                Some(crate::matrix::Purchase {
                    product,
                    ..*purchase
                })
            });
            log.push_client(before);
        }
        let log = log.finish();
        let rows = client_numbers.iter().map(|&client| -> Vec<Cell> {
            let cells = whole.row(client).iter();
            cells
                .filter_map(|cell| {
                    let product = kept(cell.product)?;
                    Some(Cell { product, ..*cell })
                })
                .collect()
        });
        let after = client_numbers
            .iter()
            .map(|&client| horizon.map_or_else(Vec::new, |at| bought(input.log, client, at, kept)))
            .collect();
        let attributes =
            |client: &ClientNo| *input.attributes.get(client.index()).unwrap_or(&&NONE);
        let traits = |product: &ProductNo| {
            let traits = input.products.get(product.index());
            traits.copied().unwrap_or_default()
        };
        Ok(Self {
            matrix: TicketMatrix::from_rows(product_numbers.len(), rows),
            log,
            attributes: client_numbers.iter().map(attributes).collect(),
            products: product_numbers.iter().map(traits).collect(),
            client_numbers,
            product_numbers,
            horizon,
            after,
        })
    }

    /// What a client spent a month on a product in the window, in minor units; 0 for nothing.
    pub(super) fn after(&self, client: ClientNo, product: ProductNo) -> f64 {
        let row = &self.after[client.index()];
        match row.binary_search_by_key(&product, |bought| bought.0) {
            Ok(at) => row[at].1,
            Err(_) => 0.0,
        }
    }
}

fn least_buyers(plan: &Plan) -> u64 {
    u64::from(plan.least_buyers.max(1))
}

/// What a client bought in the window: net money a month above nothing, by product.
fn bought(
    log: &PurchaseLog,
    client: ClientNo,
    horizon: Horizon,
    kept: impl Fn(ProductNo) -> Option<ProductNo>,
) -> Vec<(ProductNo, f64)> {
    let months = f64::from(horizon.days) / DAYS_PER_MONTH;
    let mut found: Vec<(ProductNo, f64)> = Vec::new();
    for purchase in log.of(client) {
        let Some(product) = kept(purchase.product) else {
            continue;
        };
        if purchase.day < horizon.as_of || purchase.day >= horizon.end() {
            continue;
        }
        match found.last_mut().filter(|last| last.0 == product) {
            Some(last) => last.1 += purchase.amount_minor,
            None => found.push((product, purchase.amount_minor)),
        }
    }
    found.retain(|bought| bought.1 > NOTHING_MINOR);
    for bought in &mut found {
        bought.1 /= months;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Day;
    use crate::matrix::Purchase;

    fn purchase(product: u32, day: i32, amount_minor: f64) -> Purchase {
        Purchase {
            product: ProductNo(product),
            day: Day::from_epoch_days(day),
            amount_minor,
        }
    }

    fn split(log: &PurchaseLog, days: u32, least_buyers: u32) -> Split<'_> {
        let input = Input {
            log,
            tickets: None,
            attributes: Vec::new(),
            products: &[],
        };
        let as_of = Day::from_epoch_days(100);
        let horizon = Some(Horizon { as_of, days });
        let plan = Plan {
            horizon,
            least_buyers,
        };
        Split::of(&input, &plan).unwrap()
    }

    fn book(clients: &[&[Purchase]]) -> PurchaseLog {
        let mut log = PurchaseLog::builder(3);
        for purchases in clients {
            log.push_client(purchases.iter().copied());
        }
        log.finish()
    }

    #[test]
    fn what_is_predicted_from_ends_before_the_cut_and_the_window_at_its_end() {
        let log = book(&[&[
            purchase(0, 0, 100.0),
            purchase(0, 99, 50.0),
            purchase(0, 100, 7.0),
            purchase(0, 109, 8.0),
            purchase(0, 110, 1_000.0),
            purchase(0, 120, 1_000.0),
        ]]);
        let split = split(&log, 10, 1);
        let (_, last) = split.log.days().unwrap();
        assert_eq!(last, Day::from_epoch_days(99));
        let ticket = f64::from(split.matrix.row(ClientNo(0))[0].ticket);
        assert!((ticket - 150.0 / (100.0 / DAYS_PER_MONTH)).abs() < 1e-4);
        let after = split.after(ClientNo(0), ProductNo(0));
        assert!((after - 15.0 / (10.0 / DAYS_PER_MONTH)).abs() < 1e-9);
    }

    #[test]
    fn returned_goods_rare_products_and_clients_without_the_rest_are_left_out() {
        let log = book(&[
            &[purchase(1, 3, 10.0), purchase(2, 0, 10.0)],
            &[purchase(0, 5, 10.0), purchase(0, 6, -10.0)],
            &[purchase(1, 4, 10.0), purchase(1, 101, 9.0)],
            &[purchase(2, 150, 10.0)],
        ]);
        let all = split(&log, 5, 1);
        assert_eq!(all.client_numbers, [ClientNo(0), ClientNo(2)]);
        assert_eq!(all.product_numbers, [ProductNo(1), ProductNo(2)]);
        let common = split(&log, 5, 2);
        assert_eq!(common.product_numbers, [ProductNo(1)]);
        assert_eq!(common.matrix.tickets(), 2);
        assert!(common.after(ClientNo(1), ProductNo(0)) > 0.0);
        assert!(common.after(ClientNo(0), ProductNo(0)).abs() < 1e-12);
    }

    #[test]
    fn nobody_left_is_too_little_history() {
        let log = book(&[&[purchase(0, 0, 10.0), purchase(0, 150, 10.0)]]);
        let input = Input {
            log: &log,
            tickets: None,
            attributes: Vec::new(),
            products: &[],
        };
        let as_of = Day::from_epoch_days(100);
        let horizon = Some(Horizon { as_of, days: 5 });
        let plan = Plan {
            horizon,
            least_buyers: 2,
        };
        let refused = Split::of(&input, &plan).unwrap_err();
        assert_eq!(refused, EvaluateError::TooLittleHistory { least_buyers: 2 });
    }
}
