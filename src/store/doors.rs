//! What the store reads, thrown open for tests: see `crate::doors`.

use std::path::Path;

use super::frames::read_file;
use super::keys;
use super::load::Scan;
use super::value::{MAX_PAYLOAD_BYTES, seal, unseal};

/// Records as a scan of the database meets them. The bytes are records one after another: the length of
/// the key, two bytes of the length of the payload, key, payload. Each payload is sealed first, or nothing
/// behind its checksum would ever be reached; the bytes as they are try the seal.
pub fn records(bytes: &[u8]) {
    let _ = unseal(b"key", bytes);
    let mut scan = Scan::default();
    let mut rest = bytes;
    while let Some(([key, high, low], after)) = rest.split_first_chunk::<3>() {
        let payload = usize::from(u16::from_be_bytes([*high, *low])).min(MAX_PAYLOAD_BYTES);
        let Some((key, after)) = after.split_at_checked(usize::from(*key)) else {
            break;
        };
        let Some((payload, after)) = after.split_at_checked(payload) else {
            break;
        };
        rest = after;
        let _ = keys::parse(key);
        if scan.take(key, &seal(key, payload)).is_err() {
            scan = Scan::default();
        }
    }
    let _ = scan.finish();
}

/// A backup or checkpoint file, with the records in it.
pub fn backup(path: &Path) {
    let mut scan = Scan::default();
    let _ = read_file(path, &mut |key, value| scan.take(key, value));
    let _ = scan.finish();
}
