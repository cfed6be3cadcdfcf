//! Transmission scans: the photons of a source on the other side of the patient, seen by one detector in one
//! energy window (Image Type value 4 TRANSMISSION, PS3.3 C.8.4.9.1.1).

use super::super::attribute::malformed;
use super::super::emission::Scan;
use super::super::error::ReadError;
use super::super::instance::open_series;
use super::super::radiopharmaceutical::Radiopharmaceutical;
use super::exposure::{exposure, oriented, windows};
use super::{Seen, StoredView, TRANSMISSION, acquired, check_kind, frames, raster, scan};
use crate::quantify::planar::{EnergyWindow, Raster, TransmissionImage, View};
use crate::quantity::KiloElectronvolt;
use dicom_dictionary_std::tags;
use jiff::tz::TimeZone;
use std::path::PathBuf;

/// A transmission scan.
pub type Transmission = Scan<TransmissionImage>;

/// Reads the instances of one transmission series.
///
/// # Errors
/// [`ReadError::WrongKind`] for anything else; several windows or detectors, or a window of several ranges,
/// whose photons have no one energy; an exposure that is not stated.
pub fn transmission(paths: &[PathBuf], zone: &TimeZone) -> Result<Transmission, ReadError> {
    let instances = open_series(paths)?;
    let first = instances.first().ok_or(ReadError::NoInstances)?;
    let root = first.data_set();
    let mut warnings = Vec::new();
    let mut found = Vec::new();
    for instance in &instances {
        check_kind(instance, TRANSMISSION)?;
        found.extend(frames(instance, &mut warnings)?);
    }
    let seen = only(found)?;
    // The only frame's instance is the only one.
    let energy = energy(&windows(first)?[seen.frame.window])?;
    let raster = facing(raster(root, &seen)?, seen.frame.view);
    let Seen { placement, instance, number, frame } = seen;
    let mirrored = placement.mirrored_on(&raster, frame.counts.dim())?;
    let stored = StoredView { instance, frame: number, view: frame.view, mirrored };
    let acquired = acquired(&instances, zone, &mut warnings)?;
    let exposure = oriented(root, exposure(root)?, &raster);
    let counts = stored.on_raster(frame.counts);
    let image = TransmissionImage { counts, raster, exposure, energy, warnings };
    // The source is none, and what the patient was given does not matter here.
    scan(&instances, image, acquired, Radiopharmaceutical::default(), vec![stored])
}

/// The one view in one window that a transmission scan is.
fn only(found: Vec<Seen>) -> Result<Seen, ReadError> {
    let count = found.len();
    let several = |of: fn(&Seen) -> usize| found.iter().any(|seen| of(seen) != of(&found[0]));
    let what = if several(|seen| seen.frame.window) {
        "in several energy windows; send the frame of the window about the source's energy"
    } else if several(|seen| seen.frame.view as usize) {
        "of two detectors; send the frame of the detector that faces the source"
    } else {
        "of one view; send one scan a series"
    };
    <[Seen; 1]>::try_from(found).map(|[seen]| seen).map_err(|_| {
        ReadError::Contradiction(format!(
            "a transmission series holds {count} frames {what}, as an image of its own"
        ))
    })
}

/// Middle of the window.
fn energy(window: &EnergyWindow) -> Result<KiloElectronvolt, ReadError> {
    let [[low, high]] = window.ranges[..] else {
        return Err(malformed(
            tags::ENERGY_WINDOW_RANGE_SEQUENCE,
            "a transmission scan's window has several ranges, so its photons have no one energy; send a \
             window of one range",
        ));
    };
    Ok(KiloElectronvolt::new((low.value() + high.value()) / 2.0))
}

/// The raster as an anterior view has it: a posterior one's columns run from the patient's left to the right
/// where it was not stored mirrored.
fn facing(raster: Raster, view: View) -> Raster {
    if view == View::Anterior || raster.axes[0][0] >= 0.0 {
        return raster;
    }
    let [columns, rows] = raster.axes;
    let whole = raster.spacing_mm[0] * (raster.columns - 1) as f64;
    let last = |p: [f64; 3]| std::array::from_fn(|c| p[c] + columns[c] * whole);
    Raster {
        axes: [columns.map(|c| -c), rows],
        origin_lps_mm: raster.origin_lps_mm.map(last),
        ..raster
    }
}
