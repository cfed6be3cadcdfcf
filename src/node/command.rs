//! DIMSE command sets: implicit VR little endian, group 0000 only (PS3.7 sections 6.3.1, 9.3 and
//! annex E). Decoding is strict and bounded; encoding writes what decoding accepts.

use crate::dicom::Uid;
use dicom_core::Tag;

/// Largest command set that is accepted, bytes. C-STORE-RQ takes some 250.
pub const MAX_COMMAND_BYTES: usize = 16_384;

/// Command fields that the node speaks (PS3.7 annex E.1).
pub mod field {
    pub const C_STORE_RQ: u16 = 0x0001;
    pub const C_STORE_RSP: u16 = 0x8001;
    pub const C_GET_RQ: u16 = 0x0010;
    pub const C_FIND_RQ: u16 = 0x0020;
    pub const C_MOVE_RQ: u16 = 0x0021;
    pub const C_ECHO_RQ: u16 = 0x0030;
    pub const C_ECHO_RSP: u16 = 0x8030;
    pub const N_EVENT_REPORT_RQ: u16 = 0x0100;
    pub const N_EVENT_REPORT_RSP: u16 = 0x8100;
    pub const N_GET_RQ: u16 = 0x0110;
    pub const N_SET_RQ: u16 = 0x0120;
    pub const N_ACTION_RQ: u16 = 0x0130;
    pub const N_CREATE_RQ: u16 = 0x0140;
    pub const C_CANCEL_RQ: u16 = 0x0FFF;
    /// Set in every response.
    pub const RESPONSE: u16 = 0x8000;
}

/// Statuses that the node itself gives (PS3.7 annex C, PS3.4 sections B.2.3 and C.4); the errors of the
/// archive and of the worklist bring their own.
pub mod status {
    /// A status: its value, the services that give it, and when.
    pub type Status = (u16, &'static str, &'static str);

    macro_rules! statuses {
        ($($name:ident = $value:literal, $services:literal, $when:literal;)*) => {
            $(#[doc = $when] pub const $name: u16 = $value;)*
            /// All of them; the conformance statement prints them.
            pub const ALL: &[Status] = &[$(($value, $services, $when),)*];
        };
    }

    statuses! {
        SUCCESS = 0x0000, "all", "done; of C-STORE: durable and indexed, or there already with the same bytes";
        ATTRIBUTE_LIST_ERROR = 0x0107, "N-CREATE", "a warning that peers give: attributes were not taken";
        PROCESSING_FAILURE = 0x0110, "all", "the node failed; its log says why";
        DUPLICATE_SOP_INSTANCE = 0x0111, "C-STORE", "other bytes are kept under this UID; these are in quarantine";
        NO_SUCH_SOP_INSTANCE = 0x0112, "N-ACTION, N-EVENT-REPORT", "not the well-known instance of storage commitment";
        NO_SUCH_EVENT_TYPE = 0x0113, "N-EVENT-REPORT", "not an event of storage commitment";
        INVALID_ARGUMENT = 0x0115, "N-ACTION, N-EVENT-REPORT", "the request for commitment or the report is not whole, or no such transaction is open";
        ATTRIBUTE_VALUE_OUT_OF_RANGE = 0x0116, "N-CREATE", "a warning that peers give: a value was not taken";
        INVALID_SOP_INSTANCE = 0x0117, "C-STORE, N-*", "the SOP Instance UID is missing or no UID";
        SOP_CLASS_NOT_SUPPORTED = 0x0122, "C-STORE", "the SOP class is not that of the presentation context";
        NO_SUCH_ACTION = 0x0123, "N-ACTION", "no such action, or not in this presentation context";
        NOT_AUTHORIZED = 0x0124, "C-STORE, N-ACTION, N-EVENT-REPORT", "`peers: allow` lacks `store` or `commit` for this peer; another peer was asked in the transaction of the report; an object over C-GET was not asked for";
        UNRECOGNIZED_OPERATION = 0x0211, "all", "the operation does not belong to the presentation context";
        RESOURCE_LIMITATION = 0x0213, "N-ACTION", "too many requests for commitment are open";
        OUT_OF_RESOURCES = 0xA700, "C-STORE, C-FIND", "no room, over a limit or a quota, or the archive failed; try again later";
        NO_NUMBER_OF_MATCHES = 0xA701, "C-MOVE, C-GET", "more instances than can be counted, or the archive failed";
        NO_SUB_OPERATIONS = 0xA702, "C-MOVE, C-GET", "no sub-operation could be performed";
        DESTINATION_UNKNOWN = 0xA801, "C-MOVE", "the destination is none of `peers`";
        IDENTIFIER_MISMATCH = 0xA900, "C-FIND, C-MOVE, C-GET", "the identifier is not one of this information model";
        SOME_FAILED = 0xB000, "C-MOVE, C-GET", "some sub-operations failed";
        UNABLE_TO_PROCESS = 0xC000, "all with a data set", "the data set could not be parsed";
        CANCELLED = 0xFE00, "C-FIND, C-MOVE, C-GET", "the peer cancelled";
        PENDING = 0xFF00, "C-FIND, C-MOVE, C-GET", "more to come";
        PENDING_WITHOUT_SOME_KEYS = 0xFF01, "C-FIND", "more to come; some of the keys asked for are not known here";
    }
}

mod element {
    pub const GROUP_LENGTH: u16 = 0x0000;
    pub const AFFECTED_SOP_CLASS_UID: u16 = 0x0002;
    pub const REQUESTED_SOP_CLASS_UID: u16 = 0x0003;
    pub const COMMAND_FIELD: u16 = 0x0100;
    pub const MESSAGE_ID: u16 = 0x0110;
    pub const MESSAGE_ID_RESPONDED_TO: u16 = 0x0120;
    pub const MOVE_DESTINATION: u16 = 0x0600;
    pub const PRIORITY: u16 = 0x0700;
    pub const DATA_SET_TYPE: u16 = 0x0800;
    pub const STATUS: u16 = 0x0900;
    pub const ERROR_COMMENT: u16 = 0x0902;
    pub const AFFECTED_SOP_INSTANCE_UID: u16 = 0x1000;
    pub const REQUESTED_SOP_INSTANCE_UID: u16 = 0x1001;
    pub const ATTRIBUTE_IDENTIFIER_LIST: u16 = 0x1005;
    pub const EVENT_TYPE_ID: u16 = 0x1002;
    pub const ACTION_TYPE_ID: u16 = 0x1008;
    /// Remaining; completed, failed and warning follow.
    pub const SUB_OPERATIONS: [u16; 4] = [0x1020, 0x1021, 0x1022, 0x1023];
    pub const MOVE_ORIGINATOR: u16 = 0x1030;
    pub const MOVE_ORIGINATOR_MESSAGE_ID: u16 = 0x1031;
}

/// Command Data Set Type "none follows".
const NO_DATA_SET: u16 = 0x0101;
/// Any other value: a data set follows.
const DATA_SET_FOLLOWS: u16 = 0x0001;
const PRIORITY_MEDIUM: u16 = 0x0000;
/// Length of a LO value.
const MAX_COMMENT_CHARS: usize = 64;

/// Why bytes are no command set; names elements only, never their values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    #[error("command set ends within an element")]
    Truncated,
    #[error("element of group {0:04X} in a command set; only group 0000 may stand there")]
    ForeignGroup(u16),
    #[error("element (0000,{0:04X}) does not follow in ascending order")]
    Order(u16),
    #[error("element (0000,{0:04X}) has the wrong length")]
    Length(u16),
    #[error("command group length (0000,0000) does not match the command set")]
    GroupLength,
    #[error("element (0000,{0:04X}) is missing")]
    Missing(u16),
}

/// How far a retrieval has come (PS3.7 section 9.3.4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SubOperations {
    /// Not given in the last response, unless it was cancelled.
    pub remaining: Option<u16>,
    pub completed: u16,
    pub failed: u16,
    pub warning: u16,
}

/// A command set as far as the node needs it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Command {
    /// Command Field (0000,0100).
    pub field: u16,
    /// Message ID (0000,0110) of a request, Message ID Being Responded To (0000,0120) of a
    /// response or of C-CANCEL.
    pub message_id: u16,
    /// Whether a data set follows.
    pub has_data_set: bool,
    /// Affected SOP Class UID (0000,0002), or Requested (0000,0003) in a request of N-GET, N-SET
    /// or N-ACTION; `None` where absent or no UID.
    pub sop_class: Option<Uid>,
    /// Affected SOP Instance UID (0000,1000), or Requested (0000,1001) likewise; `None` where
    /// absent or no UID.
    pub sop_instance: Option<Uid>,
    /// Status (0000,0900) of a response.
    pub status: Option<u16>,
    /// Error Comment (0000,0902) of a response: made by the node, or received and not trusted.
    pub comment: Option<String>,
    /// Move Destination (0000,0600) of C-MOVE, as received.
    pub destination: Option<String>,
    /// Event Type ID (0000,1002) or Action Type ID (0000,1008).
    pub type_id: Option<u16>,
    /// Attribute Identifier List (0000,1005) of N-GET; empty: all.
    pub attributes: Vec<Tag>,
    /// Of a response to C-MOVE or C-GET.
    pub sub_operations: Option<SubOperations>,
    /// Of C-STORE as part of C-MOVE: who asked for it (0000,1030), and with which message
    /// (0000,1031).
    pub originator: Option<(String, u16)>,
}

impl Command {
    /// A C-ECHO request.
    pub fn echo_request(message_id: u16, verification: Uid) -> Self {
        Self {
            field: field::C_ECHO_RQ,
            message_id,
            sop_class: Some(verification),
            ..Self::default()
        }
    }

    /// A C-STORE request; its data set follows.
    pub fn store_request(message_id: u16, sop_class: Uid, sop_instance: Uid) -> Self {
        Self {
            field: field::C_STORE_RQ,
            message_id,
            has_data_set: true,
            sop_class: Some(sop_class),
            sop_instance: Some(sop_instance),
            ..Self::default()
        }
    }

    /// A request whose data set follows: C-FIND, C-MOVE, C-GET, N-ACTION, N-CREATE or
    /// N-EVENT-REPORT.
    pub fn request(field: u16, message_id: u16, sop_class: Uid) -> Self {
        Self {
            field,
            message_id,
            has_data_set: true,
            sop_class: Some(sop_class),
            ..Self::default()
        }
    }

    /// The response to `self` with a status and, for a failure, what to know about it.
    pub fn response(&self, status: u16, comment: Option<String>) -> Self {
        Self {
            field: self.field | field::RESPONSE,
            message_id: self.message_id,
            has_data_set: false,
            sop_class: self.sop_class.clone(),
            sop_instance: self.sop_instance.clone(),
            status: Some(status),
            comment,
            type_id: self.type_id,
            ..Self::default()
        }
    }

    /// Decodes a whole command set.
    pub fn decode(bytes: &[u8]) -> Result<Self, CommandError> {
        let elements = Elements::decode(bytes)?;
        let field = elements.required_us(element::COMMAND_FIELD)?;
        let message_id = if field & field::RESPONSE != 0 || field == field::C_CANCEL_RQ {
            elements.required_us(element::MESSAGE_ID_RESPONDED_TO)?
        } else {
            elements.required_us(element::MESSAGE_ID)?
        };
        let status = match field & field::RESPONSE {
            0 => None,
            _ => Some(elements.required_us(element::STATUS)?),
        };
        Ok(Self {
            field,
            message_id,
            has_data_set: elements.required_us(element::DATA_SET_TYPE)? != NO_DATA_SET,
            sop_class: elements.uid(class_element(field)),
            sop_instance: elements.uid(instance_element(field)),
            status,
            comment: elements.comment(),
            destination: elements.ae_title(element::MOVE_DESTINATION),
            type_id: match field & !field::RESPONSE {
                field::N_EVENT_REPORT_RQ => elements.us(element::EVENT_TYPE_ID)?,
                field::N_ACTION_RQ => elements.us(element::ACTION_TYPE_ID)?,
                _ => None,
            },
            attributes: match field {
                field::N_GET_RQ => elements.tags(element::ATTRIBUTE_IDENTIFIER_LIST)?,
                _ => Vec::new(),
            },
            sub_operations: elements.sub_operations()?,
            originator: elements
                .ae_title(element::MOVE_ORIGINATOR)
                .zip(elements.us(element::MOVE_ORIGINATOR_MESSAGE_ID)?),
        })
    }

    /// Encodes with group length, elements ascending, values padded to even length.
    pub fn encode(&self) -> Vec<u8> {
        let is_response = self.field & field::RESPONSE != 0;
        let mut body = Vec::with_capacity(256);
        let us = |body: &mut Vec<u8>, tag, value: u16| put(body, tag, &value.to_le_bytes());
        if let Some(uid) = &self.sop_class {
            put_padded(&mut body, class_element(self.field), uid.as_str(), 0);
        }
        us(&mut body, element::COMMAND_FIELD, self.field);
        if is_response || self.field == field::C_CANCEL_RQ {
            us(&mut body, element::MESSAGE_ID_RESPONDED_TO, self.message_id);
        } else {
            us(&mut body, element::MESSAGE_ID, self.message_id);
        }
        if let Some(title) = &self.destination {
            put_padded(&mut body, element::MOVE_DESTINATION, title, b' ');
        }
        if has_priority(self.field) {
            us(&mut body, element::PRIORITY, PRIORITY_MEDIUM);
        }
        let follows = if self.has_data_set { DATA_SET_FOLLOWS } else { NO_DATA_SET };
        us(&mut body, element::DATA_SET_TYPE, follows);
        if let Some(status) = self.status {
            us(&mut body, element::STATUS, status);
        }
        if let Some(comment) = &self.comment {
            let legal: String = comment
                .chars()
                .filter(|c| (' '..='~').contains(c) && *c != '\\')
                .take(MAX_COMMENT_CHARS)
                .collect();
            put_padded(&mut body, element::ERROR_COMMENT, &legal, b' ');
        }
        if let Some(uid) = &self.sop_instance {
            put_padded(&mut body, instance_element(self.field), uid.as_str(), 0);
        }
        if let Some(type_id) = self.type_id {
            let is_event = self.field & !field::RESPONSE == field::N_EVENT_REPORT_RQ;
            let at = if is_event { element::EVENT_TYPE_ID } else { element::ACTION_TYPE_ID };
            us(&mut body, at, type_id);
        }
        if !self.attributes.is_empty() {
            let halves = |tag: &Tag| [tag.group().to_le_bytes(), tag.element().to_le_bytes()];
            let list: Vec<u8> = self.attributes.iter().flat_map(halves).flatten().collect();
            put(&mut body, element::ATTRIBUTE_IDENTIFIER_LIST, &list);
        }
        if let Some(counts) = &self.sub_operations {
            let done = [counts.completed, counts.failed, counts.warning].map(Some);
            let values = [counts.remaining].into_iter().chain(done);
            for (at, count) in element::SUB_OPERATIONS.into_iter().zip(values) {
                if let Some(count) = count {
                    us(&mut body, at, count);
                }
            }
        }
        if let Some((title, message_id)) = &self.originator {
            put_padded(&mut body, element::MOVE_ORIGINATOR, title, b' ');
            us(&mut body, element::MOVE_ORIGINATOR_MESSAGE_ID, *message_id);
        }
        let mut bytes = Vec::with_capacity(body.len() + 12);
        let length = u32::try_from(body.len()).expect("a command set of a few short values");
        put(&mut bytes, element::GROUP_LENGTH, &length.to_le_bytes());
        bytes.extend_from_slice(&body);
        bytes
    }
}

/// The services that work on an instance that is there request it (PS3.7 section 10.3).
fn is_requested(field: u16) -> bool {
    matches!(field, field::N_GET_RQ | field::N_SET_RQ | field::N_ACTION_RQ)
}

fn class_element(field: u16) -> u16 {
    match is_requested(field) {
        true => element::REQUESTED_SOP_CLASS_UID,
        false => element::AFFECTED_SOP_CLASS_UID,
    }
}

fn instance_element(field: u16) -> u16 {
    match is_requested(field) {
        true => element::REQUESTED_SOP_INSTANCE_UID,
        false => element::AFFECTED_SOP_INSTANCE_UID,
    }
}

fn has_priority(field: u16) -> bool {
    matches!(field, field::C_STORE_RQ | field::C_FIND_RQ | field::C_MOVE_RQ | field::C_GET_RQ)
}

/// Appends one element of group 0000.
fn put(bytes: &mut Vec<u8>, element: u16, value: &[u8]) {
    let length = u32::try_from(value.len()).expect("values are at most as long as a command set");
    bytes.extend_from_slice(&[0, 0]);
    bytes.extend_from_slice(&element.to_le_bytes());
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(value);
}

fn put_padded(bytes: &mut Vec<u8>, element: u16, text: &str, padding: u8) {
    let mut value = text.as_bytes().to_vec();
    if value.len() % 2 == 1 {
        value.push(padding);
    }
    put(bytes, element, &value);
}

/// The elements of a command set, ascending.
struct Elements<'a>(Vec<(u16, &'a [u8])>);

impl<'a> Elements<'a> {
    fn decode(bytes: &'a [u8]) -> Result<Self, CommandError> {
        let mut elements: Vec<(u16, &[u8])> = Vec::new();
        let mut rest = bytes;
        let mut after_group_length = bytes.len();
        while !rest.is_empty() {
            let (header, after) = rest.split_first_chunk::<8>().ok_or(CommandError::Truncated)?;
            let group = u16::from_le_bytes([header[0], header[1]]);
            let element = u16::from_le_bytes([header[2], header[3]]);
            let length = u32::from_le_bytes([header[4], header[5], header[6], header[7]]);
            if group != 0 {
                return Err(CommandError::ForeignGroup(group));
            }
            if elements.last().is_some_and(|(previous, _)| *previous >= element) {
                return Err(CommandError::Order(element));
            }
            let length = usize::try_from(length).map_err(|_| CommandError::Truncated)?;
            let (value, tail) = after.split_at_checked(length).ok_or(CommandError::Truncated)?;
            if element == element::GROUP_LENGTH {
                after_group_length = tail.len();
            }
            elements.push((element, value));
            rest = tail;
        }
        let found = Self(elements);
        let length = found.value(element::GROUP_LENGTH).ok_or(CommandError::GroupLength)?;
        let length: [u8; 4] =
            length.try_into().map_err(|_| CommandError::Length(element::GROUP_LENGTH))?;
        if usize::try_from(u32::from_le_bytes(length)) != Ok(after_group_length) {
            return Err(CommandError::GroupLength);
        }
        Ok(found)
    }

    fn value(&self, element: u16) -> Option<&'a [u8]> {
        self.0.iter().find(|(found, _)| *found == element).map(|(_, value)| *value)
    }

    fn required_us(&self, element: u16) -> Result<u16, CommandError> {
        let value = self.value(element).ok_or(CommandError::Missing(element))?;
        let value: [u8; 2] = value.try_into().map_err(|_| CommandError::Length(element))?;
        Ok(u16::from_le_bytes(value))
    }

    fn us(&self, element: u16) -> Result<Option<u16>, CommandError> {
        self.value(element).map(|_| self.required_us(element)).transpose()
    }

    fn ae_title(&self, element: u16) -> Option<String> {
        let text = std::str::from_utf8(self.value(element)?).ok()?.trim();
        (!text.is_empty() && text.len() <= 16).then(|| text.to_owned())
    }

    fn tags(&self, element: u16) -> Result<Vec<Tag>, CommandError> {
        let value = self.value(element).unwrap_or_default();
        let (tags, rest) = value.as_chunks::<4>();
        let tag = |[a, b, c, d]: &[u8; 4]| {
            Tag(u16::from_le_bytes([*a, *b]), u16::from_le_bytes([*c, *d]))
        };
        match rest {
            [] => Ok(tags.iter().map(tag).collect()),
            _ => Err(CommandError::Length(element)),
        }
    }

    fn sub_operations(&self) -> Result<Option<SubOperations>, CommandError> {
        let [remaining, completed, failed, warning] = element::SUB_OPERATIONS;
        let Some(completed) = self.us(completed)? else { return Ok(None) };
        Ok(Some(SubOperations {
            remaining: self.us(remaining)?,
            completed,
            failed: self.us(failed)?.unwrap_or(0),
            warning: self.us(warning)?.unwrap_or(0),
        }))
    }

    fn uid(&self, element: u16) -> Option<Uid> {
        std::str::from_utf8(self.value(element)?).ok().and_then(|text| Uid::parse(text).ok())
    }

    /// Bounded and printable; what a peer says of its failure may be shown to an operator.
    fn comment(&self) -> Option<String> {
        let value = self.value(element::ERROR_COMMENT)?;
        let printable = value.iter().filter(|b| (0x20..0x7f).contains(*b) && **b != b'\\');
        let text: String = printable.take(MAX_COMMENT_CHARS).map(|b| char::from(*b)).collect();
        Some(text.trim().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn store() -> Command {
        Command::store_request(
            7,
            Uid::parse("1.2.840.10008.5.1.4.1.1.2").unwrap(),
            Uid::parse("1.2.3.4").unwrap(),
        )
    }

    #[test]
    fn commands_come_back_as_they_were_written() {
        let echo = Command::echo_request(1, Uid::parse("1.2.840.10008.1.1").unwrap());
        let refused = store().response(0xA700, Some("out of space".to_owned()));
        let uid = || Uid::parse("1.2.840.10008.1.20.1").unwrap();
        let moved = Command {
            destination: Some("PACS".to_owned()),
            ..Command::request(field::C_MOVE_RQ, 3, uid())
        };
        let counts = SubOperations { remaining: Some(7), completed: 1, failed: 2, warning: 3 };
        let pending =
            Command { sub_operations: Some(counts), ..moved.response(status::PENDING, None) };
        let action = Command {
            sop_instance: Some(uid()),
            type_id: Some(1),
            ..Command::request(field::N_ACTION_RQ, 4, uid())
        };
        let event = Command {
            sop_instance: Some(uid()),
            type_id: Some(2),
            ..Command::request(field::N_EVENT_REPORT_RQ, 5, uid())
        };
        let get = Command {
            has_data_set: false,
            sop_instance: Some(uid()),
            attributes: vec![Tag(0x0074, 0x1000), Tag(0x0010, 0x0020)],
            ..Command::request(field::N_GET_RQ, 6, uid())
        };
        let part = Command { originator: Some(("PEER".to_owned(), 9)), ..store() };
        let answered = action.response(status::SUCCESS, None);
        let all = [store(), echo, refused, moved, pending, action, event, get, part, answered];
        for command in all {
            assert_eq!(Command::decode(&command.encode()), Ok(command));
        }
    }

    #[test]
    fn comments_are_cut_to_what_an_lo_value_can_hold() {
        let comment = format!("\u{e4}\\{}", "x".repeat(100));
        let bytes = store().response(0xC000, Some(comment)).encode();
        let back = Command::decode(&bytes).unwrap();
        assert_eq!(back.comment.as_deref(), Some("x".repeat(64).as_str()));
    }

    #[test]
    fn what_is_out_of_order_truncated_or_foreign_is_refused() {
        let good = store().encode();
        for cut in 0..good.len() {
            assert!(Command::decode(&good[..cut]).is_err(), "cut at {cut}");
        }
        let mut doubled = good.clone();
        doubled.extend_from_slice(&good[good.len() - 16..]);
        assert!(matches!(Command::decode(&doubled), Err(CommandError::Order(_))));
        let mut foreign = good.clone();
        foreign[12] = 8;
        assert_eq!(Command::decode(&foreign), Err(CommandError::ForeignGroup(8)));
        let mut longer = good.clone();
        longer[8] ^= 1;
        assert_eq!(Command::decode(&longer), Err(CommandError::GroupLength));
    }

    #[test]
    fn a_uid_that_is_none_is_not_taken() {
        let mut bytes = store().encode();
        let at = bytes.windows(7).position(|w| w == b"1.2.3.4").unwrap();
        bytes[at..at + 7].copy_from_slice(b"../../x");
        assert_eq!(Command::decode(&bytes).unwrap().sop_instance, None);
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_command_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(command) = Command::decode(&bytes) {
                prop_assert!(command.field & field::RESPONSE == 0 || command.status.is_some());
            }
        }

        #[test]
        fn what_is_understood_of_a_changed_command_is_written_back_alike(
            at in 0usize..150,
            to: u8,
        ) {
            let mut bytes = store().response(0xA700, Some("full".to_owned())).encode();
            let at = at % bytes.len();
            bytes[at] = to;
            if let Ok(command) = Command::decode(&bytes) {
                prop_assert_eq!(Command::decode(&command.encode()), Ok(command));
            }
        }
    }
}
