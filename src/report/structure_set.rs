//! RT Structure Set of the regions, for systems that read no SEG: outlines of the segments'
//! voxels on the dose grid's slices, so that the contoured volume is the segment's.

use super::anatomy::codes_of;
use super::{CycleResult, Identity, Kind, RegionResult, ReportError, ReportOptions, VoxelResult};
use super::{modules, seg};
use crate::dicom::write::DicomFile;
use crate::dicom::write::structure_set::{Contour, Roi, StructureSet};
use crate::dicom::write::{keyholed, outlines};
use crate::volume::Grid;
use dicom_core::VR;
use dicom_dictionary_std::tags;

/// Fraction of a voxel from which on it lies inside of the contour.
const HALF: f32 = 0.5;

/// The RTSTRUCT object of a result; ROI numbers are the regions' numbers.
pub fn write(
    result: &CycleResult,
    voxels: &VoxelResult,
    options: &ReportOptions,
) -> Result<DicomFile, ReportError> {
    let identity = Identity::of(result, options);
    let rois: Vec<Roi> =
        result.regions.iter().map(|region| roi(region, voxels.gy.grid())).collect();
    let label = format!("{} C{}", result.nuclide, result.cycle);
    let structures = StructureSet {
        label: &label,
        at: &modules::local(result.computed_at, options),
        frame_of_reference: &voxels.frame_of_reference,
        images: &modules::reference_images(result),
        rois: &rois,
    };
    let set = modules::shared(result, options, &identity, Kind::StructureSet)
        .with(structures.modules())
        .text(tags::STRUCTURE_SET_DESCRIPTION, VR::ST, &modules::comments(result));
    Ok(set.into_file()?)
}

fn roi(region: &RegionResult, grid: &Grid) -> Roi {
    let codes = codes_of(&region.name, region.anatomy.as_deref());
    // Hues by the golden angle, so that neighbours in the list stay apart.
    let hue = f64::from(region.number) * 2.399_963_229_728_653;
    let part = |shift: f64| (127.5 + 127.5 * (hue + shift).cos()) as u8;
    Roi {
        number: region.number.into(),
        name: region.name.clone(),
        interpreted_type: if codes.is_abnormal() { "GTV" } else { "ORGAN" },
        algorithm: seg::algorithm_type(region),
        description: region.made.as_ref().map(|made| made.description.clone()),
        colour: [part(0.0), part(2.1), part(4.2)],
        identification: Some(codes.property),
        volume_ml: region.occupancy.volume(grid).value(),
        contours: contours(region, grid),
    }
}

fn contours(region: &RegionResult, grid: &Grid) -> Vec<Contour> {
    let [slices, rows, columns] = grid.shape();
    let mut masks = vec![Vec::new(); slices];
    for (voxel, _) in region.occupancy.iter().filter(|v| v.1 >= HALF) {
        masks[voxel / (rows * columns)].push(voxel % (rows * columns));
    }
    let mut contours = Vec::new();
    for (k, pixels) in masks.iter().enumerate().filter(|(_, pixels)| !pixels.is_empty()) {
        let mut inside = vec![false; rows * columns];
        pixels.iter().for_each(|&pixel| inside[pixel] = true);
        // Holes as keyholes: not every reader takes one contour off another.
        for outline in keyholed(outlines(rows, columns, |j, i| inside[j * columns + i])) {
            let points = outline.iter().map(|p| grid.voxel_to_lps([p[0], p[1], k as f64]));
            contours.push(Contour { points_lps_mm: points.collect(), image: None });
        }
    }
    contours
}
