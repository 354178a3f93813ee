//! The certificates of a server: read from files, and read anew when these change, without a call dropped.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::signal::unix::{SignalKind, signal};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig};

use super::Shutdown;

/// How often the files are looked at.
const LOOKED_AT: Duration = Duration::from_secs(5);

/// Why there are no certificates.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("{what} cannot be read from {path}: {error}")]
    Read {
        /// What should stand in it.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// A file holds something else.
    #[error("{path} does not hold {what} as PEM: {error}")]
    Pem {
        /// What should stand in it.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: String,
    },
    /// The certificate and its key cannot be used together.
    #[error("the certificate and its key cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
    /// Nobody can vouch for callers.
    #[error("who vouches for callers cannot be used: {0}")]
    Verifier(#[from] VerifierBuilderError),
}

/// Where the certificates stand.
#[derive(Debug, Clone)]
pub struct CertificateFiles {
    /// The server's certificate with those that vouch for it, as PEM.
    pub certificate: PathBuf,
    /// Its private key, as PEM.
    pub key: PathBuf,
    /// Who vouches for callers' certificates, as PEM; callers then need one.
    pub client_authority: Option<PathBuf>,
}

/// What the files held.
#[derive(PartialEq, Eq)]
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_authority: Option<Vec<u8>>,
}

/// The certificates that new connections are met with. Copies change together.
#[derive(Clone)]
pub struct Certificates {
    files: Arc<CertificateFiles>,
    config: Arc<ArcSwap<ServerConfig>>,
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

impl Certificates {
    /// Reads certificates from files.
    pub fn read(files: CertificateFiles) -> Result<Self, CertificateError> {
        let config = config(&files, &contents(&files)?)?;
        Ok(Self {
            files: Arc::new(files),
            config: Arc::new(ArcSwap::from_pointee(config)),
        })
    }

    /// What agrees on TLS with a new connection.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config.load_full())
    }

    /// Reads the files anew at SIGHUP and whenever their contents change, until the word to stop.
    /// Connections that are open go on as they are. Files that cannot be used change nothing, so that
    /// those who write them need no care in which order.
    pub(super) async fn keep_fresh(self, shutdown: Shutdown) {
        let mut hang_up = match signal(SignalKind::hangup()) {
            Ok(hang_up) => hang_up,
            Err(error) => {
                tracing::error!(%error, "certificates are not read anew: there is no SIGHUP");
                return;
            }
        };
        // What was tried last, so that a wrong file is told of once.
        let mut tried = self.contents().await.ok();
        let mut stop = std::pin::pin!(shutdown.wait());
        loop {
            let asked = tokio::select! {
                () = tokio::time::sleep(LOOKED_AT) => false,
                _ = hang_up.recv() => true,
                () = &mut stop => return,
            };
            match self.contents().await {
                Ok(now) if !asked && tried.as_ref() == Some(&now) => {}
                Ok(now) => {
                    match config(&self.files, &now) {
                        Ok(config) => {
                            self.config.store(Arc::new(config));
                            tracing::info!(
                                "certificates read anew; new connections are met with them"
                            );
                        }
                        Err(error) => {
                            tracing::error!(%error, "certificates were not read anew; those from before stay");
                        }
                    }
                    tried = Some(now);
                }
                Err(error) => {
                    if asked || tried.take().is_some() {
                        tracing::error!(%error, "certificates were not read anew; those from before stay");
                    }
                }
            }
        }
    }

    async fn contents(&self) -> Result<Contents, CertificateError> {
        let files = self.files.clone();
        let read = tokio::task::spawn_blocking(move || contents(&files));
        read.await.unwrap_or_else(|error| {
            Err(CertificateError::Read {
                what: "the certificate",
                path: self.files.certificate.clone(),
                error: std::io::Error::other(error),
            })
        })
    }
}

fn contents(files: &CertificateFiles) -> Result<Contents, CertificateError> {
    let read = |path: &Path, what| {
        std::fs::read(path).map_err(|error| CertificateError::Read {
            what,
            path: path.to_owned(),
            error,
        })
    };
    let authority = files.client_authority.as_deref();
    Ok(Contents {
        certificate: read(&files.certificate, "the certificate")?,
        key: read(&files.key, "the certificate's key")?,
        client_authority: authority
            .map(|path| read(path, "who vouches for callers"))
            .transpose()?,
    })
}

/// TLS 1.2 and 1.3, for HTTP/2 and for gRPC-web over HTTP/1.
fn config(files: &CertificateFiles, contents: &Contents) -> Result<ServerConfig, CertificateError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?;
    let builder = match (&contents.client_authority, &files.client_authority) {
        (Some(pem), Some(path)) => {
            let what = "who vouches for callers";
            let mut roots = RootCertStore::empty();
            for authority in certificates(pem, path, what)? {
                roots.add(authority)?;
            }
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
            builder.with_client_cert_verifier(verifier)
        }
        _ => builder.with_no_client_auth(),
    };
    let chain = certificates(&contents.certificate, &files.certificate, "a certificate")?;
    let key = PrivateKeyDer::from_pem_slice(&contents.key).map_err(|error| {
        // The error tells of the file's form alone.
        CertificateError::Pem {
            what: "a private key",
            path: files.key.clone(),
            error: error.to_string(),
        }
    })?;
    let mut config = builder.with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(
    pem: &[u8],
    path: &Path,
    what: &'static str,
) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let wrong = |error: String| CertificateError::Pem {
        what,
        path: path.to_owned(),
        error,
    };
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| wrong(error.to_string()))?;
    match found.is_empty() {
        true => Err(wrong("there is none in it".to_owned())),
        false => Ok(found),
    }
}
