//! What each peer has used of what it may use: a peer that sends without end, by mistake or not, takes
//! neither the places nor the disk of the others.

use super::settings::Peer;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// One for each peer of the configuration, by its name.
#[derive(Debug, Default)]
pub(super) struct Quotas(BTreeMap<String, Arc<Quota>>);

/// One peer's use.
#[derive(Debug, Default)]
pub(super) struct Quota(Mutex<Use>);

#[derive(Debug, Default)]
struct Use {
    associations: u32,
    instances: Span,
    bytes: Span,
}

/// Counts from its first entry on; what is older than its length counts no more.
#[derive(Debug, Default)]
struct Span {
    since: Option<Instant>,
    sum: u64,
}

impl Span {
    fn sum(&mut self, length: Duration, now: Instant) -> u64 {
        if self.since.is_some_and(|since| now.saturating_duration_since(since) >= length) {
            *self = Self::default();
        }
        self.sum
    }

    fn add(&mut self, number: u64, now: Instant) {
        self.since.get_or_insert(now);
        self.sum = self.sum.saturating_add(number);
    }
}

/// An association of a peer; it counts for as long as this lives.
#[derive(Debug)]
pub(super) struct Place(Arc<Quota>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.lock().associations -= 1;
    }
}

impl Quotas {
    pub(super) fn of(peers: &[Peer]) -> Self {
        Self(peers.iter().map(|peer| (peer.name.clone(), Arc::default())).collect())
    }

    /// A peer's; one that is not of the configuration has an empty one of its own.
    pub(super) fn quota(&self, peer: &Peer) -> Arc<Quota> {
        self.0.get(&peer.name).cloned().unwrap_or_default()
    }
}

impl Quota {
    fn lock(&self) -> MutexGuard<'_, Use> {
        // Counts are whole after every statement.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more association of the peer.
    pub(super) fn enter(self: &Arc<Self>, peer: &Peer) -> Option<Place> {
        let mut used = self.lock();
        if peer.limits.associations.is_some_and(|most| used.associations >= most) {
            return None;
        }
        used.associations += 1;
        Some(Place(self.clone()))
    }

    /// Counts an instance that is about to come; why it may not, where it may not.
    pub(super) fn begin_instance(&self, peer: &Peer, now: Instant) -> Result<(), &'static str> {
        let (mut used, limits) = (self.lock(), &peer.limits);
        let instances = used.instances.sum(MINUTE, now);
        if limits.instances_per_minute.is_some_and(|most| instances >= most.into()) {
            return Err("peers.limits.instances_per_minute is used up; try later");
        }
        let bytes = used.bytes.sum(DAY, now);
        if limits.mb_per_day.is_some_and(|most| bytes >= most << 20) {
            return Err("peers.limits.mb_per_day is used up; try later");
        }
        used.instances.add(1, now);
        Ok(())
    }

    /// Counts a piece of what comes, stored in the end or not.
    pub(super) fn add_bytes(&self, bytes: u64, now: Instant) {
        let mut used = self.lock();
        used.bytes.sum(DAY, now);
        used.bytes.add(bytes, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::settings::PeerLimits;

    fn peer() -> Peer {
        let limits = PeerLimits {
            associations: Some(2),
            instances_per_minute: Some(3),
            mb_per_day: Some(1),
        };
        Peer { name: "scanner".into(), limits, ..Peer::default() }
    }

    #[test]
    fn a_minute_has_its_instances_and_a_day_its_bytes_and_both_begin_anew() {
        let quota = Quota::default();
        let start = Instant::now();
        let begin = |second: u64| {
            quota
                .begin_instance(&peer(), start + Duration::from_secs(second))
                .err()
                .map(|why| if why.contains("minute") { "minute" } else { "day" })
        };
        assert_eq!([0, 1, 59, 59].map(begin), [None, None, None, Some("minute")]);
        assert_eq!(begin(60), None, "the next minute");
        quota.add_bytes((1 << 20) - 1, start + Duration::from_secs(61));
        assert_eq!(begin(62), None, "one byte is left, and what begins with it may end");
        quota.add_bytes(500, start + Duration::from_secs(62));
        assert_eq!(begin(130), Some("day"));
        let next_day = 61 + DAY.as_secs();
        assert_eq!([next_day - 1, next_day].map(begin), [Some("day"), None]);
    }

    #[test]
    fn associations_count_while_they_last_and_each_peer_has_its_own() {
        let other = Peer { name: "other".into(), ..peer() };
        let quotas = Quotas::of(&[peer(), other.clone()]);
        let enter = |peer: &Peer| quotas.quota(peer).enter(peer);
        let (one, two) = (enter(&peer()), enter(&peer()));
        assert!(one.is_some() && two.is_some() && enter(&peer()).is_none());
        assert!(enter(&other).is_some());
        drop(one);
        assert!(enter(&peer()).is_some());
    }

    #[test]
    fn without_limits_nothing_is_refused() {
        let (quota, peer) = (Quota::default(), Peer::default());
        let now = Instant::now();
        assert!((0..10_000).all(|_| quota.begin_instance(&peer, now).is_ok()));
    }
}
