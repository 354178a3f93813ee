//! Books to measure on: seeded, so that every run and every machine has the same.
//!
//! Clients belong to hidden segments, each with a taste of its own for product categories; how many
//! products buy is spread by a Zipf-Mandelbrot law, `1 / (j + 20)` (Mandelbrot, 1953), as
//! catalogues show it; how many products a client buys, its size and its tickets are log-normal.
#![allow(dead_code)]

use carteira::domain::{ClientNo, DAYS_PER_MONTH, Day, ProductNo};
use carteira::matrix::{Cell, Purchase, PurchaseLog, TicketMatrix};

/// The months that dated purchases are spread over.
const MONTHS: u32 = 18;
/// The last day of a dated book.
const LAST_DAY: i32 = 20_453;

/// How large a book is.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// As the tables name it.
    pub name: &'static str,
    /// Clients.
    pub clients: usize,
    /// Products.
    pub products: usize,
    tickets_per_client: f64,
    segments: usize,
}

const SIZES: [Size; 4] = [
    Size {
        name: "S",
        clients: 2_000,
        products: 300,
        tickets_per_client: 40.0,
        segments: 12,
    },
    Size {
        name: "M",
        clients: 20_000,
        products: 1_000,
        tickets_per_client: 40.0,
        segments: 24,
    },
    Size {
        name: "L",
        clients: 100_000,
        products: 5_000,
        tickets_per_client: 50.0,
        segments: 40,
    },
    Size {
        name: "XL",
        clients: 1_000_000,
        products: 10_000,
        tickets_per_client: 50.0,
        segments: 60,
    },
];

impl Size {
    /// A size by its name.
    pub fn named(name: &str) -> Option<Self> {
        SIZES.into_iter().find(|size| size.name == name)
    }

    /// The sizes that the arguments name; S where there is none, as when every bench is run once.
    pub fn of_arguments() -> Vec<Self> {
        let named: Vec<Self> = std::env::args()
            .filter_map(|name| Self::named(&name))
            .collect();
        if named.is_empty() {
            vec![SIZES[0]]
        } else {
            named
        }
    }
}

/// Random numbers by SplitMix64 (Steele, Lea, Flood, 2014).
pub struct Random(u64);

impl Random {
    /// A stream that a seed always gives.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to 1, never 0.
    pub fn unit(&mut self) -> f64 {
        ((self.bits() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// A whole number under `end`.
    pub fn under(&mut self, end: usize) -> usize {
        ((self.unit() * end as f64) as usize).min(end - 1)
    }

    /// Standard normal (Box & Muller, 1958).
    pub fn normal(&mut self) -> f64 {
        (-2.0 * self.unit().ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos()
    }
}

/// The rows of a book: product and ticket in whole minor units, by product.
pub fn rows(size: Size) -> Vec<Vec<(u32, f32)>> {
    let Size {
        clients,
        products,
        segments,
        ..
    } = size;
    let mut random = Random::new(7);
    let category: Vec<usize> = (0..products).map(|_| random.under(segments)).collect();
    let ln_price: Vec<f64> = (0..products).map(|_| 8.6 + 0.8 * random.normal()).collect();
    let choices: Vec<Vec<f64>> = (0..segments)
        .map(|own| {
            let taste: Vec<f64> = (0..segments)
                .map(|other| random.normal().powi(2) + if other == own { 6.0 } else { 0.0 })
                .collect();
            let mut sum = 0.0;
            let weigh = |product: usize| {
                sum += (0.25 + taste[category[product]]) / (product as f64 + 20.0);
                sum
            };
            (0..products).map(weigh).collect()
        })
        .collect();
    let shares: Vec<f64> = (0..segments)
        .map(|at| 1.0 / (at as f64 + 1.0).sqrt())
        .collect();
    let all: f64 = shares.iter().sum();
    let row = |_| {
        let mut draw = random.unit() * all;
        let segment = shares.iter().position(|share| {
            draw -= share;
            draw <= 0.0
        });
        let sums = &choices[segment.unwrap_or(segments - 1)];
        let ln_size = 0.6 * random.normal();
        // Divided by their means, so that clients buy as many products as the size says.
        let breadth = (0.6 * random.normal() - 0.18).exp() * (0.6 + 0.4 * (ln_size - 0.18).exp());
        let wanted = size.tickets_per_client * 1.15 * breadth;
        let wanted = (wanted + wanted.sqrt() * random.normal()).round();
        let wanted = (wanted.max(3.0) as usize).min(products / 2);
        let mut row: Vec<u32> = (0..wanted)
            .map(|_| {
                let draw = random.unit() * sums[products - 1];
                sums.partition_point(|sum| *sum < draw).min(products - 1) as u32
            })
            .collect();
        row.sort_unstable();
        row.dedup();
        let ticket = |product: u32| {
            let ln = ln_price[product as usize] + 0.7 * ln_size + 0.7 * random.normal();
            (product, ln.exp().round().max(1.0) as f32)
        };
        row.into_iter().map(ticket).collect()
    };
    (0..clients).map(row).collect()
}

/// A book as it is scored.
pub struct Made {
    /// Tickets.
    pub matrix: TicketMatrix,
    /// The purchases that they were made of; empty in a book without dates.
    pub log: PurchaseLog,
    /// The first day that is not known.
    pub as_of: Day,
}

/// A book whose tickets have no dates, as an import without a date column gives.
pub fn undated(size: Size) -> Made {
    let cell = |&(product, ticket): &(u32, f32)| Cell {
        product: ProductNo(product),
        ticket,
        last_day: None,
    };
    let rows = rows(size);
    let rows = rows
        .iter()
        .map(|row| row.iter().map(cell).collect::<Vec<_>>());
    Made {
        matrix: TicketMatrix::from_rows(size.products, rows),
        log: PurchaseLog::default(),
        as_of: Day::from_epoch_days(LAST_DAY),
    }
}

/// A book of monthly purchases: about half of the tickets from the first month on, the others taken
/// up later, with months left out.
pub fn dated(size: Size) -> Made {
    let mut log = PurchaseLog::builder(size.products);
    let mut random = Random::new(11);
    for row in rows(size) {
        let mut purchases = Vec::with_capacity(row.len() * 8);
        for (product, ticket) in row {
            let first = if random.unit() < 0.5 {
                0
            } else {
                random.under(MONTHS as usize) as u32
            };
            let often = 0.2 + 0.7 * random.unit();
            for month in first..MONTHS {
                if month > first && random.unit() > often {
                    continue;
                }
                let before = f64::from(MONTHS - 1 - month) * DAYS_PER_MONTH;
                let amount = f64::from(ticket) / often * (0.3 * random.normal()).exp();
                purchases.push(Purchase {
                    product: ProductNo(product),
                    day: Day::from_epoch_days(LAST_DAY - before as i32 - random.under(28) as i32),
                    amount_minor: amount.round().max(1.0),
                });
            }
        }
        log.push_client(purchases);
    }
    let log = log.finish();
    let as_of = log
        .days()
        .map_or(Day::from_epoch_days(LAST_DAY), |days| days.1.plus(1));
    let first = as_of.plus(-365);
    let row = |client: u32| {
        let mut row: Vec<Cell> = Vec::new();
        for purchase in log
            .of(ClientNo(client))
            .iter()
            .filter(|one| one.day >= first)
        {
            let ticket = (purchase.amount_minor / 12.0) as f32;
            match row
                .last_mut()
                .filter(|cell| cell.product == purchase.product)
            {
                Some(cell) => {
                    cell.ticket += ticket;
                    cell.last_day = Some(purchase.day);
                }
                None => row.push(Cell {
                    product: purchase.product,
                    ticket,
                    last_day: Some(purchase.day),
                }),
            }
        }
        row
    };
    let matrix = TicketMatrix::from_rows(size.products, (0..size.clients as u32).map(row));
    Made { matrix, log, as_of }
}
