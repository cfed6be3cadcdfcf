//! CT in Hounsfield units: legacy, enhanced and legacy-converted (PS3.3 C.8.2, C.8.15).

use super::attribute::{Object, number, text, texts};
use super::error::ReadError;
use super::frame::{self, FrameView};
use super::instance::{Instance, open_series};
use super::pixels::{self, Pixels};
use super::stack::{self, GAP_TOLERANCE, Plane, Stack};
use crate::dicom::{PatientIdentity, Uid};
use crate::quantity::Warning;
use crate::report::{InputInstance, StudyIdentity};
use crate::volume::{Grid, Volume};
use dicom_dictionary_std::{tags, uids};
use ndarray::{Array3, Axis};
use rayon::prelude::*;
use std::path::PathBuf;

/// Air, and everything outside the scanned field, HU.
const AIR_HU: f32 = -1000.0;

/// A gap this many times the usual one is a hole that no interpolation may cover.
const LARGEST_GAP: f64 = 2.1;

/// One CT series as one volume.
#[derive(Debug, Clone)]
pub struct Ct {
    /// HU, nothing below -1000.
    pub hu: Volume<f32>,
    pub frame_of_reference: Option<Uid>,
    pub identity: PatientIdentity,
    pub study: StudyIdentity,
    pub series: Uid,
    /// Tube voltage, kV.
    pub kvp: Option<f64>,
    pub station_name: Option<String>,
    pub sources: Vec<InputInstance>,
    pub warnings: Vec<Warning>,
}

struct Slice {
    instance: usize,
    frame: usize,
    plane: Plane,
    thickness: Option<f64>,
    slope: f64,
    intercept: f64,
}

/// Reads the instances of one CT series, given in any order; localizers among them are left out.
///
/// # Errors
/// Another SOP class; no rescale; tilted, doubled or missing slices.
pub fn ct(paths: &[PathBuf]) -> Result<Ct, ReadError> {
    let mut instances = open_series(paths)?;
    for instance in &instances {
        check_class(instance)?;
    }
    instances.retain(|i| !is_localizer(i.data_set()));
    let first = instances.first().ok_or_else(|| ReadError::WrongKind {
        found: "a CT series of localizers only".into(),
        wanted: "send the transaxial series",
    })?;
    let (root, mut warnings) = (first.data_set(), Vec::new());
    let decoded = instances
        .par_iter()
        .map(|i| pixels::decode(&i.object))
        .collect::<Result<Vec<Pixels>, _>>()?;
    let mut slices = Vec::new();
    for (n, (instance, pixels)) in instances.iter().zip(&decoded).enumerate() {
        let format = pixels.format();
        for (f, view) in frame::frames(instance.data_set(), format.frames)?.iter().enumerate() {
            slices.push(slice(n, f, view, format.rows, format.columns)?);
        }
    }
    let stack = stack::arrange(&slices.iter().map(|s| s.plane).collect::<Vec<_>>())?;
    let ordered: Vec<&Slice> = stack.order.iter().map(|&n| &slices[n]).collect();
    let even = stack.unevenness <= GAP_TOLERANCE;
    let (grid, places) = if even {
        let grid = stack.even_grid(ordered[0].thickness)?;
        let places = (0..ordered.len()).map(|k| (k, k, 0.0)).collect();
        (grid, places)
    } else {
        uneven_grid(&stack, &mut warnings)?
    };
    let hu = fill(grid, &places, &ordered, &instances, &decoded)?;
    Ok(Ct {
        hu,
        frame_of_reference: first.frame_of_reference()?,
        identity: first.identity(),
        study: first.study(),
        series: first.source.series.clone(),
        kvp: number(root, tags::KVP)?,
        station_name: text(root, tags::STATION_NAME),
        sources: instances.iter().map(|i| i.source.clone()).collect(),
        warnings,
    })
}

fn check_class(instance: &Instance) -> Result<(), ReadError> {
    match instance.sop_class.as_str() {
        uids::CT_IMAGE_STORAGE
        | uids::ENHANCED_CT_IMAGE_STORAGE
        | uids::LEGACY_CONVERTED_ENHANCED_CT_IMAGE_STORAGE => Ok(()),
        other => Err(ReadError::WrongKind {
            found: format!("an instance of SOP class {other}"),
            wanted: "a CT series is wanted",
        }),
    }
}

fn is_localizer(root: &Object) -> bool {
    texts(root, tags::IMAGE_TYPE).iter().any(|value| value == "LOCALIZER")
}

fn slice(
    instance: usize,
    frame: usize,
    view: &FrameView,
    rows: u32,
    columns: u32,
) -> Result<Slice, ReadError> {
    let (slope, intercept) = view.rescale()?.ok_or_else(|| {
        super::attribute::missing(tags::RESCALE_SLOPE, "values are no Hounsfield units")
    })?;
    let plane = view.plane(rows, columns)?;
    Ok(Slice { instance, frame, plane, thickness: view.thickness()?, slope, intercept })
}

/// For each slice of the grid: the planes below and above, and how far it is from the lower one.
type Places = Vec<(usize, usize, f64)>;

/// An even grid over uneven planes, at their median gap; values between planes are interpolated.
fn uneven_grid(stack: &Stack, warnings: &mut Vec<Warning>) -> Result<(Grid, Places), ReadError> {
    let offsets = &stack.offsets_mm;
    let mut gaps: Vec<f64> = offsets.windows(2).map(|w| w[1] - w[0]).collect();
    gaps.sort_by(f64::total_cmp);
    let median = gaps[gaps.len() / 2];
    if gaps[gaps.len() - 1] > LARGEST_GAP * median {
        return Err(ReadError::Geometry(format!(
            "a gap of {:.2} mm where slices are {median:.2} mm apart: slices are missing; send \
             the whole series",
            gaps[gaps.len() - 1]
        )));
    }
    warnings.push(Warning::new(
        "ct-spacing-uneven",
        format!(
            "CT slices are {:.2} to {:.2} mm apart; the series was interpolated to {median:.2} mm",
            gaps[0],
            gaps[gaps.len() - 1]
        ),
    ));
    let extent = offsets[offsets.len() - 1];
    let slices = (extent / median + 1e-6).floor() as usize + 1;
    let places = (0..slices)
        .map(|k| {
            let at = (k as f64 * median).min(extent);
            let above = offsets.partition_point(|&o| o < at).min(offsets.len() - 1);
            let below = above.saturating_sub(1);
            let gap = offsets[above] - offsets[below];
            (below, above, if gap > 0.0 { (at - offsets[below]) / gap } else { 0.0 })
        })
        .collect();
    Ok((stack.grid(slices, median)?, places))
}

fn fill(
    grid: Grid,
    places: &Places,
    ordered: &[&Slice],
    instances: &[Instance],
    decoded: &[Pixels],
) -> Result<Volume<f32>, ReadError> {
    let paddings =
        instances.iter().map(|i| padding(i.data_set())).collect::<Result<Vec<_>, ReadError>>()?;
    let mut values = Array3::<f32>::from_elem(grid.dim(), AIR_HU);
    values.axis_iter_mut(Axis(0)).into_par_iter().zip(places).for_each(|(mut slice, place)| {
        let &(below, above, part) = place;
        let out = slice.as_slice_mut().expect("slices of a standard array are contiguous");
        hounsfield(ordered[below], decoded, &paddings, |n, hu| out[n] = hu);
        if part > 0.0 {
            let part = part as f32;
            hounsfield(ordered[above], decoded, &paddings, |n, hu| {
                out[n] = out[n] * (1.0 - part) + hu * part;
            });
        }
    });
    if values.iter().all(|v| v.is_finite()) {
        Ok(Volume::new(grid, values))
    } else {
        Err(super::attribute::malformed(tags::RESCALE_SLOPE, "Hounsfield units are not finite"))
    }
}

fn hounsfield(
    slice: &Slice,
    decoded: &[Pixels],
    paddings: &[Option<(i64, i64)>],
    mut take: impl FnMut(usize, f32),
) {
    let padding = paddings[slice.instance];
    decoded[slice.instance].for_each(slice.frame, |n, stored| {
        let outside = padding.is_some_and(|(low, high)| (low..=high).contains(&stored));
        let hu = (slice.slope * stored as f64 + slice.intercept) as f32;
        take(n, if outside { AIR_HU } else { hu.max(AIR_HU) });
    });
}

/// Pixel Padding Value and Range Limit (0028,0120), (0028,0121), ascending.
fn padding(root: &Object) -> Result<Option<(i64, i64)>, ReadError> {
    let signed = number(root, tags::PIXEL_REPRESENTATION)? == Some(1.0);
    let of = |tag| -> Result<Option<i64>, ReadError> {
        let value = number(root, tag)?.map(|v| v as i64);
        // US in implicit VR though the pixels are signed: the same 16 bits.
        Ok(value.map(|v| if signed && v > i64::from(i16::MAX) { v - 65_536 } else { v }))
    };
    let Some(value) = of(tags::PIXEL_PADDING_VALUE)? else { return Ok(None) };
    let limit = of(tags::PIXEL_PADDING_RANGE_LIMIT)?.unwrap_or(value);
    Ok(Some((value.min(limit), value.max(limit))))
}
