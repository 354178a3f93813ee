//! `carteira serve`: the server itself.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use jiff::SignedDuration;
use serde::Serialize;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::{FilterExt as _, LevelFilter, filter_fn};
use tracing_subscriber::layer::{Filter, Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry};

use super::door::Door;
use crate::config::{Config, LogFormat};
use crate::engine::Engine;
use crate::server::{Bound, Limits, on_signal};
use crate::store::OpenOptions;

/// Start the server.
///
/// Settings come from the flags here, over CARTEIRA_* variables, over the file, over defaults.
#[derive(Debug, clap::Args, Serialize)]
pub struct Args {
    /// Folder that holds everything; made when it is not there [default: data]
    #[arg(long, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    data_dir: Option<PathBuf>,
    /// Address to listen on [default: 127.0.0.1:50051]
    #[arg(long, value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    listen: Option<SocketAddr>,
    /// Certificate of the server and those that vouch for it, as PEM; with --tls-key
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_cert: Option<PathBuf>,
    /// Private key of the certificate, as PEM
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_key: Option<PathBuf>,
    /// Who vouches for callers' certificates, as PEM; callers then need one
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_client_ca: Option<PathBuf>,
    /// File with the operator's key; with it, or with CARTEIRA_OPERATOR_KEY, every call needs a key
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    operator_key_file: Option<PathBuf>,
    /// Listen beyond this machine even without TLS or without keys
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    insecure: bool,
    /// What to log: error, warn, info, debug, trace, or targets with levels [default: info]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<String>,
    /// How to write logs [default: text]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    log_format: Option<LogFormat>,
    /// Memory for caching the disk, in MiB [default: 64]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_mib: Option<u64>,
    /// Room to keep free on the disk, in MiB [default: 64]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    free_floor_mib: Option<u64>,
    /// Connections at once; more are closed when they come [default: 800]
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_connections: Option<usize>,
    /// Connections at once from one address [default: 200]
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_connections_per_address: Option<usize>,
    /// Connections of one address that may break the protocol in a second; then others of it wait for the next
    /// second; 0 for any number, where callers share the address of a proxy [default: 20]
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    breaches_per_address: Option<u32>,
    /// How long a new connection may take until its first call is there, in seconds [default: 10]
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    first_call_seconds: Option<u64>,
    /// How long a request may stop coming, or an answer be left untaken, in seconds [default: 10]
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    stall_seconds: Option<u64>,
    /// How long a connection may be without a call, in seconds [default: 300]
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    idle_seconds: Option<u64>,
    /// How old a connection becomes before it takes no new call, in seconds [default: 21600]
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    connection_age_seconds: Option<u64>,
    /// Longest that a call may take, whatever its caller asks for, in seconds [default: 600]
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    call_seconds: Option<u64>,
    /// Longest that a stream may go on, in seconds [default: 3600]
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_seconds: Option<u64>,
    /// Calls of one portfolio in a second; 0 for any number [default: 50000]
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    portfolio_calls_per_second: Option<u32>,
    /// Calls of one portfolio at once [default: 144]
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    portfolio_calls_at_once: Option<usize>,
    /// Computations at once; 0 for as many as there are cores [default: 0]
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    compute_threads: Option<usize>,
    /// Longest that a call may be foreseen to wait for its turn under overload, in milliseconds [default: 1000]
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    wait_ms: Option<u64>,
    /// Largest request, in MiB [default: 8]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    message_mib: Option<usize>,
    /// How old the newest checkpoint in the data folder may be; 0s keeps none [default: 24h]
    #[arg(long, value_name = "TIME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    checkpoint_every: Option<SignedDuration>,
    /// How long calls under way may take once the server is told to stop, in seconds [default: 4]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    drain_seconds: Option<u64>,
    /// TOML file with settings
    #[arg(long, value_name = "FILE", env = "CARTEIRA_CONFIG")]
    #[serde(skip)]
    config: Option<PathBuf>,
    /// Print the settings that would be used, and stop
    #[arg(long)]
    #[serde(skip)]
    print_config: bool,
}

/// Runs the server until it is told to stop.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let config = Config::load(args.config.as_deref(), args)?;
    if args.print_config {
        return super::output::print(toml::to_string(&config)?.trim_end());
    }
    log_to_stderr(&config)?;
    let door = Door::of(&config)?;
    let started = std::time::Instant::now();
    let engine = Engine::open(&config.data_dir, &options(&config))?;
    tracing::info!(
        data_dir = %config.data_dir.display(),
        portfolios = engine.tenants().len(),
        took_ms = started.elapsed().as_millis() as u64,
        "data folder checked and loaded"
    );
    if let Ok(every) = Duration::try_from(config.checkpoint_every)
        && !every.is_zero()
    {
        engine.keep_checkpoints(&config.data_dir, every)?;
    }
    let limits = limits(&config);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("no async runtime")?;
    let engine = Arc::new(engine);
    let served = runtime.block_on(async {
        let shutdown = on_signal()?;
        let bound = door.put_before(Bound::listen(config.listen).await?);
        tracing::info!(address = %bound.address(), door = door.describe(), "listening");
        bound.serve(engine.clone(), limits, shutdown).await?;
        anyhow::Ok(())
    });
    // Calls that were cut off may still hold the engine; give them a moment, then let it close.
    runtime.shutdown_timeout(Duration::from_secs(1));
    drop(engine);
    served
}

fn limits(config: &Config) -> Limits {
    let defaults = Limits::default();
    let seconds = |count: u64| Duration::from_secs(count.max(1));
    Limits {
        connections: config.max_connections.max(1),
        connections_per_address: config.max_connections_per_address.max(1),
        breaches_per_address: config.breaches_per_address,
        first_call: seconds(config.first_call_seconds),
        stall: seconds(config.stall_seconds),
        idle: seconds(config.idle_seconds),
        age: seconds(config.connection_age_seconds),
        call: seconds(config.call_seconds),
        stream: seconds(config.stream_seconds),
        message_bytes: config.message_mib.max(1) * 1024 * 1024,
        drain: Duration::from_secs(config.drain_seconds),
        portfolio_rate: config.portfolio_calls_per_second,
        portfolio_calls: config.portfolio_calls_at_once.max(1),
        compute_threads: match config.compute_threads {
            0 => defaults.compute_threads,
            threads => threads,
        },
        wait: Duration::from_millis(config.wait_ms.max(1)),
        ..defaults
    }
}

fn options(config: &Config) -> OpenOptions {
    OpenOptions {
        cache_bytes: config.cache_mib * 1024 * 1024,
        free_floor_bytes: config.free_floor_mib * 1024 * 1024,
        ..OpenOptions::default()
    }
}

fn log_to_stderr(config: &Config) -> anyhow::Result<()> {
    let filter = wanted(&config.log)?;
    let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry();
    match config.log_format {
        LogFormat::Text => registry.with(log.with_filter(filter)).init(),
        LogFormat::Json => registry.with(log.json().with_filter(filter)).init(),
    }
    Ok(())
}

/// What of the log is written.
fn wanted(levels: &str) -> anyhow::Result<impl Filter<Registry> + use<>> {
    let levels = EnvFilter::try_new(levels);
    let levels = levels.context("--log is not a level or a list of targets with levels")?;
    // Without a hint of its own it would take that of the levels away, and sled hand over every trace in vain.
    let ours = filter_fn(is_ours).with_max_level_hint(LevelFilter::TRACE);
    Ok(levels.and(ours))
}

/// Below `info` libraries log what goes through them, sled whole records with the names in them: of theirs
/// that is never written, whatever is asked for.
fn is_ours(event: &Metadata<'_>) -> bool {
    *event.level() <= Level::INFO || event.target().starts_with("carteira")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_never_written_is_not_asked_for() {
        for (levels, most) in [("warn", LevelFilter::WARN), ("info", LevelFilter::INFO)] {
            assert_eq!(wanted(levels).unwrap().max_level_hint(), Some(most));
        }
        let one_target = wanted("info,carteira=debug").unwrap();
        assert_eq!(one_target.max_level_hint(), Some(LevelFilter::DEBUG));
        assert!(wanted("carteira=loud").is_err());
    }
}
