//! A request on its way in: it has to go on coming, and to stay within its size.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http_body::{Body as HttpBody, Frame, SizeHint};
use prost::bytes::{Buf, Bytes};
use tokio::time::{Instant, Sleep};
use tonic::Status;
use tonic::body::Body;

use super::super::pulse::Pulse;
use super::shape::Shape;

/// The least that a request has to bring within each of its waits, in bytes.
const LEAST: usize = 1024;
/// The bytes before each message.
const HEADER: usize = 5;

/// The body of a request, watched.
pub(super) struct Upload {
    body: Body,
    pulse: Arc<Pulse>,
    /// What may still come of a request of one small message.
    room: Option<usize>,
    many_messages: bool,
    /// How long a request may be silent, and a stream between its messages.
    stall: Duration,
    pause: Duration,
    /// Running while nothing is there to be read: what had come when it was wound up.
    waiting: Option<(Pin<Box<Sleep>>, usize)>,
    came: usize,
}

impl Upload {
    pub(super) fn new(
        body: Body,
        shape: Shape,
        (stall, pause): (Duration, Duration),
        pulse: Arc<Pulse>,
    ) -> Self {
        Self {
            body,
            pulse,
            room: shape.most_bytes.map(|most| most + HEADER),
            many_messages: shape.many_messages,
            stall,
            pause,
            waiting: None,
            came: 0,
        }
    }

    /// How long it may bring nothing, as things stand.
    fn patience(&self) -> Duration {
        match self.many_messages && self.came > 0 {
            true => self.pause,
            false => self.stall,
        }
    }
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) {
            let brought = match &frame {
                Some(Ok(frame)) => frame.data_ref().map_or(0, Buf::remaining),
                _ => 0,
            };
            this.came += brought;
            if let Some(room) = &mut this.room {
                let Some(left) = room.checked_sub(brought) else {
                    return Poll::Ready(Some(Err(Status::resource_exhausted(
                        "the request is larger than this call takes",
                    ))));
                };
                *room = left;
            }
            return Poll::Ready(frame);
        }
        loop {
            let patience = this.patience();
            let came = this.came;
            let (sleep, before) = this
                .waiting
                .get_or_insert_with(|| (Box::pin(tokio::time::sleep(patience)), came));
            ready!(sleep.as_mut().poll(context));
            let enough = match this.many_messages && came > 0 {
                true => came > *before,
                false => came >= *before + LEAST,
            };
            if !enough {
                this.pulse.accuse();
                return Poll::Ready(Some(Err(Status::deadline_exceeded(
                    "the rest of the request did not come",
                ))));
            }
            *before = came;
            sleep.as_mut().reset(Instant::now() + patience);
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
