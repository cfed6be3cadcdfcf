//! Structure of the variable items of A-ASSOCIATE-RQ and -AC, checked before they are decoded
//! (PS3.8 sections 9.3.2 and 9.3.3, annex D; PS3.7 annex D.3.3).
//!
//! Sub-items that carry a length of their own inside must agree with their outer length: several
//! published flaws of other implementations began with one that did not.

/// Called and calling AE titles, version and reserved bytes stand before the first item.
const FIXED_PART_BYTES: usize = 68;
/// Presentation context identifiers are odd and one byte wide.
const MAX_PRESENTATION_CONTEXTS: usize = 128;
/// Longest UID (PS3.5 section 9.1), with room for one byte of padding that some senders add.
const MAX_UID_BYTES: usize = 65;

/// One item: its type and its value.
struct Items<'a> {
    rest: &'a [u8],
}

impl<'a> Items<'a> {
    /// The next item; `Some(Err(()))` where the bytes do not hold one.
    fn next_item(&mut self) -> Option<Result<(u8, &'a [u8]), ()>> {
        if self.rest.is_empty() {
            return None;
        }
        let Some((header, after)) = self.rest.split_first_chunk::<4>() else {
            return Some(Err(()));
        };
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let Some((value, rest)) = after.split_at_checked(length) else {
            return Some(Err(()));
        };
        self.rest = rest;
        Some(Ok((header[0], value)))
    }
}

/// True if every item and sub-item of this A-ASSOCIATE body fills exactly what its length says,
/// and none that may stand once stands twice.
pub(super) fn are_well_formed(body: &[u8]) -> bool {
    let Some(variable) = body.get(FIXED_PART_BYTES..) else { return false };
    let mut items = Items { rest: variable };
    let (mut names, mut contexts, mut users) = (0, 0, 0);
    while let Some(item) = items.next_item() {
        let sound = match item {
            Err(()) => false,
            Ok((0x10, value)) => {
                names += 1;
                value.len() <= MAX_UID_BYTES
            }
            Ok((0x20 | 0x21, value)) => {
                contexts += 1;
                is_presentation_context(value)
            }
            Ok((0x50, value)) => {
                users += 1;
                is_user_information(value)
            }
            Ok(_) => false,
        };
        if !sound {
            return false;
        }
    }
    names == 1 && users <= 1 && contexts <= MAX_PRESENTATION_CONTEXTS
}

fn is_presentation_context(value: &[u8]) -> bool {
    let Some(sub_items) = value.get(4..) else { return false };
    let mut items = Items { rest: sub_items };
    while let Some(item) = items.next_item() {
        match item {
            Ok((0x30 | 0x40, uid)) if uid.len() <= MAX_UID_BYTES => {}
            _ => return false,
        }
    }
    true
}

fn is_user_information(value: &[u8]) -> bool {
    let mut items = Items { rest: value };
    while let Some(item) = items.next_item() {
        let Ok((kind, value)) = item else { return false };
        let inner = |at: usize| {
            value.get(at..at + 2).map(|b| usize::from(u16::from_be_bytes([b[0], b[1]])))
        };
        let sound = match kind {
            // Maximum length; asynchronous operations window.
            0x51 | 0x53 => value.len() == 4,
            // Implementation class UID; implementation version name (1 to 16 characters, often
            // padded by a byte).
            0x52 => value.len() <= MAX_UID_BYTES,
            0x55 => value.len() <= 17,
            // Role selection: UID length, UID, two roles.
            0x54 => inner(0).is_some_and(|uid| uid + 4 == value.len()),
            // Extended negotiation: UID length, UID, application information.
            0x56 | 0x57 => inner(0).is_some_and(|uid| uid + 2 <= value.len()),
            // User identity: type, response wanted, primary and secondary field.
            0x58 => inner(2).is_some_and(|primary| {
                inner(4 + primary).is_some_and(|secondary| 6 + primary + secondary == value.len())
            }),
            _ => true,
        };
        if !sound {
            return false;
        }
    }
    true
}
