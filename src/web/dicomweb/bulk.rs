//! One long value of an instance: `/bulkdata/TAG` or, below the top level, `/bulkdata/TAG/ITEM/TAG`.

use super::file::ObjectFile;
use super::json::{is_binary, tag_name};
use crate::web::Failure;
use axum::http::StatusCode;
use dicom_core::Tag;
use dicom_object::InMemDicomObject;
use std::io::{self, Write};

/// Deepest path that is followed.
const STEPS_MAX: usize = 2 * crate::dicom::gate::MAX_DEPTH + 1;

/// Where the wanted bytes are.
pub(super) enum Bulk {
    /// The pixel data of the top level.
    Pixels(Box<ObjectFile>),
    Value(Vec<u8>),
}

/// Eight hexadecimal digits.
pub(super) fn parse_tag(text: &str) -> Option<Tag> {
    let plain = text.len() == 8 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let number = u32::from_str_radix(text, 16).ok().filter(|_| plain)?;
    Some(Tag((number >> 16) as u16, number as u16))
}

impl Bulk {
    pub(super) fn find(mut file: ObjectFile, path: &str) -> Result<Self, Failure> {
        let none = || Failure(StatusCode::NOT_FOUND, "no such value in the instance".into());
        let steps: Vec<&str> = path.split('/').collect();
        if steps.len() > STEPS_MAX {
            return Err(none());
        }
        if let Some(pixels) = file.report.pixel_data
            && path.eq_ignore_ascii_case(&tag_name(pixels.tag))
        {
            return Ok(Self::Pixels(Box::new(file)));
        }
        let description = file.description()?;
        let value = follow(&description, &steps).ok_or_else(none)?;
        Ok(Self::Value(value))
    }

    /// Writes the bytes as they are: native pixels, or the fragments one after the other.
    pub(super) fn write(&self, to: &mut (impl Write + ?Sized)) -> io::Result<()> {
        let file = match self {
            Self::Value(bytes) => return to.write_all(bytes),
            Self::Pixels(file) => file,
        };
        let at = file.pixels_at().ok_or(io::ErrorKind::NotFound)?;
        let pixels = file.report.pixel_data.ok_or(io::ErrorKind::NotFound)?;
        if pixels.fragments.is_none() {
            return file.copy(at, pixels.length, to);
        }
        for (at, length) in super::frames::Fragments::read(file)?.all() {
            file.copy(*at, *length, to)?;
        }
        Ok(())
    }
}

fn follow(object: &InMemDicomObject, steps: &[&str]) -> Option<Vec<u8>> {
    let (tag, rest) = steps.split_first()?;
    let element = object.get(parse_tag(tag)?)?;
    if rest.is_empty() {
        let value = element.value().primitive().filter(|_| is_binary(element.header().vr))?;
        return Some(value.to_bytes().into_owned());
    }
    let (item, rest) = rest.split_first()?;
    follow(element.items()?.get(item.parse::<usize>().ok()?)?, rest)
}
