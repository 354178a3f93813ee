//! The scan: every record read once, checked, and put together by portfolio.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use rayon::prelude::*;

use super::change::{Answer, RequestHash, SaleHash};
use super::digest::Digest;
use super::disk::Disk;
use super::error::{Code, Fault};
use super::keys::{self, Name};
use super::ledger;
use super::records::{self, AnswerRecord, PortfolioMeta, StoreMeta};
use super::value::{Assembler, unseal};
use crate::domain::{
    ApiKey, Block, Client, ClientEvent, ClientNo, History, Kind, Objective, Offer, Portfolio,
    PortfolioNo, Product, ProductNo,
};

/// Everything that a folder holds.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Portfolios in number order.
    pub portfolios: Vec<LoadedPortfolio>,
    /// The number that the next new portfolio gets.
    pub next_portfolio: PortfolioNo,
}

/// Everything that a portfolio holds, but its sale ledger.
#[derive(Debug)]
pub struct LoadedPortfolio {
    /// Its number.
    pub no: PortfolioNo,
    /// Its settings.
    pub portfolio: Arc<Portfolio>,
    /// Requests applied to it.
    pub sequence: u64,
    /// Clients in number order.
    pub clients: Vec<(ClientNo, Arc<Client>)>,
    /// Products in number order.
    pub products: Vec<(ProductNo, Arc<Product>)>,
    /// Histories of the clients that have one, in number order.
    pub histories: Vec<(ClientNo, History)>,
    /// Events by client, with their numbers.
    pub events: Vec<(ClientNo, u32, Arc<ClientEvent>)>,
    /// Kept answers.
    pub answers: Vec<(RequestHash, Answer)>,
    /// API keys.
    pub api_keys: Vec<Arc<ApiKey>>,
    /// Offers with their past.
    pub offers: Vec<(ClientNo, ProductNo, Kind, Arc<Offer>)>,
    /// Objectives with their actions.
    pub objectives: Vec<Arc<Objective>>,
    /// The number that the next new client gets.
    pub next_client: ClientNo,
    /// The number that the next new product gets.
    pub next_product: ProductNo,
}

/// What a scan found, besides the data.
pub(super) struct Scanned {
    pub(super) loaded: Loaded,
    pub(super) metas: BTreeMap<PortfolioNo, PortfolioMeta>,
    pub(super) meta: Option<StoreMeta>,
    pub(super) bytes: u64,
}

/// Records that are handed from who reads to who checks at once, in bytes: enough that handing them on costs little.
const BATCH_BYTES: usize = 256 * 1_024;
/// How many of these may wait.
const BATCHES: usize = 8;

/// Scans a disk and checks all of it, on two threads: one reads, one checks what was read before. `progress` is told
/// after every record; when something is wrong, the scan stops with the fault.
pub(super) fn scan(disk: &dyn Disk, progress: &dyn Fn()) -> Result<Scanned, Fault> {
    let (send, batches) = sync_channel::<RecordBatch>(BATCHES);
    std::thread::scope(|scope| {
        let checks = move || -> Result<Scan, Fault> {
            let mut scan = Scan::default();
            for batch in batches {
                batch.each(|key, value| scan.take(key, value))?;
            }
            Ok(scan)
        };
        let thread = std::thread::Builder::new().name("check".into());
        let checking = thread
            .spawn_scoped(scope, checks)
            .map_err(|error| Fault::io("starting a thread", &error))?;
        let mut batch = RecordBatch::default();
        let read = disk.scan(&[], &mut |key, value| {
            progress();
            batch.push(key, value);
            if batch.bytes.len() < BATCH_BYTES {
                return ControlFlow::Continue(());
            }
            // Nobody takes any more once a fault was found.
            match send.send(std::mem::take(&mut batch)) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        });
        let _ = send.send(batch);
        drop(send);
        let checked = checking.join().unwrap_or_else(|panic| resume_unwind(panic));
        read?;
        checked?.finish()
    })
}

/// Records one after the other, each with the lengths of its key and value before it.
#[derive(Default)]
struct RecordBatch {
    lengths: Vec<(u32, u32)>,
    bytes: Vec<u8>,
}

impl RecordBatch {
    fn push(&mut self, key: &[u8], value: &[u8]) {
        self.lengths.push((key.len() as u32, value.len() as u32));
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
    }

    fn each(&self, mut take: impl FnMut(&[u8], &[u8]) -> Result<(), Fault>) -> Result<(), Fault> {
        let mut rest = self.bytes.as_slice();
        for &(key_bytes, value_bytes) in &self.lengths {
            let (key, after) = rest.split_at(key_bytes as usize);
            let (value, after) = after.split_at(value_bytes as usize);
            take(key, value)?;
            rest = after;
        }
        Ok(())
    }
}

/// Records as they are read, put together.
#[derive(Default)]
pub(super) struct Scan {
    open: Option<Open>,
    done: Vec<LoadedPortfolio>,
    metas: BTreeMap<PortfolioNo, PortfolioMeta>,
    meta: Option<StoreMeta>,
    metas_digest: Digest,
    records: u64,
    bytes: u64,
}

/// The portfolio whose keys are being read.
struct Open {
    no: PortfolioNo,
    meta: Option<PortfolioMeta>,
    records: u64,
    digest: Digest,
    parts: Assembler,
    settings: Option<Portfolio>,
    clients: Vec<(ClientNo, Arc<Client>)>,
    products: Vec<(ProductNo, Arc<Product>)>,
    blocks: Vec<(ClientNo, Vec<Block>)>,
    events: Vec<(ClientNo, u32, Arc<ClientEvent>)>,
    answers: Vec<(RequestHash, Answer)>,
    api_keys: Vec<Arc<ApiKey>>,
    offers: Vec<(ClientNo, ProductNo, Kind, Arc<Offer>)>,
    objectives: Vec<Arc<Objective>>,
    /// The last hash of the ledger block before.
    last_sale: Option<SaleHash>,
    /// The highest numbers in the ledger.
    sale_clients: Option<ClientNo>,
    sale_products: Option<ProductNo>,
}

impl Scan {
    pub(super) fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        self.bytes += (key.len() + value.len()) as u64;
        let Some((no, _, name)) = keys::parse(key) else {
            return Err(Fault::new(Code::Record, "a key is none of carteira's"));
        };
        let payload = unseal(key, value)?;
        if no == keys::STORE {
            if name != Name::Meta {
                return Err(Fault::new(Code::Record, "a record belongs to no portfolio"));
            }
            self.meta = Some(records::decode("store meta record", payload)?);
            return Ok(());
        }
        if self.open.as_ref().is_none_or(|open| open.no != no) {
            self.close()?;
            self.open = Some(Open::new(no));
        }
        if name == Name::Meta {
            self.metas_digest.add(key, value);
        } else {
            self.records += 1;
        }
        match &mut self.open {
            Some(open) => open.take(name, key, value, payload),
            None => Ok(()),
        }
    }

    fn close(&mut self) -> Result<(), Fault> {
        if let Some(open) = self.open.take() {
            let no = open.no;
            let (meta, loaded) = open.finish()?;
            self.metas.insert(no, meta);
            self.done.push(loaded);
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<Scanned, Fault> {
        self.close()?;
        let next_portfolio = match &self.meta {
            None if self.metas.is_empty() => PortfolioNo(0),
            None => return Err(Fault::new(Code::Count, "the store's meta record is gone")),
            Some(meta) => {
                let found = (self.metas.len() as u32, self.records);
                if (meta.portfolios, meta.records) != found {
                    let what = format!(
                        "{} portfolios with {} records are there; {} with {} were committed",
                        found.0, found.1, meta.portfolios, meta.records
                    );
                    return Err(Fault::new(Code::Count, what));
                }
                if meta.digest != self.metas_digest {
                    return Err(Fault::new(
                        Code::Digest,
                        "the portfolios are not those of the last commit",
                    ));
                }
                PortfolioNo(meta.next_portfolio)
            }
        };
        Ok(Scanned {
            loaded: Loaded {
                portfolios: self.done,
                next_portfolio,
            },
            metas: self.metas,
            meta: self.meta,
            bytes: self.bytes,
        })
    }
}

impl Open {
    fn new(no: PortfolioNo) -> Self {
        Self {
            no,
            meta: None,
            records: 0,
            digest: Digest::default(),
            parts: Assembler::default(),
            settings: None,
            clients: Vec::new(),
            products: Vec::new(),
            blocks: Vec::new(),
            events: Vec::new(),
            answers: Vec::new(),
            api_keys: Vec::new(),
            offers: Vec::new(),
            objectives: Vec::new(),
            last_sale: None,
            sale_clients: None,
            sale_products: None,
        }
    }

    fn take(&mut self, name: Name, key: &[u8], value: &[u8], payload: &[u8]) -> Result<(), Fault> {
        if name == Name::Meta {
            self.meta = Some(records::decode("meta record", payload)?);
            return Ok(());
        }
        self.records += 1;
        self.digest.add(key, value);
        let record = match name.chunk() {
            None => None,
            Some(_) => match self.parts.take(key, payload)? {
                None => return Ok(()),
                whole => whole,
            },
        };
        let record = record.as_deref().unwrap_or(payload);
        match name {
            Name::Meta => {}
            Name::Portfolio { .. } => self.settings = Some(records::decode("portfolio", record)?),
            Name::Client { client, .. } => {
                self.clients
                    .push((client, Arc::new(records::decode("client", record)?)));
            }
            Name::Product { product, .. } => {
                self.products
                    .push((product, Arc::new(records::decode("product", record)?)));
            }
            Name::History { client, first } => {
                let block = Block {
                    first,
                    bytes: Arc::from(record),
                };
                match self.blocks.last_mut() {
                    Some((last, blocks)) if *last == client => blocks.push(block),
                    _ => self.blocks.push((client, vec![block])),
                }
            }
            Name::Event { client, number, .. } => {
                self.events.push((
                    client,
                    number,
                    Arc::new(records::decode("client event", record)?),
                ));
            }
            Name::Sale { first } => {
                let entries = ledger::decode(first, record)?;
                if self.last_sale.is_some_and(|last| last >= first) {
                    let what = "sale ledger blocks are out of order";
                    return Err(Fault::new(Code::Record, what));
                }
                self.last_sale = entries.last_key_value().map(|(last, _)| *last);
                for sale in entries.values() {
                    self.sale_clients = self.sale_clients.max(Some(sale.client));
                    self.sale_products = self.sale_products.max(Some(sale.product));
                }
            }
            Name::ApiKey { .. } => {
                self.api_keys
                    .push(Arc::new(records::decode("API key", record)?));
            }
            Name::Offer {
                client,
                product,
                kind,
                ..
            } => {
                let offer = Arc::new(records::decode("offer", record)?);
                self.offers.push((client, product, kind, offer));
            }
            Name::Objective { .. } => {
                self.objectives
                    .push(Arc::new(records::decode("objective", record)?));
            }
            Name::Answer { request, .. } => {
                let answer: AnswerRecord = records::decode("request answer", record)?;
                let AnswerRecord {
                    answered_at_unix,
                    bytes,
                } = answer;
                self.answers.push((
                    request,
                    Answer {
                        answered_at_unix,
                        bytes: bytes.into(),
                    },
                ));
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<(PortfolioMeta, LoadedPortfolio), Fault> {
        self.parts.end()?;
        let no = self.no;
        let gone = |what: &str| {
            Fault::new(
                Code::Count,
                format!("portfolio number {} has no {what}", no.0),
            )
        };
        let meta = self.meta.ok_or_else(|| gone("meta record"))?;
        let portfolio = Arc::new(self.settings.ok_or_else(|| gone("settings"))?);
        let id = portfolio.id.as_str();
        if meta.records != self.records {
            let what = format!(
                "the portfolio '{id}' has {} records; {} were committed",
                self.records, meta.records
            );
            return Err(Fault::new(Code::Count, what));
        }
        if meta.digest != self.digest {
            let what =
                format!("the records of the portfolio '{id}' are not those of its last commit");
            return Err(Fault::new(Code::Digest, what));
        }
        let unpacked = self.blocks.into_par_iter().map(|(client, blocks)| {
            let history = History::from_blocks(blocks, meta.next_product).map_err(|error| {
                let what = format!("portfolio '{id}', client number {}: {error}", client.0);
                Fault::new(Code::Record, what)
            })?;
            Ok((client, history))
        });
        let histories = unpacked.collect::<Result<Vec<_>, Fault>>()?;
        // Whatever numbers are used must have been given, or an index into them would be out of bounds.
        let given = |client: &ClientNo| client.0 < meta.next_client;
        let numbers_given = self.clients.iter().all(|(client, _)| given(client))
            && self
                .products
                .iter()
                .all(|(product, _)| product.0 < meta.next_product)
            && histories.iter().all(|(client, _)| given(client))
            && self.events.iter().all(|(client, _, _)| given(client))
            && self
                .offers
                .iter()
                .all(|(client, product, ..)| given(client) && product.0 < meta.next_product)
            && self.sale_clients.iter().all(given)
            && self
                .sale_products
                .iter()
                .all(|product| product.0 < meta.next_product);
        if !numbers_given {
            return Err(Fault::new(
                Code::Record,
                format!("the portfolio '{id}' uses numbers that were never given"),
            ));
        }
        let loaded = LoadedPortfolio {
            no,
            sequence: meta.sequence,
            clients: self.clients,
            products: self.products,
            histories,
            events: self.events,
            answers: self.answers,
            api_keys: self.api_keys,
            offers: self.offers,
            objectives: self.objectives,
            next_client: ClientNo(meta.next_client),
            next_product: ProductNo(meta.next_product),
            portfolio,
        };
        Ok((meta, loaded))
    }
}
