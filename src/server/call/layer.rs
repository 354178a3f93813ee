//! Before the credential is looked at: the call begins, with its deadline and the size that it may have.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::Sleep;
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, Request, Response};
use tower::{Layer, Service};

use super::super::Limits;
use super::super::pulse::Pulse;
use super::Call;
use super::answer::{Answer, Running, overdue};
use super::shape::Shapes;
use super::upload::Upload;
use crate::engine::Patience;

/// Begins and ends calls.
#[derive(Debug, Clone)]
pub(in crate::server) struct CallLayer {
    shapes: Arc<Shapes>,
    longest: Duration,
    longest_stream: Duration,
    stall: Duration,
    pause: Duration,
}

impl CallLayer {
    /// A layer for calls within limits.
    pub(in crate::server) fn new(limits: &Limits) -> Result<Self, prost::DecodeError> {
        Ok(Self {
            shapes: Arc::new(Shapes::read()?),
            longest: limits.call,
            longest_stream: limits.stream,
            stall: limits.stall,
            pause: limits.idle,
        })
    }
}

impl<S> Layer<S> for CallLayer {
    type Service = Calls<S>;

    fn layer(&self, inner: S) -> Calls<S> {
        Calls {
            inner,
            layer: self.clone(),
        }
    }
}

/// A service behind the layer.
#[derive(Debug, Clone)]
pub(in crate::server) struct Calls<S> {
    inner: S,
    layer: CallLayer,
}

impl<S> Service<Request<Body>> for Calls<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Unpin,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Answering<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let layer = &self.layer;
        let shape = layer.shapes.of(request.uri().path());
        let longest = match shape.stream {
            true => layer.longest_stream,
            false => layer.longest,
        };
        let asked = asked(request.headers()).unwrap_or(longest);
        let call = Call::new(Patience::until(Instant::now() + asked.min(longest)));
        let extensions = request.extensions_mut();
        let pulse = extensions.remove::<Arc<Pulse>>().unwrap_or_default();
        extensions.insert(call.clone());
        let waits = (layer.stall, layer.pause);
        let request = request.map(|body| Body::new(Upload::new(body, shape, waits, pulse.clone())));
        let running = Running::new(call, shape.stream, pulse);
        Answering {
            inner: self.inner.call(request),
            running: Some(running),
            late: None,
        }
    }
}

/// A call whose answer has not begun.
pub(in crate::server) struct Answering<F> {
    inner: F,
    running: Option<Running>,
    late: Option<Pin<Box<Sleep>>>,
}

impl<F, E> Future for Answering<F>
where
    F: Future<Output = Result<Response<Body>, E>> + Unpin,
{
    type Output = Result<Response<Body>, E>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let answer = match Pin::new(&mut this.inner).poll(context) {
            Poll::Ready(answer) => answer,
            Poll::Pending => {
                // Most calls are answered at once and need no timer.
                let end = this
                    .running
                    .as_ref()
                    .map(|running| running.call.patience().end());
                let Some(end) = end else {
                    return Poll::Pending;
                };
                let late = this
                    .late
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(end.into())));
                if late.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                Ok(overdue().into_http())
            }
        };
        let running = this.running.take();
        Poll::Ready(answer.map(|answer| match running {
            Some(running) => answer.map(|body| Body::new(Answer::new(body, running))),
            None => answer,
        }))
    }
}

/// The time that a caller gives (`grpc-timeout`: at most 8 digits and a unit).
fn asked(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3_600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tonic::codegen::http::HeaderValue;

    use super::*;

    fn of(text: &[u8]) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-timeout", HeaderValue::from_bytes(text).unwrap());
        asked(&headers)
    }

    #[test]
    fn timeouts_are_read_as_the_protocol_says() {
        for (text, nanos) in [
            ("1H", 3_600_000_000_000),
            ("2M", 120_000_000_000),
            ("3S", 3_000_000_000),
            ("45m", 45_000_000),
            ("99999999u", 99_999_999_000),
            ("0n", 0_u64),
        ] {
            assert_eq!(
                of(text.as_bytes()),
                Some(Duration::from_nanos(nanos)),
                "{text}"
            );
        }
        for text in ["", "S", "1", "1s", "+1S", "-1S", "123456789S", "1 S", "１S"] {
            assert_eq!(of(text.as_bytes()), None, "{text}");
        }
        assert_eq!(asked(&HeaderMap::new()), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in prop::collection::vec(32_u8..=255, 0..12)) {
            prop_assume!(!text.contains(&127));
            of(&text);
        }
    }
}
