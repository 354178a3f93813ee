//! The edge: gRPC, gRPC-web, health and reflection on one port.
//!
//! One file a service, thin: read the request into domain types, ask the engine, write the answer.
//! What is wrong with a request is found here, once, and named field by field. No computation runs
//! on the async threads.

mod access;
mod call;
mod catalog;
mod certificates;
mod client_filter;
mod compute;
mod connections;
pub(crate) mod doors;
mod effect;
mod explain;
mod form;
mod frames;
mod ideal;
mod insights;
mod keys;
mod limits;
mod model;
mod objectives;
mod opportunities;
mod outcomes;
mod plan;
mod portfolios;
mod pulse;
mod quota;
mod receipts;
mod recommendations;
mod segments;
mod selected;
mod showings;
mod shutdown;
mod status;
mod tickets;
mod token;
mod transport;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tonic::service::Routes;
use tonic_web::GrpcWebLayer;
use tower::Layer;

pub use access::{OperatorKey, OperatorKeyError};
pub use certificates::{CertificateError, CertificateFiles, Certificates};
pub use limits::Limits;
pub use shutdown::{Shutdown, on_signal};

use crate::engine::Engine;
use crate::wire::DESCRIPTORS;
use crate::wire::v1::catalog_service_server::CatalogServiceServer;
use crate::wire::v1::insight_service_server::InsightServiceServer;
use crate::wire::v1::model_service_server::ModelServiceServer;
use crate::wire::v1::outcome_service_server::OutcomeServiceServer;
use crate::wire::v1::portfolio_service_server::PortfolioServiceServer;
use crate::wire::v1::recommendation_service_server::RecommendationServiceServer;
use crate::wire::v1::ticket_service_server::TicketServiceServer;
use access::{AccessLayer, Gate};
use call::CallLayer;
use compute::Compute;
use quota::Quotas;

/// How often health looks whether the store still takes writes.
const HEALTH_STEP: Duration = Duration::from_millis(500);

/// Why the server does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {error}; choose another address with --listen")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system says.
        error: std::io::Error,
    },
    /// The system has no thread for computations.
    #[error("no thread for computations: {0}; free some memory or raise the limit on threads")]
    Thread(std::io::Error),
    /// The contract's descriptors cannot be read.
    #[error("the contract cannot be read: {0}")]
    Contract(#[from] prost::DecodeError),
    /// The contract's descriptors cannot be served.
    #[error("reflection is not possible: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// What the services share. A copy is cheap.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    gate: Gate,
    compute: Compute,
    /// Evaluations have a gate of their own: they take minutes, and must not keep answers waiting.
    evaluations: Compute,
}

/// A server that listens and does not answer yet.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
    operator: Option<OperatorKey>,
    tls: Option<Certificates>,
}

impl Bound {
    /// Listens on an address; port 0 takes any free one.
    pub async fn listen(address: SocketAddr) -> Result<Self, ServeError> {
        let failed = |error| ServeError::Listen { address, error };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self {
            listener,
            address,
            operator: None,
            tls: None,
        })
    }

    /// Asks every call for a key; `operator` opens everything. Without this everybody is trusted.
    #[must_use]
    pub fn with_keys(self, operator: OperatorKey) -> Self {
        Self {
            operator: Some(operator),
            ..self
        }
    }

    /// Speaks TLS 1.2 and 1.3 only.
    #[must_use]
    pub fn with_tls(self, tls: Certificates) -> Self {
        Self {
            tls: Some(tls),
            ..self
        }
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `shutdown` says to stop; then takes no new call, finishes those under way
    /// (for at most [`Limits::drain`]) and returns.
    pub async fn serve(
        self,
        engine: Arc<Engine>,
        limits: Limits,
        shutdown: Shutdown,
    ) -> Result<(), ServeError> {
        let started =
            |name, threads, rules| Compute::start(name, threads, rules).map_err(ServeError::Thread);
        let api = Api {
            gate: Gate::new(engine.clone(), Quotas::new(&limits)),
            compute: started("compute", limits.compute_threads, limits.queue())?,
            evaluations: started("evaluate", 1, limits.patient_queue())?,
        };
        let (health, health_service) = tonic_health::server::health_reporter();
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .build_v1()?;
        let calls = CallLayer::new(&limits)?;
        let routes = Routes::new(health_service).add_service(reflection);
        let service = GrpcWebLayer::new().layer(
            calls.layer(AccessLayer::new(self.operator).layer(services(routes, api, &limits))),
        );
        let mut beside = JoinSet::new();
        beside.spawn(watch_health(engine, health, shutdown.clone()));
        if let Some(certificates) = &self.tls {
            beside.spawn(certificates.clone().keep_fresh(shutdown.clone()));
        }
        transport::serve(self.listener, service, self.tls, limits, shutdown).await;
        Ok(())
    }
}

/// The services of the contract behind their paths.
fn services(routes: Routes, api: Api, limits: &Limits) -> Routes {
    let (most_in, most_out) = (limits.message_bytes, limits.answer_bytes);
    macro_rules! limited {
        ($($server:ident),*) => {
            routes$(.add_service(
                $server::new(api.clone())
                    .max_decoding_message_size(most_in)
                    .max_encoding_message_size(most_out),
            ))*
        };
    }
    limited!(
        PortfolioServiceServer,
        CatalogServiceServer,
        TicketServiceServer,
        OutcomeServiceServer,
        InsightServiceServer,
        ModelServiceServer,
        RecommendationServiceServer
    )
    .prepare()
}

/// Reports each service as serving, those that write as not serving while the store is read-only,
/// and all as not serving from shutdown on.
async fn watch_health(
    engine: Arc<Engine>,
    health: tonic_health::server::HealthReporter,
    shutdown: Shutdown,
) {
    use tonic_health::ServingStatus::{NotServing, Serving};
    let writing = [
        <PortfolioServiceServer<Api> as tonic::server::NamedService>::NAME,
        <CatalogServiceServer<Api> as tonic::server::NamedService>::NAME,
        <TicketServiceServer<Api> as tonic::server::NamedService>::NAME,
        <OutcomeServiceServer<Api> as tonic::server::NamedService>::NAME,
        "",
    ];
    let reading = [
        <RecommendationServiceServer<Api> as tonic::server::NamedService>::NAME,
        <InsightServiceServer<Api> as tonic::server::NamedService>::NAME,
        <ModelServiceServer<Api> as tonic::server::NamedService>::NAME,
    ];
    for name in reading {
        health.set_service_status(name, Serving).await;
    }
    let mut last = None;
    loop {
        let status = if engine.is_read_only() {
            NotServing
        } else {
            Serving
        };
        if last != Some(status) {
            for name in writing {
                health.set_service_status(name, status).await;
            }
            last = Some(status);
        }
        tokio::select! {
            () = tokio::time::sleep(HEALTH_STEP) => {}
            () = shutdown.clone().wait() => break,
        }
    }
    for name in writing.into_iter().chain(reading) {
        health.set_service_status(name, NotServing).await;
    }
}
