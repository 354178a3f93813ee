//! A folder of each format that was ever released opens, whole, with all kinds of records in it; so does a
//! backup of it. They lie in `tests/data/formats`, one a version, their files packed.
//!
//! When the format changes, the folder of the version before is made with
//! `cargo test --test formats -- --ignored` and kept.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod store_support;

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use carteira::domain::{
    ApiKey, ClientNo, Day, KeyId, Kind, Offer, Outcome, ProductNo, ReportedOutcome, RequestId,
    Role, Showing,
};
use carteira::store::{
    Answer, Change, Loaded, OpenOptions, RequestHash, Store, Unit, backup, check, restore,
};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use store_support::{BOOK, founding, tell, text, unit, whole_writes};

const WRITES: u32 = 21;
const FOLDER: &str = "folder";
const BACKUP: &str = "backup";

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/formats")
}

fn api_key() -> ApiKey {
    ApiKey {
        id: KeyId([1, 2, 3, 4, 5, 6, 7, 8]),
        name: text("the CRM"),
        role: Role::Writer,
        created_at_unix: 1_700_000_000,
        expires_at_unix: Some(1_800_000_000),
        secret_hash: [7; 32],
    }
}

fn offer() -> Offer {
    let day = Day::parse("2026-01-10").unwrap();
    let mut offer = Offer::default();
    offer.show(Showing {
        day,
        probability: 0.25,
        history_probability: 0.5,
        potential_minor: 700_000,
        gain_minor: -1,
        held_out: true,
    });
    let reported = offer.report(ReportedOutcome {
        day,
        outcome: Outcome::Won { ticket_minor: 900 },
        wallet_minor: Some(1_000),
        note: text("a note"),
    });
    reported.unwrap();
    offer
}

fn answer() -> (RequestHash, Answer) {
    let hash = RequestHash::of(&RequestId::parse("a request").unwrap());
    let answer = Answer {
        answered_at_unix: 1_700_000_000,
        bytes: vec![1, 2, 3].into(),
    };
    (hash, answer)
}

/// What the numbered writes lack: the kinds of records that they do not make.
fn others() -> Unit {
    let (hash, kept) = answer();
    Unit {
        portfolio: BOOK,
        changes: vec![
            Change::PutApiKey(Arc::new(api_key())),
            Change::PutOffer(
                ClientNo(3),
                ProductNo(4),
                Kind::CrossSell,
                Arc::new(offer()),
            ),
            Change::PutAnswer(hash, kept),
        ],
    }
}

fn is_whole(store: &Store, mut loaded: Loaded) {
    let book = &mut loaded.portfolios[0];
    assert_eq!(*book.api_keys[0], api_key());
    let (client, product, kind, kept) = &book.offers[0];
    assert_eq!(
        (*client, *product, *kind),
        (ClientNo(3), ProductNo(4), Kind::CrossSell)
    );
    assert_eq!(**kept, offer());
    assert_eq!(book.answers, [answer()]);
    // The unit of the others is one more than the numbered writes count.
    book.sequence -= 1;
    assert_eq!(whole_writes(store, &loaded), Ok(WRITES));
}

#[test]
fn a_folder_and_a_backup_of_every_released_format_open_whole() {
    let mut versions = 0;
    for version in home().read_dir().unwrap() {
        let version = version.unwrap().path();
        let scratch = tempfile::tempdir().unwrap();
        unpack(&version, scratch.path());
        let folder = scratch.path().join(FOLDER);
        let (store, loaded) = Store::open(&folder, &OpenOptions::default()).unwrap();
        is_whole(&store, loaded);
        drop(store);
        let elsewhere = scratch.path().join("restored");
        restore(&scratch.path().join(BACKUP), &elsewhere, None, &|_| ()).unwrap();
        let (store, loaded) = Store::open(&elsewhere, &OpenOptions::default()).unwrap();
        is_whole(&store, loaded);
        drop(store);
        check(&folder).unwrap();
        versions += 1;
    }
    assert!(versions > 0);
    tell(format_args!(
        "{versions} released formats: folder and backup open whole"
    ));
}

#[test]
#[ignore = "makes the folder of this version's format"]
fn a_folder_of_this_version_is_made() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join(FOLDER);
    let (mut store, _) = Store::open(&folder, &OpenOptions::default()).unwrap();
    store.apply(&[founding()]).unwrap();
    store
        .apply(&(0..WRITES).map(unit).collect::<Vec<_>>())
        .unwrap();
    store.apply(&[others()]).unwrap();
    drop(store);
    backup(&folder, None, &scratch.path().join(BACKUP), &|_| ()).unwrap();
    pack(
        scratch.path(),
        scratch.path(),
        &home().join(env!("CARGO_PKG_VERSION")),
    );
}

/// Every file below a folder, packed under the same name.
fn pack(root: &Path, from: &Path, to: &Path) {
    for entry in from.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            pack(root, &path, to);
            continue;
        }
        let mut name = path.strip_prefix(root).unwrap().as_os_str().to_owned();
        name.push(".gz");
        let packed = to.join(name);
        std::fs::create_dir_all(packed.parent().unwrap()).unwrap();
        let file = std::fs::File::create(packed).unwrap();
        let mut out = GzEncoder::new(file, Compression::best());
        out.write_all(&std::fs::read(&path).unwrap()).unwrap();
        out.finish().unwrap();
    }
}

fn unpack(from: &Path, to: &Path) {
    for entry in from.read_dir().unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if path.is_dir() {
            let within = to.join(name);
            std::fs::create_dir_all(&within).unwrap();
            unpack(&path, &within);
            continue;
        }
        let mut bytes = Vec::new();
        let file = std::fs::File::open(&path).unwrap();
        GzDecoder::new(file).read_to_end(&mut bytes).unwrap();
        std::fs::write(to.join(Path::new(name).with_extension("")), bytes).unwrap();
    }
}
