//! kill -9 at random moments: under load through gRPC, while the server opens, while it checkpoints,
//! while clients are erased, and while `carteira backup` and `carteira compact` run.
//!
//! `CARTEIRA_FAULTS` multiplies the kills, `CARTEIRA_SEED` repeats them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use carteira::wire::v1;
use carteira::wire::v1::catalog_service_client::CatalogServiceClient;
use carteira::wire::v1::ticket_service_client::TicketServiceClient;
use common::faults::{seed_of, tell, times_more};
use common::{BINARY, Server, assert_no_panic, carteira, data_dir, make_book, mix, spawn};
use tonic::Code;
use tonic::transport::Channel;

const KILLS: u64 = 500;
/// Folders that suffer side by side, each its share of the kills.
const LANES: u64 = 5;
const WRITERS: u64 = 4;
const CLIENTS: u64 = 16;
const PRODUCTS: u64 = 5;
/// Clients that are made to be erased, a round of it.
const VICTIMS: u64 = 12;
/// Requests at once when all of them are sent again at the end.
const REPEATS: usize = 32;
const BOOK: &str = "crash";

/// Request `number`: three sales whose cells and amounts follow from the number.
fn request(number: u64) -> v1::RecordSalesRequest {
    let sale = |at: u64| {
        let draw = mix(number * 7 + at);
        v1::Sale {
            client_id: format!("c{}", draw % CLIENTS),
            product_id: format!("p{}", draw / 100 % PRODUCTS),
            date: format!("2026-{:02}-15", draw / 1_000 % 12 + 1),
            amount_minor: (draw / 100_000 % 10_000 + 1) as i64,
            quantity: None,
            sale_id: if at == 0 {
                format!("sale-{number}")
            } else {
                String::new()
            },
        }
    };
    v1::RecordSalesRequest {
        portfolio_id: BOOK.into(),
        sales: (0..3).map(sale).collect(),
        currency: "BRL".into(),
        request_id: format!("request-{number}"),
    }
}

type Cells = BTreeMap<(String, String), i64>;

/// What each client that is no victim bought of each product.
async fn read_cells(channel: Channel) -> Cells {
    let mut service = TicketServiceClient::new(channel);
    let request = v1::ExportTicketsRequest {
        portfolio_id: BOOK.into(),
    };
    let mut stream = service.export_tickets(request).await.unwrap().into_inner();
    let mut cells = Cells::new();
    while let Some(message) = stream.message().await.unwrap() {
        for ticket in message.tickets {
            if ticket.client_id.starts_with('c') {
                cells.insert(
                    (ticket.client_id, ticket.product_id),
                    ticket.sales_amount_minor,
                );
            }
        }
    }
    cells
}

/// What a lane sent, and what was answered.
#[derive(Debug, Default)]
struct Sent {
    tried: Vec<u64>,
    acknowledged: BTreeSet<u64>,
    /// Clients that were whole before anyone erased them, and how far that went.
    victims: BTreeMap<String, Erasure>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Erasure {
    NotTried,
    Tried,
    Acknowledged,
}

/// Sends requests until the server is gone; notes each that was tried and each that was answered.
async fn write(endpoint: String, sent: Arc<Mutex<Sent>>) {
    let Ok(channel) = connect(endpoint).await else {
        return;
    };
    let mut service = TicketServiceClient::new(channel);
    loop {
        let number = {
            let mut sent = sent.lock().unwrap();
            let number = sent.tried.len() as u64;
            sent.tried.push(number);
            number
        };
        if service.record_sales(request(number)).await.is_err() {
            return;
        }
        sent.lock().unwrap().acknowledged.insert(number);
    }
}

async fn connect(endpoint: String) -> Result<Channel, tonic::transport::Error> {
    Channel::from_shared(endpoint).unwrap().connect().await
}

/// Makes clients with a sale and an event each, all in three requests, and erases them one by one until
/// the server is gone.
async fn erase(endpoint: String, round: u64, sent: Arc<Mutex<Sent>>) {
    let Ok(channel) = connect(endpoint).await else {
        return;
    };
    let ids: Vec<String> = (0..VICTIMS).map(|at| format!("v{round}-{at}")).collect();
    let mut catalog = CatalogServiceClient::new(channel.clone());
    let clients = ids.iter().map(|id| v1::Client {
        client_id: id.clone(),
        name: format!("the name of {id}"),
        ..Default::default()
    });
    let sales = ids.iter().map(|id| v1::Sale {
        client_id: id.clone(),
        product_id: "p0".into(),
        date: "2026-01-15".into(),
        amount_minor: 700,
        sale_id: format!("sale of {id}"),
        ..Default::default()
    });
    let events = ids.iter().map(|id| v1::ClientEvent {
        client_id: id.clone(),
        kind: v1::ClientEventKind::Contact.into(),
        date: "2026-01-15".into(),
        ..Default::default()
    });
    let made = async {
        let portfolio_id = BOOK.to_owned();
        let request_id = String::new();
        catalog
            .batch_upsert_clients(v1::BatchUpsertClientsRequest {
                portfolio_id: portfolio_id.clone(),
                clients: clients.collect(),
                request_id: request_id.clone(),
            })
            .await?;
        TicketServiceClient::new(channel)
            .record_sales(v1::RecordSalesRequest {
                portfolio_id: portfolio_id.clone(),
                sales: sales.collect(),
                ..Default::default()
            })
            .await?;
        catalog
            .record_client_events(v1::RecordClientEventsRequest {
                portfolio_id,
                events: events.collect(),
                request_id,
            })
            .await
    };
    if made.await.is_err() {
        return;
    }
    let note = |id: &String, how_far| {
        sent.lock().unwrap().victims.insert(id.clone(), how_far);
    };
    for id in &ids {
        note(id, Erasure::NotTried);
    }
    for id in &ids {
        note(id, Erasure::Tried);
        let request = v1::DeleteClientRequest {
            portfolio_id: BOOK.into(),
            client_id: id.clone(),
            request_id: format!("erase {id}"),
        };
        if catalog.delete_client(request).await.is_err() {
            return;
        }
        note(id, Erasure::Acknowledged);
    }
}

/// Whether a victim is there: whole, or not at all. Anything between fails.
async fn victim_is_there(catalog: &mut CatalogServiceClient<Channel>, id: &str) -> bool {
    let request = v1::ExportClientRequest {
        portfolio_id: BOOK.into(),
        client_id: id.into(),
    };
    match catalog.export_client(request).await {
        Ok(answer) => {
            let answer = answer.into_inner();
            let sums: i64 = answer.purchases.iter().map(|of| of.amount_minor).sum();
            assert_eq!(
                (sums, answer.events.len()),
                (700, 1),
                "{id} is there in part"
            );
            true
        }
        Err(status) => {
            assert_eq!(status.code(), Code::NotFound, "{id}: {status:?}");
            false
        }
    }
}

/// What a kill falls into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    Opening,
    Load,
    Checkpointing,
    Erasing,
    BackingUp,
    Compacting,
}

/// 30 % while opening, 10 % while checkpointing, erasing, backing up or compacting.
fn moment(draw: u64) -> Moment {
    match draw % 40 {
        0..12 => Moment::Opening,
        12 => Moment::Checkpointing,
        13 => Moment::Erasing,
        14 => Moment::BackingUp,
        15 => Moment::Compacting,
        _ => Moment::Load,
    }
}

/// Runs a command on a folder and kills it after a while; whether it had ended by itself.
async fn kill_command(args: &[&str], paths: &[(&str, &Path)], after: Duration) -> bool {
    let mut command = Command::new(BINARY);
    command.args(args);
    for (flag, path) in paths {
        command.arg(flag).arg(path);
    }
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut running = command.spawn().unwrap();
    tokio::time::sleep(after).await;
    let ended = running.try_wait().unwrap().is_some();
    running.kill().unwrap();
    let said = running.wait_with_output().unwrap().stderr;
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(!said.contains("panicked"), "{args:?}: {said}");
    assert!(
        !ended || said.is_empty() || !said.contains("error"),
        "{args:?}: {said}"
    );
    ended
}

/// How far erasing has come, or requests.
fn progress(sent: &Mutex<Sent>, moment: Moment) -> usize {
    let sent = sent.lock().unwrap();
    match moment {
        Moment::Erasing => sent.victims.len(),
        _ => sent.acknowledged.len(),
    }
}

/// Kills at one moment of a folder's life.
async fn suffer(dir: &Path, round: u64, draw: u64, sent: &Arc<Mutex<Sent>>) -> Moment {
    let moment = moment(draw);
    let more = draw / 1_000;
    match moment {
        Moment::Opening => {
            let mut opening = spawn(dir);
            tokio::time::sleep(Duration::from_micros(more % 80_000)).await;
            opening.kill().unwrap();
            let log = opening.wait_with_output().unwrap().stderr;
            assert_no_panic(&[String::from_utf8_lossy(&log).into_owned()]);
        }
        Moment::BackingUp => {
            let file = dir.with_extension(format!("backup-{round}"));
            let after = Duration::from_micros(more % 150_000);
            let paths = [("--data-dir", dir), ("--out", file.as_path())];
            kill_command(&["backup"], &paths, after).await;
            // What has its name is whole.
            if file.exists() {
                let elsewhere = dir.with_extension(format!("restored-{round}"));
                let paths = [("--data-dir", elsewhere.as_path()), ("--from", &file)];
                carteira(&["restore"], &paths).unwrap();
            }
        }
        Moment::Compacting => {
            let after = Duration::from_micros(more % 250_000);
            kill_command(&["compact"], &[("--data-dir", dir)], after).await;
        }
        Moment::Load | Moment::Checkpointing | Moment::Erasing => {
            let every = match moment {
                Moment::Checkpointing => "1ms",
                _ => "24h",
            };
            let server = Server::start_with(dir, &[("CARTEIRA_CHECKPOINT_EVERY", every)]);
            let mut callers: Vec<_> = (0..WRITERS)
                .map(|_| tokio::spawn(write(server.endpoint.clone(), sent.clone())))
                .collect();
            if moment == Moment::Erasing {
                let erasing = erase(server.endpoint.clone(), round, sent.clone());
                callers.push(tokio::spawn(erasing));
            }
            // Erasing has begun, or half of the lives answered something: then at any moment.
            let before = progress(sent, moment);
            let began = Instant::now();
            while (moment == Moment::Erasing || more.is_multiple_of(2))
                && progress(sent, moment) == before
                && began.elapsed() < Duration::from_secs(5)
            {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            tokio::time::sleep(Duration::from_micros(more / 2 % 60_000)).await;
            server.kill();
            for caller in callers {
                caller.await.unwrap();
            }
        }
    }
    moment
}

/// One folder, killed over and over; then all of it is looked at.
async fn lane(seed: u64, kills: u64) -> (BTreeMap<Moment, u64>, usize, usize, usize) {
    let folder = tempfile::tempdir().unwrap();
    let dir: PathBuf = data_dir(&folder);
    let server = Server::start(&dir);
    let book = make_book(
        server.channel().await,
        BOOK,
        CLIENTS as usize,
        PRODUCTS as usize,
    );
    book.await;
    server.kill();
    let sent = Arc::new(Mutex::new(Sent::default()));
    let mut moments = BTreeMap::new();
    for round in 0..kills {
        let draw = mix(seed.wrapping_add(round));
        *moments
            .entry(suffer(&dir, round, draw, &sent).await)
            .or_default() += 1;
    }
    let server = Server::start(&dir);
    let sent = std::mem::take(&mut *sent.lock().unwrap());
    let channel = server.channel().await;
    // What was not acknowledged may be there or not. Sent again under its name, it is there once:
    // then every request tried stands exactly once, or the sums differ.
    for some in sent.tried.chunks(REPEATS) {
        let repeats: Vec<_> = some
            .iter()
            .map(|number| {
                let mut service = TicketServiceClient::new(channel.clone());
                let number = *number;
                tokio::spawn(async move {
                    let answer = service.record_sales(request(number)).await.unwrap();
                    (number, answer.into_inner().repeated)
                })
            })
            .collect();
        for repeat in repeats {
            let (number, repeated) = repeat.await.unwrap();
            assert!(
                repeated || !sent.acknowledged.contains(&number),
                "request {number} was acknowledged and is gone (seed {seed})"
            );
        }
    }
    let mut expected = Cells::new();
    for number in &sent.tried {
        for sale in request(*number).sales {
            *expected
                .entry((sale.client_id, sale.product_id))
                .or_default() += sale.amount_minor;
        }
    }
    assert_eq!(read_cells(channel.clone()).await, expected, "seed {seed}");
    let mut catalog = CatalogServiceClient::new(channel);
    for (id, how_far) in &sent.victims {
        let there = victim_is_there(&mut catalog, id).await;
        match how_far {
            Erasure::NotTried => assert!(there, "{id} is gone (seed {seed})"),
            Erasure::Tried => {}
            Erasure::Acknowledged => assert!(!there, "{id} is there again (seed {seed})"),
        }
    }
    server.kill();
    carteira(&["check"], &[("--data-dir", &dir)]).unwrap();
    let erased = sent.victims.values();
    let erased = erased.filter(|how_far| **how_far == Erasure::Acknowledged);
    (
        moments,
        sent.tried.len(),
        sent.acknowledged.len(),
        erased.count(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn acknowledged_requests_survive_kills_whole_and_once() {
    let seed = seed_of("kills through gRPC");
    let kills = KILLS * times_more();
    let lanes: Vec<_> = (0..LANES)
        .map(|at| tokio::spawn(lane(mix(seed.wrapping_mul(1_000) + at), kills / LANES)))
        .collect();
    let mut moments: BTreeMap<Moment, u64> = BTreeMap::new();
    let (mut tried, mut acknowledged, mut erased) = (0, 0, 0);
    for lane in lanes {
        let of = lane.await.unwrap();
        for (moment, times) in of.0 {
            *moments.entry(moment).or_default() += times;
        }
        tried += of.1;
        acknowledged += of.2;
        erased += of.3;
    }
    tell(format_args!(
        "{kills} kills {moments:?}: {tried} requests tried, {acknowledged} acknowledged, 0 lost, 0 twice; {erased} clients erased, 0 back"
    ));
    assert!(acknowledged > 200 && erased > 0 && moments.len() == 6);
}
