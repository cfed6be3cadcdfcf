//! Real World Value Mapping, inside an image or as an object of its own (PS3.3 C.7.6.16.2.11,
//! A.46): stored values, never rescaled ones, to quantities with a unit.

use super::attribute::{
    Code, Object, code, first_item, fixed, items, malformed, missing, number, numbers, text, uid,
};
use super::error::ReadError;
use super::instance::Instance;
use crate::dicom::{PatientIdentity, Uid};
use crate::report::InputInstance;
use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};
use std::path::Path;

/// Stored values to the quantity.
#[derive(Debug, Clone, PartialEq)]
pub enum RealWorldScale {
    Linear {
        slope: f64,
        intercept: f64,
    },
    /// One quantity a stored value, from the first mapped one upward.
    Table(Vec<f64>),
}

/// One item of Real World Value Mapping Sequence (0040,9096).
#[derive(Debug, Clone, PartialEq)]
pub struct RealWorldValueMap {
    /// Measurement Units Code Sequence (0040,08EA).
    pub unit: Code,
    pub label: Option<String>,
    pub scale: RealWorldScale,
    /// First and last stored value that the item holds for.
    pub first: f64,
    pub last: f64,
}

/// Mappings for stated images.
#[derive(Debug, Clone, PartialEq)]
pub struct ReferencedMaps {
    /// SOP instances, each with the frames (1-based) meant, none for all.
    pub images: Vec<(Uid, Vec<u32>)>,
    pub maps: Vec<RealWorldValueMap>,
}

/// A Real World Value Mapping instance.
#[derive(Debug, Clone, PartialEq)]
pub struct RealWorldValueMapping {
    pub sop_instance: Uid,
    pub source: InputInstance,
    pub identity: PatientIdentity,
    pub items: Vec<ReferencedMaps>,
}

impl RealWorldValueMapping {
    /// The mappings for a frame (1-based) of an image.
    pub fn for_frame(&self, sop_instance: &Uid, frame: u32) -> Vec<RealWorldValueMap> {
        let meant = |item: &&ReferencedMaps| {
            item.images.iter().any(|(uid, frames)| {
                uid == sop_instance && (frames.is_empty() || frames.contains(&frame))
            })
        };
        self.items.iter().filter(meant).flat_map(|item| item.maps.clone()).collect()
    }
}

impl RealWorldValueMap {
    /// The quantity of a stored value, `None` outside the mapped range.
    pub fn value(&self, stored: i64) -> Option<f64> {
        let x = stored as f64;
        if !(self.first..=self.last).contains(&x) {
            return None;
        }
        match &self.scale {
            RealWorldScale::Linear { slope, intercept } => Some(slope * x + intercept),
            RealWorldScale::Table(table) => table.get((x - self.first) as usize).copied(),
        }
    }
}

/// The items of a Real World Value Mapping Sequence in `object`.
pub fn maps(object: &Object, signed: bool) -> Result<Vec<RealWorldValueMap>, ReadError> {
    items(object, tags::REAL_WORLD_VALUE_MAPPING_SEQUENCE)
        .iter()
        .map(|item| one_map(item, signed))
        .collect()
}

fn one_map(item: &Object, signed: bool) -> Result<RealWorldValueMap, ReadError> {
    const NEEDED: &str = "the mapping cannot be used";
    let unit = code(item, tags::MEASUREMENT_UNITS_CODE_SEQUENCE)
        .ok_or_else(|| missing(tags::MEASUREMENT_UNITS_CODE_SEQUENCE, NEEDED))?;
    let bound = |whole: Tag, double: Tag| -> Result<f64, ReadError> {
        let value = match number(item, whole)? {
            // US in implicit VR though the pixels are signed: the same 16 bits.
            Some(v) if signed && v > f64::from(i16::MAX) => Some(v - 65_536.0),
            Some(v) => Some(v),
            None => number(item, double)?,
        };
        value.ok_or_else(|| missing(whole, NEEDED))
    };
    let first = bound(
        tags::REAL_WORLD_VALUE_FIRST_VALUE_MAPPED,
        tags::DOUBLE_FLOAT_REAL_WORLD_VALUE_FIRST_VALUE_MAPPED,
    )?;
    let last = bound(
        tags::REAL_WORLD_VALUE_LAST_VALUE_MAPPED,
        tags::DOUBLE_FLOAT_REAL_WORLD_VALUE_LAST_VALUE_MAPPED,
    )?;
    if last < first {
        return Err(malformed(tags::REAL_WORLD_VALUE_LAST_VALUE_MAPPED, "it is below the first"));
    }
    let table = numbers(item, tags::REAL_WORLD_VALUE_LUT_DATA)?;
    let scale = match fixed::<1>(item, tags::REAL_WORLD_VALUE_SLOPE)? {
        Some([slope]) => {
            let intercept = number(item, tags::REAL_WORLD_VALUE_INTERCEPT)?
                .ok_or_else(|| missing(tags::REAL_WORLD_VALUE_INTERCEPT, NEEDED))?;
            RealWorldScale::Linear { slope, intercept }
        }
        None if table.len() as f64 == last - first + 1.0 => RealWorldScale::Table(table),
        None => return Err(missing(tags::REAL_WORLD_VALUE_SLOPE, NEEDED)),
    };
    Ok(RealWorldValueMap { unit, label: text(item, tags::LUT_LABEL), scale, first, last })
}

/// Reads a Real World Value Mapping instance.
///
/// # Errors
/// Another SOP class, or an item without unit, range or slope.
pub fn rwvm(path: &Path) -> Result<RealWorldValueMapping, ReadError> {
    let instance = Instance::open(path)?;
    if instance.sop_class.as_str() != uids::REAL_WORLD_VALUE_MAPPING_STORAGE {
        return Err(ReadError::WrongKind {
            found: format!("an instance of SOP class {}", instance.sop_class),
            wanted: "a Real World Value Mapping object is wanted",
        });
    }
    let root = instance.data_set();
    let mut found = Vec::new();
    for item in items(root, tags::REFERENCED_IMAGE_REAL_WORLD_VALUE_MAPPING_SEQUENCE) {
        let mut images = Vec::new();
        for reference in items(item, tags::REFERENCED_IMAGE_SEQUENCE) {
            let Some(image) = uid(reference, tags::REFERENCED_SOP_INSTANCE_UID)? else { continue };
            let frames = numbers(reference, tags::REFERENCED_FRAME_NUMBER)?;
            images.push((image, frames.into_iter().map(|n| n as u32).collect()));
        }
        found.push(ReferencedMaps { images, maps: maps(item, false)? });
    }
    if found.is_empty() && first_item(root, tags::REFERENCED_SERIES_SEQUENCE).is_none() {
        return Err(missing(
            tags::REFERENCED_IMAGE_REAL_WORLD_VALUE_MAPPING_SEQUENCE,
            "it maps no image",
        ));
    }
    Ok(RealWorldValueMapping {
        source: instance.source.clone(),
        sop_instance: instance.source.sop_instance.clone(),
        identity: instance.identity(),
        items: found,
    })
}
