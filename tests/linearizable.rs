//! Histories of concurrent clients with kills and retries: each cell behaves as one register that all
//! of them share, and a request that is sent again counts once.
//!
//! `CARTEIRA_FAULTS` multiplies the histories, `CARTEIRA_SEED` repeats them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use carteira::wire::v1;
use carteira::wire::v1::ticket_service_client::TicketServiceClient;
use common::faults::{seed_of, tell, times_more};
use common::{Server, data_dir, figures, make_book, mix};
use tokio::sync::watch;
use tonic::transport::Channel;

const BOOK: &str = "linear";
const CALLERS: u64 = 16;
const CELLS: u64 = 3;
const OPERATIONS: u64 = 12;
const HISTORIES: u64 = 100;
/// Servers side by side, each with its share of the histories.
const LANES: u64 = 5;
const KILLS: u64 = 3;

/// What one caller did to a cell, from before it was first sent to after it was answered.
#[derive(Debug, Clone, Copy)]
struct Operation {
    began: Instant,
    ended: Instant,
    is_write: bool,
    value: i64,
}

/// Whether operations on a register whose written values are all different can be put in an order
/// in which each takes effect between its beginning and its end.
///
/// A value's zone reaches from the first end to the last beginning among its operations. Zones that
/// run forward must not overlap, and none that runs backward may lie within one that runs forward:
/// Gibbons and Korach, *Testing shared memories*, SIAM J. Comput. 26 (1997).
fn is_linearizable(operations: &[Operation]) -> bool {
    let mut by_value: BTreeMap<i64, Vec<Operation>> = BTreeMap::new();
    for operation in operations {
        by_value
            .entry(operation.value)
            .or_default()
            .push(*operation);
    }
    let (mut forward, mut backward) = (Vec::new(), Vec::new());
    for of_value in by_value.values() {
        let Some(write) = of_value.iter().find(|operation| operation.is_write) else {
            return false;
        };
        if of_value.iter().any(|read| read.ended < write.began) {
            return false;
        }
        let first_end = of_value
            .iter()
            .map(|operation| operation.ended)
            .min()
            .unwrap();
        let last_begin = of_value
            .iter()
            .map(|operation| operation.began)
            .max()
            .unwrap();
        match first_end < last_begin {
            true => forward.push((first_end, last_begin)),
            false => backward.push((last_begin, first_end)),
        }
    }
    forward.sort_unstable();
    let apart = forward.windows(2).all(|two| two[0].1 < two[1].0);
    let within = |zone: &(Instant, Instant)| {
        let around = |of: &(Instant, Instant)| of.0 < zone.0 && zone.1 < of.1;
        forward.iter().any(around)
    };
    apart && !backward.iter().any(within)
}

/// The same by trying every order: the oracle.
fn some_order_fits(left: &[Operation], now: i64) -> bool {
    left.is_empty()
        || (0..left.len()).any(|at| {
            let first = left[at];
            let mut rest = left.to_vec();
            rest.remove(at);
            let may_be_first = rest.iter().all(|other| other.ended >= first.began);
            let after = if first.is_write { first.value } else { now };
            may_be_first && after == first.value && some_order_fits(&rest, after)
        })
}

#[test]
fn the_check_agrees_with_trying_every_order() {
    let origin = Instant::now();
    let (mut fits, mut does_not) = (0, 0);
    for seed in 0..4_000_u64 {
        // The first write stands before everything, so that every read has a value to find.
        let first = Operation {
            began: origin,
            ended: origin + Duration::from_millis(1),
            is_write: true,
            value: 0,
        };
        let mut operations = vec![first];
        let mut written = 0;
        for at in 0..5 {
            let draw = mix(seed * 10 + at);
            let began = 10 + draw % 40 * 10 + at;
            let is_write = (draw / 1_000).is_multiple_of(2);
            written += i64::from(is_write);
            let read = (draw / 100_000 % (written as u64 + 1)) as i64;
            operations.push(Operation {
                began: origin + Duration::from_millis(began),
                ended: origin + Duration::from_millis(began + 5 + draw / 10_000 % 20 * 10),
                is_write,
                value: if is_write { written } else { read },
            });
        }
        let oracle = some_order_fits(&operations, -1);
        assert_eq!(is_linearizable(&operations), oracle, "{operations:#?}");
        *if oracle { &mut fits } else { &mut does_not } += 1;
    }
    assert!(fits > 300 && does_not > 300, "{fits} {does_not}");
}

/// A connection to whatever server runs now.
async fn connected(endpoint: &mut watch::Receiver<String>) -> TicketServiceClient<Channel> {
    loop {
        let now = endpoint.borrow_and_update().clone();
        if let Ok(channel) = Channel::from_shared(now).unwrap().connect().await {
            return TicketServiceClient::new(channel);
        }
        let _ = tokio::time::timeout(Duration::from_millis(20), endpoint.changed()).await;
    }
}

/// One caller: writes and reads cells, and sends again whatever got no answer, until it does.
/// Returns what it did to which cell.
async fn call(
    caller: u64,
    seed: u64,
    mut endpoint: watch::Receiver<String>,
) -> Vec<(u64, Operation)> {
    let mut service = connected(&mut endpoint).await;
    let mut done = Vec::new();
    for number in 0..OPERATIONS {
        let draw = mix(seed * 1_000_000 + caller * 1_000 + number);
        let cell = draw % CELLS;
        let began = Instant::now();
        let value = (caller * 1_000 + number + 1) as i64;
        let is_write = (draw / 100).is_multiple_of(2);
        let product_id = format!("p{cell}");
        let value = loop {
            let answered = if is_write {
                let ticket = v1::TicketToSet {
                    client_id: "c0".into(),
                    product_id: product_id.clone(),
                    ticket_minor: value,
                };
                let request = v1::SetTicketsRequest {
                    portfolio_id: BOOK.into(),
                    tickets: vec![ticket],
                    request_id: format!("set {seed} {value}"),
                    ..Default::default()
                };
                service.set_tickets(request).await.map(|_| value)
            } else {
                let request = v1::GetClientTicketsRequest {
                    portfolio_id: BOOK.into(),
                    client_id: "c0".into(),
                };
                let answer = service.get_client_tickets(request).await;
                answer.map(|answer| {
                    let tickets = answer.into_inner().tickets;
                    let mut of_cell = tickets
                        .iter()
                        .filter(|ticket| ticket.product_id == product_id);
                    of_cell.next().map_or(0, |ticket| ticket.ticket_minor)
                })
            };
            match answered {
                Ok(value) => break value,
                Err(_) => service = connected(&mut endpoint).await,
            }
        };
        let operation = Operation {
            began,
            ended: Instant::now(),
            is_write,
            value,
        };
        done.push((cell, operation));
        // A sale a step, to a cell of its own: sent again, it counts once.
        let sale = v1::Sale {
            client_id: "c1".into(),
            product_id: format!("p{}", caller % CELLS),
            date: "2026-01-15".into(),
            amount_minor: 1,
            ..Default::default()
        };
        let request = v1::RecordSalesRequest {
            portfolio_id: BOOK.into(),
            sales: vec![sale],
            request_id: format!("sale {seed} {caller} {number}"),
            ..Default::default()
        };
        while service.record_sales(request.clone()).await.is_err() {
            service = connected(&mut endpoint).await;
        }
    }
    done
}

async fn one_history(seed: u64) {
    let folder = tempfile::tempdir().unwrap();
    let dir = data_dir(&folder);
    let mut server = Server::start(&dir);
    let channel = server.channel().await;
    make_book(channel.clone(), BOOK, 2, CELLS as usize).await;
    let begun = Instant::now();
    let (tell, endpoint) = watch::channel(server.endpoint.clone());
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| tokio::spawn(call(caller, seed, endpoint.clone())))
        .collect();
    for kill in 0..KILLS {
        let pause = 5_000 + mix(seed * 100 + kill) % 60_000;
        tokio::time::sleep(Duration::from_micros(pause)).await;
        server.kill();
        server = Server::start(&dir);
        tell.send(server.endpoint.clone()).unwrap();
    }
    let mut cells: BTreeMap<u64, Vec<Operation>> = BTreeMap::new();
    for cell in 0..CELLS {
        // What a cell holds before anyone writes to it.
        let nothing = Operation {
            began: begun,
            ended: begun,
            is_write: true,
            value: 0,
        };
        cells.insert(cell, vec![nothing]);
    }
    for caller in callers {
        for (cell, operation) in caller.await.unwrap() {
            cells.get_mut(&cell).unwrap().push(operation);
        }
    }
    for (cell, operations) in &cells {
        assert!(
            is_linearizable(operations),
            "seed {seed}, cell {cell}: {operations:#?}"
        );
    }
    let (figures, _) = figures(&server.channel().await, BOOK).await;
    assert_eq!(figures.sales, CALLERS * OPERATIONS, "seed {seed}");
    assert_eq!(
        figures.sales_amount_minor as u64,
        CALLERS * OPERATIONS,
        "seed {seed}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn histories_with_kills_and_retries_are_linearizable() {
    let seed = seed_of("histories");
    let histories = HISTORIES * times_more();
    let lanes: Vec<_> = (0..LANES)
        .map(|lane| {
            tokio::spawn(async move {
                for history in (lane..histories).step_by(LANES as usize) {
                    one_history(seed * 1_000 + history).await;
                }
            })
        })
        .collect();
    for lane in lanes {
        lane.await.unwrap();
    }
    tell(format_args!(
        "{histories} histories of {CALLERS} callers with {KILLS} kills each are linearizable; every request counts once"
    ));
}
