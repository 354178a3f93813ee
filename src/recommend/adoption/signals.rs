//! What is known of one client and one product, as numbers that a logistic regression can weigh.

use super::evidence::{Evidence, Heard};
use super::history::ProductPast;

macro_rules! signals {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// One number about a client and a product.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Signal {
            $($(#[$doc])* $name,)*
        }

        impl Signal {
            const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name, as receipts show it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

signals! {
    /// ln(share + 0.01) of similar clients that buy it, each purchase halved by every horizon of age.
    LnShareRecent = "ln_share_recent",
    /// Square root of that share.
    RootShareRecent = "root_share_recent",
    /// ln(share + 0.01) of similar clients that ever bought it.
    LnShareEver = "ln_share_ever",
    /// Square root of that share.
    RootShareEver = "root_share_ever",
    /// As `LnShareRecent`, halved by every third of a horizon.
    LnShareLatest = "ln_share_latest",
    /// ln(rate + 0.003) at which similar clients took it up in the last horizon.
    LnTakeUpNear = "ln_take_up_near",
    /// The same in the last half horizon.
    LnTakeUpNearHalf = "ln_take_up_near_half",
    /// EASE score of what the client bought, each purchase halved by every horizon of age.
    ItemsRecent = "items_recent",
    /// Square root of that, 0 below 0.
    RootItemsRecent = "root_items_recent",
    /// ln(max(score, 0) + 0.02) of that.
    LnItemsRecent = "ln_items_recent",
    /// EASE score of how much the client bought: ln(1 + ticket / median).
    ItemsAmount = "items_amount",
    /// ln(max(score, 0) + 0.02) of that.
    LnItemsAmount = "ln_items_amount",
    /// ln(rate + 0.0001) at which all clients took the product up in the last horizon.
    LnTakeUp = "ln_take_up",
    /// The same in its last half.
    LnTakeUpHalf = "ln_take_up_half",
    /// The same in its last quarter.
    LnTakeUpQuarter = "ln_take_up_quarter",
    /// The same in its last eighth.
    LnTakeUpEighth = "ln_take_up_eighth",
    /// ln(share + 0.0001) of all clients that ever bought it.
    LnPopulation = "ln_population",
    /// The same, each purchase halved by every horizon of age.
    LnPopulationRecent = "ln_population_recent",
    /// ln(0.1 + days of purchase per buyer and horizon).
    LnFrequency = "ln_frequency",
    /// ln(1 + products that the client took up in the last horizon).
    LnClientNew = "ln_client_new",
    /// The same in its last half.
    LnClientNewHalf = "ln_client_new_half",
    /// ln(1 + products that the client buys).
    LnClientProducts = "ln_client_products",
    /// ln(1 + days of purchase a month).
    LnVisits = "ln_visits",
    /// The same over the last horizon.
    LnVisitsRecent = "ln_visits_recent",
    /// ln(1 + days since the last purchase).
    LnDaysSince = "ln_days_since",
    /// Mean log residual of the client's tickets.
    Size = "size",
    /// ln(horizons of history): take-up slows as more has been bought already.
    LnHistory = "ln_history",
}

/// Signals in all.
pub(super) const SIGNALS: usize = Signal::ALL.len();

/// One signal, or the product of two, with a coefficient of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term(pub Signal, pub Option<Signal>);

impl Term {
    /// The term's value.
    pub(super) fn value(self, signals: &[f64; SIGNALS]) -> f64 {
        let first = signals[self.0 as usize];
        match self.1 {
            Some(second) => first * signals[second as usize],
            None => first,
        }
    }

    /// Its name: one signal's, or two joined by ` x `.
    pub fn name(self) -> String {
        match self.1 {
            Some(second) => format!("{} x {}", self.0.name(), second.name()),
            None => self.0.name().to_owned(),
        }
    }
}

/// A set of terms, from which the back-test chooses one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// What everybody ever bought and how fast the client widens its basket: where there is no
    /// structure.
    Plain,
    /// The same with what everybody takes up lately.
    Popular,
    /// Neighbours and take-up: few clients or few labels.
    Small,
    /// The same with items and visits.
    Medium,
    /// Everything, with products of two signals: many labels.
    Full,
    /// What lasts, where there is no structure: how many buy the product, and the client's pace.
    LastingPopular,
    /// What lasts: who ever bought what with what, and the client's pace. What is new just now says
    /// little of a horizon far beyond the one that could be taught.
    Lasting,
    /// No labels: the neighbours' share alone, under the recipe's prior.
    Prior,
}

impl Form {
    /// The forms that a back-test can fit, smallest first.
    pub(super) const FITTED: [Self; 5] = [
        Self::Plain,
        Self::Popular,
        Self::Small,
        Self::Medium,
        Self::Full,
    ];

    /// Its terms.
    pub fn terms(self) -> &'static [Term] {
        match self {
            Self::Plain => PLAIN,
            Self::Popular => POPULAR,
            Self::Small => SMALL,
            Self::Medium => MEDIUM,
            Self::Full => FULL,
            Self::LastingPopular => LASTING_POPULAR,
            Self::Lasting => LASTING,
            Self::Prior => &[],
        }
    }
}

use Signal::{
    ItemsAmount, ItemsRecent, LnClientNew, LnClientNewHalf, LnClientProducts, LnDaysSince,
    LnFrequency, LnHistory, LnItemsAmount, LnItemsRecent, LnPopulation, LnPopulationRecent,
    LnShareEver, LnShareLatest, LnShareRecent, LnTakeUp, LnTakeUpEighth, LnTakeUpHalf,
    LnTakeUpNear, LnTakeUpNearHalf, LnTakeUpQuarter, LnVisits, LnVisitsRecent, RootItemsRecent,
    RootShareEver, RootShareRecent, Size,
};

const PLAIN: &[Term] = &[
    Term(LnPopulation, None),
    Term(LnClientNew, None),
    Term(LnClientProducts, None),
    Term(LnHistory, None),
];

const POPULAR: &[Term] = &[
    Term(LnTakeUp, None),
    Term(LnPopulation, None),
    Term(LnClientNew, None),
    Term(LnClientProducts, None),
    Term(LnHistory, None),
];

const SMALL: &[Term] = &[
    Term(LnShareRecent, None),
    Term(RootShareRecent, None),
    Term(LnTakeUp, None),
    Term(LnClientNew, None),
    Term(LnClientProducts, None),
    Term(LnPopulation, None),
    Term(LnHistory, None),
];

const MEDIUM: &[Term] = &[
    Term(LnShareRecent, None),
    Term(RootShareRecent, None),
    Term(LnTakeUp, None),
    Term(LnClientNew, None),
    Term(LnClientProducts, None),
    Term(LnTakeUpNear, None),
    Term(ItemsAmount, None),
    Term(LnVisitsRecent, None),
    Term(LnPopulation, None),
    Term(LnHistory, None),
];

const LASTING_POPULAR: &[Term] = &[
    Term(LnPopulation, None),
    Term(LnClientNew, None),
    Term(LnClientNewHalf, None),
    Term(LnClientProducts, None),
];

const LASTING: &[Term] = &[
    Term(LnShareEver, None),
    Term(RootShareEver, None),
    Term(LnItemsAmount, None),
    Term(LnClientNew, None),
    Term(LnClientNewHalf, None),
    Term(LnClientProducts, None),
];

const FULL: &[Term] = &[
    Term(LnShareRecent, None),
    Term(RootShareRecent, None),
    Term(LnShareEver, None),
    Term(RootShareEver, None),
    Term(LnShareLatest, None),
    Term(LnTakeUpNear, None),
    Term(LnTakeUpNearHalf, None),
    Term(ItemsRecent, None),
    Term(RootItemsRecent, None),
    Term(LnItemsRecent, None),
    Term(ItemsAmount, None),
    Term(LnItemsAmount, None),
    Term(LnTakeUp, None),
    Term(LnTakeUpHalf, None),
    Term(LnTakeUpQuarter, None),
    Term(LnTakeUpEighth, None),
    Term(LnPopulationRecent, None),
    Term(LnFrequency, None),
    Term(LnClientNew, None),
    Term(LnClientNewHalf, None),
    Term(LnClientProducts, None),
    Term(LnVisits, None),
    Term(LnVisitsRecent, None),
    Term(LnDaysSince, None),
    Term(Size, None),
    Term(LnHistory, None),
    Term(LnShareRecent, Some(LnClientProducts)),
    Term(LnShareRecent, Some(LnShareRecent)),
    Term(LnShareRecent, Some(LnVisitsRecent)),
    Term(LnShareRecent, Some(LnDaysSince)),
    Term(LnClientNew, Some(LnClientNew)),
    Term(LnClientNewHalf, Some(LnVisitsRecent)),
    Term(LnTakeUp, Some(LnTakeUp)),
    Term(LnTakeUp, Some(LnClientNew)),
    Term(LnTakeUp, Some(LnTakeUpNear)),
    Term(LnTakeUpNear, Some(LnVisitsRecent)),
    Term(LnTakeUpHalf, Some(LnTakeUpHalf)),
    Term(LnTakeUpHalf, Some(LnVisitsRecent)),
    Term(LnTakeUpHalf, Some(LnShareRecent)),
    Term(LnTakeUpQuarter, Some(LnTakeUp)),
    Term(ItemsAmount, Some(LnShareRecent)),
    Term(ItemsAmount, Some(LnClientNew)),
];

/// The signals of a subject that are the same for every product, to be completed by product.
pub(super) fn of_client(evidence: &Evidence) -> [f64; SIGNALS] {
    let past = &evidence.client;
    let mut signals = [0.0; SIGNALS];
    let mut set = |signal: Signal, value: f64| signals[signal as usize] = value;
    set(LnClientNew, past.taken_up.ln_1p());
    set(LnClientNewHalf, past.taken_up_half.ln_1p());
    set(LnClientProducts, evidence.products.ln_1p());
    set(LnVisits, past.visits.ln_1p());
    set(LnVisitsRecent, past.visits_recent.ln_1p());
    set(LnDaysSince, past.days_since.clamp(0.0, 5000.0).ln_1p());
    set(Size, evidence.size);
    set(LnHistory, evidence.history.max(0.01).ln());
    signals
}

/// The signals of a product that are the same for every subject.
pub(super) const OF_PRODUCT: [Signal; 7] = [
    LnTakeUp,
    LnTakeUpHalf,
    LnTakeUpQuarter,
    LnTakeUpEighth,
    LnPopulation,
    LnPopulationRecent,
    LnFrequency,
];

/// The values of [`OF_PRODUCT`].
pub(super) fn of_product(product: &ProductPast) -> [f64; OF_PRODUCT.len()] {
    let [whole, half, quarter, eighth] = product.take_up.map(|rate| (rate + 1e-4).ln());
    [
        whole,
        half,
        quarter,
        eighth,
        (product.population + 1e-4).ln(),
        (product.population_recent + 1e-4).ln(),
        (product.frequency + 0.1).ln(),
    ]
}

/// Which signals are worth working out.
pub(super) type Wanted = [bool; SIGNALS];

/// Whether any signal of what products say of products is wanted.
pub(super) fn heed_items(wanted: &Wanted) -> bool {
    let of_items = [
        ItemsRecent,
        RootItemsRecent,
        LnItemsRecent,
        ItemsAmount,
        LnItemsAmount,
    ];
    of_items.iter().any(|signal| wanted[*signal as usize])
}

/// Whether nothing is wanted of a pair but how many neighbours buy, as by a recipe's prior.
pub(super) fn wants_ever_alone(wanted: &Wanted) -> bool {
    let mut named = (0..SIGNALS).filter(|signal| wanted[*signal]);
    named.all(|signal| signal == RootShareEver as usize)
}

/// Completes the signals for one product where nothing but that is wanted.
pub(super) fn of_ever_alone(
    signals: &mut [f64; SIGNALS],
    evidence: &Evidence,
    heard: &Heard,
    product: &ProductPast,
) {
    let ever = evidence.share_ever(heard, product);
    signals[RootShareEver as usize] = ever.max(0.0).sqrt();
}

/// Completes the signals for one product: those that are wanted.
pub(super) fn of_pair(
    signals: &mut [f64; SIGNALS],
    evidence: &Evidence,
    heard: &Heard,
    product: &ProductPast,
    of_product: &[f64; OF_PRODUCT.len()],
    wanted: &Wanted,
) {
    let share = evidence.shares(heard, product);
    let items = f64::from(heard.items_recent);
    let amount = f64::from(heard.items_amount);
    for (signal, value) in OF_PRODUCT.into_iter().zip(of_product) {
        signals[signal as usize] = *value;
    }
    let mut set = |signal: Signal, value: &dyn Fn() -> f64| {
        if wanted[signal as usize] {
            signals[signal as usize] = value();
        }
    };
    set(LnShareRecent, &|| (share.recent + 0.01).ln());
    set(RootShareRecent, &|| share.recent.max(0.0).sqrt());
    set(LnShareEver, &|| (share.ever + 0.01).ln());
    set(RootShareEver, &|| share.ever.max(0.0).sqrt());
    set(LnShareLatest, &|| (share.latest + 0.01).ln());
    set(LnTakeUpNear, &|| (share.take_up + 0.003).ln());
    set(LnTakeUpNearHalf, &|| (share.take_up_half + 0.003).ln());
    set(ItemsRecent, &|| items);
    set(RootItemsRecent, &|| items.max(0.0).sqrt());
    set(LnItemsRecent, &|| (items.max(0.0) + 0.02).ln());
    set(ItemsAmount, &|| amount);
    set(LnItemsAmount, &|| (amount.max(0.0) + 0.02).ln());
}
