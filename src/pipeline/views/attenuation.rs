//! What attenuates the photons of a scan's regions: a transmission scan with its blank, where there are
//! both, else the thickness that the plan states.

use super::super::PipelineError;
use super::super::inputs::Inputs;
use crate::config::camera::PlanarSettings;
use crate::dicom::read::{Planar, Transmission};
use crate::dose::atomic::MaterialLibrary;
use crate::quantify::CONSTANTS;
use crate::quantify::planar::{
    Exposure, Raster, TransmissionCounts, TransmissionDepth, transmission_depth,
};
use crate::quantity::KiloElectronvolt;
use crate::volume::dot;

/// A transmission scan and its blank were taken with one source: their energies differ by no more, as a part.
const ENERGY_TOLERANCE: f64 = 0.02;
/// Pixels of two scans of one matrix differ in size by no more, as a part.
const PIXEL_TOLERANCE: f64 = 1e-3;
/// Of directions that are one.
const LEAST_COSINE: f64 = 0.999;

/// Of one scan.
pub struct Attenuation {
    /// Of soft tissue at the photopeak, as the views see it, 1/cm.
    pub per_cm: f64,
    pub transmission: Option<TransmissionDepth>,
}

impl Attenuation {
    /// # Errors
    /// Transmission scans of which nothing says which is the blank, or that do not lie on the views' matrix.
    pub fn of(
        inputs: &Inputs,
        scan: &Planar,
        photopeak: KiloElectronvolt,
        broad_beam_ratio: f64,
        settings: &PlanarSettings,
    ) -> Result<Self, PipelineError> {
        let per_cm = soft_tissue(photopeak) * broad_beam_ratio;
        let Some([patient, blank]) = pair(&of_visit(inputs, scan))? else {
            return Ok(Self { per_cm, transmission: None });
        };
        let own = &scan.image.raster;
        if !lie_alike(own, &patient.image.raster) {
            return Err(PipelineError::Parked(format!(
                "transmission series {} has another matrix, other pixels or another place than the views, so it does \
                 not lie on them pixel for pixel; acquire it as the views, or take it out and state `settings: \
                 quantification: views: body_thickness_mm`",
                patient.series
            )));
        }
        let ratio = per_cm / soft_tissue(patient.image.energy);
        let depth = transmission_depth(
            counts(patient),
            counts(blank),
            own.spacing_mm,
            settings.field_of_view_mm,
            ratio,
        )?;
        Ok(Self { per_cm, transmission: Some(depth) })
    }

    pub fn how(&self) -> &'static str {
        match self.transmission {
            Some(_) => "attenuation by the transmission scan and its blank",
            None => "attenuation by the stated thickness",
        }
    }
}

/// Same matrix, pixels and directions, and where both say it the same place but for half a pixel.
fn lie_alike(a: &Raster, b: &Raster) -> bool {
    let near = |x: f64, y: f64, within: f64| (x - y).abs() <= within;
    let pixels = a.spacing_mm.iter().zip(b.spacing_mm);
    let same_pixels = pixels.fold(true, |all, (x, y)| all && near(*x, y, PIXEL_TOLERANCE * y));
    let same_axes = a.axes.iter().zip(b.axes).all(|(x, y)| dot(*x, y) > LEAST_COSINE);
    let same_place = match (a.origin_lps_mm, b.origin_lps_mm) {
        (Some(x), Some(y)) => (0..2).all(|n| {
            let along = |at: [f64; 3]| dot(at, a.axes[n]);
            near(along(x), along(y), a.spacing_mm[n] / 2.0)
        }),
        _ => true,
    };
    (a.rows, a.columns) == (b.rows, b.columns) && same_pixels && same_axes && same_place
}

/// Linear attenuation of unscattered photons in soft tissue (ICRU, 1 g/mL), 1/cm.
fn soft_tissue(energy: KiloElectronvolt) -> f64 {
    let library = MaterialLibrary::embedded();
    let tissue = library.by_name("soft-tissue").expect("a test reads the embedded tissues");
    let tissue = library.get(tissue);
    tissue.mass_attenuation(energy.value()).total() * tissue.nominal_density_g_per_ml()
}

/// Transmission scans of the views' own study, else all.
fn of_visit<'a>(inputs: &'a Inputs, scan: &Planar) -> Vec<&'a Transmission> {
    let all = || inputs.transmissions.iter();
    let own: Vec<&Transmission> =
        all().filter(|other| other.study.study == scan.study.study).collect();
    if own.is_empty() { all().collect() } else { own }
}

/// The scan through the patient and the one without: a patient only takes counts away.
fn pair<'a>(all: &[&'a Transmission]) -> Result<Option<[&'a Transmission; 2]>, PipelineError> {
    let &[a, b] = all else {
        return match all {
            [] => Ok(None),
            [one] => Err(PipelineError::Parked(format!(
                "transmission series {} came without its blank (the same scan without the patient), so nothing says \
                 what was attenuated; send the blank, or take the scan out and state `settings: quantification: \
                 views: body_thickness_mm`",
                one.series
            ))),
            _ => Err(PipelineError::Parked(format!(
                "{} transmission series go with the views, one through the patient and its blank are wanted; keep \
                 these two in the views' study",
                all.len()
            ))),
        };
    };
    let energies = a.image.energy.value() / b.image.energy.value() - 1.0;
    if energies.abs() > ENERGY_TOLERANCE {
        return Err(PipelineError::Parked(format!(
            "transmission series {} and {} were taken at {:.0} and {:.0} keV: they are no scan and its blank",
            a.series,
            b.series,
            a.image.energy.value(),
            b.image.energy.value()
        )));
    }
    let same_motion =
        std::mem::discriminant(&a.image.exposure) == std::mem::discriminant(&b.image.exposure);
    let [through, open] = if rate(a) < rate(b) { [a, b] } else { [b, a] };
    if !same_motion || rate(through) > CONSTANTS.transmission_of_blank_most.value * rate(open) {
        return Err(PipelineError::Parked(format!(
            "nothing says which of transmission series {} and {} is the blank: it must be acquired like the scan \
             through the patient and count clearly more; send the blank, or take both out and state `settings: \
             quantification: views: body_thickness_mm`",
            a.series, b.series
        )));
    }
    Ok(Some([through, open]))
}

fn counts(scan: &Transmission) -> TransmissionCounts<'_> {
    TransmissionCounts { counts: &scan.image.counts, exposure: &scan.image.exposure }
}

/// Counts over how long a pixel was looked at, up to a factor that both scans share.
fn rate(scan: &Transmission) -> f64 {
    let counts: f64 = scan.image.counts.iter().map(|n| f64::from(*n)).sum();
    match scan.image.exposure {
        Exposure::Static { duration } => counts / duration.value(),
        Exposure::Scanning { velocity, .. } => counts * velocity,
    }
}
