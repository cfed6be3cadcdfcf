//! Regions of the digital patient: RTSTRUCT on the first session's CT, SEG on its SPECT grid.
//!
//! Contours run along the edges of SPECT voxels on every CT plane, holes as contours of their own
//! (even-odd), so that the contoured volume is the region's.

use super::ct;
use super::patient::{self, Series};
use super::planar::outlines;
use super::{DigitalPatient, PhantomError, RegionObjects, RegionTruth, Views};
use crate::dicom::write::reference::common_instance_reference;
use crate::dicom::write::segmentation::{Segment, Segmentation};
use crate::dicom::write::structure_set::{Contour, Roi, StructureSet};
use crate::dicom::write::{DataSet, DicomFile, InstanceReference, outlines};
use crate::report::codes_of;
use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};

/// The region objects that the options ask for.
pub(super) fn objects(patient: &DigitalPatient) -> Result<Vec<DicomFile>, PhantomError> {
    if patient.options.views == Views::Outlined {
        return (0..patient.times.len()).map(|n| outlines::segmentation(patient, n)).collect();
    }
    let wanted = patient.options.region_objects;
    let mut objects = Vec::new();
    if wanted != RegionObjects::Segmentation || patient.options.views == Views::Planar {
        objects.push(structure_set(patient)?);
    }
    // A segmentation is on the SPECT's grid.
    if wanted != RegionObjects::StructureSet && patient.options.views != Views::Planar {
        objects.push(segmentation(patient)?);
    }
    Ok(objects)
}

fn drawn(patient: &DigitalPatient) -> impl Iterator<Item = &RegionTruth> {
    patient.truth.iter().filter(|region| region.is_drawn)
}

fn series<'a>(
    patient: &'a DigitalPatient,
    name: &'static str,
    sop_class: &'static str,
    number: i64,
) -> Series<'a> {
    Series {
        patient,
        session: patient.drawn_session(),
        name,
        sop_class,
        number,
        description: "Regions of the digital patient".into(),
        model: "Digital contours",
    }
}

fn structure_set(patient: &DigitalPatient) -> Result<DicomFile, PhantomError> {
    let series = series(patient, "structures", uids::RT_STRUCTURE_SET_STORAGE, 30);
    let images: Vec<InstanceReference> = (0..patient.ct.shape()[0])
        .map(|k| {
            ct::series(patient, patient.drawn_session()).reference(ct::instance_number(patient, k))
        })
        .collect();
    let rois: Vec<Roi> =
        drawn(patient).zip(1..).map(|(region, n)| roi(patient, region, n, &images)).collect();
    let structures = StructureSet {
        label: "PHANTOM",
        at: &patient::local(patient, patient.acquired(patient.drawn_session())),
        frame_of_reference: &patient::frame_of_reference(patient, patient.drawn_session()),
        images: &images,
        rois: &rois,
    };
    Ok(series.shared(1).with(structures.modules()).into_file()?)
}

fn roi(
    patient: &DigitalPatient,
    region: &RegionTruth,
    number: i32,
    images: &[InstanceReference],
) -> Roi {
    let grid = &patient.spect;
    let parts = patient.options.ct_per_spect;
    let [slices, rows, columns] = grid.shape();
    let mut contours = Vec::new();
    for k in 0..slices {
        let inside = |j, i| patient.labels[grid.linear(k, j, i)] == region.label;
        for outline in outlines(rows, columns, inside) {
            let planes = images.iter().enumerate().skip(k * parts).take(parts);
            contours.extend(planes.map(|(plane, image)| {
                let height = patient.ct.voxel_to_lps([0.0, 0.0, plane as f64])[2];
                let point = |p: &[f64; 2]| {
                    let [x, y, _] = grid.voxel_to_lps([p[0], p[1], 0.0]);
                    [x, y, height]
                };
                let points_lps_mm = outline.iter().map(point).collect();
                Contour { points_lps_mm, image: Some(image.clone()) }
            }));
        }
    }
    let codes = codes_of(&region.name, None);
    Roi {
        number,
        name: region.name.clone(),
        interpreted_type: if codes.is_abnormal() { "GTV" } else { "ORGAN" },
        algorithm: "AUTOMATIC",
        description: None,
        colour: [(number * 83 % 256) as u8, (number * 151 % 256) as u8, 160],
        identification: Some(codes.property),
        volume_ml: region.volume.value(),
        contours,
    }
}

fn segmentation(patient: &DigitalPatient) -> Result<DicomFile, PhantomError> {
    let series = series(patient, "segmentation", uids::SEGMENTATION_STORAGE, 31);
    let sources = spect_references(patient);
    let segments: Vec<Segment> = drawn(patient).map(|r| segment(patient, r)).collect();
    let segmentation = Segmentation {
        grid: &patient.spect,
        frame_of_reference: &patient::frame_of_reference(patient, patient.drawn_session()),
        segments: &segments,
        sources: &sources,
        dimension_organization: patient::uid(patient, "dimensions"),
        label: "PHANTOM",
        description: "Regions of the digital patient",
    };
    let at = patient::local(patient, patient.acquired(patient.drawn_session()));
    let content = DataSet::new().text(tags::CONTENT_DATE, VR::DA, &patient::date(&at)).text(
        tags::CONTENT_TIME,
        VR::TM,
        &patient::time(&at),
    );
    let own_study = series.reference(1).study;
    let set = series
        .shared(1)
        .with(content)
        .with(common_instance_reference(&sources, &own_study))
        .with(segmentation.modules()?);
    Ok(set.into_file()?)
}

fn segment(patient: &DigitalPatient, region: &RegionTruth) -> Segment {
    let codes = codes_of(&region.name, None);
    let own = |(_, label): &(usize, &u8)| **label == region.label;
    Segment {
        label: region.name.clone(),
        description: None,
        category: codes.category,
        property: codes.property,
        modifier: codes.laterality,
        tracking_id: region.name.clone(),
        tracking_uid: patient::uid(patient, &format!("tracking {}", region.name)),
        algorithm_type: "AUTOMATIC",
        algorithm_name: "grayd phantom".into(),
        voxels: patient.labels.iter().enumerate().filter(own).map(|(voxel, _)| voxel).collect(),
    }
}

/// The first session's SPECT.
fn spect_references(patient: &DigitalPatient) -> Vec<InstanceReference> {
    let (sop_class, count) = match patient.is_pet(patient.drawn_session()) {
        false => (uids::NUCLEAR_MEDICINE_IMAGE_STORAGE, 1),
        true => (uids::POSITRON_EMISSION_TOMOGRAPHY_IMAGE_STORAGE, patient.spect.shape()[0]),
    };
    let number = 10 + patient.drawn_session() as i64;
    let series = series(patient, "spect", sop_class, number);
    (1..=count).map(|number| series.reference(number)).collect()
}
