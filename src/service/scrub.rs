//! Reads the whole archive back, a little at a time: bit rot is found within `storage.scrub_days`,
//! while the sender or a backup still has the bytes, and not when a dose is to be made of them.

use super::{Service, until_shutdown};
use crate::archive::{ArchiveError, AuditEvent};
use crate::dicom::Uid;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Between two stretches.
const STEP: Duration = Duration::from_secs(60);
const STEPS_A_DAY: u64 = 24 * 60;
/// Instances of one stretch at most; a larger archive takes longer than it should, and says so.
const MAX_STRETCH: u64 = 2000;
/// Note of the archive that says where a round stands.
const NOTE: &str = "scrub";

/// How far a round has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Round {
    began: Timestamp,
    after: Option<Uid>,
    checked: u64,
    rotten: u64,
    done: bool,
}

impl Round {
    fn new(began: Timestamp) -> Self {
        Self { began, after: None, checked: 0, rotten: 0, done: false }
    }
}

/// Runs until `shutdown`.
pub(super) async fn run(service: Arc<Service>, shutdown: watch::Receiver<bool>) {
    let days = service.loaded.config.storage.scrub_days;
    loop {
        tokio::select! {
            () = until_shutdown(shutdown.clone()) => return,
            () = tokio::time::sleep(STEP) => {}
        }
        if days == 0 {
            continue;
        }
        let owned = service.clone();
        let step = tokio::task::spawn_blocking(move || step(&owned, days, Timestamp::now()));
        match step.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the archive could not be read back"),
            Err(error) => tracing::error!(%error, "the archive could not be read back"),
        }
    }
}

/// One stretch, and the round's end where it is reached.
fn step(service: &Service, days: u32, now: Timestamp) -> Result<(), ArchiveError> {
    let archive = &service.archive;
    let noted = archive.note(NOTE)?.and_then(|text| serde_json::from_str::<Round>(&text).ok());
    let Some(mut round) = due(noted, days, now) else { return Ok(()) };
    // One to learn how many there are, then what the days ask for.
    let first = archive.scrub(round.after.as_ref(), 1)?;
    let more = stretch(first.instances, days).saturating_sub(1);
    let mut found = vec![first];
    if more > 0
        && let Some(last) = found[0].last.clone()
    {
        found.push(archive.scrub(Some(&last), more)?);
    }
    for part in &found {
        round.checked += u64::from(part.checked);
        round.rotten += part.rotten.len() as u64;
        round.after = part.last.clone();
    }
    round.done = round.after.is_none();
    if round.done {
        archive.audit(AuditEvent {
            at: now,
            event: "archive-scrubbed".into(),
            actor: "grayd".into(),
            object: None,
            outcome: format!("{} objects read back, {} damaged", round.checked, round.rotten),
        })?;
    }
    let text = serde_json::to_string(&round)
        .map_err(|error| ArchiveError::Index { step: "scrub", message: error.to_string() })?;
    archive.put_note(NOTE, &text)
}

/// The round to go on with; `None` while the last one is younger than a round may take.
fn due(noted: Option<Round>, days: u32, now: Timestamp) -> Option<Round> {
    let Some(round) = noted else { return Some(Round::new(now)) };
    if !round.done {
        return Some(round);
    }
    let pause = SignedDuration::from_hours(i64::from(days) * 24);
    // A clock that was set back must not stop reading for years.
    let waits = round.began <= now && now.duration_since(round.began) < pause;
    (!waits).then(|| Round::new(now))
}

/// Instances to read in one stretch, so that a round ends within its days.
fn stretch(instances: u64, days: u32) -> u32 {
    let steps = STEPS_A_DAY * u64::from(days.max(1));
    u32::try_from(instances.div_ceil(steps).clamp(1, MAX_STRETCH)).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours)
    }

    #[test]
    fn a_round_ends_within_its_days() {
        for (instances, days) in [(0, 7), (1, 7), (100_000, 7), (2_000_000, 1)] {
            let steps = instances / u64::from(stretch(instances, days));
            assert!(steps <= STEPS_A_DAY * u64::from(days), "{instances} in {days} days");
        }
    }

    #[test]
    fn a_round_goes_on_where_it_stopped_and_the_next_waits_its_time() {
        assert_eq!(due(None, 7, at(5)), Some(Round::new(at(5))));
        let half = Round { after: Some(Uid::parse("1.2").unwrap()), ..Round::new(at(5)) };
        assert_eq!(due(Some(half.clone()), 7, at(500)), Some(half.clone()));
        let done = Round { done: true, after: None, ..half };
        assert_eq!(due(Some(done.clone()), 7, at(5 + 7 * 24 - 1)), None);
        assert_eq!(due(Some(done.clone()), 7, at(5 + 7 * 24)), Some(Round::new(at(5 + 7 * 24))));
        assert_eq!(due(Some(done), 7, at(1)), Some(Round::new(at(1))), "the clock was set back");
    }
}
