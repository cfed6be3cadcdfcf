//! Results on their way to peers, and what became of them there. `next_attempt` is when something is
//! done next: sending while an object waits, asking for its commitment once it is delivered.

use super::queue::{change, note_event, time, uid, wrong};
use super::{ArchiveError, now, schema};
use crate::archive::{CommitmentStep, Delivery, DeliveryEnd, DeliveryState};
use crate::dicom::Uid;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

const DELIVERY: &str = "id, peer, sop_instance, state, attempts, next_attempt, reason, \
                        transaction_uid, asked, refused";

pub(super) fn state_name(state: DeliveryState) -> &'static str {
    match state {
        DeliveryState::Waiting => "waiting",
        DeliveryState::Delivered => "delivered",
        DeliveryState::Committed => "committed",
        DeliveryState::CommitmentFailed => "commitment-failed",
        DeliveryState::Parked => "parked",
    }
}

pub(super) fn state(row: &Row<'_>, column: usize) -> rusqlite::Result<DeliveryState> {
    use DeliveryState::{CommitmentFailed, Committed, Delivered, Parked, Waiting};
    let name: String = row.get(column)?;
    [Waiting, Delivered, Committed, CommitmentFailed, Parked]
        .into_iter()
        .find(|state| state_name(*state) == name)
        .ok_or_else(|| wrong(column))
}

fn delivery_from(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    let transaction: Option<String> = row.get(7)?;
    Ok(Delivery {
        id: row.get(0)?,
        peer: row.get(1)?,
        sop_instance: uid(row, 2)?,
        state: state(row, 3)?,
        attempts: row.get(4)?,
        next_attempt: time(row, 5)?,
        reason: row.get(6)?,
        transaction: transaction.map(|text| Uid::parse(&text)).transpose().map_err(|_| wrong(7))?,
        asked: row.get(8)?,
        refused: row.get(9)?,
    })
}

/// Queues one object for a peer, once.
pub(super) fn queue(index: &Connection, object: &Uid, peer: &str) -> Result<(), ArchiveError> {
    change(
        index,
        "queue delivery",
        "INSERT INTO deliveries (peer, sop_instance, state, attempts, next_attempt) \
         VALUES (?1, ?2, 'waiting', 0, ?3) ON CONFLICT (peer, sop_instance) DO NOTHING",
        params![peer, object.as_str(), now().as_microsecond()],
    )
    .map(|_| ())
}

pub(super) fn due(
    index: &Connection,
    now: Timestamp,
    limit: u32,
) -> rusqlite::Result<Vec<Delivery>> {
    index
        .prepare_cached(&format!(
            "SELECT {DELIVERY} FROM deliveries WHERE state = 'waiting' AND next_attempt <= ?1 \
             ORDER BY next_attempt, id LIMIT ?2"
        ))?
        .query_map(params![now.as_microsecond(), limit], delivery_from)?
        .collect()
}

pub(super) fn newest(index: &Connection, limit: u32) -> rusqlite::Result<Vec<Delivery>> {
    index
        .prepare_cached(&format!("SELECT {DELIVERY} FROM deliveries ORDER BY id DESC LIMIT ?1"))?
        .query_map([limit], delivery_from)?
        .collect()
}

/// What an end writes: state, reason, and when next, microseconds.
pub(super) fn ended(end: &DeliveryEnd) -> (DeliveryState, Option<&str>, Option<i64>) {
    match end {
        DeliveryEnd::Delivered => (DeliveryState::Delivered, None, None),
        DeliveryEnd::Retry { at, reason } => {
            (DeliveryState::Waiting, Some(reason.as_str()), Some(at.as_microsecond()))
        }
        DeliveryEnd::Parked { reason } => (DeliveryState::Parked, Some(reason.as_str()), None),
    }
}

pub(super) fn finish(index: &Connection, id: i64, end: &DeliveryEnd) -> Result<(), ArchiveError> {
    let (state, reason, at) = ended(end);
    let found: Option<(String, String)> = index
        .prepare_cached(
            "UPDATE deliveries SET state = ?2, reason = ?3, attempts = attempts + 1, asked = 0, \
             next_attempt = coalesce(?4, next_attempt) WHERE id = ?1 AND state = 'waiting' \
             RETURNING peer, sop_instance",
        )
        .and_then(|mut statement| {
            let values = params![id, state_name(state), reason, at];
            statement.query_row(values, |row| Ok((row.get(0)?, row.get(1)?))).optional()
        })
        .map_err(schema::failed("finish delivery"))?;
    let (peer, object) = found.ok_or(ArchiveError::NotFound("waiting delivery"))?;
    if state == DeliveryState::Waiting {
        return Ok(());
    }
    note_event(index, &format!("delivery-{}", state_name(state)), object, &peer)
}

pub(super) fn due_commitments(
    index: &Connection,
    peer: &str,
    now: Timestamp,
    limit: u32,
) -> rusqlite::Result<Vec<Delivery>> {
    index
        .prepare_cached(&format!(
            "SELECT {DELIVERY} FROM deliveries WHERE peer = ?1 AND state = 'delivered' \
             AND next_attempt <= ?2 ORDER BY next_attempt, id LIMIT ?3"
        ))?
        .query_map(params![peer, now.as_microsecond(), limit], delivery_from)?
        .collect()
}

pub(super) fn in_transaction(
    index: &Connection,
    transaction: &Uid,
) -> rusqlite::Result<Vec<Delivery>> {
    index
        .prepare_cached(&format!(
            "SELECT {DELIVERY} FROM deliveries WHERE transaction_uid = ?1 ORDER BY id"
        ))?
        .query_map([transaction.as_str()], delivery_from)?
        .collect()
}

pub(super) fn step_commitments(
    index: &Connection,
    steps: &[(i64, CommitmentStep)],
) -> Result<(), ArchiveError> {
    steps.iter().try_for_each(|(id, step)| step_commitment(index, *id, step))
}

/// What a step writes: state, transaction (`None` leaves it), when next, reason, and by how much
/// the peer's refusals grow. A transaction is forgotten when the object is sent again, so that a
/// report that comes twice says nothing of what was sent after it.
fn step_commitment(index: &Connection, id: i64, step: &CommitmentStep) -> Result<(), ArchiveError> {
    use DeliveryState::{CommitmentFailed, Committed, Delivered, Waiting};
    let micros = |at: &Timestamp| Some(at.as_microsecond());
    let (state, transaction, at, reason) = match step {
        CommitmentStep::Ask { transaction, again_at } => {
            (Delivered, Some(transaction.as_str()), micros(again_at), None)
        }
        CommitmentStep::Wait { again_at, reason } => {
            (Delivered, None, micros(again_at), reason.as_deref())
        }
        CommitmentStep::Committed => (Committed, None, None, None),
        CommitmentStep::SendAgain { at, reason } => {
            (Waiting, None, micros(at), Some(reason.as_str()))
        }
        CommitmentStep::Failed { reason } => (CommitmentFailed, None, None, Some(reason.as_str())),
    };
    let (asks, refuses) = (transaction.is_some(), matches!(step, CommitmentStep::SendAgain { .. }));
    let changed: Option<(String, String)> = index
        .prepare_cached(
            "UPDATE deliveries SET state = ?2, reason = ?3, next_attempt = coalesce(?4, next_attempt), \
             transaction_uid = CASE WHEN ?6 THEN NULL ELSE coalesce(?5, transaction_uid) END, \
             asked = asked + ?7, refused = refused + ?6 WHERE id = ?1 AND state = 'delivered' \
             RETURNING peer, sop_instance",
        )
        .and_then(|mut statement| {
            let values = params![id, state_name(state), reason, at, transaction, refuses, asks];
            statement.query_row(values, |row| Ok((row.get(0)?, row.get(1)?))).optional()
        })
        .map_err(schema::failed("note commitment"))?;
    let event = match step {
        CommitmentStep::Ask { .. } | CommitmentStep::Wait { .. } => return Ok(()),
        CommitmentStep::Committed => "delivery-committed",
        CommitmentStep::SendAgain { .. } => "delivery-commitment-refused",
        CommitmentStep::Failed { .. } => "delivery-commitment-failed",
    };
    match changed {
        Some((peer, object)) => note_event(index, event, object, &peer),
        None => Ok(()),
    }
}
