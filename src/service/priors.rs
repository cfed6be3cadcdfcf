//! Fetches what plans and protocols ask for by `priors:`. What came of it is in a note of the archive
//! for each course, so that a restart goes on where the last run stopped; what could not be had stands
//! among what waits, and is tried again with growing waits.

use super::{Service, until_shutdown};
use crate::archive::{Archive, ArchiveError};
use crate::config::{Plan, Priors};
use crate::dicom::{PatientIdentity, Uid};
use crate::intake::{Waiting, Why};
use crate::node::fetch::{FetchError, Fetched, Wanted, fetch};
use crate::node::{LocalAe, backoff, blocking};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Between looks at what is wanted.
const POLL: Duration = Duration::from_secs(2);
/// Until the peer is asked again after all has come, while the window is open.
const AGAIN: SignedDuration = SignedDuration::from_hours(1);

/// What one course wants.
#[derive(Debug, Clone, PartialEq)]
pub struct PriorsWanted {
    pub course: String,
    pub patient: PatientIdentity,
    pub priors: Priors,
    /// First and last Study Date (0008,0020), in the zone of the site.
    dates: (Date, Date),
}

impl PriorsWanted {
    /// Of a plan that asks for priors. A course without a cycle yet counts from today.
    pub(super) fn of(plan: &Plan, zone: &TimeZone, now: Timestamp) -> Option<Self> {
        let priors = plan.priors.clone()?;
        let day = |at: Option<Timestamp>| at.unwrap_or(now).to_zoned_datetime(zone.clone()).date();
        let first = day(plan.cycles.first().map(|cycle| cycle.administered.at));
        let last = day(plan.cycles.last().map(|cycle| cycle.administered.at));
        let before = first.checked_sub(i64::from(priors.days_before).days()).unwrap_or(Date::MIN);
        let after = last.checked_add(i64::from(priors.days_after).days()).unwrap_or(Date::MAX);
        Some(Self {
            course: plan.course_id(),
            patient: PatientIdentity {
                id: plan.patient.id.clone(),
                issuer: plan.patient.issuer.clone(),
                ..PatientIdentity::default()
            },
            priors,
            dates: (before, after),
        })
    }

    /// Another question has another one.
    fn digest(&self) -> String {
        let Priors { from, modalities, .. } = &self.priors;
        let retrieve = format!("{:?} {:?}", self.priors.retrieve, self.dates);
        let mut parts = vec![from.as_str(), &retrieve, &self.patient.id, &self.patient.issuer];
        parts.extend(modalities.iter().map(String::as_str));
        Uid::derived(&parts).to_string()
    }

    fn note(&self) -> String {
        format!("priors/{}", self.course)
    }

    fn waiting(&self, state: &State) -> Option<Waiting> {
        // What failed is always tried again.
        let (reason, next) = state.failure.clone().zip(state.next)?;
        Some(Waiting {
            series: None,
            study: None,
            course: Some(self.course.clone()),
            cycle: None,
            modality: self.priors.modalities.join("/"),
            description: format!("priors from {}", self.priors.from),
            patient_id: self.patient.id.clone(),
            instances: state.lacking,
            why: Why::PriorsMissing,
            reason,
            supply: format!(
                "it is tried again at {next:.0}; correct the peer or the plan meanwhile: a change of \
                 the plan's `priors` asks at once"
            ),
        })
    }
}

/// What has come of it so far; the note.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct State {
    digest: String,
    attempts: u32,
    /// When the peer is asked (again); never, once all is here and the window is closed.
    next: Option<Timestamp>,
    failure: Option<String>,
    lacking: usize,
}

impl State {
    /// As noted, or anew where another question is asked than then.
    fn read(archive: &dyn Archive, wanted: &PriorsWanted) -> Result<Self, ArchiveError> {
        let noted = archive.note(&wanted.note())?;
        let noted = noted.and_then(|text| serde_json::from_str::<Self>(&text).ok());
        let digest = wanted.digest();
        Ok(noted.filter(|state| state.digest == digest).unwrap_or(Self {
            digest,
            next: Some(Timestamp::UNIX_EPOCH),
            ..Self::default()
        }))
    }

    fn is_due(&self, now: Timestamp) -> bool {
        self.next.is_some_and(|next| next <= now)
    }

    /// After an attempt. `open`: the peer may still come to have more.
    fn after(
        self,
        outcome: &Result<Fetched, FetchError>,
        open: bool,
        retry_s: u32,
        now: Timestamp,
    ) -> Self {
        let later = now.checked_add(AGAIN).unwrap_or(Timestamp::MAX);
        match outcome {
            Ok(fetched) if fetched.came == fetched.lacking => {
                Self { digest: self.digest, next: open.then_some(later), ..Self::default() }
            }
            Ok(Fetched { lacking, came, .. }) => Self {
                failure: Some(format!("{} of {lacking} instances did not come", lacking - came)),
                lacking: lacking - came,
                next: Some(backoff::at(retry_s, self.attempts, 0)),
                attempts: self.attempts + 1,
                ..self
            },
            Err(error) => Self {
                failure: Some(error.to_string()),
                next: Some(backoff::at(retry_s, self.attempts, 0)),
                attempts: self.attempts + 1,
                ..self
            },
        }
    }
}

/// Runs until `shutdown`.
pub(super) async fn run(
    service: Arc<Service>,
    local: Arc<LocalAe>,
    shutdown: watch::Receiver<bool>,
) {
    loop {
        let round = async {
            if let Err(error) = look(&service, &local).await {
                tracing::error!(%error, "priors could not be looked after; tried again");
            }
            tokio::time::sleep(POLL).await;
        };
        tokio::select! {
            () = until_shutdown(shutdown.clone()) => return,
            () = round => {}
        }
    }
}

/// One course after the other: priors are in no hurry, and no PACS likes a crowd.
async fn look(service: &Arc<Service>, local: &LocalAe) -> Result<(), ArchiveError> {
    let mut waiting = Vec::new();
    for wanted in service.board.get().priors {
        let owned = wanted.clone();
        let state = blocking(&service.archive, move |archive| State::read(archive, &owned)).await?;
        let state = match state.is_due(Timestamp::now()) {
            true => attempt(service, local, &wanted, state).await?,
            false => state,
        };
        waiting.extend(wanted.waiting(&state));
    }
    service.board.set_priors(waiting);
    Ok(())
}

async fn attempt(
    service: &Arc<Service>,
    local: &LocalAe,
    wanted: &PriorsWanted,
    state: State,
) -> Result<State, ArchiveError> {
    let config = &service.loaded.config;
    let outcome = match config.peers.iter().find(|peer| peer.name == wanted.priors.from) {
        Some(peer) => {
            let asked = Wanted {
                patient: wanted.patient.clone(),
                modalities: wanted.priors.modalities.clone(),
                dates: wanted.dates,
                retrieve: wanted.priors.retrieve,
            };
            fetch(&service.archive, peer, local, &asked).await
        }
        None => Err(FetchError::UnknownPeer(wanted.priors.from.clone())),
    };
    match &outcome {
        Ok(Fetched { found, lacking, came }) => {
            tracing::info!(course = wanted.course, found, lacking, came, "priors looked for");
        }
        Err(error) => tracing::warn!(course = wanted.course, %error, "priors not fetched"),
    }
    if outcome.as_ref().map_or(true, |fetched| fetched.came > 0) {
        service.something_came();
    }
    let now = Timestamp::now();
    let today = now.to_zoned_datetime(config.site.zone()).date();
    let state = state.after(&outcome, today <= wanted.dates.1, local.limits.retry_s, now);
    let text = serde_json::to_string(&state).map_err(|error| ArchiveError::Index {
        step: "note of priors",
        message: error.to_string(),
    })?;
    let note = wanted.note();
    blocking(&service.archive, move |archive| archive.put_note(&note, &text)).await?;
    Ok(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_lies_around_the_administrations_in_the_zone_of_the_site() {
        let text = "patient: { id: P-1 }\nprotocol: multi-time-point\n\
            radiopharmaceutical: 177Lu-DOTATATE\ncycles:\n\
            - { number: 1, administered: { activity_mbq: 1, at: 2026-03-01T23:30:00Z } }\n\
            - { number: 2, administered: { activity_mbq: 1, at: 2026-05-01T12:00:00Z } }\n\
            priors: { from: pacs, modalities: [CT], days_before: 1, days_after: 2 }\n";
        let protocols = crate::config::Protocols::load(None).unwrap();
        let plan = Plan::read("p.yaml", text, &protocols).unwrap();
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let wanted = PriorsWanted::of(&plan, &zone, Timestamp::UNIX_EPOCH).unwrap();
        let day = |month, day| jiff::civil::date(2026, month, day);
        assert_eq!(wanted.dates, (day(3, 1), day(5, 3)), "23:30 UTC is the next day in Berlin");
        let other = text.replace("[CT]", "[NM]");
        let other = Plan::read("p.yaml", &other, &protocols).unwrap();
        let other = PriorsWanted::of(&other, &zone, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(other.course, wanted.course);
        assert_ne!(other.digest(), wanted.digest(), "another question is asked anew");
        let missing = State { failure: Some("why".into()), lacking: 3, ..state() };
        let waiting = wanted.waiting(&missing).unwrap();
        assert_eq!((waiting.why, waiting.instances), (Why::PriorsMissing, 3));
        let supply = waiting.supply;
        assert!(supply.contains("again at 1970-01-01") && supply.contains("correct"), "{supply}");
        assert_eq!(wanted.waiting(&state()), None);
    }

    fn state() -> State {
        State { digest: "1".into(), next: Some(Timestamp::UNIX_EPOCH), ..State::default() }
    }

    #[test]
    fn what_all_came_is_asked_for_again_only_while_the_window_is_open() {
        let now = Timestamp::now();
        let all = Ok(Fetched { found: 3, lacking: 2, came: 2 });
        let done = state().after(&all, false, 10, now);
        assert_eq!((done.next, done.failure.clone()), (None, None));
        assert!(!done.is_due(now + SignedDuration::from_hours(1000)));
        let open = state().after(&all, true, 10, now);
        assert!(!open.is_due(now) && open.is_due(now + AGAIN));
    }

    #[test]
    fn what_failed_waits_longer_each_time_and_says_why() {
        let now = Timestamp::now();
        let part = Ok(Fetched { found: 3, lacking: 3, came: 1 });
        let first = state().after(&part, false, 10, now);
        assert_eq!(first.failure.as_deref(), Some("2 of 3 instances did not come"));
        assert_eq!((first.lacking, first.attempts), (2, 1));
        let wait = |state: &State| state.next.unwrap().duration_since(now).as_secs();
        assert!((10..=13).contains(&wait(&first)), "{first:?}");
        let second = first.after(&Err(FetchError::WrongPatient), false, 10, now);
        assert!((20..=25).contains(&wait(&second)), "{second:?}");
        assert!(second.failure.unwrap().contains("another"));
    }
}
