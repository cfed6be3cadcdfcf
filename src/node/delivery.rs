//! The delivery queue's engine: takes what is due, sends it, and writes down how it ended.
//!
//! All state is in the archive, so a restart goes on where the last run stopped. A delivery ends
//! as delivered only when the peer has confirmed it; sending again is harmless, since results keep
//! their SOP Instance UIDs. A peer with `commitment: true` is then asked to commit itself to what it
//! has got.

mod announcement;

use super::local::LocalAe;
use super::send::{Outgoing, SendError, SendOutcome, store_batch};
use super::settings::{Limits, Peer};
use super::{backoff, blocking, commitment, stopped};
use crate::archive::{Announcement, Archive, ArchiveError, AuditEvent, Delivery, DeliveryEnd};
use crate::dicom::Uid;
use dicom_dictionary_std::uids;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinSet, spawn_blocking};

/// Between looks at the queue.
const POLL: Duration = Duration::from_secs(1);
/// Deliveries taken at one look, of all peers together.
const MAX_DUE: u32 = 4096;
/// Instances on one association.
const MAX_BATCH: usize = 256;
/// Announcements taken at one look, of all peers together.
const MAX_ANNOUNCEMENTS: u32 = 256;
const UNKNOWN_PEER: &str = "no peer of this name is configured; add it or send elsewhere";

/// SOP classes in the order in which they are sent: what others refer to goes first.
const ORDER: &[&str] = &[
    uids::SPATIAL_REGISTRATION_STORAGE,
    uids::DEFORMABLE_SPATIAL_REGISTRATION_STORAGE,
    uids::RT_STRUCTURE_SET_STORAGE,
    uids::SEGMENTATION_STORAGE,
    uids::LABEL_MAP_SEGMENTATION_STORAGE,
    uids::RT_DOSE_STORAGE,
    uids::PARAMETRIC_MAP_STORAGE,
    uids::ENHANCED_SR_STORAGE,
    uids::COMPREHENSIVE_SR_STORAGE,
    uids::COMPREHENSIVE3_DSR_STORAGE,
    uids::RADIOPHARMACEUTICAL_RADIATION_DOSE_SR_STORAGE,
    uids::PATIENT_RADIATION_DOSE_SR_STORAGE,
    uids::ENCAPSULATED_PDF_STORAGE,
];

/// Delivers until `shutdown` turns true; a batch that is under way is finished first. Fails only
/// if the node's own AE title is none.
pub async fn run(
    archive: Arc<dyn Archive>,
    peers: Arc<[Peer]>,
    local: Arc<LocalAe>,
    mut shutdown: watch::Receiver<bool>,
) -> io::Result<()> {
    let sender = Arc::new(Sender { archive, peers, local, stop: shutdown.clone() });
    let mut busy: BTreeSet<String> = BTreeSet::new();
    let mut batches: JoinSet<String> = JoinSet::new();
    let mut peer_of_task = BTreeMap::new();
    loop {
        for (peer, batch) in sender.due(&busy).await {
            busy.insert(peer.clone());
            let (sender, name) = (sender.clone(), peer.clone());
            let task = batches.spawn(async move {
                sender.serve(&name, batch).await;
                name
            });
            peer_of_task.insert(task.id(), peer);
        }
        tokio::select! {
            biased;
            () = stopped(&mut shutdown) => break,
            Some(done) = batches.join_next_with_id() => {
                let id = done.as_ref().map_or_else(|error| error.id(), |(id, _)| *id);
                if let Some(peer) = peer_of_task.remove(&id) {
                    busy.remove(&peer);
                }
                if let Err(error) = done {
                    tracing::error!(%error, "a delivery batch failed");
                    tokio::time::sleep(POLL).await;
                }
            }
            () = tokio::time::sleep(POLL) => {}
        }
    }
    while batches.join_next().await.is_some() {}
    Ok(())
}

/// What is to be done with one peer.
#[derive(Default)]
struct Due {
    deliveries: Vec<Delivery>,
    announcements: Vec<Announcement>,
}

/// What one batch of deliveries needs.
struct Sender {
    archive: Arc<dyn Archive>,
    peers: Arc<[Peer]>,
    local: Arc<LocalAe>,
    stop: watch::Receiver<bool>,
}

impl Sender {
    /// What is due, by peer, of those that are not being spoken with already. A peer with nothing
    /// but commitments to be asked for has nothing in it.
    async fn due(&self, busy: &BTreeSet<String>) -> BTreeMap<String, Due> {
        let (peers, busy) = (self.peers.clone(), busy.clone());
        let looked = blocking(&self.archive, move |archive| {
            let now = Timestamp::now();
            let mut by_peer: BTreeMap<String, Due> = BTreeMap::new();
            for delivery in archive.due_deliveries(now, MAX_DUE)? {
                let due = by_peer.entry(delivery.peer.clone()).or_default();
                if due.deliveries.len() < MAX_BATCH {
                    due.deliveries.push(delivery);
                }
            }
            for announcement in archive.due_announcements(now, MAX_ANNOUNCEMENTS)? {
                let due = by_peer.entry(announcement.peer.clone()).or_default();
                due.announcements.push(announcement);
            }
            for peer in peers.iter().filter(|peer| peer.commitment) {
                if !archive.due_commitments(&peer.name, now, 1)?.is_empty() {
                    by_peer.entry(peer.name.clone()).or_default();
                }
            }
            by_peer.retain(|peer, _| !busy.contains(peer));
            Ok(by_peer)
        });
        looked.await.unwrap_or_else(|error| {
            tracing::error!(%error, "the delivery queue cannot be read");
            BTreeMap::new()
        })
    }

    /// Sends a batch, asks for the commitments that are due, and tells what others have stored.
    async fn serve(&self, name: &str, due: Due) {
        if !due.deliveries.is_empty() {
            self.deliver(name, due.deliveries).await;
        }
        let peer = self.peers.iter().find(|peer| peer.name == name);
        if let Some(peer) = peer.filter(|peer| peer.commitment) {
            commitment::ask(&self.archive, peer, &self.local, &self.stop).await;
        }
        if due.announcements.is_empty() {
            return;
        }
        let ends = match peer {
            Some(peer) => {
                let (peers, announcements) = ((peer, &*self.peers), due.announcements);
                announcement::tell(&self.archive, peers, &self.local, announcements).await
            }
            None => {
                let end = DeliveryEnd::Parked { reason: UNKNOWN_PEER.to_owned() };
                due.announcements.into_iter().map(|it| (it, end.clone())).collect()
            }
        };
        let written = blocking(&self.archive, move |archive| {
            ends.into_iter().try_for_each(|(it, end)| archive.finish_announcement(it.id, end))
        });
        if let Err(error) = written.await {
            tracing::error!(%error, "the end of an announcement was not written");
        }
    }

    async fn deliver(&self, peer: &str, batch: Vec<Delivery>) {
        let Some(peer) = self.peers.iter().find(|known| known.name == peer) else {
            for delivery in batch {
                let reason = UNKNOWN_PEER.to_owned();
                self.end(&delivery, DeliveryEnd::Parked { reason }).await;
            }
            return;
        };
        let mut ready = Vec::with_capacity(batch.len());
        for delivery in batch {
            match self.open(&delivery.sop_instance).await {
                Ok(file) => ready.push((delivery, file)),
                Err(NotReady::Park(reason)) => {
                    self.end(&delivery, DeliveryEnd::Parked { reason }).await;
                }
                Err(NotReady::Retry(reason)) => {
                    let end = self.again(&delivery, reason);
                    self.end(&delivery, end).await;
                }
            }
        }
        ready.sort_by_key(|(delivery, file)| (rank(&file.sop_class), delivery.id));
        let files: Vec<Outgoing> = ready.iter().map(|(_, file)| file.clone()).collect();
        match store_batch(peer, &self.local, &files).await {
            Ok(outcomes) => {
                for ((delivery, _), (_, outcome)) in ready.iter().zip(outcomes) {
                    let end = self.judge(delivery, outcome);
                    self.end(delivery, end).await;
                }
            }
            Err(error) => {
                tracing::warn!(peer = peer.name, %error, "nothing delivered");
                for (delivery, _) in &ready {
                    let end = self.after_failure(delivery, &error);
                    self.end(delivery, end).await;
                }
            }
        }
    }

    /// The file of an instance, checked against bit rot before it leaves.
    async fn open(&self, sop_instance: &Uid) -> Result<Outgoing, NotReady> {
        let (archive, uid) = (self.archive.clone(), sop_instance.clone());
        let path = spawn_blocking(move || {
            let path = archive.path(&uid)?;
            archive.verify(&uid).map(|sound| sound.then_some(path))
        });
        match path.await {
            Ok(Ok(Some(path))) => {
                Outgoing::open(&path).await.map_err(|error| NotReady::Park(error.to_string()))
            }
            Ok(Ok(None)) => Err(NotReady::Park(
                "the stored object no longer matches its hash; compute the results again".into(),
            )),
            Ok(Err(error @ ArchiveError::NotFound(_))) => Err(NotReady::Park(error.to_string())),
            Ok(Err(error)) => Err(NotReady::Retry(error.to_string())),
            Err(error) => Err(NotReady::Retry(error.to_string())),
        }
    }

    /// What the peer's answer means for the delivery (PS3.4 section B.2.3).
    fn judge(&self, delivery: &Delivery, outcome: SendOutcome) -> DeliveryEnd {
        match outcome {
            SendOutcome::Stored { .. } => DeliveryEnd::Delivered,
            SendOutcome::NotAccepted => {
                DeliveryEnd::Parked { reason: "the peer does not accept this SOP class".to_owned() }
            }
            SendOutcome::Interrupted { reason } => self.again(delivery, reason),
            SendOutcome::Refused { status, comment } => {
                let comment = comment.unwrap_or_default();
                let reason = format!("the peer answered {status:04X} {comment}");
                match status {
                    // Another attempt with the same bytes would get the same answer.
                    0xA900..=0xA9FF | 0xC000..=0xCFFF | 0x0122 => DeliveryEnd::Parked { reason },
                    _ => self.again(delivery, reason),
                }
            }
        }
    }

    fn after_failure(&self, delivery: &Delivery, error: &SendError) -> DeliveryEnd {
        let reason = error.to_string();
        match error {
            SendError::AeTitle { .. } | SendError::Unreadable { .. } => {
                DeliveryEnd::Parked { reason }
            }
            SendError::Connect { .. }
            | SendError::Tls { .. }
            | SendError::Association { .. }
            | SendError::NoVerification { .. }
            | SendError::Echo { .. } => self.again(delivery, reason),
        }
    }

    /// Another attempt later, or none when the waits so far add up to `give_up_h`.
    fn again(&self, delivery: &Delivery, reason: String) -> DeliveryEnd {
        again(&self.local.limits, delivery.attempts, delivery.id, reason)
    }

    async fn end(&self, delivery: &Delivery, end: DeliveryEnd) {
        let (event, outcome) = match &end {
            DeliveryEnd::Delivered => ("instance-sent", "confirmed by the peer".to_owned()),
            DeliveryEnd::Retry { .. } => ("delivery-failed", "will be tried again".to_owned()),
            DeliveryEnd::Parked { .. } => ("delivery-parked", "needs a person".to_owned()),
        };
        let line = AuditEvent {
            at: Timestamp::now(),
            event: event.to_owned(),
            actor: delivery.peer.clone(),
            object: Some(delivery.sop_instance.to_string()),
            outcome,
        };
        let (archive, id) = (self.archive.clone(), delivery.id);
        let written = spawn_blocking(move || {
            archive.finish_delivery(id, end)?;
            archive.audit(line)
        });
        match written.await {
            Ok(Ok(())) => {}
            // The delivery stays due and will be sent again, which the peer answers as duplicate.
            Ok(Err(error)) => tracing::error!(%error, "the end of a delivery was not written"),
            Err(error) => tracing::error!(%error, "the end of a delivery was not written"),
        }
    }
}

/// Another attempt later, or none.
fn again(limits: &Limits, attempts: u32, id: i64, reason: String) -> DeliveryEnd {
    if backoff::is_over(limits, attempts) {
        let hours = limits.give_up_h;
        let reason = format!("given up after {hours} h of attempts; last: {reason}");
        return DeliveryEnd::Parked { reason };
    }
    DeliveryEnd::Retry { at: backoff::at(limits.retry_s, attempts, id), reason }
}

/// Why an instance cannot be sent now.
enum NotReady {
    Park(String),
    Retry(String),
}

/// Place in the order of sending; what is not named goes last.
fn rank(sop_class: &Uid) -> usize {
    ORDER.iter().position(|class| *class == sop_class.as_str()).unwrap_or(ORDER.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_refer_to_is_sent_first() {
        let order = [
            uids::SPATIAL_REGISTRATION_STORAGE,
            uids::RT_STRUCTURE_SET_STORAGE,
            uids::SEGMENTATION_STORAGE,
            uids::RT_DOSE_STORAGE,
            uids::PARAMETRIC_MAP_STORAGE,
            uids::COMPREHENSIVE3_DSR_STORAGE,
            uids::ENCAPSULATED_PDF_STORAGE,
            uids::SECONDARY_CAPTURE_IMAGE_STORAGE,
        ];
        let ranks: Vec<usize> = order.iter().map(|c| rank(&Uid::parse(c).unwrap())).collect();
        assert!(ranks.windows(2).all(|pair| pair[0] < pair[1]), "{ranks:?}");
    }
}
