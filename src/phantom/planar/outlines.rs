//! What a person would outline on the whole-body views: the shadow of each region that stands out, the tissue beside
//! it as its background, and the whole body.
//!
//! Regions that others cover so far that less than half is left are not outlined: a person would not see where
//! they end, and no activity follows from them.

use super::{Camera, begins, camera, photopeak, primary, series, transmission, with_margins};
use crate::dicom::write::reference::common_instance_reference;
use crate::dicom::write::segmentation::{Segment, SegmentedView, ViewSegmentation};
use crate::dicom::write::{DataSet, DicomFile};
use crate::phantom::anatomy::{AIR, BODY};
use crate::phantom::patient::{self, Series};
use crate::phantom::{DigitalPatient, PhantomError};
use crate::quantify::CONSTANTS;
use crate::quantify::planar::View;
use crate::report::codes_of;
use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};
use ndarray::{Array2, Axis};
use serde::Deserialize;
use std::fmt::Write;

/// `outline:` of the camera.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Drawing {
    least_contrast: f64,
    gap_mm: f64,
    ring_mm: f64,
}

/// Name of the outline that holds all others.
pub(super) const WHOLE_BODY: &str = "Whole body";

const BACKGROUND: &str = " background";

/// One outline, on the anterior view's raster; the posterior's is the same seen from behind.
#[derive(Debug, Clone)]
pub(super) struct Drawn {
    pub name: String,
    pub mask: Array2<bool>,
}

/// Shadow of the voxels whose label counts.
fn shadow(patient: &DigitalPatient, camera: &Camera, of: impl Fn(u8) -> bool) -> Array2<bool> {
    let grid = &patient.spect;
    let [slices, rows, columns] = grid.shape();
    let inside = |(row, column): (usize, usize)| {
        (0..rows).any(|j| of(patient.labels[grid.linear(slices - 1 - row, j, column)]))
    };
    with_margins(camera, &Array2::from_shape_fn((slices, columns), inside))
}

/// With all pixels whose centre is so near to one of the mask's.
fn grown(mask: &Array2<bool>, mm: f64, [column_mm, row_mm]: [f64; 2]) -> Array2<bool> {
    let reach = [mm / row_mm, mm / column_mm].map(|pixels| pixels.floor() as isize);
    let mut near = Vec::new();
    for row in -reach[0]..=reach[0] {
        for column in -reach[1]..=reach[1] {
            if (row as f64 * row_mm).hypot(column as f64 * column_mm) <= mm {
                near.push([row, column]);
            }
        }
    }
    let inside = |row: isize, column: isize| {
        row >= 0 && column >= 0 && mask.get([row as usize, column as usize]).copied() == Some(true)
    };
    Array2::from_shape_fn(mask.dim(), |(row, column)| {
        near.iter().any(|[r, c]| inside(row as isize + r, column as isize + c))
    })
}

fn count(mask: &Array2<bool>) -> f64 {
    mask.iter().filter(|inside| **inside).count() as f64
}

fn both(a: &Array2<bool>, b: &Array2<bool>) -> Array2<bool> {
    Array2::from_shape_fn(a.dim(), |p| a[p] && b[p])
}

fn without(a: &Array2<bool>, b: &Array2<bool>) -> Array2<bool> {
    Array2::from_shape_fn(a.dim(), |p| a[p] && !b[p])
}

fn within(inner: &Array2<bool>, outer: &Array2<bool>) -> bool {
    count(inner) < count(outer)
        && count(&both(inner, outer)) >= CONSTANTS.outline_within.value * count(inner)
}

/// Part of a region that no other covers but one it lies in.
fn free(regions: &[&Drawn], n: usize) -> f64 {
    let own = &regions[n].mask;
    let others =
        regions.iter().enumerate().filter(|(m, other)| *m != n && !within(own, &other.mask));
    let left = others.fold(own.clone(), |left, (_, other)| without(&left, &other.mask));
    count(&left) / count(own)
}

/// Tissue beside a region that nothing else shines into, drawn or not, but for what the region lies in.
fn ring(patient: &DigitalPatient, camera: &Camera, region: &Drawn) -> Array2<bool> {
    let [dx, _, dz] = patient.spect.spacing_mm();
    let Drawing { gap_mm, ring_mm, .. } = camera.outline;
    let grown = |mask: &Array2<bool>, mm: f64| grown(mask, mm, [dx, dz]);
    let wide = grown(&region.mask, gap_mm + ring_mm);
    let body = shadow(patient, camera, |label| label != AIR);
    let mut ring = both(&without(&wide, &grown(&region.mask, gap_mm)), &body);
    for other in patient.truth.iter().filter(|r| r.is_drawn && r.name != region.name) {
        let theirs = shadow(patient, camera, |label| label == other.label);
        if !within(&region.mask, &theirs) {
            ring = without(&ring, &grown(&theirs, gap_mm));
        }
    }
    ring
}

/// What no other region covers but one that it lies in.
fn alone(patient: &DigitalPatient, camera: &Camera, region: &Drawn) -> Array2<bool> {
    let others = patient.truth.iter().filter(|r| r.is_drawn && r.name != region.name);
    others.fold(region.mask.clone(), |left, other| {
        let theirs = shadow(patient, camera, |label| label == other.label);
        if within(&region.mask, &theirs) { left } else { without(&left, &theirs) }
    })
}

/// Rate of a pixel over that of the background, geometric mean of both views in the first session, less 1.
fn contrast(
    patient: &DigitalPatient,
    camera: &Camera,
    region: &Array2<bool>,
    background: &Array2<bool>,
) -> Result<f64, PhantomError> {
    let kev = photopeak(patient)?;
    let mut ratio = 1.0;
    for view in View::BOTH {
        let mut seen = primary(patient, camera, begins(patient, 0), view, kev);
        if view == View::Posterior {
            seen.invert_axis(Axis(1));
        }
        let seen = with_margins(camera, &seen);
        let mean = |mask: &Array2<bool>| {
            let sum: f64 =
                seen.iter().zip(mask).filter(|(_, inside)| **inside).map(|(n, _)| n).sum();
            sum / count(mask)
        };
        ratio *= mean(region) / mean(background);
    }
    Ok(ratio.sqrt() - 1.0)
}

/// Regions, then their backgrounds, then the whole body.
pub(super) fn outlines(patient: &DigitalPatient) -> Result<Vec<Drawn>, PhantomError> {
    let camera = camera(patient)?;
    let mut seen: Vec<(Drawn, Drawn)> = Vec::new();
    for region in patient.truth.iter().filter(|region| region.is_drawn) {
        let name = region.name.clone();
        let mask = shadow(patient, camera, |label| label == region.label);
        let region = Drawn { name, mask };
        let mask = ring(patient, camera, &region);
        let alone = alone(patient, camera, &region);
        if count(&mask) > 0.0
            && count(&alone) > 0.0
            && contrast(patient, camera, &alone, &mask)?.abs() >= camera.outline.least_contrast
        {
            let name = region.name.clone() + BACKGROUND;
            seen.push((region, Drawn { name, mask }));
        }
    }
    let least_free = |seen: &[(Drawn, Drawn)]| {
        let regions: Vec<&Drawn> = seen.iter().map(|(region, _)| region).collect();
        let free = (0..regions.len()).map(|n| (n, free(&regions, n)));
        free.filter(|(_, free)| *free < CONSTANTS.outline_free_least.value)
            .min_by(|a, b| a.1.total_cmp(&b.1))
    };
    while let Some((covered, _)) = least_free(&seen) {
        seen.remove(covered);
    }
    let (mut all, backgrounds): (Vec<Drawn>, Vec<Drawn>) = seen.into_iter().unzip();
    all.extend(backgrounds);
    let [dx, _, dz] = patient.spect.spacing_mm();
    let body = shadow(patient, camera, |label| label != AIR);
    let mask = grown(&body, camera.outline.gap_mm, [dx, dz]);
    all.push(Drawn { name: WHOLE_BODY.into(), mask });
    Ok(all)
}

/// `quantification:` of a plan: true thicknesses, mean over each outline, of soft tissue that attenuates as
/// much. Empty where there is no camera or photopeak.
pub(in crate::phantom) fn settings(patient: &DigitalPatient) -> String {
    let Ok([body, own]) = thicknesses(patient) else { return String::new() };
    let map = |of: &[(String, f64)]| -> String {
        let entries = of.iter().map(|(name, mm)| format!("\"{name}\": {mm:.1}"));
        entries.collect::<Vec<_>>().join(", ")
    };
    let mut text = String::from("  quantification:\n    views:\n");
    let _ = writeln!(text, "      body_thickness_mm: {{ {} }}", map(&body));
    let _ = writeln!(text, "      region_thickness_mm: {{ {} }}", map(&own));
    let _ = writeln!(text, "      thickness_relative_uncertainty: 0.03");
    text
}

/// Of the body at each region and background, and of each region itself, mm.
pub(super) fn thicknesses(
    patient: &DigitalPatient,
) -> Result<[Vec<(String, f64)>; 2], PhantomError> {
    let (camera, kev) = (camera(patient)?, photopeak(patient)?);
    let per_mm =
        super::attenuation(patient, kev)[usize::from(BODY)] / patient.spect.spacing_mm()[1];
    let mean = |of: &dyn Fn(u8) -> bool, over: &Array2<bool>| {
        let depth = with_margins(camera, &transmission::depth(patient, kev, of));
        let sum: f64 = depth.iter().zip(over).filter(|(_, inside)| **inside).map(|(d, _)| d).sum();
        sum / count(over) / per_mm
    };
    let drawn = outlines(patient)?;
    let (mut body, mut own) = (Vec::new(), Vec::new());
    for region in patient.truth.iter().filter(|region| region.is_drawn) {
        let outline = drawn.iter().find(|drawn| drawn.name == region.name);
        let Some(Drawn { mask: over, .. }) = outline else { continue };
        body.push((region.name.clone(), mean(&|_| true, over)));
        own.push((region.name.clone(), mean(&|label| label == region.label, over)));
    }
    for background in drawn.iter().filter(|drawn| drawn.name.ends_with(BACKGROUND)) {
        body.push((background.name.clone(), mean(&|_| true, &background.mask)));
    }
    let over = shadow(patient, camera, |label| label != AIR);
    body.push((WHOLE_BODY.into(), mean(&|_| true, &over)));
    Ok([body, own])
}

/// SEG on the photopeak's two frames of a session's views.
pub(in crate::phantom) fn segmentation(
    patient: &DigitalPatient,
    session: usize,
) -> Result<DicomFile, PhantomError> {
    let drawn = outlines(patient)?;
    let (rows, columns) = drawn[0].mask.dim();
    let instance = series(patient, session).reference(1);
    let views = [(1, "ANTERIOR"), (2, "POSTERIOR")].map(|(frame, label)| SegmentedView {
        instance: instance.clone(),
        frame,
        label,
    });
    let segments: Vec<Segment> = drawn.iter().map(|drawn| segment(patient, drawn)).collect();
    let segmentation = ViewSegmentation {
        rows,
        columns,
        views: &views,
        segments: &segments,
        dimension_organization: patient::uid(patient, &format!("dimensions of views {session}")),
        label: "PHANTOM",
        description: "Outlines on views of the digital patient",
    };
    let own = Series {
        patient,
        session,
        name: "outlines",
        sop_class: uids::SEGMENTATION_STORAGE,
        number: 70 + session as i64,
        description: "Outlines on views of the digital patient".into(),
        model: "Digital contours",
    };
    let at = patient::local(patient, patient.acquired(session));
    let content = DataSet::new().text(tags::CONTENT_DATE, VR::DA, &patient::date(&at)).text(
        tags::CONTENT_TIME,
        VR::TM,
        &patient::time(&at),
    );
    let set = own
        .shared(1)
        .with(content)
        .with(common_instance_reference(std::slice::from_ref(&instance), &own.reference(1).study))
        .with(segmentation.modules()?);
    Ok(set.into_file()?)
}

fn segment(patient: &DigitalPatient, drawn: &Drawn) -> Segment {
    let background = drawn.name.ends_with(BACKGROUND);
    let codes = codes_of(if background { "background" } else { &drawn.name }, None);
    let (rows, columns) = drawn.mask.dim();
    let mut voxels = Vec::new();
    for ((row, column), _) in drawn.mask.indexed_iter().filter(|(_, inside)| **inside) {
        // From behind, left is left.
        let stored = [(0, column), (1, columns - 1 - column)];
        voxels.extend(stored.map(|(view, column)| (view * rows + row) * columns + column));
    }
    Segment {
        label: drawn.name.clone(),
        description: None,
        category: codes.category,
        property: codes.property,
        modifier: codes.laterality,
        tracking_id: drawn.name.clone(),
        tracking_uid: patient::uid(patient, &format!("tracking on views {}", drawn.name)),
        algorithm_type: "AUTOMATIC",
        algorithm_name: "grayd phantom".into(),
        voxels,
    }
}

#[cfg(test)]
mod tests;
