//! TLS from a real client to a real server, with certificates made for the test: who is served, for how long
//! an agreement may take, and certificates that change while calls go on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{BINARY, Server, data_dir};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

const OPERATOR: &str = "0123456789abcdef0123456789abcdef";

/// Whoever vouches for others.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut authority = CertificateParams::new(Vec::<String>::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = authority.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(authority, key),
            pem,
        }
    }

    /// A certificate for a name, and its key.
    fn vouch(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

/// Writes `server.pem` with `server.key` for 127.0.0.1.
fn write_pair(folder: &Path, authority: &Authority) {
    let (certificate, key) = authority.vouch("127.0.0.1");
    std::fs::write(folder.join("server.pem"), certificate).unwrap();
    std::fs::write(folder.join("server.key"), key).unwrap();
}

/// Writes `ca.pem`, and `server.pem` with `server.key` that it vouches for, for 127.0.0.1.
fn certificates(folder: &Path) -> Authority {
    let authority = Authority::new();
    std::fs::write(folder.join("ca.pem"), &authority.pem).unwrap();
    write_pair(folder, &authority);
    authority
}

fn portfolios(endpoint: &str, ca: Option<&Path>) -> Output {
    let mut command = Command::new(BINARY);
    command.args(["portfolios", "--endpoint", endpoint, "--output", "json"]);
    if let Some(ca) = ca {
        command.arg("--tls-ca").arg(ca);
    }
    command.env("CARTEIRA_KEY", OPERATOR).output().unwrap()
}

#[test]
fn a_client_that_trusts_the_certificate_is_served_and_others_see_nothing() {
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (cert, key, ca) = (path("server.pem"), path("server.key"), path("ca.pem"));
    let mut settings = vec![
        ("CARTEIRA_TLS_CERT", cert.as_str()),
        ("CARTEIRA_TLS_KEY", key.as_str()),
        ("CARTEIRA_OPERATOR_KEY", OPERATOR),
    ];
    let server = Server::start_with(&data_dir(&folder), &settings);
    let secure = server.endpoint.replace("http://", "https://");
    let served = portfolios(&secure, Some(Path::new(&ca)));
    let said = String::from_utf8_lossy(&served.stderr).into_owned();
    assert!(served.status.success(), "{said}");
    assert_eq!(String::from_utf8_lossy(&served.stdout).trim(), "[]");
    for (endpoint, ca) in [(&secure, None), (&server.endpoint, None)] {
        let refused = portfolios(endpoint, ca);
        assert!(!refused.status.success() && refused.stdout.is_empty());
    }
    let said = String::from_utf8_lossy(&portfolios(&secure, None).stderr).into_owned();
    assert!(said.contains("--tls-ca"), "{said}");
    server.terminate();

    // Where callers need a certificate too, one without is not served.
    settings.push(("CARTEIRA_TLS_CLIENT_CA", ca.as_str()));
    let server = Server::start_with(&data_dir(&folder), &settings);
    let secure = server.endpoint.replace("http://", "https://");
    let refused = portfolios(&secure, Some(Path::new(&ca)));
    assert!(!refused.status.success() && refused.stdout.is_empty());
    server.terminate();
}

/// A client that trusts an authority and may show a certificate of its own.
async fn channel(
    server: &Server,
    authority: &Authority,
    own: Option<&(String, String)>,
) -> Result<Channel, tonic::transport::Error> {
    let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&authority.pem));
    if let Some((certificate, key)) = own {
        tls = tls.identity(Identity::from_pem(certificate, key));
    }
    let endpoint = server.endpoint.replace("http://", "https://");
    let endpoint = Channel::from_shared(endpoint).unwrap().tls_config(tls)?;
    endpoint.connect().await
}

async fn is_served(channel: Channel) -> bool {
    let answer = HealthClient::new(channel)
        .check(HealthCheckRequest::default())
        .await;
    answer.is_ok()
}

/// Agrees on TLS in one version.
async fn agree(
    server: &Server,
    authority: &Authority,
    version: &'static SupportedProtocolVersion,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap())
        .unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let to = server.endpoint.trim_start_matches("http://");
    let stream = TcpStream::connect(to).await?;
    let name = ServerName::try_from("127.0.0.1").unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_somebody_else_vouches_for_lets_nobody_in() {
    let folder = tempfile::tempdir().unwrap();
    let authority = certificates(folder.path());
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (cert, key, ca) = (path("server.pem"), path("server.key"), path("ca.pem"));
    let settings = [
        ("CARTEIRA_TLS_CERT", cert.as_str()),
        ("CARTEIRA_TLS_KEY", key.as_str()),
        ("CARTEIRA_TLS_CLIENT_CA", ca.as_str()),
    ];
    let server = Server::start_with(&data_dir(&folder), &settings);
    let right = authority.vouch("a client");
    assert!(is_served(channel(&server, &authority, Some(&right)).await.unwrap()).await);
    let stranger = Authority::new().vouch("a client");
    for (what, own) in [("none", None), ("a stranger's", Some(&stranger))] {
        // With TLS 1.3 a client learns only with its first call that it is not let in.
        if let Ok(channel) = channel(&server, &authority, own).await {
            assert!(!is_served(channel).await, "{what}");
        }
    }
    server.terminate();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_1_2_and_1_3_are_spoken_and_a_caller_that_says_nothing_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let authority = certificates(folder.path());
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (cert, key) = (path("server.pem"), path("server.key"));
    let settings = [
        ("CARTEIRA_TLS_CERT", cert.as_str()),
        ("CARTEIRA_TLS_KEY", key.as_str()),
        ("CARTEIRA_FIRST_CALL_SECONDS", "1"),
    ];
    let server = Server::start_with(&data_dir(&folder), &settings);
    let mut away = [0; 1024];
    for version in [&TLS12, &TLS13] {
        let mut stream = agree(&server, &authority, version).await.unwrap();
        let agreed = stream.get_ref().1.protocol_version().unwrap();
        assert_eq!(agreed, version.version);
        let closing = async { while stream.read(&mut away).await.is_ok_and(|read| read > 0) {} };
        let closed = tokio::time::timeout(Duration::from_secs(5), closing).await;
        assert!(
            closed.is_ok(),
            "{agreed:?}: a silent caller keeps its place"
        );
    }
    // One that does not even begin to agree.
    let to = server.endpoint.trim_start_matches("http://");
    let mut silent = TcpStream::connect(to).await.unwrap();
    let closed = tokio::time::timeout(Duration::from_secs(5), silent.read(&mut away)).await;
    assert!(closed.is_ok_and(|read| !matches!(read, Ok(1..))));
    server.terminate();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_change_while_calls_go_on_and_none_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let old = certificates(folder.path());
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (cert, key) = (path("server.pem"), path("server.key"));
    let settings = [
        ("CARTEIRA_TLS_CERT", cert.as_str()),
        ("CARTEIRA_TLS_KEY", key.as_str()),
    ];
    let server = Server::start_with(&data_dir(&folder), &settings);
    let kept = channel(&server, &old, None).await.unwrap();
    let calling = tokio::spawn(async move {
        let mut health = HealthClient::new(kept);
        let mut watch = health
            .watch(HealthCheckRequest::default())
            .await
            .unwrap()
            .into_inner();
        watch.message().await.unwrap().unwrap();
        let began = Instant::now();
        let mut calls = 0;
        while began.elapsed() < Duration::from_secs(10) {
            health.check(HealthCheckRequest::default()).await.unwrap();
            calls += 1;
        }
        // The stream that was opened before is still open.
        assert!(
            tokio::time::timeout(Duration::from_millis(50), watch.message())
                .await
                .is_err()
        );
        calls
    });

    // A file that cannot be used changes nothing.
    std::fs::write(folder.path().join("server.pem"), "half a certif").unwrap();
    hang_up(&server);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(is_served(channel(&server, &old, None).await.unwrap()).await);

    // At the signal at once.
    let new = Authority::new();
    write_pair(folder.path(), &new);
    hang_up(&server);
    let took = until_served(&server, &new).await;
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(channel(&server, &old, None).await.is_err());

    // And by itself when the files change.
    let newest = Authority::new();
    write_pair(folder.path(), &newest);
    let took = until_served(&server, &newest).await;
    assert!(took < Duration::from_secs(8), "{took:?}");
    assert!(channel(&server, &new, None).await.is_err());
    let calls = calling.await.unwrap();
    println!(
        "{calls} calls and a stream on one connection over two changes, 0 dropped; seen by itself after {took:?}"
    );
    let log = server.stop();
    assert!(
        log.iter().any(|line| line.contains("not read anew")),
        "{log:#?}"
    );
}

fn hang_up(server: &Server) {
    let pid = server.pid().to_string();
    let told = Command::new("kill").args(["-HUP", &pid]).status().unwrap();
    assert!(told.success());
}

/// How long until a client that trusts an authority is served.
async fn until_served(server: &Server, authority: &Authority) -> Duration {
    let began = Instant::now();
    loop {
        if let Ok(channel) = channel(server, authority, None).await {
            assert!(is_served(channel).await);
            return began.elapsed();
        }
        assert!(began.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
