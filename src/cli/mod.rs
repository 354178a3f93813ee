//! One file a command.

pub mod evaluate;
