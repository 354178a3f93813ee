//! The disk fills up: writes are refused before it is full, reads go on, a restart works, and writes
//! return once there is room.
//!
//! On a small tmpfs, which takes root; without it the test says that it was skipped.
//! `CARTEIRA_FAULTS` multiplies the rounds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use carteira::wire::v1;
use carteira::wire::v1::ticket_service_client::TicketServiceClient;
use common::faults::{tell, times_more};
use common::{Server, data_dir, figures, make_book};
use tokio::task::block_in_place;
use tonic::transport::Channel;
use tonic::{Code, Status};

const BOOK: &str = "full";
const ROUNDS: u64 = 10;
/// Disks that fill up side by side.
const LANES: u64 = 2;
const FLOOR: [(&str, &str); 2] = [
    ("CARTEIRA_FREE_FLOOR_MIB", "6"),
    // Checkpoints must not take the room that is kept free.
    ("CARTEIRA_CHECKPOINT_EVERY", "20ms"),
];
const FLOOR_BYTES: u64 = 6 << 20;
/// Room that is taken away at first, and given back.
const FILLER_BYTES: usize = 8 << 20;
const MOST_WRITES: u64 = 20_000;

/// A file system in memory.
struct Small(PathBuf);

impl Small {
    fn mount(at: &Path) -> Result<Self, String> {
        std::fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"])
            .arg(at)
            .output()
            .map_err(|error| error.to_string())?;
        match mounted.status.success() {
            true => Ok(Self(at.to_owned())),
            false => Err(String::from_utf8_lossy(&mounted.stderr).trim().to_owned()),
        }
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

/// A hundred sales with names, so that each takes room of its own.
async fn write(channel: &Channel, number: u64) -> Result<(), Status> {
    let sale = |at: u64| v1::Sale {
        client_id: format!("c{}", at % 10),
        product_id: format!("p{}", number % 10),
        date: "2026-01-10".into(),
        amount_minor: 1,
        sale_id: format!("a sale with a name of some length, number {number}, row {at}"),
        ..Default::default()
    };
    let request = v1::RecordSalesRequest {
        portfolio_id: BOOK.into(),
        sales: (0..100).map(sale).collect(),
        request_id: format!("request {number}"),
        ..Default::default()
    };
    let mut service = TicketServiceClient::new(channel.clone());
    service.record_sales(request).await.map(|_| ())
}

async fn write_until_refused(channel: &Channel, next: &mut u64) -> Status {
    let first = *next;
    loop {
        match write(channel, *next).await {
            Ok(()) => *next += 1,
            Err(status) => return status,
        }
        assert!(*next - first < MOST_WRITES, "the disk does not fill up");
    }
}

/// One disk that fills up. How many writes it took; nothing where there can be none.
async fn one_round() -> Result<u64, String> {
    let folder = tempfile::tempdir().unwrap();
    let small = Small::mount(&data_dir(&folder))?;
    let dir = small.0.join("data");
    let filler = small.0.join("filler");
    std::fs::write(&filler, vec![1; FILLER_BYTES]).unwrap();
    let server = Server::start_with(&dir, &FLOOR);
    let channel = server.channel().await;
    make_book(channel.clone(), BOOK, 10, 10).await;
    let mut next = 0;
    let refused = write_until_refused(&channel, &mut next).await;
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    assert!(next > 10, "{next} writes fitted in");
    let left = rustix::fs::statvfs(&small.0).unwrap();
    assert!(
        left.f_bavail * left.f_frsize > FLOOR_BYTES / 2,
        "the floor was used up"
    );
    let (before, _) = figures(&channel, BOOK).await;
    assert_eq!(before.sales, next * 100);
    // Waits without holding up the connection's own task, which has to hear of the end.
    block_in_place(|| server.terminate());

    // Full as it is, it starts, reads, and still refuses.
    let server = Server::start_with(&dir, &FLOOR);
    let channel = server.channel().await;
    assert_eq!(figures(&channel, BOOK).await.0, before);
    let refused = write(&channel, next).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");

    // With room again, writes return without a restart, and the one refused counts once.
    std::fs::remove_file(&filler).unwrap();
    write(&channel, next).await.unwrap();
    write(&channel, next).await.unwrap();
    assert_eq!(figures(&channel, BOOK).await.0.sales, (next + 1) * 100);
    block_in_place(|| server.terminate());
    Ok(next)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn a_full_disk_refuses_writes_and_nothing_else() {
    let rounds = ROUNDS * times_more();
    let writes = std::sync::Arc::new(AtomicU64::new(0));
    let lanes: Vec<_> = (0..LANES)
        .map(|_| {
            let writes = writes.clone();
            tokio::spawn(async move {
                for _ in 0..rounds / LANES {
                    writes.fetch_add(one_round().await?, Ordering::Relaxed);
                }
                Ok::<_, String>(())
            })
        })
        .collect();
    for lane in lanes {
        if let Err(why) = lane.await.unwrap() {
            tell(format_args!(
                "SKIPPED, loudly: no small file system to fill: {why}"
            ));
            return;
        }
    }
    let writes = writes.load(Ordering::Relaxed);
    tell(format_args!(
        "{rounds} full disks after {writes} writes: each refused in time, read on, restarted, wrote again; 0 lost"
    ));
}
