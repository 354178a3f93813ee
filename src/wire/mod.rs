//! The contract as generated from `proto/carteira/v1`: messages, services, clients.
//!
//! Only `server` and `cli` know these types; inside, everything is a type of `domain`.

pub mod codec;
mod weight;

/// Package `carteira.v1`.
#[allow(missing_docs, clippy::all, clippy::pedantic)]
pub mod v1 {
    tonic::include_proto!("carteira.v1");
}

/// The descriptors of the contract, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/carteira.binpb"));
