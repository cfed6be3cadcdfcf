//! Tables of the index, its version, and what happens to one that is damaged.

use super::{ArchiveError, Layout};
use crate::dicom::InstanceHeader;
use jiff::tz::TimeZone;
use rusqlite::{Connection, ErrorCode, params};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Version of the tables below.
pub(super) const SCHEMA: i64 = 3;
/// The first that has `series`.
const WITH_SERIES: i64 = 2;
/// The first that has commitments and announcements.
const WITH_COMMITMENT: i64 = 3;
/// How long a lock on the index is waited for.
const BUSY: Duration = Duration::from_secs(5);

const TABLES: &str = "
CREATE TABLE instances (
    sop_instance TEXT PRIMARY KEY,
    sha256 TEXT NOT NULL UNIQUE,
    bytes INTEGER NOT NULL,
    received INTEGER NOT NULL,
    source TEXT NOT NULL,
    patient_id TEXT NOT NULL,
    study TEXT NOT NULL,
    series TEXT NOT NULL,
    slice_position_mm REAL,
    instance_number INTEGER,
    header TEXT NOT NULL,
    missing INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX instances_by_series
    ON instances (series, slice_position_mm, instance_number, sop_instance);
CREATE INDEX instances_by_study ON instances (study);
CREATE INDEX instances_by_patient ON instances (patient_id);
CREATE INDEX instances_by_receipt ON instances (received);
CREATE TABLE jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    course TEXT NOT NULL,
    spec TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    reason TEXT,
    created INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    worker TEXT,
    lease_boot TEXT,
    lease_until INTEGER
) STRICT;
CREATE INDEX jobs_by_state ON jobs (state, id);
CREATE TABLE job_results (
    job INTEGER NOT NULL REFERENCES jobs (id),
    position INTEGER NOT NULL,
    sop_instance TEXT NOT NULL,
    PRIMARY KEY (job, position)
) STRICT;
CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    peer TEXT NOT NULL,
    sop_instance TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    next_attempt INTEGER NOT NULL,
    reason TEXT,
    UNIQUE (peer, sop_instance)
) STRICT;
CREATE INDEX deliveries_by_state ON deliveries (state, next_attempt, id);
CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    event TEXT NOT NULL,
    actor TEXT NOT NULL,
    object TEXT,
    outcome TEXT NOT NULL,
    chain TEXT NOT NULL
) STRICT;
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
CREATE TRIGGER audit_is_not_cut BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
CREATE TABLE notes (
    name TEXT PRIMARY KEY,
    text TEXT NOT NULL
) STRICT;
";

/// One row a series, which queries are answered from. Triggers keep it, so that no way to change
/// `instances` can forget it.
const SERIES: &str = "
CREATE TABLE series (
    study TEXT NOT NULL,
    series TEXT NOT NULL,
    patient_id TEXT NOT NULL,
    study_date TEXT,
    header TEXT NOT NULL,
    instances INTEGER NOT NULL,
    PRIMARY KEY (study, series)
) STRICT;
CREATE INDEX series_by_uid ON series (series);
CREATE INDEX series_by_patient ON series (patient_id);
CREATE INDEX series_by_date ON series (study_date);
CREATE TRIGGER series_gains AFTER INSERT ON instances WHEN NEW.missing = 0 BEGIN
    INSERT INTO series (study, series, patient_id, study_date, header, instances)
    VALUES (NEW.study, NEW.series, NEW.patient_id, NEW.header ->> '$.study_date', NEW.header, 1)
    ON CONFLICT (study, series) DO UPDATE SET instances = instances + 1;
END;
CREATE TRIGGER series_loses AFTER DELETE ON instances WHEN OLD.missing = 0 BEGIN
    UPDATE series SET instances = instances - 1 WHERE study = OLD.study AND series = OLD.series;
    DELETE FROM series WHERE study = OLD.study AND series = OLD.series AND instances = 0;
END;
CREATE TRIGGER series_misses AFTER UPDATE OF missing ON instances
WHEN NEW.missing <> OLD.missing BEGIN
    INSERT INTO series (study, series, patient_id, study_date, header, instances)
    VALUES (NEW.study, NEW.series, NEW.patient_id, NEW.header ->> '$.study_date', NEW.header,
            CASE NEW.missing WHEN 0 THEN 1 ELSE -1 END)
    ON CONFLICT (study, series) DO UPDATE SET instances = instances + excluded.instances;
    DELETE FROM series WHERE study = NEW.study AND series = NEW.series AND instances <= 0;
END;
";

/// What peers were asked to commit themselves to, and who is told of results.
const COMMITMENT: &str = "
ALTER TABLE deliveries ADD COLUMN transaction_uid TEXT;
ALTER TABLE deliveries ADD COLUMN asked INTEGER NOT NULL DEFAULT 0;
ALTER TABLE deliveries ADD COLUMN refused INTEGER NOT NULL DEFAULT 0;
CREATE INDEX deliveries_by_peer ON deliveries (peer, state, next_attempt, id);
CREATE INDEX deliveries_by_transaction ON deliveries (transaction_uid);
CREATE TABLE announcements (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    peer TEXT NOT NULL,
    job INTEGER NOT NULL REFERENCES jobs (id),
    destination TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    next_attempt INTEGER NOT NULL,
    reason TEXT,
    UNIQUE (peer, job, destination)
) STRICT;
CREATE INDEX announcements_by_state ON announcements (state, next_attempt, id);
";

/// Tables that objects cannot restore; taken over from a damaged index as far as they can be read.
const SALVAGED: [&str; 6] =
    ["jobs", "job_results", "deliveries", "announcements", "audit", "notes"];

pub(super) fn failed(step: &'static str) -> impl FnOnce(rusqlite::Error) -> ArchiveError {
    move |error| ArchiveError::Index { step, message: error.to_string() }
}

/// A connection that loses nothing that was committed.
pub(super) fn connect(path: &Path) -> Result<Connection, ArchiveError> {
    configure(path).map_err(failed("open index"))
}

fn configure(path: &Path) -> rusqlite::Result<Connection> {
    let index = Connection::open(path)?;
    index.busy_timeout(BUSY)?;
    index.pragma_update(None, "journal_mode", "WAL")?;
    index.pragma_update(None, "synchronous", "FULL")?;
    index.pragma_update(None, "foreign_keys", true)?;
    index.set_prepared_statement_cache_capacity(64);
    Ok(index)
}

fn version(index: &Connection) -> rusqlite::Result<i64> {
    index.pragma_query_value(None, "user_version", |row| row.get(0))
}

pub(super) fn check_version(index: &Connection) -> Result<(), ArchiveError> {
    match version(index).map_err(failed("read schema version"))? {
        found if found > SCHEMA => Err(ArchiveError::NewerSchema { found, known: SCHEMA }),
        SCHEMA => Ok(()),
        _ => Err(ArchiveError::Index {
            step: "read schema version",
            message: "the index has no tables; start the node once".into(),
        }),
    }
}

/// What an index file is.
enum Condition {
    Sound,
    Empty,
    /// Of this earlier version, to be brought up to date.
    Older(i64),
    Damaged,
}

/// What was done to have a sound index.
pub(super) enum Prepared {
    Sound,
    /// There was none.
    Made,
    /// There was a damaged one, which was set aside under this path.
    Replaced(PathBuf),
    /// The one there was is set aside under this path because somebody wants it made anew.
    Renewed(PathBuf),
}

/// Sets the index aside, whatever its condition, and makes a new one; what it holds beside
/// instances is taken over.
pub(super) fn renew(layout: &Layout) -> Result<Prepared, ArchiveError> {
    let path = layout.index();
    if !path.is_file() {
        return prepare(layout);
    }
    check_not_newer(&path)?;
    let aside = set_aside(layout, "replaced")?;
    create(&path)?;
    salvage(&path, &aside);
    Ok(Prepared::Renewed(aside))
}

/// An index of a newer version is left alone. One that cannot be read has no version.
fn check_not_newer(path: &Path) -> Result<(), ArchiveError> {
    match configure(path).and_then(|index| version(&index)) {
        Ok(found) if found > SCHEMA => Err(ArchiveError::NewerSchema { found, known: SCHEMA }),
        _ => Ok(()),
    }
}

/// Makes sure that there is a sound index with our tables. A damaged one is set aside, and what
/// it holds beside instances is taken over as far as it can be read.
pub(super) fn prepare(layout: &Layout) -> Result<Prepared, ArchiveError> {
    let path = layout.index();
    match condition(&path)? {
        Condition::Sound => Ok(Prepared::Sound),
        Condition::Empty => create(&path).map(|()| Prepared::Made),
        Condition::Older(version) => bring_up_to_date(layout, version).map(|()| Prepared::Sound),
        Condition::Damaged => {
            let aside = set_aside(layout, "damaged")?;
            create(&path)?;
            salvage(&path, &aside);
            Ok(Prepared::Replaced(aside))
        }
    }
}

fn condition(path: &Path) -> Result<Condition, ArchiveError> {
    let checked = configure(path).and_then(|index| {
        let found = version(&index)?;
        let tables: i64 =
            index.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        let report: String = index.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        Ok((found, tables, report))
    });
    match checked {
        Ok((found, ..)) if found > SCHEMA => {
            Err(ArchiveError::NewerSchema { found, known: SCHEMA })
        }
        Ok((0, 0, _)) => Ok(Condition::Empty),
        Ok((SCHEMA, _, report)) if report == "ok" => Ok(Condition::Sound),
        Ok((found @ 1.., _, report)) if report == "ok" => Ok(Condition::Older(found)),
        Ok(_) => Ok(Condition::Damaged),
        Err(error) => match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Ok(Condition::Damaged),
            _ => Err(failed("open index")(error)),
        },
    }
}

fn create(path: &Path) -> Result<(), ArchiveError> {
    let mut index = connect(path)?;
    index
        .transaction()
        .and_then(|transaction| {
            transaction.execute_batch(TABLES)?;
            transaction.execute_batch(SERIES)?;
            transaction.execute_batch(COMMITMENT)?;
            transaction.pragma_update(None, "user_version", SCHEMA)?;
            transaction.commit()
        })
        .map_err(failed("make tables"))
}

/// Brings an index of an earlier version up to date, in one transaction.
fn bring_up_to_date(layout: &Layout, version: i64) -> Result<(), ArchiveError> {
    let mut index = connect(&layout.index())?;
    let migrated = index.transaction().and_then(|transaction| {
        if version < WITH_SERIES {
            add_series(&transaction, layout)?;
        }
        if version < WITH_COMMITMENT {
            transaction.execute_batch(COMMITMENT)?;
        }
        transaction.pragma_update(None, "user_version", SCHEMA)?;
        transaction.commit()
    });
    migrated.map_err(failed("bring the index up to date"))
}

/// What the series' rows did not hold in version 1 is read from one object of each; one that cannot
/// be read leaves its row as it was.
fn add_series(index: &Connection, layout: &Layout) -> rusqlite::Result<()> {
    index.execute_batch(SERIES)?;
    index.execute_batch(
        "INSERT INTO series (study, series, patient_id, study_date, header, instances) \
         SELECT study, series, patient_id, header ->> '$.study_date', header, count(*) \
         FROM instances WHERE missing = 0 GROUP BY study, series",
    )?;
    refresh_headers(index, layout)
}

fn refresh_headers(index: &Connection, layout: &Layout) -> rusqlite::Result<()> {
    let rows: Vec<(i64, String, String)> = index
        .prepare(
            "SELECT series.rowid, series.header, min(instances.sha256) FROM series \
             JOIN instances USING (study, series) WHERE missing = 0 GROUP BY series.rowid",
        )?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (row, header, sha256) in rows {
        // Only texts are taken, which no time zone changes.
        let read = InstanceHeader::read(&layout.object(&sha256), &TimeZone::UTC);
        let (Ok(read), Ok(mut kept)) = (read, serde_json::from_str::<InstanceHeader>(&header))
        else {
            continue;
        };
        kept.series_tags = read.series_tags;
        if let Ok(header) = serde_json::to_string(&kept) {
            index
                .execute("UPDATE series SET header = ?2 WHERE rowid = ?1", params![row, header])?;
        }
    }
    Ok(())
}

/// Renames an index and its log to names that are free and say why.
fn set_aside(layout: &Layout, why: &str) -> Result<PathBuf, ArchiveError> {
    let free = (1u32..).map(|n| layout.directory.join(format!("index.{why}-{n}.sqlite")));
    let aside = free.into_iter().find(|path| !path.exists()).unwrap_or_default();
    for suffix in ["", "-wal", "-shm"] {
        let name = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
        match std::fs::rename(name(&layout.index()), name(&aside)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(ArchiveError::Storage {
                    step: "set damaged index aside",
                    source: error,
                });
            }
            _ => {}
        }
    }
    Ok(aside)
}

/// Copies what can still be read; a table that cannot is left empty, which the audit line of the
/// rebuild says.
fn salvage(path: &Path, damaged: &Path) {
    let Ok(index) = connect(path) else { return };
    let Some(damaged) = damaged.to_str() else { return };
    if index.execute("ATTACH ?1 AS damaged", [damaged]).is_err() {
        return;
    }
    for table in SALVAGED {
        // One of an earlier version has fewer columns, or not the table at all.
        let columns: rusqlite::Result<Option<String>> = index.query_row(
            "SELECT group_concat(name) FROM pragma_table_info(?1, 'damaged')",
            [table],
            |row| row.get(0),
        );
        let copied = columns.and_then(|columns| match columns {
            Some(columns) => index.execute(
                &format!(
                    "INSERT OR IGNORE INTO main.{table} ({columns}) \
                     SELECT {columns} FROM damaged.{table}"
                ),
                [],
            ),
            None => Ok(0),
        });
        if let Err(error) = copied {
            tracing::error!(table, %error, "could not be taken over from the damaged index");
        }
    }
}
