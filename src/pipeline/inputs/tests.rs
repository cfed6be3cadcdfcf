use super::*;
use crate::dicom::write::DataSet;
use crate::quantify::{DecayCorrection, EmissionImage, EmissionKind, ImageUnit};
use crate::volume::{Grid, Volume};
use dicom_core::VR;
use dicom_dictionary_std::tags;
use ndarray::Array3;
use tempfile::TempDir;

fn uid(text: &str) -> Uid {
    Uid::parse(text).unwrap()
}

/// An instance of a series of its own, of 2 x 2 pixels of 8 bits.
fn instance(class: &str, modality: &str, number: u32, pixels: &[u8]) -> DataSet {
    DataSet::new()
        .uid_text(tags::SOP_CLASS_UID, class)
        .uid(tags::SOP_INSTANCE_UID, &uid(&format!("1.2.1.{number}")))
        .uid(tags::SERIES_INSTANCE_UID, &uid(&format!("1.2.2.{number}")))
        .uid(tags::STUDY_INSTANCE_UID, &uid("1.2.3"))
        .text(tags::MODALITY, VR::CS, modality)
        .text(tags::PATIENT_ID, VR::LO, "P-1")
        .unsigned(tags::SAMPLES_PER_PIXEL, &[1])
        .unsigned(tags::ROWS, &[2])
        .unsigned(tags::COLUMNS, &[2])
        .unsigned(tags::BITS_ALLOCATED, &[8])
        .unsigned(tags::BITS_STORED, &[8])
        .unsigned(tags::HIGH_BIT, &[7])
        .unsigned(tags::PIXEL_REPRESENTATION, &[0])
        .integer(tags::NUMBER_OF_FRAMES, (pixels.len() / 4) as i64)
        .bytes(tags::PIXEL_DATA, VR::OB, pixels.to_vec())
}

/// A static view from the front.
fn view(number: u32, kind: &str) -> DataSet {
    let range = DataSet::new()
        .decimals(tags::ENERGY_WINDOW_LOWER_LIMIT, &[126.0])
        .decimals(tags::ENERGY_WINDOW_UPPER_LIMIT, &[154.0]);
    let window = DataSet::new().sequence(tags::ENERGY_WINDOW_RANGE_SEQUENCE, vec![range]);
    let detector = DataSet::new().decimals(tags::START_ANGLE, &[180.0]);
    instance(uids::NUCLEAR_MEDICINE_IMAGE_STORAGE, "NM", number, &[1, 2, 3, 4])
        .texts(tags::IMAGE_TYPE, VR::CS, &["ORIGINAL", "PRIMARY", "STATIC", kind])
        .text(tags::ACQUISITION_DATE, VR::DA, "20260302")
        .text(tags::ACQUISITION_TIME, VR::TM, "101500")
        .decimals(tags::PIXEL_SPACING, &[4.0, 4.0])
        .integer(tags::ACTUAL_FRAME_DURATION, 600_000)
        .sequence(tags::DETECTOR_INFORMATION_SEQUENCE, vec![detector])
        .sequence(tags::ENERGY_WINDOW_INFORMATION_SEQUENCE, vec![window])
}

/// A label map with a place in the patient, drawn on an instance.
fn seg(number: u32, of_class: &str, of: &str) -> DataSet {
    let source = DataSet::new()
        .uid_text(tags::REFERENCED_SOP_CLASS_UID, of_class)
        .uid(tags::REFERENCED_SOP_INSTANCE_UID, &uid(of))
        .integer(tags::REFERENCED_FRAME_NUMBER, 1);
    let derivation = DataSet::new().sequence(tags::SOURCE_IMAGE_SEQUENCE, vec![source]);
    let measures = DataSet::new()
        .decimals(tags::PIXEL_SPACING, &[4.0, 4.0])
        .decimals(tags::SLICE_THICKNESS, &[4.0]);
    let position = DataSet::new().decimals(tags::IMAGE_POSITION_PATIENT, &[0.0, 0.0, 0.0]);
    let orientation =
        DataSet::new().decimals(tags::IMAGE_ORIENTATION_PATIENT, &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
    let frame = DataSet::new()
        .sequence(tags::DERIVATION_IMAGE_SEQUENCE, vec![derivation])
        .sequence(tags::PIXEL_MEASURES_SEQUENCE, vec![measures])
        .sequence(tags::PLANE_POSITION_SEQUENCE, vec![position])
        .sequence(tags::PLANE_ORIENTATION_SEQUENCE, vec![orientation]);
    let segment = DataSet::new().unsigned(tags::SEGMENT_NUMBER, &[1]).text(
        tags::SEGMENT_LABEL,
        VR::LO,
        "Liver",
    );
    instance(uids::LABEL_MAP_SEGMENTATION_STORAGE, "SEG", number, &[0, 1, 0, 0])
        .text(tags::SEGMENTATION_TYPE, VR::CS, "LABELMAP")
        .sequence(tags::SEGMENT_SEQUENCE, vec![segment])
        .sequence(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, vec![frame])
}

fn read_all(objects: Vec<DataSet>) -> Result<Inputs, PipelineError> {
    let folder = TempDir::new().unwrap();
    let mut paths = Vec::new();
    for (n, object) in objects.into_iter().enumerate() {
        paths.push(folder.path().join(n.to_string()));
        object.into_file().unwrap().write_to_file(&paths[n]).unwrap();
    }
    read(&paths, &TimeZone::UTC)
}

const NM: &str = uids::NUCLEAR_MEDICINE_IMAGE_STORAGE;

#[test]
fn a_segmentation_is_of_views_or_of_a_volume_by_what_it_was_drawn_on() {
    let objects = vec![
        seg(9, uids::CT_IMAGE_STORAGE, "1.2.1.700"),
        seg(8, NM, "1.2.1.1"),
        view(1, "EMISSION"),
    ];
    let inputs = read_all(objects).unwrap();
    let of_views: Vec<&str> =
        inputs.view_outlines.iter().map(|o| o.sop_instance.as_str()).collect();
    let of_volumes: Vec<&str> =
        inputs.segmentations.iter().map(|s| s.sop_instance.as_str()).collect();
    assert_eq!((of_views, of_volumes), (vec!["1.2.1.8"], vec!["1.2.1.9"]));
    let regions = inputs.view_outlines[0].on(&inputs.planar[0]).unwrap();
    assert_eq!(regions[0].outline.name, "Liver");
}

#[test]
fn transmission_scans_are_no_emissions_and_need_one_beside_them() {
    let inputs = read_all(vec![view(1, "EMISSION"), view(2, "TRANSMISSION")]).unwrap();
    assert_eq!((inputs.planar.len(), inputs.transmissions.len()), (1, 1));
    assert_eq!(inputs.transmissions[0].series, uid("1.2.2.2"));
    let alone = read_all(vec![view(2, "TRANSMISSION")]).unwrap_err().to_string();
    assert!(alone.contains("no NM or PET series"), "{alone}");
}

#[test]
fn every_instance_is_told_once_whether_its_views_became_an_emission_or_not() {
    let objects = vec![view(1, "EMISSION"), view(2, "TRANSMISSION"), seg(8, NM, "1.2.1.1")];
    let mut inputs = read_all(objects).unwrap();
    let told = |inputs: &Inputs| -> Vec<String> {
        inputs.instances().iter().map(|i| i.sop_instance.as_str().to_owned()).collect()
    };
    assert_eq!(told(&inputs), ["1.2.1.1", "1.2.1.2", "1.2.1.8"]);
    let grid = Grid::axial([1, 2, 2], [4.0; 3], [0.0; 3]).unwrap();
    let emission = inputs.planar[0].with_image(EmissionImage {
        values: Volume::new(grid, Array3::zeros((1, 2, 2))),
        unit: ImageUnit::BecquerelPerMl,
        kind: EmissionKind::SinglePhoton,
        slices: Vec::new(),
        series_start: None,
        decay_correction: DecayCorrection::Start,
        decay_flag: false,
        dead_time_corrected: true,
        injection: inputs.planar[0].image.injection,
        weight: None,
        origin: String::new(),
        warnings: Vec::new(),
    });
    inputs.emissions.push(emission);
    assert_eq!(told(&inputs), ["1.2.1.1", "1.2.1.2", "1.2.1.8"]);
}

#[test]
fn outlines_and_transmission_scans_of_another_patient_stop_the_job() {
    for other in [view(2, "TRANSMISSION"), seg(8, NM, "1.2.1.1")] {
        let other = other.text(tags::PATIENT_ID, VR::LO, "P-2");
        let error = read_all(vec![view(1, "EMISSION"), other]).unwrap_err().to_string();
        assert!(error.contains("two patients"), "{error}");
    }
}
