//! Libraries that a process is started with (`LD_PRELOAD`), compiled by the test that uses them: they stand
//! outside the crate, which has no unsafe code.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles `tests/store_support/<name>.rs`.
pub fn library(name: &str, within: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/store_support")
        .join(name)
        .with_extension("rs");
    let library = within.join(format!("lib{name}.so"));
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let compiled = Command::new(compiler)
        .args(["--edition", "2024", "--crate-type", "cdylib", "-O", "-o"])
        .args([&library, &source])
        .output()
        .unwrap();
    assert!(
        compiled.status.success(),
        "{}",
        String::from_utf8_lossy(&compiled.stderr)
    );
    library
}
