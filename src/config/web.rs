//! `web:` pages, API and DICOMweb: where, for whom, how protected.

use super::credentials::Credentials;
use super::tls::{TlsFiles, is_open_to_others};
use super::yaml::{Document, Fault, Step, steps};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// `web:`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebSettings {
    /// Address and port of the pages; port 0 picks a free one.
    pub listen: String,
    /// Host names that pages may be asked for under, beside the address itself and `localhost`.
    pub hosts: Vec<String>,
    /// File of users and tokens, written by `grayd user`; without one, everybody who reaches the
    /// address may read and store.
    pub users: Option<PathBuf>,
    pub tls: Option<TlsFiles>,
    /// Listens beyond loopback without users or TLS: a proxy in front has both.
    pub behind_proxy: bool,
    pub sessions: SessionSettings,
    /// Origins of other web pages that may ask for DICOMweb and the API, with a token.
    pub cors: Vec<String>,
    pub viewer: Option<ViewerSettings>,
}

impl Default for WebSettings {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8042".into(),
            hosts: Vec::new(),
            users: None,
            tls: None,
            behind_proxy: false,
            sessions: SessionSettings::default(),
            cors: Vec::new(),
            viewer: None,
        }
    }
}

/// `web: sessions:` how long a log-in lasts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SessionSettings {
    /// Without a request, minutes.
    pub idle_minutes: u32,
    /// At the longest, hours.
    pub longest_hours: u32,
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self { idle_minutes: 30, longest_hours: 12 }
    }
}

/// `web: viewer:` a static web viewer (OHIF) beside the node's DICOMweb, at an address of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ViewerSettings {
    /// Folder that holds the viewer's `index.html`.
    pub directory: PathBuf,
    /// Address and port of the viewer; port 0 picks a free one.
    pub listen: String,
}

impl WebSettings {
    pub(super) fn resolve_paths(&mut self, folder: &Path) {
        self.users = self.users.as_ref().map(|path| folder.join(path));
        if let Some(tls) = &mut self.tls {
            tls.resolve(folder);
        }
        if let Some(viewer) = &mut self.viewer {
            viewer.directory = folder.join(&viewer.directory);
        }
    }

    pub(super) fn check(&self, document: &Document, faults: &mut Vec<Fault>) {
        self.check_reach(document, steps!["web", "listen"], &self.listen, faults);
        if let Some(path) = &self.users
            && let Err(found) = Credentials::open(path)
        {
            faults.extend(found);
        }
        if let Some(tls) = &self.tls {
            if let Err(reason) = tls.server() {
                faults.push(document.fault_at(steps!["web", "tls"], reason));
            }
            if is_open_to_others(&tls.key) {
                let message = "can be read by anybody on this machine; chmod 600 the file";
                faults.push(document.fault_at(steps!["web", "tls", "key"], message));
            }
        }
        for (n, origin) in self.cors.iter().enumerate() {
            let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            if host.is_none_or(|host| host.is_empty() || host.contains(['/', '*', ' '])) {
                let message =
                    "is no origin; write it like `https://viewer.hospital` without a path";
                faults.push(document.fault_at(steps!["web", "cors", n], message));
            }
        }
        let sessions = &self.sessions;
        for (key, value, high) in [
            ("idle_minutes", sessions.idle_minutes, 1_440),
            ("longest_hours", sessions.longest_hours, 168),
        ] {
            if !(1..=high).contains(&value) {
                let message = format!("{value} is out of range; write 1 to {high}");
                faults.push(document.fault_at(steps!["web", "sessions", key], message));
            }
        }
        self.check_viewer(document, faults);
    }

    fn check_viewer(&self, document: &Document, faults: &mut Vec<Fault>) {
        let Some(viewer) = &self.viewer else { return };
        let at = steps!["web", "viewer", "listen"];
        self.check_reach(document, at, &viewer.listen, faults);
        if !viewer.directory.join("index.html").is_file() {
            let message = "holds no index.html; unpack the viewer there (docs/ohif.md)";
            faults.push(document.fault_at(steps!["web", "viewer", "directory"], message));
        }
    }

    /// An address beyond loopback needs users and TLS.
    fn check_reach(
        &self,
        document: &Document,
        at: &[Step<'_>],
        listen: &str,
        faults: &mut Vec<Fault>,
    ) {
        let Ok(address) = listen.parse::<SocketAddr>() else {
            let message = format!("`{listen}` is no address; write it like `127.0.0.1:8042`");
            faults.push(document.fault_at(at, message));
            return;
        };
        let protected = self.users.is_some() && self.tls.is_some();
        if !(address.ip().is_loopback() || protected || self.behind_proxy) {
            let message = "reaches beyond this machine without log-in and encryption; set web.users \
                           and web.tls, or web.behind_proxy: true where a proxy in front has both";
            faults.push(document.fault_at(at, message));
        }
    }
}
