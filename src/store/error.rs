//! What can go wrong, each with what, where and what to do next.

use std::fmt;
use std::path::{Path, PathBuf};

use super::checkpoint::newest_checkpoint;
use crate::domain::PortfolioNo;

/// Why a data folder is not opened, as a code that a runbook can be indexed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// A value is not what its checksum says.
    Crc,
    /// A value was written by a later version.
    Version,
    /// A record does not read as what its key says it is, or is out of place.
    Record,
    /// A portfolio has more or fewer records than its meta record says.
    Count,
    /// The records of a portfolio, or the portfolios, are not those of the last commit.
    Digest,
    /// The last acknowledged commit is not there, or its watermark cannot be read.
    Watermark,
    /// The folder, or a part of it, is gone.
    Missing,
    /// Another process has the folder open.
    Locked,
    /// The database underneath refused to open.
    Engine,
    /// The database underneath panicked.
    Panic,
    /// Opening made no progress for too long.
    Timeout,
    /// The operating system refused a file operation.
    Io,
    /// There is too little free space to open.
    DiskFull,
    /// A backup file is cut short or damaged.
    Backup,
    /// What is to be restored is there already, or is not in the backup.
    Conflict,
}

impl Code {
    /// The code as it is printed: `STORE-CRC`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Crc => "STORE-CRC",
            Self::Version => "STORE-VERSION",
            Self::Record => "STORE-RECORD",
            Self::Count => "STORE-COUNT",
            Self::Digest => "STORE-DIGEST",
            Self::Watermark => "STORE-WATERMARK",
            Self::Missing => "STORE-MISSING",
            Self::Locked => "STORE-LOCKED",
            Self::Engine => "STORE-ENGINE",
            Self::Panic => "STORE-PANIC",
            Self::Timeout => "STORE-TIMEOUT",
            Self::Io => "STORE-IO",
            Self::DiskFull => "STORE-DISK-FULL",
            Self::Backup => "STORE-BACKUP",
            Self::Conflict => "STORE-CONFLICT",
        }
    }

    fn next(self, dir: &Path) -> String {
        let newest = newest_checkpoint(dir).map(|(path, _)| path.display().to_string());
        let from = newest.unwrap_or_else(|| "BACKUP".into());
        let dir = dir.display();
        match self {
            Self::Locked => {
                format!("stop the process that uses it, then: carteira check --data-dir {dir}")
            }
            Self::Version => {
                format!("use the newer carteira that wrote it: carteira check --data-dir {dir}")
            }
            Self::Io | Self::Timeout | Self::DiskFull => {
                format!("see to the disk, then: carteira check --data-dir {dir}")
            }
            Self::Backup => {
                "take another backup: carteira restore --data-dir DIR --from BACKUP".into()
            }
            Self::Conflict => format!(
                "restore beside it: carteira restore --data-dir {dir}.restored --from {from}"
            ),
            _ => format!(
                "keep the folder, restore beside it: carteira restore --data-dir {dir}.restored --from {from}"
            ),
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is wrong and where, before it is known which folder it is about.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) code: Code,
    pub(crate) what: String,
}

impl Fault {
    pub(crate) fn new(code: Code, what: impl Into<String>) -> Self {
        Self {
            code,
            what: what.into(),
        }
    }

    pub(crate) fn io(doing: &str, error: &std::io::Error) -> Self {
        Self::new(Code::Io, format!("{doing}: {error}"))
    }

    pub(crate) fn at(self, dir: &Path) -> OpenError {
        OpenError {
            code: self.code,
            next: self.code.next(dir),
            what: self.what,
            place: dir.to_path_buf(),
        }
    }
}

/// Why a data folder was not opened, checked, copied or restored. Nothing was changed in it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{code}: {what}, in {}; {next}", place.display())]
pub struct OpenError {
    /// Which refusal it is.
    pub code: Code,
    /// What is wrong.
    pub what: String,
    /// In which folder or file.
    pub place: PathBuf,
    /// The command to run next.
    pub next: String,
}

/// Why a group of writes was not done. Unless it says otherwise, nothing of the group is kept.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// An earlier write or sync failed; nothing is written until the next start.
    #[error("the store is read-only since a write failed ({0}); restart the service")]
    ReadOnly(String),
    /// This write or sync failed: whether the group is kept shows at the next start.
    #[error("a write failed ({0}); the store is read-only until the service is restarted")]
    WriteFailed(String),
    /// Less space is free than the floor that is kept.
    #[error("{free_bytes} bytes are free and {floor_bytes} are kept free; make room on the disk")]
    DiskFull {
        /// Bytes that are free now.
        free_bytes: u64,
        /// Bytes that are to stay free.
        floor_bytes: u64,
    },
    /// A record is larger than a record may be.
    #[error("unit {unit}: a {what} of {bytes} bytes; at most {limit_bytes} are kept")]
    TooLarge {
        /// The unit that holds it, counted from 0.
        unit: usize,
        /// What it is.
        what: &'static str,
        /// Its size, encoded.
        bytes: usize,
        /// The limit.
        limit_bytes: usize,
    },
    /// A unit writes to a portfolio that does not exist.
    #[error("unit {unit}: there is no portfolio {}", portfolio.0)]
    UnknownPortfolio {
        /// The unit, counted from 0.
        unit: usize,
        /// The portfolio's number.
        portfolio: PortfolioNo,
    },
    /// A unit gives a number a second time.
    #[error("unit {unit}: {what} number {number} was used before; numbers are never reused")]
    NumberReused {
        /// The unit, counted from 0.
        unit: usize,
        /// Of what.
        what: &'static str,
        /// The number.
        number: u32,
    },
    /// What was read is damaged, or could not be read.
    #[error("{code}: {what}")]
    Damaged {
        /// Which damage.
        code: Code,
        /// What is wrong.
        what: String,
    },
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        Self::Damaged {
            code: fault.code,
            what: fault.what,
        }
    }
}
