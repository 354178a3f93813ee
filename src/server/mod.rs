//! The edge: gRPC, gRPC-web, health and reflection on one port.
//!
//! One file a service, thin: read the request into domain types, ask the engine, write the answer.
//! What is wrong with a request is found here, once, and named field by field. No computation runs
//! on the async threads.

mod access;
mod catalog;
mod client_filter;
mod compute;
mod connections;
mod effect;
mod form;
mod insights;
mod keys;
mod limits;
mod model;
mod opportunities;
mod outcomes;
mod portfolios;
mod receipts;
mod recommendations;
mod selected;
mod showings;
mod shutdown;
mod status;
mod tickets;
mod token;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tonic::transport::ServerTlsConfig;
use tonic_web::GrpcWebLayer;

pub use access::{OperatorKey, OperatorKeyError};
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
use compute::Compute;

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
    /// The transport failed.
    #[error("the server stopped: {0}")]
    Transport(#[from] tonic::transport::Error),
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
    tls: Option<ServerTlsConfig>,
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
    pub fn with_tls(self, tls: ServerTlsConfig) -> Self {
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
        let api = Api {
            gate: Gate::new(engine.clone()),
            compute: Compute::new(limits.compute_threads),
            evaluations: Compute::new(1),
        };
        let (health, health_service) = tonic_health::server::health_reporter();
        let watched = tokio::spawn(watch_health(engine, health, shutdown.clone()));
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .build_v1()?;
        let message = limits.message_bytes;
        let mut builder = limits.apply(tonic::transport::Server::builder());
        if let Some(tls) = self.tls {
            builder = builder.tls_config(tls.timeout(limits.preface))?;
        }
        let router = builder
            .accept_http1(true)
            .layer(GrpcWebLayer::new())
            .layer(AccessLayer::new(self.operator))
            .add_service(health_service)
            .add_service(reflection)
            .add_service(
                PortfolioServiceServer::new(api.clone()).max_decoding_message_size(message),
            )
            .add_service(CatalogServiceServer::new(api.clone()).max_decoding_message_size(message))
            .add_service(TicketServiceServer::new(api.clone()).max_decoding_message_size(message))
            .add_service(OutcomeServiceServer::new(api.clone()).max_decoding_message_size(message))
            .add_service(InsightServiceServer::new(api.clone()).max_decoding_message_size(message))
            .add_service(ModelServiceServer::new(api.clone()).max_decoding_message_size(message))
            .add_service(RecommendationServiceServer::new(api).max_decoding_message_size(message));
        let incoming = connections::admitted(self.listener, &limits);
        let serving = router.serve_with_incoming_shutdown(incoming, shutdown.clone().wait());
        let overdue = async {
            shutdown.wait().await;
            tokio::time::sleep(limits.drain).await;
        };
        let served = tokio::select! {
            served = serving => served.map_err(ServeError::from),
            () = overdue => {
                tracing::warn!(drain_s = limits.drain.as_secs(), "calls under way were cut off");
                Ok(())
            }
        };
        watched.abort();
        served
    }
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
