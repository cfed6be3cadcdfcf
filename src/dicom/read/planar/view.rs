//! Which side a detector looked from, and where its pixels lie.

use super::super::attribute::{Object, code, fixed, malformed, number};
use super::super::error::ReadError;
use crate::dicom::Uid;
use crate::quantify::planar::{Raster, View};
use crate::volume::{cross, dot};
use dicom_dictionary_std::tags;
use ndarray::{Array2, Axis};

/// One detector's view.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Placement {
    pub view: View,
    /// Directions of increasing column and row.
    pub axes: [[f64; 3]; 2],
    pub origin_lps_mm: Option<[f64; 3]>,
    /// Pixel spacing along column and row directions, mm.
    spacing_mm: [f64; 2],
}

/// CID 26, by SNOMED CT; codes of a vendor's own are not guessed at.
const ANTERIOR: [(&str, &str); 1] = [("399321004", "SCT")];
const POSTERIOR: [(&str, &str); 1] = [("399001007", "SCT")];

/// A detector within this angle of 0° (the patient's back) or 180° looks from there.
const ANGLE_TOLERANCE: f64 = 15.0;
/// A view direction within this cosine of the patient's front or back.
const LEAST_COSINE: f64 = 0.95;
/// Pixels of both views may be apart by this part of one.
const RASTER_TOLERANCE: f64 = 0.25;

impl Placement {
    /// # Errors
    /// A view that nothing tells, that is told in two ways, or that is neither from the front nor from
    /// the back.
    pub fn of(root: &Object, detector: &Object) -> Result<Self, ReadError> {
        let orientation = fixed::<6>(detector, tags::IMAGE_ORIENTATION_PATIENT)?;
        let axes = orientation.map(|o| [[o[0], o[1], o[2]], [o[3], o[4], o[5]]]);
        let view = view(detector, axes)?;
        let spacing = fixed::<2>(root, tags::PIXEL_SPACING)?.unwrap_or([1.0; 2]);
        // As such views are shown: facing the patient, and from behind.
        let usual = match view {
            View::Anterior => [[1.0, 0.0, 0.0], [0.0, 0.0, -1.0]],
            View::Posterior => [[-1.0, 0.0, 0.0], [0.0, 0.0, -1.0]],
        };
        let position = fixed::<3>(detector, tags::IMAGE_POSITION_PATIENT)?;
        Ok(Self {
            view,
            axes: axes.unwrap_or(usual),
            // Without an orientation a position places nothing.
            origin_lps_mm: position.filter(|_| axes.is_some()),
            spacing_mm: [spacing[1], spacing[0]],
        })
    }

    /// Along which axes (columns, rows) the view is mirrored to lie on the raster that all views share: where
    /// they run the other way.
    pub fn mirrored_on(
        &self,
        raster: &Raster,
        size: (usize, usize),
    ) -> Result<[bool; 2], ReadError> {
        let refuse =
            |what: &str| Err(ReadError::Geometry(format!("{} view: {what}", self.view.name())));
        if size != (raster.rows, raster.columns) {
            return refuse("it has another size than the other view");
        }
        let size = [raster.columns, raster.rows];
        let mut first = self.origin_lps_mm;
        let mut mirrored = [false; 2];
        for (axis, pixels) in size.into_iter().enumerate() {
            let along = dot(self.axes[axis], raster.axes[axis]);
            if along.abs() < 0.999 {
                return refuse("its rows or columns are not parallel to the other view's");
            }
            if along < 0.0 {
                mirrored[axis] = true;
                let whole = self.spacing_mm[axis] * (pixels - 1) as f64;
                first = first.map(|p| std::array::from_fn(|c| p[c] + self.axes[axis][c] * whole));
            }
        }
        if let (Some(own), Some(other)) = (first, raster.origin_lps_mm) {
            let off: [f64; 3] = std::array::from_fn(|c| own[c] - other[c]);
            for axis in 0..2 {
                let pixels = dot(off, raster.axes[axis]) / raster.spacing_mm[axis];
                if pixels.abs() > RASTER_TOLERANCE {
                    return refuse("its pixels do not lie behind the other view's");
                }
            }
        }
        Ok(mirrored)
    }
}

/// One frame of a planar scan as it is stored, and how it came to lie on the scan's raster.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredView {
    pub instance: Uid,
    /// From 1.
    pub frame: u32,
    pub view: View,
    /// Along columns and rows.
    pub mirrored: [bool; 2],
}

impl StoredView {
    /// Pixels as stored, `[row, column]`, on the scan's raster.
    pub fn on_raster<T: Clone>(&self, mut pixels: Array2<T>) -> Array2<T> {
        for (axis, mirrored) in self.mirrored.into_iter().enumerate() {
            if mirrored {
                pixels.invert_axis(Axis(1 - axis));
            }
        }
        pixels.as_standard_layout().into_owned()
    }
}

/// By View Code Sequence, then by the detector's angle, then by its orientation. A code and an angle
/// that disagree leave it open; an orientation that disagrees is a mirrored image, which `on` turns.
fn view(detector: &Object, axes: Option<[[f64; 3]; 2]>) -> Result<View, ReadError> {
    let coded = code(detector, tags::VIEW_CODE_SEQUENCE).and_then(|code| {
        let of = |codes, view| code.is_any(codes).then_some(view);
        of(&ANTERIOR, View::Anterior).or(of(&POSTERIOR, View::Posterior))
    });
    let angle = number(detector, tags::START_ANGLE)?;
    let by_angle = angle.and_then(|angle| {
        let from_back = (angle.rem_euclid(360.0) - 180.0).abs();
        match from_back {
            d if d <= ANGLE_TOLERANCE => Some(View::Anterior),
            d if d >= 180.0 - ANGLE_TOLERANCE => Some(View::Posterior),
            _ => None,
        }
    });
    if let (Some(coded), Some(by_angle)) = (coded, by_angle)
        && coded != by_angle
    {
        return Err(malformed(
            tags::VIEW_CODE_SEQUENCE,
            format!("it says {}, Start Angle (0054,0200) {}", coded.name(), by_angle.name()),
        ));
    }
    if let (None, None, Some(angle)) = (coded, by_angle, angle) {
        return Err(malformed(
            tags::START_ANGLE,
            format!("a detector at {angle} degrees looks neither from the front nor from the back"),
        ));
    }
    // From the detector into the patient: to the back for an anterior view.
    let by_orientation = axes.and_then(|[x, y]| match cross(x, y)[1] {
        into if into >= LEAST_COSINE => Some(View::Anterior),
        into if into <= -LEAST_COSINE => Some(View::Posterior),
        _ => None,
    });
    coded.or(by_angle).or(by_orientation).ok_or_else(|| {
        malformed(
            tags::VIEW_CODE_SEQUENCE,
            "no code, angle or orientation says from which side this view is; export it with one",
        )
    })
}
