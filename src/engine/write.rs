//! Writes as they reach the engine: every field already parsed, ids not yet looked up.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::{
    Action, Aim, ApiKey, Baseline, Client, ClientEvent, ClientId, Day, KeyId, Kind, Language,
    ObjectiveId, Period, Portfolio, PortfolioId, Product, ProductId, ReportedOutcome, RequestId,
    SaleId, Showing, Text, WindowMonths,
};

/// A sale by the caller's ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaleDraft {
    /// Who bought.
    pub client: ClientId,
    /// What.
    pub product: ProductId,
    /// When.
    pub day: Day,
    /// Minor units; not 0, negative for a return; at most [`crate::domain::MAX_AMOUNT_MINOR`] either way.
    pub amount_minor: i64,
    /// Thousandths of a unit; 0 where not known.
    pub quantity_milli: i64,
    /// The caller's name for it.
    pub sale_id: Option<SaleId>,
}

/// A ticket to set, by the caller's ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketDraft {
    /// The client.
    pub client: ClientId,
    /// The product.
    pub product: ProductId,
    /// Minor units per period, 0 to [`crate::domain::MAX_AMOUNT_MINOR`]; 0 takes the set ticket back.
    pub ticket_minor: i64,
}

/// An offer by the caller's ids.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OfferId {
    /// To whom.
    pub client: ClientId,
    /// What.
    pub product: ProductId,
    /// Upsell or cross-sell.
    pub kind: Kind,
}

/// New values for some fields of a portfolio.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PortfolioPatch {
    /// See [`Portfolio::name`].
    pub name: Option<Text>,
    /// See [`Portfolio::period`].
    pub period: Option<Period>,
    /// See [`Portfolio::window`].
    pub window: Option<WindowMonths>,
    /// See [`Portfolio::language`].
    pub language: Option<Language>,
    /// See [`Portfolio::recipe`].
    pub recipe: Option<Text>,
    /// See [`Portfolio::recipe_overrides`].
    pub recipe_overrides: Option<BTreeMap<Text, f64>>,
}

/// One change to one portfolio.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Write {
    /// Make it.
    CreatePortfolio(Portfolio),
    /// Change its settings.
    UpdatePortfolio(PortfolioPatch),
    /// Remove it and everything in it.
    DeletePortfolio,
    /// Add or replace clients; no id twice.
    UpsertClients(Vec<Client>),
    /// Erase a client.
    DeleteClient(ClientId),
    /// Add or replace products; no id twice.
    UpsertProducts(Vec<Product>),
    /// Remove a product that nobody bought.
    DeleteProduct(ProductId),
    /// Record dated sales.
    RecordSales(Vec<SaleDraft>),
    /// Set tickets without a date; no pair twice.
    SetTickets(Vec<TicketDraft>),
    /// Record what happened with clients.
    RecordEvents(Vec<(ClientId, ClientEvent)>),
    /// Report what became of offers; no offer twice on one day.
    RecordOutcomes(Vec<(OfferId, ReportedOutcome)>),
    /// Log which offers were shown. Those of clients and products that are gone by now are left out.
    LogShowings(Vec<(OfferId, Showing)>),
    /// Set what is wanted of a group of clients, or change it; what is done towards it stays.
    SetObjective {
        /// What is wanted.
        aim: Aim,
        /// How things stand now; where the same was measured of the same clients already, the earlier
        /// baseline stays. Not a part of what the caller asked for, so a repeat of the request may
        /// bring another one and is still the same request.
        #[serde(skip)]
        baseline: Baseline,
    },
    /// Remove an objective with its actions.
    DeleteObjective(ObjectiveId),
    /// Note what is done towards an objective; no action twice.
    RecordActions(ObjectiveId, Vec<Action>),
    /// Let somebody in.
    CreateApiKey(ApiKey),
    /// Let nobody in with this key any more.
    RevokeApiKey(KeyId),
}

impl Write {
    /// Whether a score or an offer may depend on it.
    pub fn changes_facts(&self) -> bool {
        !matches!(
            self,
            Self::LogShowings(_)
                | Self::CreateApiKey(_)
                | Self::RevokeApiKey(_)
                | Self::SetObjective { .. }
                | Self::DeleteObjective(_)
                | Self::RecordActions(..)
        )
    }
}

/// A write, where it goes, and the caller's name for it.
#[derive(Debug, Clone, PartialEq)]
pub struct WriteRequest {
    /// Which portfolio.
    pub portfolio: PortfolioId,
    /// So that a repeat changes nothing.
    pub request_id: Option<RequestId>,
    /// What to change.
    pub write: Write,
}

/// What a write did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Items that were new.
    pub created: u32,
    /// Items that were there already.
    pub replaced: u32,
    /// The portfolio's write counter after it.
    pub sequence: u64,
    /// Whether this is the kept answer of an earlier request of the same name.
    pub repeated: bool,
}
