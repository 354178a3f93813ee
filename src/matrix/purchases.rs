//! The dated purchases of a whole portfolio, for what is learnt from time.

use crate::domain::{ClientNo, Day, ProductNo};

/// Money that one client spent on one product on one day (or in one month, dated to its last
/// purchase), in minor units; negative where returns outweigh sales.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Purchase {
    /// What was bought.
    pub product: ProductNo,
    /// When.
    pub day: Day,
    /// For how much, in minor units.
    pub amount_minor: f64,
}

/// Purchases by client, each client's in the order of product, then day. 16 bytes a purchase.
#[derive(Debug, Clone, Default)]
pub struct PurchaseLog {
    products: usize,
    starts: Vec<usize>,
    purchases: Vec<Purchase>,
    days: Option<(Day, Day)>,
}

impl PurchaseLog {
    /// Starts a log over products `0..products`; clients are then pushed in number order.
    pub fn builder(products: usize) -> PurchaseLogBuilder {
        PurchaseLogBuilder {
            log: Self {
                products,
                starts: vec![0],
                ..Self::default()
            },
        }
    }

    /// Clients in the log, those without a purchase included.
    pub fn clients(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// Products that purchases may name.
    pub fn products(&self) -> usize {
        self.products
    }

    /// Purchases in all.
    pub fn len(&self) -> usize {
        self.purchases.len()
    }

    /// Whether there is no purchase in it.
    pub fn is_empty(&self) -> bool {
        self.purchases.is_empty()
    }

    /// The first and the last day with a purchase.
    pub fn days(&self) -> Option<(Day, Day)> {
        self.days
    }

    /// One client's purchases, by product, then day.
    pub fn of(&self, client: ClientNo) -> &[Purchase] {
        let at = client.index();
        &self.purchases[self.starts[at]..self.starts[at + 1]]
    }
}

/// Builds a [`PurchaseLog`] client by client.
#[derive(Debug)]
pub struct PurchaseLogBuilder {
    log: PurchaseLog,
}

impl PurchaseLogBuilder {
    /// Adds the next client's purchases, in any order; those of the same product and day are summed.
    pub fn push_client(&mut self, purchases: impl IntoIterator<Item = Purchase>) {
        let log = &mut self.log;
        let start = log.purchases.len();
        log.purchases.extend(purchases);
        log.purchases[start..].sort_by_key(|purchase| (purchase.product, purchase.day));
        let mut kept = start;
        for at in start..log.purchases.len() {
            let next = log.purchases[at];
            debug_assert!(next.product.index() < log.products);
            let same = kept > start
                && log.purchases[kept - 1].product == next.product
                && log.purchases[kept - 1].day == next.day;
            if same {
                log.purchases[kept - 1].amount_minor += next.amount_minor;
            } else {
                log.purchases[kept] = next;
                kept += 1;
            }
            log.days = Some(match log.days {
                None => (next.day, next.day),
                Some((first, last)) => (first.min(next.day), last.max(next.day)),
            });
        }
        log.purchases.truncate(kept);
        log.starts.push(kept);
    }

    /// The finished log.
    pub fn finish(self) -> PurchaseLog {
        self.log
    }
}
