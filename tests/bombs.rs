//! Requests made to cost: small on the wire and vast once unpacked, unfolded or looked at. Each gets the status
//! that it should, the server answers others as before, and its memory stays within eight times the message
//! cap above what it held before.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
// Tables of cases are long and read well.
#![allow(clippy::too_many_lines)]

mod common;

use std::io::Write as _;

use carteira::wire::v1;
use common::contract::{Contract, Fill, put_bytes};
use common::faults::tell;
use common::raw::{Answered, call, call_packed};
use common::{Server, data_dir, figures, make_book};
use prost::Message;
use prost::encoding::{WireType, encode_key};
use prost_types::field_descriptor_proto::{Label, Type};
use tonic::Code;
use tonic::transport::Channel;

const BOOK: &str = "bombs";
/// The message cap: what the server starts with.
const CAP_KIB: u64 = 8 * 1_024;
const MIB: usize = 1 << 20;

/// Sends a bomb and looks at what it took above the memory that the server held before the first of them.
async fn survives(
    server: &Server,
    channel: &Channel,
    base: u64,
    what: &str,
    sent: impl Future<Output = Answered>,
    codes: &[Code],
) {
    server.forget_peak();
    let answered = sent.await;
    let took = server.memory_kib("VmHWM").saturating_sub(base);
    tell(format_args!(
        "{what}: {:?}, {} MiB of memory above the base",
        answered.code,
        took / 1_024
    ));
    assert!(codes.contains(&answered.code), "{what}: {answered:?}");
    assert!(took <= 8 * CAP_KIB, "{what}: {took} KiB above the base");
    // It goes on serving.
    let (figures, _) = figures(channel, BOOK).await;
    assert_eq!((figures.clients, figures.sales), (3, 0), "{what}");
}

/// A field with a length, again and again.
fn repeated(number: u32, item: &[u8], bytes: usize) -> Vec<u8> {
    let mut one = Vec::new();
    put_bytes(&mut one, number, item);
    let mut all = Vec::new();
    put_bytes(&mut all, 1, BOOK.as_bytes());
    all.extend(one.repeat(bytes / one.len()));
    all
}

/// Groups in one another, as unknown fields.
fn nested(depth: usize) -> Vec<u8> {
    let mut all = Vec::new();
    put_bytes(&mut all, 1, BOOK.as_bytes());
    for _ in 0..depth {
        encode_key(15, WireType::StartGroup, &mut all);
    }
    for _ in 0..depth {
        encode_key(15, WireType::EndGroup, &mut all);
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_request_never_takes_much_memory() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&data_dir(&folder));
    let channel = server.channel().await;
    make_book(channel.clone(), BOOK, 3, 3).await;
    let sales = "/carteira.v1.TicketService/RecordSales";
    let clients = "/carteira.v1.CatalogService/BatchUpsertClients";
    let opportunities = "/carteira.v1.RecommendationService/ListOpportunities";
    let wrong = [Code::InvalidArgument];
    server.forget_peak();
    let base = server.memory_kib("VmHWM");

    // Packed by gzip, 1 MiB that is 1 GiB: callers' messages may not be packed at all.
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..1_024 {
        packed.write_all(&vec![0; MIB]).unwrap();
    }
    let packed = packed.finish().unwrap();
    assert!(packed.len() < 2 * MIB);
    survives(
        &server,
        &channel,
        base,
        "1 GiB of zeros packed by gzip",
        gzip_frame(&server, sales, packed),
        &[Code::Unimplemented],
    )
    .await;
    let small = v1::RecordSalesRequest::default().encode_to_vec();
    survives(
        &server,
        &channel,
        base,
        "any message packed by gzip",
        call_packed(&channel, sales, small),
        &[Code::Unimplemented],
    )
    .await;

    // Deeper than Protobuf may be: not a message; and as deep as it may be.
    for (depth, code) in [(101, Code::Internal), (1_000_000, Code::Internal)] {
        let what = format!("{depth} groups in one another");
        let bomb = call(&channel, sales, nested(depth), None);
        survives(&server, &channel, base, &what, bomb, &[code]).await;
    }

    // Empty messages: two bytes each.
    for (what, path, bomb) in [
        ("4 MiB of empty sales", sales, repeated(2, b"", 4 * MIB)),
        (
            "8 MiB of empty clients",
            clients,
            repeated(2, b"", 8 * MIB - 64),
        ),
        (
            "8 MiB of empty sales",
            "/carteira.v1.TicketService/StreamSales",
            repeated(2, b"", 8 * MIB - 64),
        ),
        (
            "8 MiB of empty outcomes",
            "/carteira.v1.OutcomeService/RecordOutcomes",
            repeated(2, b"", 8 * MIB - 64),
        ),
        (
            "8 MiB of empty tickets of a what-if",
            "/carteira.v1.RecommendationService/RecommendWhatIf",
            repeated(3, b"", 8 * MIB - 64),
        ),
        ("10,000 clients with 300 empty ids each", clients, {
            let mut client = Vec::new();
            put_bytes(&mut client, 5, b"");
            repeated(2, &client.repeat(300), 8 * MIB - 1_024)
        }),
        ("clients with attributes of two bytes", clients, {
            let attributes = (0..200_u32).flat_map(|at| {
                let mut entry = Vec::new();
                put_bytes(&mut entry, 1, at.to_string().as_bytes());
                let mut field = Vec::new();
                put_bytes(&mut field, 4, &entry);
                field
            });
            repeated(2, &attributes.collect::<Vec<_>>(), 8 * MIB - 4_096)
        }),
        ("attributes of filters, empty", opportunities, {
            let mut filter = Vec::new();
            put_bytes(&mut filter, 6, b"");
            let mut all = Vec::new();
            put_bytes(&mut all, 1, BOOK.as_bytes());
            put_bytes(&mut all, 4, &filter.repeat(2_000_000));
            all
        }),
        ("numbers of a filter, packed", opportunities, {
            let mut filter = Vec::new();
            put_bytes(&mut filter, 1, &vec![1; 8 * MIB - 1_024]);
            let mut all = Vec::new();
            put_bytes(&mut all, 1, BOOK.as_bytes());
            put_bytes(&mut all, 4, &filter);
            all
        }),
        ("a million ids of clients", opportunities, {
            let mut filter = Vec::new();
            put_bytes(&mut filter, 5, b"c0");
            let mut all = Vec::new();
            put_bytes(&mut all, 1, BOOK.as_bytes());
            put_bytes(&mut all, 4, &filter.repeat(1_000_000));
            all
        }),
        (
            "a million ids of excluded products",
            clients,
            repeated(
                2,
                &{
                    let mut client = Vec::new();
                    put_bytes(&mut client, 1, b"c0");
                    let mut id = Vec::new();
                    put_bytes(&mut id, 5, b"p0");
                    client.extend(id.repeat(1_000_000));
                    client
                },
                5 * MIB,
            ),
        ),
        (
            "a million names of fields to change",
            "/carteira.v1.PortfolioService/UpdatePortfolio",
            repeated(2, b"name", 8 * MIB - 64),
        ),
    ] {
        let bomb = call(&channel, path, bomb, None);
        survives(&server, &channel, base, what, bomb, &wrong).await;
    }

    // Over the cap itself.
    let over = call(&channel, sales, repeated(2, b"", 9 * MIB), None);
    survives(&server, &channel, base, "9 MiB", over, &[Code::OutOfRange]).await;
}

/// One gRPC message that says it is packed by gzip.
async fn gzip_frame(server: &Server, path: &str, packed: Vec<u8>) -> Answered {
    // The usual client packs what it is given: this one is given the packed bytes, so they are sent by hand.
    let mut frame = vec![1];
    frame.extend((packed.len() as u32).to_be_bytes());
    frame.extend(packed);
    common::raw::frame(&server.endpoint, path, "gzip", frame).await
}

/// A valid request of every call.
fn valid(contract: &Contract, request: &str) -> Vec<u8> {
    contract.encode(request, &mut |(message, field)| {
        match (message, field.name(), field.label()) {
            (_, "recipe_overrides" | "overrides" | "excluded_product_ids", _) => Fill::Nothing,
            (_, _, Label::Repeated) => Fill::Times(1),
            // What goes with other values of its neighbours.
            ("ClientEvent", "end_date", _) | ("Outcome", "reason" | "until_date", _) => {
                Fill::Nothing
            }
            ("TicketToSet", "client_id", _) if request.contains("WhatIf") => Fill::Nothing,
            ("Objective", "group", _) | ("MeasuredValue", "number", _) => Fill::Nothing,
            (_, "objective_id" | "action_id" | "prospect_id", _) => Fill::Text("o".into()),
            (_, "due_date", _) => Fill::Text("2199-12-31".into()),
            ("Capacity", "travel_attribute", _) => Fill::Text("region".into()),
            ("ObjectiveAction", "text", _) => Fill::Text("call".into()),
            (_, "portfolio_id", _) => Fill::Text(BOOK.into()),
            (_, "client_id" | "client_ids", _) => Fill::Text("c0".into()),
            (_, "product_id" | "product_ids", _) => Fill::Text("p0".into()),
            (_, "date" | "from_date", _) => Fill::Text("2026-01-10".into()),
            (_, "to_date", _) => Fill::Text("2026-02-10".into()),
            (_, "currency", _) => Fill::Text("BRL".into()),
            (_, "key_id", _) => Fill::Text("0123456789abcdef".into()),
            (_, "update_fields" | "name" | "key", _) => Fill::Text("name".into()),
            // In the year 2096.
            ("Timestamp", "seconds", _) => Fill::Whole(4_000_000_000),
            _ => match field.r#type() {
                Type::Message => Fill::Times(1),
                Type::Double => Fill::Float(0.5),
                Type::String => Fill::Nothing,
                _ => Fill::Whole(1),
            },
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn extremes_of_every_number_of_every_call_are_refused_or_taken_and_break_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&data_dir(&folder));
    let channel = server.channel().await;
    make_book(channel.clone(), BOOK, 3, 3).await;
    let contract = Contract::read();
    let (mut tried, mut refused) = (0, 0);
    let mut wrong: Vec<String> = Vec::new();
    server.forget_peak();
    let base = server.memory_kib("VmHWM");
    for of in &contract.calls {
        // What erases the book would leave nothing to try the rest on.
        if of.path.contains("/Delete") {
            continue;
        }
        let bytes = valid(&contract, &of.request);
        // Nothing else is wrong with it, or a refusal would say nothing of the number.
        let as_it_is = call(&channel, &of.path, bytes.clone(), None).await;
        if as_it_is.code == Code::InvalidArgument {
            wrong.push(format!("{}: {}", of.path, as_it_is.text));
        }
        for (place, bytes) in contract.with_extremes(&of.request, &bytes) {
            let answered = call(&channel, &of.path, bytes, None).await;
            tried += 1;
            let what = format!("{} with {place}", of.path);
            match answered.code {
                Code::Ok | Code::NotFound | Code::FailedPrecondition | Code::AlreadyExists => {}
                Code::InvalidArgument => {
                    refused += 1;
                    assert!(!answered.details.is_empty(), "{what}: {answered:?}");
                }
                _ => panic!("{what}: {answered:?}"),
            }
            // No figure that comes out is no number: what was let in broke no sum.
            for message in &answered.messages {
                let text = format!("{message:?}");
                assert!(!text.contains("0, 0, 248, 127"), "{what}: NaN came out");
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let took = server.memory_kib("VmHWM").saturating_sub(base);
    assert!(took <= 8 * CAP_KIB, "{took} KiB above the base");
    let (figures, _) = figures(&channel, BOOK).await;
    assert_eq!(figures.clients, 3);
    tell(format_args!(
        "{tried} requests with NaN, infinities, 1e308 and the limits of i64: {refused} refused by field, 0 errors; {} MiB above the base",
        took / 1_024
    ));
    assert!(tried > 300 && refused > 100);
    server.terminate();
}
