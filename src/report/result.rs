//! The result of one cycle: everything that any report says, with unit, method and warnings.

use crate::biology::effect::MixedDose;
use crate::config::plan::WholeBodyCount;
use crate::dicom::read::Assay;
use crate::dicom::write::Code;
use crate::dicom::{PatientIdentity, Uid};
use crate::kinetics::Fit;
use crate::quantify::Recovered;
use crate::quantity::nuclide::Nuclide;
use crate::quantity::{Becquerel, Gram, Gray, Measured, Millilitre, PerSecond, Seconds, Warning};
use crate::uncertainty::Budget;
use crate::volume::{Occupancy, Volume};
use jiff::Timestamp;

/// Results are research until a notified body says otherwise; every report carries this line.
pub const RESEARCH_MARK: &str =
    "Research software. Not a medical device. Not for clinical decisions.";

/// Name of the region that is everything else.
pub const REMAINDER: &str = "Remainder of body";

/// Name and version of the program that computed, and the hash of everything that steered it.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Software {
    pub name: &'static str,
    pub version: &'static str,
    /// SHA-256 over protocol, plan settings, camera calibration and data tables in use.
    pub parameters_sha256: String,
}

/// An input instance, for references and provenance.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct InputInstance {
    pub sop_class: Uid,
    pub sop_instance: Uid,
    pub series: Uid,
    pub study: Uid,
    pub modality: String,
    pub sha256: String,
}

/// Attributes of the study that results join, copied from the reference series.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StudyIdentity {
    pub study: Option<Uid>,
    pub date: String,
    pub time: String,
    pub id: String,
    pub accession_number: String,
    pub referring_physician: String,
    pub description: String,
}

/// One imaging time point.
#[derive(Debug, Clone, PartialEq)]
pub struct TimePoint {
    /// Beginning of the acquisition, UTC.
    pub acquired: Timestamp,
    /// From the administration to that instant.
    pub after_administration: Seconds,
    pub series: Uid,
    pub modality: String,
    /// By views, not by a reconstructed volume.
    pub is_planar: bool,
    /// Activity in the whole field of view at that instant; `None` of an image in counts of no known scale.
    pub field_of_view: Option<Becquerel>,
    /// How stored values became Bq/ml, one sentence.
    pub quantification: String,
    pub acquisition: Acquisition,
}

/// What a series says of how it was acquired and reconstructed; each absent where it does not.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Acquisition {
    pub manufacturer: Option<String>,
    pub model: Option<String>,
    pub station_name: Option<String>,
    pub collimator: Option<String>,
    pub series_description: Option<String>,
    /// Whole scan time of a slice.
    pub duration: Option<Seconds>,
    /// Lower and upper limit, keV.
    pub energy_windows_kev: Vec<(f64, f64)>,
    /// Projections of a rotation, of all detectors together where the object counts so.
    pub views: Option<u32>,
    /// Columns, rows and slices, and their spacing.
    pub matrix: Option<([usize; 3], [f64; 3])>,
    /// Reconstruction Method (0054,1103) or Algorithm.
    pub reconstruction: Option<String>,
    /// Corrected Image (0028,0051).
    pub corrections: Vec<String>,
    /// Date of the camera's calibration in the configuration.
    pub calibrated_on: Option<jiff::civil::Date>,
    /// Date of the camera's last quality control, in plan or configuration.
    pub checked_on: Option<jiff::civil::Date>,
}

/// What is known of the administration beside activity and time; each absent where nobody says it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AdministrationFacts {
    /// What was measured before it.
    pub before: Option<Assay>,
    /// What stayed in syringe and tubing.
    pub after: Option<Assay>,
    /// The instrument that measured, the standard it goes back to, its last quality control.
    pub activity_meter: Option<String>,
    pub traceable_to: Option<String>,
    pub meter_checked_on: Option<jiff::civil::Date>,
    pub route: Option<Code>,
    /// Who gave it.
    pub by: Option<String>,
    pub co_medication: Vec<String>,
    /// The instrument that measured samples of blood.
    pub well_counter: Option<String>,
    /// Reports of this administration that were received.
    pub reports: Vec<ReceivedReport>,
}

impl AdministrationFacts {
    /// The instrument in words.
    pub fn meter_text(&self) -> Option<String> {
        let mut text = self.activity_meter.clone()?;
        if let Some(standard) = &self.traceable_to {
            text += &format!(", traceable to {standard}");
        }
        if let Some(date) = self.meter_checked_on {
            text += &format!(", quality control on {date}");
        }
        Some(text)
    }
}

/// A name under a cycle's result.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SignedResult {
    pub cycle: u32,
    pub by: String,
    pub at: Timestamp,
}

/// A received Radiopharmaceutical Radiation Dose SR.
#[derive(Debug, Clone, PartialEq)]
pub struct ReceivedReport {
    pub instance: InputInstance,
    /// Radiopharmaceutical Administration Event UID.
    pub event: Option<Uid>,
}

/// The CT that masses came from.
#[derive(Debug, Clone, PartialEq)]
pub struct CtUse {
    pub series: Uid,
    pub station_name: Option<String>,
    /// Tube voltage, kV.
    pub kvp: Option<f64>,
}

/// The engine that made the dose.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct EngineReport {
    /// `local`, `kernel`, `monte-carlo`, `organ-s-values`.
    pub name: &'static str,
    /// Why this one: stated in the plan, or the rule that chose it.
    pub chosen_because: String,
    /// Where the mass of a voxel came from: `CT density` or `stated density 1.04 g/mL`.
    pub mass_source: String,
    /// Energy deposited per decay, as used, keV; `None` where S values hold it.
    pub energy_per_decay_kev: Option<f64>,
    pub histories: Option<u64>,
    /// Largest relative standard uncertainty (k = 1) that the engine itself adds to a region's mean dose.
    pub relative_uncertainty: Option<f64>,
}

/// One region (or the remainder of the body) with all its numbers. `None`: could not be had, and
/// a warning says why.
#[derive(Debug, Clone, PartialEq)]
pub struct RegionResult {
    pub name: String,
    /// Number within this result, 1-based: the SEG's segment number.
    pub number: u16,
    /// What the region is, for codes: an organ's name in lower case, `lesion`, or unknown.
    pub anatomy: Option<String>,
    /// Where it was made here rather than drawn.
    pub made: Option<Made>,
    /// On the dose grid; empty where there is none.
    pub occupancy: Occupancy,
    pub volume: Option<Millilitre>,
    pub mass: Option<Gram>,
    /// Activity at each time point, at the beginning of that acquisition; same order as `time_points`.
    pub activity: Vec<Option<Measured<Becquerel>>>,
    /// Recovery coefficient that these activities were divided by, where the camera has a curve.
    pub recovery: Option<Recovered>,
    pub fit: Option<Fit>,
    pub dose: Option<DoseStatistics>,
    /// The mean dose by what deposited it, where alphas did.
    pub alpha: Option<MixedDose>,
    /// What a tracer says of the therapy in this region.
    pub therapy: Option<TherapyEstimate>,
    /// Biologically effective dose of the mean dose, with what it assumed.
    pub bed: Option<Bed>,
    /// What else the dose distribution does.
    pub effect: Effect,
    /// Relative standard uncertainty of the mean dose, k = 1.
    pub uncertainty: Option<f64>,
    /// Who contributes how much to it, and what is not known.
    pub uncertainty_budget: Option<Budget>,
    pub warnings: Vec<Warning>,
}

/// What the images of a tracer say of the therapy that it stands for, in one region: the same biology
/// with the therapy's decay.
#[derive(Debug, Clone, PartialEq)]
pub struct TherapyEstimate {
    pub radiopharmaceutical: String,
    /// Mean dose of an administration of 1 GBq.
    pub dose_per_gbq: Gray,
    /// The same by what deposited it, where alphas do.
    pub alpha: Option<MixedDose>,
    /// Of the dose, k = 1.
    pub relative_uncertainty: Option<f64>,
    /// Decays in the region over the administered activity.
    pub residence: Seconds,
    /// Fraction of the administered activity and biological rate of each term; an uptake's fraction is
    /// negative.
    pub biological: Vec<(f64, PerSecond)>,
    pub method: &'static str,
}

/// How the program made a region by itself.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Made {
    /// `spheres`, `threshold`, `ct`.
    pub method: &'static str,
    /// One sentence, with every number.
    pub description: String,
    /// Region that it is a part of; such a part counts toward no limit.
    pub within: Option<String>,
}

/// A region's dose: energy over mass.
#[derive(Debug, Clone, PartialEq)]
pub struct DoseStatistics {
    pub mean: Gray,
    /// How it varies within the region, by volume; absent where doses are of organs and not of voxels.
    pub spread: Option<DoseSpread>,
}

/// How a dose varies within a region, by volume.
#[derive(Debug, Clone, PartialEq)]
pub struct DoseSpread {
    pub min: Gray,
    pub max: Gray,
    pub median: Gray,
    pub sd: Gray,
    pub d98: Gray,
    pub d95: Gray,
    pub d90: Gray,
    pub d50: Gray,
    pub d2: Gray,
    /// Cumulative DVH: (dose at the bin's lower edge, volume that receives at least that).
    pub dvh: Vec<(Gray, Millilitre)>,
}

/// Biologically effective dose (MIRD 20).
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Bed {
    pub value: Gray,
    pub alpha_beta: Gray,
    pub repair_half_time: Seconds,
    /// Provenance tag of the biological parameters (S, P, D or M).
    pub provenance: String,
}

/// What a region's dose distribution does, beside the BED of its mean; each absent where it was not asked
/// for or could not be had.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize)]
pub struct Effect {
    /// Dose in fractions of 2 Gy with the BED of the mean.
    pub eqd2: Option<Gray>,
    /// Equivalent uniform dose.
    pub eud: Option<EquivalentUniformDose>,
    /// Mean over the region's volume of the BED of its voxels; above the BED of the mean dose wherever the dose varies.
    pub mean_of_voxel_bed: Option<Gray>,
    /// Dose, and the part of the volume that receives at least that.
    pub volumes_at: Vec<(Gray, f64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct EquivalentUniformDose {
    pub dose: Gray,
    pub alpha_per_gy: f64,
}

/// BED of every voxel of the regions whose tissue is known; 0 elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub struct VoxelBed {
    pub gy: Volume<f32>,
    /// One sentence a region: what it assumed.
    pub assumed: Vec<String>,
}

/// Imaging complete, or a first look that a later revision will supersede.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Completeness {
    Provisional,
    Final,
}

/// The SR of the result that this one supersedes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Predecessor {
    pub study: Uid,
    pub sop_instance: Uid,
}

/// Everything that one run of the pipeline says about one cycle.
#[derive(Debug, Clone, PartialEq)]
pub struct CycleResult {
    pub software: Software,
    pub protocol: String,
    pub protocol_version: String,
    pub patient: PatientIdentity,
    pub study: StudyIdentity,
    pub cycle: u32,
    pub completeness: Completeness,
    /// SR that this result supersedes, where it is a revision.
    pub predecessor: Option<Predecessor>,
    pub radiopharmaceutical: String,
    pub nuclide: Nuclide,
    pub administered: Becquerel,
    pub administered_at: Timestamp,
    pub administration: AdministrationFacts,
    pub inputs: Vec<InputInstance>,
    pub time_points: Vec<TimePoint>,
    /// Of the views of the whole body, where there are any.
    pub whole_body_counts: Vec<WholeBodyCount>,
    /// Series whose grid the dose is on; the first one where the doses are of organs.
    pub reference_series: Uid,
    /// Doses of voxels; `None` where all images are views without a CT, and doses are of organs.
    pub voxels: Option<VoxelResult>,
    /// Spaces that were registered for this result; what was received is among the inputs.
    pub registrations: Vec<RegisteredSpace>,
    pub engine: EngineReport,
    pub regions: Vec<RegionResult>,
    pub warnings: Vec<Warning>,
    /// State of the course and the proposed activity, where the protocol has limits or a rule.
    pub prescription: Option<serde_json::Value>,
    /// Results of cycles before that a person signed on the pages of the node.
    pub signed_results: Vec<SignedResult>,
    /// When the computation was made: the only number here that a rerun changes.
    pub computed_at: Timestamp,
}

/// The dose map, what lies on its grid, and where it lies.
#[derive(Debug, Clone, PartialEq)]
pub struct VoxelResult {
    /// Frame of reference that the dose grid lies in.
    pub frame_of_reference: Uid,
    /// RTSTRUCT whose ROIs the regions are, with each region's ROI number, where there is one.
    pub structure_set: Option<StructureSetReference>,
    /// Gy, on the dose grid.
    pub gy: Volume<f32>,
    /// Statistical standard error (k = 1) of `gy` where Monte Carlo ran, Gy, same grid.
    pub error_gy: Option<Volume<f32>>,
    /// BED of the voxels, same grid, where it was asked for.
    pub bed: Option<VoxelBed>,
    /// Further quantities on the dose grid.
    pub maps: Vec<VoxelMap>,
    pub ct: Option<CtUse>,
    /// Dose over CT through the hottest region, to be looked at.
    pub planes: Vec<super::planes::Plane>,
}

/// One quantity a voxel beside the dose: time-integrated activity (MBq·h/ml) or effective half-life
/// (h), by its kind.
#[derive(Debug, Clone, PartialEq)]
pub struct VoxelMap {
    pub kind: super::Kind,
    pub values: Volume<f32>,
}

/// A space of images as it was registered for this result.
#[derive(Debug, Clone, PartialEq)]
pub struct RegisteredSpace {
    pub registered_frame: Uid,
    /// `None`: the images have none and are named instead.
    pub moving_frame: Option<Uid>,
    pub moving_images: Vec<Uid>,
    /// x_registered = M · x_moving, row-major, mm; where a deformation follows, what it started from.
    pub moving_to_registered: [[f64; 4]; 4],
    pub motion: RegisteredMotion,
    /// What was compared with what: `CT to CT`.
    pub images: &'static str,
    /// How, and with what score.
    pub metric: &'static str,
    pub score: f64,
    pub overlap: f64,
}

/// What the map of a registered space may do.
#[derive(Debug, Clone, PartialEq)]
pub enum RegisteredMotion {
    Rigid,
    Affine,
    Deformable {
        /// Registered points to moving points.
        map: std::sync::Arc<crate::volume::transform::Deformation>,
        /// Least and largest determinant of its Jacobian.
        jacobian: [f64; 2],
    },
}

impl RegisteredMotion {
    /// For people.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Rigid => "rigid",
            Self::Affine => "affine",
            Self::Deformable { .. } => "deformable",
        }
    }

    /// The range of the Jacobian for people, where there is one.
    pub fn jacobian(&self) -> String {
        match self {
            Self::Deformable { jacobian: [least, most], .. } => {
                format!(", Jacobian {least:.2} to {most:.2}")
            }
            Self::Rigid | Self::Affine => String::new(),
        }
    }
}

/// The RTSTRUCT behind the regions.
#[derive(Debug, Clone, PartialEq)]
pub struct StructureSetReference {
    pub sop_instance: Uid,
    pub series: Uid,
    pub study: Uid,
    /// (region number, ROI number).
    pub roi_numbers: Vec<(u16, i32)>,
}
