//! Hours of mixed load at a moderate rate: does memory grow, does the disk, does anything fail.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use carteira::wire::v1;
use carteira::wire::v1::recommendation_service_client::RecommendationServiceClient;
use tonic::transport::Channel;

use super::book::Random;
use super::load::shuffled;
use super::loaded::{Loaded, page};
use super::pages::ROWS;
use super::process::{cpu, disk_bytes, memory_bytes};
use super::start;

/// Calls of RecommendForClient a second.
const READS: f64 = 50.0;
/// Tickets set a second, each by a call.
const WRITES: f64 = 0.5;
/// Lists begun a second, each read to its third page.
const LISTS: f64 = 0.1;
/// Pages of a list that are read.
const PAGES: usize = 3;
/// The part of the time that is warming up, and counts for no slope.
const WARM_UP: f64 = 0.25;

/// What was done so far.
#[derive(Default)]
struct Done {
    reads: AtomicUsize,
    writes: AtomicUsize,
    pages: AtomicUsize,
    errors: AtomicUsize,
}

impl Done {
    fn note(&self, count: &AtomicUsize, answer: Result<(), tonic::Status>) {
        match answer {
            Ok(()) => count.fetch_add(1, Ordering::Relaxed),
            Err(status) => {
                println!("  error: {status}");
                self.errors.fetch_add(1, Ordering::Relaxed)
            }
        };
    }
}

/// Runs the load for so many minutes, and prints what it took.
pub async fn measure(loaded: &Loaded, minutes: f64) {
    let lasts = Duration::from_secs_f64(minutes * 60.0);
    let done = Arc::new(Done::default());
    let began = Instant::now();
    let channel = loaded.channel().await;
    let writes = loaded.writes((WRITES * minutes * 60.0 * 1.5) as usize + 1, 17);
    let mut tasks = tokio::task::JoinSet::new();
    let reads = shuffled(loaded.reads(), 29);
    for (calls, rate, count) in [
        (
            reads,
            READS,
            (|done| &done.reads) as fn(&Done) -> &AtomicUsize,
        ),
        (writes, WRITES, |done| &done.writes),
    ] {
        let (channel, done) = (channel.clone(), done.clone());
        tasks.spawn(async move {
            let mut random = Random::new(37);
            // One after the other: a call takes little of the time between two.
            for call in calls.iter().cycle() {
                if began.elapsed() >= lasts {
                    break;
                }
                done.note(count(&done), call.send(&channel).await.map(drop));
                pause(&mut random, rate).await;
            }
        });
    }
    tasks.spawn({
        let (channel, done) = (channel.clone(), done.clone());
        async move {
            let mut random = Random::new(31);
            let mut at = 0;
            while began.elapsed() < lasts {
                let mut request = page(ROWS, (at % 3 > 0).then_some(at));
                at += 1;
                for _ in 0..PAGES {
                    let answer = list(&channel, &mut request).await;
                    let more = answer.is_ok() && !request.page_token.is_empty();
                    done.note(&done.pages, answer);
                    if !more {
                        break;
                    }
                }
                pause(&mut random, LISTS).await;
            }
        }
    });

    let mut samples = watched(loaded, &done, began, lasts).await;
    tasks.join_all().await;
    let warm = minutes / 60.0 * WARM_UP;
    samples.retain(|(hours, _)| *hours >= warm);
    println!(
        "  memory grows by {:.2} MB an hour after the first {:.0} minutes; {} errors",
        slope(&samples),
        warm * 60.0,
        done.errors.load(Ordering::Relaxed),
    );
}

/// Memory of the server in MB, by hours since the beginning, once a minute; each printed with what was done by then.
async fn watched(loaded: &Loaded, done: &Done, began: Instant, lasts: Duration) -> Vec<(f64, f64)> {
    let pid = loaded.pid;
    let mut samples: Vec<(f64, f64)> = Vec::new();
    let cpu_before = cpu(pid);
    while began.elapsed() < lasts {
        let left = lasts.saturating_sub(began.elapsed());
        tokio::time::sleep(left.min(Duration::from_secs(60))).await;
        let memory = memory_bytes(pid) as f64 / 1e6;
        samples.push((began.elapsed().as_secs_f64() / 3_600.0, memory));
        println!(
            "  minute {:.0}: {memory:.1} MB of memory, {:.1} MB on the disk; {} reads, {} writes, {} pages, {} errors; {:.1} % of a core",
            began.elapsed().as_secs_f64() / 60.0,
            loaded.data().map_or(0, disk_bytes) as f64 / 1e6,
            done.reads.load(Ordering::Relaxed),
            done.writes.load(Ordering::Relaxed),
            done.pages.load(Ordering::Relaxed),
            done.errors.load(Ordering::Relaxed),
            100.0 * cpu(pid).saturating_sub(cpu_before).as_secs_f64()
                / began.elapsed().as_secs_f64(),
        );
    }
    samples
}

/// Prints what the data of a stopped server takes on the disk.
pub fn disk(data: &Path) {
    let sled = data.join("sled");
    let live = start::read(&sled) as f64;
    let (all, sled) = (disk_bytes(data) as f64, disk_bytes(&sled) as f64);
    println!(
        "  live data {:.1} MB; the whole folder {:.1} MB, {:.2} times as much; sled's part {:.1} MB, {:.2} times",
        live / 1e6,
        all / 1e6,
        all / live,
        sled / 1e6,
        sled / live,
    );
}

/// Reads a page, and makes the request that of the next one; without a token where there is none.
async fn list(
    channel: &Channel,
    request: &mut v1::ListOpportunitiesRequest,
) -> Result<(), tonic::Status> {
    let mut service = RecommendationServiceClient::new(channel.clone());
    let answer = service.list_opportunities(request.clone()).await?;
    request.page_token = answer.into_inner().next_page_token;
    Ok(())
}

/// A random while, so long that there are `rate` of them in a second.
async fn pause(random: &mut Random, rate: f64) {
    let seconds = -random.unit().ln() / rate;
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
}

/// The slope of a line through points, by least squares.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let both: f64 = points
        .iter()
        .map(|point| (point.0 - x) * (point.1 - y))
        .sum();
    let alone: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    both / alone
}
