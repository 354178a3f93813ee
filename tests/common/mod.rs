//! A real server process on a folder of its own, talked to as a client would.

// Each test file is a crate of its own and needs a part of this.
#![allow(dead_code)]

pub mod contract;
pub mod faults;
pub mod raw;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use carteira::wire::v1;
use carteira::wire::v1::catalog_service_client::CatalogServiceClient;
use carteira::wire::v1::portfolio_service_client::PortfolioServiceClient;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// The binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_carteira");

/// How long a server may take until it listens, and then until it serves.
const START: Duration = Duration::from_secs(30);
/// How long a server may take to stop once it is told to.
const STOP: Duration = Duration::from_secs(5);

/// A running server.
pub struct Server {
    process: Child,
    log: Option<JoinHandle<Vec<String>>>,
    /// `http://127.0.0.1:PORT`
    pub endpoint: String,
}

impl Server {
    /// Starts a server on a folder and waits until it listens.
    pub fn start(dir: &Path) -> Self {
        Self::start_with(dir, &[])
    }

    /// Starts a server with environment variables of its own.
    pub fn start_with(dir: &Path, variables: &[(&str, &str)]) -> Self {
        let mut process = serve(dir).envs(variables.iter().copied()).spawn().unwrap();
        let stderr = BufReader::new(process.stderr.take().unwrap());
        let (send, found) = channel();
        let log = std::thread::spawn(move || {
            let mut lines = Vec::new();
            for line in stderr.lines().map_while(Result::ok) {
                if let Some((_, address)) = line.split_once("\"address\":\"") {
                    let address = address.split('"').next().unwrap_or_default().to_owned();
                    let _ = send.send(address);
                }
                lines.push(line);
            }
            lines
        });
        let Ok(address) = found.recv_timeout(START) else {
            let _ = process.kill();
            panic!("the server does not listen: {:#?}", log.join());
        };
        Self {
            process,
            log: Some(log),
            endpoint: format!("http://{address}"),
        }
    }

    /// A connection to a server that says that it serves.
    pub async fn channel(&self) -> Channel {
        let channel = Channel::from_shared(self.endpoint.clone())
            .unwrap()
            .connect()
            .await
            .unwrap();
        let mut health = HealthClient::new(channel.clone());
        let began = Instant::now();
        loop {
            let status = health.check(HealthCheckRequest::default()).await;
            if status.is_ok_and(|answer| answer.get_ref().status() == ServingStatus::Serving) {
                return channel;
            }
            assert!(began.elapsed() < START, "the server does not serve");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The number of its process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Memory of its process in KiB, by its name in `/proc`: `VmRSS` as it is, `VmHWM` the most so far.
    pub fn memory_kib(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let mut words = line.unwrap().trim_start_matches(':').split_whitespace();
        words.next().unwrap().parse().unwrap()
    }

    /// Processor time that its process has taken so far.
    pub fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        // Behind the name, which may hold anything, user and system time are the 12th and 13th word,
        // in hundredths of a second.
        let words: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap()
            .split_whitespace()
            .collect();
        let ticks: u64 = words[11].parse::<u64>().unwrap() + words[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 10)
    }

    /// Counts the most memory anew from what is held now.
    pub fn forget_peak(&self) {
        // 5 resets the peak: proc(5).
        std::fs::write(format!("/proc/{}/clear_refs", self.process.id()), "5").unwrap();
    }

    /// kill -9.
    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// SIGTERM; its whole log.
    pub fn stop(mut self) -> Vec<String> {
        let pid = self.process.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        self.process.wait().unwrap();
        let lines = self.log.take().unwrap().join().unwrap();
        assert_no_panic(&lines);
        lines
    }

    /// SIGTERM; the server has to end by itself, in time and without an error.
    pub fn terminate(mut self) {
        let pid = self.process.id().to_string();
        let told = Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        assert!(told.success());
        let began = Instant::now();
        let ended: ExitStatus = loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                break status;
            }
            assert!(began.elapsed() < STOP, "the server takes too long to stop");
            std::thread::sleep(Duration::from_millis(10));
        };
        assert!(ended.success(), "the server stopped with {ended}");
    }
}

impl Drop for Server {
    /// Ends the process; its whole log has to be free of panics.
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let lines = self.log.take().map(JoinHandle::join);
        if let Some(lines) = lines
            && !std::thread::panicking()
        {
            assert_no_panic(&lines.unwrap());
        }
    }
}

/// Fails when a line of a server's log tells of a panic.
pub fn assert_no_panic(lines: &[String]) {
    let panicked = lines.iter().find(|line| line.contains("panicked"));
    assert_eq!(panicked, None, "the whole log: {lines:#?}");
}

/// `carteira serve` on a folder and any free port.
fn serve(dir: &Path) -> Command {
    let mut command = Command::new(BINARY);
    command
        .args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--log-format",
            "json",
            "--data-dir",
        ])
        .arg(dir)
        // Tests may run where there is little room; one that needs a floor sets it.
        .env("CARTEIRA_FREE_FLOOR_MIB", "0")
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// `carteira` with arguments and paths; what it printed, where it ended well.
pub fn carteira(args: &[&str], paths: &[(&str, &Path)]) -> Result<String, String> {
    let mut command = Command::new(BINARY);
    command.args(args);
    for (flag, path) in paths {
        command.arg(flag).arg(path);
    }
    let ran = command.output().unwrap();
    match ran.status.success() {
        true => Ok(String::from_utf8_lossy(&ran.stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&ran.stderr).into_owned()),
    }
}

/// A server that nobody waits for.
pub fn spawn(dir: &Path) -> Child {
    serve(dir).spawn().unwrap()
}

/// How often a count is multiplied, before a release say.
pub fn faults() -> usize {
    let text = std::env::var("CARTEIRA_FAULTS").ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// The time that a share of all took at most; 0.99 for the 99th of a hundred.
pub fn quantile(times: &mut [Duration], share: f64) -> Duration {
    times.sort_unstable();
    let at = (times.len() as f64 * share).ceil() as usize;
    times.get(at.saturating_sub(1)).copied().unwrap_or_default()
}

/// Spreads a number over 64 bits.
pub fn mix(seed: u64) -> u64 {
    let mut x = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A portfolio with clients `c0…` and products `p0…`.
pub async fn make_book(channel: Channel, id: &str, clients: usize, products: usize) {
    let portfolio = v1::Portfolio {
        portfolio_id: id.into(),
        currency: "BRL".into(),
        ..Default::default()
    };
    let request = v1::CreatePortfolioRequest {
        portfolio: Some(portfolio),
        request_id: String::new(),
    };
    PortfolioServiceClient::new(channel.clone())
        .create_portfolio(request)
        .await
        .unwrap();
    let mut catalog = CatalogServiceClient::new(channel);
    let clients = (0..clients).map(|at| v1::Client {
        client_id: format!("c{at}"),
        ..Default::default()
    });
    let request = v1::BatchUpsertClientsRequest {
        portfolio_id: id.into(),
        clients: clients.collect(),
        request_id: String::new(),
    };
    catalog.batch_upsert_clients(request).await.unwrap();
    let products = (0..products).map(|at| v1::Product {
        product_id: format!("p{at}"),
        ..Default::default()
    });
    let request = v1::BatchUpsertProductsRequest {
        portfolio_id: id.into(),
        products: products.collect(),
        request_id: String::new(),
    };
    catalog.batch_upsert_products(request).await.unwrap();
}

/// The figures of a portfolio and its write counter.
pub async fn figures(channel: &Channel, id: &str) -> (v1::PortfolioFigures, u64) {
    let request = v1::GetPortfolioRequest {
        portfolio_id: id.into(),
    };
    let answer = PortfolioServiceClient::new(channel.clone())
        .get_portfolio(request)
        .await
        .unwrap()
        .into_inner();
    (answer.figures.unwrap(), answer.sequence)
}

/// A folder for a server's data, inside a temporary one.
pub fn data_dir(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("data")
}
