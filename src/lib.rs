//! `carteira` tells a B2B supplier whom to sell more to.
//!
//! See ARCHITECTURE.md for the map of the rooms. Dependencies point one way:
//! `cli`, `server` → `engine` → `store`, `outcome`, `pipeline` → `insight` → `recommend` → `neighbours` → `matrix` → `domain`.

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)
)]

pub mod cli;
pub mod config;
pub mod domain;
#[doc(hidden)]
pub mod doors;
pub mod engine;
pub mod evaluate;
pub mod insight;
pub mod matrix;
pub mod neighbours;
pub mod outcome;
pub mod pipeline;
pub mod recommend;
pub mod server;
pub mod store;
pub mod wire;
