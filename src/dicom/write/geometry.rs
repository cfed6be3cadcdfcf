//! A grid as the attributes of an image plane.

use super::DataSet;
use crate::volume::Grid;
use dicom_dictionary_std::tags;

/// Image Orientation (Patient): directions of a row and of a column.
pub fn image_orientation(grid: &Grid) -> DataSet {
    let [i, j, _] = grid.direction();
    DataSet::new().decimals(tags::IMAGE_ORIENTATION_PATIENT, &[i[0], i[1], i[2], j[0], j[1], j[2]])
}

/// Image Position (Patient) of slice `k`.
pub fn image_position(grid: &Grid, k: usize) -> DataSet {
    let position = grid.voxel_to_lps([0.0, 0.0, k as f64]).map(|mm| (mm * 1e6).round() / 1e6);
    DataSet::new().decimals(tags::IMAGE_POSITION_PATIENT, &position)
}

/// Pixel Spacing (between rows, between columns) and Slice Thickness.
pub fn pixel_measures(grid: &Grid) -> DataSet {
    let [x, y, z] = grid.spacing_mm();
    DataSet::new().decimals(tags::PIXEL_SPACING, &[y, x]).decimals(tags::SLICE_THICKNESS, &[z])
}

/// Rows and Columns; `None` where a grid is larger than an image can be.
pub fn rows_and_columns(grid: &Grid) -> Option<DataSet> {
    let [_, rows, columns] = grid.shape();
    let rows = u16::try_from(rows).ok()?;
    let columns = u16::try_from(columns).ok()?;
    Some(DataSet::new().unsigned(tags::ROWS, &[rows]).unsigned(tags::COLUMNS, &[columns]))
}
