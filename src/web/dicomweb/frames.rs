//! Frames within pixel data: native ones by arithmetic, encapsulated ones by their fragments
//! (PS3.5 section 8 and A.4).

use super::file::ObjectFile;
use crate::web::Failure;
use axum::http::StatusCode;
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use std::io::{self, Read, Seek, SeekFrom, Write};

/// What decides where a frame lies. The gate has made sure that it agrees with the pixel data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) tag: Tag,
    pub(super) frames: u32,
    /// Bits of one native frame.
    frame_bits: u64,
}

fn number(object: &InMemDicomObject, tag: Tag) -> Option<u64> {
    object.get(tag)?.to_int().ok()
}

impl Layout {
    pub(super) fn of(file: &ObjectFile, object: &InMemDicomObject) -> Option<Self> {
        let pixels = file.report.pixel_data?;
        let frames = u32::try_from(number(object, tags::NUMBER_OF_FRAMES).unwrap_or(1)).ok()?;
        let samples = number(object, tags::SAMPLES_PER_PIXEL).unwrap_or(1);
        let bits = match pixels.tag {
            tags::FLOAT_PIXEL_DATA => 32,
            tags::DOUBLE_FLOAT_PIXEL_DATA => 64,
            _ => number(object, tags::BITS_ALLOCATED)?,
        };
        let rows = number(object, tags::ROWS)?;
        let plain = rows.checked_mul(number(object, tags::COLUMNS)?)?.checked_mul(samples)?;
        let mut frame_bits = plain.checked_mul(bits)?;
        let colour = object.get(tags::PHOTOMETRIC_INTERPRETATION).and_then(|e| e.to_str().ok());
        if pixels.fragments.is_none() && colour.is_some_and(|c| c.trim().ends_with("_422")) {
            // Two samples of colour for two pixels (PS3.3 C.7.6.3.1.2).
            frame_bits = frame_bits / 3 * 2;
        }
        (frames > 0).then_some(Self { tag: pixels.tag, frames, frame_bits })
    }

    /// Bytes of one native frame by itself.
    pub(super) fn frame_bytes(&self) -> u64 {
        self.frame_bits.div_ceil(8)
    }

    /// Writes native frame `frame` (0-based), its first pixel at the first bit.
    pub(super) fn copy_native(
        &self,
        file: &ObjectFile,
        frame: u32,
        to: &mut (impl Write + ?Sized),
    ) -> io::Result<()> {
        let pixels = file.pixels_at().ok_or(io::ErrorKind::NotFound)?;
        let first_bit = self.frame_bits * u64::from(frame);
        let at = pixels + first_bit / 8;
        if first_bit.is_multiple_of(8) && self.frame_bits.is_multiple_of(8) {
            return file.copy(at, self.frame_bytes(), to);
        }
        let shift = (first_bit % 8) as u32;
        let mut bytes = Vec::new();
        let spanned = (u64::from(shift) + self.frame_bits).div_ceil(8);
        file.copy(at, spanned, &mut bytes)?;
        to.write_all(&self.aligned(&bytes, shift))
    }

    /// One frame of 1-bit pixels that begins at bit `shift` of `bytes`, moved to bit 0; the bits
    /// after its end are 0.
    fn aligned(&self, bytes: &[u8], shift: u32) -> Vec<u8> {
        let wanted = self.frame_bytes() as usize;
        let byte = |n: usize| u16::from(bytes.get(n).copied().unwrap_or(0));
        let mut out: Vec<u8> =
            (0..wanted).map(|n| ((byte(n) | byte(n + 1) << 8) >> shift) as u8).collect();
        let used = self.frame_bits % 8;
        if let (Some(last), true) = (out.last_mut(), used != 0) {
            *last &= (1u8 << used) - 1;
        }
        out
    }
}

/// Frame numbers of a request (`1,3`), made 0-based: each exists, at most as many as there are.
pub(super) fn listed(text: &str, layout: &Layout) -> Result<Vec<u32>, Failure> {
    let wrong = || {
        let reason = format!("frames are numbers from 1 to {}, with commas between", layout.frames);
        Failure(StatusCode::BAD_REQUEST, reason)
    };
    let frames: Vec<u32> = text
        .split([',', ' '])
        .map(|number| match number.trim().parse::<u32>() {
            Ok(number) if (1..=layout.frames).contains(&number) => Ok(number - 1),
            _ => Err(wrong()),
        })
        .collect::<Result<_, _>>()?;
    if frames.len() > layout.frames as usize { Err(wrong()) } else { Ok(frames) }
}

/// Where the fragments of encapsulated pixel data lie in the file.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    /// Offset in the file and length, bytes.
    items: Vec<(u64, u64)>,
    /// Basic Offset Table; empty where not given.
    table: Vec<u32>,
    /// Where the delimiter after the last fragment ends.
    end: u64,
}

impl Fragments {
    pub(super) fn read(file: &ObjectFile) -> io::Result<Self> {
        let mut at = file.pixels_at().ok_or(io::ErrorKind::NotFound)?;
        let count = file.report.pixel_data.and_then(|pixels| pixels.fragments).unwrap_or(0);
        let mut this = Self::default();
        for n in 0..=count {
            let mut head = [0; 8];
            (&file.file).seek(SeekFrom::Start(at))?;
            (&file.file).read_exact(&mut head)?;
            let [_, _, _, _, a, b, c, d] = head;
            let length = u64::from(u32::from_le_bytes([a, b, c, d]));
            if n == 0 {
                let mut table = Vec::new();
                file.copy(at + 8, length, &mut table)?;
                let word = |w: &[u8]| u32::from_le_bytes([w[0], w[1], w[2], w[3]]);
                this.table = table.chunks_exact(4).map(word).collect();
            } else {
                this.items.push((at + 8, length));
            }
            at += 8 + length;
        }
        this.end = at + 8;
        Ok(this)
    }

    /// Where the rest of the data set begins in the file.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    pub(super) fn all(&self) -> &[(u64, u64)] {
        &self.items
    }

    /// The fragments of frame `frame` (0-based): all for a single frame, one each, or by the table.
    pub(super) fn of_frame(&self, frame: u32, frames: u32) -> Result<&[(u64, u64)], Failure> {
        let unclear = || {
            let reason = "fragments cannot be told to frames; retrieve the whole instance";
            Failure(StatusCode::NOT_ACCEPTABLE, reason.into())
        };
        let index = frame as usize;
        if frames == 1 {
            return Ok(&self.items);
        }
        if self.items.len() == frames as usize {
            return Ok(&self.items[index..=index]);
        }
        let first = self.items.first().ok_or_else(unclear)?.0;
        if self.table.len() != frames as usize {
            return Err(unclear());
        }
        let from = first + u64::from(self.table[index]);
        let to = self.table.get(index + 1).map_or(u64::MAX, |&next| first + u64::from(next));
        let begin = self.items.partition_point(|(at, _)| *at < from);
        let end = self.items.partition_point(|(at, _)| *at < to);
        if begin < end { Ok(&self.items[begin..end]) } else { Err(unclear()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_single_bits_are_cut_out_where_they_begin() {
        // Three frames of 3 x 3 bits run on without a gap: bits 0-8, 9-17, 18-26.
        let layout = Layout { tag: tags::PIXEL_DATA, frames: 3, frame_bits: 9 };
        let all: u32 = 0b111_000_111 | 0b010_101_010 << 9 | 0b100_000_001 << 18;
        let bytes = all.to_le_bytes();
        assert_eq!(layout.aligned(&bytes, 0), [0b1100_0111, 1]);
        assert_eq!(layout.aligned(&bytes[1..], 1), [0b1010_1010, 0]);
        assert_eq!(layout.aligned(&bytes[2..], 2), [0b0000_0001, 1]);
    }

    #[test]
    fn only_frames_that_exist_are_listed() {
        let layout = Layout { tag: tags::PIXEL_DATA, frames: 3, frame_bits: 8 };
        assert_eq!(listed("1,3", &layout).ok().unwrap(), [0, 2]);
        for text in ["0", "4", "", "1,", "x", "-1", "1,2,3,1"] {
            assert!(listed(text, &layout).is_err(), "{text:?}");
        }
    }

    #[test]
    fn fragments_belong_to_frames_by_number_or_by_table() {
        let items = vec![(108, 10), (126, 10), (144, 10)];
        let three = Fragments { items: items.clone(), table: vec![], end: 0 };
        assert_eq!(three.of_frame(1, 3).ok().unwrap(), &items[1..2]);
        assert_eq!(three.of_frame(0, 1).ok().unwrap(), &items[..]);
        assert!(three.of_frame(0, 2).is_err());
        let two = Fragments { items: items.clone(), table: vec![0, 36], end: 0 };
        assert_eq!(two.of_frame(0, 2).ok().unwrap(), &items[..2]);
        assert_eq!(two.of_frame(1, 2).ok().unwrap(), &items[2..]);
    }
}
