//! What became of a portfolio's offers, put together from its book.

use std::sync::Arc;

use super::clock::today;
use super::{Book, EngineError, Insighted, Tenant};
use crate::domain::{ClientNo, Day, Month, Offer, ProductNo, Slot, Text};
use crate::insight::Grouping;
use crate::outcome::{EffectReport, Learnt, Logged, report};

/// The effect of offering, and what it was counted over.
#[derive(Debug)]
pub struct Effect {
    /// Conversion and uplift.
    pub report: EffectReport,
    /// The first day of showings that count; `None` where nothing was shown.
    pub from: Option<Day>,
    /// The last day that counts.
    pub to: Day,
    /// Months that sales were counted over, these of the first and the last day included.
    pub months: u32,
    /// The share of clients held out now.
    pub held_out_share: f64,
    /// What outcomes say of the probabilities.
    pub learnt: Option<Learnt>,
    /// The write counter that it includes.
    pub sequence: u64,
}

/// Months that sales are counted over, and as many before.
struct Span {
    first: Month,
    last: Month,
}

impl Span {
    fn months(&self) -> i32 {
        self.last.number() - self.first.number() + 1
    }
}

impl Tenant {
    /// What offering earned: by showings from one day (the first there is) to another (today), with
    /// segments by what [`Book::grouping`] makes of a name. Cost: the offers that have a past, and their clients' buckets.
    pub fn effect(
        &self,
        from: Option<Day>,
        to: Option<Day>,
        segments: Option<&Text>,
    ) -> Result<Effect, EngineError> {
        let moment = self.moment();
        let model = self.model(&moment)?;
        let book = &moment.book;
        let segments = segments.map(|name| book.grouping(name));
        let insighted = match segments {
            Some(Grouping::Segment) => {
                let insighted = self.insights()?;
                insighted.learnt_segments()?;
                Some(insighted)
            }
            _ => None,
        };
        let segment = |client: ClientNo| {
            let record = book.clients().get(client.0)?;
            let segment = insighted
                .as_ref()
                .and_then(|all: &Arc<Insighted>| all.segment_of(client));
            segments.as_ref()?.value(record, segment)
        };
        let to = to.unwrap_or_else(today);
        let first_shown = || {
            let first = |offer: &Offer| offer.showings().first().map(|showing| showing.day);
            let days = book.offers().values().filter_map(|offer| first(offer));
            days.filter(|day| *day <= to).min()
        };
        let from = from.or_else(first_shown);
        let span = from.map(|from| Span {
            first: from.month(),
            last: to.month(),
        });
        let logged = match (from, &span) {
            (Some(from), Some(span)) => logged(book, from, to, span, &segment),
            _ => Vec::new(),
        };
        Ok(Effect {
            report: report(&logged),
            from,
            to,
            months: span.map_or(0, |span| span.months().max(0) as u32),
            held_out_share: model.recipe().outcomes.held_out_share,
            learnt: model.outcomes().copied(),
            sequence: book.sequence(),
        })
    }
}

/// Every offer that was logged between two days, with what is counted of it.
fn logged(
    book: &Book,
    from: Day,
    to: Day,
    span: &Span,
    segment: &dyn Fn(ClientNo) -> Option<Text>,
) -> Vec<Logged> {
    let period_months = book.portfolio().period.months() as f64;
    let mut all = Vec::new();
    for ((client, product, kind), offer) in book.offers() {
        let Some(record) = book.clients().get(client.0) else {
            continue;
        };
        let within = |day: Day| from <= day && day <= to;
        let Some(shown) = offer.showings().iter().find(|showing| within(showing.day)) else {
            continue;
        };
        let since = |day: Day| shown.day <= day && day <= to;
        let mut outcomes = offer.outcomes().iter().rev();
        let (sales_minor, earlier_minor) = monthly_sales(book, client.0, *product, span);
        all.push(Logged {
            client: *client,
            product: *product,
            kind: *kind,
            owner: record.owner.clone(),
            segment: segment(*client),
            day: shown.day,
            held_out: shown.held_out,
            probability: shown.probability,
            gain_minor: shown.gain_minor as f64 / period_months,
            potential_minor: shown.potential_minor,
            outcome: outcomes
                .find(|reported| since(reported.day))
                .map(|reported| reported.outcome),
            wallet_minor: offer
                .outcomes()
                .iter()
                .rev()
                .find_map(|reported| reported.wallet_minor),
            sales_minor,
            earlier_minor,
        });
    }
    all
}

/// Sales of a product to a client in minor units a month: over the span, and over as long before.
fn monthly_sales(book: &Book, client: u32, product: ProductNo, span: &Span) -> (f64, f64) {
    let (mut during, mut before) = (0.0, 0.0);
    let months = span.months();
    let Some(history) = book.histories.get(client as usize) else {
        return (0.0, 0.0);
    };
    for bucket in history.buckets_of(product) {
        let Slot::Month(month) = bucket.slot else {
            continue;
        };
        let at = month.number() - span.first.number();
        if (0..months).contains(&at) {
            during += bucket.amount_minor as f64;
        } else if (-months..0).contains(&at) {
            before += bucket.amount_minor as f64;
        }
    }
    let months = f64::from(months.max(1));
    (during / months, before / months)
}
