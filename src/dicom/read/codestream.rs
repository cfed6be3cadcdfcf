//! Fragments to the code of one frame, and the sizes that a code itself declares: a codec must
//! never meet a code whose size is not the header's.

use super::error::ReadError;
use super::pixels::PixelFormat;

fn codec(reason: &str) -> ReadError {
    ReadError::Codec(reason.to_owned())
}

/// The code of frame `frame` (0-based) of `frames`: one fragment a frame, all fragments for a
/// single frame, or by the Basic Offset Table (PS3.5 A.4).
pub fn of_frame(
    fragments: &[Vec<u8>],
    table: &[u32],
    frame: u32,
    frames: u32,
) -> Result<Vec<u8>, ReadError> {
    if frames == 1 {
        return Ok(fragments.concat());
    }
    if fragments.len() == frames as usize {
        return Ok(fragments[frame as usize].clone());
    }
    if table.len() != frames as usize {
        return Err(codec("fragments cannot be told to frames: no offset table of that length"));
    }
    let from = u64::from(table[frame as usize]);
    let to = table.get(frame as usize + 1).map_or(u64::MAX, |&next| u64::from(next));
    let mut at = 0u64;
    let mut code = Vec::new();
    for fragment in fragments {
        if (from..to).contains(&at) {
            code.extend_from_slice(fragment);
        }
        // Each item has a header of 8 bytes, which the offsets count.
        at += fragment.len() as u64 + 8;
    }
    if code.is_empty() { Err(codec("an offset points at no fragment")) } else { Ok(code) }
}

fn word(code: &[u8], at: usize) -> Option<u32> {
    Some(u32::from(u16::from_be_bytes(code.get(at..at + 2)?.try_into().ok()?)))
}

fn double_word(code: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(code.get(at..at + 4)?.try_into().ok()?))
}

/// Size in the frame header of JPEG (SOF3 and its kin) or JPEG-LS (SOF55): precision, lines,
/// samples a line, components.
fn jpeg_size(code: &[u8]) -> Option<(u32, u32, u32, u32)> {
    let mut at = 2;
    if word(code, 0)? != 0xFFD8 {
        return None;
    }
    loop {
        let marker = word(code, at)?;
        let is_frame =
            matches!(marker, 0xFFC0..=0xFFCF if !matches!(marker, 0xFFC4 | 0xFFC8 | 0xFFCC));
        if is_frame || marker == 0xFFF7 {
            let byte = |n: usize| code.get(at + n).map(|&b| u32::from(b));
            return Some((byte(4)?, word(code, at + 5)?, word(code, at + 7)?, byte(9)?));
        }
        if marker == 0xFFDA || marker < 0xFF00 {
            return None;
        }
        at = at.checked_add(2 + word(code, at + 2)? as usize)?;
    }
}

pub fn check_jpeg(code: &[u8], format: &PixelFormat) -> Result<(), ReadError> {
    match jpeg_size(code) {
        Some((precision, rows, columns, 1))
            if (rows, columns) == (format.rows, format.columns)
                && precision <= format.bits_allocated
                && (precision > 8) == (format.bits_allocated == 16) =>
        {
            Ok(())
        }
        Some(_) => Err(codec("the code's own size, depth or components are not the header's")),
        None => Err(codec("no JPEG frame header was found")),
    }
}

/// The SIZ marker of JPEG 2000 (ISO 15444-1 A.5.1).
pub fn check_jpeg2000(code: &[u8], format: &PixelFormat) -> Result<(), ReadError> {
    // Layout after the two markers: Lsiz 4, Rsiz 6, Xsiz 8, Ysiz 12, XOsiz 16, YOsiz 20.
    let extents = (|| {
        (word(code, 0)? == 0xFF4F && word(code, 2)? == 0xFF51).then_some(())?;
        let columns = double_word(code, 8)?.checked_sub(double_word(code, 16)?)?;
        let rows = double_word(code, 12)?.checked_sub(double_word(code, 20)?)?;
        Some((rows, columns, word(code, 40)?))
    })();
    match extents {
        Some((rows, columns, 1)) if (rows, columns) == (format.rows, format.columns) => Ok(()),
        Some(_) => Err(codec("the code's own size or components are not the header's")),
        None => Err(codec("no JPEG 2000 size marker was found")),
    }
}
