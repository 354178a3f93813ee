//! Changes of a group on their way to one batch.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::ControlFlow;

use serde::Serialize;

use super::change::{Change, ObjectiveHash, SaleEntry, SaleHash};
use super::disk::{Batch, Disk, Record};
use super::error::{Code, Fault, StoreError};
use super::keys::{self, Kind};
use super::ledger::{self, Entries, LOWEST};
use super::records::{self, AnswerRecord, PortfolioMeta};
use super::value::{MAX_RECORD_BYTES, chunks, seal, unseal};
use crate::domain::{ClientNo, MAX_BLOCK_BYTES, PortfolioNo};

/// What a group of units changes, worked out over what the disk has.
pub(crate) struct Stage<'a> {
    disk: &'a dyn Disk,
    pub(crate) batch: Batch,
    /// Ledger blocks that were opened, by their bounds.
    ledgers: BTreeMap<(PortfolioNo, SaleHash), Entries>,
}

impl<'a> Stage<'a> {
    pub(crate) fn new(disk: &'a dyn Disk) -> Self {
        Self {
            disk,
            batch: Batch::new(),
            ledgers: BTreeMap::new(),
        }
    }

    /// Takes one change of a portfolio in; `meta` follows the numbers that it gives.
    pub(crate) fn take(
        &mut self,
        unit: usize,
        no: PortfolioNo,
        meta: &mut PortfolioMeta,
        change: &Change,
    ) -> Result<(), StoreError> {
        match change {
            Change::PutPortfolio(portfolio) => self.put(
                unit,
                Kind::Portfolio,
                &keys::settings(no),
                portfolio.as_ref(),
            ),
            Change::DropPortfolio => {
                self.ledgers.retain(|(portfolio, _), _| *portfolio != no);
                self.drop_all(&keys::portfolio_prefix(no))
            }
            Change::PutClient(client, record) => {
                meta.next_client = meta.next_client.max(client.0.saturating_add(1));
                self.put(
                    unit,
                    Kind::Client,
                    &keys::client(no, *client),
                    record.as_ref(),
                )
            }
            Change::DropClient(client) => self.drop_client(no, *client),
            Change::PutProduct(product, record) => {
                meta.next_product = meta.next_product.max(product.0.saturating_add(1));
                self.put(
                    unit,
                    Kind::Product,
                    &keys::product(no, *product),
                    record.as_ref(),
                )
            }
            Change::DropProduct(product) => self.drop_all(&keys::product(no, *product)),
            Change::PutBlock(client, block) => {
                if block.bytes.len() > MAX_BLOCK_BYTES {
                    return Err(StoreError::TooLarge {
                        unit,
                        what: Kind::History.name(),
                        bytes: block.bytes.len(),
                        limit_bytes: MAX_BLOCK_BYTES,
                    });
                }
                let key = keys::block(no, *client, block.first);
                let value = seal(&key, &block.bytes);
                self.batch.insert(key, Some(value));
                Ok(())
            }
            Change::DropBlock(client, first) => {
                self.batch.insert(keys::block(no, *client, *first), None);
                Ok(())
            }
            Change::PutEvent(client, number, event) => self.put(
                unit,
                Kind::Event,
                &keys::event(no, *client, *number),
                event.as_ref(),
            ),
            Change::DropEvent(client, number) => self.drop_all(&keys::event(no, *client, *number)),
            Change::PutSale(hash, entry) => {
                self.entries(no, *hash)?.insert(*hash, *entry);
                Ok(())
            }
            Change::DropSale(hash) => {
                self.entries(no, *hash)?.remove(hash);
                Ok(())
            }
            Change::PutAnswer(request, answer) => {
                let record = AnswerRecord {
                    answered_at_unix: answer.answered_at_unix,
                    bytes: answer.bytes.to_vec(),
                };
                self.put(unit, Kind::Answer, &keys::answer(no, *request), &record)
            }
            Change::DropAnswer(request) => self.drop_all(&keys::answer(no, *request)),
            Change::PutApiKey(key) => {
                self.put(unit, Kind::ApiKey, &keys::api_key(no, key.id), key.as_ref())
            }
            Change::DropApiKey(id) => self.drop_all(&keys::api_key(no, *id)),
            Change::PutOffer(client, product, kind, offer) => self.put(
                unit,
                Kind::Offer,
                &keys::offer(no, *client, *product, *kind),
                offer.as_ref(),
            ),
            Change::DropOffer(client, product, kind) => {
                self.drop_all(&keys::offer(no, *client, *product, *kind))
            }
            Change::PutObjective(objective) => {
                let id = ObjectiveHash::of(&objective.aim.id);
                let key = keys::objective(no, id);
                self.put(unit, Kind::Objective, &key, objective.as_ref())
            }
            Change::DropObjective(id) => self.drop_all(&keys::objective(no, *id)),
        }
    }

    /// The batch, with the ledger blocks that were opened packed again.
    pub(crate) fn finish(mut self) -> Result<Batch, StoreError> {
        for ((no, bound), entries) in std::mem::take(&mut self.ledgers) {
            self.batch.insert(keys::sale(no, bound), None);
            for (first, payload) in ledger::encode(bound, &entries)? {
                let key = keys::sale(no, first);
                let value = seal(&key, &payload);
                self.batch.insert(key, Some(value));
            }
        }
        Ok(self.batch)
    }

    /// A record in as many chunks as it needs; chunks of a longer one before it go.
    fn put<T: Serialize + ?Sized>(
        &mut self,
        unit: usize,
        kind: Kind,
        key: &[u8],
        record: &T,
    ) -> Result<(), StoreError> {
        let record = records::encode(record)?;
        let payloads = chunks(&record).ok_or(StoreError::TooLarge {
            unit,
            what: kind.name(),
            bytes: record.len(),
            limit_bytes: MAX_RECORD_BYTES,
        })?;
        self.drop_all(key)?;
        for (chunk, payload) in payloads.iter().enumerate() {
            let mut key = key.to_vec();
            key.push(chunk as u8);
            let value = seal(&key, payload);
            self.batch.insert(key, Some(value));
        }
        Ok(())
    }

    /// Drops every key that starts so, those of this batch too.
    fn drop_all(&mut self, prefix: &[u8]) -> Result<(), StoreError> {
        let staged = self.batch.range_mut(prefix.to_vec()..);
        for (_, value) in staged.take_while(|(key, _)| key.starts_with(prefix)) {
            *value = None;
        }
        let batch = &mut self.batch;
        let scanned = self.disk.scan(prefix, &mut |key, _| {
            batch.insert(key.to_vec(), None);
            ControlFlow::Continue(())
        });
        Ok(scanned.map_err(Fault::from)?)
    }

    fn drop_client(&mut self, no: PortfolioNo, client: ClientNo) -> Result<(), StoreError> {
        self.drop_all(&keys::client(no, client))?;
        self.drop_all(&keys::history(no, client))?;
        self.drop_all(&keys::events(no, client))?;
        self.drop_all(&keys::offers(no, client))?;
        let mut bounds = Vec::new();
        let mut broken = None;
        let scanned =
            self.disk.scan(
                &keys::prefix(no, Kind::Sale),
                &mut |key, value| match read_block(key, value) {
                    Ok((bound, entries)) => {
                        if entries.values().any(|entry| entry.client == client) {
                            bounds.push((bound, entries));
                        }
                        ControlFlow::Continue(())
                    }
                    Err(fault) => {
                        broken = Some(fault);
                        ControlFlow::Break(())
                    }
                },
            );
        scanned.map_err(Fault::from)?;
        if let Some(fault) = broken {
            return Err(fault.into());
        }
        for (bound, entries) in bounds {
            self.ledgers.entry((no, bound)).or_insert(entries);
        }
        for ((portfolio, _), entries) in &mut self.ledgers {
            if *portfolio == no {
                entries.retain(|_, entry| entry.client != client);
            }
        }
        Ok(())
    }

    /// The block that holds a hash, or is to hold it.
    fn entries(&mut self, no: PortfolioNo, hash: SaleHash) -> Result<&mut Entries, StoreError> {
        let found = last_block(self.disk, no, hash)?;
        let bound = match &found {
            Some((key, _)) => bound_of(key)?,
            None => LOWEST,
        };
        match self.ledgers.entry((no, bound)) {
            Entry::Occupied(opened) => Ok(opened.into_mut()),
            Entry::Vacant(vacant) => {
                let stored = found
                    .map(|(key, value)| read_block(&key, &value))
                    .transpose()?;
                Ok(vacant.insert(stored.map_or_else(Entries::new, |(_, entries)| entries)))
            }
        }
    }
}

/// The sale of a hash, if the ledger has it.
pub(crate) fn find_sale(
    disk: &dyn Disk,
    no: PortfolioNo,
    hash: SaleHash,
) -> Result<Option<SaleEntry>, StoreError> {
    match last_block(disk, no, hash)? {
        Some((key, value)) => Ok(read_block(&key, &value)?.1.get(&hash).copied()),
        None => Ok(None),
    }
}

/// The stored block that holds a hash, or is to hold it.
fn last_block(
    disk: &dyn Disk,
    no: PortfolioNo,
    hash: SaleHash,
) -> Result<Option<Record>, StoreError> {
    let found = disk.last(&keys::sale(no, LOWEST), &keys::sale(no, hash));
    Ok(found.map_err(Fault::from)?)
}

fn bound_of(key: &[u8]) -> Result<SaleHash, Fault> {
    match keys::parse(key) {
        Some((_, _, keys::Name::Sale { first })) => Ok(first),
        _ => Err(Fault::new(
            Code::Record,
            "a sale ledger block has a key that does not read",
        )),
    }
}

/// The bound and the entries of a stored block.
pub(crate) fn read_block(key: &[u8], value: &[u8]) -> Result<(SaleHash, Entries), Fault> {
    let bound = bound_of(key)?;
    Ok((bound, ledger::decode(bound, unseal(key, value)?)?))
}
