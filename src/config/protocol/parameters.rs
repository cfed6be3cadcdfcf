//! What steers the pipeline for one course: a protocol's sections with the plan's statements.

use super::{
    Biology, Check, Dose, Gates, Imaging, Kinetics, Limits, Prescription, Quantification, Regions,
    Registration, RegistrationMethod, Section, Uncertainty, VoxelKinetics,
};
use crate::config::yaml::{Document, Fault};
use serde::{Deserialize, Serialize};

/// Everything that steers one computation; its JSON is part of a job's key.
///
/// A protocol writes these sections; a plan's `settings` may state any of their keys anew. A plan
/// is laid over the protocol's document before it is read, so each key is declared in one place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    pub imaging: Imaging,
    #[serde(default)]
    pub quantification: Quantification,
    #[serde(default)]
    pub registration: Registration,
    pub regions: Regions,
    pub kinetics: Kinetics,
    pub dose: Dose,
    pub biology: Biology,
    #[serde(default)]
    pub uncertainty: Uncertainty,
    #[serde(default)]
    pub limits: Limits,
    #[serde(default)]
    pub gates: Gates,
    #[serde(default)]
    pub prescription: Prescription,
    /// Constants recalled from the literature that no physicist of the site has confirmed
    /// (provenance M); every report lists them.
    #[serde(skip_deserializing)]
    pub unconfirmed: Vec<String>,
}

impl Parameters {
    /// Reads and checks the sections; `Err` holds every fault. `one_for_all_cycles`: a plan states one
    /// number of time points, which it means for all its cycles.
    pub(super) fn read(
        document: &mut Document,
        one_for_all_cycles: bool,
    ) -> Result<Self, Vec<Fault>> {
        let (read, mut faults) = document.read::<Self>();
        let Some(mut read) = read else { return Err(faults) };
        if document.is_laid_over() {
            // Whoever wants fewer time points wants a result from them.
            let points = read.imaging.time_points.value;
            read.imaging.at_least.value = read.imaging.at_least.value.min(points);
        }
        if one_for_all_cycles {
            read.imaging.by_cycle = None;
        }
        read.check(document, &mut faults);
        read.unconfirmed = document.with_provenance("M");
        if faults.is_empty() { Ok(read) } else { Err(faults) }
    }

    fn check(&self, document: &Document, faults: &mut Vec<Fault>) {
        let sections: [(&'static str, &dyn Section); 11] = [
            ("imaging", &self.imaging),
            ("quantification", &self.quantification),
            ("registration", &self.registration),
            ("regions", &self.regions),
            ("kinetics", &self.kinetics),
            ("dose", &self.dose),
            ("biology", &self.biology),
            ("uncertainty", &self.uncertainty),
            ("limits", &self.limits),
            ("gates", &self.gates),
            ("prescription", &self.prescription),
        ];
        for (name, section) in sections {
            section.check(&mut Check::new(name, document, faults));
        }
        if self.kinetics.voxels == VoxelKinetics::VoxelFit {
            if self.registration.method == RegistrationMethod::Deformable {
                Check::new("registration", document, faults).fault(
                    &["method".into()],
                    "deformable carries regions to the time points and no activity from voxel to voxel; write \
                     `voxels: region-curve` in `kinetics`, or `method: rigid`",
                );
            }
            for sample in self.regions.standing() {
                Check::new("regions", document, faults).fault(
                    &["derived".into(), sample.into(), "spheres".into(), "stand_for_region".into()],
                    "gives every voxel of the region one curve; write `voxels: region-curve` in \
                     `kinetics`, or false here",
                );
            }
        }
    }
}
