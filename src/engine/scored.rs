//! The offers of a whole portfolio, and where they stand.

use std::collections::BTreeSet;
use std::sync::Arc;

use imbl::Vector;

use super::Book;
use super::keeping::Keeping;
use super::moments::Moment;
use super::pages::{Paged, Renewal, Work};
use super::scoring::{Eligible, Model, hold_out};
use super::walk::{Both, Marks, OfferPlace, Spot};
use crate::domain::{ClientNo, Day, Opportunity, Shortfall};
use crate::outcome::HoldOut;
use crate::pipeline::{Offered, Pipeline};

/// About what an offer takes, with its place in the order.
const OFFER_BYTES: usize = 40;

/// The offers of a whole portfolio, and what they were made of.
#[derive(Debug)]
pub struct Scored {
    /// The moment they are of.
    pub moment: Arc<Moment>,
    /// The model they were scored with.
    pub model: Arc<Model>,
    /// The day that they may be made on.
    pub today: Day,
    /// The offers that sell.
    pub pipeline: Pipeline,
    /// The offers that keep clients.
    pub keeping: Keeping,
    /// Why there may be fewer than expected.
    pub shortfalls: BTreeSet<Shortfall>,
    /// By client, how its row of the pipeline came about.
    pub(super) rows: Vector<Row>,
    pub(super) marks: Marks,
}

/// How one client's offers in a pipeline came about.
#[derive(Debug, Clone, Default)]
pub(super) struct Row {
    /// [`Book::facts_sequence`] of the book that they follow from.
    pub(super) facts_sequence: u64,
    pub(super) shortfalls: BTreeSet<Shortfall>,
}

impl Paged for Scored {
    fn renewal(&self) -> Renewal {
        Renewal {
            work: Work::Offers,
            id: Arc::as_ptr(&self.model).addr(),
            bytes: self.moment.bytes() + self.pipeline.len() * OFFER_BYTES,
        }
    }
}

impl Scored {
    /// Where all offers stand, in the order in which to work them; without those that sell to clients that
    /// are kept first.
    pub fn places(&self) -> impl Iterator<Item = OfferPlace> {
        self.both().after(Spot::default())
    }

    /// The same after so many others. Cost: a step for each of some thousand before them, where somebody read as far
    /// before, else for each.
    pub fn places_after(&self, others: usize) -> impl Iterator<Item = OfferPlace> {
        self.marks.after(self.both(), others)
    }

    fn both(&self) -> Both<'_> {
        Both {
            sells: &self.pipeline,
            keeps: &self.keeping.pipeline,
            waits: self.keeping.waiting(),
        }
    }

    /// How many offers [`Self::places`] has. Cost: the clients that are kept first.
    pub fn count(&self) -> usize {
        let waits = self
            .keeping
            .first()
            .map(|client| self.pipeline.places_of(client).count());
        self.pipeline.len() - waits.sum::<usize>() + self.keeping.pipeline.len()
    }

    /// Where the offers of one client stand, those that sell and then those that keep it; without those that
    /// sell where it is kept first.
    pub fn places_of(&self, client: ClientNo) -> impl Iterator<Item = OfferPlace> {
        let sells = (!self.keeping.comes_first(client)).then(|| self.pipeline.places_of(client));
        let keeps = self.keeping.pipeline.places_of(client);
        let sells = sells.into_iter().flatten().map(OfferPlace::Sells);
        sells.chain(keeps.map(OfferPlace::Keeps))
    }

    /// The sum of the gains of all offers, in minor units. Cost: the clients that are kept first.
    pub fn gain_minor(&self) -> i64 {
        let waits = self
            .keeping
            .first()
            .map(|client| self.pipeline.gain_minor_of(client));
        let sells = self.pipeline.gain_minor() - waits.sum::<i128>();
        i64::try_from(sells + self.keeping.pipeline.gain_minor()).unwrap_or(i64::MAX)
    }

    /// The offer at a place.
    pub fn at(&self, place: OfferPlace) -> Opportunity {
        match place {
            OfferPlace::Sells(place) => self.pipeline.at(place),
            OfferPlace::Keeps(place) => self.keeping.pipeline.at(place),
        }
    }

    /// All offers, at [`Self::places`].
    pub fn offers(&self) -> impl Iterator<Item = Opportunity> {
        self.places().map(|place| self.at(place))
    }

    /// Which clients are scored and not shown.
    pub fn hold_out(&self) -> HoldOut {
        hold_out(&self.moment.book, &self.model)
    }

    /// These without what a later book holds back of some clients' offers, or whose client is gone from it;
    /// `None` where that is all of them. Cost: a look at each offer of these clients.
    pub(super) fn without_held(
        &self,
        book: &Book,
        clients: &[ClientNo],
        today: Day,
    ) -> Option<Self> {
        let eligible = Eligible::on(book, self.model.recipe().outcomes, today);
        let goes = |one: &Opportunity| {
            book.clients().get(one.client.0).is_none()
                || eligible.on_hold(one.client, one.product, one.kind)
        };
        let less = |pipeline: &Pipeline| pipeline.without(clients.iter().copied(), goes);
        let (sells, keeps) = (less(&self.pipeline), less(&self.keeping.pipeline));
        if sells.is_none() && keeps.is_none() {
            return None;
        }
        Some(Self {
            moment: self.moment.clone(),
            model: self.model.clone(),
            today: self.today,
            pipeline: sells.unwrap_or_else(|| self.pipeline.clone()),
            keeping: match keeps {
                Some(keeps) => self.keeping.with(keeps),
                None => self.keeping.clone(),
            },
            shortfalls: self.shortfalls.clone(),
            rows: self.rows.clone(),
            marks: Marks::default(),
        })
    }
}
