//! Estimates against a slow oracle, on odd books, and across overlays, threads and receipts.

use std::sync::Arc;

use proptest::prelude::*;

use super::{Scratch, TicketEstimate, UpsellModel};
use crate::domain::{ClientNo, ProductNo};
use crate::matrix::{Cell, Statistics, TicketMatrix};
use crate::neighbours::{Buyer, BuyerSearch, DistanceRule, Profiles, Subject};
use crate::recommend::{Book, Recipe, recompute, round_minor};

fn cells(dense: &[f32]) -> Arc<[Cell]> {
    let cell = |(product, &ticket): (usize, &f32)| {
        (ticket > 0.0).then_some(Cell {
            product: ProductNo(product as u32),
            ticket,
            last_day: None,
        })
    };
    dense.iter().enumerate().filter_map(cell).collect()
}

fn matrix(rows: &[Vec<f32>]) -> TicketMatrix {
    let products = rows.iter().map(Vec::len).max().unwrap_or(0);
    TicketMatrix::from_rows(products, rows.iter().map(|row| cells(row)))
}

/// A book whose tickets follow size and two lines of business, always the same.
fn sample(clients: usize, products: usize) -> Vec<Vec<f32>> {
    let random = |seed: usize| (super::mix(seed as u64) >> 40) as f32 / (1 << 24) as f32;
    let row = |client: usize| {
        let (size, line) = (random(client) * 3.0, random(client + 7_919));
        let ticket = |product: usize| {
            let seed = 100_003 + client * products + product;
            let liked = if product.is_multiple_of(2) {
                line
            } else {
                1.0 - line
            };
            let noise = random(seed) + random(seed + 500_009) - 1.0;
            let bought = random(seed + 900_001) < 0.6;
            let ln = 8.0 + product as f32 * 0.1 + size + 2.0 * liked + 0.5 * noise;
            if bought { ln.exp() } else { 0.0 }
        };
        (0..products).map(ticket).collect()
    };
    (0..clients).map(row).collect()
}

/// Every figure of a book, by client and product, bought or not.
fn figures(rows: &TicketMatrix, model: Option<&UpsellModel>) -> Vec<Option<TicketEstimate>> {
    let recipe = Recipe::standard().unwrap();
    let (statistics, profiles) = (Statistics::of(rows), Profiles::default());
    let book = book(rows, &statistics, &profiles, &recipe);
    let fitted;
    let model = if let Some(model) = model {
        model
    } else {
        fitted = UpsellModel::fit(&book);
        &fitted
    };
    let mut scratch = Scratch::default();
    let mut found = Vec::new();
    for client in 0..rows.clients() as u32 {
        let subject = Subject::existing(rows, &profiles, ClientNo(client));
        let products = (0..rows.products() as u32).map(ProductNo);
        model.begin(&book, &subject, products, &mut scratch);
        for product in 0..rows.products() as u32 {
            found.push(model.estimate(&book, &subject, ProductNo(product), &mut scratch));
        }
    }
    found
}

fn book<'a>(
    matrix: &'a TicketMatrix,
    statistics: &'a Statistics,
    profiles: &'a Profiles,
    recipe: &'a Recipe,
) -> Book<'a> {
    Book {
        matrix,
        statistics,
        profiles,
        products: &[],
        recipe,
    }
}

fn assert_sound(figures: &[Option<TicketEstimate>]) {
    for one in figures.iter().flatten() {
        let tickets = [one.q20, one.q50, one.q80, one.q90];
        assert!(
            tickets
                .iter()
                .all(|ticket| ticket.is_finite() && *ticket > 0.0),
            "{one:?}"
        );
        assert!(tickets.windows(2).all(|pair| pair[0] <= pair[1]), "{one:?}");
        assert!((0.0..=1.0).contains(&one.standing), "{one:?}");
        assert!(
            one.effective_neighbours <= f64::from(one.neighbours) + 1e-6,
            "{one:?}"
        );
    }
}

/// The nearest buyers by the formula, a pair of clients at a time.
fn oracle(
    rows: &[Vec<f32>],
    subject: usize,
    product: usize,
    rule: &DistanceRule,
    k: usize,
) -> Vec<(u32, f64)> {
    let distance = |other: &Vec<f32>| {
        let (mut sum, mut common) = (0.0, 0.0);
        for at in (0..rows[subject].len()).filter(|at| *at != product) {
            let (a, b) = (rows[subject][at], other[at]);
            if a > 0.0 && b > 0.0 {
                sum += (f64::from(a).ln() - f64::from(b).ln()).powi(2);
                common += 1.0;
            }
        }
        (sum + rule.shrink * rule.spread) / (common + rule.shrink)
    };
    let mut found: Vec<(u32, f64)> = (0..rows.len())
        .filter(|other| *other != subject && rows[*other][product] > 0.0)
        .map(|other| (other as u32, distance(&rows[other])))
        .collect();
    found.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
    found.truncate(k);
    found
}

const RULE: DistanceRule = DistanceRule {
    spread: 2.0,
    shrink: 2.0,
    floor: 0.05,
    attribute_weight: 0.0,
};

fn nearest(rows: &TicketMatrix, subject: u32, product: u32, k: usize) -> Vec<Buyer> {
    let profiles = Profiles::default();
    let subject = Subject::existing(rows, &profiles, ClientNo(subject));
    let mut search = BuyerSearch::default();
    let product = ProductNo(product);
    search.survey(rows, &subject, &profiles, [product], &RULE, k);
    let mut nearest = search.buyers(product).unwrap().nearest.to_vec();
    nearest.sort_by(|a, b| {
        a.distance
            .total_cmp(&b.distance)
            .then(a.client.cmp(&b.client))
    });
    nearest
}

proptest! {
    #[test]
    fn the_nearest_buyers_are_those_of_the_slow_formula(
        rows in prop::collection::vec(prop::collection::vec(
            prop_oneof![Just(0.0f32), 1.0f32..1.0e6, Just(50.0f32)], 5), 2..14),
        k in 1usize..6,
    ) {
        let matrix = matrix(&rows);
        for subject in 0..rows.len() {
            for product in 0..5 {
                let found = nearest(&matrix, subject as u32, product as u32, k);
                let slow = oracle(&rows, subject, product, &RULE, k);
                prop_assert_eq!(found.len(), slow.len());
                // The quick logarithm is good to 1e-6: two equally far may change places, no more.
                for (one, (_, distance)) in found.iter().zip(&slow) {
                    prop_assert!((one.distance - distance).abs() < 1e-3 * (1.0 + distance));
                }
            }
        }
    }

    #[test]
    fn any_small_book_gives_sound_figures(
        rows in prop::collection::vec(prop::collection::vec(
            prop_oneof![2 => Just(0.0f32), 2 => 0.01f32..1.0e9, 1 => Just(100.0f32)], 3), 1..9),
    ) {
        assert_sound(&figures(&matrix(&rows), None));
    }
}

#[test]
fn odd_books_give_sound_figures_or_none() {
    let equal = vec![vec![500.0; 4]; 60];
    let mut huge = sample(50, 6);
    huge[7] = vec![1.0e15; 6];
    let one_product: Vec<Vec<f32>> = (1..80).map(|at| vec![at as f32]).collect();
    for rows in [equal.clone(), huge, one_product, sample(4, 5)] {
        assert_sound(&figures(&matrix(&rows), None));
    }
    let alone = figures(&matrix(&sample(1, 5)), None);
    assert!(alone.iter().all(Option::is_none));
    for one in figures(&matrix(&equal), None).iter().flatten() {
        assert!((one.q80 - 500.0).abs() < 5.0, "{one:?}");
    }
}

#[test]
fn equally_near_clients_are_taken_by_number() {
    let rows = vec![vec![10.0, 20.0]; 7];
    let found = nearest(&matrix(&rows), 3, 0, 4);
    let clients: Vec<u32> = found.iter().map(|one| one.client.0).collect();
    assert_eq!(clients, [0, 1, 2, 4]);
}

#[test]
fn an_overlay_gives_the_same_bits_as_the_folded_matrix() {
    let mut rows = sample(120, 12);
    let base = matrix(&rows);
    rows[5] = sample(200, 12)[150].clone();
    rows[70] = vec![0.0; 12];
    rows.push(sample(200, 12)[160].clone());
    let changed = [5_usize, 70, 120].map(|at| (ClientNo(at as u32), cells(&rows[at])));
    let overlaid = base.with_rows(121, 12, changed);
    let folded = overlaid.fold();
    let (recipe, profiles) = (Recipe::standard().unwrap(), Profiles::default());
    let statistics = Statistics::of(&base);
    let clients = || [5_u32, 70, 120].map(ClientNo);
    let refreshed = statistics.refresh(&overlaid, clients());
    let model = UpsellModel::fit(&book(&base, &statistics, &profiles, &recipe));
    let model = model.refresh(&book(&overlaid, &refreshed, &profiles, &recipe), clients());
    let all = |matrix: &TicketMatrix| {
        let book = book(matrix, &refreshed, &profiles, &recipe);
        let mut scratch = Scratch::default();
        let mut found = Vec::new();
        for client in 0..121 {
            let subject = Subject::existing(matrix, &profiles, ClientNo(client));
            model.begin(&book, &subject, (0..12).map(ProductNo), &mut scratch);
            for product in 0..12 {
                found.push(model.estimate(&book, &subject, ProductNo(product), &mut scratch));
            }
        }
        found
    };
    assert_eq!(all(&overlaid), all(&folded));
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let rows = matrix(&sample(150, 15));
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap().install(|| figures(&rows, None))
    };
    assert_eq!(with(1), with(3));
}

#[test]
fn a_receipt_makes_the_published_tickets_again() {
    let rows = matrix(&sample(300, 20));
    let (recipe, profiles) = (Recipe::standard().unwrap(), Profiles::default());
    let statistics = Statistics::of(&rows);
    let book = book(&rows, &statistics, &profiles, &recipe);
    let model = UpsellModel::fit(&book);
    let digits = recipe.offer.significant_digits;
    let mut scratch = Scratch::default();
    for client in (0..300).step_by(5) {
        let subject = Subject::existing(&rows, &profiles, ClientNo(client));
        model.begin(&book, &subject, (0..20).map(ProductNo), &mut scratch);
        for product in (0..20).map(ProductNo) {
            let found = model.estimate(&book, &subject, product, &mut scratch);
            let receipt = model.explain(&book, &subject, product, &mut scratch);
            let published = found.map(|one| {
                [one.q20, one.q50, one.q80, one.q90].map(|ticket| round_minor(ticket, digits))
            });
            assert_eq!(receipt.as_ref().map(recompute), published);
        }
    }
}

#[test]
fn the_judged_ticket_does_not_change_its_own_figure() {
    let mut rows = sample(200, 15);
    let product = (0..15).find(|at| rows[9][*at] > 0.0).unwrap();
    let before = matrix(&rows);
    let (recipe, profiles) = (Recipe::standard().unwrap(), Profiles::default());
    let statistics = Statistics::of(&before);
    let book = book(&before, &statistics, &profiles, &recipe);
    let model = UpsellModel::fit(&book);
    rows[9][product] *= 20.0;
    let raised = cells(&rows[9]);
    let mut scratch = Scratch::default();
    let mut q80 = |row: &[Cell]| {
        let client = Some(ClientNo(9));
        let subject = Subject::supposed(client, row, profiles.of_client(ClientNo(9)));
        let product = ProductNo(product as u32);
        model.begin(&book, &subject, [product], &mut scratch);
        model
            .estimate(&book, &subject, product, &mut scratch)
            .unwrap()
            .q80
    };
    let (low, high) = (q80(before.row(ClientNo(9))), q80(&raised));
    assert!((low / high - 1.0).abs() < 0.01, "{low} against {high}");
}
