//! The `carteira` binary.

fn main() {}
