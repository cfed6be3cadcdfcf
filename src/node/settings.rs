//! What can be set about the node, with defaults: the `node:`, `peers:` and `limits:` sections of
//! the configuration are these types.

use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// `node:`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NodeSettings {
    /// Our AE title; a caller that calls another title is refused. 1 to 16 characters.
    pub ae_title: String,
    /// Address and port to accept associations on; port 0 picks a free one.
    pub listen: String,
    /// A second address for associations over TLS; also what we show as we call with TLS.
    pub tls: Option<TlsSettings>,
    pub limits: Limits,
}

impl Default for NodeSettings {
    fn default() -> Self {
        Self {
            ae_title: "GRAYD".into(),
            listen: "127.0.0.1:11112".into(),
            tls: None,
            limits: Limits::default(),
        }
    }
}

/// `node: tls:` our certificate, and whom we believe. Files in PEM.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// Address and port to accept associations over TLS on; port 0 picks a free one.
    pub listen: String,
    /// Our certificate, then those between it and the authority.
    pub certificate: PathBuf,
    /// Its private key; under systemd it may be a credential.
    pub key: PathBuf,
    /// Certificates of the authorities that sign peers' certificates. Without them callers are asked
    /// for no certificate, and no peer can be called with TLS.
    #[serde(default)]
    pub authorities: Option<PathBuf>,
}

impl TlsSettings {
    pub(crate) fn resolve(&mut self, folder: &Path) {
        self.certificate = folder.join(&self.certificate);
        self.key = folder.join(&self.key);
        self.authorities = self.authorities.as_ref().map(|path| folder.join(path));
    }
}

/// What a peer may ask of us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// C-STORE to us.
    Store,
    /// C-FIND.
    Query,
    /// C-MOVE and C-GET.
    Retrieve,
    /// Storage commitment.
    Commit,
    /// Unified Procedure Steps.
    Worklist,
}

/// A system that we talk with; also the allow-list of those who may call.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    /// How configuration and pages name it.
    pub name: String,
    pub ae_title: String,
    /// Name or address; a caller's address must be one that this resolves to.
    pub host: String,
    pub port: u16,
    /// What it may ask of us, beside C-ECHO; absent: everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<Service>>,
    /// Spoken with over TLS only: it is called so, and refused where it calls without.
    #[serde(default)]
    pub tls: bool,
    /// SHA-256 of its certificate, hexadecimal; absent: any certificate that names its host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_sha256: Option<String>,
    /// Asked to commit itself (PS3.4 annex J) to every object delivered to it.
    #[serde(default)]
    pub commitment: bool,
    /// Told by Instance Availability Notification (PS3.4 annex R) of results that are stored at a
    /// destination.
    #[serde(default)]
    pub announce: bool,
    /// How much of us it may use.
    #[serde(default)]
    pub limits: PeerLimits,
}

/// `peers[].limits:` what is absent is bounded by `node.limits` and the disk alone.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PeerLimits {
    /// Associations at once; further ones are refused politely (local limit exceeded).
    pub associations: Option<u32>,
    /// Instances in a minute; further ones are refused with A700.
    pub instances_per_minute: Option<u32>,
    /// Data sets in a day, stored or not, MiB; further ones are refused with A700.
    pub mb_per_day: Option<u64>,
}

impl Peer {
    pub fn may(&self, service: Service) -> bool {
        self.allow.as_ref().is_none_or(|allowed| allowed.contains(&service))
    }
}

/// `node.limits:` every bound on what a peer can make us hold or wait for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Associations served at once; further ones are refused politely (local limit exceeded).
    pub associations: usize,
    /// Largest PDU we accept and offer, bytes.
    pub max_pdu_bytes: u32,
    /// From connection to A-ASSOCIATE-RQ, and from our release or abort to the peer's close (ARTIM), s.
    pub artim_s: u32,
    /// Between messages on an open association, s.
    pub idle_s: u32,
    /// For one whole PDU to arrive or leave, s.
    pub pdu_s: u32,
    /// For one association as a whole, s.
    pub association_s: u32,
    /// Slowest tolerated transfer of a data set, bytes per second over 30 s.
    pub min_rate_bytes_per_s: u32,
    /// For a peer to answer as we send: connect, associate, C-STORE-RSP, release, s.
    pub peer_answer_s: u32,
    /// First wait before a delivery is tried again, s; doubles with jitter up to an hour.
    pub retry_s: u32,
    /// After this long without success a delivery is parked, h.
    pub give_up_h: u32,
    /// For a report of storage commitment to come on the association that asked, s.
    pub commitment_wait_s: u32,
    /// For it to come at all, h; then the peer is asked again, three times in all.
    pub commitment_h: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            associations: 64,
            max_pdu_bytes: 131_072,
            artim_s: 30,
            idle_s: 60,
            pdu_s: 30,
            association_s: 7200,
            min_rate_bytes_per_s: 1024,
            peer_answer_s: 30,
            retry_s: 10,
            give_up_h: 24,
            commitment_wait_s: 5,
            commitment_h: 24,
        }
    }
}
