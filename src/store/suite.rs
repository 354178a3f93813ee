//! The suite that every database underneath has to pass: random groups of units against a model,
//! with reopening in between. It runs over sled and over memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use proptest::prelude::*;

use super::load::scan;
use super::memory::MemoryDisk;
use super::*;
use crate::domain::{
    Action, ActionId, ActionState, Aim, Baseline, Block, Bucket, BucketChange, Client, ClientEvent,
    ClientEventKind, ClientGroup, ClientId, ClientNo, Currency, Day, History, Language, Measure,
    Measured, Month, Objective, ObjectiveId, Period, Portfolio, PortfolioId, PortfolioNo, Product,
    ProductId, ProductNo, RequestId, SaleId, Slot, Text, WindowMonths,
};

fn text(raw: &str) -> Text {
    Text::parse(raw).unwrap()
}

fn portfolio(no: u32) -> Arc<Portfolio> {
    Arc::new(Portfolio {
        id: PortfolioId::parse(&format!("portfolio {no}")).unwrap(),
        name: text(""),
        currency: Currency::parse("BRL").unwrap(),
        period: Period::Month,
        window: WindowMonths::default(),
        language: Language::English,
        recipe: text("default"),
        recipe_overrides: BTreeMap::new(),
    })
}

/// A client whose record takes `excluded` products' room more.
fn client(no: u32, excluded: u32) -> Arc<Client> {
    let product = |number| ProductId::parse(&format!("product {number:0>100}")).unwrap();
    Arc::new(Client {
        id: ClientId::parse(&format!("client {no}")).unwrap(),
        name: text("Padaria São João"),
        owner: text(""),
        attributes: BTreeMap::new(),
        excluded_products: (0..excluded).map(product).collect(),
    })
}

fn product(no: u32) -> Arc<Product> {
    Arc::new(Product {
        id: ProductId::parse(&format!("product {no}")).unwrap(),
        name: text("queijo"),
        category: text(""),
        margin_rate: None,
        list_price_minor: Some(1),
        active: true,
        upgrade_of: None,
        needs_product: None,
    })
}

fn bucket(product: u32, amount_minor: i64) -> Bucket {
    Bucket {
        product: ProductNo(product),
        slot: Slot::Month(Month::from_number(1_500 + product as i32 % 7)),
        amount_minor,
        quantity_milli: 0,
        sales: 1,
        last_day_of_month: 3,
    }
}

fn sale_hash(no: u32) -> SaleHash {
    SaleHash::of(&SaleId::parse(&format!("sale {no}")).unwrap())
}

fn request_hash(no: u32) -> RequestHash {
    RequestHash::of(&RequestId::parse(&format!("request {no}")).unwrap())
}

fn entry(client: u32, amount_minor: i64) -> SaleEntry {
    SaleEntry {
        client: ClientNo(client),
        product: ProductNo(0),
        day: Day::from_epoch_days(20_000),
        amount_minor,
        quantity_milli: 0,
    }
}

fn objective_id(no: u32) -> ObjectiveId {
    ObjectiveId::parse(&format!("objective {no}")).unwrap()
}

/// An objective of so many actions.
fn objective(no: u32, actions: u32) -> Arc<Objective> {
    let day = Day::from_epoch_days(20_000);
    let aim = Aim {
        id: objective_id(no),
        title: text("mais queijo"),
        group: ClientGroup::default(),
        measure: Measure::ActiveClients,
        target: Measured::Number(7.0),
        due: day,
    };
    let mut objective = Objective::new(aim, Baseline::default());
    for at in 0..actions {
        let action = Action {
            id: ActionId::parse(&format!("{at}")).unwrap(),
            day,
            text: text(&"visitar ".repeat(20)),
            owner: text(""),
            state: ActionState::Planned,
        };
        objective.act(action).unwrap();
    }
    Arc::new(objective)
}

/// What somebody wants to write; the model says what comes of it.
#[derive(Debug, Clone)]
enum Wish {
    Create,
    Drop,
    Client(u32, u32),
    DropClient(u32),
    Buy(u32, Vec<(u32, i64)>),
    Event(u32, u32),
    Sales(u32, Vec<u32>, i64),
    DropSale(u32),
    Answer(u32, usize),
    DropAnswer(u32),
    Objective(u32, u32),
    DropObjective(u32),
    Nothing,
}

fn wishes() -> impl Strategy<Value = Wish> {
    let clients = 0..6u32;
    let bought = prop::collection::vec((0..90u32, 1..1_000_000_000i64), 1..60);
    prop_oneof![
        2 => Just(Wish::Create),
        1 => Just(Wish::Drop),
        6 => (clients.clone(), 0..40u32).prop_map(|(no, more)| Wish::Client(no, more)),
        2 => clients.clone().prop_map(Wish::DropClient),
        6 => (clients.clone(), bought).prop_map(|(no, all)| Wish::Buy(no, all)),
        2 => (clients.clone(), 0..4u32).prop_map(|(no, event)| Wish::Event(no, event)),
        5 => (clients, prop::collection::vec(0..150u32, 1..80), any::<i64>())
            .prop_map(|(no, all, amount)| Wish::Sales(no, all, amount)),
        2 => (0..150u32).prop_map(Wish::DropSale),
        2 => (0..5u32, 0..3_000usize).prop_map(|(no, size)| Wish::Answer(no, size)),
        1 => (0..5u32).prop_map(Wish::DropAnswer),
        2 => (0..4u32, 0..20u32).prop_map(|(no, actions)| Wish::Objective(no, actions)),
        1 => (0..4u32).prop_map(Wish::DropObjective),
        1 => Just(Wish::Nothing),
    ]
}

/// One portfolio as it should be.
#[derive(Debug, Clone, Default, PartialEq)]
struct Model {
    sequence: u64,
    clients: BTreeMap<ClientNo, Arc<Client>>,
    products: BTreeMap<ProductNo, Arc<Product>>,
    histories: BTreeMap<ClientNo, Vec<Bucket>>,
    events: BTreeMap<(ClientNo, u32), Arc<ClientEvent>>,
    sales: BTreeMap<SaleHash, SaleEntry>,
    answers: BTreeMap<RequestHash, Answer>,
    objectives: BTreeMap<ObjectiveId, Arc<Objective>>,
}

#[derive(Debug, Default)]
struct World {
    live: Option<PortfolioNo>,
    next: u32,
    models: BTreeMap<PortfolioNo, Model>,
    histories: BTreeMap<ClientNo, History>,
}

impl World {
    /// The unit of a wish, and the model after it.
    // One arm a wish; apart they would say less.
    #[allow(clippy::too_many_lines)]
    fn unit(&mut self, wish: &Wish) -> Unit {
        let mut changes = Vec::new();
        let no = if let Some(no) = self.live {
            no
        } else {
            let no = PortfolioNo(self.next);
            self.next += 1;
            changes.push(Change::PutPortfolio(portfolio(no.0)));
            for number in 0..90 {
                changes.push(Change::PutProduct(ProductNo(number), product(number)));
            }
            self.live = Some(no);
            no
        };
        let model = self.models.entry(no).or_default();
        for change in &changes {
            if let Change::PutProduct(product, record) = change {
                model.products.insert(*product, record.clone());
            }
        }
        // Whatever is written about a client needs the client.
        if let Wish::Buy(client_no, _) | Wish::Event(client_no, _) | Wish::Sales(client_no, _, _) =
            wish
        {
            let record = client(*client_no, 0);
            model.clients.insert(ClientNo(*client_no), record.clone());
            changes.push(Change::PutClient(ClientNo(*client_no), record));
        }
        model.sequence += 1;
        match wish {
            Wish::Create => self.live = None,
            Wish::Nothing => {}
            Wish::Drop => {
                changes.push(Change::DropPortfolio);
                self.models.remove(&no);
                self.live = None;
            }
            Wish::Client(client_no, more) => {
                let record = client(*client_no, *more);
                model.clients.insert(ClientNo(*client_no), record.clone());
                changes.push(Change::PutClient(ClientNo(*client_no), record));
            }
            Wish::DropClient(client_no) => {
                let gone = ClientNo(*client_no);
                changes.push(Change::DropClient(gone));
                model.clients.remove(&gone);
                model.histories.remove(&gone);
                model.events.retain(|(of, _), _| *of != gone);
                model.sales.retain(|_, sale| sale.client != gone);
                self.histories.remove(&gone);
            }
            Wish::Buy(client_no, all) => {
                let of = ClientNo(*client_no);
                let puts = all
                    .iter()
                    .map(|(product, amount)| bucket(*product, *amount));
                let puts: Vec<_> = puts.map(BucketChange::Put).collect();
                let history = self.histories.entry(of).or_default();
                let (after, touched) = history.with(&puts);
                changes.extend(touched.into_iter().map(|block| Change::of_block(of, block)));
                model.histories.insert(of, after.iter().collect());
                *history = after;
            }
            Wish::Event(client_no, number) => {
                let event = Arc::new(ClientEvent {
                    kind: ClientEventKind::Contact,
                    day: Day::from_epoch_days(20_000),
                    end_day: None,
                    note: text("a few words"),
                });
                model
                    .events
                    .insert((ClientNo(*client_no), *number), event.clone());
                changes.push(Change::PutEvent(ClientNo(*client_no), *number, event));
            }
            Wish::Sales(client_no, all, amount) => {
                for sale in all {
                    let entry = entry(*client_no, *amount);
                    model.sales.insert(sale_hash(*sale), entry);
                    changes.push(Change::PutSale(sale_hash(*sale), entry));
                }
            }
            Wish::DropSale(sale) => {
                model.sales.remove(&sale_hash(*sale));
                changes.push(Change::DropSale(sale_hash(*sale)));
            }
            Wish::Answer(request, size) => {
                let answer = Answer {
                    answered_at_unix: 1,
                    bytes: vec![7; *size].into(),
                };
                model.answers.insert(request_hash(*request), answer.clone());
                changes.push(Change::PutAnswer(request_hash(*request), answer));
            }
            Wish::DropAnswer(request) => {
                model.answers.remove(&request_hash(*request));
                changes.push(Change::DropAnswer(request_hash(*request)));
            }
            Wish::Objective(no, actions) => {
                let record = objective(*no, *actions);
                model.objectives.insert(objective_id(*no), record.clone());
                changes.push(Change::PutObjective(record));
            }
            Wish::DropObjective(no) => {
                model.objectives.remove(&objective_id(*no));
                let hash = ObjectiveHash::of(&objective_id(*no));
                changes.push(Change::DropObjective(hash));
            }
        }
        if self.live.is_none() {
            self.histories.clear();
        }
        Unit {
            portfolio: no,
            changes,
        }
    }

    /// Checks that a store and what it loaded are the model.
    fn compare(&self, store: &Store, loaded: &Loaded) {
        assert_eq!(loaded.next_portfolio.0, self.next);
        let there: Vec<_> = loaded.portfolios.iter().map(|one| one.no).collect();
        assert_eq!(there, self.models.keys().copied().collect::<Vec<_>>());
        for (one, model) in loaded.portfolios.iter().zip(self.models.values()) {
            let found = Model {
                sequence: one.sequence,
                clients: one.clients.iter().cloned().collect(),
                products: one.products.iter().cloned().collect(),
                histories: one
                    .histories
                    .iter()
                    .map(|(no, history)| (*no, history.iter().collect()))
                    .collect(),
                events: one
                    .events
                    .iter()
                    .map(|(no, number, event)| ((*no, *number), event.clone()))
                    .collect(),
                sales: (0..6)
                    .flat_map(|no| store.sales_of(one.no, ClientNo(no)).unwrap())
                    .collect(),
                answers: one.answers.iter().cloned().collect(),
                objectives: one
                    .objectives
                    .iter()
                    .map(|one| (one.aim.id.clone(), one.clone()))
                    .collect(),
            };
            assert_eq!(&found, model);
            for sale in 0..150 {
                let hash = sale_hash(sale);
                let wanted = model.sales.get(&hash).copied();
                assert_eq!(store.sale(one.no, hash).unwrap(), wanted);
            }
        }
    }
}

fn groups() -> impl Strategy<Value = Vec<Vec<Wish>>> {
    prop::collection::vec(prop::collection::vec(wishes(), 1..6), 1..12)
}

fn follow(groups: &[Vec<Wish>], open: &dyn Fn() -> (Store, Loaded)) {
    let mut world = World::default();
    let (mut store, _) = open();
    for (at, group) in groups.iter().enumerate() {
        let units: Vec<_> = group.iter().map(|wish| world.unit(wish)).collect();
        let applied = store.apply(&units).unwrap();
        assert_eq!(applied.commit, at as u64 + 1);
        assert_eq!(applied.sequences.len(), units.len());
        if at % 3 == 2 || at + 1 == groups.len() {
            drop(store);
            let (reopened, loaded) = open();
            world.compare(&reopened, &loaded);
            store = reopened;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn a_store_in_memory_is_what_the_model_is(groups in groups()) {
        let (folder, platter) = (tempfile::tempdir().unwrap(), Platter::whole());
        follow(&groups, &|| in_memory(&platter, folder.path()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn a_store_on_sled_is_what_the_model_is_and_so_are_its_copies(groups in groups()) {
        let home = tempfile::tempdir().unwrap();
        let (dir, file) = (home.path().join("data"), home.path().join("backup"));
        let options = OpenOptions::default();
        follow(&groups, &|| Store::open(&dir, &options).unwrap());
        let whole = check(&dir).unwrap();
        let report = backup(&dir, None, &file, &|_| ()).unwrap();
        prop_assert_eq!(report.portfolios, whole.portfolios);
        prop_assert_eq!(compact(&dir, &|_| ()).unwrap(), whole);
        prop_assert_eq!(check(&dir).unwrap(), whole);
        let other = home.path().join("other");
        restore(&file, &other, None, &|_| ()).unwrap();
        let (_, a) = Store::open(&dir, &options).unwrap();
        let (_, b) = Store::open(&other, &options).unwrap();
        for (a, b) in a.portfolios.iter().zip(&b.portfolios) {
            prop_assert_eq!(&a.clients, &b.clients);
            prop_assert_eq!(&a.histories, &b.histories);
            prop_assert_eq!(&a.answers, &b.answers);
            prop_assert_eq!(&a.objectives, &b.objectives);
            prop_assert_eq!(a.sequence, b.sequence);
        }
        if whole.portfolios > 0 {
            let refused = restore(&file, &other, None, &|_| ()).unwrap_err();
            prop_assert_eq!(refused.code, Code::Conflict);
        }
    }
}

#[test]
fn what_is_sent_behind_a_commit_waits_for_it_and_fails_with_it() {
    for fuse in [0, 1, 2, 3, -1] {
        let (folder, platter) = (tempfile::tempdir().unwrap(), Platter::whole());
        let (mut store, _) = in_memory(&platter, folder.path());
        let mut world = World::default();
        platter.fuse.store(fuse, Ordering::SeqCst);
        platter.tried.store(0, Ordering::SeqCst);
        store.send(&[world.unit(&Wish::Nothing)]).unwrap();
        let sent = store.send(&[world.unit(&Wish::Nothing)]);
        if (0..2).contains(&fuse) {
            assert!(matches!(sent, Err(StoreError::WriteFailed(_))), "{sent:?}");
            assert_eq!(store.land().unwrap().commit, 0);
            assert_eq!(platter.tried.load(Ordering::SeqCst), fuse + 1);
            continue;
        }
        sent.unwrap();
        let landed = store.land();
        assert_eq!(landed.is_ok(), fuse == -1, "{landed:?}");
        if let Ok(landed) = landed {
            assert_eq!(landed.commit, 2);
            // Nothing is under way any more.
            assert_eq!(store.land().unwrap().commit, 2);
        }
    }
}

#[test]
fn after_a_failed_write_or_sync_nothing_is_tried_again() {
    for fuse in 0..4 {
        let (folder, platter) = (tempfile::tempdir().unwrap(), Platter::whole());
        let (mut store, _) = in_memory(&platter, folder.path());
        let mut world = World::default();
        platter.fuse.store(fuse, Ordering::SeqCst);
        let mut acknowledged = 0;
        let failed = loop {
            match store.apply(&[world.unit(&Wish::Nothing)]) {
                Ok(_) => acknowledged += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(failed, StoreError::WriteFailed(_)), "{failed}");
        assert_eq!(acknowledged, fuse / 2);
        let tried = platter.tried.load(Ordering::SeqCst);
        let refused = store.apply(&[world.unit(&Wish::Nothing)]).unwrap_err();
        assert!(matches!(refused, StoreError::ReadOnly(_)), "{refused}");
        assert!(store.failure().is_some());
        assert_eq!(platter.tried.load(Ordering::SeqCst), tried);
    }
}

#[test]
fn what_cannot_be_written_is_refused_and_leaves_the_store_writable() {
    let (folder, platter) = (tempfile::tempdir().unwrap(), Platter::whole());
    let (mut store, _) = in_memory(&platter, folder.path());
    let no = PortfolioNo(0);
    let unit = |portfolio, changes| [Unit { portfolio, changes }];
    let put = |no: u32| Change::PutPortfolio(portfolio(no));
    store.apply(&unit(no, vec![put(0)])).unwrap();
    let before = platter.entries.lock().unwrap().clone();

    let large = Change::PutClient(ClientNo(0), client(0, 400));
    let refused = store.apply(&unit(no, vec![large])).unwrap_err();
    assert!(
        matches!(refused, StoreError::TooLarge { unit: 0, .. }),
        "{refused}"
    );
    let first = (ProductNo(0), Slot::SetTicket);
    let bytes = vec![0; 1_001].into();
    let long = Change::PutBlock(ClientNo(0), Block { first, bytes });
    let refused = store.apply(&unit(no, vec![long])).unwrap_err();
    assert!(matches!(refused, StoreError::TooLarge { .. }), "{refused}");
    let foreign = unit(
        PortfolioNo(9),
        vec![Change::PutProduct(ProductNo(0), product(0))],
    );
    let refused = store.apply(&foreign).unwrap_err();
    assert!(
        matches!(refused, StoreError::UnknownPortfolio { .. }),
        "{refused}"
    );
    let refused = store
        .apply(&unit(PortfolioNo(u32::MAX), vec![put(1)]))
        .unwrap_err();
    assert!(
        matches!(refused, StoreError::NumberReused { .. }),
        "{refused}"
    );
    store.free_floor_bytes = u64::MAX;
    let refused = store.apply(&unit(no, vec![])).unwrap_err();
    assert!(matches!(refused, StoreError::DiskFull { .. }), "{refused}");
    assert_eq!(*platter.entries.lock().unwrap(), before);

    store.free_floor_bytes = 0;
    store.apply(&unit(no, vec![Change::DropPortfolio])).unwrap();
    let refused = store.apply(&unit(no, vec![put(0)])).unwrap_err();
    assert!(
        matches!(refused, StoreError::NumberReused { .. }),
        "{refused}"
    );
    assert_eq!(platter.entries.lock().unwrap().len(), 1);
}

#[test]
fn an_older_record_under_its_own_key_is_noticed_by_the_digest() {
    let (folder, platter) = (tempfile::tempdir().unwrap(), Platter::whole());
    let (mut store, _) = in_memory(&platter, folder.path());
    let mut world = World::default();
    store.apply(&[world.unit(&Wish::Client(0, 0))]).unwrap();
    let old = platter.entries.lock().unwrap().clone();
    store.apply(&[world.unit(&Wish::Client(0, 3))]).unwrap();
    drop(store);
    let whole = platter.entries.lock().unwrap().clone();
    let scanned = |entries: BTreeMap<Vec<u8>, Vec<u8>>| {
        *platter.entries.lock().unwrap() = entries;
        scan(&MemoryDisk(platter.clone()), &|| ()).map(|_| ())
    };
    scanned(whole.clone()).unwrap();
    for key in whole.keys() {
        let mut without = whole.clone();
        without.remove(key);
        assert!(scanned(without).is_err());
        if let Some(value) = old.get(key).filter(|value| *value != &whole[key]) {
            let mut mixed = whole.clone();
            mixed.insert(key.clone(), value.clone());
            assert!(scanned(mixed).is_err());
        }
    }
}

#[test]
fn a_database_that_does_not_open_in_time_is_given_up_with_a_code() {
    let home = tempfile::tempdir().unwrap();
    let options = OpenOptions {
        stall_limit: std::time::Duration::ZERO,
        ..OpenOptions::default()
    };
    let opened = open::open_disk(home.path().join("sled"), &options);
    assert_eq!(opened.err().unwrap().code, Code::Timeout);
}
