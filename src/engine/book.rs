//! One portfolio in memory: what readers see.

use std::sync::Arc;

use imbl::{OrdMap, Vector};
use rayon::prelude::*;

use super::{Directory, Refusal};
use crate::domain::{
    ApiKey, Bucket, Client, ClientEvent, ClientEventKind, ClientId, ClientNo, Day, History, KeyId,
    Kind, Month, Objective, ObjectiveId, Offer, Portfolio, Product, ProductId, ProductNo, Slot,
};
use crate::matrix::{Cell, Purchase, PurchaseLog, TicketMatrix, Window};

/// What a portfolio holds, in sums that writes keep up to date.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Sales recorded; one that was replaced counts once.
    pub sales: u64,
    /// Money of all sales, in minor units.
    pub sales_amount_minor: i128,
    /// Tickets set without a date, in minor units per period.
    pub set_tickets_minor: i128,
}

/// Which offer: to whom, of what, of which kind.
pub type OfferKey = (ClientNo, ProductNo, Kind);

/// What one client spends on one product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TicketLine {
    /// The product.
    pub product: ProductNo,
    /// Minor units per period; 0 where nothing falls into the window or returns outweigh sales.
    pub ticket_minor: i64,
    /// Money of all sales of the pair, in minor units.
    pub sales_amount_minor: i64,
    /// The last day it was bought.
    pub last_day: Option<Day>,
    /// Whether the ticket was set without a date.
    pub set: bool,
}

/// One portfolio at one moment. A copy is cheap and shares everything.
///
/// Invariants: `histories` has one entry a client number; `months` counts the buckets of each
/// month; the matrix holds, for each client, exactly the tickets above 0 of its history within
/// the window (kept by [`Book::settle`]).
#[derive(Debug, Clone)]
pub struct Book {
    pub(super) portfolio: Arc<Portfolio>,
    pub(super) clients: Directory<ClientId, Client>,
    pub(super) products: Directory<ProductId, Product>,
    pub(super) histories: Vector<History>,
    pub(super) events: OrdMap<u32, Arc<Vec<ClientEvent>>>,
    pub(super) months: OrdMap<Month, u64>,
    pub(super) figures: Figures,
    pub(super) api_keys: OrdMap<KeyId, Arc<ApiKey>>,
    /// Offers that were shown or have an outcome.
    pub(super) offers: OrdMap<OfferKey, Arc<Offer>>,
    pub(super) objectives: OrdMap<ObjectiveId, Arc<Objective>>,
    pub(super) sequence: u64,
    /// The last write that anything but logs of showings, keys and objectives depends on.
    pub(super) facts_sequence: u64,
    window: Option<Window>,
    matrix: TicketMatrix,
}

impl Book {
    /// An empty book.
    pub(super) fn new(portfolio: Arc<Portfolio>) -> Self {
        Self {
            portfolio,
            clients: Directory::new(),
            products: Directory::new(),
            histories: Vector::new(),
            events: OrdMap::new(),
            months: OrdMap::new(),
            figures: Figures::default(),
            api_keys: OrdMap::new(),
            offers: OrdMap::new(),
            objectives: OrdMap::new(),
            sequence: 0,
            facts_sequence: 0,
            window: None,
            matrix: TicketMatrix::default(),
        }
    }

    /// The portfolio's settings.
    pub fn portfolio(&self) -> &Portfolio {
        &self.portfolio
    }

    /// Clients by id and number.
    pub fn clients(&self) -> &Directory<ClientId, Client> {
        &self.clients
    }

    /// Products by id and number.
    pub fn products(&self) -> &Directory<ProductId, Product> {
        &self.products
    }

    /// The keys that open it, by id.
    pub fn api_keys(&self) -> &OrdMap<KeyId, Arc<ApiKey>> {
        &self.api_keys
    }

    /// The tickets of all clients.
    pub fn matrix(&self) -> &TicketMatrix {
        &self.matrix
    }

    /// The write counter that this state includes.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The write counter of the last write that a score or an offer may depend on: showings, keys and
    /// objectives leave it as it is.
    pub fn facts_sequence(&self) -> u64 {
        self.facts_sequence
    }

    /// Offers that were shown or have an outcome, by client, product and kind.
    pub fn offers(&self) -> &OrdMap<OfferKey, Arc<Offer>> {
        &self.offers
    }

    /// Those of one client.
    pub fn offers_of(&self, client: ClientNo) -> impl Iterator<Item = (&OfferKey, &Arc<Offer>)> {
        let first = (client, ProductNo(0), Kind::ALL[0]);
        self.offers
            .range(first..)
            .take_while(move |((of, ..), _)| *of == client)
    }

    /// What is wanted of its clients, by name.
    pub fn objectives(&self) -> &OrdMap<ObjectiveId, Arc<Objective>> {
        &self.objectives
    }

    /// What it holds, in sums.
    pub fn figures(&self) -> Figures {
        self.figures
    }

    /// The first and the last month with a sale.
    pub fn months(&self) -> Option<(Month, Month)> {
        let (first, _) = self.months.get_min()?;
        let (last, _) = self.months.get_max()?;
        Some((*first, *last))
    }

    /// The day that recency is counted from: the end of the last month with a sale. Without sales,
    /// no ticket has a date, and any day serves.
    pub fn as_of(&self) -> Day {
        self.months()
            .map_or(Day::from_epoch_days(0), |(_, last)| last.day(31))
    }

    /// A client by id.
    pub fn client(&self, id: &ClientId) -> Result<(ClientNo, &Arc<Client>), Refusal> {
        let missing = || Refusal::NotFound {
            what: "client",
            id: id.to_string(),
        };
        let number = self.clients.number(id).ok_or_else(missing)?;
        let client = self.clients.get(number).ok_or_else(missing)?;
        Ok((ClientNo(number), client))
    }

    /// A product by id.
    pub fn product(&self, id: &ProductId) -> Result<(ProductNo, &Arc<Product>), Refusal> {
        let missing = || Refusal::NotFound {
            what: "product",
            id: id.to_string(),
        };
        let number = self.products.number(id).ok_or_else(missing)?;
        let product = self.products.get(number).ok_or_else(missing)?;
        Ok((ProductNo(number), product))
    }

    /// How many bytes a client's buckets are packed in: what looking through them costs.
    pub fn packed_bytes(&self, client: ClientNo) -> usize {
        let history = self.histories.get(client.index());
        history.map_or(0, History::packed_bytes)
    }

    /// A client's buckets, by product and month. Cost: the buckets.
    pub fn buckets(&self, client: ClientNo) -> impl Iterator<Item = Bucket> {
        self.histories
            .get(client.index())
            .into_iter()
            .flat_map(History::iter)
    }

    /// A client's events, by date.
    pub fn events(&self, client: ClientNo) -> &[ClientEvent] {
        self.events
            .get(&client.0)
            .map_or(&[], |events| events.as_slice())
    }

    /// Whether a complaint of the client waits to be settled.
    pub fn complaint_open(&self, client: ClientNo) -> bool {
        let is_complaint = |event: &&ClientEvent| {
            matches!(
                event.kind,
                ClientEventKind::ComplaintOpened | ClientEventKind::ComplaintClosed
            )
        };
        let last = self.events(client).iter().rfind(is_complaint);
        last.is_some_and(|event| event.kind == ClientEventKind::ComplaintOpened)
    }

    /// What a client spends, by product, in whole minor units. Cost: its buckets.
    pub fn tickets(&self, client: ClientNo) -> Vec<TicketLine> {
        let Some(history) = self.histories.get(client.index()) else {
            return Vec::new();
        };
        tickets_of(history, self.window.as_ref())
    }

    /// The dated purchases of all clients within the window. Cost: the buckets of the portfolio.
    pub fn purchase_log(&self) -> PurchaseLog {
        self.log_of(|month| self.window.is_some_and(|window| window.contains(month)))
    }

    /// All dated purchases there are. Cost: the buckets of the portfolio.
    pub fn whole_purchase_log(&self) -> PurchaseLog {
        self.log_of(|_| true)
    }

    /// Purchases of some months. A month's stand on the last day of it that had one.
    fn log_of(&self, wanted: impl Fn(Month) -> bool) -> PurchaseLog {
        let mut log = PurchaseLog::builder(self.products.numbers());
        for history in &self.histories {
            log.push_client(history.iter().filter_map(|bucket| match bucket.slot {
                Slot::Month(month) if wanted(month) => Some(Purchase {
                    product: bucket.product,
                    day: month.day(bucket.last_day_of_month),
                    amount_minor: bucket.amount_minor as f64,
                }),
                Slot::SetTicket | Slot::Month(_) => None,
            }));
        }
        log.finish()
    }

    /// Brings the matrix up to date after the histories of `changed` clients changed: those rows
    /// alone, or all where the window moved. Returns whether it was all.
    pub(super) fn settle(&mut self, changed: impl IntoIterator<Item = ClientNo>) -> bool {
        let window = self.window_of_months();
        let (clients, products) = (self.histories.len(), self.products.numbers());
        if window != self.window || self.matrix.clients() == 0 {
            self.window = window;
            let rows = self
                .histories
                .iter()
                .map(|history| row_of(history, window.as_ref()));
            self.matrix = TicketMatrix::from_rows(products, rows);
            return true;
        }
        let rows: Vec<_> = changed
            .into_iter()
            .map(|client| {
                (
                    client,
                    row_of(&self.histories[client.index()], window.as_ref()).into(),
                )
            })
            .collect();
        self.matrix = self.matrix.with_rows(clients, products, rows);
        false
    }

    /// Makes the matrix of a book that was just put back. On all cores, which no write waits for yet.
    pub(super) fn settle_whole(&mut self) {
        let window = self.window_of_months();
        let histories: Vec<&History> = self.histories.iter().collect();
        let rows = histories.par_iter();
        let rows: Vec<Vec<Cell>> = rows
            .map(|history| row_of(history, window.as_ref()))
            .collect();
        self.window = window;
        let tickets = rows.iter().map(Vec::len).sum();
        self.matrix = TicketMatrix::from_rows_with_room(self.products.numbers(), rows, tickets);
    }

    fn window_of_months(&self) -> Option<Window> {
        let (first, last) = self.months()?;
        let Portfolio { window, period, .. } = *self.portfolio;
        Some(Window::of(first, last, window, period))
    }

    /// Takes a matrix of the same tickets with nothing in its overlay.
    pub(super) fn fold(&mut self) {
        self.matrix = self.matrix.fold();
    }
}

fn row_of(history: &History, window: Option<&Window>) -> Vec<Cell> {
    let bought = tickets_of(history, window)
        .into_iter()
        .filter(|line| line.ticket_minor > 0);
    bought
        .map(|line| Cell {
            product: line.product,
            ticket: line.ticket_minor as f32,
            last_day: line.last_day,
        })
        .collect()
}

/// A ticket that was set stands in place of what the sales say. Sums saturate, which the limits on
/// amounts keep out of reach.
fn tickets_of(history: &History, window: Option<&Window>) -> Vec<TicketLine> {
    let mut lines: Vec<TicketLine> = Vec::new();
    let mut in_window = 0_i64;
    for bucket in history.iter() {
        if lines
            .last()
            .is_none_or(|line| line.product != bucket.product)
        {
            in_window = 0;
            lines.push(TicketLine {
                product: bucket.product,
                ticket_minor: 0,
                sales_amount_minor: 0,
                last_day: None,
                set: false,
            });
        }
        let Some(line) = lines.last_mut() else {
            continue;
        };
        match bucket.slot {
            Slot::SetTicket => {
                line.ticket_minor = bucket.amount_minor;
                line.set = true;
            }
            Slot::Month(month) => {
                line.sales_amount_minor =
                    line.sales_amount_minor.saturating_add(bucket.amount_minor);
                line.last_day = Some(month.day(bucket.last_day_of_month));
                if let Some(window) = window.filter(|window| window.contains(month) && !line.set) {
                    in_window = in_window.saturating_add(bucket.amount_minor);
                    line.ticket_minor = window.ticket_minor(in_window).max(0);
                }
            }
        }
    }
    lines
}
