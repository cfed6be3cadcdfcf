//! Who is told of a job's results that are stored at a destination.

use super::deliveries::{ended, state, state_name};
use super::queue::{change, note_event, time, uid};
use super::{ArchiveError, now, schema};
use crate::archive::{Announcement, DeliveryEnd, DeliveryState};
use crate::dicom::Uid;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::collections::BTreeSet;

const ANNOUNCEMENT: &str = "id, peer, job, destination, state, attempts, next_attempt, reason";

fn announcement_from(row: &Row<'_>) -> rusqlite::Result<Announcement> {
    Ok(Announcement {
        id: row.get(0)?,
        peer: row.get(1)?,
        job: row.get(2)?,
        destination: row.get(3)?,
        state: state(row, 4)?,
        attempts: row.get(5)?,
        next_attempt: time(row, 6)?,
        reason: row.get(7)?,
    })
}

pub(super) fn queue(
    index: &Connection,
    job: i64,
    deliver: &[(String, Uid)],
    announce_to: &[String],
) -> Result<(), ArchiveError> {
    let destinations: BTreeSet<&String> = deliver.iter().map(|(peer, _)| peer).collect();
    for (peer, destination) in
        announce_to.iter().flat_map(|peer| destinations.iter().map(move |to| (peer, to)))
    {
        change(
            index,
            "queue announcement",
            "INSERT INTO announcements (peer, job, destination, state, attempts, next_attempt) \
             VALUES (?1, ?2, ?3, 'waiting', 0, ?4) ON CONFLICT DO NOTHING",
            params![peer, job, destination, now().as_microsecond()],
        )?;
    }
    Ok(())
}

/// Those for which nothing is on its way to the destination any more.
pub(super) fn due(
    index: &Connection,
    now: Timestamp,
    limit: u32,
) -> rusqlite::Result<Vec<Announcement>> {
    index
        .prepare_cached(&format!(
            "SELECT {ANNOUNCEMENT} FROM announcements AS a \
             WHERE state = 'waiting' AND next_attempt <= ?1 AND NOT EXISTS ( \
                 SELECT 1 FROM job_results JOIN deliveries AS d USING (sop_instance) \
                 WHERE job_results.job = a.job AND d.peer = a.destination \
                 AND d.state = 'waiting') \
             ORDER BY next_attempt, id LIMIT ?2"
        ))?
        .query_map(params![now.as_microsecond(), limit], announcement_from)?
        .collect()
}

pub(super) fn stored(
    index: &Connection,
    announcement: &Announcement,
) -> rusqlite::Result<Vec<Uid>> {
    index
        .prepare_cached(
            "SELECT sop_instance FROM job_results JOIN deliveries AS d USING (sop_instance) \
             WHERE job = ?1 AND d.peer = ?2 AND d.state IN ('delivered', 'committed') \
             ORDER BY position",
        )?
        .query_map(params![announcement.job, announcement.destination], |row| uid(row, 0))?
        .collect()
}

pub(super) fn newest(index: &Connection, limit: u32) -> rusqlite::Result<Vec<Announcement>> {
    index
        .prepare_cached(&format!(
            "SELECT {ANNOUNCEMENT} FROM announcements ORDER BY id DESC LIMIT ?1"
        ))?
        .query_map([limit], announcement_from)?
        .collect()
}

pub(super) fn finish(index: &Connection, id: i64, end: &DeliveryEnd) -> Result<(), ArchiveError> {
    let (state, reason, at) = ended(end);
    let found: Option<(String, i64)> = index
        .prepare_cached(
            "UPDATE announcements SET state = ?2, reason = ?3, attempts = attempts + 1, \
             next_attempt = coalesce(?4, next_attempt) WHERE id = ?1 AND state = 'waiting' \
             RETURNING peer, job",
        )
        .and_then(|mut statement| {
            let values = params![id, state_name(state), reason, at];
            statement.query_row(values, |row| Ok((row.get(0)?, row.get(1)?))).optional()
        })
        .map_err(schema::failed("finish announcement"))?;
    let (peer, job) = found.ok_or(ArchiveError::NotFound("waiting announcement"))?;
    if state == DeliveryState::Waiting {
        return Ok(());
    }
    note_event(index, &format!("announcement-{}", state_name(state)), format!("job {job}"), &peer)
}
