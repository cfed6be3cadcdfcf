//! What a new step has to say (PS3.4 table CC.2.5-3, column N-CREATE), and what a final state asks for.

use super::refusal::{self, Refusal};
use super::state::State;
use super::{Step, date_time, items, put, put_items, text};
use crate::dicom::{Uid, to_utf_8};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use jiff::Timestamp;

/// Worklist Label of a step that comes without.
const LABEL: &str = "DOSIMETRY";

/// Attributes of type 1 whose absence has no default.
const NEEDED: [Tag; 4] = [
    tags::SCHEDULED_PROCEDURE_STEP_PRIORITY,
    tags::PROCEDURE_STEP_LABEL,
    tags::SCHEDULED_PROCEDURE_STEP_START_DATE_TIME,
    tags::INPUT_READINESS_STATE,
];

const PRIORITIES: [&str; 3] = ["HIGH", "MEDIUM", "LOW"];
const READINESS: [&str; 3] = ["INCOMPLETE", "UNAVAILABLE", "READY"];

/// Sequences that only a performer fills.
const OF_THE_PERFORMER: [Tag; 2] = [
    tags::PROCEDURE_STEP_PROGRESS_INFORMATION_SEQUENCE,
    tags::UNIFIED_PROCEDURE_STEP_PERFORMED_PROCEDURE_SEQUENCE,
];

pub(super) fn create(
    uid: Uid,
    mut data: InMemDicomObject,
    now: Timestamp,
) -> Result<Step, Refusal> {
    let state = text(&data, tags::PROCEDURE_STEP_STATE).ok_or(refusal::MISSING)?;
    if State::parse(&state) != Some(State::Scheduled) {
        return Err(refusal::NOT_SCHEDULED);
    }
    if NEEDED.iter().any(|tag| text(&data, *tag).is_none()) {
        return Err(refusal::MISSING);
    }
    let is_one_of =
        |tag, known: &[&str]| text(&data, tag).is_some_and(|text| known.contains(&text.trim()));
    if !is_one_of(tags::SCHEDULED_PROCEDURE_STEP_PRIORITY, &PRIORITIES)
        || !is_one_of(tags::INPUT_READINESS_STATE, &READINESS)
        || text(&data, tags::TRANSACTION_UID).is_some()
        || OF_THE_PERFORMER.iter().any(|tag| !items(&data, *tag).is_empty())
    {
        return Err(refusal::INVALID_VALUE);
    }
    data = in_utf_8(&data);
    data.remove_element(tags::TRANSACTION_UID);
    put(&mut data, tags::SOP_CLASS_UID, VR::UI, uids::UNIFIED_PROCEDURE_STEP_PUSH);
    put(&mut data, tags::SOP_INSTANCE_UID, VR::UI, uid.as_str());
    if text(&data, tags::WORKLIST_LABEL).is_none() {
        put(&mut data, tags::WORKLIST_LABEL, VR::LO, LABEL);
    }
    for tag in OF_THE_PERFORMER {
        put_items(&mut data, tag, Vec::new());
    }
    let mut step = Step {
        uid,
        state: State::Scheduled,
        transaction: None,
        performer: None,
        changed: now,
        data,
    };
    step.enter(State::Scheduled, now);
    Ok(step)
}

/// The same with all text as UTF-8, whatever character sets it came in.
pub(super) fn in_utf_8(object: &InMemDicomObject) -> InMemDicomObject {
    let mut known = object.clone();
    to_utf_8(&mut known);
    put(&mut known, tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192");
    known
}

/// Whether a step says what its final state has to be accompanied by.
pub(super) fn is_ready_for(step: &Step, state: State) -> bool {
    match state {
        State::Completed => {
            let tag = tags::UNIFIED_PROCEDURE_STEP_PERFORMED_PROCEDURE_SEQUENCE;
            items(&step.data, tag).first().is_some_and(|performed| {
                text(performed, tags::PERFORMED_PROCEDURE_STEP_START_DATE_TIME).is_some()
                    && text(performed, tags::PERFORMED_PROCEDURE_STEP_END_DATE_TIME).is_some()
                    && !items(performed, tags::PERFORMED_WORKITEM_CODE_SEQUENCE).is_empty()
                    && performed.get(tags::OUTPUT_INFORMATION_SEQUENCE).is_some()
            })
        }
        State::Canceled => {
            let tag = tags::PROCEDURE_STEP_DISCONTINUATION_REASON_CODE_SEQUENCE;
            !items(&step.progress(), tag).is_empty()
        }
        State::Scheduled | State::InProgress => true,
    }
}

/// The moment at which a step was called off, where its performer did not say it.
pub(super) fn note_cancellation(step: &mut Step, now: Timestamp) {
    let mut progress = step.progress();
    if text(&progress, tags::PROCEDURE_STEP_CANCELLATION_DATE_TIME).is_none() {
        put(&mut progress, tags::PROCEDURE_STEP_CANCELLATION_DATE_TIME, VR::DT, &date_time(now));
        step.put_progress(progress);
    }
}
