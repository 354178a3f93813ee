//! What the recipe foretells of a book: adoptions, growth, and tickets that it was not shown.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use rayon::prelude::*;

use super::plan::Horizon;
use crate::domain::{Attribute, ClientNo, DAYS_PER_MONTH, ProductNo, Text};
use crate::matrix::{PurchaseLog, Statistics, TicketMatrix};
use crate::neighbours::{CosineIndex, NearestOfAll, Profiles, Subject};
use crate::recommend::adoption::{
    AdoptionFit, AdoptionModel, AdoptionScratch, Cancelled, Scene, Span,
};
use crate::recommend::growth::{Growth, GrowthModel};
use crate::recommend::history::{BackTest, History};
use crate::recommend::upsell::{self, UpsellModel};
use crate::recommend::{Book, ProductTraits, Recipe};

/// Is told the share that is done, and may break.
pub type GoOn<'a> = &'a dyn Fn(f64) -> ControlFlow<()>;

/// Clients that are scored between two looks at the caller.
const CLIENTS_AT_ONCE: u32 = 256;

/// A pair of client and product that is not bought, and what is foretold of it. Amounts are minor
/// units a month; a probability of 0 says that there is no figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Offer {
    pub(super) client: ClientNo,
    pub(super) product: ProductNo,
    /// Of a first purchase within the horizon.
    pub(super) probability: f64,
    /// The middle ticket if it comes to that.
    pub(super) ticket: f64,
    /// Probability times the mean ticket.
    pub(super) money: f64,
}

/// A bought ticket that the model was not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Hidden {
    pub(super) client: ClientNo,
    pub(super) product: ProductNo,
}

/// A book on the day from which is looked ahead.
pub(super) struct Stage<'a> {
    pub(super) log: &'a PurchaseLog,
    pub(super) matrix: &'a TicketMatrix,
    statistics: Statistics,
    profiles: Profiles,
    cosine: CosineIndex,
    products: &'a [ProductTraits],
    recipe: &'a Recipe,
}

impl<'a> Stage<'a> {
    /// Measures a book. Cost: the tickets a few times, and the attributes.
    pub(super) fn of(
        log: &'a PurchaseLog,
        matrix: &'a TicketMatrix,
        attributes: &[&BTreeMap<Text, Attribute>],
        products: &'a [ProductTraits],
        recipe: &'a Recipe,
    ) -> Self {
        let statistics = Statistics::of(matrix);
        Self {
            log,
            matrix,
            profiles: Profiles::of(attributes),
            cosine: CosineIndex::of(matrix, &statistics),
            statistics,
            products,
            recipe,
        }
    }

    fn book(&self) -> Book<'_> {
        Book {
            matrix: self.matrix,
            statistics: &self.statistics,
            profiles: &self.profiles,
            products: self.products,
            recipe: self.recipe,
        }
    }

    /// What every client may take up, the products with a figure alone, by client, then product; and
    /// what that rests on. Cost: [`AdoptionModel::fit`], and a score a client.
    pub(super) fn offers(
        &self,
        horizon: Horizon,
        clients: &(dyn Fn(ClientNo) -> bool + Sync),
        go_on: GoOn<'_>,
    ) -> Result<(AdoptionFit, Vec<Offer>), Cancelled> {
        let scene = Scene {
            book: self.book(),
            cosine: &self.cosine,
            nearest: None,
        };
        let span = Span {
            horizon_days: horizon.days,
            period_days: DAYS_PER_MONTH,
        };
        let fitting = |share: f64| go_on(0.5 * share);
        let model = AdoptionModel::fit(self.log, &scene, span, horizon.as_of, &fitting)?;
        let nearest = NearestOfAll::of_index(&self.cosine, model.neighbours());
        let scene = Scene {
            nearest: Some(&nearest),
            ..scene
        };
        let score = |scratch: &mut AdoptionScratch, client: ClientNo| -> Vec<Offer> {
            let subject = Subject::existing(self.matrix, &self.profiles, client);
            let adoptions = model.score(&scene, &subject, scratch).into_iter();
            adoptions
                .map(|adoption| Offer {
                    client,
                    product: adoption.product,
                    probability: adoption.propensity,
                    ticket: adoption.expected_ticket,
                    money: adoption.expected_money,
                })
                .collect()
        };
        let all = self.matrix.clients() as u32;
        let mut offers = Vec::new();
        for from in (0..all).step_by(CLIENTS_AT_ONCE as usize) {
            let scored: Vec<Vec<Offer>> = (from..all.min(from + CLIENTS_AT_ONCE))
                .into_par_iter()
                .map(ClientNo)
                .filter(|&client| clients(client))
                .map_init(AdoptionScratch::default, score)
                .collect();
            offers.extend(scored.into_iter().flatten());
            step(go_on, 0.5 + 0.5 * f64::from(from) / f64::from(all))?;
        }
        Ok((model.fitted(), offers))
    }

    /// How every bought ticket may grow, by client, then product. Cost: two fits of
    /// [`UpsellModel`], and two estimates a ticket.
    pub(super) fn growth(
        &self,
        horizon: Horizon,
        go_on: GoOn<'_>,
    ) -> Result<Vec<Growth>, Cancelled> {
        let book = self.book();
        let history = History::of(self.log, horizon.as_of, horizon.days);
        let model = UpsellModel::fit(&book);
        step(go_on, 0.5)?;
        let back_test = BackTest::of(&history, &book, &model, usize::MAX);
        step(go_on, 0.75)?;
        let growth = GrowthModel::fit(&back_test).growth(&history, &book, &model);
        step(go_on, 1.0)?;
        Ok(growth)
    }

    /// The P50, P80 and P90 of tickets that `visible` does not show, in their order, which must be
    /// by client; those of `unknown` where nobody else buys the product.
    ///
    /// Cost: a fit of [`UpsellModel`] to `visible`, and one estimate a ticket.
    pub(super) fn potential(
        &self,
        visible: &TicketMatrix,
        hidden: &[Hidden],
        unknown: &[[f64; 3]],
    ) -> Vec<[f64; 3]> {
        let statistics = Statistics::of(visible);
        let book = Book {
            matrix: visible,
            statistics: &statistics,
            ..self.book()
        };
        let model = UpsellModel::fit(&book);
        let of_client = |scratch: &mut upsell::Scratch, cells: &[(&Hidden, &[f64; 3])]| {
            let subject = Subject::existing(visible, &self.profiles, cells[0].0.client);
            let products = cells.iter().map(|(cell, _)| cell.product);
            model.begin(&book, &subject, products, scratch);
            let mut estimate = |&(cell, unknown): &(&Hidden, &[f64; 3])| {
                let found = model.estimate(&book, &subject, cell.product, scratch);
                found.map_or(*unknown, |ticket| [ticket.q50, ticket.q80, ticket.q90])
            };
            cells.iter().map(&mut estimate).collect::<Vec<_>>()
        };
        let cells: Vec<_> = hidden.iter().zip(unknown).collect();
        let by_client: Vec<_> = cells.chunk_by(|a, b| a.0.client == b.0.client).collect();
        by_client
            .into_par_iter()
            .map_init(upsell::Scratch::default, of_client)
            .flatten_iter()
            .collect()
    }
}

/// Tells the caller how far it is.
pub(super) fn step(go_on: GoOn<'_>, share: f64) -> Result<(), Cancelled> {
    match go_on(share) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Cancelled),
    }
}
