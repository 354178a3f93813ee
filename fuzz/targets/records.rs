//! Records of the store, as a scan of the database meets them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| carteira::doors::records(bytes));
