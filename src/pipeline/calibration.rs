//! A camera's entry from what the laboratory measured: calibration factor, recovery curve and resolution of a
//! filled phantom, planar sensitivity of a source in air, dead time of a series of rates.
//!
//! The phantom's regions are drawn on its CT or its images and arrive as any patient's; nothing is
//! searched for. Positions that are not drawn are refused with the names that are.

mod source;

use super::inputs::{self, Inputs};
use super::placement::{self, Share};
use super::space::Space;
use super::{PipelineError, error::parked};
use crate::config::camera::{CameraSettings, DeviceMatch, RecoverySettings, ResolutionSettings};
use crate::config::filled::{FilledPhantom, Spheres, Uniform};
use crate::dicom::read::{Device, Emission};
use crate::quantify::{
    self, ActivityMap, CONSTANTS, DeadTimeFit, ImageUnit, QuantifyParameters, RecoveryCurve,
    Resolution, Sphere,
};
use crate::quantity::nuclide::Nuclide;
use crate::quantity::{Millilitre, Warning};
use jiff::tz::TimeZone;
use std::path::PathBuf;

/// A measured sphere beside the curve through all.
#[derive(Debug, Clone, PartialEq)]
pub struct MeasuredSphere {
    pub name: String,
    pub drawn: Millilitre,
    pub measured: Sphere,
    pub fitted: f64,
}

/// What a scan of a phantom says of its camera.
#[derive(Debug, Clone, PartialEq)]
pub struct CameraCalibration {
    pub camera: CameraSettings,
    pub spheres: Vec<MeasuredSphere>,
    pub reduced_chi_square: Option<f64>,
    /// Measured over true concentration of the uniform region, where the image is in Bq/ml.
    pub scale_found: Option<f64>,
    /// Sensitivity of the anterior and the posterior detector, cps/MBq.
    pub detectors: Option<[f64; 2]>,
    /// Both models of the dead time, the better one first.
    pub dead_times: Vec<DeadTimeFit>,
    pub warnings: Vec<Warning>,
}

impl CameraCalibration {
    fn of(camera: CameraSettings) -> Self {
        Self {
            camera,
            spheres: Vec::new(),
            reduced_chi_square: None,
            scale_found: None,
            detectors: None,
            dead_times: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

/// Reads the phantom's scan and regions and makes the camera's entry.
///
/// # Errors
/// Regions that are not drawn, units that give no rate, spheres that make no curve.
pub fn calibrate(
    paths: &[PathBuf],
    phantom: &FilledPhantom,
    zone: &TimeZone,
) -> Result<CameraCalibration, PipelineError> {
    let nuclide = Nuclide::parse(&phantom.nuclide)?;
    if !phantom.wants_images() {
        let device = phantom.device.clone().unwrap_or_default();
        let date = phantom.at.to_zoned_datetime(zone.clone()).date();
        let mut found = CameraCalibration::of(entry(device, &nuclide, date));
        source::dead_time(phantom, &mut found)?;
        return Ok(found);
    }
    let inputs = inputs::read(paths, zone)?;
    let mut found = match (&phantom.uniform, &phantom.spheres) {
        (None, None) => None,
        _ => Some(of_emission(&inputs, phantom, &nuclide, zone)?),
    };
    source::planar(&inputs, phantom, &nuclide, zone, &mut found)?;
    let mut found = found.ok_or_else(|| PipelineError::Failed("nothing was calibrated".into()))?;
    source::dead_time(phantom, &mut found)?;
    Ok(found)
}

/// By a SPECT or PET: factor, recovery curve, resolution.
fn of_emission(
    inputs: &Inputs,
    phantom: &FilledPhantom,
    nuclide: &Nuclide,
    zone: &TimeZone,
) -> Result<CameraCalibration, PipelineError> {
    let [emission] = &inputs.emissions[..] else {
        return Err(PipelineError::Parked(format!(
            "{} SPECT or PET series were given; give the folder of one scan of the phantom",
            inputs.emissions.len()
        )));
    };
    let half_life = nuclide.decay()?.half_life;
    let in_counts = matches!(emission.image.unit, ImageUnit::Counts | ImageUnit::CountsPerSecond);
    let stated = phantom.spheres.as_ref().and_then(|spheres| spheres.calibration_cps_per_mbq);
    if stated.is_some() && !in_counts {
        return Err(PipelineError::Parked(
            "the scan is in Bq/ml; remove spheres: calibration_cps_per_mbq".into(),
        ));
    }
    // The map of counts holds rates per ml, and its ratio to the truth is the factor.
    let parameters =
        QuantifyParameters { relative_counts: true, ..QuantifyParameters::new(half_life) };
    let map = quantify::activity_map(&emission.image, &parameters)
        .map_err(|error| PipelineError::of_quantify("the phantom's scan", error))?;
    let elapsed = map.at.duration_since(phantom.at).as_secs_f64();
    let left = (-half_life.half_life_to_rate().value() * elapsed).exp();
    let regions = placement::shares_on(inputs, &[], &Space::of(emission), map.bq_per_ml.grid())?;
    let scan = Scan { emission, map: &map, regions: &regions, left, in_counts };

    let factor = phantom.uniform.as_ref().map(|uniform| scan.factor(uniform)).transpose()?;
    let date = emission.acquired.to_zoned_datetime(zone.clone()).date();
    let mut found = CameraCalibration {
        scale_found: factor.map(|factor| factor.0).filter(|_| !in_counts),
        warnings: map.warnings.clone(),
        ..CameraCalibration::of(entry(matched(&emission.device), nuclide, date))
    };
    if in_counts {
        found.camera.calibration_cps_per_mbq = factor.map(|factor| factor.0).or(stated);
        found.camera.relative_uncertainty = factor.map(|factor| factor.1);
    }
    if let Some(spheres) = &phantom.spheres {
        // Bq/ml of the scanner's own are divided by the scale that the uniform region shows.
        let scale = factor.map(|factor| factor.0).or(stated).or((!in_counts).then_some(1.0));
        let scale = scale.ok_or_else(|| {
            PipelineError::Parked(
                "the scan holds counts and no factor is known; draw and state a `uniform` region, or \
                 state spheres: calibration_cps_per_mbq"
                    .into(),
            )
        })?;
        scan.recovery(spheres, scale, &mut found)?;
    }
    Ok(found)
}

struct Scan<'a> {
    emission: &'a Emission,
    map: &'a ActivityMap,
    regions: &'a [Share],
    /// Part of the activity that has not decayed at the beginning of the scan.
    left: f64,
    in_counts: bool,
}

impl Scan<'_> {
    /// Mean of a region, MBq/ml or cps/ml, its volume, and the relative noise of that mean.
    fn mean(&self, name: &str) -> Result<(f64, Millilitre, f64), PipelineError> {
        let share = self.regions.iter().find(|share| share.name == name).ok_or_else(|| {
            let drawn: Vec<&str> = self.regions.iter().map(|share| share.name.as_str()).collect();
            let drawn = &drawn[..drawn.len().saturating_sub(1)];
            PipelineError::Parked(format!(
                "region {name} is not drawn on the phantom; drawn are {}",
                drawn.join(", ")
            ))
        })?;
        let grid = self.map.bq_per_ml.grid();
        let volume = share.occupancy.volume(grid);
        let sum = super::curves::activity_within(&self.map.bq_per_ml, &share.occupancy);
        let mean = sum.mbq() / volume.value();
        if !(mean.is_finite() && mean > 0.0) {
            return Err(PipelineError::Parked(format!("region {name} holds no counts")));
        }
        // Poisson of the counts where there are some; Bq/ml do not say how many stand behind them.
        let seconds = self.emission.image.slices[0].duration.map_or(0.0, |t| t.value());
        let counts = mean * volume.value() * seconds;
        let noise = if self.in_counts && counts > 0.0 { counts.sqrt().recip() } else { 0.0 };
        Ok((mean, volume, noise))
    }

    /// Counts per second and MBq (or measured over true Bq/ml), and its relative uncertainty.
    fn factor(&self, uniform: &Uniform) -> Result<(f64, f64), PipelineError> {
        let (mean, _, noise) = self.mean(&uniform.region)?;
        let factor = mean / (uniform.mbq_per_ml * self.left);
        Ok((factor, uniform.relative_uncertainty.hypot(noise)))
    }

    /// The curve through all spheres.
    fn recovery(
        &self,
        spheres: &Spheres,
        scale: f64,
        found: &mut CameraCalibration,
    ) -> Result<(), PipelineError> {
        let [hot, background] =
            [spheres.mbq_per_ml, spheres.background_mbq_per_ml].map(|c| c * self.left);
        let mut measured = Vec::new();
        for name in &spheres.regions {
            let (mean, drawn, noise) = self.mean(name)?;
            let stated = spheres.volumes_ml.get(name).copied().map(Millilitre::new);
            let volume = stated.unwrap_or(drawn);
            if (drawn / volume - 1.0).abs() > CONSTANTS.sphere_volume_warn.value {
                found.warnings.push(Warning::new(
                    "sphere-volume-differs",
                    format!("{name} is drawn with {drawn:.2}, stated with {volume:.2}"),
                ));
            }
            let (coefficient, noise) = recovered(mean / scale, noise, hot, background);
            let relative_uncertainty = spheres.relative_uncertainty.hypot(noise);
            measured.push((name, drawn, Sphere { volume, coefficient, relative_uncertainty }));
        }
        let points: Vec<Sphere> = measured.iter().map(|one| one.2).collect();
        let fit = RecoveryCurve::fit(&points).map_err(|error| parked("spheres", error))?;
        found.reduced_chi_square = Some(fit.reduced_chi_square);
        found.camera.recovery = Some(RecoverySettings {
            beta_ml: fit.curve.beta.value(),
            gamma: fit.curve.gamma,
            relative_uncertainty: fit.curve.relative_uncertainty,
        });
        match Resolution::fit(&points) {
            Ok((resolution, _)) => {
                found.camera.resolution = Some(ResolutionSettings {
                    fwhm_mm: resolution.fwhm.value(),
                    relative_uncertainty: resolution.relative_uncertainty,
                });
            }
            // The curve stands without it.
            Err(error) => found.warnings.push(Warning::new("no-resolution", error.to_string())),
        }
        found.spheres = measured
            .into_iter()
            .map(|(name, drawn, measured)| MeasuredSphere {
                name: name.clone(),
                drawn,
                measured,
                fitted: fit.curve.coefficient(measured.volume),
            })
            .collect();
        Ok(())
    }
}

/// Coefficient of a sphere and its relative noise: noise is that of all counts, and those above the
/// background alone make the coefficient.
fn recovered(measured: f64, noise: f64, hot: f64, background: f64) -> (f64, f64) {
    let net = measured - background;
    (net / (hot - background), noise * measured / net)
}

fn matched(device: &Device) -> DeviceMatch {
    DeviceMatch {
        station_name: device.station_name.clone(),
        manufacturer: device.manufacturer.clone(),
        model: device.model.clone(),
        collimator: device.collimator.clone(),
    }
}

/// An entry for this device without numbers.
fn entry(device: DeviceMatch, nuclide: &Nuclide, date: jiff::civil::Date) -> CameraSettings {
    CameraSettings {
        device,
        nuclide: nuclide.to_string(),
        calibration_cps_per_mbq: None,
        relative_uncertainty: None,
        decay_reference: None,
        calibrated_on: Some(date),
        checked_on: None,
        dead_time: None,
        recovery: None,
        resolution: None,
        planar: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_of_a_sphere_is_that_of_what_stands_out_of_the_background() {
        // 0.14 of 0.5 MBq/ml in 0.1: a tenth of the contrast, and 2 % of 0.14 are 7 % of 0.04.
        let (coefficient, noise) = recovered(0.14, 0.02, 0.5, 0.1);
        assert!((coefficient - 0.1).abs() < 1e-12 && (noise - 0.07).abs() < 1e-12, "{noise}");
        assert_eq!(recovered(0.25, 0.02, 0.5, 0.0), (0.5, 0.02));
    }
}
