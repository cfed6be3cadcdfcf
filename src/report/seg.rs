//! Segmentation of the regions that the numbers belong to, BINARY, on the dose grid.
//!
//! A voxel belongs to a segment where the region fills at least half of it. A region too small to
//! fill half of any voxel keeps the voxels that it fills most, as many as its volume is worth, and
//! its description says so.

use super::anatomy::codes_of;
use super::modules;
use super::{CycleResult, Identity, Kind, RegionResult, ReportError, ReportOptions, VoxelResult};
use crate::dicom::Uid;
use crate::dicom::write::DicomFile;
use crate::dicom::write::segmentation::{Segment, Segmentation};
use crate::volume::Grid;
use dicom_core::VR;
use dicom_dictionary_std::tags;

/// Fraction of a voxel from which on it belongs to the segment.
const HALF: f32 = 0.5;

/// The SEG object of a result.
pub fn write(
    result: &CycleResult,
    voxels: &VoxelResult,
    options: &ReportOptions,
) -> Result<DicomFile, ReportError> {
    let identity = Identity::of(result, options);
    let mut segments = Vec::with_capacity(result.regions.len());
    for (place, region) in result.regions.iter().enumerate() {
        if usize::from(region.number) != place + 1 {
            let (name, number) = (region.name.clone(), region.number);
            return Err(ReportError::RegionNumbers { name, number, place: place + 1 });
        }
        segments.push(segment(result, voxels, region));
    }
    let segmentation = Segmentation {
        grid: voxels.gy.grid(),
        frame_of_reference: &voxels.frame_of_reference,
        segments: &segments,
        sources: &modules::reference_images(result),
        dimension_organization: identity.part("dimensions"),
        label: "REGIONS",
        description: "Regions of the dosimetry",
    };
    let set = modules::shared(result, options, &identity, Kind::Segmentation)
        .with(modules::input_references(result, &identity, &[]))
        .with(segmentation.modules()?)
        .text(tags::IMAGE_COMMENTS, VR::LT, &modules::comments(result));
    Ok(set.into_file()?)
}

/// What lets a region be followed over cycles: patient and name.
pub(super) fn tracking_uid(result: &CycleResult, region: &RegionResult) -> Uid {
    let patient = &result.patient;
    Uid::derived(&["tracking", &patient.id, &patient.issuer, &region.name.to_lowercase()])
}

/// Drawn by people and carried over, or made by the program alone.
pub(super) fn algorithm_type(region: &RegionResult) -> &'static str {
    if region.made.is_some() { "AUTOMATIC" } else { "SEMIAUTOMATIC" }
}

fn segment(result: &CycleResult, voxels: &VoxelResult, region: &RegionResult) -> Segment {
    let codes = codes_of(&region.name, region.anatomy.as_deref());
    let (voxels, note) = members(region, voxels.gy.grid());
    let warnings = region.warnings.iter().map(|w| w.text.clone());
    let made = region.made.as_ref().map(|made| format!("Made here: {}.", made.description));
    let description: Vec<String> = made.into_iter().chain(note).chain(warnings).collect();
    let program = format!("{} {}", result.software.name, result.software.version);
    Segment {
        label: region.name.clone(),
        description: Some(description.join(" ")).filter(|text| !text.is_empty()),
        category: codes.category,
        property: codes.property,
        modifier: codes.laterality,
        tracking_id: region.name.clone(),
        tracking_uid: tracking_uid(result, region),
        algorithm_type: algorithm_type(region),
        algorithm_name: match &region.made {
            Some(made) => format!("{program} {}", made.method),
            None => program,
        },
        voxels,
    }
}

/// The voxels of a region, and a sentence where they are not the plain half-filled ones.
fn members(region: &RegionResult, grid: &Grid) -> (Vec<usize>, Option<String>) {
    let half: Vec<usize> =
        region.occupancy.iter().filter(|v| v.1 >= HALF).map(|(voxel, _)| voxel).collect();
    if !half.is_empty() {
        return (half, None);
    }
    if region.occupancy.is_empty() {
        return (half, Some("The region lies outside of the dose grid.".into()));
    }
    let worth = region.occupancy.volume(grid) / grid.voxel_volume();
    let count = (worth.round() as usize).max(1);
    let mut fullest: Vec<(usize, f32)> = region.occupancy.iter().collect();
    fullest.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    fullest.truncate(count);
    let note = "The region fills no voxel by half; the voxels that it fills most are shown.";
    (fullest.into_iter().map(|v| v.0).collect(), Some(note.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantity::Millilitre;
    use crate::volume::Occupancy;

    fn region(voxels: Vec<(u32, f32)>) -> RegionResult {
        RegionResult {
            name: "Lesion".into(),
            number: 1,
            anatomy: None,
            made: None,
            occupancy: Occupancy::new(voxels),
            volume: Some(Millilitre::new(1.0)),
            mass: None,
            activity: vec![],
            recovery: None,
            fit: None,
            dose: None,
            alpha: None,
            therapy: None,
            bed: None,
            effect: Default::default(),
            uncertainty: None,
            uncertainty_budget: None,
            warnings: vec![],
        }
    }

    #[test]
    fn half_a_voxel_belongs_and_a_tiny_region_does_not_vanish() {
        let grid = Grid::axial([1, 4, 4], [1.0; 3], [0.0; 3]).unwrap();
        let plain = region(vec![(3, 0.5), (4, 0.49), (9, 1.0)]);
        assert_eq!(members(&plain, &grid), (vec![3, 9], None));
        let (voxels, note) = members(&region(vec![(5, 0.2), (6, 0.4), (7, 0.4)]), &grid);
        assert_eq!(voxels, [6]);
        assert!(note.unwrap().contains("fills most"));
        let (voxels, note) = members(&region(vec![]), &grid);
        assert!(voxels.is_empty() && note.unwrap().contains("outside"));
    }
}
