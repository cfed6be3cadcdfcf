//! Unified Procedure Steps (PS3.4 annex CC): work that is scheduled here, and who has it in hand.
//!
//! Whoever may, creates a step; whoever takes it locks it with a Transaction UID of its own, tells how
//! far it is and ends it; anybody may look and ask for it to be called off. [`Worklist`] keeps the
//! rules of that ([`state`]) over notes of the archive, so that steps survive a restart. DIMSE is made
//! of it in `node/services/worklist.rs`; what the node does about steps that ask it for a dose, in
//! `service/worklist.rs`.
//!
//! Bounded: so many steps, so long each; a step that has ended makes room for a new one.

mod creation;
pub mod order;
mod refusal;
mod state;
mod store;
#[cfg(test)]
mod tests;

pub use refusal::{REFUSALS, Refusal};
pub use state::State;
pub use store::Worklist;

use crate::archive::ArchiveError;
use crate::dicom::Uid;
use crate::dicom::header::text;
use crate::dicom::read::items;
use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use jiff::Timestamp;

/// Longest ST and LT, characters (PS3.5 table 6.2-1).
const ST_MAX: usize = 1024;
const LT_MAX: usize = 10240;

/// Who has a step in hand where it is the node itself; no AE title looks like this.
pub const OURSELVES: &str = "grayd";

/// Why a step is not created or changed.
#[derive(Debug, thiserror::Error)]
pub enum WorklistError {
    #[error("{}", .0.meaning)]
    Refused(Refusal),
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}

impl From<Refusal> for WorklistError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl WorklistError {
    /// What tells a peer of it.
    pub fn dimse_status(&self) -> u16 {
        match self {
            Self::Refused(refusal) => refusal.status,
            Self::Archive(_) => refusal::PROCESSING_FAILURE.status,
        }
    }
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    pub uid: Uid,
    pub state: State,
    /// Of whoever has it in hand; nobody is ever told.
    transaction: Option<Uid>,
    /// AE title of whoever has it in hand, or [`OURSELVES`].
    pub performer: Option<String>,
    pub changed: Timestamp,
    /// Everything that can be asked for, the state included.
    pub data: InMemDicomObject,
}

impl Step {
    pub fn is_ours(&self) -> bool {
        self.performer.as_deref() == Some(OURSELVES)
    }

    fn enter(&mut self, state: State, at: Timestamp) {
        self.state = state;
        self.changed = at;
        put(&mut self.data, tags::PROCEDURE_STEP_STATE, VR::CS, state.as_str());
        put(
            &mut self.data,
            tags::SCHEDULED_PROCEDURE_STEP_MODIFICATION_DATE_TIME,
            VR::DT,
            &date_time(at),
        );
    }

    /// How far it is and what is being done (Progress Information Sequence).
    pub fn tell_progress(&mut self, percent: f64, description: &str) {
        let mut item = self.progress();
        put(&mut item, tags::PROCEDURE_STEP_PROGRESS, VR::DS, &format!("{percent:.0}"));
        let description = cut(description, ST_MAX);
        put(&mut item, tags::PROCEDURE_STEP_PROGRESS_DESCRIPTION, VR::ST, &description);
        self.put_progress(item);
    }

    fn progress(&self) -> InMemDicomObject {
        let item = items(&self.data, tags::PROCEDURE_STEP_PROGRESS_INFORMATION_SEQUENCE).first();
        item.cloned().unwrap_or_else(InMemDicomObject::new_empty)
    }

    fn put_progress(&mut self, item: InMemDicomObject) {
        let tag = tags::PROCEDURE_STEP_PROGRESS_INFORMATION_SEQUENCE;
        put_items(&mut self.data, tag, vec![item]);
    }
}

/// One text; what cannot stand in it is the caller's to keep out.
fn put(object: &mut InMemDicomObject, tag: Tag, vr: VR, text: &str) {
    object.put(DataElement::new(tag, vr, PrimitiveValue::from(text)));
}

fn put_items(object: &mut InMemDicomObject, tag: Tag, items: Vec<InMemDicomObject>) {
    object.put(DataElement::new(tag, VR::SQ, DataSetSequence::from(items)));
}

/// At most so many characters: what we say ourselves comes from reasons of any length.
fn cut(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}

/// An instant as a DT in UTC, and saying so.
pub fn date_time(at: Timestamp) -> String {
    at.strftime("%Y%m%d%H%M%S+0000").to_string()
}
