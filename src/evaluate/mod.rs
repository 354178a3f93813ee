//! Proof on a user's own history: what would have been said, against what happened.
//!
//! [`evaluate`] cuts a book at a day, learns from what is before it, and measures what it foretold
//! against what came, beside [`Forecaster`]s that need no model; [`report`] makes a page of it.
//! [`Task`] answers a task of predictions cut by somebody else and never sees what happened.
//! Everything is a plain function of a book in memory or of files read into it; nothing here knows a
//! server or a store.

mod answers;
mod baselines;
mod churn;
mod error;
mod evaluation;
pub mod figures;
mod files;
mod forecast;
mod hidden;
mod input;
pub mod measure;
mod plan;
pub mod report;
mod segments;
mod split;
mod task;
mod trial;

pub use baselines::Forecaster;
pub use churn::{ChurnMeasured, Foreteller, Stoppers};
pub use error::EvaluateError;
pub use evaluation::{BookMeasured, Evaluation, Listed, Method, Segment, SpanMeasured};
pub use files::{Files, FilesError};
pub use forecast::GoOn;
pub use input::Input;
pub use plan::{Horizon, Plan};
pub use task::{Answered, Task};
pub use trial::{Trial, evaluate};
