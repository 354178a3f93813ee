//! An answer on its way out: in pieces, until the call's time is over, noted while its caller does not take it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use http_body::{Body as HttpBody, Frame, SizeHint};
use prost::bytes::Bytes;
use tokio::time::Sleep;
use tonic::Status;
use tonic::body::Body;

use super::super::pulse::Pulse;
use super::Call;

/// The largest piece that is handed on at once, in bytes: an answer is taken piece by piece, so that it
/// shows whether its caller goes on reading.
const PIECE: usize = 64 * 1024;

/// A call from its headers to the end of its answer. Ending it gives back its places.
pub(super) struct Running {
    pub(super) call: Call,
    pulse: Arc<Pulse>,
    stream: bool,
    held: bool,
}

impl Running {
    pub(super) fn new(call: Call, stream: bool, pulse: Arc<Pulse>) -> Self {
        pulse.call_begins();
        Self {
            call,
            pulse,
            stream,
            held: false,
        }
    }

    /// The caller was given something that it has not taken yet, or came for more.
    fn hold(&mut self, held: bool) {
        if self.held != held {
            self.held = held;
            self.pulse.hold(held, self.stream);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.hold(false);
        self.call.patience().leave();
        self.pulse.call_ends();
    }
}

/// The body of an answer, watched.
pub(super) struct Answer {
    body: Body,
    running: Running,
    /// Of a large piece, what was not handed on yet.
    rest: Bytes,
    late: Option<Pin<Box<Sleep>>>,
    /// Whether a message was handed on.
    begun: bool,
    ended: bool,
}

impl Answer {
    pub(super) fn new(body: Body, mut running: Running) -> Self {
        // A caller that opens no window never comes for the first piece.
        running.hold(!body.is_end_stream());
        Self {
            body,
            running,
            rest: Bytes::new(),
            late: None,
            begun: false,
            ended: false,
        }
    }

    /// Ends an answer whose time is over.
    fn end_late(&mut self) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.ended = true;
        let (said, ()) = overdue().into_http::<()>().into_parts();
        Poll::Ready(Some(Ok(Frame::trailers(said.headers))))
    }

    fn hand_on(&mut self, data: Bytes) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.rest = data;
        let piece = self.rest.split_to(PIECE.min(self.rest.len()));
        self.running.pulse.answered(piece.len());
        self.running.hold(true);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}

/// What is said when the time of a call is over.
pub(super) fn overdue() -> Status {
    Status::deadline_exceeded("the time of the call was over before its answer was")
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        this.running.hold(false);
        if this.ended {
            return Poll::Ready(None);
        }
        if !this.rest.is_empty() {
            let rest = std::mem::take(&mut this.rest);
            return this.hand_on(rest);
        }
        if this.begun && this.running.call.patience().is_over(Instant::now()) {
            return this.end_late();
        }
        match Pin::new(&mut this.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => {
                    this.begun = true;
                    this.hand_on(data)
                }
                Err(trailers) => {
                    this.ended = true;
                    Poll::Ready(Some(Ok(trailers)))
                }
            },
            Poll::Ready(other) => {
                this.ended = true;
                Poll::Ready(other)
            }
            Poll::Pending => {
                let end = this.running.call.patience().end();
                let late = this
                    .late
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(end.into())));
                if late.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                this.end_late()
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended || (self.rest.is_empty() && self.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
