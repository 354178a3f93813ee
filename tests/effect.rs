//! The effect report on simulated books whose truth is known: wallets, response to offers, hold-out.
//!
//! Each client has a wallet, a part of which it buys already; an offer that is shown is taken with a
//! true probability, and then sells a ticket more. The truth is the difference that showing made to
//! the very clients that were shown offers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use carteira::domain::{ClientId, ClientNo, Day, Kind, PortfolioId, ProductNo, Text};
use carteira::outcome::{HoldOut, Logged, Verdict, report};

/// Numbers from a seed.
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Standard normal (Box and Muller).
    fn normal(&mut self) -> f64 {
        let (u, v) = (1.0 - self.uniform(), self.uniform());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }
}

/// A book after a season of offers: what was logged, and the true uplift a client shown and month.
fn season(seed: u64, clients: u32, held_out_share: f64, response: f64) -> (Vec<Logged>, f64) {
    let mut random = Random(seed.wrapping_mul(0x5851_f42d_4c95_7f2d));
    let portfolio = PortfolioId::parse(&format!("book {seed}")).unwrap();
    let hold_out = HoldOut::of(&portfolio, held_out_share);
    let mut logged = Vec::new();
    let (mut gained, mut shown) = (0.0, 0_u32);
    for number in 0..clients {
        let held_out = hold_out.holds(&ClientId::parse(&format!("client {number}")).unwrap());
        let size = (8.0 + 1.0 * random.normal()).exp();
        // How the client's season went, whatever was offered.
        let season = (0.25 * random.normal()).exp();
        let offers = 2 + (random.uniform() * 5.0) as u32;
        shown += u32::from(!held_out);
        for product in 0..offers {
            let wallet = size * (0.5 * random.normal()).exp();
            let share = match product % 2 {
                0 => 0.2 + 0.6 * random.uniform(),
                _ => 0.0,
            };
            let earlier = wallet * share * (0.2 * random.normal()).exp();
            let gain = wallet * (1.0 - share);
            let probability = 0.05 + 0.25 * random.uniform();
            // Some of it would have come by itself.
            let by_itself = match random.uniform() < 0.3 * probability {
                true => gain * random.uniform(),
                false => 0.0,
            };
            let taken = random.uniform() < response * probability;
            let more = match taken && !held_out {
                true => gain * (0.3 + 0.7 * random.uniform()),
                false => 0.0,
            };
            gained += more;
            logged.push(Logged {
                client: ClientNo(number),
                product: ProductNo(product),
                kind: if share > 0.0 {
                    Kind::Upsell
                } else {
                    Kind::CrossSell
                },
                owner: Text::default(),
                segment: None,
                day: Day::from_epoch_days(20_000),
                held_out,
                probability,
                gain_minor: gain,
                potential_minor: wallet as i64,
                outcome: None,
                wallet_minor: None,
                sales_minor: wallet * share * season * (0.2 * random.normal()).exp()
                    + by_itself
                    + more,
                earlier_minor: earlier,
            });
        }
    }
    (logged, gained / f64::from(shown))
}

/// Of 100 books, or 1,000 at `CARTEIRA_FAULTS=10`: how many of 100 intervals hold the truth, and how
/// many claim an effect.
fn of_a_hundred(clients: u32, held_out_share: f64, response: f64) -> (f64, f64) {
    let times: u64 = std::env::var("CARTEIRA_FAULTS").map_or(1, |times| times.parse().unwrap());
    let (mut covered, mut claimed) = (0, 0);
    for seed in 0..100 * times {
        let (logged, truth) = season(seed, clients, held_out_share, response);
        let report = report(&logged);
        let all = report.uplifts[0].1;
        assert_ne!(all.verdict, Verdict::TooLittle);
        covered += usize::from(all.interval[0] <= truth && truth <= all.interval[1]);
        claimed += usize::from(all.verdict != Verdict::NotShown);
    }
    let [covered, claimed] = [covered, claimed].map(|count| count as f64 / times as f64);
    println!(
        "seeds 0 to {}: {clients} clients, {held_out_share} held out, response {response}: truth within {covered} of 100, claimed in {claimed}",
        100 * times - 1
    );
    (covered, claimed)
}

/// Sizes of books, and the share of their clients that is held out.
const BOOKS: [(u32, f64); 4] = [(300, 0.2), (500, 0.2), (1_000, 0.1), (2_000, 0.1)];

#[test]
fn the_interval_holds_the_true_uplift_in_93_of_100_books() {
    for (clients, share) in BOOKS {
        let (covered, _) = of_a_hundred(clients, share, 1.0);
        assert!(covered >= 93.0, "{covered} of 100 with {clients} clients");
    }
}

#[test]
fn without_an_effect_one_is_claimed_in_at_most_7_of_100_books() {
    for (clients, share) in BOOKS {
        let (_, claimed) = of_a_hundred(clients, share, 0.0);
        assert!(claimed <= 7.0, "{claimed} of 100 with {clients} clients");
    }
}

#[test]
fn an_effect_that_is_there_is_found_once_there_are_clients_enough() {
    let (_, claimed) = of_a_hundred(4_000, 0.2, 1.0);
    assert!(claimed >= 90.0, "{claimed} of 100");
}
