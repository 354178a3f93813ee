//! Cold ends: books and clients of which little is known, or that are lopsided. Fewer rows with a reason,
//! never a wrong one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use carteira::domain::{
    Attribute, ClientNo, DAYS_PER_MONTH, Day, Kind, Opportunity, ProductNo, Shortfall, Text,
};
use carteira::matrix::{Cell, Purchase, PurchaseLog, Statistics, TicketMatrix};
use carteira::neighbours::{CosineIndex, Profiles, Subject};
use carteira::recommend::adoption::{Scene, matrix_before};
use carteira::recommend::{Advice, Advisor, Book, Recipe, Scratch};

const AS_OF: i32 = 20_000;

/// A ticket: client, product, amount a purchase, and how many purchases in the year before.
type Row = (usize, usize, f64, usize);

/// A book of clients that buy from one half of the products, by kind; at most 24 products a half.
fn usual(clients: usize, products: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    for client in 0..clients {
        let half = products.div_ceil(2).max(1);
        let choice = half.min(24);
        for at in 0..half.min(12) {
            let spread = client * 7 + at * 13;
            if spread % 3 > 0 {
                let product =
                    client % 2 * (products - half) + spread * 5 % choice * (half / choice);
                let amount = 1000.0 * (1.0 + (client % 9) as f64) * (1.0 + (at % 4) as f64);
                rows.push((client, product, amount, 1 + spread % 8));
            }
        }
    }
    rows
}

fn log(clients: usize, products: usize, rows: &[Row]) -> PurchaseLog {
    let mut of_clients = vec![Vec::new(); clients];
    for &(client, product, amount_minor, times) in rows {
        for time in 0..times {
            let before = 1 + (client * 31 + product * 17 + time * 47) % 360;
            of_clients[client].push(Purchase {
                product: ProductNo(product as u32),
                day: Day::from_epoch_days(AS_OF - before as i32),
                amount_minor,
            });
        }
    }
    let mut log = PurchaseLog::builder(products);
    for purchases in of_clients {
        log.push_client(purchases);
    }
    log.finish()
}

/// Advice for every client of a book, checked to be sound, and for a client by attributes alone.
fn advise(matrix: &TicketMatrix, log: &PurchaseLog, profiles: &Profiles) -> Vec<Advice> {
    let statistics = Statistics::of(matrix);
    let cosine = CosineIndex::of(matrix, &statistics);
    let recipe = Recipe::standard().unwrap();
    let book = Book {
        matrix,
        statistics: &statistics,
        profiles,
        products: &[],
        recipe: &recipe,
    };
    let scene = Scene {
        book,
        cosine: &cosine,
        nearest: None,
    };
    let go_on = |_: f64| ControlFlow::Continue(());
    let as_of = Day::from_epoch_days(AS_OF);
    let advisor = Advisor::fit(&scene, log, as_of, DAYS_PER_MONTH, &go_on).unwrap();
    let mut scratch = Scratch::default();
    let advise = |client: u32| {
        let subject = Subject::existing(matrix, profiles, ClientNo(client));
        let advice = advisor.advise(&scene, &subject, &mut scratch);
        for offer in &advice.opportunities {
            assert_sound(offer, subject.cell(offer.product).is_some());
        }
        assert!(
            !advice.opportunities.is_empty()
                || !advice.shortfalls.is_empty()
                || has_all(&subject, matrix),
            "client {client}: nothing, and no reason"
        );
        advice
    };
    (0..matrix.clients() as u32).map(advise).collect()
}

fn has_all(subject: &Subject<'_>, matrix: &TicketMatrix) -> bool {
    subject.cells.len() == matrix.products()
}

fn assert_sound(offer: &Opportunity, is_bought: bool) {
    assert_eq!(is_bought, offer.kind == Kind::Upsell, "{offer:?}");
    assert!(
        0.0 < offer.probability && offer.probability < 1.0,
        "{offer:?}"
    );
    assert!(offer.score.is_finite() && offer.priority_minor.is_finite());
    let tickets = [
        offer.low_ticket_minor,
        offer.expected_ticket_minor,
        offer.high_ticket_minor,
    ];
    assert!(tickets.is_sorted() && tickets[0] >= 0, "{offer:?}");
    assert!(
        offer.gain_minor > 0 && offer.potential_ticket_minor > 0,
        "{offer:?}"
    );
}

fn dated(clients: usize, products: usize, rows: &[Row]) -> Vec<Advice> {
    let log = log(clients, products, rows);
    let matrix = matrix_before(&log, Day::from_epoch_days(AS_OF), DAYS_PER_MONTH);
    advise(&matrix, &log, &Profiles::default())
}

fn offers(advice: &[Advice]) -> usize {
    advice.iter().map(|advice| advice.opportunities.len()).sum()
}

#[test]
fn a_new_client_is_advised_by_its_attributes_and_told_so() {
    let rows = usual(80, 20);
    let log = log(81, 20, &rows);
    let matrix = matrix_before(&log, Day::from_epoch_days(AS_OF), DAYS_PER_MONTH);
    let attributes: Vec<BTreeMap<Text, Attribute>> = (0..81)
        .map(|client| {
            let kind = Text::parse(&format!("kind{}", client % 2)).unwrap();
            BTreeMap::from([(Text::parse("kind").unwrap(), Attribute::Text(kind))])
        })
        .collect();
    let profiles = Profiles::of(&attributes.iter().collect::<Vec<_>>());
    let advice = advise(&matrix, &log, &profiles);
    let new = &advice[80];
    assert!(new.shortfalls.contains(&Shortfall::AttributesOnly));
    let best = new.opportunities.first().expect("an offer by attributes");
    assert!(
        best.product.0 < 10,
        "its kind's half of the products: {best:?}"
    );
    let unknown = advise(&matrix, &log, &Profiles::default());
    assert_eq!(unknown[80].opportunities, []);
    assert_eq!(unknown[80].shortfalls, [Shortfall::NothingKnown]);
}

#[test]
fn a_product_that_nobody_buys_is_never_offered_and_one_with_a_few_buyers_only_with_enough() {
    let mut rows = usual(80, 20);
    rows.extend((0..3).map(|client| (client, 20, 5000.0, 2)));
    let advice = dated(80, 22, &rows);
    assert!(offers(&advice) > 80);
    for offer in advice.iter().flat_map(|advice| &advice.opportunities) {
        assert!(offer.product.0 < 20, "{offer:?}");
    }
}

#[test]
fn one_purchase_gives_no_figure_and_a_reason() {
    let advice = dated(1, 1, &[(0, 0, 700.0, 1)]);
    assert_eq!(offers(&advice), 0);
    assert_eq!(advice[0].shortfalls, [Shortfall::TooFewClients]);
    // And one purchase among others' many.
    let mut rows = usual(60, 12);
    rows.push((60, 1, 700.0, 1));
    let advice = dated(61, 12, &rows);
    assert!(!advice[60].opportunities.is_empty());
}

#[test]
fn without_dates_there_are_offers_whose_probabilities_say_that_they_are_not_calibrated() {
    let rows = usual(60, 12);
    let matrix = undated(60, 12, &rows);
    let advice = advise(&matrix, &PurchaseLog::default(), &Profiles::default());
    assert!(offers(&advice) > 60);
    for advice in advice {
        let offers_new = advice
            .opportunities
            .iter()
            .any(|offer| offer.kind == Kind::CrossSell);
        assert_eq!(
            offers_new,
            advice.shortfalls.contains(&Shortfall::Uncalibrated)
        );
    }
}

fn undated(clients: usize, products: usize, rows: &[Row]) -> TicketMatrix {
    let mut of_clients = vec![BTreeMap::new(); clients];
    for &(client, product, amount, _) in rows {
        of_clients[client].insert(product, amount);
    }
    let cells = of_clients.iter().map(|row| -> Vec<Cell> {
        let cell = |(&product, &ticket): (&usize, &f64)| Cell {
            product: ProductNo(product as u32),
            ticket: ticket as f32,
            last_day: None,
        };
        row.iter().map(cell).collect()
    });
    TicketMatrix::from_rows(products, cells)
}

#[test]
fn books_of_odd_shapes_give_sound_offers_or_reasons() {
    for (clients, products) in [(4, 12), (60, 6), (60, 1), (2, 2), (200, 3)] {
        let advice = dated(clients, products, &usual(clients, products));
        if clients < 5 {
            assert_eq!(offers(&advice), 0, "{clients} clients");
            assert!(
                advice
                    .iter()
                    .all(|of| of.shortfalls == [Shortfall::TooFewClients])
            );
        } else {
            assert!(offers(&advice) > 0, "{clients} x {products}");
        }
    }
}

#[test]
fn ten_thousand_products_are_advised_in_seconds() {
    let started = std::time::Instant::now();
    let advice = dated(60, 10_000, &usual(60, 10_000));
    assert!(offers(&advice) > 0);
    let took = started.elapsed().as_secs();
    assert!(took < 60, "{took} s");
}

#[test]
fn where_all_tickets_are_equal_there_is_nothing_to_gain_by_upsell() {
    let rows: Vec<Row> = (0..60)
        .flat_map(|client| (0..6).map(move |product| (client, product, 1000.0, 12)))
        .collect();
    let advice = dated(60, 6, &rows);
    assert_eq!(offers(&advice), 0);
}

#[test]
fn one_client_with_nine_tenths_of_the_revenue_does_not_lift_the_others() {
    let rows = usual(60, 12);
    let before = dated(60, 12, &rows);
    let mut lopsided = rows.clone();
    let all: f64 = rows.iter().map(|row| row.2 * row.3 as f64).sum();
    let own: f64 = rows
        .iter()
        .filter(|row| row.0 == 0)
        .map(|row| row.2 * row.3 as f64)
        .sum();
    for row in lopsided.iter_mut().filter(|row| row.0 == 0) {
        row.2 *= 9.0 * all / own;
    }
    let after = dated(60, 12, &lopsided);
    let gain = |advice: &[Advice]| -> i64 {
        let others = advice[1..].iter().flat_map(|advice| &advice.opportunities);
        let upsell = others.filter(|offer| offer.kind == Kind::Upsell);
        upsell.map(|offer| offer.gain_minor).sum()
    };
    let (before, after) = (gain(&before) as f64, gain(&after) as f64);
    assert!(
        (0.5..2.0).contains(&(after / before)),
        "{before} became {after}"
    );
}
