//! The only truth: objects, their index, the job queue, deliveries and the audit trail.
//!
//! Everything else in the program sees the trait [`Archive`] and nothing of what is behind it;
//! [`local::LocalArchive`] keeps objects in a directory and rows in SQLite. An implementation over
//! PostgreSQL and S3 has to keep the same promises, which `docs/promises.md` lists and the contract
//! tests hold every implementation to:
//!
//! - [`Incoming::commit`] returns `Ok` only when the bytes are fsynced under their final name,
//!   the directory is fsynced and the index row is committed;
//! - same SOP Instance UID with the same bytes: [`Receipt::Duplicate`]; with other bytes: the first
//!   is kept, the second is quarantined, [`Receipt::Conflict`];
//! - a job has one visible end; a lease that runs out is handed to the next taker.

pub mod audit_message;
#[cfg(test)]
mod contract;
mod local;
pub mod query;
mod settings;

pub use local::{
    BackupManifest, BackupReport, IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME,
    LocalArchive, data_set_sha256,
};
pub use query::{Match, Query};
pub use settings::{Delete, RetentionSettings, StorageSettings};

use crate::dicom::{InstanceHeader, PatientIdentity, Uid};
use jiff::Timestamp;
use std::path::PathBuf;

/// What the association knows of an instance before its bytes arrive.
#[derive(Debug, Clone)]
pub struct Arrival {
    pub sop_class: Uid,
    pub sop_instance: Uid,
    pub transfer_syntax: Uid,
    /// AE title of the sender, as a key of the peer table (validated, ≤ 16 characters).
    pub calling_ae: String,
}

/// What a data set has to be of, where that is known before it comes.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    pub study: Option<Uid>,
    pub patient: Option<PatientIdentity>,
}

/// An instance on its way in. Dropped without `commit`: nothing is left behind.
pub trait Incoming: Send {
    /// Appends bytes of the data set. Fails with [`ArchiveError::TooLarge`] over the quota.
    fn write(&mut self, data: &[u8]) -> Result<(), ArchiveError>;
    /// What the data set must be of; `commit` refuses another with [`ArchiveError::Mismatch`].
    fn expect(&mut self, _expected: Expected) -> Result<(), ArchiveError> {
        Err(ArchiveError::Mismatch("this archive cannot tell studies apart while receiving".into()))
    }
    /// Gate, header, fsync, rename, directory fsync, index commit; then and only then `Ok`.
    fn commit(self: Box<Self>) -> Result<Receipt, ArchiveError>;
}

/// What became of an instance.
#[derive(Debug, Clone, PartialEq)]
pub enum Receipt {
    Stored(Box<Instance>),
    /// The same bytes were there already.
    Duplicate(Box<Instance>),
    /// Other bytes under a UID that is taken: the first stands, these are in quarantine.
    Conflict {
        kept: Box<Instance>,
        quarantined_sha256: String,
    },
}

/// An instance in the archive.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    pub header: InstanceHeader,
    /// SHA-256 of the data set's bytes as received, lower-case hex; also the object's name.
    pub sha256: String,
    pub bytes: u64,
    pub received: Timestamp,
    /// AE title of the sender, or `grayd` for the node's own results.
    pub source: String,
}

/// Selects instances; empty fields match everything.
#[derive(Debug, Clone, Default)]
pub struct InstanceFilter {
    pub patient_id: Option<String>,
    pub study: Option<Uid>,
    pub series: Option<Uid>,
    pub sop_instance: Option<Uid>,
    /// Only what the node did (true) or did not (false) make itself.
    pub own_results: Option<bool>,
    /// Only what came at or after this instant.
    pub received_since: Option<Timestamp>,
}

/// Room on the disk that objects lie on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// What may still be written.
    pub free_bytes: u64,
    /// What is written and what may be, together.
    pub total_bytes: u64,
}

/// What one stretch of reading back found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scrubbed {
    pub checked: u32,
    pub rotten: Vec<Uid>,
    /// Where the next stretch begins; `None` once the last instance has been read.
    pub last: Option<Uid>,
    /// All that the archive holds.
    pub instances: u64,
}

/// One piece of computing: `key` names it (course, cycle, inputs, parameters, software), so the same
/// work is queued once.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Job {
    pub id: i64,
    pub key: String,
    pub course: String,
    /// What the worker is told, JSON.
    pub spec: String,
    pub state: JobState,
    pub attempts: u32,
    /// Why it failed or is parked; what to supply.
    pub reason: Option<String>,
    pub created: Timestamp,
    pub changed: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    Queued,
    Running,
    Done,
    /// Needs a person: `reason` says what to supply.
    Parked,
    /// Out of attempts.
    Failed,
}

/// How a worker's attempt ended.
#[derive(Debug, Clone, PartialEq)]
pub enum JobEnd {
    /// Results are in the archive and their deliveries queued, in one transaction.
    Done {
        results: Vec<Uid>,
        /// Which result goes to which peer.
        deliver: Vec<(String, Uid)>,
        /// Peers that are told, for each that results go to, when they are stored there.
        announce_to: Vec<String>,
    },
    Parked {
        reason: String,
    },
    /// The attempt crashed or failed for a passing reason; retried until attempts run out.
    Attempt {
        reason: String,
    },
}

/// One result object on its way to one peer.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Delivery {
    pub id: i64,
    pub peer: String,
    pub sop_instance: Uid,
    pub state: DeliveryState,
    pub attempts: u32,
    /// When it is tried again; of one that is delivered, when its commitment is asked for (again).
    pub next_attempt: Timestamp,
    pub reason: Option<String>,
    /// Transaction UID (0008,1195) under which the peer was last asked for its commitment.
    pub transaction: Option<Uid>,
    /// How often it was asked since the object was delivered.
    pub asked: u32,
    /// How often the peer would not commit itself to the object.
    pub refused: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryState {
    Waiting,
    /// The peer answered success (or that it has the instance already). Where it is asked for its
    /// commitment, that is still to come.
    Delivered,
    /// The peer has committed itself to keep the object.
    Committed,
    /// It would not, again and again, or never said.
    CommitmentFailed,
    /// The peer refused for good, or a day of attempts ran out.
    Parked,
}

/// How one attempt to deliver ended.
#[derive(Debug, Clone, PartialEq)]
pub enum DeliveryEnd {
    Delivered,
    Retry { at: Timestamp, reason: String },
    Parked { reason: String },
}

/// What happens to the commitment of a delivery that is delivered.
#[derive(Debug, Clone, PartialEq)]
pub enum CommitmentStep {
    /// The peer is about to be asked; where nothing more is written, it is asked again then.
    Ask {
        transaction: Uid,
        again_at: Timestamp,
    },
    /// It has been asked, or could not be (the reason): asked again then, under another UID.
    Wait {
        again_at: Timestamp,
        reason: Option<String>,
    },
    Committed,
    /// The peer would not commit itself: the object is sent again.
    SendAgain {
        at: Timestamp,
        reason: String,
    },
    Failed {
        reason: String,
    },
}

/// What a peer is told of a job's results that are stored at a destination.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Announcement {
    pub id: i64,
    /// Who is told.
    pub peer: String,
    pub job: i64,
    /// The peer that the results went to.
    pub destination: String,
    /// `Waiting`, `Delivered` or `Parked`.
    pub state: DeliveryState,
    pub attempts: u32,
    pub next_attempt: Timestamp,
    pub reason: Option<String>,
}

/// One line of the audit trail: who did what to which object, and how it ended. Never names a
/// patient; objects are named by UID.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct AuditEvent {
    pub at: Timestamp,
    /// Kebab-case: `instance-stored`, `association-refused`, `job-parked`.
    pub event: String,
    /// AE title, peer address or `grayd`.
    pub actor: String,
    pub object: Option<String>,
    pub outcome: String,
}

/// A line of the audit trail by number, and the chain's value there: noted outside of the archive it
/// is an anchor that no rewriting of the trail gets past.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct AuditHead {
    /// Counts from 1; 0 for an empty trail.
    pub number: i64,
    /// SHA-256 over this line and all before it, lower-case hex.
    pub chain: String,
}

impl std::fmt::Display for AuditHead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.number, self.chain)
    }
}

impl std::str::FromStr for AuditHead {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "not of the form NUMBER:HASH, as `grayd audit verify` prints it";
        let (number, chain) = text.split_once(':').ok_or(wrong)?;
        let number = number.parse().map_err(|_| wrong)?;
        let is_hash = chain.len() == 64 && chain.bytes().all(|b| b.is_ascii_hexdigit());
        if !is_hash {
            return Err(wrong);
        }
        Ok(Self { number, chain: chain.to_ascii_lowercase() })
    }
}

/// What a walk over the whole trail found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditCheck {
    pub lines: u64,
    /// The last line.
    pub head: AuditHead,
    /// Number of the first line that is not as it was written, or that is missing at the end.
    pub broken: Option<i64>,
}

/// Why the archive could not do it. `dimse_status` gives each its answer to a sender.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error(
        "out of space: {free_bytes} bytes free, {reserve_bytes} are kept in reserve; free some or lower storage.reserve_mb"
    )]
    OutOfSpace { free_bytes: u64, reserve_bytes: u64 },
    #[error("storage failed at {step}: {source}")]
    Storage { step: &'static str, source: std::io::Error },
    #[error("index failed at {step}: {message}")]
    Index { step: &'static str, message: String },
    #[error("instance is larger than the {limit_bytes} bytes allowed (storage.instance_limit_mb)")]
    TooLarge { limit_bytes: u64 },
    /// The bytes are no data set: gate or parser refused them.
    #[error("not understood: {0}")]
    Unreadable(String),
    /// A data set, but not the one that the command announced, or without a needed UID.
    #[error("data set does not match: {0}")]
    Mismatch(String),
    /// A backup cannot be made there or restored from there.
    #[error("backup: {0}")]
    Backup(String),
    #[error("no such {0} in the archive")]
    NotFound(&'static str),
    #[error(
        "the storage directory {0} is in use by another node; stop it or set another storage.directory"
    )]
    InUse(PathBuf),
    #[error(
        "the index was written by a newer version of this program (schema {found}, this one knows \
         {known}); start that version or restore an older storage directory"
    )]
    NewerSchema { found: i64, known: i64 },
}

impl ArchiveError {
    /// The C-STORE status (PS3.4 B.2.3) that tells the sender what happened.
    pub fn dimse_status(&self) -> u16 {
        match self {
            Self::OutOfSpace { .. }
            | Self::Storage { .. }
            | Self::Index { .. }
            | Self::TooLarge { .. }
            | Self::InUse(_)
            | Self::Backup(_)
            | Self::NewerSchema { .. } => 0xA700,
            Self::Mismatch(_) => 0xA900,
            Self::Unreadable(_) => 0xC000,
            Self::NotFound(_) => 0x0110,
        }
    }
}

/// The narrow door to everything that must survive. All methods block; callers on tokio use
/// `spawn_blocking`.
pub trait Archive: Send + Sync {
    /// Largest data set that is taken, bytes; who sends a larger one is cut off.
    fn instance_limit_bytes(&self) -> u64;
    /// Room and permission to receive? Checked before a byte is accepted.
    fn receive(&self, arrival: Arrival) -> Result<Box<dyn Incoming>, ArchiveError>;
    /// Instances by filter, ordered by (series, slice position, instance number, SOP instance).
    fn instances(&self, filter: &InstanceFilter) -> Result<Vec<Instance>, ArchiveError>;
    /// What matches a question, in the order of (patient, study, series), then as `instances`. Meant to
    /// be answered from an index; this default is slow and says what the answer has to be.
    fn query(&self, query: &Query) -> Result<Vec<Match>, ArchiveError> {
        Ok(query::answer_from_instances(query, self.instances(&InstanceFilter::default())?))
    }
    /// Where an instance's Part 10 file can be read from; the hash is verified by `verify`.
    fn path(&self, sop_instance: &Uid) -> Result<PathBuf, ArchiveError>;
    /// Reads the object back and compares its hash: bit rot is found before a dose is made of it.
    /// Where it is found, the instance leaves the archive's answers until it is received again.
    fn verify(&self, sop_instance: &Uid) -> Result<bool, ArchiveError>;
    /// Verifies the next `limit` instances in the order of their UIDs, from the first one after
    /// `after`: bit rot is found while a backup still has the bytes.
    fn scrub(&self, after: Option<&Uid>, limit: u32) -> Result<Scrubbed, ArchiveError>;

    /// Deletes those of a study's instances that are named, with their deliveries, in one transaction
    /// with an audit line that says why; how many were there. Who may go is the caller's to know.
    fn delete(&self, study: &Uid, instances: &[Uid], why: &str) -> Result<u64, ArchiveError>;
    fn space(&self) -> Result<Space, ArchiveError>;

    /// Queues a job unless one with this key exists; says which id it has and whether it is new.
    fn enqueue(&self, key: &str, course: &str, spec: &str) -> Result<(i64, bool), ArchiveError>;
    /// Takes the oldest job that is queued or whose lease ran out, for `lease_s` seconds.
    fn lease(&self, worker: &str, lease_s: u32) -> Result<Option<Job>, ArchiveError>;
    /// Still at it: prolongs the lease; false when it was lost to another worker.
    fn heartbeat(&self, job: i64, worker: &str, lease_s: u32) -> Result<bool, ArchiveError>;
    /// Ends an attempt. `max_attempts` decides whether `JobEnd::Attempt` queues again or fails.
    /// `NotFound` where the lease was lost meanwhile: nothing of this attempt is published then.
    fn finish(
        &self,
        job: i64,
        worker: &str,
        end: JobEnd,
        max_attempts: u32,
    ) -> Result<(), ArchiveError>;
    /// All jobs, newest first, at most `limit`.
    fn jobs(&self, limit: u32) -> Result<Vec<Job>, ArchiveError>;
    /// Jobs of one course, newest first, at most `limit`.
    fn jobs_of(&self, course: &str, limit: u32) -> Result<Vec<Job>, ArchiveError>;
    /// SOP instances that a job's results are.
    fn job_results(&self, job: i64) -> Result<Vec<Uid>, ArchiveError>;

    /// Queues objects of the archive for a peer; what was queued for it before is not queued again.
    fn deliver(&self, objects: &[Uid], peer: &str) -> Result<(), ArchiveError>;
    /// Deliveries that are due, oldest first.
    fn due_deliveries(&self, now: Timestamp, limit: u32) -> Result<Vec<Delivery>, ArchiveError>;
    fn finish_delivery(&self, id: i64, end: DeliveryEnd) -> Result<(), ArchiveError>;
    fn deliveries(&self, limit: u32) -> Result<Vec<Delivery>, ArchiveError>;

    /// Deliveries to a peer whose commitment is to be asked for, longest due first.
    fn due_commitments(
        &self,
        peer: &str,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Delivery>, ArchiveError>;
    /// Deliveries that a peer was last asked about under this Transaction UID; none: never heard of.
    fn in_transaction(&self, transaction: &Uid) -> Result<Vec<Delivery>, ArchiveError>;
    /// Takes steps by delivery, all or none; a delivery that is not `Delivered` is left alone.
    fn step_commitments(&self, steps: &[(i64, CommitmentStep)]) -> Result<(), ArchiveError>;

    /// Announcements that are due: no result of the job is on its way to the destination any more.
    fn due_announcements(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Announcement>, ArchiveError>;
    /// Results of the announced job that are stored at its destination, in their order.
    fn announced(&self, announcement: &Announcement) -> Result<Vec<Uid>, ArchiveError>;
    fn finish_announcement(&self, id: i64, end: DeliveryEnd) -> Result<(), ArchiveError>;
    fn announcements(&self, limit: u32) -> Result<Vec<Announcement>, ArchiveError>;

    /// Appends to the audit trail.
    fn audit(&self, event: AuditEvent) -> Result<(), ArchiveError>;
    fn audit_trail(&self, limit: u32) -> Result<Vec<AuditEvent>, ArchiveError>;
    /// At most `limit` lines after line number `after` (0: from the first), oldest first.
    fn audit_after(&self, after: i64, limit: u32) -> Result<Vec<(i64, AuditEvent)>, ArchiveError>;

    /// A small named text that must survive (the state of a course): replaces it whole.
    fn put_note(&self, name: &str, text: &str) -> Result<(), ArchiveError>;
    fn note(&self, name: &str) -> Result<Option<String>, ArchiveError>;
}
