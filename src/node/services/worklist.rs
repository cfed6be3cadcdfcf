//! Unified Procedure Steps as SCP (PS3.4 annex CC): Push, Pull and Query. Watching is not offered, so
//! that no event is ever reported.
//!
//! The messages name UPS Push as their class whatever the class of their context (section CC.3.1), so
//! that only the context decides which of them are served.

use crate::archive::Archive;
use crate::archive::query::Matching;
use crate::dicom::{Uid, header};
use crate::node::association::Transport;
use crate::node::command::{Command, field, status};
use crate::node::identifier;
use crate::node::storage::{Ending, Session};
use crate::worklist::{Step, Worklist, WorklistError};
use dicom_core::header::Header;
use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;
use dicom_ul::pdu::PDataValueType;
use jiff::Timestamp;
use tokio::task::spawn_blocking;

/// Action Type IDs.
const CHANGE_STATE: u16 = 1;
const REQUEST_CANCEL: u16 = 2;

/// A request that concerns one step.
struct Request {
    operation: u16,
    action: Option<u16>,
    step: Uid,
    /// Of N-GET.
    wanted: Vec<Tag>,
    data: InMemDicomObject,
    by: String,
}

impl<S: Transport> Session<S> {
    pub(super) async fn worklist(
        &mut self,
        context: u8,
        command: &Command,
        data_set: &[u8],
        syntax: &Uid,
    ) -> Result<(), Ending> {
        let data = match command.has_data_set {
            true => identifier::data_set(data_set, syntax),
            false => Ok(InMemDicomObject::new_empty()),
        };
        let data = match data {
            Ok(data) => data,
            Err(error) => {
                let comment = Some(error.comment.to_owned());
                return self.answer(context, command, error.status, comment).await;
            }
        };
        if command.field == field::C_FIND_RQ {
            return self.find_steps(context, command, &data, syntax).await;
        }
        let Some(step) = command.sop_instance.clone() else {
            let comment = Some("the UID of the step is missing".to_owned());
            return self.answer(context, command, status::INVALID_SOP_INSTANCE, comment).await;
        };
        if command.field == field::N_ACTION_RQ && !self.may_act(context, command.type_id) {
            let comment = Some("no such action in this context".to_owned());
            return self.answer(context, command, status::NO_SUCH_ACTION, comment).await;
        }
        let request = Request {
            operation: command.field,
            action: command.type_id,
            step,
            wanted: command.attributes.clone(),
            data,
            by: self.calling.clone(),
        };
        let archive = self.archive.clone();
        let done = spawn_blocking(move || request.follow(&*archive)).await;
        let answer = match done {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                if let WorklistError::Archive(error) = &error {
                    tracing::error!(%error, "the worklist cannot be kept");
                }
                let comment = Some(error.to_string());
                return self.answer(context, command, error.dimse_status(), comment).await;
            }
            Err(error) => {
                tracing::error!(%error, "the worklist's task panicked");
                return self.answer(context, command, status::PROCESSING_FAILURE, None).await;
            }
        };
        let has_data_set = answer.is_some();
        let response = Command { has_data_set, ..command.response(status::SUCCESS, None) };
        self.association.send(context, PDataValueType::Command, &response.encode()).await?;
        if let Some(answer) = answer {
            let data = identifier::encode(&answer, syntax);
            self.association.send(context, PDataValueType::Data, &data).await?;
        }
        Ok(())
    }

    /// Who pulls changes states, who pushes asks for cancellation.
    fn may_act(&self, context: u8, action: Option<u16>) -> bool {
        let class = self.abstract_syntax(context);
        match action {
            Some(CHANGE_STATE) => class == uids::UNIFIED_PROCEDURE_STEP_PULL,
            Some(REQUEST_CANCEL) => class == uids::UNIFIED_PROCEDURE_STEP_PUSH,
            _ => false,
        }
    }

    async fn find_steps(
        &mut self,
        context: u8,
        command: &Command,
        keys: &InMemDicomObject,
        syntax: &Uid,
    ) -> Result<(), Ending> {
        let archive = self.archive.clone();
        let steps = spawn_blocking(move || Worklist::of(&*archive).steps()).await;
        let found = match steps {
            Ok(Ok(steps)) => matching(keys, steps),
            Ok(Err(error)) => {
                let comment = Some(error.to_string());
                return self.answer(context, command, status::OUT_OF_RESOURCES, comment).await;
            }
            Err(_) => return self.answer(context, command, status::PROCESSING_FAILURE, None).await,
        };
        let found = match found {
            Ok(found) => found,
            Err(comment) => {
                let comment = Some(comment.to_owned());
                return self.answer(context, command, status::IDENTIFIER_MISMATCH, comment).await;
            }
        };
        let answers = found.iter().map(|found| identifier::encode(found, syntax));
        let count = found.len();
        let sent = self.send_matches(context, command, status::PENDING, answers).await;
        let status = if matches!(sent, Ok(true)) { status::SUCCESS } else { status::CANCELLED };
        self.note("query", format!("worklist, {count} matches, status {status:04X}")).await;
        sent?;
        self.answer(context, command, status, None).await
    }
}

impl Request {
    /// Blocks.
    fn follow(self, archive: &dyn Archive) -> Result<Option<InMemDicomObject>, WorklistError> {
        let (worklist, now) = (Worklist::of(archive), Timestamp::now());
        let Self { step, data, by, .. } = self;
        match (self.operation, self.action) {
            (field::N_CREATE_RQ, _) => worklist.create(step, data, &by, now)?,
            (field::N_SET_RQ, _) => worklist.set(&step, data, &by, now)?,
            (field::N_ACTION_RQ, Some(CHANGE_STATE)) => {
                worklist.change_state(&step, &data, &by, now)?;
            }
            (field::N_ACTION_RQ, _) => worklist.call_off(&step, &data, &by, now)?,
            _ => return Ok(Some(wanted(&worklist.step(&step)?, &self.wanted))),
        }
        Ok(None)
    }
}

/// What N-GET asks for; nothing asked is everything.
fn wanted(step: &Step, tags: &[Tag]) -> InMemDicomObject {
    let is_wanted =
        |tag: Tag| tags.is_empty() || tags.contains(&tag) || tag == tags::SPECIFIC_CHARACTER_SET;
    let elements = step.data.iter().filter(|element| is_wanted(element.tag()));
    InMemDicomObject::from_element_iter(elements.cloned())
}

/// The keys, filled from each step that matches them all, in the order of UIDs.
fn matching(
    keys: &InMemDicomObject,
    mut steps: Vec<Step>,
) -> Result<Vec<InMemDicomObject>, &'static str> {
    check(keys)?;
    steps.sort_by(|a, b| a.uid.as_str().cmp(b.uid.as_str()));
    let mut found = Vec::new();
    for step in steps {
        if fits(keys, &step.data) {
            let mut answer = filled(keys, &step.data);
            for tag in [tags::SOP_CLASS_UID, tags::SOP_INSTANCE_UID, tags::SPECIFIC_CHARACTER_SET] {
                if let Some(element) = step.data.get(tag) {
                    answer.put(element.clone());
                }
            }
            found.push(answer);
        }
    }
    Ok(found)
}

/// What the text of a key asks for; `None` where it matches everything.
fn asked(keys: &InMemDicomObject, key: &InMemElement) -> Result<Option<Matching>, &'static str> {
    let text = header::text(keys, key.tag()).filter(|_| key.tag() != tags::SPECIFIC_CHARACTER_SET);
    Matching::read(key.vr(), &text.unwrap_or_default())
}

/// That every key can be read, in sequences as well, whatever there is to be matched.
fn check(keys: &InMemDicomObject) -> Result<(), &'static str> {
    keys.iter().try_for_each(|key| match key.items() {
        Some(items) => items.iter().try_for_each(check),
        None => asked(keys, key).map(|_| ()),
    })
}

/// Whether all keys match, which have been checked; a sequence matches by any of its items (PS3.4
/// section C.2.2.2.6).
fn fits(keys: &InMemDicomObject, object: &InMemDicomObject) -> bool {
    keys.iter().all(|key| match key.items() {
        Some([wanted, ..]) => {
            let there = object.get(key.tag()).and_then(|e| e.items()).unwrap_or_default();
            is_universal(wanted) || there.iter().any(|item| fits(wanted, item))
        }
        Some([]) => true,
        None => {
            let value = header::text(object, key.tag());
            asked(keys, key).is_ok_and(|it| it.is_none_or(|it| it.fits(value.as_deref())))
        }
    })
}

/// No key in it asks for anything.
fn is_universal(keys: &InMemDicomObject) -> bool {
    keys.iter().all(|key| match key.items() {
        Some(items) => items.iter().all(is_universal),
        None => header::text(keys, key.tag()).is_none(),
    })
}

/// Every key with its value; a sequence comes back as it is.
fn filled(keys: &InMemDicomObject, object: &InMemDicomObject) -> InMemDicomObject {
    let value = |key: &InMemElement| match object.get(key.tag()) {
        Some(element) => element.clone(),
        None if key.vr() == VR::SQ => DataElement::new(key.tag(), VR::SQ, DataSetSequence::empty()),
        None => DataElement::empty(key.tag(), key.vr()),
    };
    InMemDicomObject::from_element_iter(keys.iter().map(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use dicom_core::PrimitiveValue;

    fn object(tag: Tag, vr: VR, text: &str) -> InMemDicomObject {
        let element = DataElement::new(tag, vr, PrimitiveValue::from(text));
        InMemDicomObject::from_element_iter([element])
    }

    #[test]
    fn a_key_that_cannot_be_read_is_refused_wherever_it_stands_and_whatever_is_there() {
        let start = tags::SCHEDULED_PROCEDURE_STEP_START_DATE_TIME;
        let within = |keys: InMemDicomObject| {
            let sequence = DataSetSequence::from(vec![keys]);
            InMemDicomObject::from_element_iter([DataElement::new(
                tags::SCHEDULED_WORKITEM_CODE_SEQUENCE,
                VR::SQ,
                sequence,
            )])
        };
        let is_refused = |keys: &InMemDicomObject| matching(keys, Vec::new()).is_err();
        let (good, bad) = (object(start, VR::DT, "20260302-"), object(start, VR::DT, "soon"));
        assert!(is_refused(&bad) && is_refused(&within(bad.clone())));
        assert!(is_refused(&within(within(bad))));
        assert!(!is_refused(&good) && !is_refused(&within(good)));
    }
}
