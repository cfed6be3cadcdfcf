//! `audit:` where the audit trail goes beside the node's own archive.

use super::tls::{TlsFiles, certificates, is_open_to_others, provider};
use super::yaml::{Document, Fault, steps};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuditSettings {
    pub syslog: Option<SyslogSettings>,
}

/// `audit: syslog:` an audit record repository that takes RFC 5424 messages over TLS (RFC 5425).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyslogSettings {
    /// Name or address; its certificate has to name it.
    pub host: String,
    #[serde(default = "usual_port")]
    pub port: u16,
    /// Certificates of the authorities that sign the repository's, PEM.
    pub authorities: PathBuf,
    /// What we show, where the repository asks for it.
    #[serde(default)]
    pub identity: Option<TlsFiles>,
}

/// `syslog-tls`, RFC 5425 section 4.1.
fn usual_port() -> u16 {
    6514
}

impl AuditSettings {
    pub(super) fn resolve(&mut self, folder: &Path) {
        if let Some(syslog) = &mut self.syslog {
            syslog.authorities = folder.join(&syslog.authorities);
            if let Some(identity) = &mut syslog.identity {
                identity.resolve(folder);
            }
        }
    }

    pub(super) fn check(&self, document: &Document, faults: &mut Vec<Fault>) {
        let Some(syslog) = &self.syslog else { return };
        if ServerName::try_from(syslog.host.as_str()).is_err() {
            let message = "can be no name in a certificate; write the repository's host";
            faults.push(document.fault_at(steps!["audit", "syslog", "host"], message));
        }
        if let Err(reason) = syslog.client() {
            faults.push(document.fault_at(steps!["audit", "syslog"], reason));
        }
        if syslog.identity.as_ref().is_some_and(|files| is_open_to_others(&files.key)) {
            let message = "can be read by anybody on this machine; chmod 600 the file";
            faults.push(document.fault_at(steps!["audit", "syslog", "identity", "key"], message));
        }
    }
}

impl SyslogSettings {
    /// TLS 1.2 and 1.3.
    ///
    /// # Errors
    /// Which file is to blame, and why.
    pub fn client(&self) -> Result<ClientConfig, String> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&self.authorities)? {
            roots.add(certificate).map_err(|error| {
                format!("{} cannot be used: {error}", self.authorities.display())
            })?;
        }
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(Arc::new(roots));
        match &self.identity {
            None => Ok(config.with_no_client_auth()),
            Some(files) => {
                let (chain, key) = files.identity()?;
                config.with_client_auth_cert(chain, key).map_err(|error| files.blame_key(&error))
            }
        }
    }
}
