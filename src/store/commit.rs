//! Commits: a group of units as one batch, durable before it is acknowledged.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::change::{Applied, Change, SaleEntry, SaleHash, Unit};
use super::disk::{Batch, Disk};
use super::error::{Fault, OpenError, StoreError};
use super::keys;
use super::load::Loaded;
use super::open::{self, OpenOptions};
use super::records::{self, PortfolioMeta, StoreMeta};
use super::stage::{Stage, find_sale};
use super::value::seal;
use super::watermark::{Mark, Watermark};
use crate::domain::PortfolioNo;

/// An open data folder.
///
/// Invariant: `meta` and `portfolios` are what the meta records on the disk say.
pub struct Store {
    pub(super) disk: Box<dyn Disk>,
    pub(super) dir: PathBuf,
    pub(super) watermark: Watermark,
    pub(super) meta: StoreMeta,
    pub(super) portfolios: BTreeMap<PortfolioNo, PortfolioMeta>,
    pub(super) free_floor_bytes: u64,
    pub(super) failed: Option<String>,
    /// Held as long as the folder is open.
    pub(super) _lock: std::fs::File,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("dir", &self.dir)
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
    /// portfolio are applied in order.
    pub fn apply(&mut self, units: &[Unit]) -> Result<Applied, StoreError> {
        if let Some(why) = &self.failed {
            return Err(StoreError::ReadOnly(why.clone()));
        }
        self.check_room()?;
        let mut portfolios = self.portfolios.clone();
        let mut meta = self.meta;
        let mut sequences = Vec::with_capacity(units.len());
        let mut stage = Stage::new(self.disk.as_ref());
        for (at, unit) in units.iter().enumerate() {
            let no = unit.portfolio;
            if !portfolios.contains_key(&no) {
                if !matches!(unit.changes.first(), Some(Change::PutPortfolio(_))) {
                    return Err(StoreError::UnknownPortfolio {
                        unit: at,
                        portfolio: no,
                    });
                }
                if no.0 < meta.next_portfolio {
                    return Err(StoreError::NumberReused {
                        unit: at,
                        what: "portfolio",
                        number: no.0,
                    });
                }
                meta.next_portfolio = no.0 + 1;
                portfolios.insert(no, PortfolioMeta::default());
            }
            let Some(of_portfolio) = portfolios.get_mut(&no) else {
                return Err(StoreError::UnknownPortfolio {
                    unit: at,
                    portfolio: no,
                });
            };
            let mut dropped = false;
            for change in &unit.changes {
                dropped = matches!(change, Change::DropPortfolio);
                stage.take(at, no, of_portfolio, change)?;
            }
            of_portfolio.sequence += 1;
            sequences.push(of_portfolio.sequence);
            if dropped {
                portfolios.remove(&no);
            }
        }
        let mut batch = stage.finish()?;
        self.account(&mut batch, &mut portfolios, &mut meta)?;
        self.write(&batch, meta)?;
        self.portfolios = portfolios;
        self.meta = meta;
        Ok(Applied {
            commit: meta.commit,
            sequences,
        })
    }

    /// The sale that stands under a name.
    pub fn sale(
        &self,
        portfolio: PortfolioNo,
        hash: SaleHash,
    ) -> Result<Option<SaleEntry>, StoreError> {
        find_sale(self.disk.as_ref(), portfolio, hash)
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Brings counts, digests and meta records in line with a batch, and adds the meta records to it.
    fn account(
        &self,
        batch: &mut Batch,
        portfolios: &mut BTreeMap<PortfolioNo, PortfolioMeta>,
        meta: &mut StoreMeta,
    ) -> Result<(), StoreError> {
        let mut touched: BTreeMap<PortfolioNo, ()> = BTreeMap::new();
        for (key, value) in batch.iter() {
            let Some((no, kind, _)) = keys::parse(key) else {
                continue;
            };
            touched.insert(no, ());
            if kind == keys::Kind::Meta {
                continue;
            }
            let old = self.disk.get(key).map_err(Fault::from)?;
            meta.records -= u64::from(old.is_some());
            meta.records += u64::from(value.is_some());
            let Some(of_portfolio) = portfolios.get_mut(&no) else {
                continue;
            };
            if let Some(old) = &old {
                of_portfolio.digest.remove(key, old);
                of_portfolio.records -= 1;
            }
            if let Some(new) = value {
                of_portfolio.digest.add(key, new);
                of_portfolio.records += 1;
            }
        }
        // A unit without a change still moves its portfolio's sequence.
        for (no, new) in portfolios.iter() {
            if self.portfolios.get(no) != Some(new) {
                touched.insert(*no, ());
            }
        }
        for no in touched.into_keys() {
            let key = keys::meta(no);
            if let Some(old) = self.disk.get(&key).map_err(Fault::from)? {
                meta.digest.remove(&key, &old);
            }
            let new = match portfolios.get(&no) {
                Some(of_portfolio) => {
                    let value = seal(&key, &records::encode(of_portfolio)?);
                    meta.digest.add(&key, &value);
                    Some(value)
                }
                None => None,
            };
            batch.insert(key, new);
        }
        meta.portfolios = portfolios.len() as u32;
        meta.commit += 1;
        let key = keys::meta(keys::STORE);
        let value = seal(&key, &records::encode(meta)?);
        batch.insert(key, Some(value));
        Ok(())
    }

    /// Writes a batch and makes it durable; a failure here is final until a restart.
    fn write(&mut self, batch: &Batch, meta: StoreMeta) -> Result<(), StoreError> {
        let mark = Mark {
            id: meta.id,
            commit: meta.commit,
        };
        let written = self
            .disk
            .write(batch)
            .and_then(|()| self.disk.sync())
            .map_err(|error| error.to_string())
            .and_then(|()| {
                self.watermark
                    .write(mark)
                    .map_err(|error| format!("writing the watermark: {error}"))
            });
        written.map_err(|why| {
            self.failed = Some(why.clone());
            StoreError::WriteFailed(why)
        })
    }

    fn check_room(&self) -> Result<(), StoreError> {
        let free_bytes = open::free_bytes(&self.dir)?;
        if free_bytes < self.free_floor_bytes {
            return Err(StoreError::DiskFull {
                free_bytes,
                floor_bytes: self.free_floor_bytes,
            });
        }
        Ok(())
    }
}
