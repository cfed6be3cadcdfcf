//! What planar quantification is given: the views of one scan on one raster, and how long each pixel
//! was looked at.

use crate::quantify::Injection;
use crate::quantity::{KiloElectronvolt, Seconds, Warning};
use ndarray::Array2;

/// The side of the patient that a detector looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum View {
    Anterior,
    Posterior,
}

impl View {
    pub const BOTH: [Self; 2] = [Self::Anterior, Self::Posterior];

    pub fn name(self) -> &'static str {
        match self {
            Self::Anterior => "anterior",
            Self::Posterior => "posterior",
        }
    }
}

/// One energy window; of several ranges where the camera adds them up.
#[derive(Debug, Clone, PartialEq)]
pub struct EnergyWindow {
    pub ranges: Vec<[KiloElectronvolt; 2]>,
}

impl EnergyWindow {
    pub fn width(&self) -> KiloElectronvolt {
        self.ranges.iter().map(|[low, high]| *high - *low).sum()
    }

    pub fn holds(&self, kev: f64) -> bool {
        self.ranges.iter().any(|[low, high]| low.value() <= kev && kev <= high.value())
    }

    /// Lowest and highest energy, keV.
    pub fn ends(&self) -> [f64; 2] {
        let low = self.ranges.iter().map(|r| r[0].value()).fold(f64::INFINITY, f64::min);
        let high = self.ranges.iter().map(|r| r[1].value()).fold(f64::NEG_INFINITY, f64::max);
        [low, high]
    }
}

/// Where the pixels of all views lie. Posterior views are turned so that they share the anterior's.
#[derive(Debug, Clone, PartialEq)]
pub struct Raster {
    pub rows: usize,
    pub columns: usize,
    /// From column to column and from row to row.
    pub spacing_mm: [f64; 2],
    /// Directions of increasing column and row in the patient.
    pub axes: [[f64; 3]; 2],
    /// Centre of the first pixel, but for its depth; `None` where the object does not place it.
    pub origin_lps_mm: Option<[f64; 3]>,
}

/// Counts of one view in one energy window, `[row, column]`.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanarFrame {
    pub view: View,
    /// Index of the energy window.
    pub window: usize,
    pub counts: Array2<f32>,
}

/// A region as it was outlined on the views of one scan.
#[derive(Debug, Clone, PartialEq)]
pub struct ViewOutline {
    pub name: String,
    /// On the scan's raster, `[row, column]`, in the order of [`View::BOTH`]; the same twice where it was
    /// outlined on one view.
    pub masks: [Array2<bool>; 2],
}

/// What a source on the other side of the patient sends through, on one detector.
#[derive(Debug, Clone, PartialEq)]
pub struct TransmissionImage {
    /// As of an anterior view: a posterior one is turned.
    pub raster: Raster,
    /// `[row, column]`.
    pub counts: Array2<f32>,
    pub exposure: Exposure,
    /// Of the source's photons: the middle of the window.
    pub energy: KiloElectronvolt,
    pub warnings: Vec<Warning>,
}

/// How the detectors stood over the patient.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Exposure {
    /// They stood still.
    Static { duration: Seconds },
    /// They moved along the rows' direction.
    Scanning {
        /// mm/s.
        velocity: f64,
        /// Length of the detector along the scan, mm, where the object says it.
        field_of_view_mm: Option<f64>,
        /// From the first row to the last, or the other way; `None` where it is not said.
        first_row_first: Option<bool>,
        /// Of the whole scan.
        duration: Option<Seconds>,
    },
}

/// One planar scan.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanarImage {
    pub raster: Raster,
    pub windows: Vec<EnergyWindow>,
    pub frames: Vec<PlanarFrame>,
    pub exposure: Exposure,
    pub injection: Injection,
    /// Corrected Image (0028,0051) names DTIM.
    pub dead_time_corrected: bool,
    pub warnings: Vec<Warning>,
}

impl PlanarImage {
    pub fn frame(&self, view: View, window: usize) -> Option<&PlanarFrame> {
        self.frames.iter().find(|frame| frame.view == view && frame.window == window)
    }
}
