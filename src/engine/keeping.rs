//! Offers that keep clients: from a moment and what the book's past says, beside those that sell.

use std::collections::BTreeSet;
use std::sync::Arc;

use rayon::prelude::*;

use super::changed::Changed;
use super::insights::{Insighted, Past, facts, is_small};
use super::scoring::Eligible;
use super::tenant::{REBUILD_SHARE, Tenant, released};
use super::{Book, EngineError};
use crate::domain::{ClientNo, Day, Kind, Opportunity, ProductNo, Share};
use crate::insight::{Keeper, Kept, Known, Tally};
use crate::pipeline::{OfferRow, Pipeline, Rules};
use crate::recommend::Recipe;

/// Buckets of a client that are looked through without a turn, in packed bytes: some 1,600, tens of microseconds.
const SOON_BYTES: usize = 16 * 1_024;

/// The offers that keep clients, of a whole portfolio.
#[derive(Debug, Clone)]
pub struct Keeping {
    made_of: MadeOf,
    /// The offers.
    pub pipeline: Pipeline,
    /// Whether each client is kept before it is sold more, by number.
    first: Vec<bool>,
    today: Day,
}

/// What offers that keep clients were made of. Not the insights themselves: a list that pages are read from
/// would hold those of its moment.
#[derive(Debug, Clone)]
pub(super) struct MadeOf {
    past: Arc<Past>,
    as_of: Day,
    usual_gap_days: f64,
    recipe: Arc<Recipe>,
    sequence: u64,
    facts_sequence: u64,
}

impl MadeOf {
    fn these(insighted: &Insighted) -> Self {
        let book = &insighted.moment.book;
        Self {
            past: insighted.past.clone(),
            as_of: insighted.insights.as_of,
            usual_gap_days: insighted.insights.usual_gap_days,
            recipe: insighted.recipe.clone(),
            sequence: book.sequence(),
            facts_sequence: book.facts_sequence(),
        }
    }
}

impl Keeping {
    /// The write counter of the book that they follow from.
    pub(super) fn sequence(&self) -> u64 {
        self.made_of.sequence
    }

    /// Its [`Book::facts_sequence`].
    pub(super) fn facts_sequence(&self) -> u64 {
        self.made_of.facts_sequence
    }

    /// The same with other offers.
    pub(super) fn with(&self, pipeline: Pipeline) -> Self {
        Self {
            made_of: self.made_of.clone(),
            pipeline,
            first: self.first.clone(),
            today: self.today,
        }
    }

    /// The clients that are kept before they are sold more. Cost: a look at each client.
    pub(super) fn first(&self) -> impl Iterator<Item = ClientNo> {
        let clients = (0..).map(ClientNo).zip(&self.first);
        clients.filter_map(|(client, first)| first.then_some(client))
    }

    /// Whether each client is kept before it is sold more, by number; later ones are not.
    pub(super) fn waiting(&self) -> &[bool] {
        &self.first
    }

    /// Whether a client is kept before it is sold more: its offers that sell wait.
    pub fn comes_first(&self, client: ClientNo) -> bool {
        self.first.get(client.index()).copied().unwrap_or(false)
    }

    /// Whether offers made with these insights on this day are what they would be with those: what was learnt
    /// of the past is the same, and so is the day that counts.
    pub(super) fn is_of(&self, insighted: &Insighted, today: Day) -> bool {
        self.today == today && self.learnt_as(insighted)
    }

    fn learnt_as(&self, insighted: &Insighted) -> bool {
        let made_of = &self.made_of;
        Arc::ptr_eq(&made_of.past, &insighted.past)
            && made_of.as_of == insighted.insights.as_of
            && (Arc::ptr_eq(&made_of.recipe, &insighted.recipe)
                || made_of.recipe == insighted.recipe)
    }

    /// The offers of a moment, made of earlier ones where few clients changed and the day is the same.
    /// Cost: the buckets of these clients, or of all.
    pub(super) fn of(
        last: Option<&Self>,
        changed: &Changed,
        insighted: &Insighted,
        today: Day,
    ) -> Self {
        let book = &insighted.moment.book;
        let clients = book.clients().numbers();
        let same = |last: &&Self| last.learnt_as(insighted);
        let few =
            |changed: &BTreeSet<ClientNo>| (changed.len() as f64) < REBUILD_SHARE * clients as f64;
        if let (Some(last), Changed::Clients(changed)) = (last.filter(same), changed) {
            let mut changed = changed.clone();
            changed.extend(released(
                book,
                &insighted.recipe.outcomes,
                last.today,
                today,
            ));
            if few(&changed) {
                let numbers: Vec<ClientNo> = changed.into_iter().collect();
                let rows = rows(insighted, today, &numbers);
                let mut first = last.first.clone();
                first.resize(clients, false);
                for (client, (_, comes_first)) in numbers.iter().zip(&rows) {
                    first[client.index()] = *comes_first;
                }
                let rows = rows.into_iter().map(|(row, _)| row);
                return Self {
                    pipeline: last.pipeline.with_rows(numbers.into_iter().zip(rows)),
                    first,
                    made_of: MadeOf::these(insighted),
                    today,
                };
            }
        }
        let all: Vec<ClientNo> = (0..clients as u32).map(ClientNo).collect();
        let (rows, first): (Vec<_>, Vec<_>) = rows(insighted, today, &all).into_iter().unzip();
        Self {
            pipeline: Pipeline::new(rows),
            first,
            made_of: MadeOf::these(insighted),
            today,
        }
    }
}

type Row = (OfferRow, bool);

/// The offers of some clients, and whether each is kept before it is sold more. On all cores.
fn rows(insighted: &Insighted, today: Day, clients: &[ClientNo]) -> Vec<Row> {
    let made_of = MadeOf::these(insighted);
    let row = |client: &ClientNo| {
        let (kept, comes_first) = kept(&made_of, &insighted.moment.book, *client, today);
        let offers: Vec<_> = kept.into_iter().map(|one| one.opportunity).collect();
        (OfferRow::of(offers), comes_first)
    };
    clients.par_iter().map(row).collect()
}

/// What keeps one client, that the rules let through, and whether that comes before selling it more.
/// Cost: its buckets.
pub(super) fn kept(
    made_of: &MadeOf,
    book: &Book,
    client: ClientNo,
    today: Day,
) -> (Vec<Kept>, bool) {
    let nothing = (Vec::new(), false);
    let recipe = &made_of.recipe;
    let Some(record) = book.clients().get(client.0) else {
        return nothing;
    };
    let Some(mut facts) = facts(book, client, &mut Tally::default(), &|_| 0.0) else {
        return nothing;
    };
    facts.segment = made_of.past.segment(book, client);
    let months = book.months();
    let as_of = made_of.as_of;
    let keeper = Keeper {
        churn: &made_of.past.churn,
        lapse: &made_of.past.lapse,
        trends: &made_of.past.trends,
        share: &made_of.past.share,
        usual_gap_days: made_of.usual_gap_days,
        as_of,
        first: months.map_or(as_of.month(), |(first, _)| first),
        period_months: book.portfolio().period.months() as f64,
        recipe,
    };
    let buckets: Vec<_> = book.buckets(client).collect();
    let lines = book.tickets(client);
    let tickets: Vec<(ProductNo, i64)> = lines
        .iter()
        .map(|line| (line.product, line.ticket_minor))
        .collect();
    let known = Known {
        client,
        facts: &facts,
        buckets: &buckets,
        tickets: &tickets,
    };
    let margin = |product: ProductNo| {
        let product = book.products().get(product.0);
        let rate = product.and_then(|product| product.margin_rate);
        rate.map_or(recipe.offer.margin_rate, Share::get)
    };
    let (kept, churn) = keeper.offers(&known, &margin);
    let (receipts, offers): (Vec<_>, Vec<_>) = kept
        .iter()
        .map(|one| {
            let offer = &one.opportunity;
            ((offer.product, offer.kind, one.receipt), offer.clone())
        })
        .unzip();
    let rules = Rules {
        per_client: recipe.offer.per_client,
    };
    let eligible = Eligible::on(book, recipe.outcomes, today);
    let cells = book.matrix().row(client);
    let offers = rules.keep(&eligible, Some(record), cells, offers);
    let kept: Vec<Kept> = offers
        .into_iter()
        .filter_map(|opportunity| {
            let of = |(product, kind, _): &&(ProductNo, Kind, _)| {
                (*product, *kind) == (opportunity.product, opportunity.kind)
            };
            let receipt = receipts.iter().find(of)?.2;
            Some(Kept {
                opportunity,
                receipt,
            })
        })
        .collect();
    let likely = churn.is_some_and(|churn| churn >= recipe.keep.first_from);
    let comes_first = likely && recipe.keep.first_from < 1.0 && !kept.is_empty();
    (kept, comes_first)
}

impl Tenant {
    /// What keeps one client, and whether that comes before selling it more. Where the book is large, by what its
    /// past said when the pipeline was made, so that an offer of a list is found again.
    pub(super) fn keep(
        &self,
        book: &Book,
        client: ClientNo,
        today: Day,
    ) -> Result<(Vec<Kept>, bool), EngineError> {
        if let Some(kept) = self.keep_by_pipeline(book, client, today) {
            return Ok(kept);
        }
        let made_of = MadeOf::these(&*self.insights_for_now()?);
        Ok(kept(&made_of, book, client, today))
    }

    fn keep_by_pipeline(
        &self,
        book: &Book,
        client: ClientNo,
        today: Day,
    ) -> Option<(Vec<Kept>, bool)> {
        let scored = self.latest_scored().filter(|_| !is_small(book))?;
        Some(kept(&scored.keeping.made_of, book, client, today))
    }

    /// The same as offers, where it takes no longer than to write them: the client's buckets are few.
    pub(super) fn keep_soon(
        &self,
        book: &Book,
        client: ClientNo,
        today: Day,
    ) -> Option<(Vec<Opportunity>, bool)> {
        if book.packed_bytes(client) > SOON_BYTES {
            return None;
        }
        let (kept, comes_first) = self.keep_by_pipeline(book, client, today)?;
        let offers = kept.into_iter().map(|one| one.opportunity);
        Some((offers.collect(), comes_first))
    }
}
