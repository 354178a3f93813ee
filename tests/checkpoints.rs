//! The restore drill: a server checkpoints itself under load and is killed at any moment, also while
//! it does so; every checkpoint restores elsewhere as the state of exactly one moment.
//!
//! `CARTEIRA_FAULTS` multiplies the rounds, `CARTEIRA_SEED` repeats them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use carteira::wire::v1;
use carteira::wire::v1::ticket_service_client::TicketServiceClient;
use common::faults::{seed_of, tell, times_more};
use common::{BINARY, Server, data_dir, figures, make_book, mix};
use tokio::task::block_in_place;

const BOOK: &str = "drill";
const WRITERS: u64 = 4;
const ROUNDS: u64 = 20;
/// Folders side by side, each with its share of the rounds.
const LANES: u64 = 4;
const KEPT: usize = 2;

/// Sells for one minor unit at a time until the server is gone.
async fn write(endpoint: String, acknowledged: Arc<AtomicU64>) {
    let Ok(channel) = tonic::transport::Channel::from_shared(endpoint)
        .unwrap()
        .connect()
        .await
    else {
        return;
    };
    let mut service = TicketServiceClient::new(channel);
    let request = v1::RecordSalesRequest {
        portfolio_id: BOOK.into(),
        sales: vec![v1::Sale {
            client_id: "c0".into(),
            product_id: "p0".into(),
            date: "2026-01-10".into(),
            amount_minor: 1,
            ..Default::default()
        }],
        ..Default::default()
    };
    while let Ok(answer) = service.record_sales(request.clone()).await {
        acknowledged.fetch_max(answer.into_inner().sequence, Ordering::SeqCst);
    }
}

fn checkpoints(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = dir.join("checkpoints").read_dir() else {
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut whole: Vec<_> = paths
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "carteira")
        })
        .collect();
    whole.sort();
    whole
}

fn carteira(args: &[&str], paths: &[(&str, &Path)]) -> String {
    common::carteira(args, paths).unwrap()
}

/// One folder, checkpointed and killed; how many sales it had in the end.
async fn drill(seed: u64, rounds: u64) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let dir = data_dir(&folder);
    let server = Server::start(&dir);
    make_book(server.channel().await, BOOK, 2, 2).await;
    let (_, founded) = figures(&server.channel().await, BOOK).await;
    server.kill();
    let acknowledged = Arc::new(AtomicU64::new(founded));
    for round in 0..rounds {
        let often = [("CARTEIRA_CHECKPOINT_EVERY", "20ms")];
        let server = Server::start_with(&dir, &often);
        // What got no answer before the kill may have become durable: it counts from here on.
        let (_, begun) = figures(&server.channel().await, BOOK).await;
        acknowledged.fetch_max(begun, Ordering::SeqCst);
        let writers: Vec<_> = (0..WRITERS)
            .map(|_| tokio::spawn(write(server.endpoint.clone(), acknowledged.clone())))
            .collect();
        let pause = 150_000 + mix(seed * 1_000 + round) % 300_000;
        tokio::time::sleep(Duration::from_micros(pause)).await;
        server.kill();
        for writer in writers {
            writer.await.unwrap();
        }
        let there = checkpoints(&dir);
        // One more where the kill came before the oldest was dropped.
        assert!(
            (1..=KEPT + 1).contains(&there.len()),
            "round {round}: {there:?}"
        );
        let entries = dir.join("checkpoints").read_dir().unwrap();
        let parts = entries.count() - there.len();
        assert!(parts <= 1, "round {round}: {parts} parts were left");
        let newest = there.last().unwrap();
        let elsewhere = folder.path().join(format!("restored {round}"));
        carteira(
            &["restore"],
            &[("--data-dir", &elsewhere), ("--from", newest)],
        );
        carteira(&["check"], &[("--data-dir", &elsewhere)]);
        let server = Server::start(&elsewhere);
        let (figures, sequence) = figures(&server.channel().await, BOOK).await;
        block_in_place(|| server.terminate());
        // A write is one sale of one minor unit, so the counter tells what the sums must be.
        assert!(sequence >= founded && sequence <= acknowledged.load(Ordering::SeqCst) + WRITERS);
        assert_eq!(figures.sales, sequence - founded, "round {round}");
        assert_eq!(
            figures.sales_amount_minor as u64,
            sequence - founded,
            "round {round}"
        );
        std::fs::remove_dir_all(&elsewhere).unwrap();
    }
    let server = Server::start(&dir);
    let (figures, sequence) = figures(&server.channel().await, BOOK).await;
    assert!(sequence >= acknowledged.load(Ordering::SeqCst));
    assert_eq!(figures.sales, sequence - founded);
    block_in_place(|| server.terminate());
    figures.sales
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn every_checkpoint_restores_as_the_state_of_one_moment() {
    let seed = seed_of("restore drills");
    let rounds = ROUNDS * times_more();
    let lanes: Vec<_> = (0..LANES)
        .map(|lane| tokio::spawn(drill(seed * 10 + lane, rounds / LANES)))
        .collect();
    let mut sales = 0;
    for lane in lanes {
        sales += lane.await.unwrap();
    }
    tell(format_args!(
        "{rounds} restore drills: each checkpoint is the state of one moment; {sales} sales, 0 lost"
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn a_damaged_folder_names_the_checkpoint_to_restore_and_compacting_drops_what_was_erased() {
    let folder = tempfile::tempdir().unwrap();
    let dir = data_dir(&folder);
    let server = Server::start_with(&dir, &[("CARTEIRA_CHECKPOINT_EVERY", "20ms")]);
    make_book(server.channel().await, BOOK, 2, 2).await;
    while checkpoints(&dir).is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    server.terminate();
    let newest = checkpoints(&dir).pop().unwrap();
    std::fs::remove_file(dir.join("watermark")).unwrap();
    let ran = Command::new(BINARY)
        .args(["check", "--data-dir"])
        .arg(&dir)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(
        !ran.status.success() && said.contains(&newest.display().to_string()),
        "{said}"
    );
    let elsewhere = folder.path().join("restored");
    carteira(
        &["restore"],
        &[("--data-dir", &elsewhere), ("--from", &newest)],
    );
    carteira(&["check"], &[("--data-dir", &elsewhere)]);

    let server = Server::start_with(&elsewhere, &[("CARTEIRA_CHECKPOINT_EVERY", "20ms")]);
    while checkpoints(&elsewhere).is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    server.terminate();
    carteira(&["compact"], &[("--data-dir", &elsewhere)]);
    assert!(checkpoints(&elsewhere).is_empty());
}
