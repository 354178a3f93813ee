//! Settings of the server: flags over `CARTEIRA_*` variables over a TOML file over defaults.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// All settings of `carteira serve`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The folder that holds everything.
    pub data_dir: PathBuf,
    /// The address to listen on.
    pub listen: SocketAddr,
    /// The server's certificate with those that vouch for it, as PEM; with `tls_key`, TLS is spoken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's private key, as PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<PathBuf>,
    /// Who vouches for callers' certificates, as PEM; callers then need one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_client_ca: Option<PathBuf>,
    /// A file with the operator's key; with it, every call needs a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator_key_file: Option<PathBuf>,
    /// Whether to listen beyond this machine without TLS or without keys.
    pub insecure: bool,
    /// What is logged: a level, or targets with levels.
    pub log: String,
    /// How logs are written.
    pub log_format: LogFormat,
    /// Memory that the store may use to cache the disk, in MiB.
    pub cache_mib: u64,
    /// Room that stays free on the disk, in MiB; writes are refused before it is touched.
    pub free_floor_mib: u64,
    /// Connections at once.
    pub max_connections: usize,
    /// Connections at once from one address.
    pub max_connections_per_address: usize,
    /// Connections of one address that may break the protocol in a second; 0 for any number.
    pub breaches_per_address: u32,
    /// How long a new connection may take until its first call, in seconds.
    pub first_call_seconds: u64,
    /// How long a request may stop coming, or an answer be left untaken, in seconds.
    pub stall_seconds: u64,
    /// How long a connection may be without a call, in seconds.
    pub idle_seconds: u64,
    /// How old a connection becomes, in seconds; then it takes no new call.
    pub connection_age_seconds: u64,
    /// The longest that a call may take, in seconds, whatever its caller asks for.
    pub call_seconds: u64,
    /// The longest that a stream may go on, in seconds.
    pub stream_seconds: u64,
    /// Calls of one portfolio in a second; 0 for any number.
    pub portfolio_calls_per_second: u32,
    /// Calls of one portfolio at once.
    pub portfolio_calls_at_once: usize,
    /// Computations at once; 0 for as many as there are cores.
    pub compute_threads: usize,
    /// The longest that a computation may be foreseen to wait for a thread under overload, in milliseconds.
    pub wait_ms: u64,
    /// The largest request, in MiB.
    pub message_mib: usize,
    /// How old the newest checkpoint may be, such as `24h`; `0s` keeps none.
    pub checkpoint_every: SignedDuration,
    /// How long calls under way may take after the word to stop, in seconds.
    pub drain_seconds: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("data"),
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 50_051),
            tls_cert: None,
            tls_key: None,
            tls_client_ca: None,
            operator_key_file: None,
            insecure: false,
            log: "info".into(),
            log_format: LogFormat::Text,
            cache_mib: 64,
            free_floor_mib: 64,
            max_connections: 800,
            max_connections_per_address: 200,
            breaches_per_address: 20,
            first_call_seconds: 10,
            stall_seconds: 10,
            idle_seconds: 300,
            connection_age_seconds: 21_600,
            call_seconds: 600,
            stream_seconds: 3_600,
            portfolio_calls_per_second: 50_000,
            portfolio_calls_at_once: 144,
            compute_threads: 0,
            wait_ms: 1_000,
            message_mib: 8,
            checkpoint_every: SignedDuration::from_hours(24),
            drain_seconds: 4,
        }
    }
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
#[error("the settings cannot be read: {0}; `carteira serve --print-config` shows what they may be")]
pub struct ConfigError(#[from] Box<figment::Error>);

impl Config {
    /// Settings from all sources; `flags` holds those that were given.
    pub fn load<F: Serialize>(file: Option<&Path>, flags: &F) -> Result<Self, ConfigError> {
        let mut sources = Figment::from(Serialized::defaults(Self::default()));
        if let Some(file) = file {
            sources = sources.merge(Toml::file_exact(file));
        }
        // CARTEIRA_ENDPOINT and CARTEIRA_PORTFOLIO are the client commands' own.
        let own = [
            "data_dir",
            "listen",
            "tls_cert",
            "tls_key",
            "tls_client_ca",
            "operator_key_file",
            "insecure",
            "log",
            "log_format",
            "cache_mib",
            "free_floor_mib",
            "max_connections",
            "max_connections_per_address",
            "breaches_per_address",
            "first_call_seconds",
            "stall_seconds",
            "idle_seconds",
            "connection_age_seconds",
            "call_seconds",
            "stream_seconds",
            "portfolio_calls_per_second",
            "portfolio_calls_at_once",
            "compute_threads",
            "wait_ms",
            "message_mib",
            "checkpoint_every",
            "drain_seconds",
        ];
        let sources = sources
            .merge(Env::prefixed("CARTEIRA_").only(&own))
            .merge(Serialized::defaults(flags));
        sources
            .extract()
            .map_err(|error| ConfigError(Box::new(error)))
    }
}
