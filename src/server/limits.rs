//! What one server lets in, with defaults that need no reading.

use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto::Builder;

use crate::engine::QueueRules;

/// What one server lets in.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// Connections at once from one address.
    pub connections_per_address: usize,
    /// Connections of one address that may break the protocol in a second; 0 for any number.
    pub breaches_per_address: u32,
    /// How long a new connection may take until its first call is there, with all that comes before it.
    pub first_call: Duration,
    /// How long a request may stop coming, or an answer be left untaken.
    pub stall: Duration,
    /// How long a connection may be without a call, and a stream of requests without a message.
    pub idle: Duration,
    /// How old a connection becomes; then it takes no new call.
    pub age: Duration,
    /// How long the calls under way may take then.
    pub grace: Duration,
    /// The largest request, in bytes; one without a list in it may have 64 KiB.
    pub message_bytes: usize,
    /// The largest message of an answer, in bytes.
    pub answer_bytes: usize,
    /// The longest that a call may take, whatever its caller asks for.
    pub call: Duration,
    /// The longest that a stream may go on.
    pub stream: Duration,
    /// Calls at once on one connection.
    pub concurrent_streams: u32,
    /// Streams that a peer may have us reset before its connection is closed.
    pub local_error_resets: usize,
    /// Streams that a peer may reset before we have taken them up.
    pub pending_resets: usize,
    /// The largest headers of a request, in bytes.
    pub header_bytes: u32,
    /// Bytes of one answer that may wait in the connection for its caller to take them.
    pub send_buffer_bytes: usize,
    /// Frames a second on one connection that carry nothing of a call, beyond what its calls need.
    pub control_frames: u32,
    /// How often a silent connection is asked whether it is still there.
    pub keepalive: Duration,
    /// How long its answer may take.
    pub keepalive_timeout: Duration,
    /// How long calls under way may take after the word to stop.
    pub drain: Duration,
    /// Calls of one portfolio in a second; 0 for any number.
    pub portfolio_rate: u32,
    /// Calls of one portfolio at once.
    pub portfolio_calls: usize,
    /// Computations at once.
    pub compute_threads: usize,
    /// The longest that a computation may be foreseen to wait for a thread while there is more to do than
    /// can be done.
    pub wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // With the store's files these stay under the 1,024 that a process may usually have open.
            connections: 800,
            // A proxy shares its connections among callers; one that does not needs this set.
            connections_per_address: 200,
            // A caller that is out of order now and then is served; one that only breaks in is not worth reading.
            breaches_per_address: 20,
            first_call: Duration::from_secs(10),
            stall: Duration::from_secs(10),
            // Clients that keep a channel open make a new connection with their next call.
            idle: Duration::from_secs(300),
            // Long enough for any import, short enough that callers spread anew over several servers.
            age: Duration::from_secs(6 * 3_600),
            grace: Duration::from_secs(600),
            // 10,000 sales with the longest ids take 4 MB.
            message_bytes: 8 * 1024 * 1024,
            // 1,000 opportunities take less than 1 MB, a client's whole export a few.
            answer_bytes: 32 * 1024 * 1024,
            call: Duration::from_secs(600),
            stream: Duration::from_secs(3_600),
            concurrent_streams: 200,
            // The library's own default is none at all, which leaves out the guard of
            // RUSTSEC-2024-0003.
            local_error_resets: 1_024,
            // All calls of a connection may run out of time at one moment.
            pending_resets: 200,
            header_bytes: 16 * 1024,
            send_buffer_bytes: 64 * 1024,
            control_frames: 1_000,
            keepalive: Duration::from_secs(60),
            keepalive_timeout: Duration::from_secs(20),
            // With a second for what is cut off then, the process is gone within 5.
            drain: Duration::from_secs(4),
            // Two cores answer somewhat fewer of the cheapest calls: on small machines the calls at once
            // are what keeps portfolios apart, until this is set to what each is to have.
            portfolio_rate: 50_000,
            portfolio_calls: 144,
            compute_threads: std::thread::available_parallelism().map_or(2, usize::from),
            // 64 callers that each wait for their answer are no overload: with some milliseconds an answer
            // they stay below.
            wait: Duration::from_secs(1),
        }
    }
}

impl Limits {
    /// A transport with these limits.
    pub(super) fn transport(&self) -> Builder<TokioExecutor> {
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(self.first_call)
            .max_buf_size((self.header_bytes as usize).max(8 * 1024));
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(self.concurrent_streams)
            .max_local_error_reset_streams(self.local_error_resets)
            .max_pending_accept_reset_streams(self.pending_resets)
            .max_header_list_size(self.header_bytes)
            .max_send_buf_size(self.send_buffer_bytes)
            .keep_alive_interval(self.keepalive)
            .keep_alive_timeout(self.keepalive_timeout);
        builder
    }

    /// Who may wait for a thread that computes.
    pub(super) fn queue(&self) -> QueueRules {
        QueueRules {
            most: 1_024,
            burst: self.wait * 4,
            standing: self.wait,
            standing_after: self.wait * 2,
        }
    }

    /// Who may wait for work that takes minutes: whoever has the time.
    pub(super) fn patient_queue(&self) -> QueueRules {
        QueueRules {
            burst: self.stream,
            standing: self.stream,
            ..self.queue()
        }
    }
}
