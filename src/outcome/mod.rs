//! What became of offers, and what follows: how long they wait, whether showing them earns
//! anything, and how outcomes correct the probabilities.
//!
//! Plain data in and out: this room knows no disk, no wire and no clock; the day is told to it.

mod conversion;
mod cool_down;
mod correction;
mod hold_out;
mod report;
mod uplift;
mod wallet;

pub use conversion::{Conversion, Group};
pub use cool_down::held_until;
pub use correction::{Correction, Learnt, Resolved};
pub use hold_out::HoldOut;
pub use report::{EffectReport, Logged, report};
pub use uplift::{Arm, LEAST_CLIENTS, Uplift, Verdict, uplift};
pub use wallet::WalletAgreement;
