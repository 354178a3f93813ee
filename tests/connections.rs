//! Who may hold a connection to a real server: caps in all and per address, the time to come to a first call,
//! and how a connection ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::time::{Duration, Instant};

use common::{Server, data_dir};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// HTTP/2's preface and an empty SETTINGS frame.
const GREETING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
/// How long a refused connection may take until it is closed.
const AT_ONCE: Duration = Duration::from_secs(5);

/// A connection from an address of this machine: all of 127.0.0.0/8 are.
async fn connect(server: &Server, from: &str) -> TcpStream {
    let to = server.endpoint.trim_start_matches("http://");
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
    socket.connect(to.parse().unwrap()).await.unwrap()
}

/// Whether the server greets back.
async fn served(stream: &mut TcpStream) -> bool {
    let mut frame = [0; 9];
    if stream.write_all(GREETING).await.is_err() {
        return false;
    }
    let answer = tokio::time::timeout(AT_ONCE, stream.read_exact(&mut frame)).await;
    answer.expect("neither served nor refused").is_ok()
}

/// How long until the server closes it.
async fn closed_after(stream: &mut TcpStream, patience: Duration) -> Option<Duration> {
    let began = Instant::now();
    let mut bytes = [0; 1_024];
    let closing = async { while stream.read(&mut bytes).await.is_ok_and(|read| read > 0) {} };
    let closed = tokio::time::timeout(patience, closing).await;
    closed.is_ok().then(|| began.elapsed())
}

/// Tries until the server has seen that a place is free.
async fn becomes_served(server: &Server, from: &str) {
    let began = Instant::now();
    while !served(&mut connect(server, from).await).await {
        assert!(began.elapsed() < AT_ONCE, "{from} is not served");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn one_address_cannot_take_the_places_of_others_and_gives_back_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let limits = [("CARTEIRA_MAX_CONNECTIONS_PER_ADDRESS", "3")];
    let server = Server::start_with(&data_dir(&folder), &limits);
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut stream = connect(&server, "127.0.0.1").await;
        assert!(served(&mut stream).await);
        held.push(stream);
    }
    for _ in 0..20 {
        assert!(!served(&mut connect(&server, "127.0.0.1").await).await);
    }
    assert!(served(&mut connect(&server, "127.0.0.2").await).await);
    drop(held.pop());
    becomes_served(&server, "127.0.0.1").await;
    drop(held);
    drop(server.channel().await);
    let log = server.stop();
    let warnings = log.iter().filter(|line| line.contains("refused"));
    // The first, second, fourth, eighth and sixteenth; more only while a place became free.
    assert!((5..=8).contains(&warnings.count()), "{log:#?}");
}

#[tokio::test]
async fn all_addresses_together_have_so_many_places() {
    let folder = tempfile::tempdir().unwrap();
    let limits = [("CARTEIRA_MAX_CONNECTIONS", "2")];
    let server = Server::start_with(&data_dir(&folder), &limits);
    let mut first = connect(&server, "127.0.0.1").await;
    let mut second = connect(&server, "127.0.0.2").await;
    assert!(served(&mut first).await && served(&mut second).await);
    assert!(!served(&mut connect(&server, "127.0.0.3").await).await);
    drop(first);
    becomes_served(&server, "127.0.0.3").await;
    server.stop();
}

#[tokio::test]
async fn an_address_that_breaks_the_protocol_again_and_again_waits_for_the_next_second() {
    let folder = tempfile::tempdir().unwrap();
    let limits = [("CARTEIRA_BREACHES_PER_ADDRESS", "4")];
    let server = Server::start_with(&data_dir(&folder), &limits);
    // Who leaves breaks nothing.
    for _ in 0..20 {
        assert!(served(&mut connect(&server, "127.0.0.1").await).await);
    }
    let mut kept = connect(&server, "127.0.0.1").await;
    assert!(served(&mut kept).await);
    // Data of no stream, and no HTTP at all.
    let of_no_stream = [GREETING, &[0, 0, 0, 0, 0, 0, 0, 0, 0]].concat();
    for said in [&of_no_stream[..], b"nonsense\r\n\r\n"]
        .iter()
        .cycle()
        .take(12)
    {
        let mut stream = connect(&server, "127.0.0.1").await;
        stream.write_all(said).await.unwrap();
        assert!(closed_after(&mut stream, AT_ONCE).await.is_some());
    }
    assert!(served(&mut connect(&server, "127.0.0.2").await).await);
    kept.write_all(&health_check()).await.unwrap();
    kept.read_exact(&mut [0; 9]).await.unwrap();
    // It waits, and is served.
    assert!(served(&mut connect(&server, "127.0.0.1").await).await);
    let log = server.stop();
    let said = |line: &String| line.contains("--breaches-per-address");
    assert!(log.iter().any(said), "{log:#?}");
}

/// A health check over HTTP/2: headers without an index or Huffman code, and an empty message.
fn health_check() -> Vec<u8> {
    let mut fields = Vec::new();
    for (name, value) in [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/grpc.health.v1.Health/Check"),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ] {
        fields.push(0);
        for text in [name, value] {
            fields.push(u8::try_from(text.len()).unwrap());
            fields.extend(text.as_bytes());
        }
    }
    let length = u8::try_from(fields.len()).unwrap();
    let mut bytes = vec![0, 0, length, 1, 4, 0, 0, 0, 1];
    bytes.extend(fields);
    bytes.extend([0, 0, 5, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0]);
    bytes
}

#[tokio::test]
async fn a_caller_that_comes_to_no_call_is_closed_and_one_that_has_may_be_silent() {
    let folder = tempfile::tempdir().unwrap();
    let limits = [
        ("CARTEIRA_FIRST_CALL_SECONDS", "1"),
        ("CARTEIRA_IDLE_SECONDS", "6"),
    ];
    let server = Server::start_with(&data_dir(&folder), &limits);
    let began: Vec<&[u8]> = vec![
        b"",
        &GREETING[..20],
        GREETING,
        b"POST /grpc.health.v1.Health/Check HTTP/1.1\r\nHost: a\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ];
    for said in began {
        let mut stream = connect(&server, "127.0.0.1").await;
        stream.write_all(said).await.unwrap();
        let after = closed_after(&mut stream, AT_ONCE).await;
        let after = after.unwrap_or_else(|| panic!("{said:?} keeps its place"));
        assert!(after >= Duration::from_millis(700), "{said:?} {after:?}");
    }

    // A byte now and then does not help.
    let mut slow = connect(&server, "127.0.0.1").await;
    let began = Instant::now();
    let mut sent = 0;
    for byte in &GREETING[..20] {
        tokio::time::sleep(Duration::from_millis(250)).await;
        if slow.write_all(&[*byte]).await.is_err() {
            break;
        }
        sent += 1;
    }
    assert!(sent < 20, "20 bytes took {:?}", began.elapsed());

    let mut known = connect(&server, "127.0.0.1").await;
    assert!(served(&mut known).await);
    known.write_all(&health_check()).await.unwrap();
    assert_eq!(closed_after(&mut known, Duration::from_secs(4)).await, None);
    let after = closed_after(&mut known, Duration::from_secs(6)).await;
    assert!(after.is_some(), "an idle connection keeps its place");
    server.stop();
}

#[tokio::test]
async fn an_old_connection_parts_and_its_caller_notices_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let limits = [
        ("CARTEIRA_CONNECTION_AGE_SECONDS", "1"),
        ("CARTEIRA_LOG", "info,carteira::server=debug"),
    ];
    let server = Server::start_with(&data_dir(&folder), &limits);
    let channel = server.channel().await;
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel);
    let began = Instant::now();
    let (mut calls, mut unsent) = (0, 0);
    while began.elapsed() < Duration::from_secs(6) {
        let request = tonic_health::pb::HealthCheckRequest::default();
        match health.check(request).await {
            Ok(_) => calls += 1,
            Err(status) if was_not_sent(&status) => unsent += 1,
            Err(status) => panic!("{status:?} after {calls} calls"),
        }
    }
    let log = server.stop();
    let parted = log.iter().filter(|line| line.contains("it is old")).count();
    assert!(parted >= 2, "{parted} of {log:#?}");
    assert!(unsent <= parted, "{unsent} of {parted}");
    println!(
        "{calls} calls over {parted} connections that grew old, 0 failed, {unsent} to be sent anew"
    );
}

/// Whether hyper had a call in hand when its connection parted, and gives it back: clients of gRPC send such a call
/// anew by themselves, tonic's does not.
fn was_not_sent(status: &tonic::Status) -> bool {
    let mut cause = std::error::Error::source(status);
    std::iter::from_fn(|| {
        let error = cause?;
        cause = error.source();
        Some(error)
    })
    .any(|error| {
        error
            .downcast_ref::<hyper::Error>()
            .is_some_and(hyper::Error::is_canceled)
    })
}
