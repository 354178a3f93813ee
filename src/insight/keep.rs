//! What a client may stop buying, or has stopped: as offers that keep it or win it back.
//!
//! Three kinds, in the currency of all other offers: the ticket that is at risk, the chance that working
//! it keeps the ticket, and the margin. A **lapse** is a product whose next purchase is overdue at a client
//! that still buys; a **renewal** every product of a client whose contract ends soon; a **win-back** every
//! product of a client that stopped. What other buyers of the product do counts: where they stop as well,
//! less is lost here than the client's own past says, and where most of them do it is no lapse at all. A product
//! that a client buys on time is a lapse too where clients like it came to buy much more of it than this one did:
//! the gap is at risk then, rather than the ticket.

use super::state::state;
use super::{
    ChurnModel, Facts, LapseModel, Purchases, Rhythm, ShareLost, ShareModel, State, Tally, Trend,
    Trends,
};
use crate::domain::{
    Bucket, ClientNo, DAYS_PER_MONTH, Day, Kind, Month, Opportunity, ProductNo, published,
};
use crate::recommend::{Recipe, round_minor};

/// What the figures of an offer that keeps something are made of.
///
/// `ticket at risk = ticket × going on`, rounded; `probability = risk × kept share`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KeepReceipt {
    /// What it spent on the product per period while it bought it, in minor units.
    pub ticket_minor: f64,
    /// What a purchase of it came to, in minor units; 0 where the ticket is the current one.
    pub purchase_minor: f64,
    /// Days expected between two purchases of it; 0 where the ticket is the current one.
    pub gap_days: f64,
    /// When it bought the product last.
    pub last_day: Option<Day>,
    /// What other buyers of the product did.
    pub others: Trend,
    /// The share of them that go on over that of all products, at most 1; 1 for a renewal, whose client
    /// buys.
    pub going_on: f64,
    /// That the ticket is lost if nobody does anything.
    pub risk: f64,
    /// The share of those that would be lost that working the offer keeps.
    pub kept_share: f64,
    /// When the contract ends, for a renewal.
    pub contract_end: Option<Day>,
    /// The share that was lost, for a lapse of a product that the client still buys: the ticket is the gap
    /// then, `going on` is 1, and the risk is that the gap stays.
    pub share: Option<ShareLost>,
}

/// An offer that keeps something, with its receipt.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// The offer.
    pub opportunity: Opportunity,
    /// What it was made of.
    pub receipt: KeepReceipt,
}

/// What is known of one client.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// Which.
    pub client: ClientNo,
    /// What is known of it.
    pub facts: &'a Facts,
    /// Its buckets, by product, then month.
    pub buckets: &'a [Bucket],
    /// Its tickets per period, in minor units.
    pub tickets: &'a [(ProductNo, i64)],
}

/// What keeps clients of one book.
#[derive(Debug, Clone, Copy)]
pub struct Keeper<'a> {
    /// Which clients stop.
    pub churn: &'a ChurnModel,
    /// Which products they stop buying.
    pub lapse: &'a LapseModel,
    /// What all buyers of each product do.
    pub trends: &'a Trends,
    /// How much of it they buy.
    pub share: &'a ShareModel,
    /// Days that clients usually have between purchases.
    pub usual_gap_days: f64,
    /// The day the book is seen from.
    pub as_of: Day,
    /// The book's first month.
    pub first: Month,
    /// Months of a period that tickets are stated for.
    pub period_months: f64,
    /// The rules.
    pub recipe: &'a Recipe,
}

impl Keeper<'_> {
    /// The offers that keep a client or win it back, by kind then product, and the chance that it buys
    /// nothing within the horizon. `margin` is a product's margin as a share of the amount. Cost: its
    /// buckets.
    pub fn offers(
        &self,
        known: &Known<'_>,
        margin: &dyn Fn(ProductNo) -> f64,
    ) -> (Vec<Kept>, Option<f64>) {
        let facts = known.facts;
        let rules = &self.recipe.state;
        let rhythm = Rhythm::of(&facts.purchases, self.usual_gap_days, self.as_of, rules);
        let has_tickets = facts.ticket_minor > 0;
        let end = facts.contract_end;
        let state = state(rhythm.as_ref(), has_tickets, end, self.as_of, rules);
        let churn = rhythm.map(|rhythm| {
            let churn = self.churn.of(&facts.purchases, &rhythm, self.as_of);
            churn.probability
        });
        let mut kept = match state {
            State::Inactive => self.win_backs(known, churn.unwrap_or(1.0), margin),
            State::Prospect | State::Undated => Vec::new(),
            _ => self.lapses(known, margin),
        };
        if state == State::Renewal {
            let risk = churn.unwrap_or(0.0).max(self.recipe.keep.renewal_risk);
            let renewals = self.renewals(known, risk, margin);
            let lapsed: Vec<ProductNo> = kept.iter().map(|one| one.opportunity.product).collect();
            let others = renewals.into_iter();
            kept.extend(others.filter(|one| !lapsed.contains(&one.opportunity.product)));
        }
        (kept, churn)
    }

    fn lapses(&self, known: &Known<'_>, margin: &dyn Fn(ProductNo) -> f64) -> Vec<Kept> {
        let keep = &self.recipe.keep;
        let lapses = self
            .lapse
            .lapses(known.buckets, self.first, self.as_of, self.recipe);
        let kept = lapses.iter().filter_map(|lapse| {
            let purchases = lapse.year_purchases.max(1);
            let purchase_minor = lapse.year_minor as f64 / f64::from(purchases);
            let parts = Parts {
                kind: Kind::Lapse,
                product: lapse.product,
                risk: lapse.probability,
                kept_share: keep.lapse_kept,
                rhythm: Some((purchase_minor, lapse.rhythm.gap_days)),
                last_day: Some(lapse.last_day),
            };
            self.stopped(known, parts, margin)
        });
        let mut kept: Vec<Kept> = kept.collect();
        let overdue: Vec<ProductNo> = lapses.iter().map(|lapse| lapse.product).collect();
        let products = known.buckets.chunk_by(|a, b| a.product == b.product);
        let bought = products.filter(|buckets| !overdue.contains(&buckets[0].product));
        kept.extend(bought.filter_map(|buckets| self.share_lost(known, buckets, margin)));
        most(kept, keep.rows)
    }

    /// An offer of a product that the client buys on time, and much less than its like.
    fn share_lost(
        &self,
        known: &Known<'_>,
        buckets: &[Bucket],
        margin: &dyn Fn(ProductNo) -> f64,
    ) -> Option<Kept> {
        let keep = &self.recipe.keep;
        let product = buckets.first()?.product;
        let lost = self.share.lost(buckets, known.facts.segment, keep)?;
        let receipt = KeepReceipt {
            ticket_minor: lost.minor() / f64::from(lost.months) * self.period_months,
            purchase_minor: 0.0,
            gap_days: 0.0,
            last_day: None,
            others: self.trends.others(product, buckets),
            going_on: 1.0,
            risk: self.share.stays(),
            kept_share: keep.lapse_kept,
            contract_end: None,
            share: Some(lost),
        };
        self.kept(known.client, Kind::Lapse, product, receipt, margin)
    }

    fn win_backs(
        &self,
        known: &Known<'_>,
        risk: f64,
        margin: &dyn Fn(ProductNo) -> f64,
    ) -> Vec<Kept> {
        let keep = &self.recipe.keep;
        let Some(last) = known.facts.purchases.last_day else {
            return Vec::new();
        };
        if self.as_of.epoch_days() - last.epoch_days() > keep.win_back_days {
            return Vec::new();
        }
        let mut tally = Tally::default();
        let months = (self.first, last.month());
        let usual = self.lapse.usual_gap_days();
        let of_product = |buckets: &[Bucket]| {
            let purchases: Purchases = tally.sum(buckets.iter().copied(), months, |_| 0.0);
            let rhythm = Rhythm::of(&purchases, usual, last, &self.recipe.state)?;
            let year = &purchases.year;
            if year.revenue_minor <= 0 || year.purchases == 0 {
                return None;
            }
            let purchase_minor = year.revenue_minor as f64 / f64::from(year.purchases);
            let parts = Parts {
                kind: Kind::WinBack,
                product: buckets.first()?.product,
                risk,
                kept_share: keep.won_back,
                rhythm: Some((purchase_minor, rhythm.gap_days)),
                last_day: purchases.last_day,
            };
            self.stopped(known, parts, margin)
        };
        let products = known.buckets.chunk_by(|a, b| a.product == b.product);
        most(products.filter_map(of_product).collect(), keep.rows)
    }

    fn renewals(
        &self,
        known: &Known<'_>,
        risk: f64,
        margin: &dyn Fn(ProductNo) -> f64,
    ) -> Vec<Kept> {
        let keep = &self.recipe.keep;
        let of_ticket = |(product, ticket_minor): &(ProductNo, i64)| {
            let others = self.trends.others(*product, own(known.buckets, *product));
            let receipt = KeepReceipt {
                ticket_minor: *ticket_minor as f64,
                purchase_minor: 0.0,
                gap_days: 0.0,
                last_day: None,
                others,
                going_on: 1.0,
                risk,
                kept_share: keep.renewed,
                contract_end: known.facts.contract_end,
                share: None,
            };
            self.kept(known.client, Kind::Renewal, *product, receipt, margin)
        };
        most(
            known.tickets.iter().filter_map(of_ticket).collect(),
            keep.rows,
        )
    }

    /// An offer of a product that the client no longer buys.
    fn stopped(
        &self,
        known: &Known<'_>,
        parts: Parts,
        margin: &dyn Fn(ProductNo) -> f64,
    ) -> Option<Kept> {
        let (purchase_minor, gap_days) = parts.rhythm?;
        let others = self
            .trends
            .others(parts.product, own(known.buckets, parts.product));
        let going_on = self.trends.going_on(others, &self.recipe.keep);
        if going_on < self.recipe.keep.least_going_on {
            return None;
        }
        let period_days = DAYS_PER_MONTH * self.period_months;
        let receipt = KeepReceipt {
            ticket_minor: purchase_minor * period_days / gap_days,
            purchase_minor,
            gap_days,
            last_day: parts.last_day,
            others,
            going_on,
            risk: parts.risk,
            kept_share: parts.kept_share,
            contract_end: None,
            share: None,
        };
        self.kept(known.client, parts.kind, parts.product, receipt, margin)
    }

    fn kept(
        &self,
        client: ClientNo,
        kind: Kind,
        product: ProductNo,
        receipt: KeepReceipt,
        margin: &dyn Fn(ProductNo) -> f64,
    ) -> Option<Kept> {
        let offer = &self.recipe.offer;
        let at_risk = round_minor(
            receipt.ticket_minor * receipt.going_on,
            offer.significant_digits,
        );
        if at_risk <= 0 {
            return None;
        }
        let probability = published(receipt.risk * receipt.kept_share);
        let now = |lost: ShareLost| {
            (lost.now_minor as f64 / f64::from(lost.months) * self.period_months).round() as i64
        };
        let current = match kind {
            Kind::Renewal => receipt.ticket_minor.round() as i64,
            _ => receipt.share.map_or(0, now),
        };
        let ticket = at_risk + receipt.share.map_or(0, now);
        let opportunity = Opportunity {
            client,
            product,
            kind,
            current_ticket_minor: current,
            low_ticket_minor: ticket,
            expected_ticket_minor: ticket,
            high_ticket_minor: ticket,
            potential_ticket_minor: ticket,
            gain_minor: at_risk,
            probability,
            score: published(100.0 * receipt.risk),
            priority_minor: probability * at_risk as f64 * margin(product)
                - offer.contact_cost_minor,
            neighbours: receipt.others.before,
            neighbours_buying: receipt.others.still,
        };
        Some(Kept {
            opportunity,
            receipt,
        })
    }
}

/// What an offer of a product that is no longer bought is made of.
struct Parts {
    kind: Kind,
    product: ProductNo,
    risk: f64,
    kept_share: f64,
    rhythm: Option<(f64, f64)>,
    last_day: Option<Day>,
}

/// A client's buckets of one product.
fn own(buckets: &[Bucket], product: ProductNo) -> &[Bucket] {
    let from = buckets.partition_point(|bucket| bucket.product < product);
    let to = buckets.partition_point(|bucket| bucket.product <= product);
    &buckets[from..to]
}

/// The first offers by priority, at most this many.
fn most(mut kept: Vec<Kept>, rows: usize) -> Vec<Kept> {
    kept.sort_by(|a, b| {
        let priority = |one: &Kept| one.opportunity.priority_minor;
        let product = |one: &Kept| one.opportunity.product;
        priority(b)
            .total_cmp(&priority(a))
            .then(product(a).cmp(&product(b)))
    });
    kept.truncate(rows);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Slot;
    use crate::insight::sample::{FIRST, bucket};

    const MONTHS: i32 = 24;

    /// 60 clients that buy two products every month for two years; a third of them also bought a third
    /// product and stopped half a year ago, and a few stopped as a whole.
    fn book() -> Vec<Vec<Bucket>> {
        (0..60)
            .map(|client| {
                let until = |product: u32| match (client % 10, product) {
                    (9, _) => MONTHS - 10,
                    (0 | 5, 1) => MONTHS - 6,
                    _ => MONTHS,
                };
                (0..2)
                    .flat_map(|product| {
                        (0..until(product)).map(move |month| bucket(product, month, 30_000))
                    })
                    .collect()
            })
            .collect()
    }

    fn offers(book: &[Vec<Bucket>], client: usize, contract_end: Option<Day>) -> Vec<Kept> {
        let recipe = Recipe::standard().unwrap();
        let last = Month::from_number(FIRST + MONTHS - 1);
        let as_of = last.day(10);
        let first = Month::from_number(FIRST);
        let churn = ChurnModel::prior(&recipe);
        let pairs: Vec<Vec<Bucket>> = book
            .iter()
            .flat_map(|buckets| buckets.chunk_by(|a, b| a.product == b.product))
            .map(<[Bucket]>::to_vec)
            .collect();
        let of = |pair: usize| pairs[pair].iter().copied();
        let lapse = LapseModel::learn(pairs.len(), of, (first, as_of), &recipe);
        let trends = Trends::of(
            book.len(),
            2,
            |client| book[client].iter().copied(),
            last,
            &recipe,
        );
        let buckets = &book[client];
        let mut tally = Tally::default();
        let facts = Facts {
            purchases: tally.sum(buckets.iter().copied(), (first, last), |_| 0.0),
            ticket_minor: 30_000,
            contract_end,
            segment: None,
        };
        let keeper = Keeper {
            churn: &churn,
            lapse: &lapse,
            trends: &trends,
            share: &ShareModel::prior(&recipe),
            usual_gap_days: 30.0,
            as_of,
            first,
            period_months: 1.0,
            recipe: &recipe,
        };
        let known = Known {
            client: ClientNo(client as u32),
            facts: &facts,
            buckets,
            tickets: &[(ProductNo(0), 30_000), (ProductNo(1), 15_000)],
        };
        let margin = |_: ProductNo| 0.5;
        keeper.offers(&known, &margin).0
    }

    fn kinds(kept: &[Kept]) -> Vec<(Kind, u32)> {
        let of = |one: &Kept| (one.opportunity.kind, one.opportunity.product.0);
        kept.iter().map(of).collect()
    }

    #[test]
    fn what_a_client_does_says_what_keeps_it() {
        let book = book();
        assert_eq!(kinds(&offers(&book, 1, None)), []);
        let lapsed = offers(&book, 5, None);
        assert_eq!(kinds(&lapsed), [(Kind::Lapse, 1)]);
        let as_of = Month::from_number(FIRST + MONTHS - 1).day(10);
        let soon = Some(as_of.plus(30));
        assert_eq!(
            kinds(&offers(&book, 1, soon)),
            [(Kind::Renewal, 0), (Kind::Renewal, 1)]
        );
        assert_eq!(
            kinds(&offers(&book, 5, soon)),
            [(Kind::Lapse, 1), (Kind::Renewal, 0)]
        );
        let gone = offers(&book, 9, None);
        assert_eq!(kinds(&gone), [(Kind::WinBack, 0), (Kind::WinBack, 1)]);
        for one in lapsed.iter().chain(&gone) {
            let (offer, receipt) = (&one.opportunity, &one.receipt);
            // A purchase of 300 about every month, and most others go on.
            assert!(
                (25_000.0..35_000.0).contains(&receipt.ticket_minor),
                "{one:?}"
            );
            assert!(receipt.going_on > 0.8 && receipt.others.still <= receipt.others.before);
            let at_risk = receipt.ticket_minor * receipt.going_on;
            assert_eq!(offer.gain_minor, round_minor(at_risk, 3));
            assert!((offer.probability - receipt.risk * receipt.kept_share).abs() < 1e-7);
            let worth = offer.probability * offer.gain_minor as f64 * 0.5;
            assert!((offer.priority_minor - worth).abs() < 1e-9);
        }
    }

    #[test]
    fn where_other_buyers_stop_as_well_it_is_no_lapse() {
        let mut book = book();
        for buckets in &mut book {
            buckets.retain(|bucket| {
                let Slot::Month(month) = bucket.slot else {
                    return true;
                };
                bucket.product.0 == 0 || month.number() < FIRST + MONTHS - 4
            });
        }
        assert_eq!(kinds(&offers(&book, 5, None)), []);
    }
}
