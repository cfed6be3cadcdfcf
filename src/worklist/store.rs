//! Steps over notes of the archive: one note lists them by place, and one note a place holds a step. A
//! place is used again once its step has ended, so that the notes are bounded as the steps are.

use super::refusal::{self, Refusal};
use super::state::State;
use super::{LT_MAX, OURSELVES, Step, WorklistError, creation, cut, items, put, put_items, text};
use crate::archive::{Archive, ArchiveError, AuditEvent};
use crate::dicom::Uid;
use crate::dicom::write::Code;
use dicom_core::VR;
use dicom_core::header::Header;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use jiff::Timestamp;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Steps that are kept, ended ones included.
const MAX_STEPS: usize = 1_000;
/// Longest step that N-CREATE or N-SET may make, bytes as it is kept.
const MAX_GIVEN_BYTES: usize = 64 * 1024;
/// Longest step at all: who may be full of a peer's words can still be ended.
const MAX_STEP_BYTES: usize = 2 * MAX_GIVEN_BYTES;

const LIST: &str = "worklist";

/// Reading, judging and writing is one act. A process has one archive, which one process owns.
static ACT: Mutex<()> = Mutex::new(());

/// CID 9301: why a step is called off, where nobody says it.
const UNSPECIFIED: Code = Code::new("110513", "DCM", "Discontinued for unspecified reason");

/// All steps of an archive. Its methods block.
#[derive(Clone, Copy)]
pub struct Worklist<'a> {
    pub(super) archive: &'a dyn Archive,
    pub(super) limit: usize,
}

/// A place of the list. Written after the step itself: one that has ended may still stand here as open,
/// never the other way round.
#[derive(serde::Serialize, serde::Deserialize)]
struct Entry {
    uid: Uid,
    ended: bool,
}

/// A step as its note has it.
#[derive(serde::Serialize, serde::Deserialize)]
struct Note {
    uid: Uid,
    state: State,
    transaction: Option<Uid>,
    performer: Option<String>,
    changed: Timestamp,
    /// In the DICOM JSON model.
    data: serde_json::Value,
}

fn place_of(index: usize) -> String {
    format!("{LIST}/{index}")
}

fn not_understood(error: serde_json::Error) -> ArchiveError {
    ArchiveError::Index { step: "read or write a step of the worklist", message: error.to_string() }
}

fn act() -> MutexGuard<'static, ()> {
    // What is kept is in the archive, so that a panic leaves nothing half done here.
    ACT.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> Worklist<'a> {
    pub fn of(archive: &'a dyn Archive) -> Self {
        Self { archive, limit: MAX_STEPS }
    }

    /// All steps, in no particular order.
    pub fn steps(&self) -> Result<Vec<Step>, WorklistError> {
        self.listed(|_| true)
    }

    /// Those that have not ended: what has to be looked at again and again.
    pub fn open_steps(&self) -> Result<Vec<Step>, WorklistError> {
        let mut open = self.listed(|entry| !entry.ended)?;
        open.retain(|step| !step.state.is_final());
        Ok(open)
    }

    fn listed(&self, wanted: impl Fn(&Entry) -> bool) -> Result<Vec<Step>, WorklistError> {
        let mut steps = Vec::new();
        for (place, entry) in self.list()?.iter().enumerate().filter(|(_, entry)| wanted(entry)) {
            // A place whose note is of another step was cut off while it changed hands.
            steps.extend(self.read(place)?.filter(|step| step.uid == entry.uid));
        }
        Ok(steps)
    }

    pub fn step(&self, uid: &Uid) -> Result<Step, WorklistError> {
        Ok(self.find(uid)?.1)
    }

    /// N-CREATE.
    pub fn create(
        &self,
        uid: Uid,
        data: InMemDicomObject,
        by: &str,
        now: Timestamp,
    ) -> Result<(), WorklistError> {
        let _act = act();
        let mut list = self.list()?;
        if list.iter().any(|entry| entry.uid == uid) {
            return Err(refusal::DUPLICATE.into());
        }
        let step = creation::create(uid.clone(), data, now)?;
        if is_too_much(&step) {
            return Err(refusal::FULL.into());
        }
        let place = match list.len() {
            count if count < self.limit => count,
            _ => self.longest_ended(&list)?.ok_or(refusal::FULL)?,
        };
        self.write(place, &step)?;
        let entry = Entry { uid, ended: false };
        match list.get_mut(place) {
            Some(taken) => *taken = entry,
            None => list.push(entry),
        }
        self.put_list(&list)?;
        self.audit("workitem-scheduled", &step.uid, by, step.state)
    }

    /// N-SET: elements take the place of those of the same tag.
    pub fn set(
        &self,
        uid: &Uid,
        changes: InMemDicomObject,
        by: &str,
        now: Timestamp,
    ) -> Result<(), WorklistError> {
        const FIXED: [dicom_core::Tag; 3] =
            [tags::PROCEDURE_STEP_STATE, tags::SOP_CLASS_UID, tags::SOP_INSTANCE_UID];
        let transaction = given_transaction(&changes);
        self.change(uid, "workitem-updated", by, |step| {
            step.state.set(transaction.is_some() && step.transaction == transaction)?;
            if FIXED.iter().any(|tag| changes.get(*tag).is_some()) {
                return Err(refusal::INVALID_VALUE);
            }
            for element in creation::in_utf_8(&changes) {
                if element.tag() != tags::TRANSACTION_UID {
                    step.data.put(element);
                }
            }
            step.enter(step.state, now);
            if is_too_much(step) { Err(refusal::FULL) } else { Ok(()) }
        })
    }

    /// N-ACTION "Change UPS State".
    pub fn change_state(
        &self,
        uid: &Uid,
        asked: &InMemDicomObject,
        by: &str,
        now: Timestamp,
    ) -> Result<(), WorklistError> {
        let to = text(asked, tags::PROCEDURE_STEP_STATE).ok_or(refusal::MISSING);
        let to = to.and_then(|to| State::parse(&to).ok_or(refusal::INVALID_VALUE));
        let transaction = given_transaction(asked);
        self.change(uid, "workitem-changed", by, |step| {
            let to = to?;
            let is_right = transaction.is_some()
                && (step.transaction == transaction || step.state == State::Scheduled);
            step.state.change(to, is_right)?;
            if !creation::is_ready_for(step, to) {
                return Err(refusal::NOT_FINAL);
            }
            match to {
                State::InProgress => {
                    step.transaction = transaction;
                    step.performer = Some(by.to_owned());
                }
                State::Canceled => creation::note_cancellation(step, now),
                State::Scheduled | State::Completed => {}
            }
            step.enter(to, now);
            Ok(())
        })
    }

    /// N-ACTION "Request UPS Cancel". Nobody but ourselves can be told to stop: others would have to
    /// be sent an event.
    pub fn call_off(
        &self,
        uid: &Uid,
        asked: &InMemDicomObject,
        by: &str,
        now: Timestamp,
    ) -> Result<(), WorklistError> {
        let asked = creation::in_utf_8(asked);
        self.change(uid, "workitem-canceled", by, |step| {
            step.state.call_off(step.is_ours())?;
            let why = text(&asked, tags::REASON_FOR_CANCELLATION);
            cancel(step, why.as_deref(), now);
            let code = tags::PROCEDURE_STEP_DISCONTINUATION_REASON_CODE_SEQUENCE;
            if let [given, ..] = items(&asked, code) {
                let mut progress = step.progress();
                put_items(&mut progress, code, vec![given.clone()]);
                step.put_progress(progress);
            }
            Ok(())
        })
    }

    /// We take a step ourselves.
    pub fn take(&self, uid: &Uid, now: Timestamp) -> Result<(), WorklistError> {
        self.change(uid, "workitem-changed", OURSELVES, |step| {
            step.state.change(State::InProgress, true)?;
            step.transaction = Some(Uid::derived(&["transaction", uid.as_str(), &now.to_string()]));
            step.performer = Some(OURSELVES.to_owned());
            step.enter(State::InProgress, now);
            Ok(())
        })
    }

    /// We change a step that we have in hand, without a line of the trail for each bit of progress.
    pub fn tell(
        &self,
        uid: &Uid,
        now: Timestamp,
        change: impl FnOnce(&mut Step),
    ) -> Result<(), WorklistError> {
        let _act = act();
        let (place, mut step) = self.find(uid)?;
        step.state.set(step.is_ours())?;
        change(&mut step);
        step.enter(step.state, now);
        self.write(place, &step)
    }

    /// We end a step that we have in hand; without a result for the reason given.
    pub fn end(
        &self,
        uid: &Uid,
        now: Timestamp,
        result: Result<InMemDicomObject, &str>,
    ) -> Result<(), WorklistError> {
        self.change(uid, "workitem-changed", OURSELVES, |step| {
            step.state.set(step.is_ours())?;
            match result {
                Err(why) => cancel(step, Some(why), now),
                Ok(performed) => {
                    let tag = tags::UNIFIED_PROCEDURE_STEP_PERFORMED_PROCEDURE_SEQUENCE;
                    put_items(&mut step.data, tag, vec![performed]);
                    step.tell_progress(100.0, "done");
                    step.enter(State::Completed, now);
                }
            }
            Ok(())
        })
    }

    fn change(
        &self,
        uid: &Uid,
        event: &str,
        by: &str,
        change: impl FnOnce(&mut Step) -> Result<(), Refusal>,
    ) -> Result<(), WorklistError> {
        let _act = act();
        let (place, mut step) = self.find(uid)?;
        change(&mut step)?;
        self.write(place, &step)?;
        if step.state.is_final() {
            let mut list = self.list()?;
            list[place].ended = true;
            self.put_list(&list)?;
        }
        self.audit(event, uid, by, step.state)
    }

    fn find(&self, uid: &Uid) -> Result<(usize, Step), WorklistError> {
        let place = self.list()?.iter().position(|entry| entry.uid == *uid);
        let place = place.ok_or(refusal::UNKNOWN)?;
        let step = self.read(place)?.filter(|step| step.uid == *uid);
        Ok((place, step.ok_or(refusal::UNKNOWN)?))
    }

    /// The place of the step that ended first. A place whose note is of another step than the list says
    /// was cut off while it changed hands: nobody was told that this step is there.
    fn longest_ended(&self, list: &[Entry]) -> Result<Option<usize>, WorklistError> {
        let mut ended: Option<(Timestamp, usize)> = None;
        for (place, entry) in list.iter().enumerate() {
            match self.read(place)?.filter(|step| step.uid == entry.uid) {
                Some(step) if !step.state.is_final() => {}
                step => {
                    let at = step.map_or(Timestamp::MIN, |step| step.changed);
                    ended = Some(ended.map_or((at, place), |known| known.min((at, place))));
                }
            }
        }
        Ok(ended.map(|(_, place)| place))
    }

    fn put_list(&self, list: &[Entry]) -> Result<(), WorklistError> {
        let text = serde_json::to_string(list).map_err(not_understood)?;
        Ok(self.archive.put_note(LIST, &text)?)
    }

    fn list(&self) -> Result<Vec<Entry>, WorklistError> {
        let text = self.archive.note(LIST)?;
        let list = text.map(|text| serde_json::from_str(&text).map_err(not_understood));
        Ok(list.transpose()?.unwrap_or_default())
    }

    fn read(&self, place: usize) -> Result<Option<Step>, WorklistError> {
        let Some(text) = self.archive.note(&place_of(place))? else { return Ok(None) };
        let note: Note = serde_json::from_str(&text).map_err(not_understood)?;
        let data = dicom_json::from_value(note.data).map_err(not_understood)?;
        let Note { uid, state, transaction, performer, changed, .. } = note;
        Ok(Some(Step { uid, state, transaction, performer, changed, data }))
    }

    fn write(&self, place: usize, step: &Step) -> Result<(), WorklistError> {
        let text = written(step).map_err(not_understood)?;
        if text.len() > MAX_STEP_BYTES {
            return Err(refusal::FULL.into());
        }
        Ok(self.archive.put_note(&place_of(place), &text)?)
    }

    fn audit(&self, event: &str, uid: &Uid, by: &str, state: State) -> Result<(), WorklistError> {
        Ok(self.archive.audit(AuditEvent {
            at: Timestamp::now(),
            event: event.to_owned(),
            actor: by.to_owned(),
            object: Some(uid.to_string()),
            outcome: state.as_str().to_owned(),
        })?)
    }
}

/// The note of a step.
fn written(step: &Step) -> serde_json::Result<String> {
    let data = dicom_json::to_value(&step.data)?;
    let Step { uid, state, transaction, performer, changed, .. } = step.clone();
    serde_json::to_string(&Note { uid, state, transaction, performer, changed, data })
}

/// More than a peer may say. What cannot be written at all is told of where it is.
fn is_too_much(step: &Step) -> bool {
    written(step).is_ok_and(|text| text.len() > MAX_GIVEN_BYTES)
}

fn given_transaction(object: &InMemDicomObject) -> Option<Uid> {
    text(object, tags::TRANSACTION_UID).and_then(|text| Uid::parse(&text).ok())
}

fn cancel(step: &mut Step, why: Option<&str>, now: Timestamp) {
    let mut progress = step.progress();
    if let Some(why) = why {
        put(&mut progress, tags::REASON_FOR_CANCELLATION, VR::LT, &cut(why, LT_MAX));
    }
    let code = tags::PROCEDURE_STEP_DISCONTINUATION_REASON_CODE_SEQUENCE;
    put_items(&mut progress, code, vec![UNSPECIFIED.item().into_inner()]);
    step.put_progress(progress);
    creation::note_cancellation(step, now);
    step.enter(State::Canceled, now);
}
