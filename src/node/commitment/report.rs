//! A peer's report on what it was asked to commit itself to: who may give it, and what it means.

use super::user::note;
use super::{ALL_COMMITTED, Refusal, SOME_FAILED, check_instance, reason, references, transaction};
use crate::archive::{Archive, CommitmentStep, Delivery, DeliveryState};
use crate::dicom::Uid;
use crate::node::command::{Command, status};
use crate::node::settings::{Limits, Peer};
use crate::node::{backoff, blocking};
use dicom_dictionary_std::tags;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// So often may a peer not commit itself to an object before it is no longer sent.
const MAX_REFUSALS: u32 = 3;
/// So often is a peer asked about an object without reporting on it; requests that did not reach it count
/// as well.
pub(super) const MAX_UNREPORTED: u32 = 3;

/// What a peer reports.
struct Reported {
    transaction: Uid,
    safe: BTreeSet<Uid>,
    failed: BTreeMap<Uid, Option<u16>>,
}

impl Reported {
    /// Of an N-EVENT-REPORT; a failure is the status and comment of the answer.
    fn parse(command: &Command, data_set: &[u8], syntax: &Uid) -> Result<Self, Refusal> {
        check_instance(command)?;
        if !matches!(command.type_id, Some(ALL_COMMITTED | SOME_FAILED)) {
            return Err((status::NO_SUCH_EVENT_TYPE, "no such event"));
        }
        let (transaction, object) = transaction(data_set, syntax)?;
        let not_whole = (status::INVALID_ARGUMENT, "a sequence of references is not whole");
        let listed = |tag| references(&object, tag).ok_or(not_whole);
        let safe = listed(tags::REFERENCED_SOP_SEQUENCE)?.into_iter().map(|(_, uid)| uid);
        let failed = listed(tags::FAILED_SOP_SEQUENCE)?.into_iter().map(|(_, uid)| uid);
        let items = object.get(tags::FAILED_SOP_SEQUENCE).and_then(|e| e.items());
        let reasons = items.unwrap_or_default().iter().map(|item| {
            item.get(tags::FAILURE_REASON).and_then(|e| e.value().to_int::<u16>().ok())
        });
        Ok(Self { transaction, safe: safe.collect(), failed: failed.zip(reasons).collect() })
    }

    /// What it means for a delivery of the transaction.
    fn judge(&self, delivery: &Delivery, limits: &Limits) -> CommitmentStep {
        let reason = match self.failed.get(&delivery.sop_instance) {
            Some(Some(reason::DUPLICATE_TRANSACTION)) => {
                // Nothing is said of the object; another UID is all it takes.
                let again_at = backoff::at(limits.retry_s, delivery.asked, delivery.id);
                let reason = Some("the peer knew the Transaction UID already (0131)".to_owned());
                return CommitmentStep::Wait { again_at, reason };
            }
            Some(Some(code)) => format!("{code:04X} ({})", reason::name(*code)),
            Some(None) => "no reason given".to_owned(),
            None if self.safe.contains(&delivery.sop_instance) => return CommitmentStep::Committed,
            None => "its report does not name the object".to_owned(),
        };
        let refused = delivery.refused + 1;
        if refused >= MAX_REFUSALS {
            let reason = format!("the peer did not commit itself {refused} times; last: {reason}");
            return CommitmentStep::Failed { reason };
        }
        let at = backoff::at(limits.retry_s, delivery.refused, delivery.id);
        CommitmentStep::SendAgain {
            at,
            reason: format!("the peer did not commit itself: {reason}; sent again"),
        }
    }
}

/// Takes in a report that came from `peer`, on whichever association; status and comment of the
/// answer. It is refused unless this very peer was asked under its Transaction UID.
pub(in crate::node) async fn take_report(
    archive: &Arc<dyn Archive>,
    peer: &Peer,
    limits: &Limits,
    command: &Command,
    data_set: &[u8],
    syntax: &Uid,
) -> (u16, Option<String>) {
    let reported = match Reported::parse(command, data_set, syntax) {
        Ok(reported) => reported,
        Err((status, comment)) => return refuse(archive, peer, None, status, comment).await,
    };
    let transaction = reported.transaction.clone();
    let (name, limits) = (peer.name.clone(), limits.clone());
    let taken = blocking(archive, move |archive| {
        let deliveries = archive.in_transaction(&reported.transaction)?;
        if deliveries.is_empty() {
            return Ok(Err((status::INVALID_ARGUMENT, "no such transaction is open here")));
        }
        if deliveries.iter().any(|delivery| delivery.peer != name) {
            return Ok(Err((status::NOT_AUTHORIZED, "another peer was asked in this transaction")));
        }
        let open = deliveries.iter().filter(|d| d.state == DeliveryState::Delivered);
        let steps: Vec<_> = open.map(|d| (d.id, reported.judge(d, &limits))).collect();
        archive.step_commitments(&steps)?;
        let committed = steps.iter().filter(|(_, s)| *s == CommitmentStep::Committed).count();
        Ok(Ok(format!("{committed} committed, {} not", steps.len() - committed)))
    });
    match taken.await {
        Ok(Ok(outcome)) => {
            note(archive, "commitment-reported", peer, Some(&transaction), outcome).await;
            (status::SUCCESS, None)
        }
        Ok(Err((status, why))) => refuse(archive, peer, Some(&transaction), status, why).await,
        Err(error) => {
            tracing::error!(peer = peer.name, %error, "a report of commitment was not taken in");
            (status::PROCESSING_FAILURE, Some("the archive failed; report again later".to_owned()))
        }
    }
}

async fn refuse(
    archive: &Arc<dyn Archive>,
    peer: &Peer,
    transaction: Option<&Uid>,
    status: u16,
    why: &'static str,
) -> (u16, Option<String>) {
    tracing::warn!(peer = peer.name, why, "a report of commitment is refused");
    let outcome = format!("status {status:04X}: {why}");
    note(archive, "commitment-refused", peer, transaction, outcome).await;
    (status, Some(why.to_owned()))
}
