//! What is known of the book itself, kept up to date beside the offers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use imbl::Vector;
use rayon::prelude::*;

use super::changed::Changed;
use super::clock::today;
use super::moments::Moment;
use super::pages::{Paged, Renewal, Work};
use super::recipes::recipe_of;
use super::tenant::{FRESH_MODEL_TICKETS, Tenant};
use super::{Book, EngineError, Refusal, TicketLine};
use crate::domain::{
    Attribute, Client, ClientEventKind, ClientNo, Day, Month, Product, ProductNo, Share, Text,
};
use crate::insight::{
    Buyers, ChurnModel, ClientInsight, Facts, Grouping, Insights, Lapse, LapseModel, Member,
    Segment, SegmentNo, Segmentation, ShareModel, Signal, Tally, Trends,
};
use crate::recommend::Recipe;

/// The background makes insights again no sooner than this many times as long as they last took …
const REST: u32 = 10;
/// … but at the latest after this, so that they are fresh within two seconds.
const MOST_REST: Duration = Duration::from_secs(1);
/// The attribute that may hold the end of a client's contract, as a date.
const CONTRACT_END: &str = "contract_end";
/// Pairs of client and product that lapses are learnt from at most, those of every so many-th client.
const MOST_LAPSE_PAIRS: usize = 100_000;

/// What is learnt from a book as a whole: who stops, and which segments there are.
#[derive(Debug)]
pub struct Past {
    /// The write counter of the state that it was learnt from.
    pub sequence: u64,
    /// [`Book::facts_sequence`] of that state.
    facts_sequence: u64,
    /// Clients that stop.
    pub churn: ChurnModel,
    /// Products that clients stop buying.
    pub lapse: LapseModel,
    /// Whether all buyers of each product go on with it.
    pub trends: Trends,
    /// How much of it they buy.
    pub share: ShareModel,
    /// Segments; `None` until the renewal of a large book has learnt them.
    pub segments: Option<Segmentation>,
}

impl Past {
    /// Learns from a book; segments only where they are asked for. Cost: see [`ChurnModel::learn`] and
    /// [`Segmentation::learn`].
    fn learn(book: &Book, last_sale: Option<Day>, recipe: &Recipe, segments: bool) -> Self {
        let segments = segments.then(|| segmentation(book, recipe));
        let (churn, lapse, trends) = stops(book, last_sale, recipe);
        Self {
            sequence: book.sequence(),
            facts_sequence: book.facts_sequence(),
            churn,
            lapse,
            trends,
            share: shares(book, segments.as_ref(), last_sale, recipe),
            segments,
        }
    }

    /// The segment of a client.
    pub(super) fn segment(&self, book: &Book, client: ClientNo) -> Option<SegmentNo> {
        segment(book, self.segments.as_ref()?, client)
    }
}

fn segment(book: &Book, segments: &Segmentation, client: ClientNo) -> Option<SegmentNo> {
    let record = book.clients().get(client.0)?;
    segments.of(member(book, client, record))
}

fn member<'a>(book: &'a Book, client: ClientNo, record: &'a Client) -> Member<'a> {
    Member {
        cells: book.matrix().row(client),
        attributes: &record.attributes,
    }
}

/// The segments of a book's clients that buy.
fn segmentation(book: &Book, recipe: &Recipe) -> Segmentation {
    let clients = book.clients().from(0);
    let members: Vec<Member<'_>> = clients
        .map(|(number, client)| member(book, ClientNo(number), client))
        .filter(|member| !member.cells.is_empty())
        .collect();
    let group = |number: u32| {
        let product = book.products().get(number);
        product.map_or_else(Text::default, |product| group_of(product))
    };
    let groups: Vec<Text> = (0..book.products().numbers() as u32).map(group).collect();
    Segmentation::learn(&members, &groups, &recipe.segments)
}

/// What a product is counted under in a client's mix: its category, or itself where it has none.
fn group_of(product: &Product) -> Text {
    let own = || Text::parse(product.id.as_str()).unwrap_or_default();
    [&product.category, &product.name]
        .into_iter()
        .find(|text| !text.is_empty())
        .map_or_else(own, Clone::clone)
}

/// What a book's past says of clients and products that stop.
fn stops(book: &Book, last_sale: Option<Day>, recipe: &Recipe) -> (ChurnModel, LapseModel, Trends) {
    let clients = book.clients().numbers();
    let span = book.months().zip(last_sale);
    let Some(span) = span.map(|((first, _), last_sale)| (first, last_sale)) else {
        let none = |_: usize| std::iter::empty();
        let nowhere = (Month::from_number(0), Day::from_epoch_days(0));
        let lapse = LapseModel::learn(0, none, nowhere, recipe);
        return (ChurnModel::prior(recipe), lapse, Trends::default());
    };
    let buckets = |client: usize| book.buckets(ClientNo(client as u32));
    let every = book.matrix().tickets().div_ceil(MOST_LAPSE_PAIRS).max(1);
    let mut pairs: Vec<(usize, ProductNo)> = Vec::new();
    for client in (0..clients).step_by(every) {
        pairs.extend(buckets(client).map(|bucket| (client, bucket.product)));
    }
    pairs.dedup();
    let of_pair = |pair: usize| {
        let (client, product) = pairs[pair];
        let history = book.histories.get(client).into_iter();
        history.flat_map(move |history| history.buckets_of(product))
    };
    let churn = ChurnModel::learn(clients, buckets, span, &Signal::OF_CLIENTS, recipe);
    let lapse = LapseModel::learn(pairs.len(), of_pair, span, recipe);
    let products = book.products().numbers();
    let trends = Trends::of(clients, products, buckets, span.1.month(), recipe);
    (churn, lapse, trends)
}

/// What a book's past says of shares of clients that are lost.
fn shares(
    book: &Book,
    segments: Option<&Segmentation>,
    last_sale: Option<Day>,
    recipe: &Recipe,
) -> ShareModel {
    let Some(((first, _), last_sale)) = book.months().zip(last_sale) else {
        return ShareModel::prior(recipe);
    };
    let clients = book.clients().numbers();
    let of = |client: u32| segment(book, segments?, ClientNo(client));
    let all = (0..clients as u32).into_par_iter();
    let segment_of: Vec<Option<SegmentNo>> = all.map(of).collect();
    let buckets = |client: usize| book.buckets(ClientNo(client as u32));
    let buyers = Buyers {
        clients,
        products: book.products().numbers(),
        segments: segments.map_or(0, |segments| segments.segments().len()),
        buckets: &buckets,
        segment: &|client: usize| segment_of[client],
    };
    ShareModel::learn(&buyers, (first, last_sale), recipe)
}

/// Every client of a portfolio in its place, and what that was made of.
#[derive(Debug)]
pub struct Insighted {
    /// The moment they are of.
    pub moment: Arc<Moment>,
    /// The recipe whose rules they follow.
    pub recipe: Arc<Recipe>,
    /// What was learnt from the book as a whole.
    pub past: Arc<Past>,
    /// The clients.
    pub insights: Insights,
    facts: Vector<Option<Facts>>,
    months: Option<(Month, Month)>,
    made_at: Instant,
    took: Duration,
}

impl Paged for Insighted {
    fn renewal(&self) -> Renewal {
        let clients = self.facts.len() * size_of::<ClientInsight>();
        Renewal {
            work: Work::Insights,
            id: Arc::as_ptr(&self.past).addr(),
            bytes: self.moment.bytes() + clients,
        }
    }
}

impl Insighted {
    /// Whether they hold at a state of the portfolio, today.
    fn is_of(&self, facts_sequence: u64) -> bool {
        self.moment.book.facts_sequence() >= facts_sequence
            && (self.months.is_some() || self.insights.as_of == today())
    }

    /// The products that a client may have stopped buying, most money at risk first. Cost: its buckets.
    pub fn lapses(&self, client: ClientNo) -> Vec<Lapse> {
        let Some((first, _)) = self.months else {
            return Vec::new();
        };
        let buckets: Vec<_> = self.moment.book.buckets(client).collect();
        let as_of = self.insights.as_of;
        self.past.lapse.lapses(&buckets, first, as_of, &self.recipe)
    }

    /// The segments of the clients; empty where there are none, or a large book's are not learnt yet.
    pub fn segments(&self) -> &[Segment] {
        let segments = self.past.segments.as_ref();
        segments.map_or(&[], Segmentation::segments)
    }

    /// The segments, where they are learnt.
    pub fn learnt_segments(&self) -> Result<&Segmentation, Refusal> {
        self.past.segments.as_ref().ok_or_else(|| {
            let text = "the segments of a large portfolio are learnt in the background; ask again once ListSegments says is_learnt";
            Refusal::Precondition(text.to_owned())
        })
    }

    /// The segment of a client.
    pub fn segment_of(&self, client: ClientNo) -> Option<&Segment> {
        let segment = self.insights.get(client)?.facts.segment?;
        self.past.segments.as_ref()?.get(segment)
    }

    /// The clients of a moment, made of earlier ones where few changed since. What is learnt from the
    /// book as a whole is learnt anew in a small book, and goes on in a large one. Cost: the buckets of
    /// the clients that changed, or of all, and sorting the clients.
    fn of(
        last: Option<&Self>,
        changed: &Changed,
        moment: Arc<Moment>,
        learn: Learn,
    ) -> Result<Self, EngineError> {
        let began = Instant::now();
        let book = &moment.book;
        let recipe = recipe_of(book.portfolio())?;
        let months = book.months();
        let margins: Vec<f64> = (0..book.products().numbers() as u32)
            .map(|number| {
                let product = book.products().get(number);
                let rate = product.and_then(|product| product.margin_rate);
                rate.map_or(recipe.offer.margin_rate, Share::get)
            })
            .collect();
        let numbers = book.clients().numbers();
        let margin = |product: ProductNo| margins[product.index()];
        let of = |tally: &mut Tally, client: ClientNo| facts(book, client, tally, &margin);
        let all = || (0..numbers as u32).into_par_iter().map(ClientNo);
        let last = last.filter(|last| last.months == months);
        let kept = match changed {
            Changed::Clients(changed) => last.map(|last| (last, changed)),
            Changed::All => None,
        };
        let mut facts = match kept {
            Some((last, changed)) => {
                let mut facts = last.facts.clone();
                facts.truncate(numbers);
                facts.extend((facts.len()..numbers).map(|_| None));
                let mut tally = Tally::default();
                for client in changed {
                    facts.set(client.index(), of(&mut tally, *client));
                }
                facts
            }
            None => {
                let facts: Vec<Option<Facts>> = all().map_init(Tally::default, of).collect();
                facts.into()
            }
        };
        let known = facts.iter().flatten();
        let last_sale = known.filter_map(|facts| facts.purchases.last_day).max();
        let periods_a_year = 12 / book.portfolio().period.months();
        let as_of = last_sale.unwrap_or_else(today);
        let past = match learn {
            Learn::Nothing(past) => past,
            Learn::Stops => Arc::new(Past::learn(book, last_sale, &recipe, false)),
            Learn::All => Arc::new(Past::learn(book, last_sale, &recipe, true)),
        };
        let mut put = |client: ClientNo, segment: Option<SegmentNo>| {
            if let Some(Some(facts)) = facts.get_mut(client.index()) {
                facts.segment = segment;
            }
        };
        match kept.filter(|(last, _)| Arc::ptr_eq(&last.past, &past)) {
            Some((_, changed)) => {
                for client in changed {
                    put(*client, past.segment(book, *client));
                }
            }
            None => {
                let segments: Vec<Option<SegmentNo>> =
                    all().map(|client| past.segment(book, client)).collect();
                let both = (0..).map(ClientNo).zip(segments);
                both.for_each(|(client, segment)| put(client, segment));
            }
        }
        let same = |(last, _): &(&Self, _)| Arc::ptr_eq(&last.past, &past) && last.recipe == recipe;
        let earlier = kept.filter(same);
        let earlier = earlier.map(|(last, changed)| (&last.insights, changed));
        let insights = Insights::of(earlier, &facts, as_of, periods_a_year, &past.churn, &recipe);
        Ok(Self {
            moment,
            recipe,
            past,
            insights,
            facts,
            months,
            made_at: Instant::now(),
            took: began.elapsed(),
        })
    }
}

/// What is learnt from a book as a whole when its clients are put in their places.
enum Learn {
    /// Nothing: this goes on.
    Nothing(Arc<Past>),
    /// Who stops; segments are left to the renewal.
    Stops,
    /// Everything.
    All,
}

impl Book {
    /// What a name of the caller's tells clients apart by. Cost: see [`Grouping::named`].
    pub fn grouping(&self, name: &Text) -> Grouping {
        Grouping::named(
            name,
            self.clients().from(0).map(|(_, client)| client.as_ref()),
        )
    }
}

/// What is known of one client; `None` where there is none of the number.
pub(super) fn facts(
    book: &Book,
    client: ClientNo,
    tally: &mut Tally,
    margin: &(impl Fn(ProductNo) -> f64 + ?Sized),
) -> Option<Facts> {
    let record = book.clients().get(client.0)?;
    let ticket = |sum: i64, line: &TicketLine| sum.saturating_add(line.ticket_minor);
    Some(Facts {
        purchases: book.months().map_or_else(Default::default, |months| {
            tally.sum(book.buckets(client), months, margin)
        }),
        ticket_minor: book.tickets(client).iter().fold(0, ticket),
        contract_end: contract_end(book, client, record),
        segment: None,
    })
}

/// The day on which the latest contract of a client ends, by its events or its attribute.
fn contract_end(book: &Book, client: ClientNo, record: &Client) -> Option<Day> {
    let contracts = book
        .events(client)
        .iter()
        .filter(|event| event.kind == ClientEventKind::Contract);
    let attribute = match record.attributes.get(CONTRACT_END) {
        Some(Attribute::Text(text)) => Day::parse(text.as_str()).ok(),
        _ => None,
    };
    contracts
        .filter_map(|event| event.end_day)
        .chain(attribute)
        .max()
}

/// The latest insights of a portfolio. Whoever makes them holds `making`, so that nobody else does.
#[derive(Debug, Default)]
pub(super) struct LatestInsights {
    latest: ArcSwapOption<Insighted>,
    making: Mutex<()>,
    /// Somebody asked since the background made the latest.
    asked: AtomicBool,
}

impl Tenant {
    /// Every client of the portfolio in its place, of this moment. What the whole book teaches is learnt
    /// anew in a small one, and in a large one by [`Tenant::renew_insights`].
    pub fn insights(&self) -> Result<Arc<Insighted>, EngineError> {
        self.latest_insights().asked.store(true, Ordering::Relaxed);
        self.fresh_insights()
    }

    /// The latest insights there are.
    pub(super) fn insights_there_are(&self) -> Option<Arc<Insighted>> {
        self.latest_insights().latest.load_full()
    }

    fn fresh_insights(&self) -> Result<Arc<Insighted>, EngineError> {
        let cell = self.latest_insights();
        let sequence = self.book().facts_sequence();
        let fresh = |last: &Arc<Insighted>| last.is_of(sequence);
        if let Some(last) = cell.latest.load_full().filter(fresh) {
            return Ok(last);
        }
        let _making = cell.making.lock().unwrap_or_else(PoisonError::into_inner);
        let last = cell.latest.load_full();
        let sequence = self.book().facts_sequence();
        match last.clone().filter(|last| last.is_of(sequence)) {
            Some(last) => Ok(last),
            None => self.advance_insights(last.as_deref()),
        }
    }

    /// Makes the latest insights of earlier ones. Only who holds `making` may.
    fn advance_insights(&self, last: Option<&Insighted>) -> Result<Arc<Insighted>, EngineError> {
        let moment = self.moment();
        let changed = last.map_or(Changed::All, |last| {
            self.changed(last.moment.book.sequence(), &moment.book)
        });
        let learn = match last {
            _ if is_small(&moment.book) => Learn::All,
            Some(last) => Learn::Nothing(last.past.clone()),
            None => Learn::Stops,
        };
        let made = Arc::new(Insighted::of(last, &changed, moment, learn)?);
        self.latest_insights().latest.store(Some(made.clone()));
        Ok(made)
    }

    /// The latest insights there are where the book is large, so that an answer does not wait for them;
    /// those of this moment where it is small.
    pub(super) fn insights_for_now(&self) -> Result<Arc<Insighted>, EngineError> {
        let small = is_small(&self.book());
        let dated = |last: &Arc<Insighted>| last.months.is_some() || last.insights.as_of == today();
        match self.latest_insights().latest.load_full().filter(dated) {
            Some(last) if !small => Ok(last),
            _ => self.insights(),
        }
    }

    /// Learns what the whole of a large book teaches anew; who asks is served what there is meanwhile.
    pub(super) fn renew_insights(&self) -> Result<(), EngineError> {
        let cell = self.latest_insights();
        let moment = self.moment();
        let facts = moment.book.facts_sequence();
        let known = cell
            .latest
            .load_full()
            .is_some_and(|last| last.past.segments.is_some() && last.past.facts_sequence == facts);
        if known || is_small(&moment.book) {
            return Ok(());
        }
        let renewed = Insighted::of(None, &Changed::All, moment, Learn::All)?;
        tracing::info!(
            portfolio = %renewed.moment.book.portfolio().id,
            sequence = renewed.moment.book.sequence(),
            segments = renewed.segments().len(),
            took_ms = renewed.took.as_millis() as u64,
            "insights renewed"
        );
        let _making = cell.making.lock().unwrap_or_else(PoisonError::into_inner);
        self.advance_insights(Some(&renewed))?;
        Ok(())
    }

    /// Makes insights of what was written meanwhile, so that who asks next need not wait: where somebody
    /// asked since the last time, and not all the time, since every client takes its place anew.
    pub(super) fn refresh_insights(&self) -> Result<(), EngineError> {
        let cell = self.latest_insights();
        let rested =
            |last: &Arc<Insighted>| last.made_at.elapsed() >= (last.took * REST).min(MOST_REST);
        let due = cell.latest.load().as_ref().is_some_and(rested);
        if due && cell.asked.swap(false, Ordering::Relaxed) {
            self.fresh_insights()?;
        }
        Ok(())
    }
}

/// Whether what the whole book teaches is learnt anew with every write.
pub(super) fn is_small(book: &Book) -> bool {
    book.matrix().tickets() <= FRESH_MODEL_TICKETS
}
