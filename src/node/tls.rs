//! TLS for associations (PS3.15 B.12, BCP 195 with RFC 8996 and RFC 9325): TLS 1.3, or 1.2 with forward secrecy and
//! authenticated encryption; both sides show a certificate that a known authority has signed.
//!
//! A certificate says which machine calls; which application entity it is allowed to be is said by the peer's entry
//! in the configuration: its host, and the fingerprint of its certificate where one is given.

use super::association::Transport;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

/// `node.tls:` the node's certificate, and whom it believes. Files in PEM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// Address and port to accept secured associations on; port 0 picks a free one.
    pub listen: String,
    /// The node's certificate, then those between it and the authority.
    pub certificate: PathBuf,
    /// Its private key. Keep it readable to the node alone, or hand it over as a credential of the
    /// service manager.
    pub key: PathBuf,
    /// Certificates of the authorities that sign peers' certificates.
    pub authorities: PathBuf,
}

/// Why associations cannot be secured.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{path} (node.tls.{key}) cannot be used: {reason}", path = .path.display())]
    File { key: &'static str, path: PathBuf, reason: String },
    #[error("certificate and key of node.tls cannot be used together: {0}")]
    Identity(rustls::Error),
    #[error("the authorities of node.tls cannot be used: {0}")]
    Authorities(String),
    #[error("`{0}` can be no name in a certificate")]
    Name(String),
    #[error("no TLS with this peer: {0}")]
    Handshake(io::Error),
    #[error("the TLS handshake took longer than {0} s")]
    Slow(u64),
}

/// Certificate, key and authorities in use.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    connector: TlsConnector,
}

impl Tls {
    /// Reads the files. A certificate that has run out is refused by peers, not here.
    ///
    /// # Errors
    /// A file that is missing or holds something else, or a key that is another certificate's.
    pub fn load(settings: &TlsSettings) -> Result<Self, TlsError> {
        let chain = certificates("certificate", &settings.certificate)?;
        let key = || {
            PrivateKeyDer::from_pem_file(&settings.key)
                .map_err(|error| unusable("key", &settings.key, &error))
        };
        let mut authorities = RootCertStore::empty();
        for certificate in certificates("authorities", &settings.authorities)? {
            let failed = |error: rustls::Error| TlsError::Authorities(error.to_string());
            authorities.add(certificate).map_err(failed)?;
        }
        let authorities = Arc::new(authorities);
        let verifier = WebPkiClientVerifier::builder(authorities.clone())
            .build()
            .map_err(|error| TlsError::Authorities(error.to_string()))?;
        let server = ServerConfig::builder()
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain.clone(), key()?)
            .map_err(TlsError::Identity)?;
        let client = ClientConfig::builder()
            .with_root_certificates(authorities)
            .with_client_auth_cert(chain, key()?)
            .map_err(TlsError::Identity)?;
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(server)),
            connector: TlsConnector::from(Arc::new(client)),
        })
    }

    /// Secures a connection that a peer has opened.
    pub async fn accept(&self, stream: TcpStream, within: Duration) -> Result<Stream, TlsError> {
        stream.about_to_receive();
        let done = timeout(within, self.acceptor.accept(stream)).await;
        let done = done.map_err(|_| TlsError::Slow(within.as_secs()))?;
        Ok(Stream::secured(done.map_err(TlsError::Handshake)?.into()))
    }

    /// Secures a connection that we have opened: the peer's certificate must be for `host`.
    pub async fn connect(
        &self,
        stream: TcpStream,
        host: &str,
        within: Duration,
    ) -> Result<Stream, TlsError> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| TlsError::Name(host.to_owned()))?;
        let done = timeout(within, self.connector.connect(name, stream)).await;
        let done = done.map_err(|_| TlsError::Slow(within.as_secs()))?;
        Ok(Stream::secured(done.map_err(TlsError::Handshake)?.into()))
    }
}

fn certificates(
    key: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| unusable(key, path, &error))?;
    if found.is_empty() {
        let reason = "it holds no certificate; write PEM".to_owned();
        return Err(TlsError::File { key, path: path.to_owned(), reason });
    }
    Ok(found)
}

fn unusable(key: &'static str, path: &Path, error: &rustls::pki_types::pem::Error) -> TlsError {
    TlsError::File { key, path: path.to_owned(), reason: error.to_string() }
}

/// A connection, secured or not.
pub enum Stream {
    Plain(TcpStream),
    Secured {
        stream: Box<TlsStream<TcpStream>>,
        /// SHA-256 of the peer's certificate, lower-case hexadecimal.
        fingerprint: String,
    },
}

impl Stream {
    fn secured(stream: TlsStream<TcpStream>) -> Self {
        let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        // Both sides demand a certificate, so there is one.
        let digest = Sha256::digest(certificate.map_or(&[][..], |c| c.as_ref()));
        let fingerprint = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Self::Secured { stream: Box::new(stream), fingerprint }
    }

    /// Of the peer's certificate; `None` without TLS.
    pub fn fingerprint(&self) -> Option<&str> {
        match self {
            Self::Plain(_) => None,
            Self::Secured { fingerprint, .. } => Some(fingerprint),
        }
    }

    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Secured { stream, .. } => stream.get_ref().0,
        }
    }
}

impl Transport for Stream {
    fn about_to_receive(&self) {
        self.tcp().about_to_receive();
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Secured { stream, .. } => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Secured { stream, .. } => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Secured { stream, .. } => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Secured { stream, .. } => Pin::new(stream).poll_shutdown(context),
        }
    }
}
