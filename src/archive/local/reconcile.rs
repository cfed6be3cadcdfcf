//! What a start finds and puts right: files half received, objects without a row, rows without an
//! object, old quarantine.

use super::incoming::{hex, register, set_aside};
use super::instances::{self, Met};
use super::part10;
use super::schema::{self, Prepared};
use super::{ArchiveError, Store, audit, disk, now, purge};
use crate::archive::{AuditEvent, Instance, Scrubbed};
use crate::dicom::gate::{self, GateError, GateFault};
use crate::dicom::{InstanceHeader, Uid};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::fs::{DirEntry, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Meta information that we wrote is shorter than this.
const META_BYTES: usize = 1024;

pub(super) fn run(
    store: &Store,
    prepared: &Prepared,
    quarantine_days: u32,
) -> Result<(), ArchiveError> {
    for entry in entries(&store.layout.incoming())? {
        store.disk.remove(&entry.path()).map_err(disk::at("remove incoming file"))?;
    }
    purge::settle(store)?;
    let objects = objects(store)?;
    let rows = store.index.read("read index", instances::all)?;
    mark(store, &objects, &rows)?;
    let known: HashSet<&str> = rows.iter().map(|(sha256, ..)| sha256.as_str()).collect();
    let orphans = objects.iter().filter(|sha256| !known.contains(sha256.as_str()));
    let adopted = adopt(store, orphans)?;
    expire(store, quarantine_days)?;
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let outcome = match prepared {
        Prepared::Replaced(path) => {
            format!("it was damaged and is kept as {}; {adopted} objects adopted", name(path))
        }
        Prepared::Renewed(path) => {
            format!("as asked; the old one is kept as {}; {adopted} objects adopted", name(path))
        }
        Prepared::Made if adopted > 0 => format!("it was missing; {adopted} objects adopted"),
        _ => return Ok(()),
    };
    alarm(store, "index-rebuilt", None, outcome)
}

fn entries(directory: &Path) -> Result<Vec<DirEntry>, ArchiveError> {
    std::fs::read_dir(directory).and_then(Iterator::collect).map_err(disk::at("read directory"))
}

/// Hashes of the files below `objects/` that bear an object's name.
fn objects(store: &Store) -> Result<HashSet<String>, ArchiveError> {
    let mut found = HashSet::new();
    for directory in entries(&store.layout.objects())? {
        if !directory.path().is_dir() {
            continue;
        }
        for entry in entries(&directory.path())? {
            let name = entry.file_name();
            let stem = name.to_str().and_then(|name| name.strip_suffix(".dcm"));
            let is_hash = |s: &&str| {
                s.len() == 64 && s.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
            };
            found.extend(stem.filter(is_hash).map(str::to_owned));
        }
    }
    Ok(found)
}

/// Marks rows whose object is gone and unmarks those whose object is back.
fn mark(
    store: &Store,
    objects: &HashSet<String>,
    rows: &[(String, String, bool)],
) -> Result<(), ArchiveError> {
    for (sha256, sop_instance, marked) in rows {
        let missing = !objects.contains(sha256);
        if missing == *marked {
            continue;
        }
        let sha = sha256.clone();
        store.index.write(move |index| {
            instances::set_missing(index, &sha, missing).map_err(schema::failed("mark missing"))
        })?;
        let (event, outcome) = if missing {
            ("instance-missing", "its object is gone; restore it from a backup or send it again")
        } else {
            ("instance-found", "its object is back")
        };
        alarm(store, event, Some(sop_instance.clone()), outcome.into())?;
    }
    Ok(())
}

fn alarm(
    store: &Store,
    event: &str,
    object: Option<String>,
    outcome: String,
) -> Result<(), ArchiveError> {
    tracing::warn!(event, object, outcome, "found at start");
    let event =
        AuditEvent { at: now(), event: event.to_owned(), actor: "grayd".into(), object, outcome };
    store.index.write(move |index| audit::append(index, &event))
}

/// Gives objects without a row their row, in the order in which they came: of two under one UID
/// the first stands.
fn adopt<'o>(
    store: &Store,
    orphans: impl Iterator<Item = &'o String>,
) -> Result<usize, ArchiveError> {
    let mut found: Vec<Instance> = Vec::new();
    for sha256 in orphans {
        match describe(store, sha256).map_err(disk::at("read object"))? {
            Some(instance) => found.push(instance),
            None => {
                let to = store.layout.quarantined(sha256);
                store
                    .disk
                    .rename(&store.layout.object(sha256), &to)
                    .map_err(disk::at("quarantine"))?;
                let outcome = format!("{sha256} is not what its name says; quarantined");
                alarm(store, "object-rotten", None, outcome)?;
            }
        }
    }
    found.sort_by(|a, b| (a.received, &a.sha256).cmp(&(b.received, &b.sha256)));
    let adopted = found.len();
    for batch in found.chunks(256) {
        adopt_batch(store, batch)?;
    }
    Ok(adopted)
}

fn adopt_batch(store: &Store, batch: &[Instance]) -> Result<(), ArchiveError> {
    let rows = batch.to_vec();
    let met = store.index.write(move |index| {
        let register = |row| register(index, row, "instance-adopted");
        rows.iter().map(register).collect::<Result<Vec<_>, _>>()
    })?;
    for (instance, met) in batch.iter().zip(met) {
        if let Met::Other(kept) | Met::Same(kept) = met {
            let object = store.layout.object(&instance.sha256);
            set_aside(store, &object, &instance.sha256, &kept, &instance.source)?;
        }
    }
    Ok(())
}

/// What an object says of itself, if its bytes are those that its name promises.
fn describe(store: &Store, sha256: &str) -> io::Result<Option<Instance>> {
    let path = store.layout.object(sha256);
    let start = match hash_object(&path)? {
        Some((start, found)) if found == sha256 => start,
        _ => return Ok(None),
    };
    let mut file = File::open(&path)?;
    let mut head = Vec::with_capacity(META_BYTES);
    file.by_ref().take(META_BYTES as u64).read_to_end(&mut head)?;
    let Some(meta) = part10::decode(&head) else { return Ok(None) };
    file.seek(SeekFrom::Start(start))?;
    let syntax = &meta.arrival.transfer_syntax;
    let read = InstanceHeader::read_data_set(&mut file, syntax, &store.zone);
    Ok(read.ok().map(|(header, report)| Instance {
        header,
        sha256: sha256.to_owned(),
        bytes: report.bytes,
        received: meta.received,
        source: meta.arrival.calling_ae,
    }))
}

/// Where an object's data set begins, and its hash; `None` where it is no whole DICOM file any
/// more.
pub(super) fn hash_object(path: &Path) -> io::Result<Option<(u64, String)>> {
    let mut file = File::open(path)?;
    let report = match gate::check_file(&mut file) {
        Ok((_, report)) => report,
        Err(GateError { fault: GateFault::Io(error), .. }) => return Err(error),
        Err(_) => return Ok(None),
    };
    let start = file.seek(SeekFrom::End(0))?.saturating_sub(report.bytes);
    file.seek(SeekFrom::Start(start))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(Some((start, hex(&hash.finalize())))),
            n => hash.update(&buffer[..n]),
        }
    }
}

/// Whether an error of reading means that the bytes are gone: no such file, or sectors that the
/// disk cannot read any more.
fn is_lost(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
        || error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error())
}

/// SHA-256 of a Part 10 file's data set without its meta information, by which the archive names
/// objects; `None` where it is no whole DICOM file.
pub fn data_set_sha256(path: &Path) -> io::Result<Option<String>> {
    Ok(hash_object(path)?.map(|(_, sha256)| sha256))
}

/// Reads an object back. One that is not what its name promises leaves the archive's answers and
/// goes to quarantine, so that the same bytes can be received again.
pub(super) fn verify(
    store: &Store,
    sop_instance: &Uid,
    sha256: &str,
) -> Result<bool, ArchiveError> {
    let object = store.layout.object(sha256);
    match hash_object(&object) {
        Ok(Some((_, found))) if found == sha256 => return Ok(true),
        Err(error) if !is_lost(&error) => return Err(disk::at("read object")(error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        _ => {
            let to = store.layout.quarantined(sha256);
            store.disk.rename(&object, &to).map_err(store.failed("quarantine"))?;
            let synced = store.disk.sync_directory(&store.layout.quarantine());
            synced.map_err(store.failed("sync directory"))?;
        }
    }
    let (sha, event) = (
        sha256.to_owned(),
        AuditEvent {
            at: now(),
            event: "instance-rotten".into(),
            actor: "grayd".into(),
            object: Some(sop_instance.to_string()),
            outcome: "its bytes are not those received; send it again".into(),
        },
    );
    store.index.write(move |index| {
        instances::set_missing(index, &sha, true).map_err(schema::failed("mark missing"))?;
        audit::append(index, &event)
    })?;
    Ok(false)
}

/// Verifies the next instances in the order of their UIDs.
pub(super) fn scrub(
    store: &Store,
    after: Option<&Uid>,
    limit: u32,
) -> Result<Scrubbed, ArchiveError> {
    let after = after.map(ToString::to_string).unwrap_or_default();
    let (next, instances) = store.index.read("list instances", |index| {
        Ok((instances::next(index, &after, limit)?, instances::count(index)?))
    })?;
    let mut found = Scrubbed { instances, ..Scrubbed::default() };
    for (sop_instance, sha256) in &next {
        let uid = Uid::parse(sop_instance).map_err(|error| ArchiveError::Index {
            step: "list instances",
            message: error.to_string(),
        })?;
        found.checked += 1;
        if !verify(store, &uid, sha256)? {
            found.rotten.push(uid.clone());
        }
        found.last = Some(uid);
    }
    if next.len() < limit as usize {
        found.last = None;
    }
    Ok(found)
}

/// Removes what has been in quarantine for longer than it is kept.
fn expire(store: &Store, days: u32) -> Result<(), ArchiveError> {
    if days == 0 {
        return Ok(());
    }
    let kept = Duration::from_secs(u64::from(days) * 86_400);
    let age = |entry: &DirEntry| entry.metadata().ok()?.modified().ok()?.elapsed().ok();
    let old: Vec<PathBuf> = entries(&store.layout.quarantine())?
        .iter()
        .filter(|entry| age(entry).is_some_and(|age| age > kept))
        .map(DirEntry::path)
        .collect();
    for path in old {
        store.disk.remove(&path).map_err(disk::at("remove from quarantine"))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        alarm(store, "quarantine-expired", None, name)?;
    }
    Ok(())
}
