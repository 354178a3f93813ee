//! The doors: what each is tried with, and valid inputs to begin from.

use std::path::Path;

use carteira::store::{OpenOptions, Store};

use crate::contract::{Contract, Fill};
use crate::store_support::{founding, unit};

/// The largest input.
pub const MOST_BYTES: usize = 4_096;
/// What a door is tried with: prepares once, then takes one input after another.
pub type Opened = Box<dyn FnMut(&[u8])>;

/// A valid request of every call. Those that write name a portfolio that is not there, so that what is valid
/// does not wait for the disk.
fn requests(contract: &Contract) -> Vec<Vec<u8>> {
    let calls = contract.calls.iter().enumerate();
    let requests = calls.map(|(number, call)| {
        let reads = ["Get", "List", "Recommend", "Find", "Explain", "Export"];
        let reads = reads
            .iter()
            .any(|verb| call.path.contains(&format!("/{verb}")));
        let portfolio = if reads { "p" } else { "nowhere" };
        let mut bytes = vec![number as u8];
        bytes.extend(contract.encode(&call.request, &mut |(_, field)| match (
            field.name(),
            field.label(),
        ) {
            (_, prost_types::field_descriptor_proto::Label::Repeated) => Fill::Times(2),
            ("portfolio_id", _) => Fill::Text(portfolio.into()),
            ("client_id", _) => Fill::Text("c1".into()),
            ("product_id", _) => Fill::Text("p1".into()),
            ("date" | "from_date", _) => Fill::Text("2026-01-10".into()),
            ("end_date" | "until_date" | "to_date", _) => Fill::Text("2026-02-10".into()),
            ("cut_month", _) => Fill::Text("2026-01".into()),
            ("currency", _) => Fill::Text("BRL".into()),
            ("key_id", _) => Fill::Text("0123456789abcdef".into()),
            ("recipe", _) => Fill::Text("standard".into()),
            ("page_token" | "group_by", _) => Fill::Nothing,
            _ => match field.r#type() {
                prost_types::field_descriptor_proto::Type::Message => Fill::Times(1),
                prost_types::field_descriptor_proto::Type::String => Fill::Text("text".into()),
                prost_types::field_descriptor_proto::Type::Double => Fill::Float(0.5),
                _ => Fill::Whole(1),
            },
        }));
        bytes
    });
    requests.collect()
}

fn open_requests(home: &Path) -> (Vec<Vec<u8>>, Opened) {
    let contract = Contract::read();
    let seeds = requests(&contract);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let doors = carteira::doors::Requests::open(&home.join("data")).unwrap();
    let names: Vec<String> = contract
        .calls
        .iter()
        .map(|call| call.name().to_owned())
        .collect();
    // A small book to read from: the seeds that write, sent once to a portfolio that is there.
    for name in [
        "CreatePortfolio",
        "BatchUpsertClients",
        "BatchUpsertProducts",
        "RecordSales",
    ] {
        let at = names.iter().position(|call| call.ends_with(name)).unwrap();
        let nowhere = &seeds[at][1..];
        let text = String::from_utf8_lossy(nowhere);
        assert!(text.contains("nowhere"), "{name}");
        let here = contract.encode(&contract.calls[at].request, &mut |(_, field)| match (
            field.name(),
            field.label(),
        ) {
            ("recipe_overrides" | "excluded_product_ids", _) => Fill::Nothing,
            (_, prost_types::field_descriptor_proto::Label::Repeated) => Fill::Times(1),
            ("portfolio_id", _) => Fill::Text("p".into()),
            ("client_id", _) => Fill::Text("c1".into()),
            ("product_id", _) => Fill::Text("p1".into()),
            ("date", _) => Fill::Text("2026-01-10".into()),
            ("currency", _) => Fill::Text("BRL".into()),
            ("recipe" | "upgrade_of_product_id" | "needs_product_id", _) => Fill::Nothing,
            _ => match field.r#type() {
                prost_types::field_descriptor_proto::Type::Message => Fill::Times(1),
                prost_types::field_descriptor_proto::Type::String => Fill::Text(name.into()),
                prost_types::field_descriptor_proto::Type::Double => Fill::Float(0.5),
                _ => Fill::Whole(1),
            },
        });
        let code = runtime.block_on(doors.send(&names[at], &here));
        assert_eq!(code, Some(tonic::Code::Ok), "{name}");
    }
    for call in &names {
        let known = runtime.block_on(doors.send(call, b"\xff"));
        assert_eq!(
            known,
            Some(tonic::Code::Internal),
            "{call} has no door: add it to server/doors.rs"
        );
    }
    let opened = move |bytes: &[u8]| {
        let Some((at, rest)) = bytes.split_first() else {
            return;
        };
        let call = &names[usize::from(*at) % names.len()];
        runtime.block_on(doors.send(call, rest));
    };
    (seeds, Box::new(opened))
}

/// A small store's records, as its backup has them, and the backup.
fn small_backup(home: &Path) -> (Vec<Vec<u8>>, Vec<u8>) {
    let dir = home.join("store");
    let (mut store, _) = Store::open(&dir, &OpenOptions::default()).unwrap();
    store.apply(&[founding()]).unwrap();
    store.apply(&[unit(0), unit(1), unit(21)]).unwrap();
    drop(store);
    let file = home.join("small");
    carteira::store::backup(&dir, None, &file, &|_| ()).unwrap();
    let whole = std::fs::read(&file).unwrap();
    let mut rest = &whole[b"carteira backup 1\n".len()..];
    let (mut singles, mut all) = (Vec::new(), Vec::new());
    while rest.len() > 8 {
        let key = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
        let value = u32::from_be_bytes(rest[4..8].try_into().unwrap()) as usize;
        let frame = &rest[8..8 + key + value];
        rest = &rest[8 + key + value + 4..];
        if key == 0 {
            break;
        }
        // A value is a version, the payload and four bytes of a checksum.
        let payload = &frame[key + 1..frame.len() - 4];
        let mut record = vec![key as u8];
        record.extend((payload.len() as u16).to_be_bytes());
        record.extend(&frame[..key]);
        record.extend(payload);
        all.extend(&record);
        singles.push(record);
    }
    all.truncate(MOST_BYTES);
    singles.push(all);
    (singles, whole)
}

/// Writes each input to a file and has it read.
fn of_file(home: &Path, read: fn(&Path)) -> Opened {
    let path = home.join("input.csv");
    Box::new(move |bytes| {
        std::fs::write(&path, bytes).unwrap();
        read(&path);
    })
}

fn text(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

/// Opens a door whose files are in this folder: valid inputs, and what takes one.
pub fn open(door: &str, home: &Path) -> (Vec<Vec<u8>>, Opened) {
    match door {
        "requests" => open_requests(home),
        "records" => (small_backup(home).0, Box::new(carteira::doors::records)),
        "backup" => {
            let (_, whole) = small_backup(home);
            let cut = whole[..600.min(whole.len())].to_vec();
            (
                vec![whole, cut],
                of_file(home, carteira::doors::backup_file),
            )
        }
        "keys" => {
            let secret = "A".repeat(43);
            let key = text(&format!("ctk_0123456789abcdef_{secret}"));
            (
                vec![key, text(&"k".repeat(40))],
                Box::new(carteira::doors::key),
            )
        }
        "tokens" => {
            let tokens = ["AAECAwQFBgcICQoLDA0ODw", "gICAgICAgICAAQ", ""];
            (
                tokens.map(text).to_vec(),
                Box::new(carteira::doors::page_token),
            )
        }
        "recipe" => {
            let standard = include_str!("../../models/standard/recipe.toml");
            let overrides =
                "upsell.neighbours=40\noutcomes.held_out_share = 0.1\nlists.page_rows=-0";
            // A file over the limit of inputs would be cut in the middle of every one.
            let first: String = standard.chars().take(1_500).collect();
            (
                vec![text(&first), text(overrides)],
                Box::new(carteira::doors::recipe),
            )
        }
        "clients" => (
            vec![
                text(
                    "client_id,name,owner,sector,staff\nc0,São João,Ana,food,12\nc1,\"a, b\",,\"x\ny\",3\n",
                ),
                text("sep=;\nclient_id;name;excluded_products;size\nc0;x;p0|p1;1.234,5\n"),
            ],
            of_file(home, carteira::doors::clients),
        ),
        "products" => (
            vec![
                text(
                    "product_id,name,category,margin_rate,list_price,active,upgrade_of,needs_product\np0,milk,dairy,0.3,12.50,true,,p1\n",
                ),
                text("\u{feff}product_id;name;margin_rate;list_price\np0;milk;30%;R$ 1.234,50\n"),
            ],
            of_file(home, carteira::doors::products),
        ),
        "sales" => (
            vec![
                text(
                    "client_id,product_id,date,amount,quantity,sale_id\nc0,p0,2026-01-10,7000.00,3,s1\nc1,p1,10/01/2026,-5,,\n",
                ),
                text("client_id;product_id;amount\nc0;p0;1.234,56\nc0;p0;7\n"),
            ],
            of_file(home, carteira::doors::sales),
        ),
        "outcomes" => (
            vec![
                text(
                    "client_id,product_id,kind,date,result,won_ticket,reason,until_date,wallet_estimate,note\nc0,p0,upsell,2026-01-10,won,100.50,,,200,\nc1,p1,cross sell,2026-01-11,rejected,,price,,,too dear\n",
                ),
                text(
                    "client_id;product_id;kind;date;result;until_date\nc0;p0;upsell;2026-01-10;postponed;2026-03-01\n",
                ),
            ],
            of_file(home, carteira::doors::outcomes),
        ),
        other => panic!("there is no door {other}"),
    }
}
