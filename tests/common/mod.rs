//! A real server process on a folder of its own, talked to as a client would.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use carteira::wire::v1;
use carteira::wire::v1::catalog_service_client::CatalogServiceClient;
use carteira::wire::v1::portfolio_service_client::PortfolioServiceClient;
use tonic::transport::Channel;

/// The binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_carteira");

/// A running server.
pub struct Server {
    process: Child,
    /// `http://127.0.0.1:PORT`
    pub endpoint: String,
}

impl Server {
    /// Starts a server on a folder and waits until it listens.
    pub fn start(dir: &Path) -> Self {
        let mut process = spawn(dir);
        let log = BufReader::new(process.stderr.take().unwrap());
        let (send, found) = channel();
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                assert!(!line.contains("panicked"), "{line}");
                if let Some((_, address)) = line.split_once("\"address\":\"") {
                    let address = address.split('"').next().unwrap_or_default().to_owned();
                    let _ = send.send(address);
                }
            }
        });
        let address = found
            .recv_timeout(Duration::from_secs(30))
            .expect("the server listens");
        Self {
            process,
            endpoint: format!("http://{address}"),
        }
    }

    /// A connection.
    pub async fn channel(&self) -> Channel {
        Channel::from_shared(self.endpoint.clone())
            .unwrap()
            .connect()
            .await
            .unwrap()
    }

    /// kill -9.
    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A server that nobody waits for.
pub fn spawn(dir: &Path) -> Child {
    Command::new(BINARY)
        .args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--log-format",
            "json",
            "--free-floor-mib",
            "0",
            "--data-dir",
        ])
        .arg(dir)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
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

/// A folder for a server's data, inside a temporary one.
pub fn data_dir(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("data")
}
