//! Storage commitment (PS3.4 annex J, Push Model) in both roles: [`provider`] answers for what peers
//! have stored here, [`user`] asks peers to answer for what was delivered to them. What the two
//! say to each other is the same, and stands here.

mod provider;
mod report;
mod user;

pub(super) use provider::{Report, Request};
pub(super) use report::take_report;
pub(super) use user::ask;

use super::command::{Command, status};
use super::identifier::{self, uid};
use crate::dicom::Uid;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

/// Action Type ID "Request Storage Commitment".
const REQUEST: u16 = 1;
/// Event Type IDs of the report: all is safe there, or not all.
const ALL_COMMITTED: u16 = 1;
const SOME_FAILED: u16 = 2;

/// Failure Reason (0008,1197), PS3.3 section C.14.1.1.
mod reason {
    pub const PROCESSING_FAILURE: u16 = 0x0110;
    pub const NO_SUCH_INSTANCE: u16 = 0x0112;
    pub const CLASS_INSTANCE_CONFLICT: u16 = 0x0119;
    pub const CLASS_NOT_SUPPORTED: u16 = 0x0122;
    pub const DUPLICATE_TRANSACTION: u16 = 0x0131;
    pub const RESOURCE_LIMITATION: u16 = 0x0213;

    /// In the words of the standard.
    pub fn name(code: u16) -> &'static str {
        match code {
            PROCESSING_FAILURE => "processing failure",
            NO_SUCH_INSTANCE => "no such object instance",
            CLASS_INSTANCE_CONFLICT => "class / instance conflict",
            CLASS_NOT_SUPPORTED => "referenced SOP class not supported",
            DUPLICATE_TRANSACTION => "duplicate transaction UID",
            RESOURCE_LIMITATION => "resource limitation",
            _ => "a reason of the peer's own",
        }
    }
}

/// An instance by SOP class and SOP instance.
type Reference = (Uid, Uid);

/// A request of this service: N-ACTION or N-EVENT-REPORT.
fn service(field: u16, message_id: u16, type_id: u16) -> Command {
    let known = |text| Uid::parse(text).expect("the dictionary's UIDs are UIDs");
    Command {
        sop_instance: Some(known(uids::STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE)),
        type_id: Some(type_id),
        ..Command::request(field, message_id, known(uids::STORAGE_COMMITMENT_PUSH_MODEL))
    }
}

/// Status and comment of the answer to what is refused.
type Refusal = (u16, &'static str);

/// Of a request or a report: that it is about the one instance of this service.
fn check_instance(command: &Command) -> Result<(), Refusal> {
    let well_known = uids::STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE;
    match &command.sop_instance {
        Some(instance) if instance.as_str() == well_known => Ok(()),
        _ => {
            Err((status::NO_SUCH_SOP_INSTANCE, "not the well-known instance of storage commitment"))
        }
    }
}

/// The data set of a request or a report, and its Transaction UID.
fn transaction(data_set: &[u8], syntax: &Uid) -> Result<(Uid, InMemDicomObject), Refusal> {
    let object = identifier::data_set(data_set, syntax)
        .map_err(|_| (status::INVALID_ARGUMENT, "the data set could not be parsed"))?;
    let transaction = uid(&object, tags::TRANSACTION_UID)
        .ok_or((status::INVALID_ARGUMENT, "Transaction UID (0008,1195) is missing"))?;
    Ok((transaction, object))
}

fn reference(item: &InMemDicomObject) -> Option<Reference> {
    Some((
        uid(item, tags::REFERENCED_SOP_CLASS_UID)?,
        uid(item, tags::REFERENCED_SOP_INSTANCE_UID)?,
    ))
}

/// The items of a sequence of references; `None` where one of them is not whole.
fn references(object: &InMemDicomObject, sequence: Tag) -> Option<Vec<Reference>> {
    let items = object.get(sequence).and_then(|element| element.items());
    items.unwrap_or_default().iter().map(reference).collect()
}

/// An item of such a sequence.
fn item((class, instance): &Reference) -> InMemDicomObject {
    let uid = |tag, uid: &Uid| DataElement::new(tag, VR::UI, PrimitiveValue::from(uid.as_str()));
    InMemDicomObject::from_element_iter([
        uid(tags::REFERENCED_SOP_CLASS_UID, class),
        uid(tags::REFERENCED_SOP_INSTANCE_UID, instance),
    ])
}
