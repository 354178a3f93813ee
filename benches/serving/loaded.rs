//! A server that holds a book, with its pipeline built.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use carteira::wire::v1;
use carteira::wire::v1::recommendation_service_client::RecommendationServiceClient;
use tonic::transport::Channel;

use super::book::{Random, Size};
use super::common::{self, Server};
use super::files::{CATEGORIES, Files, OWNERS, client_id, product_id};
use super::load::Call;
use super::process;

/// The portfolio that holds the book.
pub const BOOK: &str = "book";
/// Settings of the servers that are measured: a call may wait for a whole pipeline, everything else is as it
/// comes.
const SETTINGS: [(&str, &str); 1] = [("CARTEIRA_CALL_SECONDS", "7200")];
/// A process that takes less of a core than this, three seconds on end, has nothing left to do.
const AT_REST: f64 = 0.05;

/// How long after its first pipeline a portfolio is graded, which takes one core for a while, once in hours.
const GRADED_AFTER: Duration = Duration::from_secs(33);

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Nothing besides the import.
    Imported,
    /// The pipeline.
    Pipeline,
    /// That nothing is left to do in the background.
    AtRest,
}

/// A server with a book.
pub struct Loaded {
    /// `http://127.0.0.1:PORT`
    pub endpoint: String,
    /// The number of its process.
    pub pid: u32,
    /// The book as files.
    pub files: Files,
    /// Holds the files and the data.
    pub folder: tempfile::TempDir,
    /// The server, where it was started here, and its data.
    server: Option<(Server, PathBuf)>,
}

impl Loaded {
    /// A server that runs already and holds a book of this size.
    pub fn found(size: Size, endpoint: &str, pid: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            endpoint: endpoint.to_owned(),
            pid,
            files: Files::write(size, folder.path()),
            folder,
            server: None,
        }
    }

    /// A connection to it.
    pub async fn channel(&self) -> Channel {
        let to = Channel::from_shared(self.endpoint.clone()).unwrap();
        to.connect().await.unwrap()
    }

    /// Whether it ran already.
    pub fn is_found(&self) -> bool {
        self.server.is_none()
    }

    /// The folder with the data of a server that was started here.
    pub fn data(&self) -> Option<&Path> {
        self.server.as_ref().map(|(_, data)| data.as_path())
    }

    /// Stops the server; its data, and the folder that holds them.
    pub fn stop(self) -> (PathBuf, tempfile::TempDir) {
        let (server, data) = self.server.expect("a server that was started here");
        server.terminate();
        (data, self.folder)
    }

    /// Makes a book, imports it into a new server, and waits for what is wanted.
    pub async fn start(size: Size, until: Until) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::write(size, folder.path());
        let data = folder.path().join("data");
        let server = serve(&data);
        let channel = server.channel().await;
        let began = Instant::now();
        let paths: [(&str, &Path); 3] = [
            ("--clients", &files.clients),
            ("--products", &files.products),
            ("--sales", &files.sales),
        ];
        let endpoint = server.endpoint.clone();
        let args = ["import", "--endpoint", &endpoint, "--portfolio", BOOK];
        common::carteira(&args, &paths).unwrap();
        let imported = began.elapsed();
        let Size {
            name,
            clients,
            products,
            ..
        } = size;
        println!(
            "{name}: {clients} clients x {products} products, {} tickets; import {:.1} s",
            files.tickets(),
            imported.as_secs_f64(),
        );
        let began = Instant::now();
        if until != Until::Imported {
            wait_for_pipeline(channel, server.pid()).await;
            let built = began.elapsed().as_secs_f64();
            println!("  model and pipeline {built:.1} s");
        }
        if until == Until::AtRest {
            tokio::time::sleep(GRADED_AFTER).await;
            at_rest(server.pid()).await;
        }
        Self {
            endpoint,
            pid: server.pid(),
            files,
            folder,
            server: Some((server, data)),
        }
    }

    /// A call of RecommendForClient for each client.
    pub fn reads(&self) -> Vec<Call> {
        let read = |client| {
            let request = v1::RecommendForClientRequest {
                portfolio_id: BOOK.into(),
                client_id: client_id(client),
                ..Default::default()
            };
            Call::new(RECOMMEND, &request)
        };
        (0..self.files.rows.len()).map(read).collect()
    }

    /// Calls that each set one ticket that is there to another amount.
    pub fn writes(&self, count: usize, seed: u64) -> Vec<Call> {
        let mut random = Random::new(seed);
        let write = |_| {
            Call::new(
                "/carteira.v1.TicketService/SetTickets",
                &self.write(&mut random),
            )
        };
        (0..count).map(write).collect()
    }

    /// A request that sets one ticket that is there to another amount.
    pub fn write(&self, random: &mut Random) -> v1::SetTicketsRequest {
        let client = random.under(self.files.rows.len());
        let row = &self.files.rows[client];
        let (product, ticket) = row[random.under(row.len())];
        let ticket = v1::TicketToSet {
            client_id: client_id(client),
            product_id: product_id(product as usize),
            ticket_minor: (f64::from(ticket) * (0.7 + 0.6 * random.unit())) as i64 + 1,
        };
        v1::SetTicketsRequest {
            portfolio_id: BOOK.into(),
            tickets: vec![ticket],
            ..Default::default()
        }
    }
}

/// The method that most calls are of.
pub const RECOMMEND: &str = "/carteira.v1.RecommendationService/RecommendForClient";

/// A server on a folder, with the settings of those that are measured.
pub fn serve(data: &Path) -> Server {
    Server::start_with(data, &SETTINGS)
}

/// Waits until there is a pipeline, and nothing is left to do in the background.
pub async fn wait_for_pipeline(channel: Channel, pid: u32) {
    let mut service = RecommendationServiceClient::new(channel);
    service.list_opportunities(page(1, None)).await.unwrap();
    at_rest(pid).await;
}

/// Waits until a process has nothing left to do.
pub async fn at_rest(pid: u32) {
    let mut quiet = 0;
    while quiet < 3 {
        let before = process::cpu(pid);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let took = process::cpu(pid).saturating_sub(before);
        quiet = if took.as_secs_f64() < AT_REST {
            quiet + 1
        } else {
            0
        };
    }
}

/// The first page of the pipeline; `Some` for one of the filtered lists.
pub fn page(size: u32, filtered: Option<usize>) -> v1::ListOpportunitiesRequest {
    let filter = filtered.map(|at| v1::OpportunityFilter {
        kinds: vec![v1::OpportunityKind::CrossSell.into()],
        categories: (0..CATEGORIES / 4)
            .map(|category| format!("category {}", (category + at) % CATEGORIES))
            .collect(),
        owners: vec![format!("owner {}", at % OWNERS)],
        min_gain_minor: 1_000,
        ..Default::default()
    });
    v1::ListOpportunitiesRequest {
        portfolio_id: BOOK.into(),
        page_size: size,
        filter,
        ..Default::default()
    }
}
