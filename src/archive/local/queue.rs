//! Jobs, their results and notes: each change of state is one transaction.
//!
//! Leases are reckoned on the machine's monotonic clock and hold until its next boot: setting the
//! wall clock neither ends nor prolongs one.

use super::{ArchiveError, announcements, audit, deliveries, now, schema};
use crate::archive::{AuditEvent, Job, JobEnd, JobState};
use crate::dicom::Uid;
use jiff::Timestamp;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};
use std::sync::LazyLock;

const JOB: &str = "id, key, course, spec, state, attempts, reason, created, changed";

/// Names the current boot; where the system gives none, leases outlive a reboot.
static BOOT: LazyLock<String> = LazyLock::new(|| {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default()
});

/// Seconds since some moment of this boot.
fn monotonic_s() -> i64 {
    rustix::time::clock_gettime(rustix::time::ClockId::Monotonic).tv_sec
}

fn job_state_name(state: JobState) -> &'static str {
    match state {
        JobState::Queued => "queued",
        JobState::Running => "running",
        JobState::Done => "done",
        JobState::Parked => "parked",
        JobState::Failed => "failed",
    }
}

fn job_state(name: &str) -> Option<JobState> {
    use JobState::{Done, Failed, Parked, Queued, Running};
    [Queued, Running, Done, Parked, Failed].into_iter().find(|s| job_state_name(*s) == name)
}

pub(super) fn wrong(column: usize) -> rusqlite::Error {
    rusqlite::Error::InvalidColumnType(column, "queue".into(), Type::Text)
}

pub(super) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    Timestamp::from_microsecond(row.get(column)?).map_err(|_| wrong(column))
}

pub(super) fn uid(row: &Row<'_>, column: usize) -> rusqlite::Result<Uid> {
    Uid::parse(&row.get::<_, String>(column)?).map_err(|_| wrong(column))
}

fn job_from(row: &Row<'_>) -> rusqlite::Result<Job> {
    Ok(Job {
        id: row.get(0)?,
        key: row.get(1)?,
        course: row.get(2)?,
        spec: row.get(3)?,
        state: job_state(&row.get::<_, String>(4)?).ok_or_else(|| wrong(4))?,
        attempts: row.get(5)?,
        reason: row.get(6)?,
        created: time(row, 7)?,
        changed: time(row, 8)?,
    })
}

/// One statement; returns how many rows it changed.
pub(super) fn change(
    index: &Connection,
    step: &'static str,
    sql: &str,
    values: &[&dyn ToSql],
) -> Result<usize, ArchiveError> {
    index
        .prepare_cached(sql)
        .and_then(|mut statement| statement.execute(values))
        .map_err(schema::failed(step))
}

pub(super) fn note_event(
    index: &Connection,
    event: &str,
    object: String,
    outcome: &str,
) -> Result<(), ArchiveError> {
    let (event, outcome) = (event.to_owned(), outcome.to_owned());
    let event =
        AuditEvent { at: now(), event, actor: "grayd".into(), object: Some(object), outcome };
    audit::append(index, &event)
}

pub(super) fn enqueue(
    index: &Connection,
    key: &str,
    course: &str,
    spec: &str,
) -> Result<(i64, bool), ArchiveError> {
    let at = now().as_microsecond();
    let state = job_state_name(JobState::Queued);
    let new = change(
        index,
        "queue job",
        "INSERT INTO jobs (key, course, spec, state, attempts, created, changed) \
         VALUES (?1, ?2, ?3, ?4, 0, ?5, ?5) ON CONFLICT (key) DO NOTHING",
        params![key, course, spec, state, at],
    )? == 1;
    let id: i64 = index
        .prepare_cached("SELECT id FROM jobs WHERE key = ?1")
        .and_then(|mut statement| statement.query_row([key], |row| row.get(0)))
        .map_err(schema::failed("queue job"))?;
    if new {
        note_event(index, "job-queued", format!("job {id}"), course)?;
    }
    Ok((id, new))
}

pub(super) fn lease(
    index: &Connection,
    worker: &str,
    lease_s: u32,
) -> Result<Option<Job>, ArchiveError> {
    let clock = monotonic_s();
    let sql = format!(
        "UPDATE jobs SET state = 'running', attempts = attempts + 1, worker = ?1, changed = ?2, \
         lease_boot = ?3, lease_until = ?4 + ?5 WHERE id = (SELECT id FROM jobs WHERE \
         state = 'queued' OR (state = 'running' AND (lease_boot <> ?3 OR lease_until <= ?4)) \
         ORDER BY id LIMIT 1) RETURNING {JOB}"
    );
    let values = params![worker, now().as_microsecond(), *BOOT, clock, lease_s];
    index
        .prepare_cached(&sql)
        .and_then(|mut statement| statement.query_row(values, job_from).optional())
        .map_err(schema::failed("lease job"))
}

pub(super) fn heartbeat(
    index: &Connection,
    job: i64,
    worker: &str,
    lease_s: u32,
) -> Result<bool, ArchiveError> {
    let kept = change(
        index,
        "prolong lease",
        "UPDATE jobs SET lease_boot = ?3, lease_until = ?4 + ?5 \
         WHERE id = ?1 AND worker = ?2 AND state = 'running'",
        params![job, worker, *BOOT, monotonic_s(), lease_s],
    )?;
    Ok(kept == 1)
}

pub(super) fn finish(
    index: &Connection,
    job: i64,
    worker: &str,
    end: &JobEnd,
    max_attempts: u32,
) -> Result<(), ArchiveError> {
    let attempts: Option<u32> = index
        .prepare_cached(
            "SELECT attempts FROM jobs WHERE id = ?1 AND worker = ?2 AND state = 'running'",
        )
        .and_then(|mut s| s.query_row(params![job, worker], |row| row.get(0)).optional())
        .map_err(schema::failed("finish job"))?;
    let attempts = attempts.ok_or(ArchiveError::NotFound("lease of this worker"))?;
    let (state, reason) = match end {
        JobEnd::Done { results, deliver, announce_to } => {
            publish(index, job, results, deliver)?;
            announcements::queue(index, job, deliver, announce_to)?;
            (JobState::Done, None)
        }
        JobEnd::Parked { reason } => (JobState::Parked, Some(reason)),
        JobEnd::Attempt { reason } if attempts < max_attempts => (JobState::Queued, Some(reason)),
        JobEnd::Attempt { reason } => (JobState::Failed, Some(reason)),
    };
    change(
        index,
        "finish job",
        "UPDATE jobs SET state = ?2, reason = ?3, changed = ?4, worker = NULL, \
         lease_boot = NULL, lease_until = NULL WHERE id = ?1",
        params![job, job_state_name(state), reason, now().as_microsecond()],
    )?;
    let event = format!("job-{}", job_state_name(state));
    let outcome = format!("attempt {attempts}");
    note_event(index, &event, format!("job {job}"), &outcome)
}

/// Results and their deliveries; only what is in the archive can be a result, and only a result be
/// delivered.
fn publish(
    index: &Connection,
    job: i64,
    results: &[Uid],
    deliver: &[(String, Uid)],
) -> Result<(), ArchiveError> {
    for (position, result) in results.iter().enumerate() {
        let known = super::instances::sha256_of(index, result);
        known
            .map_err(schema::failed("find result"))?
            .ok_or(ArchiveError::NotFound("result instance"))?;
        change(
            index,
            "record result",
            "INSERT INTO job_results (job, position, sop_instance) VALUES (?1, ?2, ?3)",
            params![job, position as i64, result.as_str()],
        )?;
    }
    for (peer, object) in deliver {
        if !results.contains(object) {
            return Err(ArchiveError::NotFound("result to be delivered"));
        }
        deliveries::queue(index, object, peer)?;
    }
    Ok(())
}

pub(super) fn jobs(index: &Connection, limit: u32) -> rusqlite::Result<Vec<Job>> {
    index
        .prepare_cached(&format!("SELECT {JOB} FROM jobs ORDER BY id DESC LIMIT ?1"))?
        .query_map([limit], job_from)?
        .collect()
}

pub(super) fn jobs_of(index: &Connection, course: &str, limit: u32) -> rusqlite::Result<Vec<Job>> {
    index
        .prepare_cached(&format!(
            "SELECT {JOB} FROM jobs WHERE course = ?1 ORDER BY id DESC LIMIT ?2"
        ))?
        .query_map(params![course, limit], job_from)?
        .collect()
}

pub(super) fn results(index: &Connection, job: i64) -> rusqlite::Result<Vec<Uid>> {
    index
        .prepare_cached("SELECT sop_instance FROM job_results WHERE job = ?1 ORDER BY position")?
        .query_map([job], |row| uid(row, 0))?
        .collect()
}

pub(super) fn put_note(index: &Connection, name: &str, text: &str) -> Result<(), ArchiveError> {
    change(
        index,
        "put note",
        "INSERT INTO notes (name, text) VALUES (?1, ?2) \
         ON CONFLICT (name) DO UPDATE SET text = excluded.text",
        params![name, text],
    )
    .map(|_| ())
}

pub(super) fn note(index: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    index
        .prepare_cached("SELECT text FROM notes WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()
}
