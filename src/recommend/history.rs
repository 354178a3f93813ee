//! The back-test: what could be known on a day, and what came after it.

use rayon::prelude::*;

use super::Book;
use super::upsell::{Scratch, TicketEstimate, UpsellModel, mix};
use crate::domain::{ClientNo, DAYS_PER_MONTH, Day, ProductNo};
use crate::matrix::{Cell, PurchaseLog, Statistics, TicketMatrix};
use crate::neighbours::Subject;

/// Money a month under this many minor units counts as none.
const LEAST_TICKET: f64 = 0.5;

/// Dated purchases and the part of them that tickets are made of.
#[derive(Debug, Clone, Copy)]
pub struct History<'a> {
    /// The purchases.
    pub log: &'a PurchaseLog,
    /// The first day that counts.
    pub first: Day,
    /// The last day that counts.
    pub last: Day,
    /// How far ahead is looked, in days.
    pub horizon_days: u32,
}

/// One bought ticket on a day, and what was known of it. Amounts are minor units a month.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct View {
    /// Who.
    pub client: ClientNo,
    /// What.
    pub product: ProductNo,
    /// The ticket over all days from the first.
    pub ticket: f64,
    /// The ticket over the last horizon's days alone, never negative.
    pub recent_ticket: f64,
    /// Days since the last purchase.
    pub age_days: f64,
    /// How the client's whole spending of the last horizon compares with its average: a logarithm.
    pub trend: f64,
    /// What a client like this one spends; `None` when nobody else buys the product.
    pub estimate: Option<TicketEstimate>,
}

impl<'a> History<'a> {
    /// All purchases before `as_of`.
    pub fn of(log: &'a PurchaseLog, as_of: Day, horizon_days: u32) -> Self {
        Self {
            log,
            first: log.days().map_or(as_of, |days| days.0),
            last: as_of.plus(-1),
            horizon_days,
        }
    }

    /// The same purchases as they stood one horizon earlier.
    #[must_use]
    pub fn earlier(&self) -> Self {
        Self {
            last: self.last.plus(-(self.horizon_days as i32)),
            ..*self
        }
    }

    /// Days that count.
    pub fn days(&self) -> i32 {
        self.last.epoch_days() - self.first.epoch_days() + 1
    }

    /// Whether an earlier state leaves at least a horizon of purchases to learn from.
    pub fn has_back_test(&self) -> bool {
        self.horizon_days > 0 && i64::from(self.days()) >= 2 * i64::from(self.horizon_days)
    }

    /// Money by client and product from `first` to `last`, per month: `(product, ticket, last day)`
    /// rows. Cost: the client's purchases.
    fn row(&self, client: ClientNo, first: Day) -> Vec<Cell> {
        let days = f64::from(self.last.epoch_days() - first.epoch_days() + 1).max(1.0);
        let months = days / DAYS_PER_MONTH;
        let mut row: Vec<(Cell, f64)> = Vec::new();
        for purchase in self.log.of(client) {
            if purchase.day < first || purchase.day > self.last {
                continue;
            }
            match row.last_mut() {
                Some((cell, money)) if cell.product == purchase.product => {
                    *money += purchase.amount_minor;
                    cell.last_day = Some(purchase.day);
                }
                _ => {
                    let cell = Cell {
                        product: purchase.product,
                        ticket: 0.0,
                        last_day: Some(purchase.day),
                    };
                    row.push((cell, purchase.amount_minor));
                }
            }
        }
        let ticket = |(cell, money): (Cell, f64)| {
            let ticket = money / months;
            (money > LEAST_TICKET).then_some(Cell {
                ticket: ticket as f32,
                ..cell
            })
        };
        row.into_iter().filter_map(ticket).collect()
    }

    /// The tickets as they stood on the last day. Cost: the purchases.
    pub fn matrix(&self) -> TicketMatrix {
        let rows: Vec<Vec<Cell>> = (0..self.log.clients() as u32)
            .into_par_iter()
            .map(|client| self.row(ClientNo(client), self.first))
            .collect();
        TicketMatrix::from_rows(self.log.products(), rows)
    }

    /// Bought tickets with what was known of them on the last day, by client, then product: about
    /// `most` of them, those of whole clients taken by a hash of their number.
    ///
    /// `model` gives the choices; its figures are fitted anew to the tickets of that day. Cost:
    /// the purchases, one fit, and one estimate a ticket.
    pub fn views(&self, book: &Book<'_>, model: &UpsellModel, most: usize) -> Vec<View> {
        let matrix = self.matrix();
        let statistics = Statistics::of(&matrix);
        let book = Book {
            matrix: &matrix,
            statistics: &statistics,
            ..*book
        };
        let model = model.refit(&book);
        let share = most as f64 / matrix.tickets().max(1) as f64;
        (0..matrix.clients() as u32)
            .into_par_iter()
            .filter(|&client| mix(u64::from(client)) as f64 / u64::MAX as f64 <= share)
            .map_init(Scratch::default, |scratch, client| {
                self.client_views(&book, &model, ClientNo(client), scratch)
            })
            .flatten_iter()
            .collect()
    }

    fn client_views(
        &self,
        book: &Book<'_>,
        model: &UpsellModel,
        client: ClientNo,
        scratch: &mut Scratch,
    ) -> Vec<View> {
        let subject = Subject::existing(book.matrix, book.profiles, client);
        let recent = self.row(client, self.last.plus(1 - self.horizon_days as i32));
        let sum = |row: &[Cell]| row.iter().map(|cell| f64::from(cell.ticket)).sum::<f64>();
        let (now, before) = (sum(&recent), sum(subject.cells));
        // A hundredth of the average keeps the logarithm of a silent client finite.
        let trend = if before > 0.0 {
            ((now + 0.01 * before) / (1.01 * before)).ln()
        } else {
            0.0
        };
        model.begin(book, &subject, subject.products(), scratch);
        let view = |cell: &Cell| View {
            client,
            product: cell.product,
            ticket: f64::from(cell.ticket),
            recent_ticket: ticket_of(&recent, cell.product),
            age_days: cell.last_day.map_or(0.0, |day| {
                f64::from(self.last.epoch_days() - day.epoch_days())
            }),
            trend,
            estimate: model.estimate(book, &subject, cell.product, scratch),
        };
        subject.cells.iter().map(view).collect()
    }

    /// The ticket of a client over the horizon that ends with the last day, by product.
    pub fn recent(&self, client: ClientNo) -> Vec<Cell> {
        self.row(client, self.last.plus(1 - self.horizon_days as i32))
    }
}

/// A row's ticket for a product, 0 without one.
pub(super) fn ticket_of(row: &[Cell], product: ProductNo) -> f64 {
    match row.binary_search_by_key(&product, |cell| cell.product) {
        Ok(at) => f64::from(row[at].ticket),
        Err(_) => 0.0,
    }
}

/// Views of one horizon ago, each with the ticket that followed: what the growth ranking and the
/// probability of success learn from.
#[derive(Debug, Clone, Default)]
pub struct BackTest {
    /// By client, then product.
    pub rows: Vec<(View, f64)>,
}

impl BackTest {
    /// Runs a back-test; empty where the history is shorter than two horizons.
    ///
    /// Cost: that of [`History::views`] on the earlier state, and the purchases once more.
    pub fn of(history: &History<'_>, book: &Book<'_>, model: &UpsellModel, most: usize) -> Self {
        if !history.has_back_test() {
            return Self::default();
        }
        let views = history.earlier().views(book, model, most);
        let mut rows = Vec::with_capacity(views.len());
        let mut after: (Option<ClientNo>, Vec<Cell>) = (None, Vec::new());
        for view in views {
            if after.0 != Some(view.client) {
                after = (Some(view.client), history.recent(view.client));
            }
            rows.push((view, ticket_of(&after.1, view.product)));
        }
        Self { rows }
    }
}
