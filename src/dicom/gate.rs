//! Bounded pre-scan of untrusted data sets, before any parser sees them.
//!
//! The parser behind us is recursive, allocates by declared lengths and loses step where a length
//! is no multiple of its VR's unit; any of these ends the whole process or hides elements. So each
//! data set is first walked here, iteratively, over a fixed stack and a fixed buffer: nothing that
//! the input says decides how much is allocated. What passes is a tree that every conforming
//! reader reads alike; what does not is refused with its place and a remedy, never repaired.
//!
//! Reference: PS3.5 sections 7.1 (elements), 7.5 (nesting), A.4 (encapsulated pixel data); PS3.10
//! section 7.1 (file meta information); PS3.3 C.7.6.3 (image pixel). Not done here: judging values
//! that are not needed to bound the data (see `header` and `read`).

mod part10;
mod pixels;
mod source;
#[cfg(test)]
mod tests;
mod walk;

pub use part10::{FileMeta, MAX_FILE_META_BYTES, check_file, check_part10, file_meta};
pub use pixels::PixelLie;

use super::uid::Uid;
use dicom_core::{Tag, VR};
use std::io::{Cursor, Read, Seek};

/// Deepest nesting of sequences that is let through. Templates of structured reports reach about
/// 20; the parser's stack ends near 1,600.
pub const MAX_DEPTH: usize = 64;
/// Most elements and items in one data set: a segmentation of 20,000 frames has about a million.
pub const MAX_ELEMENTS: u32 = 4_000_000;

/// How the elements of a data set are laid out (PS3.5 annex A).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferSyntaxKind {
    ImplicitLittle,
    ExplicitLittle,
    ExplicitBig,
    /// Explicit little endian with pixel data in fragments.
    Encapsulated,
    /// The same, where all frames may share one fragment or run across fragments (video).
    EncapsulatedStream,
}

impl TransferSyntaxKind {
    /// The layout that a transfer syntax means; `None` for those that are not taken: deflated ones
    /// (a few bytes inflate to gigabytes), JPIP (pixels elsewhere) and unknown ones.
    pub fn of(transfer_syntax: &Uid) -> Option<Self> {
        let code = transfer_syntax.as_str().strip_prefix("1.2.840.10008.1.2")?;
        match code {
            "" => Some(Self::ImplicitLittle),
            ".1" => Some(Self::ExplicitLittle),
            ".2" => Some(Self::ExplicitBig),
            ".5" | ".1.98" => Some(Self::Encapsulated),
            ".4.94" | ".4.95" | ".4.204" | ".4.205" => None,
            _ => {
                let number: u16 = code.strip_prefix(".4.")?.split('.').next()?.parse().ok()?;
                match number {
                    50..=93 | 110..=112 | 201..=203 => Some(Self::Encapsulated),
                    100..=109 => Some(Self::EncapsulatedStream),
                    _ => None,
                }
            }
        }
    }

    pub(super) fn is_encapsulated(self) -> bool {
        matches!(self, Self::Encapsulated | Self::EncapsulatedStream)
    }
}

/// What the gate saw of a data set that it let through. Offsets count from the data set's first
/// byte.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GateReport {
    /// Length of the data set, bytes.
    pub bytes: u64,
    /// Elements, items and fragments on all levels.
    pub elements: u32,
    /// Deepest nesting of sequences; 0 where there is none.
    pub depth: usize,
    /// First element of the top level that is bulk (pixel data, contours, frames, document) and
    /// everything before which makes the header; `None` where the whole data set is header.
    pub bulk: Option<Tag>,
    /// Bytes before `bulk`.
    pub header_bytes: u64,
    /// Elements and items before `bulk`.
    pub header_elements: u32,
    /// Pixel data of the top level.
    pub pixel_data: Option<PixelData>,
}

/// Where the pixel data of the top level lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PixelData {
    /// (7FE0,0010), or (7FE0,0008) or (7FE0,0009) for floating point.
    pub tag: Tag,
    /// Offset of the value, bytes.
    pub offset: u64,
    /// Bytes of the value; of all fragments together, headers not counted, where encapsulated.
    pub length: u64,
    /// Fragments without the offset table; `None` for native pixel data.
    pub fragments: Option<u32>,
}

/// Why the gate stays shut: what, where, and what the sender can do about it. What counts comes
/// first: an Error Comment (0000,0902) holds 64 characters.
#[derive(Debug, thiserror::Error)]
#[error("{path} {fault}; {} (byte {offset})", .fault.remedy())]
pub struct GateError {
    pub fault: GateFault,
    /// Tag path of the element, `(0040,A730)[2].(0008,0100)`; items count from 1.
    pub path: String,
    /// Offset from the beginning of the data set (of the file, for Part 10 files), bytes.
    pub offset: u64,
}

/// What is wrong with the bytes.
#[derive(Debug, thiserror::Error)]
pub enum GateFault {
    #[error("could not be read: {0}")]
    Io(#[from] std::io::Error),
    #[error("ends inside an element, item or sequence")]
    Truncated,
    #[error("declares {declared} bytes where {remain} remain")]
    Overrun { declared: u64, remain: u64 },
    #[error("is nested more than {MAX_DEPTH} sequences deep")]
    TooDeep,
    #[error("is element number {MAX_ELEMENTS} and not the last")]
    TooMany,
    #[error("has no known value representation")]
    UnknownVr,
    #[error("has VR {found} where {wanted} is required")]
    WrongVr { found: &'static str, wanted: &'static str },
    #[error("has a length of {length}, no multiple of the {unit} bytes of VR {vr}")]
    Ragged { length: u32, unit: u32, vr: &'static str },
    #[error("has undefined length, which VR {0} may not have")]
    UndefinedLength(&'static str),
    #[error("comes after {0}, out of ascending order or twice")]
    OutOfOrder(Tag),
    #[error("is a tag that no data set may hold")]
    IllegalTag,
    #[error("is an item or delimiter out of place")]
    Misplaced,
    #[error("is a delimiter with a length")]
    DelimiterLength,
    #[error("does not match the transfer syntax: {0}")]
    PixelForm(&'static str),
    #[error("{0}")]
    Pixels(#[from] PixelLie),
    #[error("is no DICOM file: {0}")]
    NotPart10(&'static str),
    #[error("has transfer syntax {0}, which is not taken")]
    TransferSyntax(String),
}

impl GateFault {
    /// What the sender can do.
    fn remedy(&self) -> &'static str {
        match self {
            Self::Io(_) => "check the disk",
            Self::Truncated | Self::Overrun { .. } => "send the instance again, whole",
            Self::TooDeep | Self::TooMany => "split the object or flatten it",
            Self::UnknownVr | Self::WrongVr { .. } | Self::Ragged { .. } => {
                "have the sender's encoding corrected, or send it as Implicit VR Little Endian"
            }
            Self::UndefinedLength(_) => {
                "have the element written as a sequence (SQ) or with its length"
            }
            Self::OutOfOrder(_) | Self::IllegalTag => {
                "have the sender write each element once, in ascending order"
            }
            Self::Misplaced | Self::DelimiterLength => "have the sender's sequences corrected",
            Self::PixelForm(_) => "send the pixel data in the negotiated transfer syntax",
            Self::Pixels(PixelLie::NoPixels) => "send the instance with its pixels",
            Self::Pixels(_) => "export the image again from its source",
            Self::NotPart10(_) => "give a DICOM Part 10 file (preamble, DICM, meta information)",
            Self::TransferSyntax(_) => {
                "convert to Explicit VR Little Endian, for instance with dcmconv +te"
            }
        }
    }
}

/// Walks a data set in memory (no preamble, no meta information).
pub fn check(data: &[u8], syntax: TransferSyntaxKind) -> Result<GateReport, GateError> {
    check_reader(&mut Cursor::new(data), syntax)
}

/// Walks the data set that reaches from the reader's position to its end. Pixel data and other
/// large values are skipped by seeking; at most 8 KiB are held.
pub fn check_reader<R: Read + Seek>(
    reader: &mut R,
    syntax: TransferSyntaxKind,
) -> Result<GateReport, GateError> {
    let source = source::Source::new(reader).map_err(|e| GateError {
        fault: GateFault::Io(e),
        path: "data set".into(),
        offset: 0,
    })?;
    walk::Walk::new(source, syntax).run()
}

/// Bytes of one value, of which a value's length is a multiple (PS3.5 table 6.2-1).
fn unit(vr: VR) -> u32 {
    match vr {
        VR::FD | VR::OD | VR::OV | VR::SV | VR::UV => 8,
        VR::AT | VR::FL | VR::OF | VR::OL | VR::SL | VR::UL => 4,
        VR::OW | VR::SS | VR::US => 2,
        _ => 1,
    }
}

/// Whether the explicit form of this VR has a 32-bit length after two reserved bytes.
fn has_long_length(vr: VR) -> bool {
    matches!(
        vr,
        VR::OB
            | VR::OD
            | VR::OF
            | VR::OL
            | VR::OV
            | VR::OW
            | VR::SQ
            | VR::SV
            | VR::UC
            | VR::UN
            | VR::UR
            | VR::UT
            | VR::UV
    )
}
