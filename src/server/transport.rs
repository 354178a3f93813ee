//! Connections, from the first byte to the last: each has to come to a call in time, is judged by its
//! [`Pulse`] once a second, and is told to part before it is cut.

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tower::Service;

use super::certificates::Certificates;
use super::connections::{Place, Places};
use super::frames::Frames;
use super::pulse::{Pulse, Verdict};
use super::{Limits, Shutdown};

/// How often a connection is judged.
const JUDGED: Duration = Duration::from_secs(1);
/// How long to wait where the system has nothing left for a connection.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// Takes connections until the word to stop, then waits for the calls under way, for so long as they may
/// take.
pub(super) async fn serve<S>(
    listener: TcpListener,
    service: S,
    certificates: Option<Certificates>,
    limits: Limits,
    shutdown: Shutdown,
) where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
{
    let places = Arc::new(Places::new(&limits));
    let drain = limits.drain;
    let transport = Arc::new(Transport {
        service,
        certificates,
        builder: limits.transport(),
        limits,
        shutdown: shutdown.clone(),
    });
    let mut open = JoinSet::new();
    let mut stop = std::pin::pin!(shutdown.wait());
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    // One too many is closed at once, before anything is read of it.
                    if let Some(place) = places.clone().take(peer.ip()) {
                        open.spawn(transport.clone().keep(stream, peer, place));
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "a connection was not taken up");
                    if !of_the_peer(&error) {
                        tokio::time::sleep(EXHAUSTED).await;
                    }
                }
            },
            Some(_) = open.join_next() => {}
            () = &mut stop => break,
        }
    }
    drop(listener);
    let ended = async { while open.join_next().await.is_some() {} };
    if tokio::time::timeout(drain, ended).await.is_err() {
        tracing::warn!(
            drain_s = drain.as_secs(),
            connections = open.len(),
            "calls under way were cut off"
        );
    }
}

/// Whether an accept failed because of who wanted in, and the next may go well.
fn of_the_peer(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | Interrupted
    )
}

/// Whether a connection failed because of what its peer said, and not because it left.
fn breaks_protocol(error: &(dyn Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| (*error).source()).any(|cause| {
        let said = cause.downcast_ref::<h2::Error>();
        let asked = cause.downcast_ref::<hyper::Error>();
        said.is_some_and(h2::Error::is_library) || asked.is_some_and(hyper::Error::is_parse)
    })
}

/// What all connections share.
struct Transport<S> {
    service: S,
    certificates: Option<Certificates>,
    builder: Builder<TokioExecutor>,
    limits: Limits,
    shutdown: Shutdown,
}

impl<S> Transport<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
{
    /// Keeps one connection until it ends.
    async fn keep(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, place: Place) {
        while let Some(until) = place.waits(Instant::now()) {
            tokio::select! {
                () = tokio::time::sleep_until(until.into()) => {}
                () = self.shutdown.clone().wait() => return,
            }
        }
        let began = Instant::now();
        // Without it an answer's trailer waits for the caller's delayed acknowledgement, some 40 ms.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, %peer, "no TCP_NODELAY");
        }
        match self.certificates.as_ref().map(Certificates::acceptor) {
            None => self.talk(stream, began, peer, &place).await,
            Some(acceptor) => {
                let agreed =
                    tokio::time::timeout(self.limits.first_call, acceptor.accept(stream)).await;
                match agreed {
                    Ok(Ok(stream)) => Box::pin(self.talk(stream, began, peer, &place)).await,
                    Ok(Err(error)) => tracing::debug!(%error, %peer, "no agreement on TLS"),
                    Err(_) => tracing::debug!(%peer, "no agreement on TLS in time"),
                }
            }
        }
        drop(place);
    }

    async fn talk<IO>(&self, stream: IO, began: Instant, peer: SocketAddr, place: &Place)
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let pulse = Arc::new(Pulse::new(began));
        let frames = Frames::new(stream, pulse.clone(), self.limits.control_frames);
        let service = TowerToHyperService::new(Counted {
            service: self.service.clone(),
            pulse: pulse.clone(),
        });
        let mut connection =
            std::pin::pin!(self.builder.serve_connection(TokioIo::new(frames), service));
        let mut stop = std::pin::pin!(self.shutdown.clone().wait());
        let mut tick = tokio::time::interval(JUDGED);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut parting = None;
        let mut stopping = false;
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        if breaks_protocol(&*error) {
                            place.breached(Instant::now());
                        }
                        tracing::debug!(error, %peer, "a connection failed");
                    }
                    return;
                }
                () = stop.as_mut(), if !stopping => {
                    stopping = true;
                    if parting.is_none() {
                        parting = Some(Instant::now());
                        connection.as_mut().graceful_shutdown();
                    }
                }
                _ = tick.tick() => match pulse.judge(Instant::now(), &self.limits, parting) {
                    Verdict::Stay => {}
                    Verdict::Part(why) => {
                        tracing::debug!(why, %peer, "a connection is to part");
                        parting = Some(Instant::now());
                        connection.as_mut().graceful_shutdown();
                    }
                    Verdict::Cut(why) => {
                        tracing::debug!(why, %peer, "a connection was cut");
                        return;
                    }
                },
            }
        }
    }
}

/// The service of one connection: its calls know its pulse.
#[derive(Clone)]
struct Counted<S> {
    service: S,
    pulse: Arc<Pulse>,
}

impl<S> Service<Request<Incoming>> for Counted<S>
where
    S: Service<Request<Body>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Incoming>) -> S::Future {
        request.extensions_mut().insert(self.pulse.clone());
        self.service.call(request.map(Body::new))
    }
}
