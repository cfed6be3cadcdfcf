//! Parametric Map (PS3.3 A.75, C.8.32): one quantity a voxel as 32-bit floats on the dose grid.
//!
//! Voxels outside of the quantity's reach are 0, not NaN, which breaks the windowing of viewers.
//! Quantities that no scheme has a code for stand in the private scheme `99RPT`, which the object
//! declares.

use super::modules;
use super::structured_report::private_scheme;
use super::{CycleResult, Identity, Kind, ReportError, ReportOptions, VoxelMap, VoxelResult};
use crate::dicom::write::{Code, DataSet, DicomFile, geometry};
use crate::volume::Grid;
use dicom_core::VR;
use dicom_dictionary_std::tags;

/// What a map shows, for its codes.
struct Quantity {
    code: Code,
    unit: Code,
    label: &'static str,
    description: &'static str,
}

fn quantity(kind: Kind) -> Quantity {
    match kind {
        Kind::EffectiveHalfLifeMap => Quantity {
            code: Code::new("TEFF", "99RPT", "Effective half-life"),
            unit: Code::new("h", "UCUM", "h"),
            label: "TEFF",
            description: "Effective half-life",
        },
        _ => Quantity {
            code: Code::new("TIA", "99RPT", "Time-integrated activity"),
            unit: Code::new("MBq.h/mL", "UCUM", "MBq.h/mL"),
            label: "TIA",
            description: "Time-integrated activity concentration",
        },
    }
}

/// The Parametric Map object of one map of a result.
pub fn write(
    result: &CycleResult,
    voxels: &VoxelResult,
    map: &VoxelMap,
    options: &ReportOptions,
) -> Result<DicomFile, ReportError> {
    let values = map.values.as_slice();
    if let Some(voxel) = values.iter().position(|value| !value.is_finite()) {
        return Err(ReportError::DoseNotFinite(voxel));
    }
    let identity = Identity::of(result, options);
    let grid = map.values.grid();
    let what = quantity(map.kind);
    let largest = values.iter().copied().fold(0.0f32, f32::max);
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let set = modules::shared(result, options, &identity, map.kind)
        .with(modules::input_references(result, &identity, &[]))
        .with(private_scheme())
        .with(image(voxels, grid, &what)?)
        .with(dimensions(&identity))
        .sequence(
            tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
            vec![shared_groups(result, grid, &what, f64::from(largest))],
        )
        .sequence(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, frame_groups(grid))
        .text(tags::IMAGE_COMMENTS, VR::LT, &modules::comments(result))
        .bytes(tags::FLOAT_PIXEL_DATA, VR::OF, bytes);
    Ok(set.into_file()?)
}

/// Frame of Reference, Parametric Map Series and Image, Floating Point Image Pixel.
fn image(voxels: &VoxelResult, grid: &Grid, what: &Quantity) -> Result<DataSet, ReportError> {
    let size = geometry::rows_and_columns(grid).ok_or(ReportError::TooLarge(grid.shape()))?;
    Ok(DataSet::new()
        .with(size)
        .text(tags::MODALITY, VR::CS, "OT")
        .texts(tags::IMAGE_TYPE, VR::CS, &["DERIVED", "PRIMARY", "VOLUME", "QUANTITY"])
        .uid(tags::FRAME_OF_REFERENCE_UID, &voxels.frame_of_reference)
        .empty(tags::POSITION_REFERENCE_INDICATOR, VR::LO)
        // The body is no paired part; General Series asks for the attribute all the same (2C).
        .empty(tags::LATERALITY, VR::CS)
        .integer(tags::NUMBER_OF_FRAMES, grid.shape()[0] as i64)
        .text(tags::CONTENT_LABEL, VR::CS, what.label)
        .text(tags::CONTENT_DESCRIPTION, VR::LO, what.description)
        .empty(tags::CONTENT_CREATOR_NAME, VR::PN)
        .text(tags::CONTENT_QUALIFICATION, VR::CS, "RESEARCH")
        .text(tags::BURNED_IN_ANNOTATION, VR::CS, "NO")
        .text(tags::RECOGNIZABLE_VISUAL_FEATURES, VR::CS, "NO")
        .text(tags::LOSSY_IMAGE_COMPRESSION, VR::CS, "00")
        .text(tags::PIXEL_PRESENTATION, VR::CS, "MONOCHROME")
        .text(tags::PRESENTATION_LUT_SHAPE, VR::CS, "IDENTITY")
        .sequence(tags::ACQUISITION_CONTEXT_SEQUENCE, vec![])
        .unsigned(tags::SAMPLES_PER_PIXEL, &[1])
        .text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2")
        .unsigned(tags::BITS_ALLOCATED, &[32]))
}

/// Multi-frame Dimension: position alone.
fn dimensions(identity: &Identity) -> DataSet {
    let organization = identity.part("map-dimensions");
    let position = DataSet::new()
        .uid(tags::DIMENSION_ORGANIZATION_UID, &organization)
        .pointers(tags::DIMENSION_INDEX_POINTER, &[tags::IMAGE_POSITION_PATIENT])
        .pointers(tags::FUNCTIONAL_GROUP_POINTER, &[tags::PLANE_POSITION_SEQUENCE])
        .text(tags::DIMENSION_DESCRIPTION_LABEL, VR::LO, "Image Position Patient");
    let of = DataSet::new().uid(tags::DIMENSION_ORGANIZATION_UID, &organization);
    DataSet::new()
        .sequence(tags::DIMENSION_ORGANIZATION_SEQUENCE, vec![of])
        .sequence(tags::DIMENSION_INDEX_SEQUENCE, vec![position])
}

fn shared_groups(result: &CycleResult, grid: &Grid, what: &Quantity, largest: f64) -> DataSet {
    static PURPOSE: Code =
        Code::new("121322", "DCM", "Source image for image processing operation");
    static DERIVATION: Code = Code::new("113069", "DCM", "Calculated image");
    let measures = geometry::pixel_measures(grid)
        .decimals(tags::SPACING_BETWEEN_SLICES, &[grid.spacing_mm()[2]]);
    // All of the range from black to white; an empty map still has a width.
    let window = DataSet::new()
        .decimals(tags::WINDOW_CENTER, &[rounded(largest / 2.0)])
        .decimals(tags::WINDOW_WIDTH, &[rounded(largest).max(1e-6)]);
    let identity_values = DataSet::new()
        .decimals(tags::RESCALE_INTERCEPT, &[0.0])
        .decimals(tags::RESCALE_SLOPE, &[1.0])
        .text(tags::RESCALE_TYPE, VR::LO, "US");
    let frame_type = DataSet::new().texts(
        tags::FRAME_TYPE,
        VR::CS,
        &["DERIVED", "PRIMARY", "VOLUME", "QUANTITY"],
    );
    let sources = modules::reference_images(result);
    let sources = sources
        .iter()
        .map(|source| source.item().code(tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE, &PURPOSE));
    let derivation = DataSet::new()
        .sequence(tags::SOURCE_IMAGE_SEQUENCE, sources.collect())
        .code(tags::DERIVATION_CODE_SEQUENCE, &DERIVATION);
    DataSet::new()
        .sequence(tags::PIXEL_MEASURES_SEQUENCE, vec![measures])
        .sequence(tags::PLANE_ORIENTATION_SEQUENCE, vec![geometry::image_orientation(grid)])
        .sequence(tags::FRAME_VOILUT_SEQUENCE, vec![window])
        .sequence(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE, vec![identity_values])
        .sequence(tags::PARAMETRIC_MAP_FRAME_TYPE_SEQUENCE, vec![frame_type])
        .sequence(tags::REAL_WORLD_VALUE_MAPPING_SEQUENCE, vec![real_world(what, largest)])
        .sequence(tags::DERIVATION_IMAGE_SEQUENCE, vec![derivation])
}

/// Stored values are the quantity itself.
fn real_world(what: &Quantity, largest: f64) -> DataSet {
    static QUANTITY: Code = Code::new("246205007", "SCT", "Quantity");
    let definition = DataSet::new()
        .text(tags::VALUE_TYPE, VR::CS, "CODE")
        .code(tags::CONCEPT_NAME_CODE_SEQUENCE, &QUANTITY)
        .code(tags::CONCEPT_CODE_SEQUENCE, &what.code);
    DataSet::new()
        .text(tags::LUT_EXPLANATION, VR::LO, what.description)
        .text(tags::LUT_LABEL, VR::SH, what.label)
        .code(tags::MEASUREMENT_UNITS_CODE_SEQUENCE, &what.unit)
        .double(tags::DOUBLE_FLOAT_REAL_WORLD_VALUE_FIRST_VALUE_MAPPED, &[0.0])
        .double(tags::DOUBLE_FLOAT_REAL_WORLD_VALUE_LAST_VALUE_MAPPED, &[largest])
        .double(tags::REAL_WORLD_VALUE_INTERCEPT, &[0.0])
        .double(tags::REAL_WORLD_VALUE_SLOPE, &[1.0])
        .sequence(tags::QUANTITY_DEFINITION_SEQUENCE, vec![definition])
}

fn frame_groups(grid: &Grid) -> Vec<DataSet> {
    (0..grid.shape()[0])
        .zip(1u32..)
        .map(|(k, number)| {
            let content = DataSet::new().unsigned_long(tags::DIMENSION_INDEX_VALUES, &[number]);
            DataSet::new()
                .sequence(tags::FRAME_CONTENT_SEQUENCE, vec![content])
                .sequence(tags::PLANE_POSITION_SEQUENCE, vec![geometry::image_position(grid, k)])
        })
        .collect()
}

/// Six digits fit a decimal string.
fn rounded(value: f64) -> f64 {
    format!("{value:.5e}").parse().unwrap_or(value)
}
