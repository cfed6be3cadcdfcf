//! TLS for associations (PS3.15 B.12: BCP 195 with RFC 8996 and RFC 9325): TLS 1.3, or 1.2 with forward
//! secrecy and authenticated encryption; nothing older or weaker is offered or taken.
//!
//! A certificate says which machine calls. Which application entity it may be is said by the peer's
//! entry in the configuration: the certificate has to name the peer's host or, where
//! `certificate_sha256` is given, has to be that very one.

use super::association::Transport;
use super::settings::{Peer, TlsSettings};
use crate::config::tls::{TlsFiles, certificates, provider};
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore, ServerConfig};
use sha2::{Digest, Sha256};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

/// Why a connection could not be secured. Made of our own words only, for logs and the audit trail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    #[error("no TLS: {0}")]
    Handshake(&'static str),
    #[error("the TLS handshake took longer than {0} s")]
    Slow(u64),
    #[error("the peer is called with TLS, for which node.tls needs authorities")]
    NotConfigured,
    #[error("peers.host can be no name in a certificate")]
    Name,
    #[error("{0}")]
    OtherCertificate(&'static str),
}

/// Certificate, key and authorities in use.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    /// Absent without authorities: nobody's certificate could be believed.
    connector: Option<TlsConnector>,
}

impl Tls {
    /// Reads the files. A certificate that has run out is refused by peers, not here.
    ///
    /// # Errors
    /// Which file is to blame, and why: missing, something else, or a key that is another certificate's.
    pub fn load(settings: &TlsSettings) -> Result<Self, String> {
        let files =
            TlsFiles { certificate: settings.certificate.clone(), key: settings.key.clone() };
        let Some(authorities) = &settings.authorities else {
            let server = files.server_without_protocol()?;
            return Ok(Self { acceptor: TlsAcceptor::from(Arc::new(server)), connector: None });
        };
        let blame = |error: &dyn std::fmt::Display| {
            format!("{} cannot be used: {error}", authorities.display())
        };
        let mut roots = RootCertStore::empty();
        for certificate in certificates(authorities)? {
            roots.add(certificate).map_err(|error| blame(&error))?;
        }
        let roots = Arc::new(roots);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider())
            .build()
            .map_err(|error| blame(&error))?;
        let (chain, key) = files.identity()?;
        let server = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain.clone(), key.clone_key())
            .map_err(|error| files.blame_key(&error))?;
        let client = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .map_err(|error| files.blame_key(&error))?;
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(server)),
            connector: Some(TlsConnector::from(Arc::new(client))),
        })
    }

    /// Secures a connection that a peer has opened.
    ///
    /// # Errors
    /// A handshake that fails or takes longer than `within`.
    pub async fn accept(&self, stream: TcpStream, within: Duration) -> Result<Stream, TlsError> {
        stream.about_to_receive();
        let done = timeout(within, self.acceptor.accept(stream)).await;
        let done = done.map_err(|_| TlsError::Slow(within.as_secs()))?;
        let secured = done.map_err(|error| TlsError::Handshake(explain(&error)))?;
        Ok(Stream::Secured(Box::new(secured.into())))
    }

    /// Secures a connection that we have opened: the certificate has to name the peer's host, and be
    /// the one that the configuration expects.
    ///
    /// # Errors
    /// As `accept`, and a certificate that is not the peer's.
    pub async fn connect(
        &self,
        stream: TcpStream,
        peer: &Peer,
        within: Duration,
    ) -> Result<Stream, TlsError> {
        let connector = self.connector.as_ref().ok_or(TlsError::NotConfigured)?;
        let name = ServerName::try_from(peer.host.clone()).map_err(|_| TlsError::Name)?;
        let done = timeout(within, connector.connect(name, stream)).await;
        let done = done.map_err(|_| TlsError::Slow(within.as_secs()))?;
        let secured = done.map_err(|error| TlsError::Handshake(explain(&error)))?;
        let stream = Stream::Secured(Box::new(secured.into()));
        stream.channel().admits(peer).map_err(TlsError::OtherCertificate)?;
        Ok(stream)
    }
}

/// What failed, in words of our own: the library's would quote what the peer has sent.
fn explain(error: &io::Error) -> &'static str {
    use rustls::Error as E;
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<E>());
    match inner {
        None => "the connection was lost",
        Some(E::NoCertificatesPresented) => "the peer showed no certificate",
        Some(E::InvalidCertificate(why)) => match why {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the peer's certificate has run out"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the peer's certificate is not valid yet"
            }
            CertificateError::UnknownIssuer => {
                "the peer's certificate is signed by none of node.tls.authorities"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "the peer's certificate does not name peers.host"
            }
            _ => "the peer's certificate is not valid",
        },
        Some(E::PeerIncompatible(_)) => "the peer offers no TLS version or cipher that is safe",
        Some(E::AlertReceived(AlertDescription::UnknownCA)) => {
            "the peer does not know who signed our certificate"
        }
        Some(E::AlertReceived(AlertDescription::CertificateRequired)) => {
            "the peer wants a certificate and has seen none"
        }
        Some(E::AlertReceived(_)) => "the peer refused it with an alert",
        Some(E::InvalidMessage(_)) => "what the peer sent is no TLS",
        Some(_) => "the handshake failed",
    }
}

/// What is known of who is at the other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Channel {
    Plain,
    /// With the peer's certificate, where one was asked for.
    Secured(Option<CertificateDer<'static>>),
}

impl Channel {
    /// Whether this peer may be spoken with over it; why not.
    ///
    /// # Errors
    /// What the configuration asks for and the connection lacks.
    pub fn admits(&self, peer: &Peer) -> Result<(), &'static str> {
        match (self, &peer.certificate_sha256) {
            (Self::Plain, _) if peer.tls => Err("peers.tls is set and it comes without TLS"),
            (Self::Plain, _) | (Self::Secured(None), None) => Ok(()),
            (Self::Secured(None), Some(_)) => Err("it showed no certificate"),
            (Self::Secured(Some(certificate)), Some(expected)) => {
                match fingerprint(certificate) == normal_fingerprint(expected) {
                    true => Ok(()),
                    false => Err("its certificate is not that of peers.certificate_sha256"),
                }
            }
            (Self::Secured(Some(certificate)), None) => match names(certificate, &peer.host) {
                true => Ok(()),
                false => Err("its certificate does not name peers.host"),
            },
        }
    }
}

fn names(certificate: &CertificateDer<'_>, host: &str) -> bool {
    let parsed = ParsedCertificate::try_from(certificate);
    let name = ServerName::try_from(host);
    matches!((parsed, name), (Ok(parsed), Ok(name)) if verify_server_name(&parsed, &name).is_ok())
}

/// SHA-256 of a certificate, lower-case hexadecimal.
fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    Sha256::digest(certificate).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A fingerprint as `openssl x509 -fingerprint` or others write it, in our form.
pub(crate) fn normal_fingerprint(fingerprint: &str) -> String {
    fingerprint.replace([':', ' '], "").to_ascii_lowercase()
}

/// A connection, secured or not.
pub enum Stream {
    Plain(TcpStream),
    Secured(Box<TlsStream<TcpStream>>),
}

impl Stream {
    pub fn channel(&self) -> Channel {
        match self {
            Self::Plain(_) => Channel::Plain,
            Self::Secured(stream) => {
                let chain = stream.get_ref().1.peer_certificates();
                let own = |certificate: &CertificateDer<'_>| certificate.clone().into_owned();
                Channel::Secured(chain.and_then(|chain| chain.first()).map(own))
            }
        }
    }
}

impl Transport for Stream {
    fn about_to_receive(&self) {
        match self {
            Self::Plain(stream) => stream.about_to_receive(),
            Self::Secured(stream) => stream.get_ref().0.about_to_receive(),
        }
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
            Self::Secured(stream) => Pin::new(stream).poll_read(context, buffer),
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
            Self::Secured(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Secured(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Secured(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
