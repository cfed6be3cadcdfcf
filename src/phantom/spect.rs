//! SPECT images of the digital patient in Bq/ml at the beginning of each acquisition: as NM RECON
//! TOMO, or stored as PET the way some vendors do.

use super::motion::Lying;
use super::noise::Random;
use super::patient::{self, Series};
use super::{Body, DigitalPatient, PhantomError, SliceOrder, SpectStorage};
use crate::dicom::write::{Code, DataSet, DicomFile, geometry};
use crate::quantify::blur_volume;
use crate::report::agents::radionuclide;
use crate::volume::{Grid, GridError};
use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};

/// Stored value of the largest concentration: below 65535, so that noise does not clip.
const LARGEST_STORED: f64 = 60_000.0;

/// The camera's resolution; what it carries out of the field of view is lost.
fn blurred(patient: &DigitalPatient, values: Vec<f64>) -> Vec<f64> {
    let Some(fwhm_mm) = patient.description.resolution_mm else { return values };
    let [x, y, z] = patient.spect.spacing_mm().map(|spacing| fwhm_mm / spacing);
    blur_volume(values, patient.spect.shape(), [z, y, x])
}

/// Sensitivity of an image that is stored in counts, cps/MBq; none of those in Bq/ml.
fn counted(patient: &DigitalPatient, session: usize) -> Option<f64> {
    let of_patient = patient.options.storage == SpectStorage::PetThenCounts && session > 0;
    let in_counts = of_patient || matches!(patient.options.body, Body::Cylinder | Body::Nema);
    patient.description.counts_cps_per_mbq.filter(|_| in_counts)
}

/// What one Bq/ml at the beginning of the acquisition counts in a voxel over its duration.
fn counts_per_bq_per_ml(patient: &DigitalPatient, cps_per_mbq: f64) -> f64 {
    let lambda = patient.decay.half_life.half_life_to_rate().value();
    let x = lambda * acquisition_s(patient);
    let mean_over_start = -(-x).exp_m1() / x;
    let mbq = patient.spect.voxel_volume().value() * 1e-6;
    mbq * cps_per_mbq * acquisition_s(patient) * mean_over_start
}

/// Value of every voxel: Bq/ml, or counts where the description says so.
fn concentrations(patient: &DigitalPatient, session: usize) -> Vec<f64> {
    let mut by_label = [0.0; 256];
    for region in &patient.truth {
        by_label[usize::from(region.label)] = region.concentration_bq_per_ml(session);
    }
    let exact = Lying::of(patient, session).means(&patient.spect, &by_label);
    let exact = blurred(patient, exact);
    if let Some(cps_per_mbq) = counted(patient, session) {
        let scale = counts_per_bq_per_ml(patient, cps_per_mbq);
        let mut random = Random::new(patient.options.seed, 2 + session as u64);
        let count = |value: f64| match patient.options.noise_counts {
            Some(_) => random.poisson(value * scale) as f64,
            None => value * scale,
        };
        return exact.into_iter().map(count).collect();
    }
    let Some(counts) = patient.options.noise_counts else { return exact };
    // The camera's sensitivity is the same in every session; the first image has `counts`.
    let voxel_ml = patient.spect.voxel_volume().value();
    let first: f64 = patient.truth.iter().map(|region| region.activity[0].value()).sum();
    let counts_per_bq_per_ml = counts * voxel_ml / first;
    let mut random = Random::new(patient.options.seed, 2 + session as u64);
    let noisy = |value: f64| random.poisson(value * counts_per_bq_per_ml) as f64;
    exact.into_iter().map(noisy).map(|n| n / counts_per_bq_per_ml).collect()
}

/// Whole numbers of `step` whose sum over each label follows the exact sum: what rounding takes
/// from one voxel goes to the next one of the same label.
struct Quantiser {
    carried: Vec<f64>,
}

impl Quantiser {
    fn new() -> Self {
        Self { carried: vec![0.0; 256] }
    }

    fn store(&mut self, value: f64, label: u8, step: f64) -> u16 {
        let carried = &mut self.carried[usize::from(label)];
        let wanted = value + *carried;
        let stored = (wanted / step).round().clamp(0.0, 65_535.0);
        *carried = wanted - stored * step;
        stored as u16
    }
}

fn series<'a>(patient: &'a DigitalPatient, session: usize, sop_class: &'static str) -> Series<'a> {
    let hours = patient.times[session].hours();
    Series {
        patient,
        session,
        name: "spect",
        sop_class,
        number: 10 + session as i64,
        description: format!("{} SPECT AC SC {hours:.1} h", patient.options.nuclide),
        model: "Digital SPECT",
    }
}

/// NM Image, RECON TOMO (PS3.3 A.5, C.8.4).
pub(super) fn recon_tomo(
    patient: &DigitalPatient,
    session: usize,
) -> Result<DicomFile, PhantomError> {
    let series = series(patient, session, uids::NUCLEAR_MEDICINE_IMAGE_STORAGE);
    let values = concentrations(patient, session);
    let labels = Lying::of(patient, session).labels(&patient.spect);
    let in_counts = counted(patient, session).is_some();
    let largest = values.iter().copied().fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    let step = if in_counts { 1.0 } else { largest / LARGEST_STORED };
    let mut quantiser = Quantiser::new();
    let stored: Vec<u16> = values
        .iter()
        .zip(&labels)
        .map(|(&value, &label)| quantiser.store(value, label, step))
        .collect();
    let grid = &patient.spect;
    let [slices, rows, columns] = grid.shape();
    let up: Vec<usize> = (0..slices).collect();
    let down: Vec<usize> = up.iter().rev().copied().collect();
    let frames = if patient.options.slice_order == SliceOrder::Ascending { &up } else { &down };
    let pixels = frames.iter().flat_map(|&k| &stored[k * rows * columns..][..rows * columns]);
    let bytes: Vec<u8> = pixels.flat_map(|value| value.to_le_bytes()).collect();
    let corrections: &[&str] =
        if in_counts { &["UNIF", "ATTN", "SCAT"] } else { &["UNIF", "ATTN", "SCAT", "DECY"] };
    let set = series
        .shared(1)
        .with(series.acquired())
        .with(patient::supine_head_first())
        .with(tomo_geometry(grid, patient.options.slice_order)?)
        .with(tomo_acquisition(patient, in_counts))
        .with(isotope(patient, patient.options.administered.mbq())?)
        .sequence(tags::ENERGY_WINDOW_INFORMATION_SEQUENCE, vec![])
        .with(if in_counts { DataSet::new() } else { real_world_value(step) })
        .text(tags::MODALITY, VR::CS, "NM")
        .texts(tags::IMAGE_TYPE, VR::CS, &["ORIGINAL", "PRIMARY", "RECON TOMO", "EMISSION"])
        .empty(tags::PATIENT_ORIENTATION, VR::CS)
        .empty(tags::COUNTS_ACCUMULATED, VR::IS)
        .texts(tags::CORRECTED_IMAGE, VR::CS, corrections)
        .with(unsigned_pixels())
        .bytes(tags::PIXEL_DATA, VR::OW, bytes);
    Ok(set.into_file()?)
}

pub(super) fn unsigned_pixels() -> DataSet {
    DataSet::new()
        .unsigned(tags::SAMPLES_PER_PIXEL, &[1])
        .text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2")
        .unsigned(tags::BITS_ALLOCATED, &[16])
        .unsigned(tags::BITS_STORED, &[16])
        .unsigned(tags::HIGH_BIT, &[15])
        .unsigned(tags::PIXEL_REPRESENTATION, &[0])
}

/// Position and orientation stand in the Detector Information Sequence; the sign of Spacing Between
/// Slices and the Slice Vector say where each frame lies.
fn tomo_geometry(grid: &Grid, order: SliceOrder) -> Result<DataSet, PhantomError> {
    let [slices, _, _] = grid.shape();
    let count = u16::try_from(slices).map_err(|_| GridError::Shape(grid.shape()))?;
    let size = geometry::rows_and_columns(grid).ok_or(GridError::Shape(grid.shape()))?;
    let spacing = grid.spacing_mm()[2];
    let (first, signed) = match order {
        SliceOrder::Descending => (slices - 1, -spacing),
        SliceOrder::Ascending | SliceOrder::ReversedVector => (0, spacing),
    };
    let mut vector: Vec<u16> = (1..=count).collect();
    if order == SliceOrder::ReversedVector {
        vector.reverse();
    }
    let detector = geometry::image_position(grid, first)
        .with(geometry::image_orientation(grid))
        .text(tags::COLLIMATOR_TYPE, VR::CS, "PARA");
    Ok(DataSet::new()
        .with(size)
        .with(geometry::pixel_measures(grid))
        .decimals(tags::SPACING_BETWEEN_SLICES, &[signed])
        .integer(tags::NUMBER_OF_FRAMES, slices as i64)
        .pointers(tags::FRAME_INCREMENT_POINTER, &[tags::SLICE_VECTOR])
        .unsigned(tags::SLICE_VECTOR, &vector)
        .unsigned(tags::NUMBER_OF_SLICES, &[count])
        .unsigned(tags::NUMBER_OF_ENERGY_WINDOWS, &[1])
        .unsigned(tags::NUMBER_OF_DETECTORS, &[1])
        .sequence(tags::DETECTOR_INFORMATION_SEQUENCE, vec![detector]))
}

/// One rotation whose views add up to the acquisition's duration.
fn tomo_acquisition(patient: &DigitalPatient, in_counts: bool) -> DataSet {
    let views = patient.description.views.max(1);
    let view_ms = acquisition_s(patient) * 1000.0 / f64::from(views);
    let rotation = DataSet::new()
        .decimals(tags::START_ANGLE, &[0.0])
        .decimals(tags::ANGULAR_STEP, &[360.0 / f64::from(views)])
        .text(tags::ROTATION_DIRECTION, VR::CS, "CC")
        .decimals(tags::SCAN_ARC, &[360.0])
        .integer(tags::ACTUAL_FRAME_DURATION, view_ms.round() as i64)
        .decimals(tags::RADIAL_POSITION, &[])
        .unsigned(tags::NUMBER_OF_FRAMES_IN_ROTATION, &[views]);
    DataSet::new()
        .unsigned(tags::NUMBER_OF_ROTATIONS, &[1])
        .sequence(tags::ROTATION_INFORMATION_SEQUENCE, vec![rotation])
        // Not of this IOD, but the only attribute that says what DECY refers to.
        .text(tags::DECAY_CORRECTION, VR::CS, if in_counts { "NONE" } else { "START" })
}

fn acquisition_s(patient: &DigitalPatient) -> f64 {
    patient.description.acquisition_minutes * 60.0
}

/// `total_dose`: MBq in NM, Bq in PET.
pub(super) fn isotope(patient: &DigitalPatient, total_dose: f64) -> Result<DataSet, PhantomError> {
    let given = patient::local(patient, patient.options.administered_at);
    let agent = DataSet::new()
        .code(tags::RADIONUCLIDE_CODE_SEQUENCE, &radionuclide(&patient.options.nuclide))
        .text(tags::RADIOPHARMACEUTICAL, VR::LO, &patient::radiopharmaceutical_of(&patient.options))
        .text(tags::RADIOPHARMACEUTICAL_START_TIME, VR::TM, &patient::time(&given))
        .decimals(tags::RADIONUCLIDE_TOTAL_DOSE, &[total_dose]);
    Ok(DataSet::new().sequence(tags::RADIOPHARMACEUTICAL_INFORMATION_SEQUENCE, vec![agent]))
}

/// Stored values to Bq/ml (PS3.3 C.7.6.16.2.11).
fn real_world_value(slope: f64) -> DataSet {
    static UNIT: Code = Code::new("Bq/ml", "UCUM", "Becquerels/milliliter");
    let item = DataSet::new()
        .unsigned(tags::REAL_WORLD_VALUE_FIRST_VALUE_MAPPED, &[0])
        .unsigned(tags::REAL_WORLD_VALUE_LAST_VALUE_MAPPED, &[u16::MAX])
        .double(tags::REAL_WORLD_VALUE_INTERCEPT, &[0.0])
        .double(tags::REAL_WORLD_VALUE_SLOPE, &[slope])
        .text(tags::LUT_EXPLANATION, VR::LO, "Activity concentration")
        .text(tags::LUT_LABEL, VR::SH, "BQML")
        .code(tags::MEASUREMENT_UNITS_CODE_SEQUENCE, &UNIT);
    DataSet::new().sequence(tags::REAL_WORLD_VALUE_MAPPING_SEQUENCE, vec![item])
}

/// PET Image (PS3.3 A.21, C.8.9): one instance a slice, each with a slope of its own, decay
/// corrected to the beginning of the acquisition.
pub(super) fn pet_slices(
    patient: &DigitalPatient,
    session: usize,
) -> Result<Vec<DicomFile>, PhantomError> {
    let series = series(patient, session, uids::POSITRON_EMISSION_TOMOGRAPHY_IMAGE_STORAGE);
    let values = concentrations(patient, session);
    let labels = Lying::of(patient, session).labels(&patient.spect);
    let grid = &patient.spect;
    let [slices, rows, columns] = grid.shape();
    let count = u16::try_from(slices).map_err(|_| GridError::Shape(grid.shape()))?;
    let mut quantiser = Quantiser::new();
    let mut files = Vec::with_capacity(slices);
    for (k, number) in (0..slices).zip(1u16..) {
        let plane = k * rows * columns..(k + 1) * rows * columns;
        let largest = values[plane.clone()].iter().copied().fold(0.0, f64::max);
        // The slope as its text says it, which is how readers get it.
        let slope = crate::dicom::write::decimal_string_not_below(largest / LARGEST_STORED)
            .unwrap_or_else(|| "1".into());
        let step: f64 = slope.parse().unwrap_or(1.0);
        let stored = plane.map(|n| quantiser.store(values[n], labels[n], step));
        let bytes: Vec<u8> = stored.flat_map(u16::to_le_bytes).collect();
        let index = match patient.options.slice_order {
            SliceOrder::Ascending => number,
            SliceOrder::Descending | SliceOrder::ReversedVector => count + 1 - number,
        };
        let set = series
            .shared(usize::from(index))
            .with(series.acquired())
            .with(patient::supine_head_first())
            .with(pet_series(patient, count)?)
            .with(geometry::rows_and_columns(grid).ok_or(GridError::Shape(grid.shape()))?)
            .with(geometry::pixel_measures(grid))
            .with(geometry::image_position(grid, k))
            .with(geometry::image_orientation(grid))
            .decimals(tags::RESCALE_INTERCEPT, &[0.0])
            .decimal_texts(tags::RESCALE_SLOPE, vec![slope])
            .unsigned(tags::IMAGE_INDEX, &[index])
            .with(unsigned_pixels())
            .bytes(tags::PIXEL_DATA, VR::OW, bytes);
        files.push((index, set.into_file()?));
    }
    files.sort_by_key(|file| file.0);
    Ok(files.into_iter().map(|file| file.1).collect())
}

fn pet_series(patient: &DigitalPatient, slices: u16) -> Result<DataSet, PhantomError> {
    let rate = patient.decay.half_life.half_life_to_rate().value();
    let duration = acquisition_s(patient);
    let decayed = rate * duration;
    // Mean over the acquisition, corrected to its beginning; the mean holds at reference time.
    let factor = decayed / -(-decayed).exp_m1();
    let reference_ms = factor.ln() / rate * 1000.0;
    Ok(isotope(patient, patient.options.administered.value())?
        .text(tags::MODALITY, VR::CS, "PT")
        .texts(tags::IMAGE_TYPE, VR::CS, &["ORIGINAL", "PRIMARY"])
        .text(tags::UNITS, VR::CS, "BQML")
        .text(tags::COUNTS_SOURCE, VR::CS, "EMISSION")
        .texts(tags::SERIES_TYPE, VR::CS, &["STATIC", "IMAGE"])
        .unsigned(tags::NUMBER_OF_SLICES, &[slices])
        .texts(tags::CORRECTED_IMAGE, VR::CS, &["DECY", "ATTN", "SCAT"])
        .text(tags::DECAY_CORRECTION, VR::CS, "START")
        .text(tags::COLLIMATOR_TYPE, VR::CS, "NONE")
        .decimals(tags::FRAME_REFERENCE_TIME, &[reference_ms])
        .integer(tags::ACTUAL_FRAME_DURATION, (duration * 1000.0).round() as i64)
        .decimals(tags::DECAY_FACTOR, &[factor]))
}
