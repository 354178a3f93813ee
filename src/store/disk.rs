//! What a database underneath has to do: keep bytes under keys, in order, with atomic batches.
//!
//! Everything above this trait (records, digests, packing, checks) is independent of sled, so
//! that a second database can be put here and pass the same suite.

use std::any::Any;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::error::{Code, Fault};

/// Keys with their new values, or nothing where the key is to go.
pub(crate) type Batch = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// A key and its value.
pub(crate) type Record = (Vec<u8>, Vec<u8>);

/// One thing more to do, once what went before has succeeded.
pub(crate) type Then = Box<dyn FnOnce() -> Result<(), DiskError> + Send>;

/// Waits for what is under way, and answers what came of it.
pub(crate) type Pending = Box<dyn FnOnce() -> Result<(), DiskError> + Send>;

/// Takes entries in the order of their keys, until it breaks off.
pub(crate) type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>;

/// A refusal of the database underneath; it never panics through here.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{doing}: {reason}")]
pub(crate) struct DiskError {
    pub(crate) doing: &'static str,
    pub(crate) reason: String,
    pub(crate) panicked: bool,
}

impl DiskError {
    pub(crate) fn new(doing: &'static str, reason: &impl ToString) -> Self {
        Self {
            doing,
            reason: reason.to_string(),
            panicked: false,
        }
    }

    /// A panic that was caught.
    pub(crate) fn of_panic(doing: &'static str, panic: &(dyn Any + Send)) -> Self {
        Self {
            doing,
            reason: panic_text(panic),
            panicked: true,
        }
    }
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    format!("panicked: {}", text.as_deref().unwrap_or("no message"))
}

impl From<DiskError> for Fault {
    fn from(error: DiskError) -> Self {
        let code = if error.panicked {
            Code::Panic
        } else {
            Code::Engine
        };
        Fault::new(code, error.to_string())
    }
}

/// An ordered map of bytes on a disk.
pub(crate) trait Disk: Send + Sync {
    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, DiskError>;

    /// The last entry with `low <= key <= high`.
    fn last(&self, low: &[u8], high: &[u8]) -> Result<Option<Record>, DiskError>;

    /// Every entry whose key starts so, in order.
    fn scan(&self, prefix: &[u8], visit: Visit<'_>) -> Result<(), DiskError>;

    /// Writes all of a batch or nothing; readers see all of it or nothing. Not yet durable.
    fn write(&self, batch: &Batch) -> Result<(), DiskError>;

    /// Makes everything written so far durable: on the platter, not in a cache.
    fn sync(&self) -> Result<(), DiskError>;

    /// Writes a batch, makes it durable and then does one thing more, while the caller goes on; what fails is the
    /// last that is done. Reads may find the batch before it is durable, and whole or not at all.
    fn commit(&self, batch: Batch, then: Then) -> Pending;

    /// Closes the database; whatever fails is in the answer, never a panic.
    fn close(self: Box<Self>) -> Result<(), DiskError>;
}
