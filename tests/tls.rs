//! TLS from a real client to a real server, with certificates made for the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::path::Path;
use std::process::{Command, Output};

use common::{BINARY, Server, data_dir};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

const OPERATOR: &str = "0123456789abcdef0123456789abcdef";

/// Writes `ca.pem`, and `server.pem` with `server.key` that it vouches for, for 127.0.0.1.
fn certificates(folder: &Path) {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::<String>::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = authority.self_signed(&authority_key).unwrap();
    std::fs::write(folder.join("ca.pem"), certificate.pem()).unwrap();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = server.signed_by(&key, &issuer).unwrap();
    std::fs::write(folder.join("server.pem"), certificate.pem()).unwrap();
    std::fs::write(folder.join("server.key"), key.serialize_pem()).unwrap();
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
