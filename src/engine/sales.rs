//! Sales and set tickets, worked into clients' buckets.

use std::collections::BTreeMap;

use super::book::{Book, Figures};
use super::{EngineError, Refusal, SaleDraft, TicketDraft};
use crate::domain::{Bucket, BucketChange, ClientNo, ProductNo, Slot, Violation};
use crate::store::{SaleEntry, SaleHash};

/// At most this many violations are named in one refusal.
pub(super) const NAMED_VIOLATIONS: usize = 20;

/// Where an earlier sale of the same name is found.
pub(super) trait EarlierSales {
    /// The sale that stands under a name, if there is one.
    fn find(&self, hash: SaleHash) -> Result<Option<SaleEntry>, EngineError>;
}

/// Changes to a book's buckets, sums and sales that wait to be put in.
#[derive(Debug, Default)]
pub(super) struct Posting {
    buckets: BTreeMap<(ClientNo, ProductNo, Slot), Bucket>,
    pub(super) sales: BTreeMap<SaleHash, SaleEntry>,
    pub(super) figures: Figures,
    pub(super) created: u32,
    pub(super) replaced: u32,
}

impl Posting {
    /// Works out what these sales change in a book.
    pub(super) fn of_sales(
        book: &Book,
        earlier: &dyn EarlierSales,
        drafts: &[SaleDraft],
    ) -> Result<Self, EngineError> {
        let sales = resolve(book, drafts, "sales", |draft| {
            (&draft.client, &draft.product)
        })?;
        let mut posting = Self {
            figures: book.figures,
            ..Self::default()
        };
        for (at, (draft, (client, product))) in drafts.iter().zip(sales).enumerate() {
            let sale = SaleEntry {
                client,
                product,
                day: draft.day,
                amount_minor: draft.amount_minor,
                quantity_milli: draft.quantity_milli,
            };
            let overflow = |sum: Sum| sum.overflow(at);
            let mut old = None;
            if let Some(id) = &draft.sale_id {
                let hash = SaleHash::of(id);
                old = match posting.sales.get(&hash) {
                    Some(old) => Some(*old),
                    None => earlier.find(hash)?,
                };
                posting.sales.insert(hash, sale);
            }
            match old {
                Some(old) => {
                    posting.count(book, &old, -1).map_err(overflow)?;
                    posting.replaced += 1;
                }
                None => posting.created += 1,
            }
            posting.count(book, &sale, 1).map_err(overflow)?;
        }
        Ok(posting)
    }

    /// Works out what these set tickets change in a book.
    pub(super) fn of_tickets(book: &Book, drafts: &[TicketDraft]) -> Result<Self, EngineError> {
        let pairs = resolve(book, drafts, "tickets", |draft| {
            (&draft.client, &draft.product)
        })?;
        let mut posting = Self {
            figures: book.figures,
            ..Self::default()
        };
        for (draft, (client, product)) in drafts.iter().zip(pairs) {
            let bucket = posting.bucket(book, client, product, Slot::SetTicket);
            let old = bucket.amount_minor;
            bucket.amount_minor = draft.ticket_minor;
            bucket.sales = u32::from(draft.ticket_minor != 0);
            posting.figures.set_tickets_minor += i128::from(draft.ticket_minor) - i128::from(old);
            match old {
                0 => posting.created += 1,
                _ => posting.replaced += 1,
            }
        }
        Ok(posting)
    }

    /// The changes by client. A bucket without a sale is removed.
    pub(super) fn by_client(&self) -> BTreeMap<ClientNo, Vec<BucketChange>> {
        let mut clients: BTreeMap<ClientNo, Vec<BucketChange>> = BTreeMap::new();
        for (&(client, product, slot), &bucket) in &self.buckets {
            clients.entry(client).or_default().push(match bucket.sales {
                0 => BucketChange::Remove((product, slot)),
                _ => BucketChange::Put(bucket),
            });
        }
        clients
    }

    fn bucket(
        &mut self,
        book: &Book,
        client: ClientNo,
        product: ProductNo,
        slot: Slot,
    ) -> &mut Bucket {
        self.buckets
            .entry((client, product, slot))
            .or_insert_with(|| {
                let kept = book
                    .histories
                    .get(client.index())
                    .and_then(|history| history.get(product, slot));
                kept.unwrap_or(Bucket {
                    product,
                    slot,
                    amount_minor: 0,
                    quantity_milli: 0,
                    sales: 0,
                    last_day_of_month: 0,
                })
            })
    }

    /// Puts a sale in (`sign` 1) or takes it out (`sign` -1); an error names the sum that would
    /// overflow.
    fn count(&mut self, book: &Book, sale: &SaleEntry, sign: i64) -> Result<(), Sum> {
        let slot = Slot::Month(sale.day.month());
        let bucket = self.bucket(book, sale.client, sale.product, slot);
        let amount = bucket.amount_minor.checked_add(sign * sale.amount_minor);
        bucket.amount_minor = amount.ok_or(Sum::Amount)?;
        let quantity = bucket
            .quantity_milli
            .checked_add(sign * sale.quantity_milli);
        bucket.quantity_milli = quantity.ok_or(Sum::Quantity)?;
        if sign > 0 {
            bucket.sales = bucket.sales.checked_add(1).ok_or(Sum::Amount)?;
            bucket.last_day_of_month = bucket.last_day_of_month.max(sale.day.day_of_month());
            self.figures.sales += 1;
        } else {
            bucket.sales = bucket.sales.saturating_sub(1);
            self.figures.sales = self.figures.sales.saturating_sub(1);
        }
        self.figures.sales_amount_minor += i128::from(sign) * i128::from(sale.amount_minor);
        i64::try_from(self.figures.sales_amount_minor).map_err(|_| Sum::Amount)?;
        Ok(())
    }
}

/// A sum over sales that has no room for one more.
#[derive(Debug, Clone, Copy)]
enum Sum {
    Amount,
    Quantity,
}

impl Sum {
    /// The refusal of the sale that would overflow it.
    fn overflow(self, at: usize) -> EngineError {
        let (field, unit) = match self {
            Self::Amount => ("amount_minor", "minor units"),
            Self::Quantity => ("quantity", "thousandths of a unit"),
        };
        let reason =
            format!("makes a sum larger than 9,223,372,036,854,775,807 {unit}; check the {field}");
        let violation = Violation::new(format!("sales[{at}].{field}"), reason);
        Refusal::Invalid(vec![violation]).into()
    }
}

/// Looks up the client and the product of each item; names those that are unknown.
fn resolve<'a, T>(
    book: &Book,
    items: &'a [T],
    list: &str,
    ids: impl Fn(&'a T) -> (&'a crate::domain::ClientId, &'a crate::domain::ProductId),
) -> Result<Vec<(ClientNo, ProductNo)>, Refusal> {
    let mut violations = Vec::new();
    let mut pairs = Vec::with_capacity(items.len());
    let mut before = None;
    for (at, item) in items.iter().enumerate() {
        let (client, product) = ids(item);
        // Files mostly come client by client.
        let client_no = match before {
            Some((id, number)) if id == client => number,
            _ => book.clients.number(client),
        };
        before = Some((client, client_no));
        let product_no = book.products.number(product);
        if client_no.is_none() {
            let reason = format!(
                "names the client '{client}', which is not in the portfolio; add it with BatchUpsertClients"
            );
            violations.push(Violation::new(format!("{list}[{at}].client_id"), reason));
        }
        if product_no.is_none() {
            let reason = format!(
                "names the product '{product}', which is not in the portfolio; add it with BatchUpsertProducts"
            );
            violations.push(Violation::new(format!("{list}[{at}].product_id"), reason));
        }
        if let (Some(client), Some(product)) = (client_no, product_no) {
            pairs.push((ClientNo(client), ProductNo(product)));
        }
        if violations.len() >= NAMED_VIOLATIONS {
            break;
        }
    }
    match violations.is_empty() {
        true => Ok(pairs),
        false => Err(Refusal::Invalid(violations)),
    }
}
