//! The moments of a portfolio: its book after each group of writes, with what was measured of it.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use arc_swap::ArcSwap;

use super::Book;
use super::changed::{ChangeLog, Changed, Touched};
use super::view::{SMALL_BOOK_TICKETS, View};
use crate::domain::ClientNo;

/// A share of clients that changed since the book was measured as a whole, from which on that is done again.
pub(super) const MEASURED_SHARE: f64 = 0.125;

/// One moment of a portfolio: its book, and the measures of it, worked out when first asked for.
#[derive(Debug)]
pub struct Moment {
    /// The book.
    pub book: Arc<Book>,
    view: OnceLock<Arc<View>>,
    /// Measures of an earlier book, and the clients that changed since.
    earlier: Option<(Arc<View>, Changed)>,
    /// Which write last concerned each client.
    touched: Touched,
}

/// About what a ticket takes in the matrix and the measures of it.
const TICKET_BYTES: usize = 48;

impl Moment {
    /// About how many bytes it takes, where no other shares its matrix and measures.
    pub(super) fn bytes(&self) -> usize {
        self.book.matrix().tickets() * TICKET_BYTES
    }

    /// The write that a client's offers have to include to be given at this moment: the last of all where
    /// the book is small, else the last that concerned the client. What a write means for the offers of others is
    /// worked out by the renewal.
    fn to_include(&self, client: ClientNo) -> u64 {
        match self.book.matrix().tickets() > SMALL_BOOK_TICKETS {
            true => self.touched.last(client),
            false => self.book.facts_sequence(),
        }
    }

    /// Whether offers of a client that follow from one state of the book are those of this moment. Later ones
    /// are not: they may name what the moment does not know.
    pub(super) fn is_served_by(&self, client: ClientNo, facts_sequence: u64) -> bool {
        (self.to_include(client)..=self.book.facts_sequence()).contains(&facts_sequence)
    }

    /// The measures of the book.
    pub fn view(&self) -> &Arc<View> {
        self.view.get_or_init(|| {
            let large = self.book.matrix().tickets() > SMALL_BOOK_TICKETS;
            Arc::new(match &self.earlier {
                Some((view, Changed::Clients(clients))) if large => {
                    view.refresh(&self.book, clients)
                }
                _ => View::of(&self.book),
            })
        })
    }
}

/// The latest moment of a portfolio, and what the writes before it touched.
#[derive(Debug)]
pub(super) struct Moments {
    latest: ArcSwap<Moment>,
    /// Held while one moment is put in the place of another.
    log: Mutex<ChangeLog>,
}

impl Moments {
    /// From a book on.
    pub(super) fn from(book: Book) -> Self {
        let log = ChangeLog::after(book.sequence());
        let first = Moment {
            touched: Touched::after(book.facts_sequence()),
            book: Arc::new(book),
            view: OnceLock::new(),
            earlier: None,
        };
        Self {
            latest: ArcSwap::from_pointee(first),
            log: Mutex::new(log),
        }
    }

    /// The moment as it is now.
    pub(super) fn latest(&self) -> Arc<Moment> {
        self.latest.load_full()
    }

    /// What writes after a sequence touched, up to those that a book includes.
    pub(super) fn changed(&self, after: u64, book: &Book) -> Changed {
        self.log().between(after, book.sequence())
    }

    /// Shows readers the next book. Only the commit thread calls this.
    pub(super) fn publish(&self, book: Book, changed: Changed) {
        let mut log = self.log();
        let last = self.latest.load();
        let view = match (last.view.get(), changed.is_nobody()) {
            (Some(view), true) => OnceLock::from(view.clone()),
            _ => OnceLock::new(),
        };
        let earlier = match (last.view.get(), &last.earlier) {
            (Some(view), _) => Some((view.clone(), changed.clone())),
            (None, Some((view, before))) => {
                let mut all = before.clone();
                all.merge(&changed);
                Some((view.clone(), all))
            }
            (None, None) => None,
        };
        let touched = last.touched.with(book.facts_sequence(), &changed);
        log.push(book.sequence(), changed);
        self.latest.store(Arc::new(Moment {
            touched,
            book: Arc::new(book),
            view,
            earlier,
        }));
    }

    /// Measures the book as a whole again where more than a share of its clients changed since it was: medians move
    /// with the book, and every search goes through the clients that changed. Cost: see [`View::of`].
    pub(super) fn measure_anew(&self, share: f64) {
        let moment = self.latest();
        let book = &moment.book;
        let changed = moment.view().cosine.changed_rows() as f64;
        if changed <= share * book.clients().numbers() as f64 {
            return;
        }
        let view = Arc::new(View::of(book));
        let log = self.log();
        let now = self.latest();
        let changed = log.between(book.sequence(), now.book.sequence());
        self.latest.store(Arc::new(Moment {
            book: now.book.clone(),
            view: match changed.is_nobody() {
                true => OnceLock::from(view.clone()),
                false => OnceLock::new(),
            },
            earlier: Some((view, changed)),
            touched: now.touched.clone(),
        }));
    }

    /// A poisoned lock guards a list that no step leaves half done.
    fn log(&self) -> MutexGuard<'_, ChangeLog> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
pub(super) mod tests {

    use super::super::books::{client, portfolio, product};
    use super::super::ledger::Ledger;
    use super::super::sales::EarlierSales;
    use super::super::{EngineError, TicketDraft, Write, WriteRequest};
    use super::*;
    use crate::domain::PortfolioNo;
    use crate::matrix::Statistics;
    use crate::store::{SaleEntry, SaleHash};

    struct NoSales;

    impl EarlierSales for NoSales {
        fn find(&self, _: SaleHash) -> Result<Option<SaleEntry>, EngineError> {
            Ok(None)
        }
    }

    pub(in super::super) const CLIENTS: usize = 150;
    pub(in super::super) const PRODUCTS: usize = 50;

    /// Whoever writes to a large book without dates, in which every client buys every product.
    pub(in super::super) struct Writing {
        ledger: Ledger,
    }

    impl Writing {
        /// The book as it was first written.
        pub(in super::super) fn begin() -> (Self, Book) {
            let ledger = Ledger::create(PortfolioNo(1), portfolio());
            let mut writing = Self { ledger };
            writing.apply(Write::UpsertClients((0..CLIENTS).map(client).collect()));
            writing.apply(Write::UpsertProducts((0..PRODUCTS).map(product).collect()));
            let (book, _) = writing.set(0..CLIENTS, 1_000);
            assert!(book.matrix().tickets() > SMALL_BOOK_TICKETS);
            (writing, book)
        }

        /// Sets all tickets of some clients, to some hundred minor units from a base on.
        pub(in super::super) fn set(
            &mut self,
            clients: std::ops::Range<usize>,
            base_minor: i64,
        ) -> (Book, Changed) {
            let ticket = |of: usize, sold: usize| TicketDraft {
                client: client(of).id,
                product: product(sold).id,
                ticket_minor: base_minor + ((of * 31 + sold * 17) % 97) as i64,
            };
            let all = clients
                .flat_map(|client| (0..PRODUCTS).map(move |product| (client, product)))
                .map(|(client, product)| ticket(client, product));
            self.apply(Write::SetTickets(all.collect()))
        }

        fn apply(&mut self, write: Write) -> (Book, Changed) {
            let request = WriteRequest {
                portfolio: portfolio().id,
                request_id: None,
                write,
            };
            self.ledger.apply(&request, &NoSales, 0).unwrap();
            let sent = self.ledger.send();
            self.ledger.landed();
            sent
        }
    }

    #[test]
    fn a_large_book_is_measured_anew_once_many_clients_changed() {
        let (mut writing, book) = Writing::begin();
        let moments = Moments::from(book);
        let measured = |moments: &Moments| moments.latest().view().statistics.clone();
        let as_they_are = |moments: &Moments| Statistics::of(moments.latest().book.matrix());
        assert_eq!(measured(&moments), as_they_are(&moments));

        // One client moves no median to speak of; a fifth of them do.
        let (book, changed) = writing.set(0..1, 9_000);
        moments.publish(book, changed);
        moments.measure_anew(MEASURED_SHARE);
        assert_eq!(moments.latest().view().cosine.changed_rows(), 1);
        let (book, changed) = writing.set(0..CLIENTS / 5, 9_000);
        moments.publish(book, changed);
        assert_ne!(measured(&moments), as_they_are(&moments));
        moments.measure_anew(MEASURED_SHARE);
        assert_eq!(measured(&moments), as_they_are(&moments));
        assert_eq!(moments.latest().view().cosine.changed_rows(), 0);

        // What was written while the book was measured is not lost to the measures.
        let (book, changed) = writing.set(7..9, 20_000);
        moments.publish(book, changed);
        assert_eq!(moments.latest().view().cosine.changed_rows(), 2);
    }
}
