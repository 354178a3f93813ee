//! Keys: `portfolio | kind | ids…`, all big-endian, so that one portfolio, one kind and one client
//! are ranges in the order of their numbers.

use crate::domain::{
    BucketKey, ClientNo, KeyId, Kind as OfferKind, Month, PortfolioNo, ProductNo, Slot,
};

use super::change::{ObjectiveHash, RequestHash, SaleHash};

/// The number that no portfolio gets: the store's own meta record stands there, after all others.
pub(crate) const STORE: PortfolioNo = PortfolioNo(u32::MAX);

/// What a record is. The numbers are part of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Kind {
    /// Sequence, count and digest of a portfolio, or of the store.
    Meta = 0,
    /// A portfolio's settings.
    Portfolio = 1,
    /// A client.
    Client = 2,
    /// A product.
    Product = 3,
    /// A block of a client's history.
    History = 4,
    /// A dated event of a client.
    Event = 5,
    /// A block of the sale ledger.
    Sale = 6,
    /// The answer to a request.
    Answer = 7,
    /// An API key, without its secret.
    ApiKey = 8,
    /// An offer with its past.
    Offer = 9,
    /// An objective with its actions.
    Objective = 10,
}

impl Kind {
    const ALL: [Self; 11] = [
        Self::Meta,
        Self::Portfolio,
        Self::Client,
        Self::Product,
        Self::History,
        Self::Event,
        Self::Sale,
        Self::Answer,
        Self::ApiKey,
        Self::Offer,
        Self::Objective,
    ];

    fn of(byte: u8) -> Option<Self> {
        Self::ALL.get(usize::from(byte)).copied()
    }

    /// What a person calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta record",
            Self::Portfolio => "portfolio",
            Self::Client => "client",
            Self::Product => "product",
            Self::History => "history block",
            Self::Event => "client event",
            Self::Sale => "sale ledger block",
            Self::Answer => "request answer",
            Self::ApiKey => "API key",
            Self::Offer => "offer",
            Self::Objective => "objective",
        }
    }
}

/// The start of every key of a portfolio.
pub(crate) fn portfolio_prefix(portfolio: PortfolioNo) -> Vec<u8> {
    portfolio.0.to_be_bytes().to_vec()
}

/// The start of every key of a kind in a portfolio.
pub(crate) fn prefix(portfolio: PortfolioNo, kind: Kind) -> Vec<u8> {
    let mut key = Vec::with_capacity(24);
    key.extend(portfolio.0.to_be_bytes());
    key.push(kind as u8);
    key
}

/// The key of a meta record.
pub(crate) fn meta(portfolio: PortfolioNo) -> Vec<u8> {
    prefix(portfolio, Kind::Meta)
}

/// The start of the keys of a portfolio's settings.
pub(crate) fn settings(portfolio: PortfolioNo) -> Vec<u8> {
    prefix(portfolio, Kind::Portfolio)
}

fn numbered(portfolio: PortfolioNo, kind: Kind, number: u32) -> Vec<u8> {
    let mut key = prefix(portfolio, kind);
    key.extend(number.to_be_bytes());
    key
}

/// The start of the keys of a client's record.
pub(crate) fn client(portfolio: PortfolioNo, client: ClientNo) -> Vec<u8> {
    numbered(portfolio, Kind::Client, client.0)
}

/// The start of the keys of a product's record.
pub(crate) fn product(portfolio: PortfolioNo, product: ProductNo) -> Vec<u8> {
    numbered(portfolio, Kind::Product, product.0)
}

/// The start of the keys of a client's history.
pub(crate) fn history(portfolio: PortfolioNo, client: ClientNo) -> Vec<u8> {
    numbered(portfolio, Kind::History, client.0)
}

/// The key of a block of a client's history.
pub(crate) fn block(portfolio: PortfolioNo, client: ClientNo, first: BucketKey) -> Vec<u8> {
    let mut key = history(portfolio, client);
    key.extend(first.0.0.to_be_bytes());
    match first.1 {
        Slot::SetTicket => key.extend([0; 5]),
        Slot::Month(month) => {
            key.push(1);
            // With the sign bit turned, unsigned order is the order of the months.
            key.extend((month.number() as u32 ^ SIGN).to_be_bytes());
        }
    }
    key
}

const SIGN: u32 = 1 << 31;

/// The start of the keys of a client's events.
pub(crate) fn events(portfolio: PortfolioNo, client: ClientNo) -> Vec<u8> {
    numbered(portfolio, Kind::Event, client.0)
}

/// The start of the keys of one event.
pub(crate) fn event(portfolio: PortfolioNo, client: ClientNo, number: u32) -> Vec<u8> {
    let mut key = events(portfolio, client);
    key.extend(number.to_be_bytes());
    key
}

/// The key of the ledger block that starts at a hash.
pub(crate) fn sale(portfolio: PortfolioNo, hash: SaleHash) -> Vec<u8> {
    let mut key = prefix(portfolio, Kind::Sale);
    key.extend(hash.0);
    key
}

/// The start of the keys of an answer.
pub(crate) fn answer(portfolio: PortfolioNo, request: RequestHash) -> Vec<u8> {
    let mut key = prefix(portfolio, Kind::Answer);
    key.extend(request.0);
    key
}

/// The start of the keys of an API key.
pub(crate) fn api_key(portfolio: PortfolioNo, id: KeyId) -> Vec<u8> {
    let mut key = prefix(portfolio, Kind::ApiKey);
    key.extend(id.0);
    key
}

/// The start of the keys of a client's offers.
pub(crate) fn offers(portfolio: PortfolioNo, client: ClientNo) -> Vec<u8> {
    numbered(portfolio, Kind::Offer, client.0)
}

/// The start of the keys of an offer.
pub(crate) fn offer(
    portfolio: PortfolioNo,
    client: ClientNo,
    product: ProductNo,
    kind: OfferKind,
) -> Vec<u8> {
    let mut key = offers(portfolio, client);
    key.extend(product.0.to_be_bytes());
    key.push(kind as u8);
    key
}

/// The start of the keys of an objective.
pub(crate) fn objective(portfolio: PortfolioNo, id: ObjectiveHash) -> Vec<u8> {
    let mut key = prefix(portfolio, Kind::Objective);
    key.extend(id.0);
    key
}

/// What a key names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
    /// A meta record.
    Meta,
    /// A chunk of the settings.
    Portfolio { chunk: u8 },
    /// A chunk of a client.
    Client { client: ClientNo, chunk: u8 },
    /// A chunk of a product.
    Product { product: ProductNo, chunk: u8 },
    /// A history block.
    History { client: ClientNo, first: BucketKey },
    /// A chunk of an event.
    Event {
        client: ClientNo,
        number: u32,
        chunk: u8,
    },
    /// A ledger block.
    Sale { first: SaleHash },
    /// A chunk of an answer.
    Answer { request: RequestHash, chunk: u8 },
    /// A chunk of an API key.
    ApiKey { id: KeyId, chunk: u8 },
    /// A chunk of an offer.
    Offer {
        client: ClientNo,
        product: ProductNo,
        kind: OfferKind,
        chunk: u8,
    },
    /// A chunk of an objective.
    Objective { id: ObjectiveHash, chunk: u8 },
}

impl Name {
    /// The chunk, where the record is kept in chunks.
    pub(crate) fn chunk(self) -> Option<u8> {
        match self {
            Self::Meta | Self::History { .. } | Self::Sale { .. } => None,
            Self::Portfolio { chunk }
            | Self::Client { chunk, .. }
            | Self::Product { chunk, .. }
            | Self::Event { chunk, .. }
            | Self::Answer { chunk, .. }
            | Self::ApiKey { chunk, .. }
            | Self::Offer { chunk, .. }
            | Self::Objective { chunk, .. } => Some(chunk),
        }
    }
}

/// Reads a key; nothing where it is none of ours.
pub(crate) fn parse(key: &[u8]) -> Option<(PortfolioNo, Kind, Name)> {
    let (portfolio, rest) = number(key)?;
    let (kind, rest) = rest.split_first()?;
    let kind = Kind::of(*kind)?;
    let name = match kind {
        Kind::Meta => rest.is_empty().then_some(Name::Meta)?,
        Kind::Portfolio => Name::Portfolio { chunk: only(rest)? },
        Kind::Client => {
            let (client, rest) = number(rest)?;
            Name::Client {
                client: ClientNo(client),
                chunk: only(rest)?,
            }
        }
        Kind::Product => {
            let (product, rest) = number(rest)?;
            Name::Product {
                product: ProductNo(product),
                chunk: only(rest)?,
            }
        }
        Kind::History => {
            let (client, rest) = number(rest)?;
            let (product, rest) = number(rest)?;
            let (tag, rest) = rest.split_first()?;
            let (month, rest) = number(rest)?;
            let slot = match tag {
                0 if month == 0 => Slot::SetTicket,
                1 => Slot::Month(Month::from_number((month ^ SIGN) as i32)),
                _ => return None,
            };
            rest.is_empty().then_some(Name::History {
                client: ClientNo(client),
                first: (ProductNo(product), slot),
            })?
        }
        Kind::Event => {
            let (client, rest) = number(rest)?;
            let (number, rest) = number(rest)?;
            Name::Event {
                client: ClientNo(client),
                number,
                chunk: only(rest)?,
            }
        }
        Kind::Sale => Name::Sale {
            first: SaleHash(rest.try_into().ok()?),
        },
        Kind::Answer => {
            let (hash, rest) = rest.split_first_chunk::<16>()?;
            Name::Answer {
                request: RequestHash(*hash),
                chunk: only(rest)?,
            }
        }
        Kind::ApiKey => {
            let (id, rest) = rest.split_first_chunk::<8>()?;
            Name::ApiKey {
                id: KeyId(*id),
                chunk: only(rest)?,
            }
        }
        Kind::Offer => {
            let (client, rest) = number(rest)?;
            let (product, rest) = number(rest)?;
            let (kind, rest) = rest.split_first()?;
            Name::Offer {
                client: ClientNo(client),
                product: ProductNo(product),
                kind: OfferKind::of_number(*kind)?,
                chunk: only(rest)?,
            }
        }
        Kind::Objective => {
            let (id, rest) = rest.split_first_chunk::<16>()?;
            Name::Objective {
                id: ObjectiveHash(*id),
                chunk: only(rest)?,
            }
        }
    };
    Some((PortfolioNo(portfolio), kind, name))
}

fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*number), rest))
}

fn only(bytes: &[u8]) -> Option<u8> {
    match bytes {
        [byte] => Some(*byte),
        _ => None,
    }
}

/// The same key in another portfolio.
pub(crate) fn moved(key: &[u8], to: PortfolioNo) -> Vec<u8> {
    let mut moved = portfolio_prefix(to);
    moved.extend(key.get(4..).unwrap_or_default());
    moved
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn slot(month: Option<i32>) -> Slot {
        month.map_or(Slot::SetTicket, |m| Slot::Month(Month::from_number(m)))
    }

    proptest! {
        #[test]
        fn keys_of_blocks_read_back_and_sort_as_the_history_does(
            a in (any::<u32>(), any::<u32>(), any::<u32>(), any::<Option<i32>>()),
            b in (any::<u32>(), any::<u32>(), any::<u32>(), any::<Option<i32>>()),
        ) {
            let all = [a, b].map(|(portfolio, client, product, month)| {
                (PortfolioNo(portfolio), ClientNo(client), (ProductNo(product), slot(month)))
            });
            let keys = all.map(|(portfolio, client, first)| block(portfolio, client, first));
            for ((portfolio, client, first), key) in all.iter().zip(&keys) {
                let name = Name::History { client: *client, first: *first };
                prop_assert_eq!(parse(key), Some((*portfolio, Kind::History, name)));
            }
            prop_assert_eq!(all[0].cmp(&all[1]), keys[0].cmp(&keys[1]));
        }

        #[test]
        fn any_bytes_are_a_key_or_not_and_never_a_panic(key in prop::collection::vec(any::<u8>(), 0..30)) {
            let _ = parse(&key);
        }
    }

    #[test]
    fn every_kind_of_key_reads_back() {
        let no = PortfolioNo(7);
        let chunked = |mut key: Vec<u8>| {
            key.push(3);
            key
        };
        let request = RequestHash([9; 16]);
        let first = SaleHash([8; 16]);
        let names = [
            (meta(no), Name::Meta),
            (chunked(settings(no)), Name::Portfolio { chunk: 3 }),
            (
                chunked(client(no, ClientNo(1))),
                Name::Client {
                    client: ClientNo(1),
                    chunk: 3,
                },
            ),
            (
                chunked(product(no, ProductNo(2))),
                Name::Product {
                    product: ProductNo(2),
                    chunk: 3,
                },
            ),
            (
                chunked(event(no, ClientNo(1), 5)),
                Name::Event {
                    client: ClientNo(1),
                    number: 5,
                    chunk: 3,
                },
            ),
            (sale(no, first), Name::Sale { first }),
            (
                chunked(answer(no, request)),
                Name::Answer { request, chunk: 3 },
            ),
            (
                chunked(api_key(no, KeyId([7; 8]))),
                Name::ApiKey {
                    id: KeyId([7; 8]),
                    chunk: 3,
                },
            ),
            (
                chunked(offer(no, ClientNo(1), ProductNo(2), OfferKind::CrossSell)),
                Name::Offer {
                    client: ClientNo(1),
                    product: ProductNo(2),
                    kind: OfferKind::CrossSell,
                    chunk: 3,
                },
            ),
            (
                chunked(objective(no, ObjectiveHash([6; 16]))),
                Name::Objective {
                    id: ObjectiveHash([6; 16]),
                    chunk: 3,
                },
            ),
        ];
        for (key, name) in names {
            assert_eq!(parse(&key).unwrap().2, name);
            assert_eq!(
                parse(&moved(&key, PortfolioNo(8))).unwrap().0,
                PortfolioNo(8)
            );
        }
    }
}
