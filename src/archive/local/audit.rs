//! The audit trail: append-only by trigger, and chained by hash so that a change made around the
//! program is found.

use super::{ArchiveError, schema};
use crate::archive::{AuditCheck, AuditEvent, AuditHead};
use jiff::Timestamp;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};
use sha2::{Digest, Sha256};

fn chain(before: &str, event: &AuditEvent) -> String {
    let mut hash = Sha256::new();
    let at = event.at.as_microsecond().to_string();
    let object = event.object.as_deref().unwrap_or("\0");
    for part in [before, &at, &event.event, &event.actor, object, &event.outcome] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    super::incoming::hex(&hash.finalize())
}

pub(super) fn append(index: &Connection, event: &AuditEvent) -> Result<(), ArchiveError> {
    insert(index, event).map_err(schema::failed("append to audit"))
}

fn insert(index: &Connection, event: &AuditEvent) -> rusqlite::Result<()> {
    let before: Option<String> = index
        .prepare_cached("SELECT chain FROM audit ORDER BY id DESC LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    index
        .prepare_cached(
            "INSERT INTO audit (at, event, actor, object, outcome, chain) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            event.at.as_microsecond(),
            event.event,
            event.actor,
            event.object,
            event.outcome,
            chain(before.as_deref().unwrap_or_default(), event),
        ])
        .map(|_| ())
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<AuditEvent> {
    let at = Timestamp::from_microsecond(row.get(0)?)
        .map_err(|_| rusqlite::Error::InvalidColumnType(0, "at".into(), Type::Integer))?;
    Ok(AuditEvent {
        at,
        event: row.get(1)?,
        actor: row.get(2)?,
        object: row.get(3)?,
        outcome: row.get(4)?,
    })
}

/// Newest first.
pub(super) fn newest(index: &Connection, limit: u32) -> rusqlite::Result<Vec<AuditEvent>> {
    index
        .prepare_cached(
            "SELECT at, event, actor, object, outcome FROM audit ORDER BY id DESC LIMIT ?1",
        )?
        .query_map([limit], from_row)?
        .collect()
}

/// Lines after line `after`, oldest first, with their numbers.
pub(super) fn after(
    index: &Connection,
    after: i64,
    limit: u32,
) -> rusqlite::Result<Vec<(i64, AuditEvent)>> {
    index
        .prepare_cached(
            "SELECT at, event, actor, object, outcome, id FROM audit WHERE id > ?1 ORDER BY id \
             LIMIT ?2",
        )?
        .query_map(params![after, limit], |row| Ok((row.get(5)?, from_row(row)?)))?
        .collect()
}

/// Walks the whole chain.
pub(super) fn check(index: &Connection) -> rusqlite::Result<AuditCheck> {
    let mut statement = index
        .prepare("SELECT at, event, actor, object, outcome, chain, id FROM audit ORDER BY id")?;
    let mut rows = statement.query([])?;
    let mut check = AuditCheck { lines: 0, head: AuditHead::default(), broken: None };
    while let Some(row) = rows.next()? {
        let (written, number): (String, i64) = (row.get(5)?, row.get(6)?);
        check.lines += 1;
        if check.broken.is_none() && chain(&check.head.chain, &from_row(row)?) != written {
            check.broken = Some(number);
        }
        check.head = AuditHead { number, chain: written };
    }
    // The table's counter remembers lines that were cut off at the end.
    let counted: Option<i64> = index
        .query_row("SELECT seq FROM sqlite_sequence WHERE name = 'audit'", [], |row| row.get(0))
        .optional()?;
    let counted = counted.unwrap_or(0);
    if check.broken.is_none() && counted != check.head.number {
        check.broken = Some(check.head.number + 1);
    }
    Ok(check)
}

/// The chain's value at a line.
pub(super) fn chain_at(index: &Connection, number: i64) -> rusqlite::Result<Option<String>> {
    index.query_row("SELECT chain FROM audit WHERE id = ?1", [number], |row| row.get(0)).optional()
}
