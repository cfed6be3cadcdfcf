//! Deleting instances so that no crash brings half of it about: objects leave `objects/` for
//! `trash/` first, then rows and deliveries go in one transaction with their audit line, then the
//! trash is emptied. A start puts back what still has a row and removes the rest.

use super::{ArchiveError, Store, audit, disk, now, schema};
use crate::archive::AuditEvent;
use crate::dicom::Uid;
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

/// Deletes those of the instances that are there; how many. No instance is received meanwhile: one
/// with the same bytes would lose its file.
pub(super) fn delete(
    store: &Store,
    study: &Uid,
    instances: &[Uid],
    why: &str,
) -> Result<u64, ArchiveError> {
    let _alone = store.purging.write().unwrap_or_else(PoisonError::into_inner);
    let step = "find instances";
    let mut doomed = Vec::new();
    for uid in instances {
        let found = store.index.read(step, |index| hash_in_study(index, uid, study))?;
        doomed.extend(found.map(|sha256| (uid.to_string(), sha256)));
    }
    if doomed.is_empty() {
        return Ok(0);
    }
    let hashes: Vec<String> = doomed.iter().map(|(_, sha256)| sha256.clone()).collect();
    let deleted = take_out(store, &hashes).and_then(|()| {
        let event = AuditEvent {
            at: now(),
            event: "study-deleted".into(),
            actor: "grayd".into(),
            object: Some(study.to_string()),
            outcome: format!("{} instances; {why}", doomed.len()),
        };
        store.index.write(move |index| forget(index, &doomed, &event))
    });
    if let Err(error) = deleted {
        if let Err(worse) = settle(store) {
            tracing::error!(error = %worse, "objects are in the trash until the next start");
        }
        return Err(error);
    }
    // What cannot be removed now, the next start removes.
    if let Err(error) = settle(store) {
        tracing::warn!(%error, "the trash could not be emptied");
    }
    Ok(hashes.len() as u64)
}

fn hash_in_study(
    index: &Connection,
    sop_instance: &Uid,
    study: &Uid,
) -> rusqlite::Result<Option<String>> {
    index
        .prepare_cached("SELECT sha256 FROM instances WHERE sop_instance = ?1 AND study = ?2")?
        .query_row(params![sop_instance.as_str(), study.as_str()], |row| row.get(0))
        .optional()
}

/// Moves objects to the trash; their old and new names are on the disk before a row goes.
fn take_out(store: &Store, hashes: &[String]) -> Result<(), ArchiveError> {
    let mut folders: BTreeSet<PathBuf> = BTreeSet::from([store.layout.trash()]);
    for sha256 in hashes {
        match store.disk.rename(&store.layout.object(sha256), &store.layout.trashed(sha256)) {
            // One that was lost before has nothing to move.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            moved => moved.map_err(store.failed("move to trash"))?,
        }
        folders.insert(store.layout.object_directory(sha256));
    }
    folders.iter().try_for_each(|folder| {
        store.disk.sync_directory(folder).map_err(store.failed("sync directory"))
    })
}

/// Rows and deliveries. A job whose results go frees its key, so that the same work can be asked for
/// again.
fn forget(
    index: &Connection,
    doomed: &[(String, String)],
    event: &AuditEvent,
) -> Result<(), ArchiveError> {
    let run = |sql: &str, uid: &str| {
        index.prepare_cached(sql).and_then(|mut statement| statement.execute([uid]))
    };
    for (uid, _) in doomed {
        for sql in [
            "UPDATE jobs SET key = key || ' deleted ' || id WHERE id IN \
             (SELECT job FROM job_results WHERE sop_instance = ?1) AND key NOT LIKE '% deleted %'",
            "DELETE FROM deliveries WHERE sop_instance = ?1",
            "DELETE FROM instances WHERE sop_instance = ?1",
        ] {
            run(sql, uid).map_err(schema::failed("delete instance"))?;
        }
    }
    audit::append(index, event)
}

/// Empties the trash: what still has a row goes back to its place, the rest is removed.
pub(super) fn settle(store: &Store) -> Result<(), ArchiveError> {
    for entry in std::fs::read_dir(store.layout.trash()).map_err(disk::at("read trash"))? {
        let path = entry.map_err(disk::at("read trash"))?.path();
        let sha256 = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if store.index.read("find row", |index| has_row(index, &sha256))? {
            put_back(store, &path, &sha256)?;
        } else {
            store.disk.remove(&path).map_err(store.failed("empty trash"))?;
        }
    }
    Ok(())
}

fn put_back(store: &Store, path: &Path, sha256: &str) -> Result<(), ArchiveError> {
    store
        .disk
        .rename(path, &store.layout.object(sha256))
        .and_then(|()| store.disk.sync_directory(&store.layout.object_directory(sha256)))
        .map_err(store.failed("put back from trash"))
}

fn has_row(index: &Connection, sha256: &str) -> rusqlite::Result<bool> {
    index
        .prepare_cached("SELECT 1 FROM instances WHERE sha256 = ?1")?
        .query_row([sha256], |_| Ok(()))
        .optional()
        .map(|found| found.is_some())
}
