//! What quantification is given: values in a stated unit, and what the object claims of its
//! times and decay corrections.

use super::DeadTime;
use crate::quantity::{Becquerel, Gram, PerSecond, Seconds, Warning};
use crate::volume::Volume;
use jiff::Timestamp;

/// What one voxel value means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageUnit {
    BecquerelPerMl,
    /// Counts in the slice's whole scan time.
    Counts,
    CountsPerSecond,
    /// Standardised uptake value by body weight, g/ml.
    SuvBodyWeight,
}

/// Gamma or positron imaging.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmissionKind {
    SinglePhoton,
    Positron,
}

/// The decay correction that an object claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecayCorrection {
    /// Decay Correction (0054,1102) NONE, Decay Corrected (0018,9758) NO.
    None,
    /// START: to the beginning of the acquisition.
    Start,
    /// ADMIN: to the administration.
    Administration,
    /// To a stated instant, Decay Correction DateTime (0018,9701).
    To(Timestamp),
    /// The object has no such attribute.
    Unstated,
}

/// A site's rule for a device whose objects leave the decay reference open or contradict
/// themselves: what its values really refer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DecayReference {
    /// Corrected to the beginning of the acquisition.
    AcquisitionStart,
    /// Corrected to the administration.
    Administration,
    /// Not corrected: the average over the scan time.
    NotCorrected,
}

/// Times of one slice, in the order of the volume's k.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SliceTiming {
    /// Beginning of the slice's acquisition (for a bed of several: of that bed), UTC.
    pub start: Timestamp,
    /// Whole scan time of the slice, where it is known.
    pub duration: Option<Seconds>,
    /// What the scanner multiplied the values of this slice with, Decay Factor (0054,1321).
    pub decay_factor: Option<f64>,
}

/// What the object says was injected.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Injection {
    pub total: Option<Becquerel>,
    /// A complete date and time.
    pub start: Option<Timestamp>,
    /// Positron imaging only: a time without a date, put on the day of the scan or the day before.
    pub start_within_a_day: Option<Timestamp>,
    pub half_life: Option<Seconds>,
}

/// One series as one volume, values in `unit`.
#[derive(Debug, Clone, PartialEq)]
pub struct EmissionImage {
    pub values: Volume<f32>,
    pub unit: ImageUnit,
    pub kind: EmissionKind,
    /// One entry a slice, k ascending.
    pub slices: Vec<SliceTiming>,
    /// Series Date and Time: the instant of START.
    pub series_start: Option<Timestamp>,
    pub decay_correction: DecayCorrection,
    /// Corrected Image (0028,0051) names DECY.
    pub decay_flag: bool,
    /// Corrected Image (0028,0051) names DTIM.
    pub dead_time_corrected: bool,
    pub injection: Injection,
    pub weight: Option<Gram>,
    /// Where the unit was read from, beginning of a sentence.
    pub origin: String,
    pub warnings: Vec<Warning>,
}

/// Sensitivity of a camera for one nuclide with its collimator, windows and reconstruction.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// Counts per second of one MBq.
    pub cps_per_mbq: f64,
    /// Relative standard uncertainty (k = 1), where known.
    pub relative_uncertainty: Option<f64>,
}

/// What was given and when, from the plan.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Administration {
    pub activity: Becquerel,
    pub at: Timestamp,
}

/// What the image cannot know of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct QuantifyParameters {
    /// The nuclide's, from our own tables.
    pub half_life: Seconds,
    /// `None` where no plan stands behind it: then the field of view is not checked against it.
    pub administered: Option<Administration>,
    /// Of this camera and nuclide; needed for counts only.
    pub calibration: Option<Calibration>,
    /// Counts without a calibration are of use beside each other: 1 cps then stands for 1 MBq, and is held
    /// against nothing.
    pub relative_counts: bool,
    /// The site's rule for this device, where it has one.
    pub decay_reference: Option<DecayReference>,
    /// Of this camera, where the site states it.
    pub dead_time: Option<DeadTime>,
    /// Rate of the whole spectrum during the scan, which a reconstructed image does not know.
    pub wide_window: Option<PerSecond>,
    /// Bounds of the field of view's part of the activity that is left.
    pub plausible_fraction: [f64; 2],
}

impl QuantifyParameters {
    /// Parameters of a nuclide, nothing else known.
    pub fn new(half_life: Seconds) -> Self {
        Self {
            half_life,
            administered: None,
            calibration: None,
            relative_counts: false,
            decay_reference: None,
            dead_time: None,
            wide_window: None,
            plausible_fraction: [
                super::CONSTANTS.plausible_part_least.value,
                super::CONSTANTS.plausible_part_most.value,
            ],
        }
    }
}
