//! Keys, page tokens, recipes: the first byte chooses.
#![no_main]

use carteira::doors;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some((door, text)) = bytes.split_first() {
        match door % 3 {
            0 => doors::key(text),
            1 => doors::page_token(text),
            _ => doors::recipe(text),
        }
    }
});
