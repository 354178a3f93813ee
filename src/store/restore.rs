//! Restoring: portfolios of a backup file into a folder that does not have them.

use std::collections::BTreeMap;
use std::path::Path;

use super::backup::Progress;
use super::commit::Store;
use super::disk::Batch;
use super::error::{Code, Fault, OpenError, StoreError};
use super::frames::read_file;
use super::keys::{self, Kind, Name};
use super::open::{OpenOptions, Report, check, open_scanned};
use super::records::{self, PortfolioMeta};
use super::value::{seal, unseal};
use crate::domain::{Portfolio, PortfolioId, PortfolioNo};

/// Puts the portfolios of a backup, or one, into a folder, which is made where there is none.
///
/// The backup is verified whole first, the folder after. A portfolio that is there already is never
/// overwritten; those that come in get new numbers. They come in as one batch, so that a stop
/// leaves the folder as it was, and memory is taken for all of them.
pub fn restore(
    from: &Path,
    dir: &Path,
    only: Option<&PortfolioId>,
    progress: Progress<'_>,
) -> Result<Report, OpenError> {
    let at = |fault: Fault| fault.at(from);
    let ids = portfolios_of(from).map_err(at)?;
    let wanted = |id: &PortfolioId| only.is_none_or(|only| only == id);
    let chosen: BTreeMap<PortfolioNo, PortfolioId> =
        ids.into_iter().filter(|(_, id)| wanted(id)).collect();
    if let Some(id) = only.filter(|_| chosen.is_empty()) {
        let what = format!("the backup has no portfolio '{id}'");
        return Err(at(Fault::new(Code::Conflict, what)));
    }
    let (mut store, scanned) = open_scanned(dir, &OpenOptions::default())?;
    let there = &scanned.loaded.portfolios;
    for id in chosen.values() {
        if there.iter().any(|there| there.portfolio.id == *id) {
            let what = format!("the portfolio '{id}' is there already");
            return Err(Fault::new(Code::Conflict, what).at(dir));
        }
    }
    let numbers = chosen
        .into_keys()
        .zip(store.meta.next_portfolio..)
        .map(|(old, new)| (old, PortfolioNo(new)))
        .collect();
    let taken = store.take_in(from, &numbers, progress);
    let report = taken.map_err(|fault| fault.at(dir))?;
    store.close().map_err(|fault| fault.at(dir))?;
    check(dir)?;
    Ok(report)
}

/// The portfolios of a backup; verifies all of it.
fn portfolios_of(path: &Path) -> Result<BTreeMap<PortfolioNo, PortfolioId>, Fault> {
    let mut settings: BTreeMap<PortfolioNo, Vec<u8>> = BTreeMap::new();
    read_file(path, &mut |key, value| {
        let payload = unseal(key, value)?;
        if let Some((no, Kind::Portfolio, _)) = keys::parse(key) {
            // The first byte of a chunk is their number.
            settings
                .entry(no)
                .or_default()
                .extend_from_slice(payload.get(1..).unwrap_or_default());
        }
        Ok(())
    })?;
    let id = |(no, record): (PortfolioNo, Vec<u8>)| {
        Ok((no, records::decode::<Portfolio>("portfolio", &record)?.id))
    };
    settings.into_iter().map(id).collect()
}

impl Store {
    /// Takes portfolios of a backup in under new numbers, as one batch: a stop in between leaves the
    /// folder as it was. Memory: the records.
    fn take_in(
        &mut self,
        from: &Path,
        numbers: &BTreeMap<PortfolioNo, PortfolioNo>,
        progress: Progress<'_>,
    ) -> Result<Report, Fault> {
        let mut metas: BTreeMap<PortfolioNo, PortfolioMeta> = BTreeMap::new();
        let mut counted: BTreeMap<PortfolioNo, PortfolioMeta> = BTreeMap::new();
        let mut batch = Batch::new();
        let mut report = Report {
            portfolios: numbers.len() as u64,
            records: 0,
            bytes: 0,
            commit: 0,
        };
        read_file(from, &mut |key, value| {
            let Some((old, _, name)) = keys::parse(key) else {
                return Err(Fault::new(
                    Code::Backup,
                    "the backup holds a key that is none of carteira's",
                ));
            };
            let Some(new) = numbers.get(&old) else {
                return Ok(());
            };
            let payload = unseal(key, value)?;
            if name == Name::Meta {
                metas.insert(*new, records::decode("meta record", payload)?);
                return Ok(());
            }
            let key = keys::moved(key, *new);
            let value = seal(&key, payload);
            let of_portfolio = counted.entry(*new).or_default();
            of_portfolio.records += 1;
            of_portfolio.digest.add(&key, &value);
            report.records += 1;
            report.bytes += (key.len() + value.len()) as u64;
            progress(report.records);
            batch.insert(key, Some(value));
            Ok(())
        })?;
        let mut meta = self.meta;
        for (no, counted) in &counted {
            let of_portfolio = metas
                .get_mut(no)
                .ok_or_else(|| Fault::new(Code::Backup, "the backup lacks a meta record"))?;
            if of_portfolio.records != counted.records {
                let what = "the backup lacks records of a portfolio";
                return Err(Fault::new(Code::Backup, what));
            }
            of_portfolio.digest = counted.digest;
            let key = keys::meta(*no);
            let value = seal(&key, &records::encode(of_portfolio)?);
            meta.digest.add(&key, &value);
            meta.records += of_portfolio.records;
            batch.insert(key, Some(value));
        }
        meta.portfolios += counted.len() as u32;
        meta.next_portfolio += numbers.len() as u32;
        meta.commit += 1;
        let key = keys::meta(keys::STORE);
        let value = seal(&key, &records::encode(&meta)?);
        batch.insert(key, Some(value));
        self.check_room(&batch)
            .and_then(|()| self.write(batch, meta))
            .map_err(|error| match error {
                StoreError::DiskFull { .. } => Fault::new(Code::DiskFull, error.to_string()),
                error => Fault::new(Code::Io, error.to_string()),
            })?;
        self.portfolios.extend(metas);
        report.commit = meta.commit;
        Ok(report)
    }
}
