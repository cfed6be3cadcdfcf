//! `config/grayd.yaml`: everything about one node, each key declared once with unit and default.

use super::audit::AuditSettings;
use super::camera::CameraSettings;
use super::destination::Destination;
use super::tls::is_open_to_others;
use super::web::WebSettings;
use super::yaml::{Document, Fault, Step, steps};
use crate::archive::StorageSettings;
use crate::node::settings::{NodeSettings, Peer};
use crate::node::tls::{Tls, normal_fingerprint};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The whole file. Paths are absolute once [`NodeConfig::open`] has returned.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NodeConfig {
    pub site: SiteSettings,
    pub node: NodeSettings,
    pub web: WebSettings,
    pub storage: StorageSettings,
    pub plans: PlansFolder,
    /// Folder of the site's own protocols, beside the built-in ones.
    pub protocols: Option<PathBuf>,
    pub peers: Vec<Peer>,
    pub results: ResultSettings,
    pub audit: AuditSettings,
    pub intake: IntakeSettings,
    pub cameras: Vec<CameraSettings>,
    pub compute: ComputeSettings,
}

/// `site:`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SiteSettings {
    /// IANA name of the zone that dates and times without a zone offset are in.
    pub time_zone: String,
}

impl Default for SiteSettings {
    fn default() -> Self {
        Self { time_zone: "UTC".into() }
    }
}

impl SiteSettings {
    /// The zone; `check` has made sure that its name is known.
    pub fn zone(&self) -> TimeZone {
        TimeZone::get(&self.time_zone).unwrap_or(TimeZone::UTC)
    }
}

/// `plans:` the watched folder of treatment plans (`*.yaml`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PlansFolder(pub PathBuf);

impl Default for PlansFolder {
    fn default() -> Self {
        Self("plans".into())
    }
}

/// `results:`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ResultSettings {
    /// Peers that results go to.
    pub send_to: Vec<Destination>,
    /// Bits per voxel of RT Dose, 32 or 16 (for systems that read only 16).
    pub dose_bits: u8,
    /// Also write the regions as an RT Structure Set, for systems that read no SEG.
    pub structure_set: bool,
}

impl Default for ResultSettings {
    fn default() -> Self {
        Self { send_to: Vec::new(), dose_bits: 32, structure_set: false }
    }
}

/// `intake:`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IntakeSettings {
    /// Quiet time after the last instance of a series before it counts as complete, s.
    pub settle_seconds: u32,
    /// How often the archive and the plans are looked through even without a sign of change, s.
    pub rescan_seconds: u32,
}

impl Default for IntakeSettings {
    fn default() -> Self {
        Self { settle_seconds: 60, rescan_seconds: 30 }
    }
}

/// `compute:` what a worker process may use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ComputeSettings {
    /// Jobs that run at once.
    pub workers: u32,
    /// Address space of one worker, MiB.
    pub memory_mb: u64,
    /// Wall time of one attempt, s.
    pub time_limit_s: u32,
    /// Attempts before a job has failed.
    pub attempts: u32,
    /// A job whose worker has not been heard of for so long is handed on, s.
    pub lease_s: u32,
}

impl Default for ComputeSettings {
    fn default() -> Self {
        Self { workers: 1, memory_mb: 8192, time_limit_s: 3600, attempts: 3, lease_s: 60 }
    }
}

impl NodeConfig {
    /// Reads and checks the file; `Err` holds every fault. Relative paths count from its folder.
    pub fn open(path: &Path) -> Result<Self, Vec<Fault>> {
        match Self::open_with_faults(path) {
            (Some(config), faults) if faults.is_empty() => Ok(config),
            (_, faults) => Err(faults),
        }
    }

    /// What can be read of a file, and every fault: to go on looking for faults elsewhere.
    pub(super) fn open_with_faults(path: &Path) -> (Option<Self>, Vec<Fault>) {
        let mut document = match Document::open(path) {
            Ok(document) => document,
            Err(fault) => return (None, vec![fault]),
        };
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let folder = absolute.parent().unwrap_or(Path::new("/"));
        Self::from_document(&mut document, folder)
    }

    fn from_document(document: &mut Document, folder: &Path) -> (Option<Self>, Vec<Fault>) {
        let (config, mut faults) = document.read::<Self>();
        let Some(mut config) = config else { return (None, faults) };
        config.resolve_paths(folder);
        let checks: [fn(&Self, &Document, &mut Vec<Fault>); 6] = [
            Self::check_addresses,
            Self::check_peers,
            Self::check_tls,
            Self::check_folders,
            super::camera::check,
            Self::check_ranges,
        ];
        for check in checks {
            check(&config, document, &mut faults);
        }
        (Some(config), faults)
    }

    fn resolve_paths(&mut self, folder: &Path) {
        self.storage.directory = folder.join(&self.storage.directory);
        self.plans.0 = folder.join(&self.plans.0);
        self.web.resolve_paths(folder);
        if let Some(tls) = &mut self.node.tls {
            tls.resolve(folder);
        }
        self.audit.resolve(folder);
        self.protocols = self.protocols.as_ref().map(|path| folder.join(path));
    }

    fn check_addresses(&self, document: &Document, faults: &mut Vec<Fault>) {
        let listen = &self.node.listen;
        if listen.parse::<SocketAddr>().is_err() {
            faults.push(document.fault_at(
                steps!["node", "listen"],
                format!("`{listen}` is no address; write it like `127.0.0.1:11112`"),
            ));
        }
        self.web.check(document, faults);
        self.audit.check(document, faults);
        check_ae_title(document, steps!["node", "ae_title"], &self.node.ae_title, faults);
        if TimeZone::get(&self.site.time_zone).is_err() {
            faults.push(document.fault_at(
                steps!["site", "time_zone"],
                format!(
                    "`{}` is no known time zone; write it like `Europe/Stockholm` or `UTC`",
                    self.site.time_zone
                ),
            ));
        }
    }

    fn check_peers(&self, document: &Document, faults: &mut Vec<Fault>) {
        let mut names = HashSet::new();
        for (index, peer) in self.peers.iter().enumerate() {
            let at = |key: &'static str| [Step::from("peers"), index.into(), key.into()];
            check_ae_title(document, &at("ae_title"), &peer.ae_title, faults);
            if peer.name.is_empty() {
                faults.push(document.fault_at(&at("name"), "is empty; give each peer a name"));
            } else if !names.insert(peer.name.as_str()) {
                let message = format!("`{}` names two peers; give each its own name", peer.name);
                faults.push(document.fault_at(&at("name"), message));
            }
            if peer.host.trim().is_empty() {
                let message = "is empty; write the peer's name or address";
                faults.push(document.fault_at(&at("host"), message));
            }
            if peer.port == 0 {
                let message = "port 0 cannot be called; write the port the peer listens on";
                faults.push(document.fault_at(&at("port"), message));
            }
            let limits = &peer.limits;
            let ranges = [
                ("associations", limits.associations.map(u64::from), 4_096),
                ("instances_per_minute", limits.instances_per_minute.map(u64::from), 1 << 30),
                ("mb_per_day", limits.mb_per_day, 1 << 30),
            ];
            for (key, value, high) in ranges {
                if let Some(value) = value.filter(|value| !(1..=high).contains(value)) {
                    let at = [Step::from("peers"), index.into(), "limits".into(), key.into()];
                    let message = format!("{value} is out of range; write 1 to {high}");
                    faults.push(document.fault_at(&at, message));
                }
            }
        }
        for (index, to) in self.results.send_to.iter().enumerate() {
            let name = &to.peer;
            // A peer with a fault of its own is missing here, not in the file.
            if document.is_whole() && !names.contains(name.as_str()) {
                faults.push(document.fault_at(
                    steps!["results", "send_to", index],
                    format!("`{name}` is none of the peers; add it to `peers` or take it out"),
                ));
            }
        }
    }

    /// Files that can be used, and what peers need of them.
    fn check_tls(&self, document: &Document, faults: &mut Vec<Fault>) {
        if let Some(tls) = &self.node.tls {
            if tls.listen.parse::<SocketAddr>().is_err() {
                let message =
                    format!("`{}` is no address; write it like `0.0.0.0:2762`", tls.listen);
                faults.push(document.fault_at(steps!["node", "tls", "listen"], message));
            }
            if let Err(reason) = Tls::load(tls) {
                faults.push(document.fault_at(steps!["node", "tls"], reason));
            }
            if is_open_to_others(&tls.key) {
                let message = "can be read by anybody on this machine; chmod 600 the file";
                faults.push(document.fault_at(steps!["node", "tls", "key"], message));
            }
        }
        let has_authorities = self.node.tls.as_ref().is_some_and(|tls| tls.authorities.is_some());
        for (index, peer) in self.peers.iter().enumerate() {
            let at = |key: &'static str| [Step::from("peers"), index.into(), key.into()];
            if peer.tls && !has_authorities {
                let message = "needs node.tls with authorities, which say whose certificates count";
                faults.push(document.fault_at(&at("tls"), message));
            }
            let Some(given) = &peer.certificate_sha256 else { continue };
            let hex = normal_fingerprint(given);
            if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                let message =
                    "is no SHA-256; write what `openssl x509 -fingerprint -sha256` prints";
                faults.push(document.fault_at(&at("certificate_sha256"), message));
            } else if !peer.tls {
                let message = "counts only with `tls: true`";
                faults.push(document.fault_at(&at("certificate_sha256"), message));
            }
        }
    }

    fn check_folders(&self, document: &Document, faults: &mut Vec<Fault>) {
        let folders = [("plans", Some(&self.plans.0)), ("protocols", self.protocols.as_ref())];
        for (key, path) in folders {
            if path.is_some_and(|path| !path.is_dir()) {
                let message = "is not a folder that can be read; create it or correct the path";
                faults.push(document.fault_at(steps![key], format!("`{key}` {message}")));
            }
        }
    }

    fn check_ranges(&self, document: &Document, faults: &mut Vec<Fault>) {
        let (limits, retention) = (&self.node.limits, &self.storage.retention);
        let ranges: [(&[Step<'_>], u64, u64, u64); 26] = [
            (steps!["intake", "settle_seconds"], self.intake.settle_seconds.into(), 0, 86_400),
            (steps!["intake", "rescan_seconds"], self.intake.rescan_seconds.into(), 1, 3_600),
            (steps!["compute", "workers"], self.compute.workers.into(), 1, 64),
            (steps!["compute", "memory_mb"], self.compute.memory_mb, 256, 4 << 20),
            (steps!["compute", "time_limit_s"], self.compute.time_limit_s.into(), 10, 604_800),
            (steps!["compute", "attempts"], self.compute.attempts.into(), 1, 10),
            (steps!["compute", "lease_s"], self.compute.lease_s.into(), 10, 3_600),
            (steps!["storage", "reserve_mb"], self.storage.reserve_mb, 1, 1 << 30),
            (steps!["storage", "instance_limit_mb"], self.storage.instance_limit_mb, 1, 16_384),
            (steps!["storage", "quarantine_days"], self.storage.quarantine_days.into(), 0, 36_500),
            (steps!["storage", "scrub_days"], self.storage.scrub_days.into(), 0, 3650),
            (steps!["storage", "retention", "keep_days"], retention.keep_days.into(), 1, 36_500),
            (
                steps!["storage", "retention", "above_percent"],
                retention.above_percent.into(),
                1,
                99,
            ),
            (
                steps!["storage", "retention", "down_to_percent"],
                retention.down_to_percent.into(),
                1,
                retention.above_percent.saturating_sub(1).max(1).into(),
            ),
            (steps!["node", "limits", "associations"], limits.associations as u64, 1, 4_096),
            (
                steps!["node", "limits", "max_pdu_bytes"],
                limits.max_pdu_bytes.into(),
                4_096,
                1 << 20,
            ),
            (steps!["node", "limits", "artim_s"], limits.artim_s.into(), 1, 3_600),
            (steps!["node", "limits", "idle_s"], limits.idle_s.into(), 1, 86_400),
            (steps!["node", "limits", "pdu_s"], limits.pdu_s.into(), 1, 3_600),
            (steps!["node", "limits", "association_s"], limits.association_s.into(), 1, 604_800),
            (
                steps!["node", "limits", "min_rate_bytes_per_s"],
                limits.min_rate_bytes_per_s.into(),
                0,
                1 << 30,
            ),
            (steps!["node", "limits", "peer_answer_s"], limits.peer_answer_s.into(), 1, 3_600),
            (steps!["node", "limits", "retry_s"], limits.retry_s.into(), 1, 3_600),
            (steps!["node", "limits", "give_up_h"], limits.give_up_h.into(), 1, 8_760),
            (
                steps!["node", "limits", "commitment_wait_s"],
                limits.commitment_wait_s.into(),
                0,
                600,
            ),
            (steps!["node", "limits", "commitment_h"], limits.commitment_h.into(), 1, 8_760),
        ];
        for (path, value, low, high) in ranges {
            if !(low..=high).contains(&value) {
                let message = format!("{value} is out of range; write {low} to {high}");
                faults.push(document.fault_at(path, message));
            }
        }
        if ![16, 32].contains(&self.results.dose_bits) {
            let message = format!("{} bits cannot be; write 32 or 16", self.results.dose_bits);
            faults.push(document.fault_at(steps!["results", "dose_bits"], message));
        }
    }
}

/// PS3.5 6.2: at most 16 characters of the default repertoire, no backslash or control character,
/// not spaces alone.
fn check_ae_title(document: &Document, at: &[Step<'_>], title: &str, faults: &mut Vec<Fault>) {
    let legal = (1..=16).contains(&title.len())
        && title.bytes().all(|b| (0x20..0x7f).contains(&b) && b != b'\\')
        && title.trim() == title;
    if !legal {
        faults.push(document.fault_at(
            at,
            format!("`{title}` is no AE title; write 1 to 16 ASCII characters, no backslash"),
        ));
    }
}

#[cfg(test)]
mod tests;
