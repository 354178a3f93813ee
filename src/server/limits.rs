//! Limits of the transport, with defaults that need no reading.

use std::time::Duration;

use tonic::transport::Server;

/// What one server lets in.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// Connections at once from one address.
    pub connections_per_address: usize,
    /// How long a new connection may take to say what it speaks, and then to agree on TLS.
    pub preface: Duration,
    /// The largest request, in bytes.
    pub message_bytes: usize,
    /// Calls at once on one connection.
    pub concurrent_streams: u32,
    /// Streams that a peer may have us reset before its connection is closed.
    pub local_error_resets: usize,
    /// Streams that a peer may reset before we have taken them up.
    pub pending_resets: usize,
    /// The largest headers of a request, in bytes.
    pub header_bytes: u32,
    /// How often a silent connection is asked whether it is still there.
    pub keepalive: Duration,
    /// How long its answer may take.
    pub keepalive_timeout: Duration,
    /// How long calls under way may take after the word to stop.
    pub drain: Duration,
    /// Computations at once.
    pub compute_threads: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // With the store's files these stay under the 1,024 that a process may usually have open.
            connections: 800,
            // A proxy shares its connections among callers; one that does not needs this set.
            connections_per_address: 200,
            preface: Duration::from_secs(10),
            // 10,000 sales with the longest ids take 4 MB.
            message_bytes: 8 * 1024 * 1024,
            concurrent_streams: 200,
            // The library's own default is none at all, which leaves out the guard of
            // RUSTSEC-2024-0003.
            local_error_resets: 1_024,
            pending_resets: 20,
            header_bytes: 16 * 1024,
            keepalive: Duration::from_secs(60),
            keepalive_timeout: Duration::from_secs(20),
            drain: Duration::from_secs(5),
            compute_threads: std::thread::available_parallelism().map_or(2, usize::from),
        }
    }
}

impl Limits {
    /// A transport with these limits.
    pub(super) fn apply(&self, server: Server) -> Server {
        server
            .max_concurrent_streams(Some(self.concurrent_streams))
            .http2_max_local_error_reset_streams(Some(self.local_error_resets))
            .http2_max_pending_accept_reset_streams(Some(self.pending_resets))
            .http2_max_header_list_size(Some(self.header_bytes))
            .http2_keepalive_interval(Some(self.keepalive))
            .http2_keepalive_timeout(Some(self.keepalive_timeout))
    }
}
