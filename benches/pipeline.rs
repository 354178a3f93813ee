//! The offers of one client and of all, with the full recipe: `cargo bench --bench pipeline -- M`
//! (S, M, L or XL; `dated` for a book with a history; `one` for single clients only). Run once at
//! size S where no size is named.
#![allow(missing_docs, clippy::unwrap_used)]

mod book;

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use book::{Made, Random, Size};
use carteira::domain::{ClientNo, DAYS_PER_MONTH};
use carteira::matrix::Statistics;
use carteira::neighbours::{
    BuyerSearch, CosineIndex, DistanceRule, NearestOfAll, Profiles, Subject,
};
use carteira::recommend::adoption::Scene;
use carteira::recommend::{Advisor, Book, Recipe, Scratch};
use rayon::prelude::*;

/// Clients asked one after the other.
const ASKED: usize = 400;

fn main() {
    let named = |name: &str| std::env::args().any(|argument| argument == name);
    let recipe = Recipe::standard().unwrap();
    for size in Size::of_arguments() {
        let Made { matrix, log, as_of } = match named("dated") {
            true => book::dated(size),
            false => book::undated(size),
        };
        println!(
            "{}: {} clients x {} products, {} tickets",
            size.name,
            matrix.clients(),
            matrix.products(),
            matrix.tickets()
        );
        let started = Instant::now();
        let statistics = Statistics::of(&matrix);
        let cosine = CosineIndex::of(&matrix, &statistics);
        told("measured", started);
        let profiles = Profiles::default();
        let scene = Scene {
            book: Book {
                matrix: &matrix,
                statistics: &statistics,
                profiles: &profiles,
                products: &[],
                recipe: &recipe,
            },
            cosine: &cosine,
            nearest: None,
        };
        let started = Instant::now();
        let go_on = |_: f64| ControlFlow::Continue(());
        let advisor = Advisor::fit(&scene, &log, as_of, DAYS_PER_MONTH, &go_on).unwrap();
        told("model fitted", started);

        let mut random = Random::new(3);
        let mut scratch = Scratch::default();
        let mut times: Vec<Duration> = Vec::new();
        for _ in 0..ASKED {
            let client = ClientNo(random.under(size.clients) as u32);
            let started = Instant::now();
            let subject = Subject::existing(&matrix, &profiles, client);
            let advice = advisor.advise(&scene, &subject, &mut scratch);
            std::hint::black_box(advice);
            times.push(started.elapsed());
        }
        spread("one client", times);
        let rule = DistanceRule {
            spread: 1.0,
            shrink: 2.0,
            floor: 0.05,
            attribute_weight: 0.0,
        };
        let mut search = BuyerSearch::default();
        let times = (0..ASKED).map(|_| {
            let client = ClientNo(random.under(size.clients) as u32);
            let started = Instant::now();
            let subject = Subject::existing(&matrix, &profiles, client);
            let products = subject.products();
            search.survey(&matrix, &subject, &profiles, products, &rule, 100);
            started.elapsed()
        });
        spread("the 100 nearest buyers of its products", times.collect());
        if named("one") {
            continue;
        }
        let started = Instant::now();
        let nearest = NearestOfAll::of_index(&cosine, advisor.neighbours());
        told("all clients' neighbours", started);
        let scene = Scene {
            nearest: Some(&nearest),
            ..scene
        };
        let digests: Vec<(usize, u64)> = (0..size.clients as u32)
            .into_par_iter()
            .map_init(Scratch::default, |scratch, client| {
                let subject = Subject::existing(&matrix, &profiles, ClientNo(client));
                let offers = advisor.advise(&scene, &subject, scratch).opportunities;
                let sum = |sum: u64, offer: &carteira::domain::Opportunity| {
                    let priority = offer.priority_minor.to_bits() ^ u64::from(offer.product.0);
                    sum.rotate_left(5)
                        .wrapping_add(priority)
                        .wrapping_add(offer.potential_ticket_minor as u64)
                };
                (offers.len(), offers.iter().fold(0, sum))
            })
            .collect();
        told("all clients' offers", started);
        let offers: usize = digests.iter().map(|digest| digest.0).sum();
        let digest = digests.iter().fold(0_u64, |sum, digest| {
            sum.rotate_left(7).wrapping_add(digest.1)
        });
        println!("  {offers} offers, digest {digest:016x}");
    }
}

fn told(what: &str, started: Instant) {
    println!("  {what}: {:.3} s", started.elapsed().as_secs_f64());
}

fn spread(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |part: usize| ms(times[times.len() * part / 100]);
    println!("  {what}: p50 {:.3} ms, p99 {:.3} ms", at(50), at(99));
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
