//! The least that durable writes could take: a thread that takes what waits, writes it as one, has the disk keep it,
//! and answers all.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};

use tokio::sync::oneshot;

/// Memory that sled may cache the disk in, as in a server.
const CACHE_BYTES: u64 = 64 << 20;

type Job<T> = (T, oneshot::Sender<()>);

/// Where writers put what they write.
#[derive(Clone)]
struct Queue<T>(Sender<Job<T>>);

impl<T: Send + 'static> Queue<T> {
    /// A thread that keeps groups of jobs by a function.
    fn start(mut keep: impl FnMut(&[Job<T>]) + Send + 'static) -> Self {
        let (send, jobs): (_, Receiver<Job<T>>) = channel();
        std::thread::spawn(move || {
            while let Ok(first) = jobs.recv() {
                let mut group = vec![first];
                group.extend(jobs.try_iter());
                keep(&group);
                for (_, answer) in group {
                    answer.send(()).unwrap();
                }
            }
        });
        Self(send)
    }

    async fn write(self, item: T) {
        let (answer, kept) = oneshot::channel();
        self.0.send((item, answer)).unwrap();
        kept.await.unwrap();
    }
}

/// A file that bytes are appended to, with one fdatasync a group.
#[derive(Clone)]
pub struct Appended(Queue<()>);

impl Appended {
    /// A file; a write has so many bytes.
    pub fn start(path: &Path, bytes: usize) -> Self {
        let mut file = File::create(path).unwrap();
        let mut group = Vec::new();
        Self(Queue::start(move |jobs: &[Job<()>]| {
            group.clear();
            group.resize(jobs.len() * bytes, 7);
            file.write_all(&group).unwrap();
            file.sync_data().unwrap();
        }))
    }

    /// Appends a write; it is durable when this answers.
    pub async fn write(self) {
        self.0.write(()).await;
    }
}

/// A sled tree that batches are applied to, with one flush and one fsync a group.
#[derive(Clone)]
pub struct Batched(Queue<Vec<u64>>);

impl Batched {
    /// A tree with a value of so many bytes for each key under `keys`.
    pub fn start(folder: &Path, keys: u64, bytes: usize) -> Self {
        let config = sled::Config::new().path(folder).flush_every_ms(None);
        let tree = config.cache_capacity(CACHE_BYTES).open().unwrap();
        let file = File::open(folder.join("db")).unwrap();
        if tree.is_empty() {
            for key in 0..keys {
                tree.insert(key_of(key), vec![0; bytes]).unwrap();
            }
        }
        let mut round = 0_u8;
        Self(Queue::start(move |jobs: &[Job<Vec<u64>>]| {
            round = round.wrapping_add(1);
            let mut batch = sled::Batch::default();
            for key in jobs.iter().flat_map(|(keys, _)| keys) {
                batch.insert(&key_of(*key), vec![round; bytes]);
            }
            tree.apply_batch(batch).unwrap();
            tree.flush().unwrap();
            // As the store does it: sled's own flush asks the kernel to begin, and no more.
            file.sync_all().unwrap();
        }))
    }

    /// Puts a value under each key; they are durable when this answers.
    pub async fn write(self, keys: Vec<u64>) {
        self.0.write(keys).await;
    }
}

/// A key as long as those of the store.
fn key_of(number: u64) -> [u8; 16] {
    let mut key = [0; 16];
    key[4..12].copy_from_slice(&number.to_be_bytes());
    key
}
