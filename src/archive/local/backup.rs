//! A second copy of the archive: made while the node runs, checked as it is made, and put back.
//!
//! ```text
//! TO/backup.json     written last: a backup without it is not whole
//!    index.sqlite    the index as it was at one moment
//!    objects/ab/     every object of that index
//!    quarantine/     as it was
//! ```
//!
//! Objects never change, so a backup into a folder that holds an earlier one copies only what is
//! new. Each object's hash is checked before it is copied: rot does not spread into the backup.

#[cfg(test)]
mod tests;

use super::{ArchiveError, Layout, LocalArchive, Store, audit, disk, instances, now, schema};
use super::{incoming::hex, reconcile::hash_object};
use crate::archive::{AuditEvent, AuditHead, StorageSettings};
use crate::dicom::Uid;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rusqlite::Connection;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

const MANIFEST: &str = "backup.json";
const SOFTWARE: &str = concat!("grayd ", env!("CARGO_PKG_VERSION"));

/// `backup.json`: what a backup holds.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct BackupManifest {
    pub software: String,
    /// The moment that the index shows.
    pub made: Timestamp,
    /// Version of the index's tables.
    pub schema: i64,
    pub objects: u64,
    /// Of the objects' data sets together.
    pub bytes: u64,
    /// SHA-256 of `index.sqlite`, lower-case hex.
    pub index_sha256: String,
    /// Last line of the audit trail then: an anchor for `grayd audit verify`.
    pub audit: AuditHead,
}

/// What making or restoring a backup did.
#[derive(Debug, Clone, PartialEq)]
pub struct BackupReport {
    pub manifest: BackupManifest,
    /// Objects copied now; the others were there already.
    pub copied: u64,
    /// Instances whose object is lost or is not what was received. They are in no backup.
    pub damaged: Vec<Uid>,
}

/// A row of the snapshot.
struct Row {
    sha256: String,
    sop_instance: Uid,
    bytes: u64,
}

fn unusable(reason: String) -> ArchiveError {
    ArchiveError::Backup(reason)
}

impl LocalArchive {
    /// Copies the archive to a folder that is empty or holds an earlier backup. Receiving and
    /// computing go on meanwhile; the copy shows the moment at which this was called.
    pub fn back_up(&self, to: &Path) -> Result<BackupReport, ArchiveError> {
        let store = &self.store;
        let there = Layout { directory: to.to_owned() };
        prepare_target(store, &there)?;
        let snapshot_path = to.join("index.sqlite.new");
        let made = now();
        let snapshot = take_snapshot(store, &snapshot_path)?;
        let rows = rows(&snapshot)?;
        let mut report = BackupReport {
            manifest: BackupManifest {
                software: SOFTWARE.to_owned(),
                made,
                schema: schema::SCHEMA,
                objects: 0,
                bytes: 0,
                index_sha256: String::new(),
                audit: audit::check(&snapshot).map_err(schema::failed("audit check"))?.head,
            },
            copied: 0,
            damaged: Vec::new(),
        };
        for row in rows {
            back_up_object(store, &there, &snapshot, row, &mut report)?;
        }
        copy_quarantine(store, &store.layout, &there)?;
        close(snapshot)?;
        sync_tree(store, &there)?;
        finish(store, &there, &snapshot_path, &mut report.manifest)?;
        let outcome = format!("{} objects, {} copied", report.manifest.objects, report.copied);
        note(store, "backup-made", outcome)?;
        Ok(report)
    }

    /// Makes an archive out of a backup, in a storage directory that holds none. Every object is
    /// checked on the way.
    pub fn restore(
        from: &Path,
        settings: &StorageSettings,
        zone: TimeZone,
    ) -> Result<BackupReport, ArchiveError> {
        let manifest = read_manifest(from)?;
        let source = Layout { directory: from.to_owned() };
        let target = Layout { directory: settings.directory.clone() };
        if target.index().exists() || holds_objects(&target)? {
            return Err(unusable(format!(
                "{} holds an archive already; restore into another storage.directory, or move it \
                 away first",
                target.directory.display()
            )));
        }
        let disk = disk::Disk::default();
        target.make(&disk)?;
        let index = Connection::open(source.index()).map_err(schema::failed("open backup"))?;
        let mut report = BackupReport { manifest, copied: 0, damaged: Vec::new() };
        for row in rows(&index)? {
            let (object, to) = (source.object(&row.sha256), target.object(&row.sha256));
            if is_sound(&object, &row.sha256)? {
                copy(&disk, &object, &to)?;
                report.copied += 1;
            } else {
                report.damaged.push(row.sop_instance);
            }
        }
        close(index)?;
        copy(&disk, &source.index(), &target.index())?;
        let archive = Self::open(settings, zone)?;
        copy_quarantine(&archive.store, &source, &archive.store.layout)?;
        sync_tree(&archive.store, &target)?;
        let outcome = format!("of {}; {} objects", report.manifest.made, report.copied);
        note(&archive.store, "backup-restored", outcome)?;
        Ok(report)
    }
}

fn note(store: &Store, event: &str, outcome: String) -> Result<(), ArchiveError> {
    let (event, actor) = (event.to_owned(), "grayd".to_owned());
    let event = AuditEvent { at: now(), event, actor, object: None, outcome };
    store.index.write(move |index| audit::append(index, &event))
}

/// Folders; what is left of an earlier backup stops to count as whole until this one is.
fn prepare_target(store: &Store, there: &Layout) -> Result<(), ArchiveError> {
    let to = &there.directory;
    let inside = |a: &Path, b: &Path| match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a.starts_with(b),
        _ => false,
    };
    store.disk.make_directory(to).map_err(store.failed("make backup folder"))?;
    if inside(to, &store.layout.directory) || inside(&store.layout.directory, to) {
        return Err(unusable(format!(
            "{} and the storage directory lie within each other; give a folder elsewhere, best on \
             another disk",
            to.display()
        )));
    }
    let manifest = to.join(MANIFEST);
    let foreign = !manifest.exists() && !there.objects().is_dir() && !is_empty(to)?;
    if foreign {
        return Err(unusable(format!(
            "{} is neither empty nor an earlier backup; give another folder",
            to.display()
        )));
    }
    for folder in [there.objects(), there.quarantine()] {
        store.disk.make_directory(&folder).map_err(store.failed("make backup folder"))?;
    }
    for old in [manifest, to.join("index.sqlite.new")] {
        match store.disk.remove(&old) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(store.failed("begin backup")(error));
            }
            _ => {}
        }
    }
    store.disk.sync_directory(to).map_err(store.failed("begin backup"))
}

fn is_empty(folder: &Path) -> Result<bool, ArchiveError> {
    let mut entries = std::fs::read_dir(folder).map_err(disk::at("read folder"))?;
    Ok(entries.next().is_none())
}

fn holds_objects(layout: &Layout) -> Result<bool, ArchiveError> {
    let folders = match std::fs::read_dir(layout.objects()) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        folders => folders.map_err(disk::at("read folder"))?,
    };
    for folder in folders {
        let path = folder.map_err(disk::at("read folder"))?.path();
        if path.is_dir() && !is_empty(&path)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The index as it is now, as a file of its own: one read transaction beside all writers.
fn take_snapshot(store: &Store, path: &Path) -> Result<Connection, ArchiveError> {
    let text = path
        .to_str()
        .ok_or_else(|| unusable("the folder's name is no Unicode text".to_owned()))?
        .to_owned();
    store.index.read("copy index", |index| index.execute("VACUUM INTO ?1", [text]))?;
    Connection::open(path).map_err(schema::failed("open copy of index"))
}

fn rows(index: &Connection) -> Result<Vec<Row>, ArchiveError> {
    let read = || {
        index
            .prepare("SELECT sha256, sop_instance, bytes FROM instances WHERE missing = 0")?
            .query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?)))?
            .collect::<rusqlite::Result<Vec<(String, String, i64)>>>()
    };
    let rows = read().map_err(schema::failed("read copy of index"))?;
    let row = |(sha256, sop, bytes): (String, String, i64)| {
        let sop_instance = Uid::parse(&sop).map_err(|error| ArchiveError::Index {
            step: "read copy of index",
            message: error.to_string(),
        })?;
        Ok(Row { sha256, sop_instance, bytes: u64::try_from(bytes).unwrap_or(0) })
    };
    rows.into_iter().map(row).collect()
}

/// One object into the backup. Where it was deleted since, its row leaves the snapshot; where it
/// is damaged, the snapshot says so.
fn back_up_object(
    store: &Store,
    there: &Layout,
    snapshot: &Connection,
    row: Row,
    report: &mut BackupReport,
) -> Result<(), ArchiveError> {
    let (object, to) = (store.layout.object(&row.sha256), there.object(&row.sha256));
    if to.exists() {
        report.manifest.objects += 1;
        report.manifest.bytes += row.bytes;
        return Ok(());
    }
    if is_sound(&object, &row.sha256)? {
        let folder = there.object_directory(&row.sha256);
        store.disk.make_directory(&folder).map_err(store.failed("make backup folder"))?;
        copy(&store.disk, &object, &to)?;
        report.copied += 1;
        report.manifest.objects += 1;
        report.manifest.bytes += row.bytes;
        return Ok(());
    }
    let lives = store.index.read("find object", |i| instances::sha256_of(i, &row.sop_instance))?;
    let change = if lives.is_some() {
        report.damaged.push(row.sop_instance);
        "UPDATE instances SET missing = 1 WHERE sha256 = ?1"
    } else {
        "DELETE FROM instances WHERE sha256 = ?1"
    };
    let changed = snapshot.execute(change, [&row.sha256]);
    changed.map(|_| ()).map_err(schema::failed("correct copy of index"))
}

/// Whether an object is there and is what its name says.
fn is_sound(object: &Path, sha256: &str) -> Result<bool, ArchiveError> {
    match hash_object(object) {
        Ok(found) => Ok(found.is_some_and(|(_, hash)| hash == sha256)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(disk::at("read object")(error)),
    }
}

/// Copies a file so that it is there whole or not at all: under another name, synced, renamed. The
/// names are made durable by [`sync_tree`].
fn copy(disk: &disk::Disk, from: &Path, to: &Path) -> Result<(), ArchiveError> {
    let part = to.with_extension("part");
    let copied = || -> io::Result<()> {
        match std::fs::remove_file(&part) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = disk.create_new(&part)?;
        io::copy(&mut File::open(from)?, &mut file)?;
        disk.sync_data(&file)?;
        disk.rename(&part, to)
    };
    copied().map_err(disk::at("copy file"))
}

fn copy_quarantine(store: &Store, from: &Layout, to: &Layout) -> Result<(), ArchiveError> {
    let entries = match std::fs::read_dir(from.quarantine()) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(disk::at("read quarantine"))?,
    };
    for entry in entries {
        let entry = entry.map_err(disk::at("read quarantine"))?;
        let target = to.quarantine().join(entry.file_name());
        if !target.exists() {
            copy(&store.disk, &entry.path(), &target)?;
        }
    }
    Ok(())
}

/// All names on the disk.
fn sync_tree(store: &Store, layout: &Layout) -> Result<(), ArchiveError> {
    let mut folders: Vec<PathBuf> = vec![layout.quarantine()];
    for entry in std::fs::read_dir(layout.objects()).map_err(disk::at("read folder"))? {
        folders.push(entry.map_err(disk::at("read folder"))?.path());
    }
    folders.extend([layout.objects(), layout.directory.clone()]);
    folders.iter().filter(|folder| folder.is_dir()).try_for_each(|folder| {
        store.disk.sync_directory(folder).map_err(store.failed("sync backup"))
    })
}

fn close(index: Connection) -> Result<(), ArchiveError> {
    index.close().map_err(|(_, error)| schema::failed("close copy of index")(error))
}

/// Index and, at the very end, the manifest under their names.
fn finish(
    store: &Store,
    there: &Layout,
    snapshot: &Path,
    manifest: &mut BackupManifest,
) -> Result<(), ArchiveError> {
    let failed = || store.failed("finish backup");
    manifest.index_sha256 = hash_file(snapshot).map_err(failed())?;
    File::open(snapshot).and_then(|file| store.disk.sync_data(&file)).map_err(failed())?;
    store.disk.rename(snapshot, &there.index()).map_err(failed())?;
    let text = serde_json::to_string_pretty(manifest).map_err(|e| unusable(e.to_string()))?;
    let part = there.directory.join("backup.json.new");
    let written = || -> io::Result<()> {
        let mut file = File::create(&part)?;
        file.write_all(text.as_bytes())?;
        store.disk.sync_data(&file)?;
        store.disk.rename(&part, &there.directory.join(MANIFEST))?;
        store.disk.sync_directory(&there.directory)
    };
    written().map_err(failed())
}

fn hash_file(path: &Path) -> io::Result<String> {
    struct Hashing(Sha256);
    impl Write for Hashing {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut hash = Hashing(Sha256::new());
    io::copy(&mut File::open(path)?, &mut hash)?;
    Ok(hex(&hash.0.finalize()))
}

/// The manifest, if the backup is whole and this program understands it.
fn read_manifest(from: &Path) -> Result<BackupManifest, ArchiveError> {
    let name = from.display();
    let text = std::fs::read_to_string(from.join(MANIFEST)).map_err(|error| {
        unusable(format!("{name} holds no whole backup (backup.json: {error}); give one that does"))
    })?;
    let manifest: BackupManifest = serde_json::from_str(&text)
        .map_err(|error| unusable(format!("{name}/backup.json is not understood: {error}")))?;
    if manifest.schema > schema::SCHEMA {
        let (found, known) = (manifest.schema, schema::SCHEMA);
        return Err(ArchiveError::NewerSchema { found, known });
    }
    let index = hash_file(&from.join("index.sqlite")).map_err(disk::at("read backup"))?;
    if index != manifest.index_sha256 {
        return Err(unusable(format!(
            "{name}/index.sqlite is not the one that was written; use another backup, or put its \
             objects/ into an empty storage directory and run `grayd reindex`"
        )));
    }
    Ok(manifest)
}
