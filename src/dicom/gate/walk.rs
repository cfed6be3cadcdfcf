//! The walk itself: one loop, one fixed stack.

use super::pixels::{PixelDescription, PixelLie};
use super::source::Source;
use super::{
    GateError, GateFault, GateReport, MAX_DEPTH, MAX_ELEMENTS, PixelData, TransferSyntaxKind,
    has_long_length, unit,
};
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags};
use std::io::{Read, Seek};

const ITEM: Tag = Tag(0xFFFE, 0xE000);
const ITEM_END: Tag = Tag(0xFFFE, 0xE00D);
const SEQUENCE_END: Tag = Tag(0xFFFE, 0xE0DD);
const UNDEFINED: u32 = u32::MAX;

/// Top-level elements that hold the bulk of an object and follow everything that describes it.
const BULK: [Tag; 8] = [
    tags::CONTENT_SEQUENCE,
    tags::ENCAPSULATED_DOCUMENT,
    tags::ROI_CONTOUR_SEQUENCE,
    tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
    tags::WAVEFORM_SEQUENCE,
    tags::FLOAT_PIXEL_DATA,
    tags::DOUBLE_FLOAT_PIXEL_DATA,
    tags::PIXEL_DATA,
];

/// One open sequence and the item we are in.
#[derive(Clone, Copy)]
struct Level {
    tag: Tag,
    /// Where the sequence ends at the latest, and whether its length says so.
    limit: u64,
    defined: bool,
    /// Items begun so far.
    items: u32,
    item: Option<Item>,
}

#[derive(Clone, Copy)]
struct Item {
    limit: u64,
    defined: bool,
    last: Option<Tag>,
}

struct ElementHeader {
    tag: Tag,
    vr: VR,
    length: u32,
}

type Checked<T> = Result<T, GateFault>;

pub(super) struct Walk<'r, R> {
    source: Source<'r, R>,
    syntax: TransferSyntaxKind,
    levels: [Level; MAX_DEPTH],
    depth: usize,
    /// Last tag of the top level.
    last: Option<Tag>,
    /// Tag and offset of what is being looked at, for errors.
    current: Option<Tag>,
    offset: u64,
    pixels: PixelDescription,
    report: GateReport,
}

impl<'r, R: Read + Seek> Walk<'r, R> {
    pub(super) fn new(source: Source<'r, R>, syntax: TransferSyntaxKind) -> Self {
        let none = Level { tag: ITEM, limit: 0, defined: false, items: 0, item: None };
        let report = GateReport {
            bytes: source.end(),
            elements: 0,
            depth: 0,
            bulk: None,
            header_bytes: source.end(),
            header_elements: 0,
            pixel_data: None,
        };
        Self {
            source,
            syntax,
            levels: [none; MAX_DEPTH],
            depth: 0,
            last: None,
            current: None,
            offset: 0,
            pixels: PixelDescription::default(),
            report,
        }
    }

    pub(super) fn run(mut self) -> Result<GateReport, GateError> {
        match self.walk() {
            Ok(()) => Ok(self.report),
            Err(fault) => Err(GateError { fault, path: self.path(), offset: self.offset }),
        }
    }

    fn walk(&mut self) -> Checked<()> {
        while self.step()? {}
        if self.report.bulk.is_none() {
            self.report.header_elements = self.report.elements;
        }
        if let Some(pixels) = self.report.pixel_data {
            // The place to show is the pixel data, not whatever came last.
            (self.current, self.offset) = (Some(pixels.tag), pixels.offset);
            self.pixels.matches(&pixels, self.syntax)?;
        }
        Ok(())
    }

    /// Closes what ends here or reads one header; false at the end of the data set.
    fn step(&mut self) -> Checked<bool> {
        let here = self.source.position();
        self.offset = here;
        self.current = None;
        let Some(level) = self.levels[..self.depth].last_mut() else {
            if here == self.source.end() {
                return Ok(false);
            }
            return self.element().map(|()| true);
        };
        match level.item {
            Some(item) if item.defined && here == item.limit => level.item = None,
            Some(_) => self.element()?,
            None if level.defined && here == level.limit => self.depth -= 1,
            None => self.item()?,
        }
        Ok(true)
    }

    /// Where the innermost item (or the data set) ends at the latest.
    fn limit(&self) -> u64 {
        match self.levels[..self.depth].last() {
            None => self.source.end(),
            Some(level) => level.item.map_or(level.limit, |item| item.limit),
        }
    }

    fn remain(&self) -> u64 {
        self.limit().saturating_sub(self.source.position())
    }

    fn need(&self, bytes: u64) -> Checked<()> {
        if self.remain() < bytes { Err(GateFault::Truncated) } else { Ok(()) }
    }

    /// A declared length must lie within what encloses it.
    fn within(&self, length: u32) -> Checked<()> {
        let (declared, remain) = (u64::from(length), self.remain());
        if declared > remain { Err(GateFault::Overrun { declared, remain }) } else { Ok(()) }
    }

    fn count(&mut self) -> Checked<()> {
        if self.report.elements >= MAX_ELEMENTS {
            return Err(GateFault::TooMany);
        }
        self.report.elements += 1;
        Ok(())
    }

    fn u16_of(&self, bytes: [u8; 2]) -> u16 {
        match self.syntax {
            TransferSyntaxKind::ExplicitBig => u16::from_be_bytes(bytes),
            _ => u16::from_le_bytes(bytes),
        }
    }

    fn u32_of(&self, bytes: [u8; 4]) -> u32 {
        match self.syntax {
            TransferSyntaxKind::ExplicitBig => u32::from_be_bytes(bytes),
            _ => u32::from_le_bytes(bytes),
        }
    }

    fn tag(&mut self) -> Checked<Tag> {
        let [a, b, c, d] = self.source.take()?;
        let tag = Tag(self.u16_of([a, b]), self.u16_of([c, d]));
        self.current = Some(tag);
        Ok(tag)
    }

    fn length(&mut self) -> Checked<u32> {
        let bytes = self.source.take()?;
        Ok(self.u32_of(bytes))
    }

    /// Between items of a sequence: an item begins, or the sequence ends by its delimiter.
    fn item(&mut self) -> Checked<()> {
        self.need(8)?;
        let tag = self.tag()?;
        let length = self.length()?;
        let defined = self.levels[self.depth - 1].defined;
        match tag {
            ITEM => {
                self.count()?;
                let limit = if length == UNDEFINED {
                    self.limit()
                } else {
                    self.within(length)?;
                    self.source.position() + u64::from(length)
                };
                let level = &mut self.levels[self.depth - 1];
                level.items += 1;
                level.item = Some(Item { limit, defined: length != UNDEFINED, last: None });
                Ok(())
            }
            SEQUENCE_END if defined => Err(GateFault::Misplaced),
            SEQUENCE_END if length != 0 => Err(GateFault::DelimiterLength),
            SEQUENCE_END => {
                self.depth -= 1;
                Ok(())
            }
            _ => Err(GateFault::Misplaced),
        }
    }

    /// An element, or the delimiter that ends an item of undefined length.
    fn element(&mut self) -> Checked<()> {
        self.need(8)?;
        let at = self.source.position();
        let tag = self.tag()?;
        if tag.0 == 0xFFFE {
            return self.item_end(tag);
        }
        self.in_order(tag)?;
        let (vr, length) = self.vr_and_length(tag)?;
        if self.depth == 0 && self.report.bulk.is_none() && BULK.contains(&tag) {
            self.report.bulk = Some(tag);
            self.report.header_bytes = at;
            self.report.header_elements = self.report.elements;
        }
        self.count()?;
        self.value(&ElementHeader { tag, vr, length })
    }

    fn item_end(&mut self, tag: Tag) -> Checked<()> {
        let length = self.length()?;
        let level = self.levels[..self.depth].last_mut().ok_or(GateFault::Misplaced)?;
        match level.item {
            Some(item) if tag == ITEM_END && !item.defined && length == 0 => {
                level.item = None;
                Ok(())
            }
            Some(item) if tag == ITEM_END && !item.defined => Err(GateFault::DelimiterLength),
            _ => Err(GateFault::Misplaced),
        }
    }

    /// Tags rise strictly: a second element of one tag would make readers disagree on its value.
    fn in_order(&mut self, tag: Tag) -> Checked<()> {
        if tag.0 < 0x0008 || tag.0 == 0xFFFF {
            return Err(GateFault::IllegalTag);
        }
        let last = match self.levels[..self.depth].last_mut().and_then(|l| l.item.as_mut()) {
            Some(item) => &mut item.last,
            None => &mut self.last,
        };
        if let Some(before) = *last
            && before >= tag
        {
            return Err(GateFault::OutOfOrder(before));
        }
        *last = Some(tag);
        Ok(())
    }

    fn vr_and_length(&mut self, tag: Tag) -> Checked<(VR, u32)> {
        if self.syntax == TransferSyntaxKind::ImplicitLittle {
            return Ok((implicit_vr(tag), self.length()?));
        }
        let [a, b, c, d] = self.source.take()?;
        let vr = VR::from_binary([a, b]).ok_or(GateFault::UnknownVr)?;
        if !has_long_length(vr) {
            return Ok((vr, u32::from(self.u16_of([c, d]))));
        }
        self.need(4)?;
        Ok((vr, self.length()?))
    }

    fn value(&mut self, header: &ElementHeader) -> Checked<()> {
        let &ElementHeader { tag, vr, length } = header;
        if length == UNDEFINED {
            let implicit = self.syntax == TransferSyntaxKind::ImplicitLittle;
            return match vr {
                _ if tag == tags::PIXEL_DATA => self.encapsulated(vr),
                VR::SQ => self.open(tag, length),
                // What the dictionary does not know can only be a sequence here; in explicit
                // syntaxes readers differ on how the items of such a UN are encoded.
                VR::UN if implicit => self.open(tag, length),
                _ => Err(GateFault::UndefinedLength(vr.to_string())),
            };
        }
        self.within(length)?;
        if vr == VR::SQ {
            return self.open(tag, length);
        }
        let even = if tag.0 == 0x7FE0 { 2 } else { 1 };
        let unit = unit(vr).max(even);
        if length % unit != 0 {
            return Err(GateFault::Ragged { length, unit, vr: vr.to_string() });
        }
        if self.depth == 0 {
            return self.top_level_value(header);
        }
        self.source.skip(u64::from(length))?;
        Ok(())
    }

    fn open(&mut self, tag: Tag, length: u32) -> Checked<()> {
        if self.depth == MAX_DEPTH {
            return Err(GateFault::TooDeep);
        }
        let defined = length != UNDEFINED;
        let limit = if defined { self.source.position() + u64::from(length) } else { self.limit() };
        self.levels[self.depth] = Level { tag, limit, defined, items: 0, item: None };
        self.depth += 1;
        self.report.depth = self.report.depth.max(self.depth);
        Ok(())
    }

    /// Values of the top level that bound the pixel data are kept, all others are skipped.
    fn top_level_value(&mut self, header: &ElementHeader) -> Checked<()> {
        let length = u64::from(header.length);
        if matches!(
            header.tag,
            tags::PIXEL_DATA | tags::FLOAT_PIXEL_DATA | tags::DOUBLE_FLOAT_PIXEL_DATA
        ) {
            if header.tag == tags::PIXEL_DATA && self.syntax.is_encapsulated() {
                return Err(GateFault::PixelForm("native pixel data in an encapsulated syntax"));
            }
            if self.report.pixel_data.is_some() {
                return Err(GateFault::PixelForm("more than one kind of pixel data"));
            }
            self.report.pixel_data = Some(PixelData {
                tag: header.tag,
                offset: self.source.position(),
                length,
                fragments: None,
            });
        } else if let Some(wanted) = PixelDescription::wants(header.tag) {
            if header.vr != wanted {
                let (found, wanted) = (header.vr.to_string(), wanted.to_string());
                return Err(GateFault::WrongVr { found, wanted });
            }
            let mut value = [0; 64];
            if let Some(value) = value.get_mut(..header.length as usize) {
                self.source.fill(value)?;
                let big = self.syntax == TransferSyntaxKind::ExplicitBig;
                return Ok(self.pixels.take(header.tag, value, big)?);
            }
            return Err(PixelLie::value(header.tag).into());
        }
        self.source.skip(length)?;
        Ok(())
    }

    /// Fragments: an offset table, then items of defined, even length, then the delimiter.
    fn encapsulated(&mut self, vr: VR) -> Checked<()> {
        if !self.syntax.is_encapsulated() {
            return Err(GateFault::PixelForm("fragments in a native syntax"));
        }
        if !matches!(vr, VR::OB | VR::OW) {
            return Err(GateFault::WrongVr { found: vr.to_string(), wanted: "OB" });
        }
        let offset = self.source.position();
        let (mut items, mut bytes) = (0u32, 0u64);
        loop {
            self.offset = self.source.position();
            self.need(8)?;
            let tag = self.tag()?;
            let length = self.length()?;
            match tag {
                SEQUENCE_END if length == 0 => break,
                SEQUENCE_END => return Err(GateFault::DelimiterLength),
                ITEM if length == UNDEFINED => return Err(GateFault::UndefinedLength("OB")),
                ITEM => self.within(length)?,
                _ => return Err(GateFault::Misplaced),
            }
            self.count()?;
            let unit = if items == 0 { 4 } else { 2 };
            if length % unit != 0 {
                return Err(GateFault::Ragged { length, unit, vr: "OB" });
            }
            if items > 0 {
                bytes += u64::from(length);
            }
            items += 1;
            self.source.skip(u64::from(length))?;
        }
        if self.depth == 0 {
            self.report.pixel_data = Some(PixelData {
                tag: tags::PIXEL_DATA,
                offset,
                length: bytes,
                fragments: Some(items.saturating_sub(1)),
            });
        }
        Ok(())
    }

    /// Tag path of the current element.
    fn path(&self) -> String {
        let mut path = String::new();
        for level in &self.levels[..self.depth] {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(&format!("{}[{}]", level.tag, level.items));
        }
        match self.current {
            Some(tag) if path.is_empty() => tag.to_string(),
            Some(tag) => format!("{path}.{tag}"),
            None if path.is_empty() => "data set".into(),
            None => path,
        }
    }
}

/// The VR that the parser gives to an element of Implicit VR Little Endian.
fn implicit_vr(tag: Tag) -> VR {
    if tag == tags::PIXEL_DATA || (tag.0 >> 8 == 0x60 && tag.1 == 0x3000) {
        return VR::OW;
    }
    StandardDataDictionary.by_tag(tag).map_or(VR::UN, |entry| entry.vr().relaxed())
}
