//! Certificate and key from PEM files, and what a server makes of them.

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// `tls:` two files; under systemd they may be credentials (`LoadCredential=`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// Certificate and the chain above it, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM (PKCS #8, PKCS #1 or SEC 1).
    pub key: PathBuf,
}

impl TlsFiles {
    pub(super) fn resolve(&mut self, folder: &Path) {
        self.certificate = folder.join(&self.certificate);
        self.key = folder.join(&self.key);
    }

    /// What a web server shows to its clients: TLS 1.2 and 1.3, HTTP/1.1. `Err` says which file is to blame.
    pub fn server(&self) -> Result<Arc<ServerConfig>, String> {
        let mut config = self.server_without_protocol()?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// TLS 1.2 and 1.3 for any client, whatever is spoken over it.
    pub(crate) fn server_without_protocol(&self) -> Result<ServerConfig, String> {
        let (chain, key) = self.identity()?;
        ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| self.blame_key(&error))
    }

    /// The chain, and its key.
    pub(crate) fn identity(
        &self,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), String> {
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|e| blame(&self.key, &e))?;
        Ok((certificates(&self.certificate)?, key))
    }

    pub(crate) fn blame_key(&self, error: &rustls::Error) -> String {
        blame(&self.key, error)
    }
}

/// The certificates of a PEM file, at least one.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| blame(path, &error))?;
    match found.is_empty() {
        true => Err(blame(path, &"it holds no certificate; write PEM")),
        false => Ok(found),
    }
}

/// The cryptography in use.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn blame(path: &Path, error: &dyn std::fmt::Display) -> String {
    format!("{} cannot be used: {error}", path.display())
}

/// Whether others than owner and group can read a file that holds a secret.
pub(super) fn is_open_to_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o007 != 0)
}
