//! The model as its callers meet it, on books small enough to reason about and on odd ones.

use std::ops::ControlFlow;

use super::*;
use crate::domain::{ClientNo, DAYS_PER_MONTH, Day, ProductNo};
use crate::matrix::{Cell, Purchase, PurchaseLog, Statistics, TicketMatrix};
use crate::neighbours::{CosineIndex, Profiles, Subject};
use crate::recommend::{Book, Recipe};

const SPAN: Span = Span {
    horizon_days: 60,
    period_days: DAYS_PER_MONTH,
};
const AS_OF: i32 = 20_000;

fn day(before: i32) -> Day {
    Day::from_epoch_days(AS_OF - before)
}

/// Two kinds of clients over a year, each with its own half of the products.
fn log(clients: usize, products: usize) -> PurchaseLog {
    let mut builder = PurchaseLog::builder(products);
    let mut seed = 11_u64;
    let mut draw = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as usize % below.max(1)
    };
    for client in 0..clients {
        let mut purchases = Vec::new();
        for before in (1..360).step_by(15) {
            let half = products.div_ceil(2);
            let product = (draw(half) + client % 2 * (products / 2) + draw(9) / 8) % products;
            purchases.push(Purchase {
                product: ProductNo(product as u32),
                day: day(before),
                amount_minor: (1 + draw(50)) as f64 * 1000.0 * (1 + client % 3) as f64,
            });
        }
        builder.push_client(purchases);
    }
    builder.finish()
}

struct World {
    log: PurchaseLog,
    matrix: TicketMatrix,
    statistics: Statistics,
    profiles: Profiles,
    cosine: CosineIndex,
    recipe: Recipe,
}

impl World {
    fn of(log: PurchaseLog) -> Self {
        let matrix = matrix_before(&log, day(0), SPAN.period_days);
        Self::with(log, matrix)
    }

    fn with(log: PurchaseLog, matrix: TicketMatrix) -> Self {
        let statistics = Statistics::of(&matrix);
        Self {
            cosine: CosineIndex::of(&matrix, &statistics),
            profiles: Profiles::default(),
            recipe: Recipe::standard().unwrap(),
            log,
            matrix,
            statistics,
        }
    }

    fn scene(&self) -> Scene<'_> {
        Scene {
            book: Book {
                matrix: &self.matrix,
                statistics: &self.statistics,
                profiles: &self.profiles,
                products: &[],
                recipe: &self.recipe,
            },
            cosine: &self.cosine,
            nearest: None,
        }
    }

    fn fit(&self) -> AdoptionModel {
        let go_on = |_: f64| ControlFlow::Continue(());
        AdoptionModel::fit(&self.log, &self.scene(), SPAN, day(0), &go_on).unwrap()
    }

    fn score(&self, model: &AdoptionModel, client: u32) -> Vec<Adoption> {
        let subject = Subject::existing(&self.matrix, &self.profiles, ClientNo(client));
        model.score(&self.scene(), &subject, &mut AdoptionScratch::default())
    }
}

fn assert_sane(adoptions: &[Adoption]) {
    for adoption in adoptions {
        let of = adoption;
        assert!(of.propensity > 0.0 && of.propensity < 1.0, "{of:?}");
        assert!(
            0.0 < of.low_ticket && of.low_ticket <= of.expected_ticket,
            "{of:?}"
        );
        assert!(
            of.expected_ticket <= of.high_ticket && of.high_ticket.is_finite(),
            "{of:?}"
        );
        assert!(
            of.expected_money > 0.0 && of.expected_money.is_finite(),
            "{of:?}"
        );
        assert!(of.neighbours_buying <= of.neighbours, "{of:?}");
    }
}

#[test]
fn a_client_is_offered_what_its_own_kind_buys_and_nothing_it_has() {
    let world = World::of(log(120, 30));
    let model = world.fit();
    assert!(model.is_calibrated(), "{:?}", model.fitted());
    let (mut own, mut other) = (Vec::new(), Vec::new());
    for client in 0..120 {
        let adoptions = world.score(&model, client);
        assert_sane(&adoptions);
        let row = world.matrix.row(ClientNo(client));
        assert_eq!(adoptions.len() + row.len(), 30);
        for adoption in adoptions {
            assert!(row.iter().all(|cell| cell.product != adoption.product));
            let same = adoption.product.0 / 15 == client % 2;
            if same { &mut own } else { &mut other }.push(adoption.propensity);
        }
    }
    let mean = |of: &[f64]| of.iter().sum::<f64>() / of.len() as f64;
    assert!(
        mean(&own) > 2.0 * mean(&other),
        "{} {}",
        mean(&own),
        mean(&other)
    );
}

#[test]
fn a_receipt_gives_the_published_figures_to_the_last_digit() {
    for world in [World::of(log(120, 30)), World::of(log(4, 6))] {
        let model = world.fit();
        let mut scratch = AdoptionScratch::default();
        let mut figures = 0;
        for client in 0..world.matrix.clients() as u32 {
            let subject = Subject::existing(&world.matrix, &world.profiles, ClientNo(client));
            for adoption in world.score(&model, client) {
                let product = adoption.product;
                let receipt = model
                    .explain(&world.scene(), &subject, product, &mut scratch)
                    .unwrap();
                assert_eq!(receipt.published, adoption);
                assert_eq!(receipt.recompute(), adoption);
                figures += 1;
            }
        }
        assert!(figures > 1_000 || world.matrix.clients() == 4, "{figures}");
    }
}

#[test]
fn the_number_of_threads_does_not_reach_the_model() {
    let score = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap().install(|| {
            let world = World::of(log(90, 20));
            let model = world.fit();
            (0..90)
                .map(|client| world.score(&model, client))
                .collect::<Vec<_>>()
        })
    };
    assert_eq!(score(1), score(2));
}

#[test]
fn odd_books_give_few_figures_and_never_a_wrong_one() {
    for (clients, products) in [(0, 0), (0, 3), (1, 1), (1, 5), (4, 5), (30, 1), (3, 400)] {
        let world = World::of(log(clients, products));
        let model = world.fit();
        assert!(!model.is_calibrated() || clients > 4);
        for client in 0..clients as u32 {
            assert_sane(&world.score(&model, client));
        }
        let nobody = Subject::supposed(None, &[], world.profiles.of_client(ClientNo(0)));
        let none = model.score(&world.scene(), &nobody, &mut AdoptionScratch::default());
        assert!(none.is_empty(), "nothing is known of it");
    }
    let cell = |product: u32| Cell {
        product: ProductNo(product),
        ticket: 5.0,
        last_day: None,
    };
    let everything: Vec<Cell> = (0..5).map(cell).collect();
    let all_bought = TicketMatrix::from_rows(5, vec![everything; 6]);
    let world = World::with(PurchaseLog::default(), all_bought);
    assert!(world.score(&world.fit(), 0).is_empty());
}

#[test]
fn without_dates_the_prior_follows_the_neighbours_share() {
    let cell = |product: usize| Cell {
        product: ProductNo(product as u32),
        ticket: 100.0 + product as f32,
        last_day: None,
    };
    let row = |client: usize| -> Vec<Cell> {
        let half = client % 2 * 5;
        let bought = (half..half + 5).filter(|product| !(client / 2 + product).is_multiple_of(3));
        bought.map(cell).collect()
    };
    let matrix = TicketMatrix::from_rows(10, (0..40).map(row));
    let world = World::with(PurchaseLog::default(), matrix);
    let model = world.fit();
    assert!(!model.is_calibrated());
    let adoptions = world.score(&model, 0);
    assert_sane(&adoptions);
    let best = adoptions
        .iter()
        .max_by(|a, b| a.propensity.total_cmp(&b.propensity));
    assert!(
        best.unwrap().product.0 < 5,
        "its own kind's products come first"
    );
}

#[test]
fn a_fitted_model_scores_supposed_clients_and_later_rows() {
    let mut world = World::of(log(120, 30));
    let model = world.fit();
    let cells: Vec<Cell> = world.matrix.row(ClientNo(4)).to_vec();
    let supposed = Subject::supposed(None, &cells[..2], world.profiles.of_client(ClientNo(500)));
    let scored = model.score(&world.scene(), &supposed, &mut AdoptionScratch::default());
    assert_eq!(scored.len(), 28);
    assert_sane(&scored);
    // A new client with a new product, and a client that dropped all but one.
    let new: Vec<Cell> = vec![
        cells[0],
        Cell {
            product: ProductNo(33),
            ..cells[0]
        },
    ];
    let changes = [
        (ClientNo(121), new.into()),
        (ClientNo(4), cells[..1].into()),
    ];
    world.matrix = world.matrix.with_rows(122, 34, changes);
    let changed = [ClientNo(121), ClientNo(4)];
    world.statistics = world.statistics.refresh(&world.matrix, changed);
    world.cosine = world.cosine.refresh(&world.matrix, changed);
    for client in [0, 4, 120, 121] {
        let scored = world.score(&model, client);
        assert_sane(&scored);
        assert!(scored.iter().all(|adoption| adoption.product.0 < 30));
    }
    assert_eq!(world.score(&model, 4).len(), 29);
}

#[test]
fn a_fit_stops_when_it_is_told_to() {
    let world = World::of(log(30, 8));
    let stop = |share: f64| match share {
        share if share > 0.3 => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    let stopped = AdoptionModel::fit(&world.log, &world.scene(), SPAN, day(0), &stop);
    assert!(matches!(stopped, Err(Cancelled)));
}
