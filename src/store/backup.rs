//! Backups: portfolios as one checksummed file, and back.
//!
//! The file: a magic line, then frames of key and value, each with its lengths and a CRC, then a
//! frame without key that holds the count and a hash of all that came before. Records are kept as
//! they are in the store, so a backup is also the way to a later format.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::commit::Store;
use super::disk::Batch;
use super::error::{Code, Fault, OpenError};
use super::keys::{self, Kind, Name};
use super::open::{OpenOptions, Report, open_scanned};
use super::records::{self, PortfolioMeta};
use super::value::{MAX_VALUE_BYTES, seal, unseal};
use crate::domain::{Portfolio, PortfolioId, PortfolioNo};

const MAGIC: &[u8] = b"carteira backup 1\n";
/// The longest key that a frame may have.
const MAX_KEY_BYTES: usize = 256;

/// Told how many records are done.
pub type Progress<'a> = &'a dyn Fn(u64);

/// Writes all portfolios of a folder, or one, to a file: to a temporary name first, synced, read
/// back, then renamed. The folder must not be open elsewhere.
pub fn backup(
    dir: &Path,
    only: Option<&PortfolioId>,
    out: &Path,
    progress: Progress<'_>,
) -> Result<Report, OpenError> {
    let options = OpenOptions {
        create: false,
        ..OpenOptions::default()
    };
    let (store, scanned) = open_scanned(dir, &options)?;
    let chosen = scanned
        .loaded
        .portfolios
        .iter()
        .filter(|one| only.is_none_or(|id| one.portfolio.id == *id));
    let chosen: Vec<PortfolioNo> = chosen.map(|one| one.no).collect();
    if let Some(id) = only.filter(|_| chosen.is_empty()) {
        return Err(Fault::new(Code::Conflict, format!("there is no portfolio '{id}'")).at(dir));
    }
    let at = |fault: Fault| fault.at(out);
    let temporary = out.with_extension("part");
    let report = write_file(&store, &chosen, &temporary, progress).map_err(at)?;
    read_file(&temporary, &mut |_, _| Ok(())).map_err(at)?;
    std::fs::rename(&temporary, out)
        .map_err(|error| at(Fault::io("renaming the backup", &error)))?;
    sync_parent(out).map_err(at)?;
    Ok(report)
}

/// Puts the portfolios of a backup, or one, into a folder, which is made where there is none.
/// The backup is verified whole first. A portfolio that is there already is never overwritten.
pub fn restore(
    from: &Path,
    dir: &Path,
    only: Option<&PortfolioId>,
    progress: Progress<'_>,
) -> Result<Report, OpenError> {
    let at = |fault: Fault| fault.at(from);
    let ids = portfolios_of(from).map_err(at)?;
    let chosen: BTreeMap<PortfolioNo, PortfolioId> = ids
        .into_iter()
        .filter(|(_, id)| only.is_none_or(|only| only == id))
        .collect();
    if let Some(id) = only.filter(|_| chosen.is_empty()) {
        return Err(at(Fault::new(
            Code::Conflict,
            format!("the backup has no portfolio '{id}'"),
        )));
    }
    let (mut store, scanned) = open_scanned(dir, &OpenOptions::default())?;
    for id in chosen.values() {
        if scanned
            .loaded
            .portfolios
            .iter()
            .any(|there| there.portfolio.id == *id)
        {
            return Err(Fault::new(
                Code::Conflict,
                format!("the portfolio '{id}' is there already"),
            )
            .at(dir));
        }
    }
    let first = store.meta.next_portfolio;
    let numbers: BTreeMap<PortfolioNo, PortfolioNo> = chosen
        .keys()
        .zip(first..)
        .map(|(old, new)| (*old, PortfolioNo(new)))
        .collect();
    let report = store
        .take_in(from, &numbers, progress)
        .map_err(|fault| fault.at(dir))?;
    let Store { disk, dir, .. } = store;
    disk.close().map_err(|error| Fault::from(error).at(&dir))?;
    Ok(report)
}

/// Rewrites a folder so that no byte of what was deleted stays in it: a backup, restored beside it,
/// takes its place. A stop in between leaves the old folder, or the new one, whole.
pub fn compact(dir: &Path, progress: Progress<'_>) -> Result<Report, OpenError> {
    let beside = |suffix: &str| -> PathBuf {
        let mut name = dir.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let (file, fresh, old) = (beside(".compact"), beside(".fresh"), beside(".old"));
    let io = |doing: &'static str| move |error: std::io::Error| Fault::io(doing, &error).at(dir);
    if !dir.exists() && old.exists() {
        std::fs::rename(&old, dir).map_err(io("putting the old folder back"))?;
    }
    for leftover in [&fresh, &old] {
        if leftover.exists() {
            std::fs::remove_dir_all(leftover).map_err(io("removing a leftover"))?;
        }
    }
    backup(dir, None, &file, progress)?;
    let report = restore(&file, &fresh, None, progress)?;
    std::fs::rename(dir, &old).map_err(io("moving the old folder away"))?;
    std::fs::rename(&fresh, dir).map_err(io("moving the new folder in"))?;
    sync_parent(dir).map_err(|fault| fault.at(dir))?;
    std::fs::remove_dir_all(&old).map_err(io("removing the old folder"))?;
    std::fs::remove_file(&file).map_err(io("removing the intermediate backup"))?;
    Ok(report)
}

fn write_file(
    store: &Store,
    chosen: &[PortfolioNo],
    path: &Path,
    progress: Progress<'_>,
) -> Result<Report, Fault> {
    let io = |error: std::io::Error| Fault::io("writing the backup", &error);
    let file = File::create(path).map_err(io)?;
    let mut out = Hashed {
        inner: BufWriter::new(file),
        hasher: blake3::Hasher::new(),
    };
    out.write_all(MAGIC).map_err(io)?;
    let mut report = Report {
        portfolios: chosen.len() as u64,
        records: 0,
        bytes: 0,
        commit: store.meta.commit,
    };
    for no in chosen {
        let mut failed = None;
        store
            .disk
            .scan(&keys::portfolio_prefix(*no), &mut |key, value| {
                report.records += 1;
                report.bytes += (key.len() + value.len()) as u64;
                progress(report.records);
                match write_frame(&mut out, key, value) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(error) => {
                        failed = Some(error);
                        ControlFlow::Break(())
                    }
                }
            })?;
        if let Some(error) = failed {
            return Err(io(error));
        }
    }
    let sum = *out.hasher.finalize().as_bytes();
    let trailer = [&report.records.to_be_bytes()[..], &sum].concat();
    write_frame(&mut out, &[], &trailer).map_err(io)?;
    let file = out
        .inner
        .into_inner()
        .map_err(|error| io(error.into_error()))?;
    file.sync_all().map_err(io)?;
    Ok(report)
}

fn write_frame(out: &mut impl Write, key: &[u8], value: &[u8]) -> std::io::Result<()> {
    let mut frame = Vec::with_capacity(key.len() + value.len() + 12);
    frame.extend((key.len() as u32).to_be_bytes());
    frame.extend((value.len() as u32).to_be_bytes());
    frame.extend_from_slice(key);
    frame.extend_from_slice(value);
    let sum = crc32fast::hash(&frame);
    frame.extend(sum.to_be_bytes());
    out.write_all(&frame)
}

/// Reads a backup whole, each record checked; an error where it is cut short or damaged anywhere.
fn read_file(
    path: &Path,
    take: &mut dyn FnMut(&[u8], &[u8]) -> Result<(), Fault>,
) -> Result<u64, Fault> {
    let damaged = |what: &str| Fault::new(Code::Backup, format!("the backup {what}"));
    let file = File::open(path).map_err(|error| Fault::io("opening the backup", &error))?;
    let mut input = Hashed {
        inner: BufReader::new(file),
        hasher: blake3::Hasher::new(),
    };
    let mut magic = [0; MAGIC.len()];
    input
        .read_exact(&mut magic)
        .map_err(|_| damaged("is cut short"))?;
    if magic != MAGIC {
        return Err(damaged("is not a carteira backup of a known version"));
    }
    let mut records = 0;
    loop {
        let sum_before = *input.hasher.clone().finalize().as_bytes();
        let mut lengths = [0; 8];
        input
            .read_exact(&mut lengths)
            .map_err(|_| damaged("is cut short"))?;
        let (key_bytes, value_bytes) = (length(&lengths[..4]), length(&lengths[4..]));
        if key_bytes > MAX_KEY_BYTES || value_bytes > MAX_VALUE_BYTES {
            return Err(damaged("is damaged"));
        }
        let mut body = vec![0; key_bytes + value_bytes + 4];
        input
            .read_exact(&mut body)
            .map_err(|_| damaged("is cut short"))?;
        let (frame, sum) = body.split_at(key_bytes + value_bytes);
        let mut crc = crc32fast::Hasher::new();
        crc.update(&lengths);
        crc.update(frame);
        if crc.finalize().to_be_bytes() != *sum {
            return Err(damaged("is damaged"));
        }
        let (key, value) = frame.split_at(key_bytes);
        if key.is_empty() {
            let expected = [&u64::to_be_bytes(records)[..], &sum_before].concat();
            let mut rest = [0; 1];
            if value != expected || input.inner.read(&mut rest).map_or(true, |read| read > 0) {
                return Err(damaged("is damaged"));
            }
            return Ok(records);
        }
        records += 1;
        take(key, value)?;
    }
}

fn length(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .fold(0, |all, byte| (all << 8) | usize::from(*byte))
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
        for (no, counted) in &counted {
            let meta = metas
                .get_mut(no)
                .ok_or_else(|| Fault::new(Code::Backup, "the backup lacks a meta record"))?;
            if meta.records != counted.records {
                return Err(Fault::new(
                    Code::Backup,
                    "the backup lacks records of a portfolio",
                ));
            }
            meta.digest = counted.digest;
            let key = keys::meta(*no);
            let value = seal(&key, &records::encode(meta)?);
            self.meta.digest.add(&key, &value);
            self.meta.records += meta.records;
            batch.insert(key, Some(value));
        }
        self.meta.portfolios += counted.len() as u32;
        self.meta.next_portfolio += numbers.len() as u32;
        self.meta.commit += 1;
        let key = keys::meta(keys::STORE);
        let value = seal(&key, &records::encode(&self.meta)?);
        batch.insert(key, Some(value));
        self.disk.write(&batch)?;
        self.disk.sync()?;
        let mark = super::watermark::Mark {
            id: self.meta.id,
            commit: self.meta.commit,
        };
        self.watermark
            .write(mark)
            .map_err(|error| Fault::io("writing the watermark", &error))?;
        report.commit = self.meta.commit;
        Ok(report)
    }
}

fn sync_parent(path: &Path) -> Result<(), Fault> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let synced = File::open(parent.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all());
    synced.map_err(|error| Fault::io("syncing the folder", &error))
}

/// Hashes all that goes through.
struct Hashed<T> {
    inner: T,
    hasher: blake3::Hasher,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(bytes)?;
        self.hasher.update(&bytes[..read]);
        Ok(read)
    }
}
