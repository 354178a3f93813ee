//! A product that a client still buys, and less than clients like it do.
//!
//! What a client spends may rise while a share of it is lost: where others buy more of a product and it does not,
//! somebody else sells it the rest. Each buyer votes with the part of two horizons' spending that fell into the
//! last one. The votes of the client's segment, drawn to those of all buyers of the product and these to those of
//! all products, say what it would spend now had it gone on like them. One client is one vote between 0 and 1, so
//! that no large one outweighs the others. How much of such a gap is still there a horizon later is counted from
//! the book's own past: part of it closes by itself.

use rayon::prelude::*;

use super::SegmentNo;
use super::churn::last_whole_month;
use crate::domain::{Bucket, DAYS_PER_MONTH, Day, Month, ProductNo, Slot};
use crate::recommend::{KeepRecipe, Recipe};

/// One vote of 1: sums of votes are whole numbers, the same in any order.
const ONE: f64 = (1_u64 << 32) as f64;
/// Parts within these: a product that all but appeared, or all but ended, foretells nothing of one client.
const PARTS: (f64, f64) = (0.2, 0.8);

/// What one client spent on one product in two horizons, one after the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Spent {
    before_minor: i64,
    now_minor: i64,
    sales_before: u32,
}

impl Spent {
    fn add(&mut self, bucket: &Bucket, span: Span) {
        let Slot::Month(month) = bucket.slot else {
            return;
        };
        let back = span.until.number() - month.number();
        if (0..span.months).contains(&back) {
            self.now_minor = self.now_minor.saturating_add(bucket.amount_minor);
        } else if (span.months..2 * span.months).contains(&back) {
            self.before_minor = self.before_minor.saturating_add(bucket.amount_minor);
            self.sales_before = self.sales_before.saturating_add(bucket.sales);
        }
    }

    fn of(buckets: &[Bucket], span: Span) -> Self {
        let mut spent = Self::default();
        for bucket in buckets {
            spent.add(bucket, span);
        }
        spent
    }

    /// The part of both horizons' spending that fell into the last; `None` where nothing was bought before.
    fn part(self) -> Option<f64> {
        let now = self.now_minor.max(0) as f64;
        (self.before_minor > 0).then(|| now / (self.before_minor as f64 + now))
    }
}

/// Two horizons of whole months.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    /// The last month of the last one.
    until: Month,
    /// Months of each.
    months: i32,
}

/// Votes of some buyers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Votes {
    buyers: u32,
    /// Their sum, in units of 2^-32.
    parts: u64,
}

impl Votes {
    fn add(&mut self, part: f64) {
        self.buyers += 1;
        self.parts += (part * ONE).round() as u64;
    }

    fn join(&mut self, other: Self) {
        self.buyers += other.buyers;
        self.parts += other.parts;
    }

    /// Without one buyer's own vote, where it has one.
    fn without(self, own: Option<f64>) -> Self {
        let own_parts = own.map_or(0, |part| (part * ONE).round() as u64);
        Self {
            buyers: self.buyers.saturating_sub(u32::from(own.is_some())),
            parts: self.parts.saturating_sub(own_parts),
        }
    }

    /// The mean vote, drawn to another as by so many buyers.
    fn mean(self, drawn_to: f64, pseudo: f64) -> f64 {
        (self.parts as f64 / ONE + pseudo * drawn_to) / (f64::from(self.buyers) + pseudo)
    }
}

/// The votes of all buyers over two horizons.
#[derive(Debug, Clone, PartialEq)]
struct Parts {
    span: Span,
    of_product: Vec<Votes>,
    /// By segment, then product.
    of_segment: Vec<Vec<Votes>>,
    all: Votes,
}

impl Parts {
    /// Cost: all buckets, on all cores; the same whatever their number.
    fn of<I: Iterator<Item = Bucket>>(span: Span, buyers: &Buyers<'_, I>) -> Self {
        let segments = buyers.segments;
        let none = || vec![Votes::default(); buyers.products * (segments + 1)];
        let votes = (0..buyers.clients)
            .into_par_iter()
            .fold(none, |mut votes, client| {
                let segment = buyers.segment(client);
                buyers.spent(client, span, |product, spent| {
                    let Some(part) = spent.part() else { return };
                    votes[product.index()].add(part);
                    if let Some(segment) = segment {
                        votes[(segment + 1) * buyers.products + product.index()].add(part);
                    }
                });
                votes
            })
            .reduce(none, |mut a, b| {
                for (a, b) in a.iter_mut().zip(b) {
                    a.join(b);
                }
                a
            });
        let mut of_segment: Vec<Vec<Votes>> = votes
            .chunks(buyers.products.max(1))
            .map(<[Votes]>::to_vec)
            .collect();
        let of_product = match of_segment.is_empty() {
            true => Vec::new(),
            false => of_segment.remove(0),
        };
        let mut all = Votes::default();
        for votes in &of_product {
            all.join(*votes);
        }
        Self {
            span,
            of_product,
            of_segment,
            all,
        }
    }

    /// The part that was to be expected of a client, its own vote left out, and the buyers of its segment
    /// that say so.
    fn expected(
        &self,
        product: ProductNo,
        segment: Option<usize>,
        own: Option<f64>,
        pseudo: f64,
    ) -> (f64, u32) {
        let votes = |of: Option<&Vec<Votes>>| {
            let votes = of.and_then(|votes| votes.get(product.index()));
            votes.copied().unwrap_or_default().without(own)
        };
        let like = votes(segment.and_then(|segment| self.of_segment.get(segment)));
        let usual = self.all.without(own).mean(0.5, pseudo);
        let of_product = votes(Some(&self.of_product)).mean(usual, pseudo);
        let part = like.mean(of_product, pseudo).clamp(PARTS.0, PARTS.1);
        (part, like.buyers)
    }

    /// The share that a client lost of a product that it still buys; `None` where it lost none worth a talk.
    fn lost(
        &self,
        product: ProductNo,
        segment: Option<usize>,
        spent: Spent,
        recipe: &KeepRecipe,
    ) -> Option<ShareLost> {
        let regular = spent.sales_before >= recipe.share_purchases;
        if spent.now_minor <= 0 || spent.before_minor <= 0 || !regular {
            return None;
        }
        let own = spent.part();
        let (part, like_buyers) = self.expected(product, segment, own, recipe.trend_pseudo_buyers);
        let lost = ShareLost {
            before_minor: spent.before_minor,
            now_minor: spent.now_minor,
            months: self.span.months as u32,
            expected_part: part,
            like_buyers,
        };
        (lost.minor() >= recipe.least_share_lost * lost.expected_minor()).then_some(lost)
    }
}

/// What a client spent on a product, and what it would had it gone on like clients of its segment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ShareLost {
    /// What it spent in the horizon before the last, in minor units.
    pub before_minor: i64,
    /// What it spent in the last one.
    pub now_minor: i64,
    /// Whole months of each.
    pub months: u32,
    /// The part of both that was to fall into the last one.
    pub expected_part: f64,
    /// Other buyers of its segment that say so.
    pub like_buyers: u32,
}

impl ShareLost {
    /// What it would have spent in the last horizon, in minor units.
    pub fn expected_minor(&self) -> f64 {
        self.before_minor as f64 * self.expected_part / (1.0 - self.expected_part)
    }

    /// By how much it spent less.
    pub fn minor(&self) -> f64 {
        self.expected_minor() - self.now_minor as f64
    }
}

/// The buyers of a book.
pub struct Buyers<'a, I> {
    /// Clients `0..clients`.
    pub clients: usize,
    /// Products `0..products`.
    pub products: usize,
    /// Segments there are.
    pub segments: usize,
    /// A client's buckets, by product.
    pub buckets: &'a (dyn Fn(usize) -> I + Sync),
    /// A client's segment.
    pub segment: &'a (dyn Fn(usize) -> Option<SegmentNo> + Sync),
}

impl<I: Iterator<Item = Bucket>> Buyers<'_, I> {
    fn segment(&self, client: usize) -> Option<usize> {
        let segment = (self.segment)(client)?;
        let segment = usize::from(segment);
        (segment < self.segments).then_some(segment)
    }

    /// Calls back with each product of a client and what was spent on it.
    fn spent(&self, client: usize, span: Span, mut of: impl FnMut(ProductNo, Spent)) {
        let mut now: Option<(ProductNo, Spent)> = None;
        for bucket in (self.buckets)(client) {
            match &mut now {
                Some((product, spent)) if *product == bucket.product => spent.add(&bucket, span),
                _ => {
                    if let Some((product, spent)) = now.take() {
                        of(product, spent);
                    }
                    let mut spent = Spent::default();
                    spent.add(&bucket, span);
                    now = Some((bucket.product, spent));
                }
            }
        }
        if let Some((product, spent)) = now {
            of(product, spent);
        }
    }
}

/// What a book's past says of shares that are lost.
#[derive(Debug, Clone, PartialEq)]
pub struct ShareModel {
    /// `None` where the past is shorter than two horizons.
    parts: Option<Parts>,
    stays: f64,
}

impl ShareModel {
    /// What stands in where nothing is known: no share is lost.
    pub fn prior(recipe: &Recipe) -> Self {
        Self {
            parts: None,
            stays: recipe.keep.share_stays,
        }
    }

    /// Learns from all buyers, the book's first month and its last day with a sale. Cost: the buckets of all,
    /// three times, on all cores; the same whatever their number.
    pub fn learn<I: Iterator<Item = Bucket>>(
        buyers: &Buyers<'_, I>,
        (first, last_day): (Month, Day),
        recipe: &Recipe,
    ) -> Self {
        let horizon = f64::from(recipe.offer.horizon_days) / DAYS_PER_MONTH;
        let months = (horizon.round() as i32).max(1);
        let until = last_whole_month(last_day);
        let known = until.number() - first.number() + 1;
        let mut model = Self::prior(recipe);
        if known < 2 * months {
            return model;
        }
        let now = Parts::of(Span { until, months }, buyers);
        if known >= 3 * months {
            let earlier = Span {
                until: until.plus(-months),
                months,
            };
            model.stays = stays(&Parts::of(earlier, buyers), &now, buyers, &recipe.keep);
        }
        model.parts = Some(now);
        model
    }

    /// The part of a lost share that is still lost a horizon later if nobody does anything.
    pub fn stays(&self) -> f64 {
        self.stays
    }

    /// The share that a client of a segment lost of the product that these buckets are of; `None` where it
    /// lost none worth a talk.
    pub fn lost(
        &self,
        buckets: &[Bucket],
        segment: Option<SegmentNo>,
        recipe: &KeepRecipe,
    ) -> Option<ShareLost> {
        let parts = self.parts.as_ref()?;
        let product = buckets.first()?.product;
        let spent = Spent::of(buckets, parts.span);
        parts.lost(product, segment.map(usize::from), spent, recipe)
    }
}

/// Of the shares lost a horizon ago, the part that was still lost in the last one, drawn to the recipe's.
fn stays<I: Iterator<Item = Bucket>>(
    then: &Parts,
    now: &Parts,
    buyers: &Buyers<'_, I>,
    recipe: &KeepRecipe,
) -> f64 {
    let of_client = |client: usize| {
        let segment = buyers.segment(client);
        let mut votes = Votes::default();
        let mut later = Vec::new();
        buyers.spent(client, now.span, |product, spent| {
            later.push((product, spent));
        });
        let mut later = later.into_iter();
        buyers.spent(client, then.span, |product, spent| {
            // The same buckets, so the same products in the same order.
            let next = later.next().map(|(_, spent)| spent).unwrap_or_default();
            if let Some(lost) = then.lost(product, segment, spent, recipe) {
                let own = next.part();
                let (part, _) = now.expected(product, segment, own, recipe.trend_pseudo_buyers);
                let growth = part / (1.0 - part);
                let (expected, gap) = (lost.expected_minor() * growth, lost.minor() * growth);
                votes.add(((expected - next.now_minor as f64) / gap).clamp(0.0, 1.0));
            }
        });
        votes
    };
    let votes =
        (0..buyers.clients)
            .into_par_iter()
            .map(of_client)
            .reduce(Votes::default, |mut a, b| {
                a.join(b);
                a
            });
    votes.mean(recipe.share_stays, recipe.share_stays_pseudo)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::insight::sample::{self, FIRST};

    fn bucket(product: u32, month: i32, amount_minor: i64) -> Bucket {
        Bucket {
            sales: 2,
            last_day_of_month: 28,
            ..sample::bucket(product, month, amount_minor)
        }
    }

    /// Learns from clients by number, those of even number in the first segment and the others in the second.
    fn learn(book: &[Vec<Bucket>], products: usize, months: i32) -> ShareModel {
        let recipe = Recipe::standard().unwrap();
        let buckets = |client: usize| book[client].clone().into_iter();
        let segment = |client: usize| Some((client % 2) as SegmentNo);
        let buyers = Buyers {
            clients: book.len(),
            products,
            segments: 2,
            buckets: &buckets,
            segment: &segment,
        };
        let last_day = Month::from_number(FIRST + months - 1).day(31);
        ShareModel::learn(&buyers, (Month::from_number(FIRST), last_day), &recipe)
    }

    #[test]
    fn a_share_is_lost_where_the_like_grow_and_a_client_does_not() {
        let recipe = Recipe::standard().unwrap().keep;
        // Clients of the first segment buy three times as much in the last three months, those of the second do not.
        let grows = |client: usize| client.is_multiple_of(2) && client != 0;
        let book: Vec<Vec<Bucket>> = (0..200)
            .map(|client| {
                let amount = |month: i32| match grows(client) && month >= 9 {
                    true => 30_000,
                    false => 10_000,
                };
                (0..12)
                    .map(|month| bucket(0, month, amount(month)))
                    .collect()
            })
            .collect();
        let model = learn(&book, 1, 12);
        // Client 0 spends as it did, client 1 as well, and only 0's like spend three times as much.
        let lost = model.lost(&book[0], Some(0), &recipe).unwrap();
        assert_eq!(
            (lost.before_minor, lost.now_minor, lost.months),
            (30_000, 30_000, 3)
        );
        assert_eq!(lost.like_buyers, 99);
        assert!(
            (2.7..3.0).contains(&(lost.expected_minor() / 30_000.0)),
            "{lost:?}"
        );
        assert_eq!(model.lost(&book[1], Some(1), &recipe), None);
        assert_eq!(model.lost(&book[2], Some(0), &recipe), None);
        // What nobody lost before stays lost by the recipe's word.
        assert!((model.stays() - recipe.share_stays).abs() < 1e-12);
    }

    #[test]
    fn a_gap_that_closed_before_is_not_expected_to_stay() {
        // A third of the clients buy a third in months 3 to 5, then all as before; or go on with a third.
        let book = |comes_back: bool| -> Vec<Vec<Bucket>> {
            (0..300)
                .map(|client| {
                    let low =
                        |month: i32| client % 3 == 0 && month >= 3 && (month < 6 || !comes_back);
                    let amount = |month: i32| if low(month) { 3_000 } else { 9_000 };
                    (0..9)
                        .map(|month| bucket(0, month, amount(month)))
                        .collect()
                })
                .collect()
        };
        let (back, stays) = (learn(&book(true), 1, 9), learn(&book(false), 1, 9));
        assert!(back.stays() < 0.15, "{}", back.stays());
        assert!(stays.stays() > 0.8, "{}", stays.stays());
        let short = learn(&book(true), 1, 5);
        assert_eq!(short, ShareModel::prior(&Recipe::standard().unwrap()));
    }

    proptest! {
        #[test]
        fn expected_parts_are_those_of_a_count_by_hand(
            rows in prop::collection::vec(prop::collection::btree_map((0_u32..3, 0_i32..6), -5_i64..40, 0..12), 1..20)
        ) {
            let recipe = Recipe::standard().unwrap().keep;
            let book: Vec<Vec<Bucket>> = rows
                .iter()
                .map(|row| row.iter().map(|((product, month), amount)| bucket(*product, *month, *amount)).collect())
                .collect();
            let model = learn(&book, 3, 6);
            let sum = |row: usize, product: u32, months: std::ops::Range<i32>| -> i64 {
                rows[row].iter().filter(|((of, month), _)| *of == product && months.contains(month)).map(|(_, amount)| amount).sum()
            };
            let vote = |row: usize, product: u32| {
                let (before, now) = (sum(row, product, 0..3), sum(row, product, 3..6).max(0));
                (before > 0).then(|| now as f64 / (before + now) as f64)
            };
            let mean = |votes: Vec<f64>, to: f64| (votes.iter().sum::<f64>() + 5.0 * to) / (votes.len() as f64 + 5.0);
            let pseudo = recipe.trend_pseudo_buyers;
            prop_assert!((pseudo - 5.0).abs() < 1e-12);
            let parts = model.parts.as_ref().unwrap();
            for own in 0..rows.len() {
                for product in 0..3 {
                    let others = || (0..rows.len()).filter(|other| *other != own);
                    let own_vote = vote(own, product);
                    // A client without a vote for this product leaves its votes for others where they are.
                    let all: Vec<f64> = (0..rows.len())
                        .flat_map(|row| (0..3).map(move |of| (row, of)))
                        .filter(|one| *one != (own, product))
                        .filter_map(|(row, of)| vote(row, of))
                        .collect();
                    let of_product: Vec<f64> = others().filter_map(|row| vote(row, product)).collect();
                    let like: Vec<f64> = others().filter(|row| row % 2 == own % 2).filter_map(|row| vote(row, product)).collect();
                    let buyers = like.len() as u32;
                    let want = mean(like, mean(of_product, mean(all, 0.5))).clamp(PARTS.0, PARTS.1);
                    let (part, found) = parts.expected(ProductNo(product), Some(own % 2), own_vote, pseudo);
                    prop_assert!((part - want).abs() < 1e-7, "{} for {}", part, want);
                    prop_assert_eq!(found, buyers);
                }
            }
        }
    }
}
