//! RT Dose (PS3.3 A.18, C.8.8.3, C.8.8.4): the absorbed dose of the cycle, PHYSICAL, in GY.
//!
//! There is no RT Plan behind a radiopharmaceutical, so the dose is summed over a PLAN_OVERVIEW,
//! the one defined term that asks for no plan. Stored value = dose / Dose Grid Scaling, where the
//! scaling is the number that its own text parses to; the error is half a step at most. Where the
//! dose was simulated its standard error (k = 1) is a second object, of type ERROR; the BED of voxels,
//! where it is asked for, another one, of type EFFECTIVE.

use super::axial::axial;
use super::modules;
use super::{
    CycleResult, DoseBits, Identity, Kind, RegionResult, ReportError, ReportOptions,
    StructureSetReference, VoxelBed, VoxelResult,
};
use crate::dicom::Uid;
use crate::dicom::write::DicomFile;
use crate::dicom::write::{
    Code, DataSet, InstanceReference, decimal_string, decimal_string_not_below, geometry,
};
use crate::volume::{Grid, Volume};
use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};

/// Most bins of one DVH: keeps DVH Data below the 64 KiB of its length field.
const MOST_DVH_BINS: usize = 1500;

/// Dose Type (3004,0004).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DoseType {
    Physical,
    /// Biologically effective dose.
    Effective,
    Error,
}

impl DoseType {
    fn term(self) -> &'static str {
        match self {
            Self::Physical => "PHYSICAL",
            Self::Effective => "EFFECTIVE",
            Self::Error => "ERROR",
        }
    }

    /// Pixel Representation: an error is two's complement, all else unsigned (C.8.8.3.4.6).
    fn is_signed(self) -> bool {
        self == Self::Error
    }
}

/// The RT Dose object of a result.
pub fn write(
    result: &CycleResult,
    voxels: &VoxelResult,
    options: &ReportOptions,
) -> Result<DicomFile, ReportError> {
    let identity = Identity::of(result, options);
    let dose = axial(&voxels.gy)?;
    let structures = voxels.structure_set.as_ref().map(structure_set_reference);
    let more: Vec<InstanceReference> = structures.iter().cloned().collect();
    let set = modules::shared(result, options, &identity, Kind::RtDose)
        .with(modules::input_references(result, &identity, &more))
        .with(image_plane(dose.grid(), &voxels.frame_of_reference)?)
        .with(pixels(&dose, options.dose_bits, DoseType::Physical)?)
        .with(description(result, DoseType::Physical))
        .sequence(tags::PLAN_OVERVIEW_SEQUENCE, vec![plan_overview(result, structures.as_ref())]);
    let set = match (&voxels.structure_set, &structures) {
        (Some(link), Some(reference)) => set.with(dvh_module(&result.regions, link, reference)),
        _ => set,
    };
    Ok(set.into_file()?)
}

/// The standard error (k = 1) of the result's dose, as an RT Dose of type ERROR.
pub fn write_error(
    result: &CycleResult,
    voxels: &VoxelResult,
    error_gy: &Volume<f32>,
    options: &ReportOptions,
) -> Result<DicomFile, ReportError> {
    let identity = Identity::of(result, options);
    let error = axial(error_gy)?;
    let more = [identity.reference(Kind::RtDose)];
    let set = modules::shared(result, options, &identity, Kind::RtDoseError)
        .with(modules::input_references(result, &identity, &more))
        .with(image_plane(error.grid(), &voxels.frame_of_reference)?)
        .with(pixels(&error, options.dose_bits, DoseType::Error)?)
        .with(description(result, DoseType::Error))
        .sequence(tags::PLAN_OVERVIEW_SEQUENCE, vec![plan_overview(result, None)]);
    Ok(set.into_file()?)
}

/// BED of the result's voxels, as an RT Dose of type EFFECTIVE.
pub fn write_effective(
    result: &CycleResult,
    voxels: &VoxelResult,
    bed: &VoxelBed,
    options: &ReportOptions,
) -> Result<DicomFile, ReportError> {
    static COMPOSED: Code = Code::new("121377", "DCM", "Composed with radiobiological effects");
    static SOURCE: Code = Code::new("121372", "DCM", "Source dose for composing current dose");
    let identity = Identity::of(result, options);
    let gy = axial(&bed.gy)?;
    let physical = identity.reference(Kind::RtDose);
    let source = physical.item().code(tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE, &SOURCE);
    let comments = format!(
        "{}\nBED by the linear-quadratic model for falling dose rates; 0 where no tissue is known. {}",
        modules::comments(result),
        bed.assumed.join("; ")
    );
    let set = modules::shared(result, options, &identity, Kind::RtDoseEffective)
        .with(modules::input_references(result, &identity, std::slice::from_ref(&physical)))
        .with(image_plane(gy.grid(), &voxels.frame_of_reference)?)
        .with(pixels(&gy, options.dose_bits, DoseType::Effective)?)
        .with(description(result, DoseType::Effective))
        .text(tags::IMAGE_COMMENTS, VR::LT, &comments)
        .code(tags::DERIVATION_CODE_SEQUENCE, &COMPOSED)
        .sequence(tags::REFERENCED_INSTANCE_SEQUENCE, vec![source])
        .sequence(tags::PLAN_OVERVIEW_SEQUENCE, vec![plan_overview(result, None)]);
    Ok(set.into_file()?)
}

fn structure_set_reference(link: &StructureSetReference) -> InstanceReference {
    InstanceReference {
        study: link.study.clone(),
        series: link.series.clone(),
        sop_class: Uid::parse(uids::RT_STRUCTURE_SET_STORAGE).expect("registry UID"),
        sop_instance: link.sop_instance.clone(),
    }
}

/// Frame of Reference, Image Plane and Multi-frame: offsets are relative to the first frame.
fn image_plane(grid: &Grid, frame_of_reference: &Uid) -> Result<DataSet, ReportError> {
    let [frames, _, _] = grid.shape();
    let step = grid.spacing_mm()[2];
    let offsets: Vec<f64> = (0..frames).map(|k| (k as f64 * step * 1e6).round() / 1e6).collect();
    let size = geometry::rows_and_columns(grid).ok_or(ReportError::TooLarge(grid.shape()))?;
    Ok(DataSet::new()
        .uid(tags::FRAME_OF_REFERENCE_UID, frame_of_reference)
        .empty(tags::POSITION_REFERENCE_INDICATOR, VR::LO)
        .with(geometry::image_position(grid, 0))
        // The grid is axial: its directions are written as what they are.
        .decimals(tags::IMAGE_ORIENTATION_PATIENT, &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0])
        .with(geometry::pixel_measures(grid))
        .with(size)
        .integer(tags::NUMBER_OF_FRAMES, frames as i64)
        .pointers(tags::FRAME_INCREMENT_POINTER, &[tags::GRID_FRAME_OFFSET_VECTOR])
        .decimals(tags::GRID_FRAME_OFFSET_VECTOR, &offsets))
}

/// Image Pixel, scaling and the stored values.
fn pixels(dose: &Volume<f32>, bits: DoseBits, dose_type: DoseType) -> Result<DataSet, ReportError> {
    let values = dose.as_slice();
    if let Some(voxel) = values.iter().position(|value| !value.is_finite()) {
        return Err(ReportError::DoseNotFinite(voxel));
    }
    let signed = dose_type.is_signed();
    let (stored_bits, largest) = match bits {
        DoseBits::Sixteen if signed => (16u16, f64::from(i16::MAX)),
        DoseBits::Sixteen => (16, f64::from(u16::MAX)),
        DoseBits::ThirtyTwo if signed => (32, f64::from(i32::MAX)),
        DoseBits::ThirtyTwo => (32, f64::from(u32::MAX)),
    };
    let maximum = f64::from(values.iter().copied().fold(0.0f32, f32::max));
    // An empty map has no scale of its own: 1 Gy a step stores it as zeros.
    let scaling = decimal_string_not_below(maximum / largest).unwrap_or_else(|| "1".into());
    let step: f64 = scaling.parse().unwrap_or(1.0);
    // Negative values are noise of a reconstruction; nothing below 0 is stored.
    let stored = values.iter().map(|&gy| (f64::from(gy).max(0.0) / step).round().min(largest));
    let bytes: Vec<u8> = match bits {
        DoseBits::Sixteen => stored.flat_map(|value| (value as u16).to_le_bytes()).collect(),
        DoseBits::ThirtyTwo => stored.flat_map(|value| (value as u32).to_le_bytes()).collect(),
    };
    Ok(DataSet::new()
        .unsigned(tags::SAMPLES_PER_PIXEL, &[1])
        .text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2")
        .unsigned(tags::BITS_ALLOCATED, &[stored_bits])
        .unsigned(tags::BITS_STORED, &[stored_bits])
        .unsigned(tags::HIGH_BIT, &[stored_bits - 1])
        .unsigned(tags::PIXEL_REPRESENTATION, &[u16::from(signed)])
        .decimal_texts(tags::DOSE_GRID_SCALING, vec![scaling])
        .bytes(tags::PIXEL_DATA, VR::OW, bytes))
}

/// RT Dose module without geometry, General Image, RT Series.
fn description(result: &CycleResult, dose_type: DoseType) -> DataSet {
    let warnings = match modules::warnings(result).len() {
        0 => String::new(),
        n => format!(", {n} warnings"),
    };
    let what = match dose_type {
        DoseType::Physical => "Absorbed dose",
        DoseType::Effective => "BED",
        DoseType::Error => "Standard error k=1",
    };
    let comment = format!(
        "{what} {} {} MBq C{}, {}{warnings}",
        result.nuclide,
        result.administered.mbq().round(),
        result.cycle,
        result.engine.name,
    );
    let heterogeneity = if result.engine.mass_source.starts_with("CT") { "IMAGE" } else { "WATER" };
    let sources = modules::images(result);
    let sources = sources.iter().map(|input| modules::reference(input).item());
    DataSet::new()
        .text(tags::MODALITY, VR::CS, "RTDOSE")
        .empty(tags::OPERATORS_NAME, VR::PN)
        .texts(tags::IMAGE_TYPE, VR::CS, &["DERIVED", "SECONDARY"])
        .text(tags::IMAGE_COMMENTS, VR::LT, &modules::comments(result))
        .sequence(tags::SOURCE_IMAGE_SEQUENCE, sources.collect())
        .text(tags::DOSE_UNITS, VR::CS, "GY")
        .text(tags::DOSE_TYPE, VR::CS, dose_type.term())
        .text(tags::SPATIAL_TRANSFORM_OF_DOSE, VR::CS, "NONE")
        .text(tags::DOSE_COMMENT, VR::LO, &comment)
        .text(tags::ENTITY_LONG_LABEL, VR::LO, &comment)
        .text(tags::DOSE_SUMMATION_TYPE, VR::CS, "PLAN_OVERVIEW")
        .text(tags::TISSUE_HETEROGENEITY_CORRECTION, VR::CS, heterogeneity)
}

fn plan_overview(result: &CycleResult, structures: Option<&InstanceReference>) -> DataSet {
    let label = format!("{} C{}", result.nuclide, result.cycle);
    DataSet::new()
        .unsigned(tags::PLAN_OVERVIEW_INDEX, &[1])
        .text(tags::RT_PLAN_LABEL, VR::SH, &label)
        .with_some(structures, |item, reference| {
            item.sequence(tags::REFERENCED_STRUCTURE_SET_SEQUENCE, vec![reference.item()])
        })
        .sequence(tags::PRESCRIPTION_OVERVIEW_SEQUENCE, vec![])
        .unsigned(tags::NUMBER_OF_FRACTIONS_INCLUDED, &[1])
        .empty(tags::TREATMENT_SITE, VR::LO)
        .sequence(tags::TREATMENT_SITE_CODE_SEQUENCE, vec![])
}

/// RT DVH module: cumulative histograms of the regions that are ROIs of the structure set. Empty
/// where none has one, because the module stands only with its histograms.
fn dvh_module(
    regions: &[RegionResult],
    link: &StructureSetReference,
    reference: &InstanceReference,
) -> DataSet {
    let items: Vec<DataSet> = regions
        .iter()
        .filter_map(|region| {
            let roi = link.roi_numbers.iter().find(|(number, _)| *number == region.number)?.1;
            dvh_item(region, roi)
        })
        .collect();
    if items.is_empty() {
        return DataSet::new();
    }
    DataSet::new()
        .sequence(tags::REFERENCED_STRUCTURE_SET_SEQUENCE, vec![reference.item()])
        .sequence(tags::DVH_SEQUENCE, items)
}

fn dvh_item(region: &RegionResult, roi: i32) -> Option<DataSet> {
    let numbers = super::regions::RegionNumbers::of(region);
    let dose = numbers.dose?;
    let spread = dose.spread.as_ref()?;
    let curve: Vec<(f64, f64)> =
        spread.dvh.iter().map(|(gray, ml)| (gray.value(), ml.value())).collect();
    let data = dvh_data(&curve)?;
    let roi_item = DataSet::new().integer(tags::REFERENCED_ROI_NUMBER, roi.into()).text(
        tags::DVHROI_CONTRIBUTION_TYPE,
        VR::CS,
        "INCLUDED",
    );
    Some(
        DataSet::new()
            .sequence(tags::DVH_REFERENCED_ROI_SEQUENCE, vec![roi_item])
            .text(tags::DVH_TYPE, VR::CS, "CUMULATIVE")
            .text(tags::DOSE_UNITS, VR::CS, "GY")
            .text(tags::DOSE_TYPE, VR::CS, "PHYSICAL")
            .decimals(tags::DVH_DOSE_SCALING, &[1.0])
            .text(tags::DVH_VOLUME_UNITS, VR::CS, "CM3")
            .integer(tags::DVH_NUMBER_OF_BINS, data.len() as i64 / 2)
            .decimal_texts(tags::DVH_DATA, data)
            .decimals(tags::DVH_MINIMUM_DOSE, &[spread.min.value()])
            .decimals(tags::DVH_MAXIMUM_DOSE, &[spread.max.value()])
            .decimals(tags::DVH_MEAN_DOSE, &[dose.mean.value()]),
    )
}

/// DVH Data: pairs of bin width and the volume that receives at least the bin's lower edge. Widths
/// are differences of edges as readers will add them up again, so that no rounding runs away.
fn dvh_data(curve: &[(f64, f64)]) -> Option<Vec<String>> {
    let &(first_edge, whole) = curve.first()?;
    let mut curve = curve.to_vec();
    if first_edge > 0.0 {
        curve.insert(0, (0.0, whole));
    }
    let every = curve.len().div_ceil(MOST_DVH_BINS - 2);
    let last = *curve.last()?;
    let mut kept: Vec<(f64, f64)> = curve.into_iter().step_by(every).collect();
    if kept.last() != Some(&last) {
        kept.push(last);
    }
    if last.1 > 0.0 {
        // Nothing receives more than the last edge and one step.
        let step = if kept.len() > 1 { last.0 - kept[kept.len() - 2].0 } else { 1e-6 };
        kept.push((last.0 + step, 0.0));
    }
    let mut edge = 0.0;
    let mut width = String::new();
    let mut data = Vec::with_capacity(2 * kept.len());
    for n in 0..kept.len() {
        if let Some((next, _)) = kept.get(n + 1) {
            width = decimal_string(((next - edge) * 1e9).round() / 1e9)?;
            edge += width.parse::<f64>().ok()?;
        }
        data.push(width.clone());
        data.push(decimal_string((kept[n].1 * 1e6).round() / 1e6)?);
    }
    Some(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dvh_edges_come_back_from_widths_and_the_curve_ends_at_nothing() {
        let curve: Vec<(f64, f64)> =
            (0..4001).map(|n| (n as f64 * 0.012345, 150.0 * (1.0 - n as f64 / 8000.0))).collect();
        let data = dvh_data(&curve).unwrap();
        assert!(data.len() / 2 <= MOST_DVH_BINS);
        assert!(data.iter().map(|t| t.len() + 1).sum::<usize>() <= 65_534);
        let number = |n: usize| data[n].parse::<f64>().unwrap();
        let mut edge = 0.0;
        for bin in 0..data.len() / 2 - 2 {
            let exact = 150.0 * (1.0 - edge / 0.012345 / 8000.0);
            assert!((number(2 * bin + 1) - exact).abs() < 1e-4, "bin {bin}");
            edge += number(2 * bin);
        }
        assert_eq!(number(data.len() - 1), 0.0);
    }

    #[test]
    fn stored_values_come_back_within_half_a_step_and_never_overflow() {
        let grid = Grid::axial([2, 3, 4], [4.8; 3], [0.0; 3]).unwrap();
        let values = ndarray::Array3::from_shape_fn(grid.dim(), |(k, j, i)| {
            (k * 12 + j * 4 + i) as f32 * 0.731 - 0.5
        });
        let dose = Volume::new(grid, values);
        for (bits, size) in [(DoseBits::Sixteen, 2), (DoseBits::ThirtyTwo, 4)] {
            let set = pixels(&dose, bits, DoseType::Physical).unwrap().into_inner();
            let step = set.get(tags::DOSE_GRID_SCALING).unwrap().to_float64().unwrap();
            let bytes = set.get(tags::PIXEL_DATA).unwrap().to_bytes().unwrap();
            for (chunk, &gy) in bytes.chunks(size).zip(dose.as_slice()) {
                let stored = chunk.iter().rev().fold(0u64, |n, &b| n << 8 | u64::from(b)) as f64;
                let error = (stored * step - f64::from(gy).max(0.0)).abs();
                assert!(error <= step * 0.5 * (1.0 + 1e-6), "{gy} {error} {step}");
            }
        }
    }

    #[test]
    fn a_dose_that_is_no_number_is_refused() {
        let grid = Grid::axial([1, 1, 2], [1.0; 3], [0.0; 3]).unwrap();
        let values = ndarray::Array3::from_shape_vec(grid.dim(), vec![1.0, f32::NAN]).unwrap();
        let refused = pixels(&Volume::new(grid, values), DoseBits::ThirtyTwo, DoseType::Physical);
        assert!(matches!(refused, Err(ReportError::DoseNotFinite(1))));
    }
}
