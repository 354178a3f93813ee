//! Before everything: the credential of a call, and calls that nobody may make without one.

use std::pin::Pin;
use std::task::{Context, Poll};

use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, Request, Response, header};
use tower::{Layer, Service};

use super::super::call::Call;
use super::credential::{OperatorKey, Presented};
use super::gate::{Caller, Credential};
use super::rights::{Need, need};

/// Reads credentials. Without an operator's key everybody is trusted.
#[derive(Debug, Clone)]
pub(in crate::server) struct AccessLayer {
    operator: Option<OperatorKey>,
}

impl AccessLayer {
    /// A layer for a server with or without keys.
    pub(in crate::server) fn new(operator: Option<OperatorKey>) -> Self {
        Self { operator }
    }

    fn credential(&self, path: &str, headers: &HeaderMap) -> Result<(Credential, Need), Status> {
        let Some(operator) = &self.operator else {
            return Ok((Credential::Trusted, Need::Nothing));
        };
        let need = need(path).ok_or_else(|| Status::unimplemented("there is no such call"))?;
        if need == Need::Nothing {
            return Ok((Credential::None, need));
        }
        let shown = headers.get(header::AUTHORIZATION);
        let text = shown.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let missing = || {
            Status::unauthenticated(
                "this server asks for a key: send it as the metadata `authorization: Bearer <key>`",
            )
        };
        let text = text.ok_or_else(missing)?;
        if operator.is(text) {
            return Ok((Credential::Operator, need));
        }
        let presented = Presented::parse(text).ok_or_else(|| {
            Status::unauthenticated("the key is none: it looks like ctk_0123456789abcdef_…")
        })?;
        if need == Need::Operator {
            return Err(Status::permission_denied(
                "this call needs the operator's key; a portfolio's key does not do",
            ));
        }
        Ok((Credential::Key(presented), need))
    }
}

impl<S> Layer<S> for AccessLayer {
    type Service = Access<S>;

    fn layer(&self, inner: S) -> Access<S> {
        Access {
            inner,
            layer: self.clone(),
        }
    }
}

/// A service behind the layer.
#[derive(Debug, Clone)]
pub(in crate::server) struct Access<S> {
    inner: S,
    layer: AccessLayer,
}

type Answer<E> = Pin<Box<dyn Future<Output = Result<Response<Body>, E>> + Send>>;

impl<S, B> Service<Request<B>> for Access<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Answer<S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let credential = self
            .layer
            .credential(request.uri().path(), request.headers());
        match credential {
            Ok((credential, need)) => {
                if let Some(call) = request.extensions_mut().remove::<Call>() {
                    let caller = Caller::new(credential, need, call);
                    request.extensions_mut().insert(caller);
                }
                Box::pin(self.inner.call(request))
            }
            Err(status) => Box::pin(async move { Ok(status.into_http()) }),
        }
    }
}
