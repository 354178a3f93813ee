//! Commits: a group of units as one batch, durable before it is acknowledged.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use super::change::{Applied, Change, SaleEntry, SaleHash, Unit};
use super::disk::{Batch, Disk, DiskError, Pending};
use super::error::{Fault, OpenError, StoreError};
use super::folder::{Folder, free_bytes};
use super::keys::{self, Kind};
use super::load::Loaded;
use super::open::{self, OpenOptions, Report};
use super::records::{self, PortfolioMeta, StoreMeta};
use super::stage::{Stage, find_sale, read_block};
use super::value::seal;
use super::watermark::{Mark, Watermark};
use crate::domain::{ClientNo, PortfolioNo};

/// What a byte of a batch may take on the disk before the database has tidied up behind itself.
const WRITE_AMPLIFICATION: u64 = 4;

/// An open data folder.
///
/// Invariant: `meta` and `portfolios` are what the meta records say of the last commit that landed; at most one is
/// under way.
pub struct Store {
    pub(super) disk: Box<dyn Disk>,
    pub(super) watermark: Arc<Watermark>,
    /// The commit that is under way.
    pub(super) sent: Option<Sent>,
    pub(super) meta: StoreMeta,
    pub(super) portfolios: BTreeMap<PortfolioNo, PortfolioMeta>,
    pub(super) free_floor_bytes: u64,
    /// Why nothing is written any more.
    pub(super) failed: Option<String>,
    /// Unlocked when it goes, so it stands after the disk.
    pub(super) folder: Folder,
}

/// A commit on its way to the disk, and the meta records once it is there.
pub(super) struct Sent {
    pending: Pending,
    meta: StoreMeta,
    /// Of the portfolios that it touches; nothing where one goes.
    metas: BTreeMap<PortfolioNo, Option<PortfolioMeta>>,
    sequences: Vec<u64>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("dir", &self.dir())
            .field("meta", &self.meta)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Opens a folder, checks every record of it, and hands over what it holds. Makes the folder
    /// where there is none. Cost: every record once.
    pub fn open(dir: &Path, options: &OpenOptions) -> Result<(Self, Loaded), OpenError> {
        open::open(dir, options)
    }

    /// Applies a group of units: when this answers, all of it is on the disk. Units of one
    /// portfolio are applied in order. Cost: two syncs a group, and one read and one write for
    /// each key that it touches.
    pub fn apply(&mut self, units: &[Unit]) -> Result<Applied, StoreError> {
        self.send(units)?;
        self.land()
    }

    /// Puts a group of units on its way to the disk: the first half of [`Store::apply`]. What this refuses leaves nothing
    /// behind. One that is still under way lands first; if it fails, so does this.
    pub fn send(&mut self, units: &[Unit]) -> Result<(), StoreError> {
        if self.sent.is_some() {
            self.land()?;
        }
        if let Some(why) = &self.failed {
            return Err(StoreError::ReadOnly(why.clone()));
        }
        let mut group = Group {
            store: self,
            meta: self.meta,
            metas: BTreeMap::new(),
        };
        let mut stage = Stage::new(self.disk.as_ref());
        let mut sequences = Vec::with_capacity(units.len());
        for (at, unit) in units.iter().enumerate() {
            sequences.push(group.take(at, unit, &mut stage)?);
        }
        let mut batch = stage.finish()?;
        group.account(&mut batch)?;
        let Group { meta, metas, .. } = group;
        self.check_room(&batch)?;
        let pending = self.begin(batch, meta);
        self.sent = Some(Sent {
            pending,
            meta,
            metas,
            sequences,
        });
        Ok(())
    }

    /// Waits until what was sent is durable: the second half of [`Store::apply`]. With nothing under way there is nothing
    /// to wait for. A failure is final until a restart, since what a failed sync left on the disk cannot be known.
    pub fn land(&mut self) -> Result<Applied, StoreError> {
        let Some(sent) = self.sent.take() else {
            return Ok(Applied {
                commit: self.meta.commit,
                sequences: Vec::new(),
            });
        };
        if let Err(error) = (sent.pending)() {
            let why = error.to_string();
            self.failed = Some(why.clone());
            return Err(StoreError::WriteFailed(why));
        }
        self.meta = sent.meta;
        for (no, of_portfolio) in sent.metas {
            match of_portfolio {
                Some(of_portfolio) => self.portfolios.insert(no, of_portfolio),
                None => self.portfolios.remove(&no),
            };
        }
        Ok(Applied {
            commit: self.meta.commit,
            sequences: sent.sequences,
        })
    }

    /// The sale that stands under a name. Reads one block of the ledger.
    pub fn sale(
        &self,
        portfolio: PortfolioNo,
        hash: SaleHash,
    ) -> Result<Option<SaleEntry>, StoreError> {
        find_sale(self.disk.as_ref(), portfolio, hash)
    }

    /// The named sales of a client, by hash. Reads the portfolio's whole ledger.
    pub fn sales_of(
        &self,
        portfolio: PortfolioNo,
        client: ClientNo,
    ) -> Result<Vec<(SaleHash, SaleEntry)>, StoreError> {
        let mut sales = Vec::new();
        let mut fault = None;
        let prefix = keys::prefix(portfolio, Kind::Sale);
        let scanned = self
            .disk
            .scan(&prefix, &mut |key, value| match read_block(key, value) {
                Ok((_, entries)) => {
                    sales.extend(
                        entries
                            .into_iter()
                            .filter(|(_, sale)| sale.client == client),
                    );
                    ControlFlow::Continue(())
                }
                Err(found) => {
                    fault = Some(found);
                    ControlFlow::Break(())
                }
            });
        scanned.map_err(Fault::from)?;
        fault.map_or(Ok(sales), |fault| Err(fault.into()))
    }

    /// Why nothing is written any more, where a write failed.
    pub fn failure(&self) -> Option<&str> {
        self.failed.as_deref()
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        self.folder.dir()
    }

    /// Closes the database, and lets the folder go after it.
    pub(super) fn close(self) -> Result<(), Fault> {
        let Self { disk, folder, .. } = self;
        disk.close()?;
        drop(folder);
        Ok(())
    }

    pub(super) fn report(&self, bytes: u64) -> Report {
        Report {
            portfolios: u64::from(self.meta.portfolios),
            records: self.meta.records,
            bytes,
            commit: self.meta.commit,
        }
    }

    /// Writes a batch and makes it durable. Whoever calls keeps `portfolios` in line with it.
    pub(super) fn write(&mut self, batch: Batch, meta: StoreMeta) -> Result<(), StoreError> {
        let pending = self.begin(batch, meta);
        self.sent = Some(Sent {
            pending,
            meta,
            metas: BTreeMap::new(),
            sequences: Vec::new(),
        });
        self.land().map(|_| ())
    }

    /// Begins to write a batch; the watermark follows once it is durable, never before.
    fn begin(&self, batch: Batch, meta: StoreMeta) -> Pending {
        let watermark = self.watermark.clone();
        let mark = Mark {
            id: meta.id,
            commit: meta.commit,
        };
        let then = move || {
            let written = watermark.write(mark);
            written.map_err(|error| DiskError::new("writing the watermark", &error))
        };
        self.disk.commit(batch, Box::new(then))
    }

    pub(super) fn check_room(&self, batch: &Batch) -> Result<(), StoreError> {
        let bytes: usize = batch
            .iter()
            .map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len))
            .sum();
        let free_bytes = free_bytes(self.dir())?;
        let floor_bytes = self.free_floor_bytes;
        if free_bytes < floor_bytes.saturating_add(bytes as u64 * WRITE_AMPLIFICATION) {
            return Err(StoreError::DiskFull {
                free_bytes,
                floor_bytes,
            });
        }
        Ok(())
    }
}

/// The meta records as they will be after a group.
struct Group<'a> {
    store: &'a Store,
    meta: StoreMeta,
    /// Of the portfolios that the group touches; nothing where one goes.
    metas: BTreeMap<PortfolioNo, Option<PortfolioMeta>>,
}

impl Group<'_> {
    /// Takes a unit in; answers the sequence of its portfolio after it.
    fn take(&mut self, at: usize, unit: &Unit, stage: &mut Stage<'_>) -> Result<u64, StoreError> {
        let no = unit.portfolio;
        let unknown = StoreError::UnknownPortfolio {
            unit: at,
            portfolio: no,
        };
        let there = match self.metas.get(&no) {
            Some(staged) => *staged,
            None => self.store.portfolios.get(&no).copied(),
        };
        let mut of_portfolio = match (there, unit.changes.first()) {
            (Some(there), _) => there,
            (None, Some(Change::PutPortfolio(_))) => {
                if no.0 < self.meta.next_portfolio || no == keys::STORE {
                    return Err(StoreError::NumberReused {
                        unit: at,
                        what: "portfolio",
                        number: no.0,
                    });
                }
                self.meta.next_portfolio = no.0 + 1;
                PortfolioMeta::default()
            }
            (None, _) => return Err(unknown),
        };
        let mut dropped = false;
        for change in &unit.changes {
            if dropped {
                return Err(unknown);
            }
            dropped = matches!(change, Change::DropPortfolio);
            stage.take(at, no, &mut of_portfolio, change)?;
        }
        of_portfolio.sequence += 1;
        self.metas.insert(no, (!dropped).then_some(of_portfolio));
        Ok(of_portfolio.sequence)
    }

    /// Brings counts and digests in line with a batch, and adds the meta records to it.
    fn account(&mut self, batch: &mut Batch) -> Result<(), StoreError> {
        let disk = self.store.disk.as_ref();
        for (key, value) in batch.iter() {
            let Some((no, kind, _)) = keys::parse(key) else {
                continue;
            };
            if kind == Kind::Meta {
                continue;
            }
            let old = disk.get(key).map_err(Fault::from)?;
            self.meta.records += u64::from(value.is_some());
            self.meta.records -= u64::from(old.is_some());
            let Some(Some(of_portfolio)) = self.metas.get_mut(&no) else {
                continue;
            };
            if let Some(new) = value {
                of_portfolio.digest.add(key, new);
                of_portfolio.records += 1;
            }
            if let Some(old) = &old {
                of_portfolio.digest.remove(key, old);
                of_portfolio.records -= 1;
            }
        }
        for (no, of_portfolio) in &self.metas {
            let key = keys::meta(*no);
            if let Some(old) = disk.get(&key).map_err(Fault::from)? {
                self.meta.digest.remove(&key, &old);
                self.meta.portfolios -= 1;
            }
            let new = match of_portfolio {
                Some(of_portfolio) => {
                    let value = seal(&key, &records::encode(of_portfolio)?);
                    self.meta.digest.add(&key, &value);
                    self.meta.portfolios += 1;
                    Some(value)
                }
                None => None,
            };
            batch.insert(key, new);
        }
        self.meta.commit += 1;
        let key = keys::meta(keys::STORE);
        let value = seal(&key, &records::encode(&self.meta)?);
        batch.insert(key, Some(value));
        Ok(())
    }
}
