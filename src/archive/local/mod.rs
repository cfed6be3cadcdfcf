//! The embedded archive: objects in a directory, rows in SQLite.
//!
//! ```text
//! DIRECTORY/lock            held by the node that runs on it
//!           index.sqlite    instances, jobs, deliveries, audit, notes
//!           objects/ab/     Part 10 files named by the SHA-256 of their data set
//!           incoming/       what is being received; emptied at start
//!           quarantine/     other bytes under a UID that was taken, and objects that rotted
//!           trash/          objects that are being deleted; empty but for moments
//! ```
//!
//! The order of durability: data set into `incoming/`, gate, header, fdatasync, rename into
//! `objects/`, directory fsync, index commit. Whatever the moment of a crash, an object is whole
//! under its final name or not there, and a row never comes before its object.

mod announcements;
mod audit;
mod backup;
mod deliveries;
mod disk;
mod incoming;
mod index;
mod instances;
mod part10;
mod purge;
mod query;
mod queue;
mod reconcile;
mod schema;
#[cfg(test)]
mod tests;

pub use backup::{BackupManifest, BackupReport};
pub use part10::{IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME};
pub use reconcile::data_set_sha256;

use super::{
    Announcement, Archive, ArchiveError, Arrival, AuditCheck, AuditEvent, AuditHead,
    CommitmentStep, Delivery, DeliveryEnd, Incoming, Instance, InstanceFilter, Job, JobEnd, Match,
    Query, Scrubbed, Space, StorageSettings,
};
use crate::dicom::Uid;
use disk::Disk;
use index::Index;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

const MIB: u64 = 1024 * 1024;

/// The archive below one directory.
pub struct LocalArchive {
    store: Arc<Store>,
    /// Held for as long as the archive is open; `None` for one that is attached.
    _lock: Option<File>,
}

/// What receivers share.
struct Store {
    layout: Layout,
    disk: Disk,
    index: Index,
    /// Zone of times that name none.
    zone: TimeZone,
    reserve_bytes: u64,
    instance_limit_bytes: u64,
    /// Held for reading by who puts an object in place, for writing by who deletes.
    purging: RwLock<()>,
}

/// Where things lie.
#[derive(Debug, Clone)]
struct Layout {
    directory: PathBuf,
}

impl Layout {
    fn index(&self) -> PathBuf {
        self.directory.join("index.sqlite")
    }
    fn lock(&self) -> PathBuf {
        self.directory.join("lock")
    }
    fn incoming(&self) -> PathBuf {
        self.directory.join("incoming")
    }
    fn objects(&self) -> PathBuf {
        self.directory.join("objects")
    }
    fn quarantine(&self) -> PathBuf {
        self.directory.join("quarantine")
    }
    fn trash(&self) -> PathBuf {
        self.directory.join("trash")
    }
    fn trashed(&self, sha256: &str) -> PathBuf {
        self.trash().join(format!("{sha256}.dcm"))
    }
    fn object_directory(&self, sha256: &str) -> PathBuf {
        self.objects().join(sha256.get(..2).unwrap_or_default())
    }
    fn object(&self, sha256: &str) -> PathBuf {
        self.object_directory(sha256).join(format!("{sha256}.dcm"))
    }
    fn quarantined(&self, sha256: &str) -> PathBuf {
        self.quarantine().join(format!("{sha256}.dcm"))
    }

    /// Makes what is missing, durably: two hex digits of directories for the objects.
    fn make(&self, disk: &Disk) -> Result<(), ArchiveError> {
        let mut wanted = vec![self.directory.clone(), self.incoming(), self.quarantine()];
        wanted.push(self.trash());
        wanted.push(self.objects());
        wanted.extend((0..=255).map(|n| self.objects().join(format!("{n:02x}"))));
        let mut parents: Vec<PathBuf> = Vec::new();
        for directory in wanted {
            if directory.is_dir() {
                continue;
            }
            disk.make_directory(&directory).map_err(disk::at("make directory"))?;
            let parent = directory.parent().unwrap_or(Path::new("/")).to_owned();
            if !parents.contains(&parent) {
                parents.push(parent);
            }
        }
        for parent in parents {
            disk.sync_directory(&parent).map_err(disk::at("sync directory"))?;
        }
        Ok(())
    }
}

impl LocalArchive {
    /// Opens the archive as its only owner, repairs what a crash left behind and rebuilds the
    /// index where it is missing or damaged. Times in headers that name no zone are in `zone`.
    pub fn open(settings: &StorageSettings, zone: TimeZone) -> Result<Self, ArchiveError> {
        Self::open_on(Disk::default(), settings, zone)
    }

    /// As [`Self::open`], with an index made anew from the objects; the old one is kept aside, and
    /// what only it knew (jobs, deliveries, notes, audit) is taken over.
    pub fn reindex(settings: &StorageSettings, zone: TimeZone) -> Result<Self, ArchiveError> {
        Self::open_with(Disk::default(), settings, zone, schema::renew)
    }

    fn open_on(
        disk: Disk,
        settings: &StorageSettings,
        zone: TimeZone,
    ) -> Result<Self, ArchiveError> {
        Self::open_with(disk, settings, zone, schema::prepare)
    }

    fn open_with(
        disk: Disk,
        settings: &StorageSettings,
        zone: TimeZone,
        prepare: fn(&Layout) -> Result<schema::Prepared, ArchiveError>,
    ) -> Result<Self, ArchiveError> {
        let layout = Layout { directory: settings.directory.clone() };
        layout.make(&disk)?;
        let lock = File::create(layout.lock()).map_err(disk::at("open lock"))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => ArchiveError::InUse(layout.directory.clone()),
            TryLockError::Error(source) => ArchiveError::Storage { step: "lock", source },
        })?;
        let prepared = prepare(&layout)?;
        let store = Store::new(layout, disk, settings, zone)?;
        reconcile::run(&store, &prepared, settings.quarantine_days)?;
        Ok(Self { store: Arc::new(store), _lock: Some(lock) })
    }

    /// Opens an archive that a node may be running on, for a worker or a command beside it:
    /// nothing is repaired, and the index must be there.
    pub fn attach(settings: &StorageSettings, zone: TimeZone) -> Result<Self, ArchiveError> {
        let layout = Layout { directory: settings.directory.clone() };
        if !layout.index().is_file() {
            return Err(ArchiveError::NotFound("index"));
        }
        schema::check_version(&schema::connect(&layout.index())?)?;
        let store = Store::new(layout, Disk::default(), settings, zone)?;
        Ok(Self { store: Arc::new(store), _lock: None })
    }

    fn sha256_of(&self, sop_instance: &Uid) -> Result<String, ArchiveError> {
        let step = "find object";
        let found = self.store.index.read(step, |index| instances::sha256_of(index, sop_instance));
        found?.ok_or(ArchiveError::NotFound("instance"))
    }

    /// Whether the audit trail is as it was written: no line changed, moved or cut out.
    pub fn audit_is_intact(&self) -> Result<bool, ArchiveError> {
        Ok(self.check_audit()?.broken.is_none())
    }

    /// Walks the audit trail's chain.
    pub fn check_audit(&self) -> Result<AuditCheck, ArchiveError> {
        self.store.index.read("audit check", audit::check)
    }

    /// Whether the trail still holds the line that somebody noted elsewhere: who rewrites the whole
    /// trail can make a sound chain, but not one with the same value there.
    pub fn audit_holds(&self, head: &AuditHead) -> Result<bool, ArchiveError> {
        let found = self.store.index.read("audit check", |i| audit::chain_at(i, head.number))?;
        Ok(found.as_deref() == Some(&head.chain))
    }
}

impl Store {
    fn new(
        layout: Layout,
        disk: Disk,
        settings: &StorageSettings,
        zone: TimeZone,
    ) -> Result<Self, ArchiveError> {
        let index = Index::open(&layout.index(), disk.clone())?;
        Ok(Self {
            layout,
            disk,
            index,
            zone,
            reserve_bytes: settings.reserve_mb.saturating_mul(MIB),
            instance_limit_bytes: settings.instance_limit_mb.saturating_mul(MIB),
            purging: RwLock::new(()),
        })
    }

    /// Tells running out of space from other failures.
    fn failed(&self, step: &'static str) -> impl FnOnce(std::io::Error) -> ArchiveError {
        let (layout, reserve_bytes) = (self.layout.clone(), self.reserve_bytes);
        let disk = self.disk.clone();
        move |source| match source.raw_os_error() {
            Some(code) if disk::is_out_of_space(code) => {
                let free_bytes = disk.free_bytes(&layout.directory).unwrap_or(0);
                ArchiveError::OutOfSpace { free_bytes, reserve_bytes }
            }
            _ => ArchiveError::Storage { step, source },
        }
    }
}

/// Now, in the microseconds that the index keeps.
fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}

impl Archive for LocalArchive {
    fn instance_limit_bytes(&self) -> u64 {
        self.store.instance_limit_bytes
    }

    fn receive(&self, arrival: Arrival) -> Result<Box<dyn Incoming>, ArchiveError> {
        Ok(Box::new(incoming::Receiving::begin(self.store.clone(), arrival)?))
    }

    fn instances(&self, filter: &InstanceFilter) -> Result<Vec<Instance>, ArchiveError> {
        self.store.index.read("find instances", |index| instances::find(index, filter))
    }

    fn query(&self, query: &Query) -> Result<Vec<Match>, ArchiveError> {
        self.store.index.read("answer query", |index| query::answer(index, query))
    }

    fn path(&self, sop_instance: &Uid) -> Result<PathBuf, ArchiveError> {
        Ok(self.store.layout.object(&self.sha256_of(sop_instance)?))
    }

    fn scrub(&self, after: Option<&Uid>, limit: u32) -> Result<Scrubbed, ArchiveError> {
        reconcile::scrub(&self.store, after, limit)
    }

    fn delete(&self, study: &Uid, instances: &[Uid], why: &str) -> Result<u64, ArchiveError> {
        purge::delete(&self.store, study, instances, why)
    }

    fn space(&self) -> Result<Space, ArchiveError> {
        self.store.disk.space(&self.store.layout.directory).map_err(disk::at("read free space"))
    }

    fn verify(&self, sop_instance: &Uid) -> Result<bool, ArchiveError> {
        reconcile::verify(&self.store, sop_instance, &self.sha256_of(sop_instance)?)
    }

    fn enqueue(&self, key: &str, course: &str, spec: &str) -> Result<(i64, bool), ArchiveError> {
        let (key, course, spec) = (key.to_owned(), course.to_owned(), spec.to_owned());
        self.store.index.write(move |index| queue::enqueue(index, &key, &course, &spec))
    }

    fn lease(&self, worker: &str, lease_s: u32) -> Result<Option<Job>, ArchiveError> {
        let worker = worker.to_owned();
        self.store.index.write(move |index| queue::lease(index, &worker, lease_s))
    }

    fn heartbeat(&self, job: i64, worker: &str, lease_s: u32) -> Result<bool, ArchiveError> {
        let worker = worker.to_owned();
        self.store.index.write(move |index| queue::heartbeat(index, job, &worker, lease_s))
    }

    fn finish(
        &self,
        job: i64,
        worker: &str,
        end: JobEnd,
        max_attempts: u32,
    ) -> Result<(), ArchiveError> {
        let worker = worker.to_owned();
        self.store.index.write(move |index| queue::finish(index, job, &worker, &end, max_attempts))
    }

    fn jobs(&self, limit: u32) -> Result<Vec<Job>, ArchiveError> {
        self.store.index.read("list jobs", |index| queue::jobs(index, limit))
    }

    fn jobs_of(&self, course: &str, limit: u32) -> Result<Vec<Job>, ArchiveError> {
        self.store.index.read("list jobs", |index| queue::jobs_of(index, course, limit))
    }

    fn job_results(&self, job: i64) -> Result<Vec<Uid>, ArchiveError> {
        self.store.index.read("list results", |index| queue::results(index, job))
    }

    fn deliver(&self, objects: &[Uid], peer: &str) -> Result<(), ArchiveError> {
        let (objects, peer) = (objects.to_vec(), peer.to_owned());
        self.store.index.write(move |index| {
            objects.iter().try_for_each(|object| deliveries::queue(index, object, &peer))
        })
    }

    fn due_deliveries(&self, now: Timestamp, limit: u32) -> Result<Vec<Delivery>, ArchiveError> {
        self.store.index.read("list deliveries", |index| deliveries::due(index, now, limit))
    }

    fn finish_delivery(&self, id: i64, end: DeliveryEnd) -> Result<(), ArchiveError> {
        self.store.index.write(move |index| deliveries::finish(index, id, &end))
    }

    fn deliveries(&self, limit: u32) -> Result<Vec<Delivery>, ArchiveError> {
        self.store.index.read("list deliveries", |index| deliveries::newest(index, limit))
    }

    fn due_commitments(
        &self,
        peer: &str,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Delivery>, ArchiveError> {
        let step = "list commitments";
        self.store.index.read(step, |index| deliveries::due_commitments(index, peer, now, limit))
    }

    fn in_transaction(&self, transaction: &Uid) -> Result<Vec<Delivery>, ArchiveError> {
        self.store
            .index
            .read("find transaction", |index| deliveries::in_transaction(index, transaction))
    }

    fn step_commitments(&self, steps: &[(i64, CommitmentStep)]) -> Result<(), ArchiveError> {
        let steps = steps.to_owned();
        self.store.index.write(move |index| deliveries::step_commitments(index, &steps))
    }

    fn due_announcements(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Announcement>, ArchiveError> {
        self.store.index.read("list announcements", |index| announcements::due(index, now, limit))
    }

    fn announced(&self, announcement: &Announcement) -> Result<Vec<Uid>, ArchiveError> {
        self.store.index.read("list results", |index| announcements::stored(index, announcement))
    }

    fn finish_announcement(&self, id: i64, end: DeliveryEnd) -> Result<(), ArchiveError> {
        self.store.index.write(move |index| announcements::finish(index, id, &end))
    }

    fn announcements(&self, limit: u32) -> Result<Vec<Announcement>, ArchiveError> {
        self.store.index.read("list announcements", |index| announcements::newest(index, limit))
    }

    fn audit(&self, event: AuditEvent) -> Result<(), ArchiveError> {
        self.store.index.write(move |index| audit::append(index, &event))
    }

    fn audit_after(&self, after: i64, limit: u32) -> Result<Vec<(i64, AuditEvent)>, ArchiveError> {
        self.store.index.read("read audit", |index| audit::after(index, after, limit))
    }

    fn audit_trail(&self, limit: u32) -> Result<Vec<AuditEvent>, ArchiveError> {
        self.store.index.read("read audit", |index| audit::newest(index, limit))
    }

    fn put_note(&self, name: &str, text: &str) -> Result<(), ArchiveError> {
        let (name, text) = (name.to_owned(), text.to_owned());
        self.store.index.write(move |index| queue::put_note(index, &name, &text))
    }

    fn note(&self, name: &str) -> Result<Option<String>, ArchiveError> {
        self.store.index.read("read note", |index| queue::note(index, name))
    }
}
