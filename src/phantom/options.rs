//! What can be chosen about the digital patient.

use super::PhantomError;
use crate::quantity::nuclide::Nuclide;
use crate::quantity::{Becquerel, KiloElectronvolt, Seconds};
use jiff::Timestamp;
use jiff::tz::Offset;
use serde::Deserialize;
use std::collections::BTreeMap;

/// How the activity images are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SpectStorage {
    /// NM Image, RECON TOMO, one multi-frame instance, Bq/ml by Real World Value Mapping.
    #[default]
    #[serde(rename = "nm")]
    NmReconTomo,
    /// PET Image, one instance a slice, Bq/ml by a rescale slope of each slice.
    Pet,
    /// The first image as `Pet`, the others as NM Image in counts of no stated sensitivity.
    PetThenCounts,
}

/// In which order slices are stored. The patient is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SliceOrder {
    /// Feet to head, Spacing Between Slices positive.
    #[default]
    Ascending,
    /// Head to feet, Spacing Between Slices negative (NM) or positions descending.
    Descending,
    /// Frames head to feet, but the Slice Vector says so; spacing positive (NM). For PET and CT
    /// like `Descending`.
    ReversedVector,
}

/// Which objects carry the regions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RegionObjects {
    StructureSet,
    Segmentation,
    #[default]
    Both,
}

/// What is imaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Body {
    #[default]
    Patient,
    /// The patient's camera and trunk, with a tumour in the liver and what reaches the lungs.
    Liver,
    /// A uniform cylinder, for a calibration factor.
    Cylinder,
    /// Six hot spheres in a warm body, for a recovery curve.
    Nema,
}

/// What the gamma camera acquires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Views {
    /// SPECT/CT in every session.
    #[default]
    Spect,
    /// Whole-body views in every session, one CT.
    Planar,
    /// Whole-body views in every session, SPECT/CT in one.
    Hybrid,
    /// Whole-body views in every session with regions outlined on them, a transmission scan, no CT.
    Outlined,
}

impl Views {
    /// Is there no SPECT?
    pub fn alone(self) -> bool {
        matches!(self, Self::Planar | Self::Outlined)
    }
}

/// Decay data where they are not to be looked up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PhantomDecay {
    pub half_life: Seconds,
    /// Non-penetrating energy per decay, daughters in equilibrium included.
    pub energy_per_decay: KiloElectronvolt,
}

impl PhantomDecay {
    /// With the members of its chain that are in equilibrium.
    pub fn of(nuclide: &Nuclide) -> Result<Self, PhantomError> {
        let data = nuclide.decay()?;
        let energy_per_decay = data.chain_energies.non_penetrating();
        Ok(Self { half_life: data.half_life, energy_per_decay })
    }
}

/// What can be chosen about the digital patient.
#[derive(Debug, Clone, PartialEq)]
pub struct PhantomOptions {
    pub nuclide: Nuclide,
    /// `None`: from the nuclide's decay data.
    pub decay: Option<PhantomDecay>,
    /// Varies uptakes and half-lives, names the UIDs and the patient, drives the noise.
    pub seed: u64,
    pub administered: Becquerel,
    pub administered_at: Timestamp,
    /// Zone that the scanner and the plan write their times in.
    pub utc_offset: Offset,
    /// Beginnings of the acquisitions after the administration. `None`: 4, 24, 96, 168 h, and for
    /// half-lives below two days the same multiples of the half-life as these are of 177Lu's.
    pub times: Option<Vec<Seconds>>,
    pub storage: SpectStorage,
    pub slice_order: SliceOrder,
    pub region_objects: RegionObjects,
    pub views: Views,
    /// Of a hybrid course: the session with the SPECT/CT, from 0; the last one where there are fewer.
    pub spect_session: usize,
    pub body: Body,
    /// SPECT `[k, j, i]`.
    pub spect_shape: [usize; 3],
    /// Edge of a cubic SPECT voxel, mm.
    pub spect_voxel_mm: f64,
    /// CT voxels along one edge of a SPECT voxel.
    pub ct_per_spect: usize,
    /// Poisson noise: counts in the field of view of the first image. `None`: no noise.
    pub noise_counts: Option<f64>,
    /// `None`: named after the nuclide.
    pub radiopharmaceutical: Option<String>,
    /// Factor on the uptake of every drawn region.
    pub uptake_scale: f64,
    /// Nothing leaves but by decay, where `kinetics` does not say otherwise.
    pub retained: bool,
    /// Resolution (FWHM) of the SPECT, mm. `None`: as the body's description has it, which is sharp for a
    /// patient.
    pub resolution_mm: Option<f64>,
    /// The patient is placed anew for every session: each has a frame of reference of its own, in which the
    /// patient is moved and turned. Regions are drawn in the first one.
    pub moved: bool,
    /// By region: part of the administered activity at time zero and biological half-life (h) in place of
    /// the description's.
    pub kinetics: BTreeMap<String, [f64; 2]>,
    /// What the imaged nuclide stands for, whose dose per activity is told beside; `None`: itself.
    pub therapy: Option<Nuclide>,
}

impl PhantomOptions {
    pub fn new(nuclide: Nuclide) -> Self {
        Self {
            nuclide,
            decay: None,
            seed: 1,
            administered: Becquerel::from_mbq(7400.0),
            // 2026-03-02T09:15:00Z
            administered_at: Timestamp::constant(1_772_442_900, 0),
            utc_offset: Offset::constant(1),
            times: None,
            storage: SpectStorage::default(),
            slice_order: SliceOrder::default(),
            region_objects: RegionObjects::default(),
            views: Views::default(),
            spect_session: 1,
            body: Body::default(),
            spect_shape: [48, 64, 64],
            spect_voxel_mm: 4.8,
            ct_per_spect: 2,
            noise_counts: None,
            radiopharmaceutical: None,
            uptake_scale: 1.0,
            retained: false,
            resolution_mm: None,
            moved: false,
            kinetics: BTreeMap::new(),
            therapy: None,
        }
    }

    /// A phantom of a test laboratory: one scan in counts, blurred, with finer voxels than a patient's.
    pub fn of_body(nuclide: Nuclide, body: Body) -> Self {
        let patient = Self::new(nuclide);
        if matches!(body, Body::Patient | Body::Liver) {
            return Self { body, ..patient };
        }
        Self {
            body,
            times: Some(vec![Seconds::from_hours(1.0)]),
            region_objects: RegionObjects::StructureSet,
            spect_shape: [64, 112, 112],
            spect_voxel_mm: 3.0,
            ct_per_spect: 1,
            ..patient
        }
    }
}

pub(super) fn check(options: &PhantomOptions) -> Result<(), PhantomError> {
    let wrong = |what, wanted| Err(PhantomError::Option { what, wanted });
    if !(options.administered.is_finite() && options.administered.value() > 0.0) {
        return wrong("administered activity", "a positive number");
    }
    if !(1..=8).contains(&options.ct_per_spect) {
        return wrong("CT voxels per SPECT voxel", "1 to 8");
    }
    if options.spect_shape.iter().any(|n| !(8..=512).contains(n)) {
        return wrong("SPECT size", "8 to 512 voxels along each axis");
    }
    if !(options.uptake_scale.is_finite() && options.uptake_scale > 0.0) {
        return wrong("factor on the uptake", "a positive number");
    }
    if options.resolution_mm.is_some_and(|mm| !(1.0..=60.0).contains(&mm)) {
        return wrong("resolution", "1 to 60 mm");
    }
    if options.moved && options.views != Views::Spect {
        return wrong("views of a patient that is placed anew", "SPECT");
    }
    if options.noise_counts.is_some_and(|n| !(n.is_finite() && n > 0.0 && n < 1e10)) {
        return wrong("noise", "a positive number of counts below 1e10");
    }
    let legal = |[uptake, hours]: &[f64; 2]| (0.0..=1.0).contains(uptake) && *hours > 0.0;
    if !options.kinetics.values().all(legal) {
        return wrong("kinetics", "an uptake of 0 to 1 and a half-life above 0 h");
    }
    let times = options.times.as_deref().unwrap_or(&[]);
    let legal = |t: &Seconds| t.is_finite() && t.value() > 0.0 && t.value() < 1e8;
    if options.times.is_some() && (times.is_empty() || !times.iter().all(legal)) {
        return wrong("time points", "one or more, each after the administration");
    }
    Ok(())
}
