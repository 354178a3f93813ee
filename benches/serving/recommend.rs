//! RecommendForClient beside a ready answer: how many a second, at which price, and how late.

use std::sync::Arc;
use std::time::Duration;

use super::ceiling::Ceiling;
use super::figures::{Spread, micros, p99, ratio};
use super::load::{self, Call, Ran, Work};
use super::loaded::{Loaded, RECOMMEND};
use super::process::{cpu, go_on, hold};
use carteira::wire::v1;
use tonic::transport::Channel;

const READY_WHOLE: &str = "/carteira.v1.RecommendationService/RecommendWhatIf";
const EMPTY: &str = "/carteira.v1.RecommendationService/FindSimilarClients";

/// One round of one side.
struct Round {
    ran: Ran,
    cpu: Duration,
}

impl Round {
    /// Callers that call one after the other; `pid` is who answers them.
    async fn closed(channels: &[Channel], pid: u32, work: &Arc<Work>, lasts: Duration) -> Self {
        let before = cpu(pid);
        let ran = load::closed(channels, work, lasts).await;
        assert_eq!(ran.errors, 0, "{:?}", ran.error);
        let cpu = cpu(pid).saturating_sub(before);
        Self { ran, cpu }
    }

    /// Server time a call, in microseconds; writes count as calls.
    fn cpu_micros(&self) -> f64 {
        let calls = self.ran.reads + self.ran.writes;
        self.cpu.as_secs_f64() * 1e6 / calls as f64
    }
}

fn rates(rounds: &[Round]) -> Vec<f64> {
    rounds.iter().map(|round| round.ran.rate()).collect()
}

/// Prints both rows.
pub async fn measure(loaded: &Loaded, ceiling: &Ceiling, rounds: usize, lasts: Duration) {
    let pid = loaded.pid;
    let ours = load::connect(&loaded.endpoint).await;
    let theirs = load::connect(&ceiling.endpoint).await;
    let ready = |path| {
        let request = v1::RecommendForClientRequest {
            portfolio_id: super::loaded::BOOK.into(),
            client_id: super::files::client_id(1),
            ..Default::default()
        };
        Arc::new(Work::of(vec![Call::new(path, &request)], Vec::new(), 1))
    };
    let (short, whole, empty) = (ready(RECOMMEND), ready(READY_WHOLE), ready(EMPTY));
    let work = |round: usize| {
        let seed = round as u64 + 1;
        Arc::new(Work::of(loaded.reads(), loaded.writes(20_000, seed), seed))
    };
    let reads_alone = Arc::new(Work::of(loaded.reads(), Vec::new(), 77));
    let warm = lasts.min(Duration::from_secs(1));
    load::closed(&ours, &reads_alone, warm).await;
    load::closed(&theirs, &short, warm).await;

    let (mut alone, mut mixed) = (Vec::new(), Vec::new());
    let (mut ready_short, mut ready_whole, mut ready_empty) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        hold(pid);
        for (work, rounds) in [
            (&short, &mut ready_short),
            (&whole, &mut ready_whole),
            (&empty, &mut ready_empty),
        ] {
            rounds.push(Round::closed(&theirs, ceiling.pid(), work, lasts).await);
        }
        go_on(pid);
        alone.push(Round::closed(&ours, pid, &reads_alone, lasts).await);
    }
    // Without a pause between them: a pause is when a model is fitted anew, which takes both cores.
    for round in 0..rounds {
        mixed.push(Round::closed(&ours, pid, &work(round), lasts).await);
    }
    let mixed_rates = rates(&mixed);
    let rate = Spread::of(mixed_rates.iter().copied()).median / 2.0;
    let (mut ours_late, mut theirs_late) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let seed = 1_000 + round as u64;
        ours_late.push(p99(load::open(
            &ours,
            &work(100 + round),
            rate,
            lasts,
            seed,
        )
        .await));
    }
    hold(pid);
    for round in 0..rounds {
        let seed = 1_000 + round as u64;
        theirs_late.push(p99(load::open(&theirs, &short, rate, lasts, seed).await));
    }
    go_on(pid);

    println!("  RecommendForClient, 4 connections x 16, {rounds} rounds of {lasts:?}:");
    for (what, rounds) in [
        ("with 1 % writes", &mixed),
        ("reads alone", &alone),
        ("ready answer, 20 rows", &ready_short),
        ("ready answer, the same bytes", &ready_whole),
        ("empty handler", &ready_empty),
    ] {
        let rate = Spread::of(rates(rounds));
        let cpu = Spread::of(rounds.iter().map(Round::cpu_micros));
        let bytes = Spread::of(rounds.iter().map(|round| round.ran.answer_bytes())).median;
        println!(
            "    {what}: {rate:.0} a second, {cpu:.1} us of server a call, {bytes:.0} bytes an answer"
        );
    }
    for (what, ready) in [
        ("of 20 rows", &ready_short),
        ("of the same bytes", &ready_whole),
    ] {
        println!(
            "    ratio to a ready answer {what}: {:.3}; reads alone {:.3}",
            ratio(&mixed_rates, &rates(ready)),
            ratio(&rates(&alone), &rates(ready)),
        );
    }
    println!(
        "  p99 at {rate:.0} a second (half of that, open loop): {} against {}, ratio {:.2}",
        micros(&ours_late),
        micros(&theirs_late),
        ratio(&ours_late, &theirs_late),
    );
}
