//! One frame of an image, the same to its reader whether it is an instance of its own (legacy) or
//! described by functional groups (enhanced, legacy-converted; PS3.3 C.7.6.16).

use super::attribute::{Object, first_item, fixed, items, missing, number};
use super::error::ReadError;
use super::rwvm::{self, RealWorldValueMap};
use super::stack::Plane;
use dicom_core::Tag;
use dicom_dictionary_std::tags;

/// A frame within its instance.
#[derive(Clone, Copy)]
pub struct FrameView<'a> {
    pub root: &'a Object,
    shared: Option<&'a Object>,
    own: Option<&'a Object>,
}

/// The frames of an instance in stored order.
pub fn frames(root: &Object, count: u32) -> Result<Vec<FrameView<'_>>, ReadError> {
    let shared = first_item(root, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
    let own = items(root, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
    if own.is_empty() && count == 1 {
        return Ok(vec![FrameView { root, shared, own: None }]);
    }
    if own.len() != count as usize {
        return Err(ReadError::Contradiction(format!(
            "Number of Frames is {count}, but {} frames are described in Per-Frame Functional \
             Groups",
            own.len()
        )));
    }
    Ok(own.iter().map(|own| FrameView { root, shared, own: Some(own) }).collect())
}

/// A legacy image as a whole.
pub fn root_of(root: &Object) -> FrameView<'_> {
    FrameView { root, shared: None, own: None }
}

impl<'a> FrameView<'a> {
    /// Real World Value Mapping of the frame, else of the image.
    pub fn maps(&self, signed: bool) -> Result<Vec<RealWorldValueMap>, ReadError> {
        for level in [self.own, self.shared].into_iter().flatten() {
            let found = rwvm::maps(level, signed)?;
            if !found.is_empty() {
                return Ok(found);
            }
        }
        rwvm::maps(self.root, signed)
    }

    /// The first item of a functional group: the frame's own before the shared one.
    pub fn group(&self, macro_sequence: Tag) -> Option<&'a Object> {
        self.groups(macro_sequence).first()
    }

    /// All items of a functional group, the frame's own or else the shared ones.
    pub fn groups(&self, macro_sequence: Tag) -> &'a [Object] {
        let levels = [self.own, self.shared].into_iter().flatten();
        let mut found = levels.map(|level| items(level, macro_sequence));
        found.find(|items| !items.is_empty()).unwrap_or_default()
    }

    /// The object that holds an attribute which legacy images have at root and legacy-converted
    /// ones among their unassigned converted attributes; the root where none does.
    pub fn holder(&self, tag: Tag) -> &'a Object {
        [
            self.own.and_then(|o| {
                first_item(o, tags::UNASSIGNED_PER_FRAME_CONVERTED_ATTRIBUTES_SEQUENCE)
            }),
            self.shared
                .and_then(|o| first_item(o, tags::UNASSIGNED_SHARED_CONVERTED_ATTRIBUTES_SEQUENCE)),
        ]
        .into_iter()
        .flatten()
        .find(|object| object.get(tag).is_some())
        .unwrap_or(self.root)
    }

    /// A functional group's item, or the root of a legacy image, whichever holds `tag`.
    fn grouped(&self, macro_sequence: Tag, tag: Tag) -> &'a Object {
        match self.group(macro_sequence) {
            Some(item) if item.get(tag).is_some() => item,
            _ => self.holder(tag),
        }
    }

    /// Where the frame lies.
    pub fn plane(&self, rows: u32, columns: u32) -> Result<Plane, ReadError> {
        const NEEDED: &str = "the image has no place in the patient";
        let tag = tags::IMAGE_POSITION_PATIENT;
        let position = fixed::<3>(self.grouped(tags::PLANE_POSITION_SEQUENCE, tag), tag)?
            .ok_or_else(|| missing(tag, NEEDED))?;
        let tag = tags::IMAGE_ORIENTATION_PATIENT;
        let orientation = fixed::<6>(self.grouped(tags::PLANE_ORIENTATION_SEQUENCE, tag), tag)?
            .ok_or_else(|| missing(tag, NEEDED))?;
        let tag = tags::PIXEL_SPACING;
        let spacing = fixed::<2>(self.grouped(tags::PIXEL_MEASURES_SEQUENCE, tag), tag)?
            .ok_or_else(|| missing(tag, NEEDED))?;
        Ok(Plane {
            position,
            axis_i: [orientation[0], orientation[1], orientation[2]],
            axis_j: [orientation[3], orientation[4], orientation[5]],
            row_spacing: spacing[0],
            column_spacing: spacing[1],
            rows,
            columns,
        })
    }

    /// Spacing Between Slices where given, else Slice Thickness: third extent of a single slice.
    pub fn thickness(&self) -> Result<Option<f64>, ReadError> {
        for tag in [tags::SPACING_BETWEEN_SLICES, tags::SLICE_THICKNESS] {
            if let Some(value) = number(self.grouped(tags::PIXEL_MEASURES_SEQUENCE, tag), tag)? {
                return Ok(Some(value.abs()));
            }
        }
        Ok(None)
    }

    /// Rescale Slope and Intercept, where there is a slope.
    pub fn rescale(&self) -> Result<Option<(f64, f64)>, ReadError> {
        let of = |tag| number(self.grouped(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE, tag), tag);
        let Some(slope) = of(tags::RESCALE_SLOPE)? else { return Ok(None) };
        Ok(Some((slope, of(tags::RESCALE_INTERCEPT)?.unwrap_or(0.0))))
    }
}
