//! The load: callers that call one after the other, and callers that come when they come.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use prost::Message;
use prost::bytes::Bytes;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Request, Status};

use super::book::Random;
use super::raw::Raw;

/// Connections of a load.
const CONNECTIONS: usize = 4;
/// Calls at once on each.
const IN_FLIGHT: usize = 16;
/// One call in so many is a write, where there are writes.
const READS_A_WRITE: usize = 100;

/// A call, encoded.
#[derive(Debug, Clone)]
pub struct Call {
    path: &'static str,
    message: Bytes,
}

impl Call {
    /// A call of a method of the contract: `RecommendationService/RecommendForClient`.
    pub fn new(path: &'static str, message: &impl Message) -> Self {
        Self {
            path,
            message: message.encode_to_vec().into(),
        }
    }

    /// Sends it; the bytes of the answer.
    pub async fn send(&self, channel: &Channel) -> Result<usize, Status> {
        let mut client = tonic::client::Grpc::new(channel.clone());
        let ready = client.ready().await;
        ready.map_err(|error| Status::unavailable(error.to_string()))?;
        let path = PathAndQuery::from_static(self.path);
        let request = Request::new(self.message.clone());
        let answer = client.unary(request, path, Raw).await?;
        Ok(answer.into_inner())
    }
}

/// Calls in an order that the seed says (R. Durstenfeld, 1964).
pub fn shuffled(mut calls: Vec<Call>, seed: u64) -> Vec<Call> {
    let mut random = Random::new(seed);
    for at in (1..calls.len()).rev() {
        calls.swap(at, random.under(at + 1));
    }
    calls
}

/// The connections of a load to one server.
pub async fn connect(endpoint: &str) -> Vec<Channel> {
    let mut channels = Vec::new();
    for _ in 0..CONNECTIONS {
        let to = Channel::from_shared(endpoint.to_owned()).unwrap();
        channels.push(to.connect().await.unwrap());
    }
    channels
}

/// What is sent: the reads in turn, and from time to time one of the writes.
#[derive(Debug, Default, Clone)]
pub struct Work {
    reads: Vec<Call>,
    writes: Vec<Call>,
}

impl Work {
    /// These reads, in an order that the seed says.
    pub fn of(reads: Vec<Call>, writes: Vec<Call>, seed: u64) -> Self {
        Self {
            reads: shuffled(reads, seed),
            writes,
        }
    }

    /// The call of a place, and whether it is a read.
    fn at(&self, place: usize) -> (&Call, bool) {
        match self.writes.is_empty() || place % READS_A_WRITE != READS_A_WRITE / 2 {
            true => (&self.reads[place % self.reads.len()], true),
            false => {
                let at = place / READS_A_WRITE;
                (&self.writes[at % self.writes.len()], false)
            }
        }
    }
}

/// What became of a load.
#[derive(Debug, Default)]
pub struct Ran {
    /// Reads that were answered.
    pub reads: usize,
    /// Writes that were answered.
    pub writes: usize,
    /// Bytes of the answers to reads.
    pub bytes: usize,
    /// How long each read took, from the moment it was due; empty where callers called in turn.
    pub times: Vec<Duration>,
    /// Calls that were not answered, and why the last was not.
    pub errors: usize,
    /// Why the last was not.
    pub error: Option<Status>,
    /// How long it went on.
    pub lasted: Duration,
}

impl Ran {
    /// Reads answered in a second.
    pub fn rate(&self) -> f64 {
        self.reads as f64 / self.lasted.as_secs_f64()
    }

    /// Bytes of an answer on average.
    pub fn answer_bytes(&self) -> f64 {
        self.bytes as f64 / self.reads.max(1) as f64
    }

    fn note(&mut self, is_read: bool, answer: Result<usize, Status>) {
        match (answer, is_read) {
            (Ok(bytes), true) => {
                self.reads += 1;
                self.bytes += bytes;
            }
            (Ok(_), false) => self.writes += 1,
            (Err(status), _) => {
                self.errors += 1;
                self.error = Some(status);
            }
        }
    }

    fn add(&mut self, other: Self) {
        self.reads += other.reads;
        self.writes += other.writes;
        self.bytes += other.bytes;
        self.times.extend(other.times);
        self.errors += other.errors;
        self.error = other.error.or(self.error.take());
    }
}

/// Callers that each call one after the other, for a while: 4 connections, 16 on each.
pub async fn closed(channels: &[Channel], work: &Arc<Work>, lasts: Duration) -> Ran {
    let next = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    let mut callers = Vec::new();
    for channel in channels {
        for _ in 0..IN_FLIGHT {
            let (channel, work, next) = (channel.clone(), work.clone(), next.clone());
            callers.push(tokio::spawn(async move {
                let mut ran = Ran::default();
                while began.elapsed() < lasts {
                    let (call, is_read) = work.at(next.fetch_add(1, Ordering::Relaxed));
                    ran.note(is_read, call.send(&channel).await);
                }
                ran
            }));
        }
    }
    let mut all = Ran::default();
    for caller in callers {
        all.add(caller.await.unwrap());
    }
    all.lasted = began.elapsed();
    all
}

/// Callers that come so often a second whatever became of those before, at random moments. A read's time counts
/// from when it was due, so that a server that stops is not spared those that would have come meanwhile.
pub async fn open(
    channels: &[Channel],
    work: &Arc<Work>,
    rate: f64,
    lasts: Duration,
    seed: u64,
) -> Ran {
    let (send, mut due) = tokio::sync::mpsc::unbounded_channel();
    let began = Instant::now();
    // A thread of its own: the timer of the runtime has steps of a millisecond.
    let pacing = std::thread::spawn(move || {
        let mut random = Random::new(seed);
        let mut at = Duration::ZERO;
        loop {
            at += Duration::from_secs_f64(-random.unit().ln() / rate);
            if at >= lasts {
                return;
            }
            if let Some(wait) = at.checked_sub(began.elapsed()) {
                std::thread::sleep(wait);
            }
            if send.send(began + at).is_err() {
                return;
            }
        }
    });
    let mut calls = tokio::task::JoinSet::new();
    let mut all = Ran::default();
    let mut place = 0;
    let note = |all: &mut Ran, (is_read, took, answer): (bool, Duration, _)| {
        if is_read {
            all.times.push(took);
        }
        all.note(is_read, answer);
    };
    while let Some(due) = due.recv().await {
        let (channel, work) = (channels[place % channels.len()].clone(), work.clone());
        let at = place;
        place += 1;
        calls.spawn(async move {
            let (call, is_read) = work.at(at);
            let answer = call.send(&channel).await;
            (is_read, due.elapsed(), answer)
        });
        while let Some(done) = calls.try_join_next() {
            note(&mut all, done.unwrap());
        }
    }
    while let Some(done) = calls.join_next().await {
        note(&mut all, done.unwrap());
    }
    pacing.join().unwrap();
    all.lasted = began.elapsed();
    all
}
