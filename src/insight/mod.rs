//! What the book looks like: every client's state, place in its life, value and segment.
//!
//! Pure functions of sums that the engine keeps; no clock, no store, no wire. Every rule is a
//! number of the recipe (`state.*`, `value.*`, `segments.*`), and every answer can say which of them
//! made it.

mod churn;
mod client;
mod filter;
mod grouping;
mod ideal;
mod keep;
mod lapse;
mod progress;
mod prospect;
mod purchases;
#[cfg(test)]
mod sample;
mod segments;
mod share;
mod state;
mod summary;
mod trend;
mod value;

pub use churn::{Churn, ChurnModel, Signal};
pub use client::{ClientInsight, Facts, Insights};
pub use filter::{AttributeFilter, ClientFilter};
pub use grouping::Grouping;
pub use ideal::{Buyer, IdealProfile, Lifts, Telling, Trait, Values, Verdict, buyers};
pub use keep::{KeepReceipt, Keeper, Kept, Known};
pub use lapse::{Lapse, LapseModel};
pub use progress::{Progress, Standing, Won, measured};
pub use prospect::{Looks, Unfit, looks};
pub use purchases::{Purchases, Tally, Year};
pub use segments::{Feature, Mark, Member, Segment, SegmentNo, Segmentation};
pub use share::{Buyers, ShareLost, ShareModel};
pub use state::{LifeCycle, Rhythm, State, usual_gap_days};
pub use summary::Sums;
pub use trend::{Trend, Trends};
pub use value::{Rfm, Tier};
