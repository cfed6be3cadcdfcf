//! The same gate for files from elsewhere: preamble, `DICM` and meta information first.

use super::{GateError, GateFault, GateReport, TransferSyntaxKind, check_reader, has_long_length};
use crate::dicom::Uid;
use dicom_core::{Tag, VR};
use std::io::{Cursor, ErrorKind, Read, Seek};

/// Longest meta information that is read. Usual is 200 bytes; private information may add to it.
const MAX_META_BYTES: u32 = 65_536;

/// Most bytes from the beginning of a file to its data set.
pub const MAX_FILE_META_BYTES: usize = 128 + 4 + 12 + MAX_META_BYTES as usize;

/// What the meta information of a file says (PS3.10 section 7.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileMeta {
    pub sop_class: Option<Uid>,
    pub sop_instance: Option<Uid>,
    pub transfer_syntax: Uid,
    /// From the beginning of the file to its data set.
    pub bytes: usize,
}

/// Reads the meta information from the first bytes of a file; `None` while they are too few.
pub fn file_meta(head: &[u8]) -> Result<Option<FileMeta>, GateError> {
    let mut meta = Meta { reader: &mut Cursor::new(head), at: 0, tag: None };
    match meta.information() {
        Ok(found) => Ok(Some(found)),
        Err(GateFault::Truncated) => Ok(None),
        Err(GateFault::NotPart10(_)) if head.len() < 132 => Ok(None),
        Err(fault) => Err(meta.error(fault)),
    }
}

/// Walks a DICOM file (PS3.10) in memory. Returns its transfer syntax and what the gate saw of
/// the data set.
pub fn check_part10(file: &[u8]) -> Result<(Uid, GateReport), GateError> {
    check_file(&mut Cursor::new(file))
}

/// Walks a DICOM file (PS3.10) from the reader's position, which is its first byte.
pub fn check_file<R: Read + Seek>(reader: &mut R) -> Result<(Uid, GateReport), GateError> {
    let mut meta = Meta { reader, at: 0, tag: None };
    let syntax = meta.information().map_err(|fault| meta.error(fault))?.transfer_syntax;
    let kind = TransferSyntaxKind::of(&syntax)
        .ok_or_else(|| meta.error(GateFault::TransferSyntax(syntax.to_string())))?;
    let at = meta.at;
    let report = check_reader(reader, kind)
        .map_err(|error| GateError { offset: error.offset + at, ..error })?;
    Ok((syntax, report))
}

struct Meta<'r, R> {
    reader: &'r mut R,
    at: u64,
    tag: Option<Tag>,
}

impl<R: Read + Seek> Meta<'_, R> {
    fn error(&self, fault: GateFault) -> GateError {
        let path = self.tag.map_or_else(|| "meta information".into(), |tag| tag.to_string());
        GateError { fault, path, offset: self.at }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], GateFault> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), GateFault> {
        self.reader.read_exact(bytes).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => GateFault::Truncated,
            _ => GateFault::Io(error),
        })?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// Header of one meta element: tag, VR and length; always explicit little endian.
    fn header(&mut self) -> Result<(Tag, VR, u32), GateFault> {
        let [a, b, c, d] = self.take()?;
        let tag = Tag(u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
        self.tag = Some(tag);
        let [a, b, c, d] = self.take()?;
        let vr = VR::from_binary([a, b]).ok_or(GateFault::UnknownVr)?;
        if has_long_length(vr) {
            return Ok((tag, vr, u32::from_le_bytes(self.take()?)));
        }
        Ok((tag, vr, u32::from(u16::from_le_bytes([c, d]))))
    }

    fn information(&mut self) -> Result<FileMeta, GateFault> {
        let head: [u8; 132] = self.take().map_err(|fault| match fault {
            GateFault::Truncated => GateFault::NotPart10("it is shorter than a preamble"),
            other => other,
        })?;
        if &head[128..] != b"DICM" {
            return Err(GateFault::NotPart10("the prefix DICM is missing"));
        }
        let (tag, vr, length) = self.header()?;
        if (tag, vr, length) != (Tag(0x0002, 0x0000), VR::UL, 4) {
            return Err(GateFault::NotPart10(
                "the meta information does not begin with its length",
            ));
        }
        let total = u32::from_le_bytes(self.take()?);
        if total > MAX_META_BYTES {
            return Err(GateFault::Overrun {
                declared: total.into(),
                remain: MAX_META_BYTES.into(),
            });
        }
        self.elements(u64::from(total))
    }

    fn elements(&mut self, total: u64) -> Result<FileMeta, GateFault> {
        let end = self.at + total;
        let mut last = Tag(0x0002, 0x0000);
        let (mut sop_class, mut sop_instance, mut syntax) = (None, None, None);
        while self.at < end {
            let (tag, _, length) = self.header()?;
            let (declared, remain) = (u64::from(length), end.saturating_sub(self.at));
            if tag.0 != 0x0002 {
                return Err(GateFault::IllegalTag);
            }
            if declared > remain {
                return Err(GateFault::Overrun { declared, remain });
            }
            if tag <= last {
                return Err(GateFault::OutOfOrder(last));
            }
            last = tag;
            let mut value = vec![0; length as usize];
            self.fill(&mut value)?;
            let named = match tag {
                Tag(0x0002, 0x0002) => &mut sop_class,
                Tag(0x0002, 0x0003) => &mut sop_instance,
                Tag(0x0002, 0x0010) => &mut syntax,
                _ => continue,
            };
            *named = std::str::from_utf8(&value).ok().and_then(|text| Uid::parse(text).ok());
        }
        self.tag = Some(Tag(0x0002, 0x0010));
        let transfer_syntax = syntax.ok_or(GateFault::NotPart10("it names no transfer syntax"))?;
        let bytes = usize::try_from(self.at).unwrap_or(usize::MAX);
        Ok(FileMeta { sop_class, sop_instance, transfer_syntax, bytes })
    }
}
