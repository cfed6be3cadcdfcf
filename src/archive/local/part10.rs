//! Preamble and file meta information of the objects that we keep (PS3.10 section 7.1).

use crate::archive::Arrival;
use crate::dicom::Uid;
use jiff::Timestamp;

/// Names this implementation in meta information and associations (PS3.7 D.3.3.2).
pub const IMPLEMENTATION_CLASS_UID: &str = "2.25.7787560160103901639545600686568805309";
/// Its version, at most 16 characters.
pub const IMPLEMENTATION_VERSION_NAME: &str = concat!("GRAYD_", env!("CARGO_PKG_VERSION"));

/// What we wrote into the meta information of an object: enough to rebuild its row.
#[derive(Debug, Clone)]
pub(super) struct Meta {
    pub(super) arrival: Arrival,
    pub(super) received: Timestamp,
}

/// Preamble, prefix and meta information. Who sent it and when it came stand in Source AE Title
/// and, under our own creator UID, in Private Information: the index can be rebuilt from objects.
pub(super) fn encode(meta: &Meta) -> Vec<u8> {
    let mut group = Vec::with_capacity(400);
    element(&mut group, 0x0001, b"OB", &[0, 1]);
    uid(&mut group, 0x0002, meta.arrival.sop_class.as_str());
    uid(&mut group, 0x0003, meta.arrival.sop_instance.as_str());
    uid(&mut group, 0x0010, meta.arrival.transfer_syntax.as_str());
    uid(&mut group, 0x0012, IMPLEMENTATION_CLASS_UID);
    text(&mut group, 0x0013, b"SH", IMPLEMENTATION_VERSION_NAME);
    text(&mut group, 0x0016, b"AE", &meta.arrival.calling_ae);
    uid(&mut group, 0x0100, IMPLEMENTATION_CLASS_UID);
    text(&mut group, 0x0102, b"OB", &meta.received.to_string());
    let mut out = vec![0; 128];
    out.extend(b"DICM");
    element(&mut out, 0x0000, b"UL", &(group.len() as u32).to_le_bytes());
    out.extend(group);
    out
}

fn uid(out: &mut Vec<u8>, element_number: u16, uid: &str) {
    let mut value = uid.as_bytes().to_vec();
    value.resize(value.len().next_multiple_of(2), 0);
    element(out, element_number, b"UI", &value);
}

fn text(out: &mut Vec<u8>, element_number: u16, vr: &[u8; 2], text: &str) {
    let mut value = text.as_bytes().to_vec();
    value.resize(value.len().next_multiple_of(2), b' ');
    element(out, element_number, vr, &value);
}

/// One element of group 0002. All values are ours or bounded to 64 bytes before.
fn element(out: &mut Vec<u8>, element_number: u16, vr: &[u8; 2], value: &[u8]) {
    out.extend(0x0002u16.to_le_bytes());
    out.extend(element_number.to_le_bytes());
    out.extend(vr);
    if vr == b"OB" {
        out.extend([0, 0]);
        out.extend((value.len() as u32).to_le_bytes());
    } else {
        out.extend((value.len() as u16).to_le_bytes());
    }
    out.extend(value);
}

/// Reads back what [`encode`] wrote, from the first bytes of an object that passed the gate.
pub(super) fn decode(file: &[u8]) -> Option<Meta> {
    let mut rest = file.get(132..)?;
    let mut values: Vec<(u16, &[u8])> = Vec::new();
    while let Some([2, 0, e0, e1, v0, v1, l0, l1]) = rest.first_chunk() {
        let (head, length): (usize, usize) = if [*v0, *v1] == *b"OB" {
            (12, u32::from_le_bytes(*rest.get(8..)?.first_chunk()?) as usize)
        } else {
            (8, usize::from(u16::from_le_bytes([*l0, *l1])))
        };
        let value = rest.get(head..head.checked_add(length)?)?;
        values.push((u16::from_le_bytes([*e0, *e1]), value));
        rest = rest.get(head + length..)?;
    }
    let text = |number| {
        let (_, value) = values.iter().find(|(n, _)| *n == number)?;
        Some(std::str::from_utf8(value).ok()?.trim_end_matches([' ', '\0']))
    };
    if text(0x0100)? != IMPLEMENTATION_CLASS_UID {
        return None;
    }
    let uid = |number| Uid::parse(text(number)?).ok();
    Some(Meta {
        arrival: Arrival {
            sop_class: uid(0x0002)?,
            sop_instance: uid(0x0003)?,
            transfer_syntax: uid(0x0010)?,
            calling_ae: text(0x0016)?.to_owned(),
        },
        received: text(0x0102)?.parse().ok()?,
    })
}
