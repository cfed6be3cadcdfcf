//! What attenuates the photons of a scan's regions: a transmission scan with its blank, where there are
//! both, else the thickness that the plan states.

use super::super::PipelineError;
use super::super::inputs::Inputs;
use crate::config::camera::PlanarSettings;
use crate::dicom::read::{Planar, Transmission};
use crate::dose::atomic::MaterialLibrary;
use crate::quantify::planar::{TransmissionCounts, TransmissionDepth, transmission_depth};
use crate::quantity::KiloElectronvolt;

/// A transmission scan and its blank were taken with one source: their energies differ by no more, as a part.
const ENERGY_TOLERANCE: f64 = 0.02;
/// Pixels of two scans of one matrix differ in size by no more, as a part.
const PIXEL_TOLERANCE: f64 = 1e-3;

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
        let Some([patient, blank]) = pair(&inputs.transmissions)? else {
            return Ok(Self { per_cm, transmission: None });
        };
        let (own, other) = (&scan.image.raster, &patient.image.raster);
        let same_pixels = own.spacing_mm.iter().zip(other.spacing_mm);
        let same_pixels =
            same_pixels.fold(true, |same, (a, b)| same && (a / b - 1.0).abs() < PIXEL_TOLERANCE);
        if (own.rows, own.columns) != (other.rows, other.columns) || !same_pixels {
            return Err(PipelineError::Parked(format!(
                "transmission series {} has another matrix or other pixels than the views ({} x {} and {} x {}), so \
                 nothing says where on them it lies; acquire it as the views, or take it out and state `settings: \
                 quantification: views: body_thickness_mm`",
                patient.series, other.rows, other.columns, own.rows, own.columns
            )));
        }
        let ratio = per_cm / soft_tissue(patient.image.energy);
        let counts = |scan: &'_ Transmission| (scan.image.counts.clone(), scan.image.exposure);
        let (through, open) = (counts(patient), counts(blank));
        let depth = transmission_depth(
            TransmissionCounts { counts: &through.0, exposure: &through.1 },
            TransmissionCounts { counts: &open.0, exposure: &open.1 },
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

/// Linear attenuation of unscattered photons in soft tissue (ICRU, 1 g/mL), 1/cm.
fn soft_tissue(energy: KiloElectronvolt) -> f64 {
    let library = MaterialLibrary::embedded();
    let tissue = library.by_name("soft-tissue").expect("a test reads the embedded tissues");
    let tissue = library.get(tissue);
    tissue.mass_attenuation(energy.value()).total() * tissue.nominal_density_g_per_ml()
}

/// The scan through the patient and the one without: a patient only takes counts away.
fn pair(all: &[Transmission]) -> Result<Option<[&Transmission; 2]>, PipelineError> {
    let [a, b] = all else {
        return match all {
            [] => Ok(None),
            [one] => Err(PipelineError::Parked(format!(
                "transmission series {} came without its blank (the same scan without the patient), so nothing says \
                 what was attenuated; send the blank, or take the scan out and state `settings: quantification: \
                 views: body_thickness_mm`",
                one.series
            ))),
            _ => Err(PipelineError::Parked(format!(
                "{} transmission series came, one through the patient and its blank are wanted; narrow the plan's \
                 `match`",
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
    let total = |scan: &Transmission| scan.image.counts.iter().map(|n| f64::from(*n)).sum::<f64>();
    // Of two scans of unlike length the rates would have to be compared; both are of one exposure or are told apart
    // by far more than their lengths differ.
    let (of_a, of_b) = (rate(a, total(a)), rate(b, total(b)));
    Ok(Some(if of_a < of_b { [a, b] } else { [b, a] }))
}

/// Counts over how long a pixel was looked at, up to a factor that both scans share.
fn rate(scan: &Transmission, counts: f64) -> f64 {
    use crate::quantify::planar::Exposure;
    match scan.image.exposure {
        Exposure::Static { duration } => counts / duration.value(),
        Exposure::Scanning { velocity, .. } => counts * velocity,
    }
}
