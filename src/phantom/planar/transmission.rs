//! The patient before a flood source, and the flood alone.

use super::{Scan, attenuation, blur, camera, window, with_margins};
use crate::dicom::write::DicomFile;
use crate::phantom::patient::Series;
use crate::phantom::{DigitalPatient, PhantomError};
use crate::quantify::planar::View;
use crate::quantity::{Millimetre, Seconds};
use dicom_dictionary_std::{tags, uids};
use ndarray::Array2;
use serde::Deserialize;

/// `transmission:` of the camera.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Source {
    kev: f64,
    /// Mean counts of a pixel without a patient.
    blank_counts: f64,
    before_minutes: f64,
}

/// Mean free paths from back to front, on the anterior view's raster without its margins, where `of` counts.
pub(super) fn depth(patient: &DigitalPatient, kev: f64, of: impl Fn(u8) -> bool) -> Array2<f64> {
    let (grid, mu) = (&patient.spect, attenuation(patient, kev));
    let [slices, rows, columns] = grid.shape();
    Array2::from_shape_fn((slices, columns), |(row, column)| {
        let labels = (0..rows).map(|j| patient.labels[grid.linear(slices - 1 - row, j, column)]);
        labels.filter(|label| of(*label)).map(|label| mu[usize::from(label)]).sum()
    })
}

/// Mean counts of the scan through the patient, or of the blank.
pub(super) fn counts(patient: &DigitalPatient, through: bool) -> Result<Array2<f64>, PhantomError> {
    let camera = camera(patient)?;
    let source = &camera.transmission;
    let depth = with_margins(camera, &depth(patient, source.kev, |_| true));
    if !through {
        return Ok(Array2::from_elem(depth.dim(), source.blank_counts));
    }
    let [dx, _, dz] = patient.spect.spacing_mm();
    // The flood goes on beyond the detector's edge: what is lost is blurred, not what is seen.
    let lost = depth.mapv(|depth| source.blank_counts * -(-depth).exp_m1());
    let resolution = Millimetre::new(camera.resolution_mm);
    Ok(blur(&lost, resolution, [dx, 1.0, dz]).mapv(|lost| source.blank_counts - lost))
}

/// NM Image, WHOLE BODY, TRANSMISSION: one window of one detector, before the administration.
pub(in crate::phantom) fn scan(
    patient: &DigitalPatient,
    through: bool,
) -> Result<DicomFile, PhantomError> {
    let camera = camera(patient)?;
    let Source { kev, before_minutes, .. } = camera.transmission;
    let half = camera.peak_width * kev / 2.0;
    let earlier = if through { before_minutes } else { 2.0 * before_minutes };
    let series = Series {
        patient,
        session: 0,
        name: if through { "transmission" } else { "blank" },
        sop_class: uids::NUCLEAR_MEDICINE_IMAGE_STORAGE,
        number: 60 + i64::from(!through),
        description: if through { "57Co transmission" } else { "57Co blank" }.to_owned(),
        model: "Digital camera",
    };
    let scan = Scan {
        camera,
        began: Seconds::new(-60.0 * earlier),
        kind: "TRANSMISSION",
        windows: vec![window(kev - half, kev + half, "57Co")],
        views: &[View::Anterior],
        frames: vec![counts(patient, through)?],
        purpose: 2000 + u64::from(through),
    };
    let set =
        scan.modules(&series).sequence(tags::RADIOPHARMACEUTICAL_INFORMATION_SEQUENCE, Vec::new());
    Ok(set.into_file()?)
}
