//! Whole-body views of the digital patient: its activity seen through its own tissue by two moving
//! detectors, with scatter in a photopeak window and the two windows beside it.
//!
//! Every SPECT voxel is uniform, so what escapes from it along a line is a closed form and nothing is
//! sampled. Scatter is a broad copy of the primary counts, straight in energy across the windows, as
//! triple-energy-window correction assumes.

pub(super) mod outlines;
pub(super) mod transmission;

use super::noise::Random;
use super::patient::{self, Series};
use super::spect::{isotope, unsigned_pixels};
use super::{DigitalPatient, PhantomError, Views};
use crate::dicom::write::{DataSet, DicomFile};
use crate::dose::atomic::MaterialLibrary;
use crate::quantify::planar::{View, blur};
use crate::quantity::nuclide::Radiation;
use crate::quantity::{Millimetre, Seconds};
use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};
use ndarray::Array2;
use serde::Deserialize;

/// `planar:` of `config/phantom.yaml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Camera {
    cps_per_mbq: f64,
    velocity_mm_s: f64,
    field_of_view_mm: f64,
    resolution_mm: f64,
    scatter_fraction: f64,
    scatter_fwhm_mm: f64,
    /// Counts per keV of the window below the peak over those of scatter under it, less 1.
    scatter_slope: f64,
    peak_width: f64,
    scatter_width: f64,
    margin_rows: usize,
    /// How long before a SPECT of the same visit the views begin.
    before_spect_minutes: f64,
    transmission: transmission::Source,
    outline: outlines::Drawing,
}

/// The patient's camera.
fn camera(patient: &DigitalPatient) -> Result<&Camera, PhantomError> {
    patient
        .description
        .planar
        .as_ref()
        .ok_or(PhantomError::Option { what: "body of whole-body views", wanted: "the patient" })
}

/// Head of a configuration that knows the camera.
pub(super) const CONFIG: &str =
    "# For `grayd compute --config`: the digital camera.\nplans: .\ncameras:\n";

/// The camera's entry there for the imaged nuclide.
pub(super) fn settings(patient: &DigitalPatient) -> Result<String, PhantomError> {
    let mut text = format!(
        "\x20 - match: {{ station_name: PHANTOM }}\n\x20   nuclide: {}\n",
        patient.options.nuclide
    );
    if patient.options.views != Views::Spect {
        let camera = camera(patient)?;
        text.push_str(&format!(
            "    planar: {{ cps_per_mbq: {}, relative_uncertainty: 0.02, resolution_mm: {} }}\n",
            camera.cps_per_mbq, camera.resolution_mm
        ));
    }
    if let Some(fwhm_mm) = patient.options.resolution_mm {
        text.push_str(&format!("    resolution: {{ fwhm_mm: {fwhm_mm} }}\n"));
    }
    Ok(text)
}

/// Beginning of a session's views after the administration.
pub(super) fn begins(patient: &DigitalPatient, session: usize) -> Seconds {
    let early = match patient.options.views {
        Views::Hybrid => camera(patient).map_or(0.0, |camera| camera.before_spect_minutes * 60.0),
        Views::Spect | Views::Planar | Views::Outlined => 0.0,
    };
    Seconds::new((patient.times[session].value() - early).max(60.0))
}

/// The most intense gamma line that a collimator of such a camera is for, keV.
fn photopeak(patient: &DigitalPatient) -> Result<f64, PhantomError> {
    const RANGE_KEV: std::ops::Range<f64> = 70.0..400.0;
    let mut best: Option<(f64, f64)> = None;
    for (member, decays) in &patient.options.nuclide.decay()?.equilibrium {
        for line in member.decay()?.lines.iter().filter(|l| l.radiation == Radiation::Gamma) {
            let intensity = line.intensity * decays;
            let better = best.is_none_or(|b| intensity > b.1);
            if better && RANGE_KEV.contains(&line.energy.value()) {
                best = Some((line.energy.value(), intensity));
            }
        }
    }
    best.map(|line| line.0).ok_or(PhantomError::Option {
        what: "nuclide of planar views",
        wanted: "one with a gamma line between 70 and 400 keV",
    })
}

/// Mean free paths through a voxel of each label, from front to back.
fn attenuation(patient: &DigitalPatient, kev: f64) -> [f64; 256] {
    let mut mu = [0.0; 256];
    let library = MaterialLibrary::embedded();
    let body = &patient.description.body;
    let shapes = std::iter::once((super::anatomy::BODY, body))
        .chain((super::anatomy::FIRST_REGION..).zip(&patient.description.regions));
    for (label, shape) in shapes {
        let tissue = library.get(library.for_hu(f32::from(shape.hu)));
        mu[usize::from(label)] = tissue.mass_attenuation(kev).total()
            * shape.density_g_per_ml
            * patient.spect.spacing_mm()[1]
            / 10.0;
    }
    mu
}

/// cps of every pixel `[row, column]`, rows from head to feet over the SPECT's field of view.
fn primary(
    patient: &DigitalPatient,
    camera: &Camera,
    at: Seconds,
    view: View,
    kev: f64,
) -> Array2<f64> {
    let grid = &patient.spect;
    let ml = grid.voxel_volume().value();
    let (mut mbq, mu) = ([0.0; 256], attenuation(patient, kev));
    for region in &patient.truth {
        let rate = region.effective_half_life.half_life_to_rate().value();
        let activity = region.initial_activity.mbq() * (-rate * at.value()).exp();
        mbq[usize::from(region.label)] = activity / region.volume.value() * ml;
    }
    let [slices, rows, columns] = grid.shape();
    Array2::from_shape_fn((slices, columns), |(row, column)| {
        let k = slices - 1 - row;
        // From behind, left is left.
        let i = if view == View::Anterior { column } else { columns - 1 - column };
        let (mut in_front, mut seen) = (0.0, 0.0);
        for n in 0..rows {
            let j = if view == View::Anterior { n } else { rows - 1 - n };
            let label = usize::from(patient.labels[grid.linear(k, j, i)]);
            let own: f64 = mu[label];
            let escape: f64 = if own > 0.0 { -(-own).exp_m1() / own } else { 1.0 };
            seen += mbq[label] * f64::exp(-in_front) * escape;
            in_front += own;
        }
        seen * camera.cps_per_mbq
    })
}

/// With the rows of air that the detectors pass before and after the patient.
fn with_margins<T: Clone + Default>(camera: &Camera, image: &Array2<T>) -> Array2<T> {
    let (rows, columns) = image.dim();
    let mut wide = Array2::from_elem((rows + 2 * camera.margin_rows, columns), T::default());
    wide.slice_mut(ndarray::s![camera.margin_rows..camera.margin_rows + rows, ..]).assign(image);
    wide
}

/// Counts of the three windows (peak, below, above) in each view, with rows of air at both ends.
fn counts(patient: &DigitalPatient, camera: &Camera, session: usize, kev: f64) -> Vec<Array2<f64>> {
    let [dx, _, dz] = patient.spect.spacing_mm();
    let pixel = [dx, 1.0, dz];
    let lambda = patient.decay.half_life.half_life_to_rate().value();
    let dwell = camera.field_of_view_mm / camera.velocity_mm_s;
    let exposure = -(-lambda * dwell).exp_m1() / lambda;
    let mut windows = vec![Vec::new(); 3];
    for view in View::BOTH {
        let seen = primary(patient, camera, begins(patient, session), view, kev);
        let mut wide = with_margins(camera, &seen);
        for ((row, _), rate) in wide.indexed_iter_mut() {
            let passed = row as f64 * dz / camera.velocity_mm_s;
            *rate *= exposure * (-lambda * passed).exp();
        }
        let sharp = blur(&wide, Millimetre::new(camera.resolution_mm), pixel);
        let scatter = blur(&wide, Millimetre::new(camera.scatter_fwhm_mm), pixel)
            .mapv(|n| n * camera.scatter_fraction);
        let part = camera.scatter_width / camera.peak_width;
        windows[0].push(&sharp + &scatter);
        windows[1].push(scatter.mapv(|n| n * part * (1.0 + camera.scatter_slope)));
        windows[2].push(scatter.mapv(|n| n * part * (1.0 - camera.scatter_slope)));
    }
    windows.concat()
}

/// Whole counts: by Poisson's law where noise is asked for, else what rounding takes from one pixel goes
/// to the next.
fn stored(patient: &DigitalPatient, purpose: u64, frames: &[Array2<f64>]) -> Vec<u8> {
    let mut random = Random::new(patient.options.seed, purpose);
    let mut bytes = Vec::new();
    for frame in frames {
        let mut carried = 0.0;
        for &n in frame {
            let whole = match patient.options.noise_counts {
                Some(_) => random.poisson(n) as f64,
                None => (n + carried).round(),
            };
            carried += n - whole;
            bytes.extend_from_slice(&(whole.clamp(0.0, 65_535.0) as u16).to_le_bytes());
        }
    }
    bytes
}

/// Series of a session's views.
fn series(patient: &DigitalPatient, session: usize) -> Series<'_> {
    let at = begins(patient, session);
    Series {
        patient,
        session,
        name: "planar",
        sop_class: uids::NUCLEAR_MEDICINE_IMAGE_STORAGE,
        number: 40 + session as i64,
        description: format!("{} whole body {:.1} h", patient.options.nuclide, at.hours()),
        model: "Digital camera",
    }
}

/// Emission views: three windows of two detectors.
pub(super) fn whole_body(
    patient: &DigitalPatient,
    session: usize,
) -> Result<DicomFile, PhantomError> {
    let kev = photopeak(patient)?;
    let camera = camera(patient)?;
    let scan = Scan {
        camera,
        began: begins(patient, session),
        kind: "EMISSION",
        windows: windows(camera, kev),
        views: &View::BOTH,
        frames: counts(patient, camera, session, kev),
        purpose: 1000 + session as u64,
    };
    let set = scan
        .modules(&series(patient, session))
        .with(isotope(patient, patient.options.administered.mbq())?);
    Ok(set.into_file()?)
}

/// What tells one whole-body scan from another.
struct Scan<'a> {
    camera: &'a Camera,
    /// After the administration.
    began: Seconds,
    /// Image Type, value 4.
    kind: &'static str,
    windows: Vec<DataSet>,
    views: &'a [View],
    /// Mean counts by window, then view.
    frames: Vec<Array2<f64>>,
    /// Of its noise.
    purpose: u64,
}

impl Scan<'_> {
    /// NM Image, WHOLE BODY (PS3.3 A.5, C.8.4) but for the isotope.
    fn modules(&self, series: &Series<'_>) -> DataSet {
        let (patient, camera) = (series.patient, self.camera);
        let (rows, columns) = self.frames[0].dim();
        let [dx, _, dz] = patient.spect.spacing_mm();
        let began = patient::local(patient, patient.after(self.began));
        let scan_s = (rows as f64 * dz + camera.field_of_view_mm) / camera.velocity_mm_s;
        let (of_window, of_view) = (self.windows.len() as u16, self.views.len() as u16);
        let pairs =
            (1..=of_window).flat_map(|window| (1..=of_view).map(move |view| (window, view)));
        let (window_vector, view_vector): (Vec<u16>, Vec<u16>) = pairs.unzip();
        let detectors = self.views.iter().map(|view| detector(patient, camera, *view));
        series
            .shared(1)
            .with(series.acquired())
            .text(tags::ACQUISITION_DATE, VR::DA, &patient::date(&began))
            .text(tags::ACQUISITION_TIME, VR::TM, &patient::time(&began))
            .with(patient::supine_head_first())
            .unsigned(tags::ROWS, &[rows as u16])
            .unsigned(tags::COLUMNS, &[columns as u16])
            .decimals(tags::PIXEL_SPACING, &[dz, dx])
            .integer(tags::NUMBER_OF_FRAMES, self.frames.len() as i64)
            .pointers(
                tags::FRAME_INCREMENT_POINTER,
                &[tags::ENERGY_WINDOW_VECTOR, tags::DETECTOR_VECTOR],
            )
            .unsigned(tags::ENERGY_WINDOW_VECTOR, &window_vector)
            .unsigned(tags::DETECTOR_VECTOR, &view_vector)
            .unsigned(tags::NUMBER_OF_ENERGY_WINDOWS, &[of_window])
            .unsigned(tags::NUMBER_OF_DETECTORS, &[of_view])
            .sequence(tags::ENERGY_WINDOW_INFORMATION_SEQUENCE, self.windows.clone())
            .sequence(tags::DETECTOR_INFORMATION_SEQUENCE, detectors.collect())
            .decimals(tags::SCAN_VELOCITY, &[camera.velocity_mm_s])
            .decimals(tags::SCAN_LENGTH, &[(rows as f64 * dz).round()])
            .texts(tags::WHOLE_BODY_TECHNIQUE, VR::CS, &["1PS", "PCN"])
            .text(tags::SCAN_PROGRESSION_DIRECTION, VR::CS, "HEAD_TO_FEET")
            .integer(tags::ACTUAL_FRAME_DURATION, (scan_s * 1000.0).round() as i64)
            .text(tags::MODALITY, VR::CS, "NM")
            .texts(tags::IMAGE_TYPE, VR::CS, &["ORIGINAL", "PRIMARY", "WHOLE BODY", self.kind])
            .empty(tags::PATIENT_ORIENTATION, VR::CS)
            .empty(tags::COUNTS_ACCUMULATED, VR::IS)
            .with(unsigned_pixels())
            .bytes(tags::PIXEL_DATA, VR::OW, stored(patient, self.purpose, &self.frames))
    }
}

fn window(low: f64, high: f64, name: &str) -> DataSet {
    let range = DataSet::new()
        .decimals(tags::ENERGY_WINDOW_LOWER_LIMIT, &[low])
        .decimals(tags::ENERGY_WINDOW_UPPER_LIMIT, &[high]);
    DataSet::new().sequence(tags::ENERGY_WINDOW_RANGE_SEQUENCE, vec![range]).text(
        tags::ENERGY_WINDOW_NAME,
        VR::SH,
        name,
    )
}

/// The peak, and the windows below and above that touch it.
fn windows(camera: &Camera, kev: f64) -> Vec<DataSet> {
    let half = camera.peak_width * kev / 2.0;
    let beside = camera.scatter_width * kev;
    vec![
        window(kev - half, kev + half, "Photopeak"),
        window(kev - half - beside, kev - half, "Below"),
        window(kev + half, kev + half + beside, "Above"),
    ]
}

/// Facing the patient, and from behind, where left is left.
fn detector(patient: &DigitalPatient, camera: &Camera, view: View) -> DataSet {
    let grid = &patient.spect;
    let [slices, rows, columns] = grid.shape();
    let top = (slices - 1 + camera.margin_rows) as f64;
    let (i, j, x, angle) = match view {
        View::Anterior => (0.0, -1.0, 1.0, 180.0),
        View::Posterior => ((columns - 1) as f64, rows as f64, -1.0, 0.0),
    };
    static ANTERIOR: crate::dicom::write::Code =
        crate::dicom::write::Code::new("399321004", "SCT", "anterior");
    static POSTERIOR: crate::dicom::write::Code =
        crate::dicom::write::Code::new("399001007", "SCT", "posterior");
    let code = if view == View::Anterior { &ANTERIOR } else { &POSTERIOR };
    let length = format!("{:.0}", camera.field_of_view_mm);
    DataSet::new()
        .decimals(tags::IMAGE_POSITION_PATIENT, &grid.voxel_to_lps([i, j, top]))
        .decimals(tags::IMAGE_ORIENTATION_PATIENT, &[x, 0.0, 0.0, 0.0, 0.0, -1.0])
        .text(tags::COLLIMATOR_TYPE, VR::CS, "PARA")
        .text(tags::COLLIMATOR_GRID_NAME, VR::SH, "DIGITAL")
        .text(tags::FIELD_OF_VIEW_SHAPE, VR::CS, "RECTANGLE")
        .texts(tags::FIELD_OF_VIEW_DIMENSIONS, VR::IS, &["533", &length])
        .decimals(tags::START_ANGLE, &[angle])
        .code(tags::VIEW_CODE_SEQUENCE, code)
}
