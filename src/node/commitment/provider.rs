//! Storage commitment as SCP (PS3.4 annex J, Push Model).
//!
//! Each instance that is asked about is read back and its hash compared before the peer is told that
//! we answer for it. The report goes out on the association that asked where that is still open, and
//! otherwise on one of ours, on which we take the role of SCP. A report that was not confirmed when
//! the node stops is lost; the peer asks again, as it does after any report that fails to come.

use super::{
    ALL_COMMITTED, REQUEST, Reference, Refusal, SOME_FAILED, check_instance, item, reason,
    references, service, transaction,
};
use crate::archive::{Archive, ArchiveError, InstanceFilter};
use crate::dicom::Uid;
use crate::node::command::{Command, field, status};
use crate::node::identifier;
use crate::node::local::LocalAe;
use crate::node::send::Client;
use crate::node::settings::Peer;
use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use std::time::Duration;

/// Attempts to bring a report to a peer that has gone: some 20 minutes with the default of
/// `node.limits.retry_s`.
const ATTEMPTS: u32 = 8;

/// What a peer wants to know.
pub(in crate::node) struct Request {
    transaction: Uid,
    references: Vec<Reference>,
}

impl Request {
    /// Of an N-ACTION; a failure is the status and comment of the answer.
    pub fn parse(command: &Command, data_set: &[u8], syntax: &Uid) -> Result<Self, Refusal> {
        check_instance(command)?;
        if command.type_id != Some(REQUEST) {
            return Err((status::NO_SUCH_ACTION, "no such action"));
        }
        let (transaction, object) = transaction(data_set, syntax)?;
        match references(&object, tags::REFERENCED_SOP_SEQUENCE) {
            Some(references) if !references.is_empty() => Ok(Self { transaction, references }),
            _ => {
                Err((status::INVALID_ARGUMENT, "Referenced SOP Sequence (0008,1199) is not whole"))
            }
        }
    }

    /// Reads everything back. Blocks.
    pub fn check(self, archive: &dyn Archive) -> Report {
        let mut report =
            Report { transaction: self.transaction, safe: Vec::new(), failed: Vec::new() };
        for reference in self.references {
            match is_safe(archive, &reference) {
                Ok(()) => report.safe.push(reference),
                Err(reason) => report.failed.push((reference, reason)),
            }
        }
        report
    }
}

/// Whether we answer for an instance; the reason where we do not.
fn is_safe(archive: &dyn Archive, (sop_class, sop_instance): &Reference) -> Result<(), u16> {
    let failed = |error: ArchiveError| match error {
        ArchiveError::NotFound(_) => reason::NO_SUCH_INSTANCE,
        error => {
            tracing::error!(%error, "storage commitment could not be checked");
            reason::PROCESSING_FAILURE
        }
    };
    let filter =
        InstanceFilter { sop_instance: Some(sop_instance.clone()), ..InstanceFilter::default() };
    let found = archive.instances(&filter).map_err(failed)?;
    let kept = found.first().ok_or(reason::NO_SUCH_INSTANCE)?;
    if kept.header.sop_class != *sop_class {
        return Err(reason::CLASS_INSTANCE_CONFLICT);
    }
    match archive.verify(sop_instance).map_err(failed)? {
        true => Ok(()),
        false => Err(reason::NO_SUCH_INSTANCE),
    }
}

/// What the peer is told.
pub(in crate::node) struct Report {
    transaction: Uid,
    safe: Vec<Reference>,
    failed: Vec<(Reference, u16)>,
}

impl Report {
    /// For the audit trail.
    pub fn as_text(&self) -> String {
        format!("{} committed, {} not", self.safe.len(), self.failed.len())
    }

    /// The N-EVENT-REPORT request.
    pub fn command(&self, message_id: u16) -> Command {
        let kind = if self.failed.is_empty() { ALL_COMMITTED } else { SOME_FAILED };
        service(field::N_EVENT_REPORT_RQ, message_id, kind)
    }

    /// Its data set.
    pub fn data_set(&self, own_ae: &str, syntax: &Uid) -> Vec<u8> {
        let text = |tag, vr, text: &str| DataElement::new(tag, vr, PrimitiveValue::from(text));
        let mut object = InMemDicomObject::from_element_iter([
            text(tags::TRANSACTION_UID, VR::UI, self.transaction.as_str()),
            text(tags::RETRIEVE_AE_TITLE, VR::AE, own_ae),
        ]);
        let mut put = |tag, items: Vec<InMemDicomObject>| {
            if !items.is_empty() {
                object.put(DataElement::new(tag, VR::SQ, DataSetSequence::from(items)));
            }
        };
        put(tags::REFERENCED_SOP_SEQUENCE, self.safe.iter().map(item).collect());
        let failed = self.failed.iter().map(|(reference, reason)| {
            let mut item = item(reference);
            item.put(DataElement::new(tags::FAILURE_REASON, VR::US, PrimitiveValue::from(*reason)));
            item
        });
        put(tags::FAILED_SOP_SEQUENCE, failed.collect());
        identifier::encode(&object, syntax)
    }

    /// Brings the report to a peer on an association of ours, again and again until it is confirmed
    /// or given up.
    pub async fn bring(&self, to: &Peer, local: &LocalAe) {
        let mut wait = Duration::from_secs(u64::from(local.limits.retry_s));
        for attempt in 1..=ATTEMPTS {
            match self.bring_once(to, local).await {
                Ok(()) => return,
                Err(why) => tracing::warn!(peer = to.name, attempt, why, "commitment not reported"),
            }
            if attempt < ATTEMPTS {
                tokio::time::sleep(wait).await;
                wait *= 2;
            }
        }
    }

    async fn bring_once(&self, to: &Peer, local: &LocalAe) -> Result<(), String> {
        let class = uids::STORAGE_COMMITMENT_PUSH_MODEL;
        let connected = Client::for_class(to, local, class, &[class]).await;
        let Some((mut client, syntax)) = connected.map_err(|error| error.to_string())? else {
            return Err("the peer takes no reports of storage commitment".to_owned());
        };
        let request = self.command(1);
        let exchanged = async {
            let data = self.data_set(local.title.as_str(), &syntax);
            client.request(1, &request, &data).await?;
            client.response(1, &request).await
        };
        match exchanged.await {
            Ok(response) => {
                client.release(&to.name).await;
                match response.status {
                    Some(status::SUCCESS) => Ok(()),
                    other => Err(format!("the peer answered {:04X}", other.unwrap_or(0xFFFF))),
                }
            }
            Err(error) => {
                client.association.abort().await;
                Err(error.to_string())
            }
        }
    }
}
