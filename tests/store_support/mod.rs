//! Numbered writes that can be recognised: write `n` puts client `n` with a history, an event, a named
//! sale and an objective, all derived from `n`, as one unit.
#![allow(dead_code, unused_imports, clippy::unwrap_used, clippy::panic)]

#[path = "../common/faults.rs"]
pub mod faults;
pub mod worker;

use std::collections::BTreeMap;
use std::sync::Arc;

use carteira::domain::{
    Action, ActionId, ActionState, Aim, Baseline, Bucket, BucketChange, Client, ClientEvent,
    ClientEventKind, ClientGroup, ClientId, ClientNo, Currency, Day, History, Language, Measure,
    Measured, Month, Objective, ObjectiveId, Period, Portfolio, PortfolioId, PortfolioNo, Product,
    ProductId, ProductNo, SaleId, Slot, Text, WindowMonths,
};
use carteira::store::{Change, Loaded, SaleEntry, SaleHash, Store, Unit};

pub use faults::{tell, times_more};

pub const BOOK: PortfolioNo = PortfolioNo(0);
pub const PRODUCTS: u32 = 50;

pub fn text(raw: &str) -> Text {
    Text::parse(raw).unwrap()
}

/// The unit that makes the portfolio and its products.
pub fn founding() -> Unit {
    let portfolio = Portfolio {
        id: PortfolioId::parse("numbered").unwrap(),
        name: text(""),
        currency: Currency::parse("BRL").unwrap(),
        period: Period::Month,
        window: WindowMonths::default(),
        language: Language::English,
        recipe: text("default"),
        recipe_overrides: BTreeMap::new(),
    };
    let mut changes = vec![Change::PutPortfolio(Arc::new(portfolio))];
    for number in 0..PRODUCTS {
        let product = Product {
            id: ProductId::parse(&format!("product {number}")).unwrap(),
            name: text(""),
            category: text(""),
            margin_rate: None,
            list_price_minor: None,
            active: true,
            upgrade_of: None,
            needs_product: None,
        };
        changes.push(Change::PutProduct(ProductNo(number), Arc::new(product)));
    }
    Unit {
        portfolio: BOOK,
        changes,
    }
}

pub fn client(n: u32) -> Client {
    Client {
        id: ClientId::parse(&format!("client {n}")).unwrap(),
        name: text(&"name ".repeat(n as usize % 40)),
        owner: text(""),
        attributes: BTreeMap::new(),
        excluded_products: (0..n % 20)
            .map(|at| ProductId::parse(&format!("excluded {at:0>80}")).unwrap())
            .collect(),
    }
}

pub fn buckets(n: u32, months: i32) -> Vec<Bucket> {
    let bucket = |at: i32| Bucket {
        product: ProductNo((at as u32 * 7 + n) % PRODUCTS),
        slot: Slot::Month(Month::from_number(1_500 + at / PRODUCTS as i32)),
        amount_minor: i64::from(n) * 1_000 + i64::from(at),
        quantity_milli: 0,
        sales: 1,
        last_day_of_month: 28,
    };
    (0..months).map(bucket).collect()
}

pub fn history(n: u32, months: i32) -> History {
    let puts: Vec<_> = buckets(n, months)
        .into_iter()
        .map(BucketChange::Put)
        .collect();
    History::default().with(&puts).0
}

pub fn event(n: u32) -> ClientEvent {
    ClientEvent {
        kind: ClientEventKind::Contact,
        day: Day::from_epoch_days(20_000 + n as i32 % 1_000),
        end_day: None,
        note: text(""),
    }
}

pub fn sale_hash(n: u32) -> SaleHash {
    SaleHash::of(&SaleId::parse(&format!("sale {n}")).unwrap())
}

pub fn sale(n: u32) -> SaleEntry {
    SaleEntry {
        client: ClientNo(n),
        product: ProductNo(n % PRODUCTS),
        day: Day::from_epoch_days(20_000),
        amount_minor: i64::from(n) + 1,
        quantity_milli: 0,
    }
}

/// An objective whose record takes one chunk or several.
pub fn objective(n: u32) -> Objective {
    let day = Day::from_epoch_days(20_000);
    let aim = Aim {
        id: ObjectiveId::parse(&format!("objective {n}")).unwrap(),
        title: text(""),
        group: ClientGroup::default(),
        measure: Measure::Tickets,
        target: Measured::Minor(i64::from(n)),
        due: day,
    };
    let mut objective = Objective::new(aim, Baseline::default());
    for at in 0..n % 12 {
        let action = Action {
            id: ActionId::parse(&format!("action {at}")).unwrap(),
            day,
            text: text(&"call ".repeat(40)),
            owner: text(""),
            state: ActionState::Planned,
        };
        objective.act(action).unwrap();
    }
    objective
}

/// How many buckets write `n` brings.
pub fn months(n: u32) -> i32 {
    (n % 150) as i32
}

/// Write `n`.
pub fn unit(n: u32) -> Unit {
    let no = ClientNo(n);
    let mut changes = vec![
        Change::PutClient(no, Arc::new(client(n))),
        Change::PutEvent(no, 0, Arc::new(event(n))),
        Change::PutSale(sale_hash(n), sale(n)),
        Change::PutObjective(Arc::new(objective(n))),
    ];
    let history = history(n, months(n));
    let blocks = history.blocks().iter().cloned();
    changes.extend(blocks.map(|block| Change::PutBlock(no, block)));
    Unit {
        portfolio: BOOK,
        changes,
    }
}

/// How many numbered writes a store holds; each that is there must be there whole and once, and none
/// may be missing before a later one.
pub fn whole_writes(store: &Store, loaded: &Loaded) -> Result<u32, String> {
    let Some(book) = loaded.portfolios.first() else {
        return Ok(0);
    };
    let count = book.clients.len() as u32;
    let objectives: BTreeMap<_, _> = book
        .objectives
        .iter()
        .map(|one| (&one.aim.id, one))
        .collect();
    let histories: BTreeMap<_, _> = book.histories.iter().map(|(no, all)| (*no, all)).collect();
    for n in 0..count {
        let no = ClientNo(n);
        let at = n as usize;
        let kept = histories.get(&no).map(|history| (*history).clone());
        let there = book.clients[at].0 == no
            && *book.clients[at].1 == client(n)
            && book.events.get(at) == Some(&(no, 0, Arc::new(event(n))))
            && objectives
                .get(&objective(n).aim.id)
                .is_some_and(|there| ***there == objective(n))
            && kept
                .unwrap_or_default()
                .iter()
                .eq(history(n, months(n)).iter())
            && store
                .sale(BOOK, sale_hash(n))
                .map_err(|error| error.to_string())?
                == Some(sale(n));
        if !there {
            return Err(format!("write {n} of {count} is not there whole"));
        }
    }
    let wanted = (u64::from(count) + 1, PRODUCTS as usize, count);
    let found = (book.sequence, book.products.len(), book.next_client.0);
    let each = [book.events.len(), book.objectives.len()];
    if found != wanted || each != [book.clients.len(); 2] {
        return Err(format!("found {found:?}, wanted {wanted:?}"));
    }
    Ok(count)
}

/// A small generator of repeatable numbers: what a seed decides is decided again by it.
pub struct Dice(u64);

impl Dice {
    /// From the seed of a test.
    pub fn thrown(test: &str) -> Self {
        Self(faults::seed_of(test).wrapping_mul(2_654_435_761) | 1)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % limit.max(1)
    }
}
