//! What a caller writes: units of changes, and the small records they carry.

use std::fmt;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};

use crate::domain::{
    ApiKey, Block, BlockChange, BucketKey, Client, ClientEvent, ClientNo, Day, KeyId, Kind,
    Objective, ObjectiveId, Offer, Portfolio, PortfolioNo, Product, ProductNo, RequestId, SaleId,
};

macro_rules! hash {
    ($(#[$doc:meta])* $name:ident of $id:ident as $purpose:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub [u8; 16]);

        impl $name {
            /// The hash of an id as a caller wrote it: the same in every portfolio and folder.
            pub fn of(id: &$id) -> Self {
                static KEY: LazyLock<[u8; 32]> =
                    LazyLock::new(|| blake3::derive_key($purpose, &[]));
                let mut hash = [0; 16];
                let full = blake3::keyed_hash(&KEY, id.as_str().as_bytes());
                hash.copy_from_slice(full.as_bytes().split_at(16).0);
                Self(hash)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:032x})", stringify!($name), u128::from_be_bytes(self.0))
            }
        }
    };
}

hash!(
    /// A sale id, as 128 bits of its keyed hash.
    SaleHash of SaleId as "carteira 2026 sale id v1"
);
hash!(
    /// A request id, as 128 bits of its keyed hash.
    RequestHash of RequestId as "carteira 2026 request id v1"
);
hash!(
    /// An objective's id, as 128 bits of its keyed hash.
    ObjectiveHash of ObjectiveId as "carteira 2026 objective id v1"
);

/// What the ledger keeps of a sale that has an id: enough to take it back or replace it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaleEntry {
    /// Who bought.
    pub client: ClientNo,
    /// What.
    pub product: ProductNo,
    /// When.
    pub day: Day,
    /// For how much, in minor units.
    pub amount_minor: i64,
    /// How many units, in thousandths.
    pub quantity_milli: i64,
}

/// The answer that a request got, kept so that a repeat gets the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// When it was given, in seconds since 1970-01-01 UTC.
    pub answered_at_unix: i64,
    /// The answer as the caller encoded it.
    pub bytes: Arc<[u8]>,
}

/// One change within a portfolio. A later change of the same thing wins.
#[derive(Debug, Clone)]
pub enum Change {
    /// Makes the portfolio, or changes its settings.
    PutPortfolio(Arc<Portfolio>),
    /// Removes the portfolio with all that is in it.
    DropPortfolio,
    /// Adds or replaces a client.
    PutClient(ClientNo, Arc<Client>),
    /// Removes a client: its record, history, events, offers and ledger entries. Reads the portfolio's
    /// whole ledger, once for all such changes that stand in a row in one unit.
    DropClient(ClientNo),
    /// Adds or replaces a product.
    PutProduct(ProductNo, Arc<Product>),
    /// Removes a product's record, and nothing else.
    DropProduct(ProductNo),
    /// Adds or replaces a block of a client's history.
    PutBlock(ClientNo, Block),
    /// Removes a block of a client's history.
    DropBlock(ClientNo, BucketKey),
    /// Adds or replaces a client's event.
    PutEvent(ClientNo, u32, Arc<ClientEvent>),
    /// Removes a client's event.
    DropEvent(ClientNo, u32),
    /// Adds or replaces a ledger entry.
    PutSale(SaleHash, SaleEntry),
    /// Removes a ledger entry.
    DropSale(SaleHash),
    /// Keeps the answer to a request.
    PutAnswer(RequestHash, Answer),
    /// Forgets the answer to a request.
    DropAnswer(RequestHash),
    /// Adds an API key.
    PutApiKey(Arc<ApiKey>),
    /// Removes an API key.
    DropApiKey(KeyId),
    /// Adds or replaces an offer with its past.
    PutOffer(ClientNo, ProductNo, Kind, Arc<Offer>),
    /// Removes an offer.
    DropOffer(ClientNo, ProductNo, Kind),
    /// Adds or replaces an objective with its actions.
    PutObjective(Arc<Objective>),
    /// Removes an objective.
    DropObjective(ObjectiveHash),
}

impl Change {
    /// The change of a client's blocks that a change of its history asks for.
    pub fn of_block(client: ClientNo, change: BlockChange) -> Self {
        match change {
            BlockChange::Put(block) => Self::PutBlock(client, block),
            BlockChange::Drop(first) => Self::DropBlock(client, first),
        }
    }
}

/// The changes of one request: applied whole or not at all, and one step of its portfolio's
/// sequence.
#[derive(Debug, Clone)]
pub struct Unit {
    /// Where.
    pub portfolio: PortfolioNo,
    /// What, in order.
    pub changes: Vec<Change>,
}

/// What became of a group of units: all of it is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The number of the commit, one more than the last one.
    pub commit: u64,
    /// For each unit the sequence of its portfolio after it.
    pub sequences: Vec<u64>,
}
