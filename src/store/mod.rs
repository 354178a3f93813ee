//! Durable state: the only room that knows a disk.
//!
//! Promises: an acknowledged write survives `kill -9` and power loss; a unit is applied whole or
//! not at all; damage is noticed when the folder is opened, with a code, and never served; an
//! empty folder never silently takes the place of a missing one. After the first failed write or
//! sync nothing is written until a restart.
//!
//! Not promised: anything on a drive that reports data as written which is not.
//!
//! This room knows what records are, and nothing of what they mean to scoring.

mod backup;
mod change;
mod checkpoint;
mod commit;
mod compact;
mod digest;
mod disk;
pub(crate) mod doors;
mod error;
mod folder;
mod frames;
mod keys;
mod ledger;
mod load;
#[cfg(test)]
mod memory;
mod open;
mod records;
mod restore;
mod sled_disk;
mod stage;
#[cfg(test)]
mod suite;
mod value;
mod watched;
mod watermark;

pub use backup::{Progress, backup};
pub use change::{Answer, Applied, Change, ObjectiveHash, RequestHash, SaleEntry, SaleHash, Unit};
pub use checkpoint::newest_checkpoint;
pub use commit::Store;
pub use compact::compact;
pub use error::{Code, OpenError, StoreError};
pub use load::{Loaded, LoadedPortfolio};
#[cfg(test)]
pub(crate) use memory::{Platter, in_memory};
pub use open::{OpenOptions, Report, check};
pub use restore::restore;
pub use value::MAX_RECORD_BYTES;
