//! Rows of instances.

use super::{ArchiveError, schema};
use crate::archive::{Instance, InstanceFilter};
use crate::dicom::Uid;
use jiff::Timestamp;
use rusqlite::types::{Type, Value};
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

/// AE title under which the node's own results are kept.
pub(super) const OWN: &str = "grayd";

const COLUMNS: &str = "header, sha256, bytes, received, source, slice_position_mm";

/// What an insert met.
pub(super) enum Met {
    /// Nothing: the row is new, or its object had been lost and is back.
    Room,
    Same(Box<Instance>),
    Other(Box<Instance>),
}

/// A value that cannot be read back is damage, which the caller hears as an index failure.
fn unreadable(column: usize) -> rusqlite::Error {
    rusqlite::Error::InvalidColumnType(column, "instances".into(), Type::Text)
}

pub(super) fn from_row(row: &Row<'_>) -> rusqlite::Result<Instance> {
    let text: String = row.get(0)?;
    let mut header: crate::dicom::InstanceHeader =
        serde_json::from_str(&text).map_err(|_| unreadable(0))?;
    // JSON may round a number in its last digit; the column does not.
    header.slice_position_mm = row.get(5)?;
    let bytes: i64 = row.get(2)?;
    Ok(Instance {
        header,
        sha256: row.get(1)?,
        bytes: u64::try_from(bytes).map_err(|_| unreadable(2))?,
        received: Timestamp::from_microsecond(row.get(3)?).map_err(|_| unreadable(3))?,
        source: row.get(4)?,
    })
}

/// The row of an instance, and whether its object is missing.
pub(super) fn lookup(
    index: &Connection,
    sop_instance: &Uid,
) -> rusqlite::Result<Option<(Instance, bool)>> {
    index
        .prepare_cached(&format!(
            "SELECT {COLUMNS}, missing FROM instances WHERE sop_instance = ?1"
        ))?
        .query_row([sop_instance.as_str()], |row| Ok((from_row(row)?, row.get(6)?)))
        .optional()
}

/// Puts a row unless the UID is taken: the first stands.
pub(super) fn insert(index: &Connection, instance: &Instance) -> Result<Met, ArchiveError> {
    match lookup(index, &instance.header.sop_instance).map_err(schema::failed("find instance"))? {
        Some((kept, true)) if kept.sha256 == instance.sha256 => {
            set_missing(index, &kept.sha256, false).map_err(schema::failed("restore row"))?;
            Ok(Met::Room)
        }
        Some((kept, _)) if kept.sha256 == instance.sha256 => Ok(Met::Same(Box::new(kept))),
        Some((kept, _)) => Ok(Met::Other(Box::new(kept))),
        None => {
            let header = serde_json::to_string(&instance.header).map_err(|error| {
                ArchiveError::Index { step: "encode header", message: error.to_string() }
            })?;
            put(index, instance, &header).map_err(schema::failed("insert instance"))?;
            Ok(Met::Room)
        }
    }
}

fn put(index: &Connection, instance: &Instance, header: &str) -> rusqlite::Result<()> {
    let parsed = &instance.header;
    index
        .prepare_cached(
            "INSERT INTO instances (sop_instance, sha256, bytes, received, source, patient_id, \
             study, series, slice_position_mm, instance_number, header) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute(params![
            parsed.sop_instance.as_str(),
            instance.sha256,
            i64::try_from(instance.bytes).unwrap_or(i64::MAX),
            instance.received.as_microsecond(),
            instance.source,
            parsed.patient.id,
            parsed.study.as_str(),
            parsed.series.as_str(),
            parsed.slice_position_mm,
            parsed.instance_number,
            header,
        ])
        .map(|_| ())
}

pub(super) fn set_missing(index: &Connection, sha256: &str, missing: bool) -> rusqlite::Result<()> {
    index
        .prepare_cached("UPDATE instances SET missing = ?2 WHERE sha256 = ?1")?
        .execute(params![sha256, missing])
        .map(|_| ())
}

pub(super) fn sha256_of(
    index: &Connection,
    sop_instance: &Uid,
) -> rusqlite::Result<Option<String>> {
    index
        .prepare_cached("SELECT sha256 FROM instances WHERE sop_instance = ?1 AND missing = 0")?
        .query_row([sop_instance.as_str()], |row| row.get(0))
        .optional()
}

/// UID and hash of the instances after a UID, in the order of UIDs.
pub(super) fn next(
    index: &Connection,
    after: &str,
    limit: u32,
) -> rusqlite::Result<Vec<(String, String)>> {
    index
        .prepare_cached(
            "SELECT sop_instance, sha256 FROM instances WHERE missing = 0 AND sop_instance > ?1 \
             ORDER BY sop_instance LIMIT ?2",
        )?
        .query_map(params![after, limit], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

pub(super) fn count(index: &Connection) -> rusqlite::Result<u64> {
    let count: i64 = index
        .prepare_cached("SELECT count(*) FROM instances WHERE missing = 0")?
        .query_row([], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// All rows as (hash, UID, missing), for the reconciler.
pub(super) fn all(index: &Connection) -> rusqlite::Result<Vec<(String, String, bool)>> {
    index
        .prepare("SELECT sha256, sop_instance, missing FROM instances")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect()
}

pub(super) fn find(index: &Connection, filter: &InstanceFilter) -> rusqlite::Result<Vec<Instance>> {
    let mut sql = format!("SELECT {COLUMNS} FROM instances WHERE missing = 0");
    let mut values: Vec<Value> = Vec::new();
    let mut narrow = |condition: &str, value: Value| {
        sql.push_str(condition);
        values.push(value);
    };
    if let Some(patient) = &filter.patient_id {
        narrow(" AND patient_id = ?", Value::Text(patient.clone()));
    }
    for (condition, uid) in [
        (" AND study = ?", &filter.study),
        (" AND series = ?", &filter.series),
        (" AND sop_instance = ?", &filter.sop_instance),
    ] {
        if let Some(uid) = uid {
            narrow(condition, Value::Text(uid.to_string()));
        }
    }
    if let Some(own) = filter.own_results {
        narrow(" AND (source = ?) = ", Value::Text(OWN.into()));
        sql.push(if own { '1' } else { '0' });
    }
    if let Some(since) = filter.received_since {
        sql.push_str(" AND received >= ?");
        values.push(Value::Integer(since.as_microsecond()));
    }
    sql.push_str(" ORDER BY series, slice_position_mm, instance_number, sop_instance");
    index.prepare_cached(&sql)?.query_map(params_from_iter(values), from_row)?.collect()
}
