//! Durable writes beside the least that they could take: `cargo bench --bench store -- M --seconds 5`
//! (S, M or L; `--rounds 5`; `TMPDIR` chooses the disk). With `--test`, or without a size, once and shortly at size S.
//!
//! Both sides have 64 writers that each wait for their answer, and commit in groups of what waits; an answer means
//! that the bytes are on the disk, by the same call to the system on both sides.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

#[path = "../book/mod.rs"]
mod book;
mod raw;
mod writers;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use book::{Random, Size};
use carteira::domain::{
    Bucket, BucketChange, Client, ClientId, Currency, Day, History, Language, Period, Portfolio,
    PortfolioId, Product, ProductId, ProductNo, Slot, Text, WindowMonths,
};
use carteira::engine::{Engine, Patience, SaleDraft, TicketDraft, Write, WriteRequest};
use carteira::store::OpenOptions;
use raw::{Appended, Batched};
use writers::{Rate, write};

/// As in the server: the allocator is a part of what a write takes.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Sales of one write.
const SALES: usize = 100;
/// Items of one write while a book is loaded.
const LOADED: usize = 10_000;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let value = |name: &str| -> Option<f64> {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)?.parse().ok()
    };
    let once = arguments.iter().any(|argument| argument == "--test")
        || !arguments.iter().any(|name| Size::named(name).is_some());
    let lasts = Duration::from_secs_f64(value("--seconds").unwrap_or(if once { 0.3 } else { 5.0 }));
    let rounds = value("--rounds").map_or(if once { 1 } else { 5 }, |rounds| rounds as usize);
    for size in Size::of_arguments() {
        let home = tempfile::tempdir().unwrap();
        measure(size, home.path(), rounds, lasts).await;
    }
}

async fn measure(size: Size, home: &Path, rounds: usize, lasts: Duration) {
    let rows = book::rows(size);
    let dir = home.join("data");
    let engine = Arc::new(Engine::open(&dir, &OpenOptions::default()).unwrap());
    load(&engine, &rows, size.products).await;
    let bytes = packed_bytes(&rows);
    println!(
        "{}: {} clients; a packed row takes {bytes} bytes",
        size.name,
        rows.len(),
    );
    let (mut tickets, mut appended) = (Vec::new(), Vec::new());
    let (mut sales, mut batched) = (Vec::new(), Vec::new());
    let rows = Arc::new(rows);
    let appending = Appended::start(&home.join("raw"), bytes);
    let batching = Batched::start(&home.join("sled"), rows.len() as u64, bytes);
    for round in 0..rounds as u64 {
        quiet().await;
        let raw = appending.clone();
        appended.push(write(lasts, round, |_| (), move |()| raw.clone().write()).await);
        let (book, store) = (rows.clone(), engine.clone());
        let one = move |random: &mut Random| ticket(&book, random);
        let rate = write(lasts, round, one, move |write| apply(store.clone(), write));
        tickets.push(rate.await);
        quiet().await;
        let (raw, clients) = (batching.clone(), rows.len());
        let some = move |random: &mut Random| {
            let mut client = || random.under(clients) as u64;
            (0..SALES).map(|_| client()).collect()
        };
        batched.push(write(lasts, round, some, move |keys| raw.clone().write(keys)).await);
        let (book, store) = (rows.clone(), engine.clone());
        let some = move |random: &mut Random| sold(&book, random);
        let rate = write(lasts, round, some, move |write| apply(store.clone(), write));
        sales.push(rate.await);
    }
    told(
        "one ticket changed",
        &tickets,
        "the same bytes appended to a file",
        &appended,
        1,
    );
    told(
        "100 sales recorded",
        &sales,
        "raw sled, the same batches",
        &batched,
        SALES,
    );
}

/// Waits until the engine has worked out in the background what was written before: the raw side is not to pay for it.
async fn quiet() {
    const LOOK: Duration = Duration::from_millis(500);
    let began = Instant::now();
    // A model is fitted after two seconds of quiet, so that as long without work is none to come.
    let mut idle = 0;
    while idle < 6 && began.elapsed() < Duration::from_secs(120) {
        let before = spent();
        tokio::time::sleep(LOOK).await;
        let busy = spent().saturating_sub(before) > LOOK / 20;
        idle = if busy { 0 } else { idle + 1 };
    }
}

/// Processor time that this process has taken.
fn spent() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// Prints one row.
fn told(what: &str, ours: &[Rate], raw: &str, theirs: &[Rate], items: usize) {
    let median = |rates: &[Rate], of: fn(&Rate) -> f64| {
        let mut all: Vec<f64> = rates.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    let ratios: Vec<Rate> = (ours.iter().zip(theirs))
        .map(|(a, b)| Rate {
            a_second: a.a_second / b.a_second,
            p99_ms: a.p99_ms / b.p99_ms,
        })
        .collect();
    let items = items as f64;
    println!(
        "  {what}: {:.0} items a second, p99 {:.1} ms; {raw}: {:.0}, {:.1} ms; ratio {:.3}",
        items * median(ours, |rate| rate.a_second),
        median(ours, |rate| rate.p99_ms),
        items * median(theirs, |rate| rate.a_second),
        median(theirs, |rate| rate.p99_ms),
        median(&ratios, |rate| rate.a_second),
    );
}

fn portfolio() -> PortfolioId {
    PortfolioId::parse("book").unwrap()
}

fn client(at: usize) -> ClientId {
    ClientId::parse(&format!("c{at:06}")).unwrap()
}

fn product(at: usize) -> ProductId {
    ProductId::parse(&format!("p{at:05}")).unwrap()
}

/// Applies a write; it is durable when this answers.
async fn apply(engine: Arc<Engine>, write: Write) {
    let request = WriteRequest {
        portfolio: portfolio(),
        request_id: None,
        write,
    };
    let patience = Patience::until(Instant::now() + Duration::from_secs(600));
    engine.apply(request, &patience).await.unwrap();
}

/// One ticket of somebody, set to another amount.
fn ticket(rows: &[Vec<(u32, f32)>], random: &mut Random) -> Write {
    let of = random.under(rows.len());
    let (sold, ticket) = rows[of][random.under(rows[of].len())];
    Write::SetTickets(vec![TicketDraft {
        client: client(of),
        product: product(sold as usize),
        ticket_minor: (f64::from(ticket) * (0.7 + 0.6 * random.unit())) as i64 + 1,
    }])
}

/// Sales of what clients buy, within one month, so that the window of months stays.
fn sold(rows: &[Vec<(u32, f32)>], random: &mut Random) -> Write {
    let sale = |_| {
        let of = random.under(rows.len());
        let (sold, ticket) = rows[of][random.under(rows[of].len())];
        SaleDraft {
            client: client(of),
            product: product(sold as usize),
            day: Day::from_epoch_days(20_423 + random.under(28) as i32),
            amount_minor: ticket as i64 + 1,
            quantity_milli: 1_000,
            sale_id: None,
        }
    };
    Write::RecordSales((0..SALES).map(sale).collect())
}

async fn load(engine: &Arc<Engine>, rows: &[Vec<(u32, f32)>], products: usize) {
    apply(engine.clone(), Write::CreatePortfolio(founded())).await;
    let numbers: Vec<usize> = (0..rows.len().max(products)).collect();
    for some in numbers[..products].chunks(LOADED) {
        let made = some.iter().map(|at| plain_product(*at));
        apply(engine.clone(), Write::UpsertProducts(made.collect())).await;
    }
    for some in numbers[..rows.len()].chunks(LOADED) {
        let made = some.iter().map(|at| plain_client(*at));
        apply(engine.clone(), Write::UpsertClients(made.collect())).await;
    }
    let mut drafts = Vec::with_capacity(LOADED);
    for (of, row) in rows.iter().enumerate() {
        drafts.extend(row.iter().map(|(sold, ticket)| TicketDraft {
            client: client(of),
            product: product(*sold as usize),
            ticket_minor: *ticket as i64,
        }));
        if drafts.len() >= LOADED || of + 1 == rows.len() {
            apply(
                engine.clone(),
                Write::SetTickets(std::mem::take(&mut drafts)),
            )
            .await;
        }
    }
}

fn text(raw: &str) -> Text {
    Text::parse(raw).unwrap()
}

fn founded() -> Portfolio {
    Portfolio {
        id: portfolio(),
        name: text(""),
        currency: Currency::parse("BRL").unwrap(),
        period: Period::Month,
        window: WindowMonths::default(),
        language: Language::English,
        recipe: text("standard"),
        recipe_overrides: BTreeMap::new(),
    }
}

fn plain_client(at: usize) -> Client {
    Client {
        id: client(at),
        name: text(&format!("Client {at}")),
        owner: text(""),
        attributes: BTreeMap::new(),
        excluded_products: BTreeSet::new(),
    }
}

fn plain_product(at: usize) -> Product {
    Product {
        id: product(at),
        name: text(&format!("Product {at}")),
        category: text(""),
        margin_rate: None,
        list_price_minor: None,
        active: true,
        upgrade_of: None,
        needs_product: None,
    }
}

/// What the tickets of a client take on the disk, packed, with their key: the mean of some clients.
fn packed_bytes(rows: &[Vec<(u32, f32)>]) -> usize {
    /// Key, version and checksum of a record.
    const AROUND: usize = 24;
    let some = &rows[..rows.len().min(1_000)];
    let packed = |row: &Vec<(u32, f32)>| {
        let put = |(product, ticket): &(u32, f32)| {
            BucketChange::Put(Bucket {
                product: ProductNo(*product),
                slot: Slot::SetTicket,
                amount_minor: *ticket as i64,
                quantity_milli: 0,
                sales: 0,
                last_day_of_month: 0,
            })
        };
        let puts: Vec<_> = row.iter().map(put).collect();
        History::default().with(&puts).0.packed_bytes() + AROUND
    };
    some.iter().map(packed).sum::<usize>() / some.len()
}
