//! Whether the pixel data can be what the image description says (PS3.3 C.7.6.3).

use super::{PixelData, TransferSyntaxKind};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;

/// How description and pixel data contradict each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PixelLie {
    #[error("holds no pixels")]
    NoPixels,
    #[error("needs {0}, which is absent or empty")]
    Absent(&'static str),
    #[error("needs {0}, which has a value that cannot be")]
    Value(&'static str),
    #[error(
        "has {stored} bits stored or high bit {high_bit} beyond the {allocated} bits allocated"
    )]
    Bits { allocated: u16, stored: u16, high_bit: u16 },
    #[error("has rows, columns, frames, samples and bits whose product cannot be addressed")]
    Overflow,
    #[error("holds {found} bytes of pixels where {wanted} are described")]
    Size { wanted: u64, found: u64 },
    #[error("holds {fragments} fragments where {frames} frames are described")]
    Fragments { frames: u32, fragments: u32 },
}

impl PixelLie {
    pub(super) fn value(tag: Tag) -> Self {
        Self::Value(name(tag))
    }
}

/// The attributes that decide the size of the pixel data.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PixelDescription {
    rows: Option<u16>,
    columns: Option<u16>,
    samples: Option<u16>,
    frames: Option<u32>,
    allocated: Option<u16>,
    stored: Option<u16>,
    high_bit: Option<u16>,
    /// Two samples of colour for two pixels: its size is not the plain product.
    subsampled: bool,
}

fn name(tag: Tag) -> &'static str {
    match tag {
        tags::ROWS => "Rows (0028,0010)",
        tags::COLUMNS => "Columns (0028,0011)",
        tags::SAMPLES_PER_PIXEL => "Samples per Pixel (0028,0002)",
        tags::NUMBER_OF_FRAMES => "Number of Frames (0028,0008)",
        tags::BITS_ALLOCATED => "Bits Allocated (0028,0100)",
        tags::BITS_STORED => "Bits Stored (0028,0101)",
        tags::HIGH_BIT => "High Bit (0028,0102)",
        _ => "Photometric Interpretation (0028,0004)",
    }
}

impl PixelDescription {
    /// The VR that an attribute of the description must have; `None` for all other tags.
    pub(super) fn wants(tag: Tag) -> Option<VR> {
        match tag {
            tags::ROWS
            | tags::COLUMNS
            | tags::SAMPLES_PER_PIXEL
            | tags::BITS_ALLOCATED
            | tags::BITS_STORED
            | tags::HIGH_BIT => Some(VR::US),
            tags::NUMBER_OF_FRAMES => Some(VR::IS),
            tags::PHOTOMETRIC_INTERPRETATION => Some(VR::CS),
            _ => None,
        }
    }

    pub(super) fn take(&mut self, tag: Tag, value: &[u8], big: bool) -> Result<(), PixelLie> {
        let lie = PixelLie::value(tag);
        if tag == tags::PHOTOMETRIC_INTERPRETATION {
            self.subsampled = value.windows(4).any(|w| w == b"_422" || w == b"_420");
            return Ok(());
        }
        if tag == tags::NUMBER_OF_FRAMES {
            let text = std::str::from_utf8(value).map_err(|_| lie)?.trim_matches([' ', '\0']);
            self.frames = match text {
                "" => None,
                text => Some(text.parse().ok().filter(|n| *n > 0).ok_or(lie)?),
            };
            return Ok(());
        }
        let number = match *value {
            [] => None,
            [a, b] if big => Some(u16::from_be_bytes([a, b])),
            [a, b] => Some(u16::from_le_bytes([a, b])),
            _ => return Err(lie),
        };
        let slot = match tag {
            tags::ROWS => &mut self.rows,
            tags::COLUMNS => &mut self.columns,
            tags::SAMPLES_PER_PIXEL => &mut self.samples,
            tags::BITS_ALLOCATED => &mut self.allocated,
            tags::BITS_STORED => &mut self.stored,
            _ => &mut self.high_bit,
        };
        *slot = number;
        Ok(())
    }

    /// Compares with the pixel data that are there.
    pub(super) fn matches(
        &self,
        pixels: &PixelData,
        syntax: TransferSyntaxKind,
    ) -> Result<(), PixelLie> {
        let need = |value: Option<u16>, tag| value.ok_or(PixelLie::Absent(name(tag)));
        let rows = need(self.rows, tags::ROWS)?;
        let columns = need(self.columns, tags::COLUMNS)?;
        let samples = need(self.samples, tags::SAMPLES_PER_PIXEL)?;
        let frames = self.frames.unwrap_or(1);
        let bits = match pixels.tag {
            tags::FLOAT_PIXEL_DATA => 32,
            tags::DOUBLE_FLOAT_PIXEL_DATA => 64,
            _ => self.integer_bits()?,
        };
        for (value, tag) in
            [(rows, tags::ROWS), (columns, tags::COLUMNS), (samples, tags::SAMPLES_PER_PIXEL)]
        {
            if value == 0 {
                return Err(PixelLie::value(tag));
            }
        }
        if let Some(fragments) = pixels.fragments {
            let enough = match syntax {
                TransferSyntaxKind::EncapsulatedStream => fragments > 0,
                _ => fragments >= frames,
            };
            return if enough { Ok(()) } else { Err(PixelLie::Fragments { frames, fragments }) };
        }
        let wanted = [u64::from(columns), u64::from(samples), u64::from(frames), u64::from(bits)]
            .iter()
            .try_fold(u64::from(rows), |product, factor| product.checked_mul(*factor))
            .ok_or(PixelLie::Overflow)?
            .div_ceil(8)
            .next_multiple_of(2);
        if self.subsampled || pixels.length == wanted {
            return Ok(());
        }
        Err(match pixels.length {
            0 => PixelLie::NoPixels,
            found => PixelLie::Size { wanted, found },
        })
    }

    /// Bits allocated, after checking that stored bits and high bit lie within.
    fn integer_bits(&self) -> Result<u16, PixelLie> {
        let need = |value: Option<u16>, tag| value.ok_or(PixelLie::Absent(name(tag)));
        let allocated = need(self.allocated, tags::BITS_ALLOCATED)?;
        if !matches!(allocated, 1 | 8 | 16 | 24 | 32 | 64) {
            return Err(PixelLie::value(tags::BITS_ALLOCATED));
        }
        let stored = need(self.stored, tags::BITS_STORED)?;
        let high_bit = need(self.high_bit, tags::HIGH_BIT)?;
        if stored == 0 || stored > allocated || high_bit >= allocated || high_bit + 1 < stored {
            return Err(PixelLie::Bits { allocated, stored, high_bit });
        }
        Ok(allocated)
    }
}
