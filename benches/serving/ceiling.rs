//! The ceiling: a server of the same contract on the same tonic that computes nothing. Each of its answers
//! stands ready as a message; a call copies it, since tonic takes answers that are its own.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::pin::Pin;
use std::process::{Child, Command, Stdio};

use carteira::wire::v1;
use carteira::wire::v1::recommendation_service_server::{
    RecommendationService, RecommendationServiceServer,
};
use prost::Message;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status};

/// The argument that makes this program the ceiling.
pub const ARGUMENT: &str = "as-ceiling";
/// Rows of the ready answer of some 2 KB.
const READY_ROWS: usize = 20;

/// A ceiling that runs in a process of its own, so that its processor time is known.
pub struct Ceiling {
    process: Child,
    /// `http://127.0.0.1:PORT`
    pub endpoint: String,
}

impl Ceiling {
    /// Starts it. It sends the messages in two files: an answer to RecommendForClient, when it is asked
    /// RecommendWhatIf, and a page of ListOpportunities.
    pub fn start(answer: &Path, page: &Path) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .arg(ARGUMENT)
            .args([answer, page])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut lines = BufReader::new(process.stdout.take().unwrap());
        lines.read_line(&mut line).unwrap();
        Self {
            process,
            endpoint: format!("http://{}", line.trim()),
        }
    }

    /// The number of its process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Ceiling {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// What such a process does: prints its address and answers until it is killed.
pub async fn serve(answer: &str, page: &str) {
    let read = |path: &str| std::fs::read(path).unwrap();
    let ready = Ready {
        short: v1::RecommendForClientResponse {
            client_id: "c12345".into(),
            currency: "BRL".into(),
            cross_sell: (0..READY_ROWS).map(short_row).collect(),
            ..Default::default()
        },
        whole: v1::RecommendWhatIfResponse::decode(&*read(answer)).unwrap(),
        page: v1::ListOpportunitiesResponse::decode(&*read(page)).unwrap(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut out = std::io::stdout();
    writeln!(out, "{}", listener.local_addr().unwrap()).unwrap();
    out.flush().unwrap();
    let incoming = TcpListenerStream::new(listener).map(|stream| {
        let stream = stream?;
        stream.set_nodelay(true)?;
        std::io::Result::Ok(stream)
    });
    tonic::transport::Server::builder()
        .add_service(RecommendationServiceServer::new(ready))
        .serve_with_incoming(incoming)
        .await
        .unwrap();
}

/// A row of some hundred bytes.
fn short_row(at: usize) -> v1::Opportunity {
    v1::Opportunity {
        product_id: format!("p{at:05}"),
        product_name: format!("Product number {at:05}"),
        kind: v1::OpportunityKind::CrossSell.into(),
        potential_ticket_minor: 1_200_000,
        gain_minor: 1_200_000,
        low_ticket_minor: 900_000,
        expected_ticket_minor: 1_200_000,
        high_ticket_minor: 1_500_000,
        probability: 0.25,
        score: 25.0,
        priority_minor: 300_000,
        neighbours: 50,
        neighbours_buying: 20,
        ..Default::default()
    }
}

struct Ready {
    short: v1::RecommendForClientResponse,
    whole: v1::RecommendWhatIfResponse,
    page: v1::ListOpportunitiesResponse,
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl RecommendationService for Ready {
    async fn recommend_for_client(
        &self,
        _: Request<v1::RecommendForClientRequest>,
    ) -> Answer<v1::RecommendForClientResponse> {
        Ok(Response::new(self.short.clone()))
    }

    async fn recommend_what_if(
        &self,
        _: Request<v1::RecommendWhatIfRequest>,
    ) -> Answer<v1::RecommendWhatIfResponse> {
        Ok(Response::new(self.whole.clone()))
    }

    async fn list_opportunities(
        &self,
        _: Request<v1::ListOpportunitiesRequest>,
    ) -> Answer<v1::ListOpportunitiesResponse> {
        Ok(Response::new(self.page.clone()))
    }

    /// The empty handler.
    async fn find_similar_clients(
        &self,
        _: Request<v1::FindSimilarClientsRequest>,
    ) -> Answer<v1::FindSimilarClientsResponse> {
        Ok(Response::new(v1::FindSimilarClientsResponse::default()))
    }

    type StreamOpportunitiesStream =
        Pin<Box<dyn Stream<Item = Result<v1::StreamOpportunitiesResponse, Status>> + Send>>;

    async fn stream_opportunities(
        &self,
        _: Request<v1::StreamOpportunitiesRequest>,
    ) -> Answer<Self::StreamOpportunitiesStream> {
        Err(Status::unimplemented("not part of the ceiling"))
    }

    async fn plan_pipeline(
        &self,
        _: Request<v1::PlanPipelineRequest>,
    ) -> Answer<v1::PlanPipelineResponse> {
        Err(Status::unimplemented("not part of the ceiling"))
    }

    async fn explain_opportunity(
        &self,
        _: Request<v1::ExplainOpportunityRequest>,
    ) -> Answer<v1::ExplainOpportunityResponse> {
        Err(Status::unimplemented("not part of the ceiling"))
    }
}
