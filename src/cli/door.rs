//! Who is let in: keys and TLS of a server, and where it may listen with what it has.

use std::path::Path;

use anyhow::{Context, bail};

use crate::config::Config;
use crate::server::{Bound, CertificateFiles, Certificates, OperatorKey};

/// The variable that the operator's key may stand in.
const VARIABLE: &str = "CARTEIRA_OPERATOR_KEY";

/// What stands before a server.
pub struct Door {
    operator: Option<OperatorKey>,
    tls: Option<Certificates>,
}

impl Door {
    /// Reads keys and certificates, and refuses to listen beyond this machine without them.
    pub fn of(config: &Config) -> anyhow::Result<Self> {
        let door = Self {
            operator: operator(config)?,
            tls: tls(config)?,
        };
        let missing = match (&door.tls, &door.operator) {
            (Some(_), Some(_)) => return Ok(door),
            (None, Some(_)) => "no TLS: set --tls-cert and --tls-key",
            (Some(_), None) => "no keys: set --operator-key-file",
            (None, None) => {
                "neither TLS nor keys: set --tls-cert, --tls-key and --operator-key-file"
            }
        };
        if !config.listen.ip().is_loopback() && !config.insecure {
            bail!(
                "{} can be reached from other machines, and there is {missing}; or listen on 127.0.0.1:{} behind a proxy that sees to it, or, on a network that nobody else is on, add --insecure",
                config.listen,
                config.listen.port()
            );
        }
        Ok(door)
    }

    /// Puts it before a server.
    pub fn put_before(&self, mut bound: Bound) -> Bound {
        if let Some(operator) = &self.operator {
            bound = bound.with_keys(operator.clone());
        }
        if let Some(tls) = &self.tls {
            bound = bound.with_tls(tls.clone());
        }
        bound
    }

    /// What it is, for the log.
    pub fn describe(&self) -> &'static str {
        match (&self.tls, &self.operator) {
            (Some(_), Some(_)) => "TLS and keys",
            (Some(_), None) => "TLS, no keys: whoever reaches it may do everything",
            (None, Some(_)) => "keys, no TLS",
            (None, None) => "no keys, no TLS: whoever reaches it may do everything",
        }
    }
}

fn operator(config: &Config) -> anyhow::Result<Option<OperatorKey>> {
    let text = match &config.operator_key_file {
        Some(path) => read(path, "the operator's key")?,
        None => match std::env::var(VARIABLE) {
            Ok(text) => text,
            Err(_) => return Ok(None),
        },
    };
    Ok(Some(OperatorKey::parse(&text)?))
}

fn tls(config: &Config) -> anyhow::Result<Option<Certificates>> {
    let (cert, key) = match (&config.tls_cert, &config.tls_key) {
        (Some(cert), Some(key)) => (cert, key),
        (None, None) if config.tls_client_ca.is_none() => return Ok(None),
        _ => bail!("TLS needs both --tls-cert and --tls-key"),
    };
    Ok(Some(Certificates::read(CertificateFiles {
        certificate: cert.clone(),
        key: key.clone(),
        client_authority: config.tls_client_ca.clone(),
    })?))
}

fn read(path: &Path, what: &str) -> anyhow::Result<String> {
    std::fs::read_to_string(path)
        .with_context(|| format!("{what} cannot be read from {}", path.display()))
}
