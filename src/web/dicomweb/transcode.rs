//! An instance as a Part 10 file in Explicit VR Little Endian, the transfer syntax of those who name none
//! (PS3.18 8.7.3.5.2): values keep their bytes, pixels are copied or decoded.

use super::decoder;
use super::file::ObjectFile;
use super::frames::Fragments;
use crate::archive::{IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME};
use crate::dicom::Uid;
use crate::dicom::gate::TransferSyntaxKind;
use crate::web::Failure;
use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};
use dicom_encoding::TransferSyntaxIndex;
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;
use std::io::{self, Write};

/// Whether an instance in this syntax can be had as Explicit VR Little Endian.
pub(super) fn is_convertible(syntax: &Uid) -> bool {
    matches!(
        TransferSyntaxKind::of(syntax),
        Some(
            TransferSyntaxKind::ImplicitLittle
                | TransferSyntaxKind::ExplicitLittle
                | TransferSyntaxKind::Encapsulated
        )
    )
}

fn other(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}

/// Writes the file.
pub(super) fn explicit(file: &mut ObjectFile, to: &mut dyn Write) -> io::Result<()> {
    let refused = |Failure(_, reason): Failure| io::Error::other(reason);
    let description = file.description().map_err(refused)?;
    let text = |tag| description.get(tag).and_then(|e| e.to_str().ok()).unwrap_or_default();
    let meta = FileMetaTableBuilder::new()
        .media_storage_sop_class_uid(text(tags::SOP_CLASS_UID))
        .media_storage_sop_instance_uid(text(tags::SOP_INSTANCE_UID))
        .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN)
        .implementation_class_uid(IMPLEMENTATION_CLASS_UID)
        .implementation_version_name(IMPLEMENTATION_VERSION_NAME)
        .build()
        .map_err(other)?;
    to.write_all(&[0; 128])?;
    to.write_all(b"DICM")?;
    meta.write(&mut *to).map_err(other)?;
    let layout = file.layout(&description).ok();
    write_set(description, to)?;
    let Some(pixels) = file.report.pixel_data else { return Ok(()) };
    let Some(layout) = layout else { return Err(other("pixel data without a description")) };
    let tail = if pixels.fragments.is_some() {
        let length = layout.frame_bytes().saturating_mul(layout.frames.into());
        write_head(to, pixels.tag, length.next_multiple_of(2))?;
        decoder::decode(file, &layout, (0..layout.frames).collect(), to)?;
        to.write_all(if length % 2 == 1 { &[0] } else { &[] })?;
        Fragments::read(file)?.end()
    } else {
        write_head(to, pixels.tag, pixels.length)?;
        let at = file.pixels_at().ok_or(io::ErrorKind::NotFound)?;
        file.copy(at, pixels.length, to)?;
        at + pixels.length
    };
    write_set(file.after(tail).map_err(refused)?, to)
}

/// Data elements without group lengths, which would no longer be true.
fn write_set(mut object: InMemDicomObject, to: &mut dyn Write) -> io::Result<()> {
    let lengths: Vec<Tag> = object.tags().filter(|tag| tag.element() == 0).collect();
    for tag in lengths {
        object.remove_element(tag);
    }
    let syntax = TransferSyntaxRegistry
        .get(uids::EXPLICIT_VR_LITTLE_ENDIAN)
        .ok_or_else(|| other("Explicit VR Little Endian is not registered"))?;
    object.write_dataset_with_ts(to, syntax).map_err(other)
}

/// Tag, VR and length of native pixel data.
fn write_head(to: &mut dyn Write, tag: Tag, length: u64) -> io::Result<()> {
    let length = u32::try_from(length).map_err(|_| other("more than 4 GiB of pixels"))?;
    let vr: &[u8; 2] = match tag {
        tags::FLOAT_PIXEL_DATA => b"OF",
        tags::DOUBLE_FLOAT_PIXEL_DATA => b"OD",
        _ => b"OW",
    };
    to.write_all(&tag.group().to_le_bytes())?;
    to.write_all(&tag.element().to_le_bytes())?;
    to.write_all(vr)?;
    to.write_all(&[0, 0])?;
    to.write_all(&length.to_le_bytes())
}
