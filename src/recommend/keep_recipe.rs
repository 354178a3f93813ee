//! How tickets at risk become offers: section `keep`.

use super::{Parameters, RecipeError};

/// Which tickets at risk are worth an offer, and what working it does: section `keep`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KeepRecipe {
    /// Other buyers that draw a product's trend to that of all products.
    pub trend_pseudo_buyers: f64,
    /// The least share of other buyers that go on, over that of all products.
    pub least_going_on: f64,
    /// The share of products that would be lost that working a lapse keeps.
    pub lapse_kept: f64,
    /// The least risk of a client whose contract ends.
    pub renewal_risk: f64,
    /// The share of contracts that would end that working a renewal keeps.
    pub renewed: f64,
    /// The share of clients that stay away that working a win-back brings back.
    pub won_back: f64,
    /// Days since its last purchase after which a client is no longer won back.
    pub win_back_days: i32,
    /// Sales of a product in the horizon before the last from which on a client's share of it is judged.
    pub share_purchases: u32,
    /// The least share lost, of what clients like it would spend.
    pub least_share_lost: f64,
    /// The part of a lost share that stays lost, before the book says otherwise.
    pub share_stays: f64,
    /// As so many lost shares of the book's own past.
    pub share_stays_pseudo: f64,
    /// At most this many offers of each kind a client.
    pub rows: usize,
    /// From this chance to stop on a client is kept before it is sold more.
    pub first_from: f64,
}

impl KeepRecipe {
    pub(super) fn of(parameters: &Parameters) -> Result<Self, RecipeError> {
        Ok(Self {
            trend_pseudo_buyers: parameters.value("keep.trend_pseudo_buyers")?,
            least_going_on: parameters.value("keep.least_going_on")?,
            lapse_kept: parameters.value("keep.lapse_kept")?,
            renewal_risk: parameters.value("keep.renewal_risk")?,
            renewed: parameters.value("keep.renewed")?,
            won_back: parameters.value("keep.won_back")?,
            win_back_days: parameters.count("keep.win_back_days")? as i32,
            share_purchases: parameters.count("keep.share_purchases")? as u32,
            least_share_lost: parameters.value("keep.least_share_lost")?,
            share_stays: parameters.value("keep.share_stays")?,
            share_stays_pseudo: parameters.value("keep.share_stays_pseudo")?,
            rows: parameters.count("keep.rows")?,
            first_from: parameters.value("keep.first_from")?,
        })
    }
}
