//! `cameras:` what is known of each camera for one nuclide: calibration, dead time, recovery, planar
//! sensitivity. `grayd calibrate` writes such an entry from a scan of a phantom.

use super::node::NodeConfig;
use super::yaml::{Document, Fault, Step};
use crate::quantify::{
    Calibration, DeadTime, DeadTimeModel, DecayReference, RecoveryCurve, Resolution,
};
use crate::quantity::nuclide::Nuclide;
use crate::quantity::{Millilitre, Millimetre, Seconds};
use serde::{Deserialize, Serialize};

/// One device with one collimator for one nuclide.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraSettings {
    #[serde(rename = "match")]
    pub device: DeviceMatch,
    pub nuclide: String,
    /// Counts per second and MBq of the reconstructed image.
    /// Absent for a camera that stores Bq/ml and needs only a rule.
    #[serde(default)]
    pub calibration_cps_per_mbq: Option<f64>,
    /// Relative standard uncertainty (k = 1) of that factor, where it is known.
    #[serde(default)]
    pub relative_uncertainty: Option<f64>,
    /// What the decay correction of this camera's images really refers to, where the objects leave
    /// it open or contradict themselves.
    #[serde(default)]
    pub decay_reference: Option<DecayReference>,
    /// Date of the calibration, for the report.
    #[serde(default)]
    pub calibrated_on: Option<jiff::civil::Date>,
    /// Date of the camera's last quality control, for the report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_on: Option<jiff::civil::Date>,
    #[serde(default)]
    pub dead_time: Option<DeadTimeSettings>,
    #[serde(default)]
    pub recovery: Option<RecoverySettings>,
    #[serde(default)]
    pub resolution: Option<ResolutionSettings>,
    #[serde(default)]
    pub planar: Option<PlanarSettings>,
}

/// `dead_time:` of the whole camera, by the rate of the whole spectrum.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeadTimeSettings {
    pub model: DeadTimeModel,
    /// Microseconds.
    pub tau_us: f64,
}

/// `recovery:` RC(V) = 1/(1 + (β/V)^γ) of spheres in the site's own reconstruction.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecoverySettings {
    pub beta_ml: f64,
    pub gamma: f64,
    /// Of a coefficient, k = 1, where it is known.
    #[serde(default)]
    pub relative_uncertainty: Option<f64>,
}

/// `resolution:` of the site's own reconstruction.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResolutionSettings {
    /// Full width at half the maximum, mm.
    pub fwhm_mm: f64,
    /// k = 1, where it is known.
    #[serde(default)]
    pub relative_uncertainty: Option<f64>,
}

/// `planar:` of whole-body and static views.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanarSettings {
    /// Counts per second and MBq of one detector in air, in the photopeak window.
    pub cps_per_mbq: f64,
    #[serde(default)]
    pub relative_uncertainty: Option<f64>,
    /// Length of the detector along a scan, mm, where the objects do not say it.
    #[serde(default)]
    pub field_of_view_mm: Option<f64>,
    /// Resolution (FWHM) of a view at the depth of organs, mm; absent: views are taken as sharp.
    #[serde(default)]
    pub resolution_mm: Option<f64>,
    /// Attenuation that views without a scatter window below the peak show, over that of unscattered photons.
    #[serde(default)]
    pub broad_beam_ratio: Option<f64>,
}

/// `cameras[].match:` what a series must say of its device; what is absent matches everything.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeviceMatch {
    /// Station Name (0008,1010).
    pub station_name: Option<String>,
    /// Manufacturer (0008,0070).
    pub manufacturer: Option<String>,
    /// Manufacturer's Model Name (0008,1090).
    pub model: Option<String>,
    /// Collimator/grid Name (0018,1180): another collimator has another sensitivity.
    pub collimator: Option<String>,
}

impl DeviceMatch {
    fn is_empty(&self) -> bool {
        self.station_name.is_none() && self.manufacturer.is_none() && self.model.is_none()
    }

    /// Does a device that calls itself so match? Text is compared as written.
    pub fn matches(
        &self,
        station_name: Option<&str>,
        manufacturer: Option<&str>,
        model: Option<&str>,
        collimator: Option<&str>,
    ) -> bool {
        let fits = |want: &Option<String>, have: Option<&str>| {
            want.as_deref().is_none_or(|want| have == Some(want))
        };
        fits(&self.station_name, station_name)
            && fits(&self.manufacturer, manufacturer)
            && fits(&self.model, model)
            && fits(&self.collimator, collimator)
    }
}

impl CameraSettings {
    pub fn calibration(&self) -> Option<Calibration> {
        let cps_per_mbq = self.calibration_cps_per_mbq?;
        Some(Calibration { cps_per_mbq, relative_uncertainty: self.relative_uncertainty })
    }

    pub fn dead_time(&self) -> Option<DeadTime> {
        let stated = self.dead_time?;
        Some(DeadTime { model: stated.model, tau: Seconds::new(stated.tau_us * 1e-6) })
    }

    pub fn recovery_curve(&self) -> Option<RecoveryCurve> {
        let stated = self.recovery?;
        Some(RecoveryCurve {
            beta: Millilitre::new(stated.beta_ml),
            gamma: stated.gamma,
            relative_uncertainty: stated.relative_uncertainty,
        })
    }

    pub fn resolution(&self) -> Option<Resolution> {
        let stated = self.resolution?;
        let fwhm = Millimetre::new(stated.fwhm_mm);
        Some(Resolution { fwhm, relative_uncertainty: stated.relative_uncertainty })
    }

    /// Every number with its key and range.
    fn numbers(&self) -> Vec<([&'static str; 2], f64, [f64; 2])> {
        let mut all = Vec::new();
        let mut add = |path, value: Option<f64>, range| {
            all.extend(value.map(|value| (path, value, range)));
        };
        if let Some(stated) = &self.dead_time {
            add(["dead_time", "tau_us"], Some(stated.tau_us), [1e-3, 100.0]);
        }
        if let Some(stated) = &self.recovery {
            add(["recovery", "beta_ml"], Some(stated.beta_ml), [1e-3, 1e3]);
            add(["recovery", "gamma"], Some(stated.gamma), [0.1, 10.0]);
            add(["recovery", "relative_uncertainty"], stated.relative_uncertainty, [0.0, 1.0]);
        }
        if let Some(stated) = &self.resolution {
            add(["resolution", "fwhm_mm"], Some(stated.fwhm_mm), [0.5, 60.0]);
            add(["resolution", "relative_uncertainty"], stated.relative_uncertainty, [0.0, 1.0]);
        }
        if let Some(stated) = &self.planar {
            add(["planar", "cps_per_mbq"], Some(stated.cps_per_mbq), [1e-3, 1e4]);
            add(["planar", "relative_uncertainty"], stated.relative_uncertainty, [0.0, 1.0]);
            add(["planar", "field_of_view_mm"], stated.field_of_view_mm, [10.0, 3000.0]);
            add(["planar", "resolution_mm"], stated.resolution_mm, [0.5, 100.0]);
            add(["planar", "broad_beam_ratio"], stated.broad_beam_ratio, [0.3, 1.0]);
        }
        all
    }
}

/// Checks of `cameras:`.
pub(super) fn check(config: &NodeConfig, document: &Document, faults: &mut Vec<Fault>) {
    for (index, camera) in config.cameras.iter().enumerate() {
        let at = |key: &'static str| [Step::from("cameras"), index.into(), key.into()];
        if camera.device.is_empty() {
            let message = "matches every device; name station_name, manufacturer or model";
            faults.push(document.fault_at(&at("match"), message));
        }
        if let Err(error) = Nuclide::parse(&camera.nuclide) {
            faults.push(document.fault_at(&at("nuclide"), error.to_string()));
        }
        if let Some(factor) = camera.calibration_cps_per_mbq
            && !(factor.is_finite() && factor > 0.0 && factor < 1e5)
        {
            faults.push(document.fault_at(
                &at("calibration_cps_per_mbq"),
                format!("{factor} cannot be; write counts per second and MBq, above 0"),
            ));
        }
        if camera.relative_uncertainty.is_some_and(|u| !(0.0..1.0).contains(&u)) {
            let message = "is a fraction, k = 1; write 0.03 for 3 %";
            faults.push(document.fault_at(&at("relative_uncertainty"), message));
        }
        for ([group, key], value, [low, high]) in camera.numbers() {
            if !(low..=high).contains(&value) {
                let path = [Step::from("cameras"), index.into(), group.into(), key.into()];
                let message = format!("{value} is out of range; write {low} to {high}");
                faults.push(document.fault_at(&path, message));
            }
        }
    }
}
