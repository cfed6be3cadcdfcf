//! CT of each session, in the SPECT's frame of reference; CT voxels divide SPECT voxels exactly.

use super::anatomy::{AIR, BODY, FIRST_REGION};
use super::motion::Lying;
use super::patient::Series;
use super::{DigitalPatient, PhantomError, SliceOrder};
use crate::dicom::write::{DataSet, DicomFile, geometry};
use crate::volume::GridError;
use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};

/// Rescale Intercept: stored values are Hounsfield units above it.
const INTERCEPT_HU: i16 = -1024;

pub(super) fn series(patient: &DigitalPatient, session: usize) -> Series<'_> {
    Series {
        patient,
        session,
        name: "ct",
        sop_class: uids::CT_IMAGE_STORAGE,
        number: 20 + session as i64,
        description: "CT for attenuation correction".into(),
        model: "Digital CT",
    }
}

/// Instance number of slice `k`.
pub(super) fn instance_number(patient: &DigitalPatient, k: usize) -> usize {
    match patient.options.slice_order {
        SliceOrder::Ascending => k + 1,
        SliceOrder::Descending | SliceOrder::ReversedVector => patient.ct.shape()[0] - k,
    }
}

/// Stored value of every label.
fn stored_values(patient: &DigitalPatient) -> [u16; 256] {
    let stored = |hu: i16| hu.saturating_sub(INTERCEPT_HU).max(0) as u16;
    let mut values = [0; 256];
    values[usize::from(AIR)] = stored(patient.description.air_hu);
    values[usize::from(BODY)] = stored(patient.description.body.hu);
    for (label, region) in (FIRST_REGION..).zip(&patient.description.regions) {
        values[usize::from(label)] = stored(region.hu);
    }
    values
}

/// CT Image (PS3.3 A.3, C.8.2), one instance a slice, in the order of Instance Number.
pub(super) fn slices(
    patient: &DigitalPatient,
    session: usize,
) -> Result<Vec<DicomFile>, PhantomError> {
    let series = series(patient, session);
    let grid = &patient.ct;
    let labels = Lying::of(patient, session).labels(grid);
    let values = stored_values(patient);
    let [slices, rows, columns] = grid.shape();
    let mut files = Vec::with_capacity(slices);
    for k in 0..slices {
        let mut bytes = Vec::with_capacity(rows * columns * 2);
        for j in 0..rows {
            for i in 0..columns {
                let stored = values[usize::from(labels[grid.linear(k, j, i)])];
                bytes.extend_from_slice(&stored.to_le_bytes());
            }
        }
        let number = instance_number(patient, k);
        let set = series
            .shared(number)
            .with(series.acquired())
            .with(image())
            .with(geometry::rows_and_columns(grid).ok_or(GridError::Shape(grid.shape()))?)
            .with(geometry::pixel_measures(grid))
            .with(geometry::image_position(grid, k))
            .with(geometry::image_orientation(grid))
            .bytes(tags::PIXEL_DATA, VR::OW, bytes);
        files.push((number, set.into_file()?));
    }
    files.sort_by_key(|file| file.0);
    Ok(files.into_iter().map(|file| file.1).collect())
}

fn image() -> DataSet {
    DataSet::new()
        .text(tags::MODALITY, VR::CS, "CT")
        .texts(tags::IMAGE_TYPE, VR::CS, &["ORIGINAL", "PRIMARY", "AXIAL"])
        .text(tags::PATIENT_POSITION, VR::CS, "HFS")
        .integer(tags::ACQUISITION_NUMBER, 1)
        .decimals(tags::KVP, &[120.0])
        .unsigned(tags::SAMPLES_PER_PIXEL, &[1])
        .text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2")
        .unsigned(tags::BITS_ALLOCATED, &[16])
        .unsigned(tags::BITS_STORED, &[12])
        .unsigned(tags::HIGH_BIT, &[11])
        .unsigned(tags::PIXEL_REPRESENTATION, &[0])
        .decimals(tags::RESCALE_INTERCEPT, &[f64::from(INTERCEPT_HU)])
        .decimals(tags::RESCALE_SLOPE, &[1.0])
        .text(tags::RESCALE_TYPE, VR::LO, "HU")
}
