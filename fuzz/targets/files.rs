//! Files of an import, outcomes, backups: the first byte chooses.
#![no_main]

use std::sync::LazyLock;

use carteira::doors;

static FILE: LazyLock<std::path::PathBuf> =
    LazyLock::new(|| tempfile::tempdir().unwrap().keep().join("input"));

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some((door, content)) = bytes.split_first() {
        std::fs::write(&*FILE, content).unwrap();
        match door % 5 {
            0 => doors::clients(&FILE),
            1 => doors::products(&FILE),
            2 => doors::sales(&FILE),
            3 => doors::outcomes(&FILE),
            _ => doors::backup_file(&FILE),
        }
    }
});
