//! Which bought tickets grow: three rankings of one list.
//!
//! **Potential** is what a client like this one could spend, less what it spends: where to look
//! for room. **Rise** is by how much the ticket is expected to rise, falls counted as nothing:
//! where growth will be. **Likely** is what it is expected to become, less what it is, falls
//! counted: where the book's total grows. They differ much; say which one is shown. Where one list
//! must do, [`balanced`] weighs the last two.

use super::Book;
use super::history::{BackTest, History, View};
use super::least_squares;
use super::rise::RiseModel;
use super::upsell::UpsellModel;
use crate::domain::{ClientNo, ProductNo};

/// Days after which a purchase counts half in the decayed ticket.
const HALF_LIFE_DAYS: f64 = 30.0;
/// Columns of the blend.
const COLUMNS: usize = 5;

/// How one bought ticket may grow, in minor units a month.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Growth {
    /// Who.
    pub client: ClientNo,
    /// What.
    pub product: ProductNo,
    /// The ticket now.
    pub ticket: f64,
    /// P80 of a client like this one, less the ticket; negative above it.
    pub potential: f64,
    /// Expected rise over the next horizon, falls counted as nothing.
    pub rise: f64,
    /// Expected ticket over the next horizon, less the ticket.
    pub likely: f64,
}

/// What the back-test says of growth.
///
/// Likely growth is a blend with weights of 0 or more of: the ticket itself; the ticket of the last horizon; the ticket halved for every 30
/// days since its last purchase; the P50 of a client like this one; the ticket times the root of
/// the client's own trend.
#[derive(Debug, Clone, PartialEq)]
pub struct GrowthModel {
    /// One weight a column.
    weights: [f64; COLUMNS],
    rise: RiseModel,
}

impl GrowthModel {
    /// Fits to a back-test; without one, a ticket is expected to stay as it is, or to rise to its
    /// P80. Cost: 40 passes over its rows.
    pub fn fit(back_test: &BackTest) -> Self {
        let rise = RiseModel::fit(back_test);
        if back_test.rows.is_empty() {
            return Self {
                weights: [1.0, 0.0, 0.0, 0.0, 0.0],
                rise,
            };
        }
        let rows: Vec<_> = back_test
            .rows
            .iter()
            .map(|(view, later)| (columns(view), *later))
            .collect();
        Self {
            weights: least_squares::non_negative(&rows),
            rise,
        }
    }

    /// The ticket expected over the next horizon, minor units a month.
    pub fn expect(&self, view: &View) -> f64 {
        let columns = columns(view);
        self.weights.iter().zip(columns).map(|(w, x)| w * x).sum()
    }

    /// All rankings' figures for every bought ticket, by client, then product.
    ///
    /// Cost: that of [`History::views`].
    pub fn growth(
        &self,
        history: &History<'_>,
        book: &Book<'_>,
        model: &UpsellModel,
    ) -> Vec<Growth> {
        let views = history.views(book, model, usize::MAX);
        views.iter().map(|view| self.of_view(view)).collect()
    }

    /// All rankings' figures for one ticket.
    pub fn of_view(&self, view: &View) -> Growth {
        let potential = view.estimate.map_or(view.ticket, |estimate| estimate.q80);
        Growth {
            client: view.client,
            product: view.product,
            ticket: view.ticket,
            potential: potential - view.ticket,
            rise: self.rise.expect(view),
            likely: self.expect(view) - view.ticket,
        }
    }
}

/// One ranking for both ends: expected rise plus `net_weight` of the expected net change, each as a
/// share of its own total (of all rises, of all falls); in minor units a month, by ticket.
///
/// Shares make the weight mean the same in a book that grows and in one that shrinks.
pub fn balanced(growth: &[Growth], net_weight: f64) -> Vec<f64> {
    let rises: f64 = growth.iter().map(|one| one.rise).sum();
    let falls: f64 = growth.iter().map(|one| (-one.likely).max(0.0)).sum();
    let weight = if falls > 0.0 {
        net_weight * rises / falls
    } else {
        0.0
    };
    growth
        .iter()
        .map(|one| one.rise + weight * one.likely)
        .collect()
}

fn columns(view: &View) -> [f64; COLUMNS] {
    let like_it = view.estimate.map_or(view.ticket, |estimate| estimate.q50);
    [
        view.ticket,
        view.recent_ticket,
        view.ticket * 0.5_f64.powf(view.age_days / HALF_LIFE_DAYS),
        like_it,
        view.ticket * (view.trend / 2.0).clamp(-5.0, 5.0).exp(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_balance_is_the_same_whatever_the_scale_of_rises_and_falls() {
        let growth = |rise: f64, likely: f64| Growth {
            client: ClientNo(0),
            product: ProductNo(0),
            ticket: 100.0,
            potential: 0.0,
            rise,
            likely,
        };
        let book = [growth(30.0, -50.0), growth(25.0, 10.0), growth(5.0, -10.0)];
        assert_eq!(balanced(&book, 0.0), [30.0, 25.0, 5.0]);
        // 60 of rises and 60 of falls: half a unit of net change is half a unit of rise.
        assert_eq!(balanced(&book, 0.5), [5.0, 30.0, 0.0]);
        let falling = book.map(|one| growth(one.rise, 8.0 * one.likely));
        assert_eq!(balanced(&falling, 0.5), [5.0, 30.0, 0.0]);
        assert_eq!(balanced(&[growth(3.0, 2.0)], 0.5), [3.0], "nothing falls");
    }
}
