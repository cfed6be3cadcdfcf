//! The delivery queue's engine: takes what is due, sends it, and writes down how it ended.
//!
//! All state is in the archive, so a restart goes on where the last run stopped. A delivery ends
//! as delivered only when the peer has confirmed it; sending again is harmless, since results keep
//! their SOP Instance UIDs.

use super::local::LocalAe;
use super::send::{Outgoing, SendError, SendOutcome, store_batch};
use super::settings::Peer;
use super::stopped;
use crate::archive::{Archive, ArchiveError, AuditEvent, Delivery, DeliveryEnd};
use crate::dicom::Uid;
use dicom_dictionary_std::uids;
use jiff::{SignedDuration, Timestamp};
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
/// Longest wait between attempts.
const MAX_WAIT_S: u64 = 3600;
/// Part of a wait that is varied, so that many deliveries do not come back at one instant.
const JITTER: f64 = 0.25;

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
    let sender = Arc::new(Sender { archive, peers, local });
    let mut busy: BTreeSet<String> = BTreeSet::new();
    let mut batches: JoinSet<String> = JoinSet::new();
    let mut peer_of_task = BTreeMap::new();
    loop {
        for (peer, batch) in sender.due(&busy).await {
            busy.insert(peer.clone());
            let (sender, name) = (sender.clone(), peer.clone());
            let task = batches.spawn(async move {
                sender.deliver(&name, batch).await;
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

/// What one batch of deliveries needs.
struct Sender {
    archive: Arc<dyn Archive>,
    peers: Arc<[Peer]>,
    local: Arc<LocalAe>,
}

impl Sender {
    /// What is due, by peer, of those that are not being sent to already.
    async fn due(&self, busy: &BTreeSet<String>) -> BTreeMap<String, Vec<Delivery>> {
        let archive = self.archive.clone();
        let due = spawn_blocking(move || archive.due_deliveries(Timestamp::now(), MAX_DUE)).await;
        let mut by_peer: BTreeMap<String, Vec<Delivery>> = BTreeMap::new();
        match due {
            Ok(Ok(due)) => {
                for delivery in due.into_iter().filter(|d| !busy.contains(&d.peer)) {
                    let batch = by_peer.entry(delivery.peer.clone()).or_default();
                    if batch.len() < MAX_BATCH {
                        batch.push(delivery);
                    }
                }
            }
            Ok(Err(error)) => tracing::error!(%error, "the delivery queue cannot be read"),
            Err(error) => tracing::error!(%error, "the delivery queue cannot be read"),
        }
        by_peer
    }

    async fn deliver(&self, peer: &str, batch: Vec<Delivery>) {
        let Some(peer) = self.peers.iter().find(|known| known.name == peer) else {
            for delivery in batch {
                let reason = "no peer of this name is configured; add it or send elsewhere";
                self.end(&delivery, DeliveryEnd::Parked { reason: reason.to_owned() }).await;
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
        let give_up_s = u64::from(self.local.limits.give_up_h) * 3600;
        let waited: u64 =
            (0..delivery.attempts).map(|n| wait_s(self.local.limits.retry_s, n)).sum();
        if waited >= give_up_s {
            let hours = self.local.limits.give_up_h;
            return DeliveryEnd::Parked {
                reason: format!("given up after {hours} h of attempts; last: {reason}"),
            };
        }
        let wait = wait_s(self.local.limits.retry_s, delivery.attempts);
        let wait = varied(wait, delivery.id, delivery.attempts);
        let at = Timestamp::now().checked_add(wait).unwrap_or(Timestamp::MAX);
        DeliveryEnd::Retry { at, reason }
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

/// Why an instance cannot be sent now.
enum NotReady {
    Park(String),
    Retry(String),
}

/// Place in the order of sending; what is not named goes last.
fn rank(sop_class: &Uid) -> usize {
    ORDER.iter().position(|class| *class == sop_class.as_str()).unwrap_or(ORDER.len())
}

/// Wait after `attempts` earlier failures: doubles up to an hour, s.
fn wait_s(first_s: u32, attempts: u32) -> u64 {
    let factor = 1u64.checked_shl(attempts.min(32)).unwrap_or(u64::MAX);
    u64::from(first_s.max(1)).saturating_mul(factor).min(MAX_WAIT_S)
}

/// A wait lengthened by up to [`JITTER`], by a hash of what is waiting: as good as chance for
/// spreading attempts, and the same again when a run is repeated.
fn varied(wait_s: u64, id: i64, attempts: u32) -> SignedDuration {
    // Fibonacci hashing: the multiplier is 2^64 divided by the golden ratio.
    let seed = id.cast_unsigned() ^ (u64::from(attempts) << 48);
    let mixed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
    let part = mixed as f64 / (1u64 << 24) as f64;
    SignedDuration::from_secs_f64(wait_s as f64 * (1.0 + JITTER * part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_an_hour_and_vary_by_a_quarter_at_most() {
        let waits: Vec<u64> = (0..12).map(|attempts| wait_s(10, attempts)).collect();
        assert_eq!(waits[..9], [10, 20, 40, 80, 160, 320, 640, 1280, 2560]);
        assert_eq!(waits[9..], [3600; 3]);
        assert_eq!(wait_s(u32::MAX, u32::MAX), MAX_WAIT_S);
        let spread: BTreeSet<_> = (0..100).map(|id| varied(100, id, 3)).collect();
        assert!(spread.len() > 90, "attempts of a hundred deliveries fall apart");
        assert!(*spread.first().unwrap() >= SignedDuration::from_secs(100));
        assert!(*spread.last().unwrap() <= SignedDuration::from_secs(125));
    }

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
