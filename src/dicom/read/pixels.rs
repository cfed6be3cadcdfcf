//! Pixel data to stored values: native, RLE, JPEG lossless, JPEG-LS lossless and JPEG 2000
//! lossless, with every length checked before anything is allocated (PS3.5 section 8 and annex A).

use super::attribute::{Object, malformed, name, required_unsigned, text, unsigned};
use super::codestream;
use super::error::ReadError;
use dicom_core::value::PixelFragmentSequence;
use dicom_core::value::fragments::Fragments;
use dicom_dictionary_std::{tags, uids};
use dicom_object::DefaultDicomObject;
use dicom_pixeldata::PixelDecoder;
use rayon::prelude::*;

/// Most bytes of decoded pixel data that one instance may hold: 4 GiB, as the largest instance
/// that the node accepts.
const DECODED_LIMIT_BYTES: u64 = 4 << 30;

/// How pixel data is kept in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Native,
    /// By the codecs of dicom-pixeldata.
    Rle,
    Jpeg,
    Jpeg2000,
    JpegLs,
}

/// The syntaxes that are decoded; what is not here is refused, lossy ones as such.
fn coding(transfer_syntax: &str) -> Result<Coding, ReadError> {
    match transfer_syntax {
        uids::IMPLICIT_VR_LITTLE_ENDIAN | uids::EXPLICIT_VR_LITTLE_ENDIAN => Ok(Coding::Native),
        uids::RLE_LOSSLESS => Ok(Coding::Rle),
        uids::JPEG_LOSSLESS | uids::JPEG_LOSSLESS_SV1 => Ok(Coding::Jpeg),
        uids::JPEG2000_LOSSLESS => Ok(Coding::Jpeg2000),
        uids::JPEGLS_LOSSLESS => Ok(Coding::JpegLs),
        uids::JPEG_BASELINE8_BIT
        | uids::JPEG_EXTENDED12_BIT
        | uids::JPEGLS_NEAR_LOSSLESS
        | uids::JPEG2000
        | uids::HTJ2K => {
            Err(ReadError::Lossy { evidence: format!("transfer syntax {transfer_syntax}") })
        }
        other => Err(ReadError::TransferSyntax(other.to_owned())),
    }
}

/// The Image Pixel module (PS3.3 C.7.6.3), consistent in itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PixelFormat {
    pub rows: u32,
    pub columns: u32,
    pub frames: u32,
    pub bits_allocated: u32,
    pub bits_stored: u32,
    pub high_bit: u32,
    pub signed: bool,
}

impl PixelFormat {
    pub fn of(object: &Object) -> Result<Self, ReadError> {
        let need = |tag| required_unsigned(object, tag, "pixel data cannot be read");
        let bits_allocated = need(tags::BITS_ALLOCATED)?;
        let bits_stored = unsigned(object, tags::BITS_STORED)?.unwrap_or(bits_allocated);
        let format = Self {
            rows: need(tags::ROWS)?,
            columns: need(tags::COLUMNS)?,
            frames: unsigned(object, tags::NUMBER_OF_FRAMES)?.unwrap_or(1),
            bits_allocated,
            bits_stored,
            high_bit: unsigned(object, tags::HIGH_BIT)?.unwrap_or(bits_stored.saturating_sub(1)),
            signed: match unsigned(object, tags::PIXEL_REPRESENTATION)? {
                None | Some(0) => false,
                Some(1) => true,
                Some(_) => return Err(malformed(tags::PIXEL_REPRESENTATION, "0 or 1 is wanted")),
            },
        };
        if unsigned(object, tags::SAMPLES_PER_PIXEL)?.unwrap_or(1) != 1 {
            return Err(malformed(tags::SAMPLES_PER_PIXEL, "images of one sample are wanted"));
        }
        if !matches!(bits_allocated, 1 | 8 | 16 | 32) {
            return Err(malformed(tags::BITS_ALLOCATED, "1, 8, 16 or 32 is wanted"));
        }
        if bits_stored == 0
            || format.high_bit >= bits_allocated
            || bits_stored > format.high_bit + 1
        {
            return Err(malformed(tags::BITS_STORED, "it does not fit Bits Allocated, High Bit"));
        }
        if format.rows == 0 || format.columns == 0 || format.frames == 0 {
            return Err(malformed(tags::ROWS, "rows, columns and frames must be at least 1"));
        }
        Ok(format)
    }

    /// Pixels of one frame.
    pub fn frame_pixels(&self) -> usize {
        self.rows as usize * self.columns as usize
    }

    /// Bytes that all frames fill when native; frames of 1-bit data run on without a gap.
    pub fn native_bytes(&self) -> Result<u64, ReadError> {
        u64::from(self.rows)
            .checked_mul(u64::from(self.columns))
            .and_then(|n| n.checked_mul(u64::from(self.frames)))
            .and_then(|n| n.checked_mul(u64::from(self.bits_allocated)))
            .map(|bits| bits.div_ceil(8))
            .filter(|&bytes| bytes <= DECODED_LIMIT_BYTES)
            .ok_or_else(|| malformed(tags::ROWS, "the image would be larger than 4 GiB"))
    }

    fn describe(&self) -> String {
        format!(
            "{} rows x {} columns x {} frames of {} bits",
            self.rows, self.columns, self.frames, self.bits_allocated
        )
    }

    /// The stored value in an allocated word: bits above High Bit masked, sign extended.
    fn stored(&self, word: u32) -> i64 {
        let shifted = i64::from(word) >> (self.high_bit + 1 - self.bits_stored);
        let value = shifted & ((1i64 << self.bits_stored) - 1);
        if self.signed && value >> (self.bits_stored - 1) != 0 {
            value - (1i64 << self.bits_stored)
        } else {
            value
        }
    }
}

/// Decoded pixel data of one instance.
#[derive(Debug, Clone)]
pub struct Pixels {
    format: PixelFormat,
    bytes: Vec<u8>,
}

impl Pixels {
    /// Pixels that are native already; `bytes` are all that `format` describes.
    pub fn native(format: PixelFormat, bytes: Vec<u8>) -> Result<Self, ReadError> {
        let (expected, actual) = (format.native_bytes()?, bytes.len() as u64);
        if actual < expected {
            return Err(ReadError::PixelLength { expected, actual, what: format.describe() });
        }
        Ok(Self { format, bytes })
    }

    /// Native little endian, frame after frame.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub fn format(&self) -> &PixelFormat {
        &self.format
    }

    /// Hands each stored value of frame `frame` (0-based) to `take` with its place in the frame,
    /// row by row.
    ///
    /// # Panics
    /// When there is no such frame.
    pub fn for_each(&self, frame: usize, mut take: impl FnMut(usize, i64)) {
        let pixels = self.format.frame_pixels();
        assert!(frame < self.format.frames as usize, "frame outside the instance");
        let first = frame * pixels;
        if self.format.bits_allocated == 1 {
            for n in 0..pixels {
                let bit = first + n;
                take(n, i64::from(self.bytes[bit / 8] >> (bit % 8) & 1));
            }
            return;
        }
        let width = self.format.bits_allocated as usize / 8;
        let words = self.bytes[first * width..(first + pixels) * width].chunks_exact(width);
        for (n, word) in words.enumerate() {
            let raw = word.iter().rev().fold(0u32, |value, &b| value << 8 | u32::from(b));
            take(n, self.format.stored(raw));
        }
    }

    /// The stored values of one frame.
    pub fn frame(&self, frame: usize) -> Vec<i64> {
        let mut values = Vec::with_capacity(self.format.frame_pixels());
        self.for_each(frame, |_, value| values.push(value));
        values
    }
}

/// Decodes the pixel data of an instance that never met a lossy codec.
pub fn decode(object: &DefaultDicomObject) -> Result<Pixels, ReadError> {
    if text(object, tags::LOSSY_IMAGE_COMPRESSION).as_deref() == Some("01") {
        return Err(ReadError::Lossy { evidence: name(tags::LOSSY_IMAGE_COMPRESSION) + " is 01" });
    }
    let coding = coding(object.meta().transfer_syntax.trim_end_matches('\0'))?;
    let format = PixelFormat::of(object)?;
    let expected = format.native_bytes()?;
    let element = object.get(tags::PIXEL_DATA).ok_or(ReadError::EmptyPixels)?;
    let bytes = match (coding, element.fragments()) {
        (Coding::Native, None) => {
            let bytes = element.to_bytes().map_err(|e| ReadError::Codec(e.to_string()))?;
            if bytes.is_empty() {
                return Err(ReadError::EmptyPixels);
            }
            bytes.into_owned()
        }
        (Coding::Native, Some(_)) | (_, None) => {
            return Err(ReadError::Codec("its form is not that of its transfer syntax".into()));
        }
        (coding, Some(fragments)) => {
            let table = element.offset_table().unwrap_or(&[]);
            encapsulated(object, coding, &format, fragments, table)?
        }
    };
    let actual = bytes.len() as u64;
    if actual < expected || actual > expected + expected % 2 {
        return Err(ReadError::PixelLength { expected, actual, what: format.describe() });
    }
    Ok(Pixels { format, bytes })
}

fn encapsulated(
    object: &DefaultDicomObject,
    coding: Coding,
    format: &PixelFormat,
    fragments: &[Vec<u8>],
    table: &[u32],
) -> Result<Vec<u8>, ReadError> {
    if fragments.iter().all(Vec::is_empty) {
        return Err(ReadError::EmptyPixels);
    }
    if !matches!(format.bits_allocated, 8 | 16) {
        return Err(malformed(
            tags::BITS_ALLOCATED,
            "compressed pixels of 8 or 16 bits are wanted",
        ));
    }
    let frames = (0..format.frames)
        .into_par_iter()
        .map(|frame| {
            let code = codestream::of_frame(fragments, table, frame, format.frames)?;
            match coding {
                Coding::JpegLs => {
                    codestream::check_jpeg(&code, format)?;
                    jpeg_ls(&codestream::without_fill_before_end(code), format)
                }
                other => {
                    match other {
                        Coding::Jpeg => codestream::check_jpeg(&code, format)?,
                        Coding::Jpeg2000 => codestream::check_jpeg2000(&code, format)?,
                        Coding::Rle | Coding::Native | Coding::JpegLs => {}
                    }
                    one_frame(object, code, format)
                }
            }
        })
        .collect::<Result<Vec<_>, ReadError>>()?;
    Ok(frames.concat())
}

/// One frame through dicom-pixeldata, as an instance of its own: its codecs assume fragments and
/// frames to agree, which `codestream::of_frame` has made sure of.
fn one_frame(
    object: &DefaultDicomObject,
    code: Vec<u8>,
    format: &PixelFormat,
) -> Result<Vec<u8>, ReadError> {
    use dicom_core::{DataElement, PrimitiveValue, VR};
    let codec = |e: &dyn std::fmt::Display| ReadError::Codec(e.to_string());
    let mut single = Object::new_empty();
    for (tag, value) in [
        (tags::SAMPLES_PER_PIXEL, 1),
        (tags::ROWS, format.rows),
        (tags::COLUMNS, format.columns),
        (tags::BITS_ALLOCATED, format.bits_allocated),
        (tags::BITS_STORED, format.bits_stored),
        (tags::HIGH_BIT, format.high_bit),
        (tags::PIXEL_REPRESENTATION, u32::from(format.signed)),
    ] {
        let word = u16::try_from(value).map_err(|e| codec(&e))?;
        single.put(DataElement::new(tag, VR::US, PrimitiveValue::from(word)));
    }
    single.put(DataElement::new(
        tags::PHOTOMETRIC_INTERPRETATION,
        VR::CS,
        PrimitiveValue::from("MONOCHROME2"),
    ));
    let fragments = Fragments::new(code, 0);
    let sequence: PixelFragmentSequence<Vec<u8>> = vec![fragments].into();
    single.put(DataElement::new(tags::PIXEL_DATA, VR::OB, sequence));
    let single = single.with_exact_meta(object.meta().clone());
    let decoded = single.decode_pixel_data().map_err(|e| codec(&e))?;
    let bytes = decoded.into_data();
    let wanted = format.frame_pixels() * format.bits_allocated as usize / 8;
    if bytes.len() != wanted {
        return Err(ReadError::PixelLength {
            expected: wanted as u64,
            actual: bytes.len() as u64,
            what: "one decoded frame".into(),
        });
    }
    Ok(bytes)
}

fn jpeg_ls(code: &[u8], format: &PixelFormat) -> Result<Vec<u8>, ReadError> {
    let (values, width, height) = jpegls::decode(code, format.columns, format.rows)
        .map_err(|e| ReadError::Codec(format!("JPEG-LS: {e}")))?;
    if (width, height) != (format.columns, format.rows) || values.len() != format.frame_pixels() {
        return Err(ReadError::Codec("JPEG-LS: the code has another size than the header".into()));
    }
    if format.bits_allocated == 8 {
        let narrow = |v: u16| u8::try_from(v).map_err(|_| ReadError::Codec("9 bits".into()));
        values.into_iter().map(narrow).collect()
    } else {
        Ok(values.into_iter().flat_map(u16::to_le_bytes).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_above_the_high_bit_are_masked_and_signs_extended() {
        let twelve = PixelFormat {
            rows: 1,
            columns: 1,
            frames: 1,
            bits_allocated: 16,
            bits_stored: 12,
            high_bit: 11,
            signed: true,
        };
        assert_eq!(twelve.stored(0xF7FF), 2047);
        assert_eq!(twelve.stored(0x0FFF), -1);
        assert_eq!(twelve.stored(0x0800), -2048);
        let upper = PixelFormat { high_bit: 15, signed: false, ..twelve };
        assert_eq!(upper.stored(0xABCD), 0xABC);
        let all = PixelFormat { bits_allocated: 32, bits_stored: 32, high_bit: 31, ..twelve };
        assert_eq!(all.stored(u32::MAX), -1);
        assert_eq!(PixelFormat { signed: false, ..all }.stored(u32::MAX), i64::from(u32::MAX));
    }

    #[test]
    fn sizes_that_overflow_are_refused_before_anything_is_allocated() {
        let huge = PixelFormat {
            rows: u32::MAX,
            columns: u32::MAX,
            frames: u32::MAX,
            bits_allocated: 32,
            bits_stored: 32,
            high_bit: 31,
            signed: false,
        };
        assert!(huge.native_bytes().is_err());
        let bits = PixelFormat { rows: 3, columns: 3, frames: 3, bits_allocated: 1, ..huge };
        assert_eq!(bits.native_bytes().unwrap(), 4);
    }
}
