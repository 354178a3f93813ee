//! An opportunity: one product to sell more of, newly, or still, to one client.

use serde::{Deserialize, Serialize};

use super::{ClientNo, ProductNo};

/// What kind of offer an opportunity is. The numbers are part of the store's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Kind {
    /// More of what the client buys.
    Upsell = 0,
    /// A product that the client does not buy and its neighbours do.
    CrossSell = 1,
    /// A product whose next purchase is overdue at a client that still buys.
    Lapse = 2,
    /// What a client buys whose contract ends soon.
    Renewal = 3,
    /// What a client bought that has stopped.
    WinBack = 4,
}

impl Kind {
    /// All kinds, by number.
    pub const ALL: [Self; 5] = [
        Self::Upsell,
        Self::CrossSell,
        Self::Lapse,
        Self::Renewal,
        Self::WinBack,
    ];

    /// The kind of a number.
    pub fn of_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Whether it sells more; the others keep what there is, or was.
    pub fn sells(self) -> bool {
        matches!(self, Self::Upsell | Self::CrossSell)
    }

    /// What programs call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Upsell => "upsell",
            Self::CrossSell => "cross_sell",
            Self::Lapse => "lapse",
            Self::Renewal => "renewal",
            Self::WinBack => "win_back",
        }
    }
}

/// One (client, product, kind) worth an offer.
///
/// Amounts are minor units of the portfolio's currency per period, rounded as the recipe says.
#[derive(Debug, Clone, PartialEq)]
pub struct Opportunity {
    /// To whom.
    pub client: ClientNo,
    /// What.
    pub product: ProductNo,
    /// Which kind.
    pub kind: Kind,
    /// What the client spends on it now; 0 where it does not buy it.
    pub current_ticket_minor: i64,
    /// P20 of the ticket that a client like this one has.
    pub low_ticket_minor: i64,
    /// P50: the expected ticket.
    pub expected_ticket_minor: i64,
    /// P80.
    pub high_ticket_minor: i64,
    /// What it could reach: P80 for an upsell, the expected ticket for a cross-sell, what it would go on
    /// spending for the others.
    pub potential_ticket_minor: i64,
    /// Potential less current ticket, never negative; for a renewal the ticket at risk.
    pub gain_minor: i64,
    /// Probability of success within the recipe's horizon, 0 to 1; [`published`].
    pub probability: f64,
    /// 0 to 100. Upsell: how far down among its neighbours' tickets the current one stands.
    /// Cross-sell: the propensity's standing among the client's products not bought. The others: the
    /// chance that the ticket is lost, times 100. [`published`].
    pub score: f64,
    /// Expected value of working it, in minor units: what the pipeline is ordered by.
    pub priority_minor: f64,
    /// How many similar clients the figures rest on; for what keeps clients, other buyers of the product.
    pub neighbours: u32,
    /// How many of these buy the product; for what keeps clients, how many go on with it.
    pub neighbours_buying: u32,
}

/// A probability or a score as it is given, to the seven digits of an `f32`: they are estimates, and there are
/// millions of them to be kept.
pub fn published(figure: f64) -> f64 {
    f64::from(figure as f32)
}

/// Why fewer figures are given than were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shortfall {
    /// The portfolio has too few clients to compare with.
    TooFewClients,
    /// The client has no ticket and no attribute that others share: nothing to compare by.
    NothingKnown,
    /// The client has no ticket, so its figures rest on attributes alone.
    AttributesOnly,
    /// Products were left out because too few similar clients buy them.
    TooFewNeighbours,
    /// Probabilities rest on the recipe's prior: the history is too short to calibrate on.
    Uncalibrated,
    /// The client is held out, so that the effect of offering can be measured.
    HeldOut,
    /// The client is likely to stop, and there is what may keep it: that comes before selling it more.
    KeepFirst,
}
