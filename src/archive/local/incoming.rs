//! Receiving one instance: from the first byte to the committed row.

use super::instances::{self, Met};
use super::part10::{self, Meta};
use super::{ArchiveError, Store, audit, now};
use crate::archive::{Arrival, AuditEvent, Expected, Incoming, Instance, Receipt};
use crate::dicom::InstanceHeader;
use crate::dicom::header::HeaderError;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{ErrorKind, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

/// Bytes after which the disk is asked to begin writing: one PDU of the usual largest size.
const WRITE_AHEAD: u64 = 128 * 1024;

/// Numbers the files that this process receives.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// Lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// An instance on its way in; its file is removed on drop unless it was renamed into place.
pub(super) struct Receiving {
    store: Arc<Store>,
    meta: Meta,
    file: File,
    path: PathBuf,
    /// Where the data set begins in the file.
    start: u64,
    bytes: u64,
    /// Bytes of the file that the disk has been asked to write already.
    begun: u64,
    hash: Sha256,
    in_place: bool,
    /// What the instance has to be of.
    expected: Expected,
}

impl Drop for Receiving {
    fn drop(&mut self) {
        if !self.in_place
            && let Err(error) = self.store.disk.remove(&self.path)
        {
            // The next start removes it.
            tracing::warn!(%error, "a partly received file could not be removed");
        }
    }
}

impl Receiving {
    /// Room and permission to receive?
    pub(super) fn begin(store: Arc<Store>, arrival: Arrival) -> Result<Self, ArchiveError> {
        let ae = &arrival.calling_ae;
        let legal = |b: u8| (0x20..0x7F).contains(&b) && b != b'\\';
        if ae.trim().is_empty() || ae.len() > 16 || !ae.bytes().all(legal) {
            return Err(ArchiveError::Mismatch("the calling AE title is not one".into()));
        }
        let free_bytes = store
            .disk
            .free_bytes(&store.layout.directory)
            .map_err(super::disk::at("read free space"))?;
        if free_bytes < store.reserve_bytes {
            let reserve_bytes = store.reserve_bytes;
            return Err(ArchiveError::OutOfSpace { free_bytes, reserve_bytes });
        }
        let (path, file) = Self::create(&store)?;
        let meta = Meta { arrival, received: now() };
        let mut this = Self {
            store,
            meta,
            file,
            path,
            start: 0,
            bytes: 0,
            begun: 0,
            hash: Sha256::new(),
            in_place: false,
            expected: Expected::default(),
        };
        let head = part10::encode(&this.meta);
        this.append(&head)?;
        this.start = head.len() as u64;
        Ok(this)
    }

    fn create(store: &Store) -> Result<(PathBuf, File), ArchiveError> {
        loop {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let name = format!("{:08x}-{number:016x}.part", std::process::id());
            let path = store.layout.incoming().join(name);
            match store.disk.create_new(&path) {
                Ok(file) => return Ok((path, file)),
                // Left by a process of the same number: the next name is free.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(store.failed("create incoming file")(error)),
            }
        }
    }

    fn append(&mut self, data: &[u8]) -> Result<(), ArchiveError> {
        let written = self.store.disk.write(&mut self.file, data);
        written.map_err(self.store.failed("write incoming file"))
    }

    /// Gate, header, and what the command announced.
    fn understand(&self) -> Result<InstanceHeader, ArchiveError> {
        let mut file = &self.file;
        let at = SeekFrom::Start(self.start);
        file.seek(at).map_err(super::disk::at("read incoming file"))?;
        let arrival = &self.meta.arrival;
        let (header, _) =
            InstanceHeader::read_data_set(&mut file, &arrival.transfer_syntax, &self.store.zone)
                .map_err(|error| match error {
                    HeaderError::Io(source) => {
                        ArchiveError::Storage { step: "read header", source }
                    }
                    other => ArchiveError::Unreadable(other.to_string()),
                })?;
        for (name, announced, found) in [
            ("SOP Class UID (0008,0016)", &arrival.sop_class, &header.sop_class),
            ("SOP Instance UID (0008,0018)", &arrival.sop_instance, &header.sop_instance),
        ] {
            if announced != found {
                return Err(ArchiveError::Mismatch(format!(
                    "{name} is {found}, the command said {announced}; have the sender correct it"
                )));
            }
        }
        let Expected { study, patient } = &self.expected;
        if study.as_ref().is_some_and(|study| *study != header.study) {
            let reason = "Study Instance UID (0020,000D) is not the one that was asked for";
            return Err(ArchiveError::Mismatch(reason.into()));
        }
        if patient.as_ref().is_some_and(|patient| !patient.is_same_person(&header.patient)) {
            let reason = "Patient ID (0010,0020) is not the one that was asked for";
            return Err(ArchiveError::Mismatch(reason.into()));
        }
        Ok(header)
    }

    fn instance(&self, header: InstanceHeader, sha256: String) -> Instance {
        Instance {
            header,
            sha256,
            bytes: self.bytes,
            received: self.meta.received,
            source: self.meta.arrival.calling_ae.clone(),
        }
    }

    /// Reads from memory what the file is, header and the row that has its UID already, while the disk
    /// writes the last of it; then waits for the disk.
    fn understand_and_sync(&mut self) -> Result<(InstanceHeader, Option<Instance>), ArchiveError> {
        self.write_ahead();
        let header = self.understand()?;
        let known = self.known(&header)?;
        let synced = self.store.disk.sync_data(&self.file);
        synced.map_err(self.store.failed("sync object"))?;
        Ok((header, known))
    }

    /// Sets the disk to work on what it has not been asked to write yet.
    fn write_ahead(&mut self) {
        let written = self.start + self.bytes;
        self.store.disk.begin_writing(&self.file, self.begun, written - self.begun);
        self.begun = written;
    }

    /// The synced file under its final name, then that name on the disk. Receivers sync their
    /// directories themselves: the file system gathers what waits for it at one time.
    fn put_in_place(&mut self, sha256: &str) -> Result<(), ArchiveError> {
        let disk = &self.store.disk;
        let object = self.store.layout.object(sha256);
        disk.rename(&self.path, &object).map_err(self.store.failed("rename object"))?;
        self.in_place = true;
        let directory = self.store.layout.object_directory(sha256);
        disk.sync_directory(&directory).map_err(self.store.failed("sync directory"))
    }

    /// The row that has the UID already, if its object is there.
    fn known(&self, header: &InstanceHeader) -> Result<Option<Instance>, ArchiveError> {
        let found = self
            .store
            .index
            .read("find instance", |index| instances::lookup(index, &header.sop_instance))?;
        Ok(found.and_then(|(kept, missing)| (!missing).then_some(kept)))
    }

    /// Keeps what arrived under a UID that is taken out of the way but within reach.
    fn quarantine(self, kept: Instance, sha256: String) -> Result<Receipt, ArchiveError> {
        let layout = &self.store.layout;
        let from = if self.in_place { layout.object(&sha256) } else { self.path.clone() };
        set_aside(&self.store, &from, &sha256, &kept, &self.meta.arrival.calling_ae)?;
        // The file has left its name: there is nothing to remove.
        let mut this = self;
        this.in_place = true;
        Ok(Receipt::Conflict { kept: Box::new(kept), quarantined_sha256: sha256 })
    }
}

/// Moves a file to quarantine, durably, and says so in the audit trail.
pub(super) fn set_aside(
    store: &Store,
    from: &std::path::Path,
    sha256: &str,
    kept: &Instance,
    actor: &str,
) -> Result<(), ArchiveError> {
    let to = store.layout.quarantined(sha256);
    store.disk.rename(from, &to).map_err(store.failed("quarantine"))?;
    let synced = store.disk.sync_directory(&store.layout.quarantine());
    synced.map_err(store.failed("sync directory"))?;
    let event = AuditEvent {
        at: now(),
        event: "instance-conflict".into(),
        actor: actor.to_owned(),
        object: Some(kept.header.sop_instance.to_string()),
        outcome: format!("kept {}, quarantined {sha256}", kept.sha256),
    };
    store.index.write(move |index| audit::append(index, &event))
}

/// Row and audit line of a new instance, in one transaction.
pub(super) fn register(
    index: &rusqlite::Connection,
    instance: &Instance,
    event: &'static str,
) -> Result<Met, ArchiveError> {
    let met = instances::insert(index, instance)?;
    if matches!(met, Met::Room) {
        let event = AuditEvent {
            at: now(),
            event: event.into(),
            actor: instance.source.clone(),
            object: Some(instance.header.sop_instance.to_string()),
            outcome: format!("{} bytes, {}", instance.bytes, instance.sha256),
        };
        audit::append(index, &event)?;
    }
    Ok(met)
}

impl Incoming for Receiving {
    fn write(&mut self, data: &[u8]) -> Result<(), ArchiveError> {
        let limit_bytes = self.store.instance_limit_bytes;
        let bytes = self.bytes.saturating_add(data.len() as u64);
        if bytes > limit_bytes {
            return Err(ArchiveError::TooLarge { limit_bytes });
        }
        self.append(data)?;
        self.bytes = bytes;
        if self.start + bytes - self.begun >= WRITE_AHEAD {
            self.write_ahead();
        }
        self.hash.update(data);
        Ok(())
    }

    fn expect(&mut self, expected: Expected) -> Result<(), ArchiveError> {
        self.expected = expected;
        Ok(())
    }

    fn commit(mut self: Box<Self>) -> Result<Receipt, ArchiveError> {
        let store = self.store.clone();
        let _nothing_is_deleted = store.purging.read().unwrap_or_else(PoisonError::into_inner);
        let (header, known) = self.understand_and_sync()?;
        let sha256 = hex(&std::mem::take(&mut self.hash).finalize());
        match known {
            Some(kept) if kept.sha256 == sha256 => return Ok(Receipt::Duplicate(Box::new(kept))),
            Some(kept) => return self.quarantine(kept, sha256),
            None => {}
        }
        self.put_in_place(&sha256)?;
        let instance = self.instance(header, sha256);
        let row = instance.clone();
        let met = self.store.index.write(move |index| register(index, &row, "instance-stored"))?;
        match met {
            Met::Room => Ok(Receipt::Stored(Box::new(instance))),
            Met::Same(kept) => Ok(Receipt::Duplicate(kept)),
            Met::Other(kept) => self.quarantine(*kept, instance.sha256),
        }
    }
}
