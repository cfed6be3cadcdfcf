//! What a phantom was filled with: the file that `grayd calibrate --phantom` reads.

use super::camera::DeviceMatch;
use super::yaml::{Document, Fault, Step, steps};
use crate::quantity::nuclide::Nuclide;
use jiff::Timestamp;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// A filled phantom. Regions are named as they are drawn in the RTSTRUCT or SEG on its CT.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilledPhantom {
    pub nuclide: String,
    /// When the concentrations hold.
    pub at: Timestamp,
    pub uniform: Option<Uniform>,
    pub spheres: Option<Spheres>,
    pub planar: Option<PlanarSource>,
    pub dead_time: Option<RateSeries>,
    /// The camera, where no scan says it: of a `dead_time` alone.
    #[serde(rename = "match", default)]
    pub device: Option<DeviceMatch>,
}

/// `uniform:` a region well inside a uniformly filled volume: gives the calibration factor.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Uniform {
    pub region: String,
    pub mbq_per_ml: f64,
    /// Of the concentration, k = 1: activity meter, scale, mixing.
    pub relative_uncertainty: f64,
}

/// `spheres:` hot spheres of one solution: give the recovery curve.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spheres {
    pub regions: Vec<String>,
    pub mbq_per_ml: f64,
    #[serde(default)]
    pub background_mbq_per_ml: f64,
    pub relative_uncertainty: f64,
    /// Inner volumes as manufactured or weighed; without them the drawn ones.
    #[serde(default)]
    pub volumes_ml: BTreeMap<String, f64>,
    /// Where the scan has no `uniform` region and the image holds counts.
    pub calibration_cps_per_mbq: Option<f64>,
}

/// `planar:` a source in air between both detectors: gives the sensitivity of planar views.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanarSource {
    pub activity_mbq: f64,
    /// Of the activity, k = 1.
    pub relative_uncertainty: f64,
    /// Rate of a whole view, scatter windows taken off, without the source.
    #[serde(default)]
    pub background_cps: f64,
}

/// `dead_time:` rates of the whole spectrum at known activities.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateSeries {
    /// How long each rate was counted, s.
    pub counted_s: f64,
    pub rates: Vec<Rate>,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    pub activity_mbq: f64,
    pub cps: f64,
}

impl FilledPhantom {
    /// Does it want a scan?
    pub fn wants_images(&self) -> bool {
        self.uniform.is_some() || self.spheres.is_some() || self.planar.is_some()
    }

    /// Reads and checks the file; `Err` holds every fault.
    pub fn open(path: &Path) -> Result<Self, Vec<Fault>> {
        let mut document = Document::open(path).map_err(|fault| vec![fault])?;
        let (read, mut faults) = document.read::<Self>();
        let Some(read) = read else { return Err(faults) };
        read.check(&document, &mut faults);
        if faults.is_empty() { Ok(read) } else { Err(faults) }
    }

    fn check(&self, document: &Document, faults: &mut Vec<Fault>) {
        if let Err(error) = Nuclide::parse(&self.nuclide) {
            faults.push(document.fault_at(steps!["nuclide"], error.to_string()));
        }
        if !self.wants_images() && self.dead_time.is_none() {
            let message =
                "holds none of `uniform`, `spheres`, `planar`, `dead_time`; write one or more";
            faults.push(document.fault_at(steps![], message));
        }
        if !self.wants_images() && self.device.is_none() {
            let message =
                "no scan says which camera this is of; write `match: { station_name: ... }`";
            faults.push(document.fault_at(steps![], message));
        }
        let mut number = |path: &[Step<'_>], value: f64, low: f64, high: f64| {
            if !(low..=high).contains(&value) {
                let message = format!("{value} is out of range; write {low} to {high}");
                faults.push(document.fault_at(path, message));
            }
        };
        if let Some(uniform) = &self.uniform {
            number(steps!["uniform", "mbq_per_ml"], uniform.mbq_per_ml, 1e-6, 1e4);
            let u = uniform.relative_uncertainty;
            number(steps!["uniform", "relative_uncertainty"], u, 1e-4, 1.0);
        }
        if let Some(planar) = &self.planar {
            number(steps!["planar", "activity_mbq"], planar.activity_mbq, 1e-3, 1e6);
            let u = planar.relative_uncertainty;
            number(steps!["planar", "relative_uncertainty"], u, 1e-4, 1.0);
            number(steps!["planar", "background_cps"], planar.background_cps, 0.0, 1e7);
        }
        if let Some(series) = &self.dead_time {
            number(steps!["dead_time", "counted_s"], series.counted_s, 1e-3, 1e6);
            for (index, rate) in series.rates.iter().enumerate() {
                let at = |key: &'static str| {
                    [Step::from("dead_time"), "rates".into(), index.into(), key.into()]
                };
                number(&at("activity_mbq"), rate.activity_mbq, 1e-3, 1e7);
                number(&at("cps"), rate.cps, 1e-3, 1e8);
            }
        }
        if let Some(spheres) = &self.spheres {
            number(steps!["spheres", "mbq_per_ml"], spheres.mbq_per_ml, 1e-6, 1e4);
            let below = 0.99 * spheres.mbq_per_ml;
            let background = spheres.background_mbq_per_ml;
            number(steps!["spheres", "background_mbq_per_ml"], background, 0.0, below);
            let u = spheres.relative_uncertainty;
            number(steps!["spheres", "relative_uncertainty"], u, 1e-4, 1.0);
            for (name, ml) in &spheres.volumes_ml {
                number(
                    &["spheres".into(), "volumes_ml".into(), name.as_str().into()],
                    *ml,
                    1e-3,
                    1e4,
                );
            }
            if let Some(factor) = spheres.calibration_cps_per_mbq {
                number(steps!["spheres", "calibration_cps_per_mbq"], factor, 1e-3, 1e5);
            }
            for name in spheres.volumes_ml.keys().filter(|name| !spheres.regions.contains(name)) {
                let message = format!("`{name}` is none of `regions`; add it there or correct it");
                let at = ["spheres".into(), "volumes_ml".into(), name.as_str().into()];
                faults.push(document.fault_at(&at, message));
            }
        }
    }
}
