//! Storage commitment as SCU: for what was delivered to a peer that is to answer for it.
//!
//! The Transaction UID is in the archive before the peer hears it, so that its report finds us
//! knowing, whichever association it comes on and however often the node was started since. An object
//! that the peer does not commit itself to is sent again, and one that no report comes for is asked
//! about again, under another UID; both a bounded number of times.

use super::report::MAX_UNREPORTED;
use super::{REQUEST, Reference, item, service, take_report};
use crate::archive::{Archive, ArchiveError, AuditEvent, CommitmentStep, Delivery, InstanceFilter};
use crate::dicom::Uid;
use crate::node::association::{AssociationError, seconds};
use crate::node::command::{Command, field, status};
use crate::node::local::LocalAe;
use crate::node::send::{Client, is_answer};
use crate::node::serve::audit;
use crate::node::settings::{Limits, Peer};
use crate::node::tls::Stream;
use crate::node::{backoff, blocking, identifier, stopped};
use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use tokio::sync::watch;

/// Instances in one transaction.
const MAX_REFERENCES: u32 = 256;

/// Asks a peer to commit itself to what was delivered to it and is due, in one transaction: what does not
/// fit into it stays due, and deliveries to the peer do not wait for it.
pub(in crate::node) async fn ask(
    archive: &Arc<dyn Archive>,
    peer: &Peer,
    local: &LocalAe,
    stop: &watch::Receiver<bool>,
) {
    let asked = match Transaction::begin(archive, peer, &local.limits).await {
        Ok(None) => return,
        Ok(Some(transaction)) => transaction.ask(archive, peer, local, stop).await,
        Err(error) => Err(error),
    };
    if let Err(error) = asked {
        // What was to be asked about stays due.
        tracing::error!(peer = peer.name, %error, "commitments cannot be asked for");
    }
}

/// One request and the deliveries it is about.
struct Transaction {
    uid: Uid,
    deliveries: Vec<i64>,
    references: Vec<Reference>,
    /// The most that one of them was asked about before.
    asked: u32,
}

impl Transaction {
    /// Of what is due; `None` where nothing is.
    async fn begin(
        archive: &Arc<dyn Archive>,
        peer: &Peer,
        limits: &Limits,
    ) -> Result<Option<Self>, ArchiveError> {
        let (peer, limits) = (peer.name.clone(), limits.clone());
        blocking(archive, move |archive| {
            let now = Timestamp::now();
            let due = archive.due_commitments(&peer, now, MAX_REFERENCES)?;
            let Some(first) = due.first() else { return Ok(None) };
            // Never given before: no two instants of one node's clock and one delivery are alike.
            let parts = [&peer, &first.id.to_string(), &now.as_nanosecond().to_string()];
            let uid = Uid::derived(&["commitment", parts[0], parts[1], parts[2]]);
            let mut this = Self { uid, deliveries: Vec::new(), references: Vec::new(), asked: 0 };
            let mut steps = Vec::new();
            for delivery in due {
                match reference(archive, &delivery, &limits)? {
                    Ok(reference) => {
                        this.asked = this.asked.max(delivery.asked);
                        this.deliveries.push(delivery.id);
                        this.references.push(reference);
                    }
                    Err(reason) => steps.push((delivery.id, CommitmentStep::Failed { reason })),
                }
            }
            let again_at = backoff::at(limits.retry_s, this.asked, 0);
            steps.extend(
                this.deliveries.iter().map(|id| {
                    (*id, CommitmentStep::Ask { transaction: this.uid.clone(), again_at })
                }),
            );
            archive.step_commitments(&steps)?;
            Ok(Some(this))
        })
        .await
    }

    /// Where the peer could not be asked, it is asked again later.
    async fn ask(
        self,
        archive: &Arc<dyn Archive>,
        peer: &Peer,
        local: &LocalAe,
        stop: &watch::Receiver<bool>,
    ) -> Result<(), ArchiveError> {
        if self.deliveries.is_empty() {
            return Ok(());
        }
        let exchanged = self.exchange(archive, peer, local).await;
        let (again_at, reason) = match &exchanged {
            Ok(_) => {
                let hours = SignedDuration::from_hours(i64::from(local.limits.commitment_h));
                (Timestamp::now().checked_add(hours).unwrap_or(Timestamp::MAX), None)
            }
            Err(reason) => {
                tracing::warn!(peer = peer.name, reason, "not asked for its commitment");
                let first = self.deliveries.first().copied().unwrap_or_default();
                (backoff::at(local.limits.retry_s, self.asked, first), Some(reason.clone()))
            }
        };
        let step = CommitmentStep::Wait { again_at, reason };
        let steps: Vec<_> = self.deliveries.iter().map(|id| (*id, step.clone())).collect();
        blocking(archive, move |archive| archive.step_commitments(&steps)).await?;
        let Ok(conversation) = exchanged else { return Ok(()) };
        let outcome = format!("asked for {} instances", self.references.len());
        note(archive, "commitment-requested", peer, Some(&self.uid), outcome).await;
        conversation.hear_report(archive, peer, local, stop).await;
        Ok(())
    }

    /// N-ACTION and its response; the association stays open for the report.
    async fn exchange(
        &self,
        archive: &Arc<dyn Archive>,
        peer: &Peer,
        local: &LocalAe,
    ) -> Result<Conversation, String> {
        let class = uids::STORAGE_COMMITMENT_PUSH_MODEL;
        let connected = Client::for_class(peer, local, class, &[]).await;
        let Some((client, syntax)) = connected.map_err(|error| error.to_string())? else {
            return Err("the peer does not offer storage commitment; set it up there, or take \
                        `commitment: true` from the peer here"
                .to_owned());
        };
        let mut conversation = Conversation { client, syntax, reported: false };
        match conversation.request(&self.uid, &self.references, archive, peer, &local.limits).await
        {
            Ok(status::SUCCESS) => Ok(conversation),
            Ok(status) => {
                conversation.client.release(&peer.name).await;
                Err(format!("the peer answered the request for commitment with {status:04X}"))
            }
            Err(error) => {
                conversation.client.association.abort().await;
                Err(error.to_string())
            }
        }
    }
}

/// An association on which the peer is asked.
struct Conversation {
    client: Client<Stream>,
    syntax: Uid,
    reported: bool,
}

impl Conversation {
    /// Status of the response. A report may come before it.
    async fn request(
        &mut self,
        transaction: &Uid,
        references: &[Reference],
        archive: &Arc<dyn Archive>,
        peer: &Peer,
        limits: &Limits,
    ) -> Result<u16, AssociationError> {
        let request = service(field::N_ACTION_RQ, 1, REQUEST);
        let data_set = question(transaction, references, &self.syntax);
        self.client.request(1, &request, &data_set).await?;
        loop {
            let Some((context, command)) = self.client.next_command(self.client.answer).await?
            else {
                return Err(AssociationError::Violation("release instead of a response"));
            };
            if is_answer(&command, &request) {
                if command.has_data_set {
                    self.client.data_set(context).await?;
                }
                return Ok(command.status.unwrap_or(status::PROCESSING_FAILURE));
            }
            self.answer_report(context, &command, archive, peer, limits).await?;
        }
    }

    /// Waits a short time for the report, then releases; it may come on an association of the
    /// peer's as well.
    async fn hear_report(
        mut self,
        archive: &Arc<dyn Archive>,
        peer: &Peer,
        local: &LocalAe,
        stop: &watch::Receiver<bool>,
    ) {
        let wait = seconds(local.limits.commitment_wait_s);
        if !self.reported && !wait.is_zero() {
            // The wait is bounded here and not in the association, which would abort.
            let longer = wait.saturating_mul(2);
            let mut stop = stop.clone();
            let heard = tokio::select! {
                heard = self.client.next_command(longer) => Some(heard),
                () = tokio::time::sleep(wait) => None,
                () = stopped(&mut stop) => None,
            };
            let answered = match heard {
                Some(Ok(Some((context, command)))) => {
                    self.answer_report(context, &command, archive, peer, &local.limits).await
                }
                Some(Ok(None)) => {
                    if let Err(error) = self.client.association.confirm_release().await {
                        tracing::debug!(peer = peer.name, %error, "release failed");
                    }
                    return;
                }
                Some(Err(error)) => Err(error),
                None => Ok(()),
            };
            if let Err(error) = answered {
                tracing::debug!(peer = peer.name, %error, "no report on this association");
                self.client.association.abort().await;
                return;
            }
        }
        self.client.release(&peer.name).await;
    }

    async fn answer_report(
        &mut self,
        context: u8,
        command: &Command,
        archive: &Arc<dyn Archive>,
        peer: &Peer,
        limits: &Limits,
    ) -> Result<(), AssociationError> {
        if command.field != field::N_EVENT_REPORT_RQ || !command.has_data_set {
            return Err(AssociationError::Violation("a message that is no report"));
        }
        let data_set = self.client.data_set(context).await?;
        let (status, comment) =
            take_report(archive, peer, limits, command, &data_set, &self.syntax).await;
        self.reported = true;
        self.client.command(context, &command.response(status, comment)).await
    }
}

/// SOP class and instance of a delivery; why it is not to be asked about any more.
fn reference(
    archive: &dyn Archive,
    delivery: &Delivery,
    limits: &Limits,
) -> Result<Result<Reference, String>, ArchiveError> {
    if let Some(reason) = given_up(delivery, limits) {
        return Ok(Err(reason));
    }
    let filter = InstanceFilter {
        sop_instance: Some(delivery.sop_instance.clone()),
        ..InstanceFilter::default()
    };
    let found = archive.instances(&filter)?.into_iter().next();
    Ok(found
        .map(|instance| (instance.header.sop_class, delivery.sop_instance.clone()))
        .ok_or_else(|| "the archive no longer has the object".to_owned()))
}

/// Why a peer is not asked any more. Without a reason it was asked the last time and did not report.
fn given_up(delivery: &Delivery, limits: &Limits) -> Option<String> {
    let (is_over, last) = match &delivery.reason {
        Some(reason) => (backoff::is_over(limits, delivery.asked), reason.as_str()),
        None => (delivery.asked >= MAX_UNREPORTED, "no report came"),
    };
    is_over.then(|| format!("asked {} times for its commitment; last: {last}", delivery.asked))
}

/// The data set of N-ACTION.
fn question(transaction: &Uid, references: &[Reference], syntax: &Uid) -> Vec<u8> {
    let items: Vec<InMemDicomObject> = references.iter().map(item).collect();
    let transaction = PrimitiveValue::from(transaction.as_str());
    let mut object = InMemDicomObject::from_element_iter([DataElement::new(
        tags::TRANSACTION_UID,
        VR::UI,
        transaction,
    )]);
    object.put(DataElement::new(
        tags::REFERENCED_SOP_SEQUENCE,
        VR::SQ,
        DataSetSequence::from(items),
    ));
    identifier::encode(&object, syntax)
}

pub(super) async fn note(
    archive: &Arc<dyn Archive>,
    event: &str,
    peer: &Peer,
    transaction: Option<&Uid>,
    outcome: String,
) {
    let line = AuditEvent {
        at: Timestamp::now(),
        event: event.to_owned(),
        actor: peer.name.clone(),
        object: transaction.map(ToString::to_string),
        outcome,
    };
    audit(archive, vec![line]).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::{DeliveryEnd, DeliveryState, LocalArchive, StorageSettings};
    use jiff::tz::TimeZone;

    fn delivered(asked: u32, reason: Option<&str>) -> Delivery {
        Delivery {
            id: 1,
            peer: "pacs".into(),
            sop_instance: Uid::parse("1.2.3").unwrap(),
            state: DeliveryState::Delivered,
            attempts: 1,
            next_attempt: Timestamp::UNIX_EPOCH,
            reason: reason.map(Into::into),
            transaction: None,
            asked,
            refused: 0,
        }
    }

    #[test]
    fn a_silent_peer_is_asked_three_times_and_one_that_is_away_until_its_time_is_over() {
        let over = |asked, reason| given_up(&delivered(asked, reason), &Limits::default());
        assert_eq!([0, 1, 2].map(|asked| over(asked, None)), [None, None, None]);
        let silent = over(3, None).unwrap();
        assert!(silent.contains("3 times") && silent.contains("no report came"), "{silent}");
        let away = Some("no answer in time");
        assert_eq!(over(20, away), None, "the waits between are short");
        assert!(over(40, away).unwrap().contains("no answer in time"));
    }

    #[tokio::test]
    async fn one_call_is_one_transaction_and_the_rest_stays_due() {
        let folder = tempfile::tempdir().unwrap();
        let settings = StorageSettings { directory: folder.path().into(), ..Default::default() };
        let archive: Arc<dyn Archive> =
            Arc::new(LocalArchive::open(&settings, TimeZone::UTC).unwrap());
        let objects: Vec<Uid> =
            (0..=MAX_REFERENCES).map(|n| Uid::parse(&format!("1.2.3.{n}")).unwrap()).collect();
        archive.deliver(&objects, "pacs").unwrap();
        for delivery in archive.due_deliveries(Timestamp::now(), 999).unwrap() {
            archive.finish_delivery(delivery.id, DeliveryEnd::Delivered).unwrap();
        }
        // None of them is in the archive, so that nobody is called.
        let peer = Peer { name: "pacs".into(), ..Peer::default() };
        let local = LocalAe::plain("GRAYD", Limits::default()).unwrap();
        let (_stop, stopped) = watch::channel(false);
        ask(&archive, &peer, &local, &stopped).await;
        assert_eq!(archive.due_commitments("pacs", Timestamp::now(), 999).unwrap().len(), 1);
    }
}
