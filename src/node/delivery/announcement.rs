//! Instance Availability Notification as SCU (PS3.4 annex R): a peer is told which results of a job
//! are stored at a destination, one N-CREATE a study. The notification's UID follows from what it says,
//! so that one that is sent twice is known to be the same.

use super::again;
use crate::archive::{Announcement, Archive, ArchiveError, DeliveryEnd, Instance, InstanceFilter};
use crate::dicom::Uid;
use crate::node::command::{Command, field, status};
use crate::node::local::LocalAe;
use crate::node::send::{self, Client};
use crate::node::settings::Peer;
use crate::node::{blocking, identifier};
use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One N-CREATE.
struct Notification {
    uid: Uid,
    data_set: InMemDicomObject,
}

/// Tells a peer what is due, over one association; how each announcement ends.
pub(super) async fn tell(
    archive: &Arc<dyn Archive>,
    (peer, peers): (&Peer, &[Peer]),
    local: &LocalAe,
    due: Vec<Announcement>,
) -> Vec<(Announcement, DeliveryEnd)> {
    let mut ends = Vec::with_capacity(due.len());
    let mut ready = Vec::new();
    for announcement in due {
        match prepare(archive, peers, &announcement).await {
            Ok(Ok(notifications)) => ready.push((announcement, notifications)),
            Ok(Err(reason)) => ends.push((announcement, DeliveryEnd::Parked { reason })),
            Err(error) => {
                let end = retry(local, &announcement, error.to_string());
                ends.push((announcement, end));
            }
        }
    }
    if ready.is_empty() {
        return ends;
    }
    let mut conversation = match Conversation::open(peer, local).await {
        Ok(conversation) => conversation,
        Err(reason) => {
            tracing::warn!(peer = peer.name, reason, "not told of results");
            ends.extend(ready.into_iter().map(|(announcement, _)| {
                let end = retry(local, &announcement, reason.clone());
                (announcement, end)
            }));
            return ends;
        }
    };
    for (announcement, notifications) in ready {
        let end = match conversation.tell_all(&notifications).await {
            Ok(()) => DeliveryEnd::Delivered,
            Err(Refusal::ForGood(reason)) => DeliveryEnd::Parked { reason },
            Err(Refusal::ForNow(reason)) => retry(local, &announcement, reason),
        };
        ends.push((announcement, end));
    }
    conversation.close(&peer.name).await;
    ends
}

fn retry(local: &LocalAe, announcement: &Announcement, reason: String) -> DeliveryEnd {
    again(&local.limits, announcement.attempts, announcement.id, reason)
}

/// What is to be said; why nothing can be.
async fn prepare(
    archive: &Arc<dyn Archive>,
    peers: &[Peer],
    announcement: &Announcement,
) -> Result<Result<Vec<Notification>, String>, ArchiveError> {
    let Some(destination) = peers.iter().find(|peer| peer.name == announcement.destination) else {
        let reason = "the destination is no longer among the peers; add it again".to_owned();
        return Ok(Err(reason));
    };
    let (announcement, title) = (announcement.clone(), destination.ae_title.clone());
    blocking(archive, move |archive| {
        let mut studies: BTreeMap<Uid, Vec<Instance>> = BTreeMap::new();
        for uid in archive.announced(&announcement)? {
            let filter = InstanceFilter { sop_instance: Some(uid), ..InstanceFilter::default() };
            for instance in archive.instances(&filter)? {
                studies.entry(instance.header.study.clone()).or_default().push(instance);
            }
        }
        if studies.is_empty() {
            return Ok(Err("none of the results is stored at the destination".to_owned()));
        }
        let notification = |(study, instances): (Uid, Vec<Instance>)| {
            Notification::of(&announcement, &title, &study, &instances)
        };
        Ok(Ok(studies.into_iter().map(notification).collect()))
    })
    .await
}

impl Notification {
    /// PS3.4 table R.3.2-1; no performed procedure step stands behind results.
    fn of(to: &Announcement, retrieve_from: &str, study: &Uid, instances: &[Instance]) -> Self {
        let mut series: BTreeMap<&Uid, Vec<InMemDicomObject>> = BTreeMap::new();
        let mut parts = vec!["availability", &to.peer, retrieve_from, study.as_str()];
        for instance in instances {
            let header = &instance.header;
            parts.push(header.sop_instance.as_str());
            series.entry(&header.series).or_default().push(InMemDicomObject::from_element_iter([
                text(tags::RETRIEVE_AE_TITLE, VR::AE, retrieve_from),
                text(tags::INSTANCE_AVAILABILITY, VR::CS, "ONLINE"),
                text(tags::REFERENCED_SOP_CLASS_UID, VR::UI, header.sop_class.as_str()),
                text(tags::REFERENCED_SOP_INSTANCE_UID, VR::UI, header.sop_instance.as_str()),
            ]));
        }
        let items = series.into_iter().map(|(series, instances)| {
            let mut item = InMemDicomObject::from_element_iter([text(
                tags::SERIES_INSTANCE_UID,
                VR::UI,
                series.as_str(),
            )]);
            item.put(sequence(tags::REFERENCED_SOP_SEQUENCE, instances));
            item
        });
        let mut data_set = InMemDicomObject::from_element_iter([text(
            tags::STUDY_INSTANCE_UID,
            VR::UI,
            study.as_str(),
        )]);
        data_set.put(sequence(tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE, Vec::new()));
        data_set.put(sequence(tags::REFERENCED_SERIES_SEQUENCE, items.collect()));
        Self { uid: Uid::derived(&parts), data_set }
    }
}

fn text(tag: Tag, vr: VR, text: &str) -> DataElement<InMemDicomObject> {
    DataElement::new(tag, vr, PrimitiveValue::from(text))
}

fn sequence(tag: Tag, items: Vec<InMemDicomObject>) -> DataElement<InMemDicomObject> {
    DataElement::new(tag, VR::SQ, DataSetSequence::from(items))
}

/// Why an announcement was not taken.
enum Refusal {
    ForNow(String),
    /// The same words would get the same answer.
    ForGood(String),
}

struct Conversation {
    client: Client<crate::node::tls::Stream>,
    syntax: Uid,
    messages: usize,
    /// Why the association is of no more use.
    broken: Option<String>,
}

impl Conversation {
    async fn open(peer: &Peer, local: &LocalAe) -> Result<Self, String> {
        let class = uids::INSTANCE_AVAILABILITY_NOTIFICATION;
        let connected = Client::for_class(peer, local, class, &[]).await;
        match connected.map_err(|error| error.to_string())? {
            Some((client, syntax)) => Ok(Self { client, syntax, messages: 0, broken: None }),
            None => Err("the peer takes no Instance Availability Notification; set it up there, \
                         or take `announce: true` from the peer here"
                .to_owned()),
        }
    }

    async fn tell_all(&mut self, notifications: &[Notification]) -> Result<(), Refusal> {
        for notification in notifications {
            self.tell(notification).await?;
        }
        Ok(())
    }

    async fn tell(&mut self, notification: &Notification) -> Result<(), Refusal> {
        if let Some(reason) = &self.broken {
            return Err(Refusal::ForNow(reason.clone()));
        }
        let class = Uid::parse(uids::INSTANCE_AVAILABILITY_NOTIFICATION)
            .expect("the dictionary's UIDs are UIDs");
        let request = Command {
            sop_instance: Some(notification.uid.clone()),
            ..Command::request(field::N_CREATE_RQ, send::message_id(self.messages), class)
        };
        self.messages += 1;
        let data_set = identifier::encode(&notification.data_set, &self.syntax);
        let exchanged = async {
            self.client.request(1, &request, &data_set).await?;
            self.client.response(1, &request).await
        };
        let status = match exchanged.await {
            Ok(response) => response.status.unwrap_or(status::PROCESSING_FAILURE),
            Err(error) => {
                self.broken = Some(error.to_string());
                return Err(Refusal::ForNow(error.to_string()));
            }
        };
        let reason = format!("the peer answered {status:04X}");
        match status {
            // It has been told before; or it was, with a warning.
            status::SUCCESS
            | status::DUPLICATE_SOP_INSTANCE
            | status::ATTRIBUTE_LIST_ERROR
            | status::ATTRIBUTE_VALUE_OUT_OF_RANGE => Ok(()),
            status::PROCESSING_FAILURE | status::RESOURCE_LIMITATION => {
                Err(Refusal::ForNow(reason))
            }
            _ => Err(Refusal::ForGood(reason)),
        }
    }

    async fn close(self, peer: &str) {
        match self.broken {
            None => self.client.release(peer).await,
            Some(_) => self.client.association.abort().await,
        }
    }
}
