//! One typed result, many forms: RT Dose, SEG, SR, RTSTRUCT, PDF and `results.json`.
//!
//! Writers are pure: result and options in, data set out; one file a kind of object. The result's
//! type is in `result.rs`. UIDs are a function of the inputs, the parameters, the software and the
//! cycle (`identity.rs`), so that a rerun is recognised; only dates tell two runs apart.

pub mod agents;
mod anatomy;
mod axial;
mod codes;
pub mod deformable_registration;
pub mod dose_reports;
pub mod encapsulated;
mod identity;
pub mod json;
mod modules;
pub mod number;
pub mod parametric_map;
#[cfg(feature = "pdf")]
pub mod pdf;
pub mod planes;
pub mod plot;
mod regions;
pub mod registration;
pub mod result;
pub mod rt_dose;
pub mod seg;
pub mod structure_set;
pub mod structured_report;
pub mod warnings;

pub use anatomy::{RegionCodes, codes_of};
pub use identity::Identity;
pub use result::*;

use crate::dicom::Uid;
use crate::dicom::write::segmentation::SegmentationError;
use crate::dicom::write::{DicomFile, WriteError};
use dicom_dictionary_std::tags;
use std::path::{Path, PathBuf};

/// Bits of a stored dose value. A few viewers read 16 only; the price is a coarser scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DoseBits {
    Sixteen,
    #[default]
    ThirtyTwo,
}

/// What a site can say about its reports.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportOptions {
    pub dose_bits: DoseBits,
    /// Also write the regions as an RTSTRUCT on the dose grid.
    pub structure_set: bool,
    /// Also write the reports for dose registries.
    pub dose_reports: bool,
    /// Offset that dates and times are written in: that of the study's own dates, which are copied.
    pub utc_offset: jiff::tz::Offset,
    pub institution: String,
    pub station_name: String,
    pub device_serial_number: String,
    /// Series Number of the first object; the others follow.
    pub first_series_number: u32,
}

impl Default for ReportOptions {
    fn default() -> Self {
        Self {
            dose_bits: DoseBits::default(),
            structure_set: false,
            dose_reports: false,
            utc_offset: jiff::tz::Offset::UTC,
            institution: String::new(),
            station_name: "GRAYD".into(),
            device_serial_number: "grayd".into(),
            first_series_number: 9001,
        }
    }
}

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    RtDose,
    /// RT Dose of type ERROR beside a simulated dose.
    RtDoseError,
    /// RT Dose of type EFFECTIVE: BED of every voxel.
    RtDoseEffective,
    Segmentation,
    StructuredReport,
    StructureSet,
    TimeIntegratedActivityMap,
    EffectiveHalfLifeMap,
    Registration,
    /// Radiopharmaceutical Radiation Dose SR.
    AdministrationReport,
    /// Patient Radiation Dose SR.
    PatientDoseReport,
    DeformableRegistration,
    /// Encapsulated PDF of the pages for people.
    Document,
    /// `results.json`, which is no DICOM object.
    Json,
    /// `report.pdf`: the pages by themselves.
    Pages,
}

/// A file that was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    pub path: PathBuf,
    /// Absent for `results.json` and `report.pdf`.
    pub sop_class: Option<Uid>,
    pub sop_instance: Option<Uid>,
    pub kind: Kind,
}

/// Why a result could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error("the dose map holds a value that is not finite at voxel {0}; nothing was written")]
    DoseNotFinite(usize),
    #[error("the administered activity must be a positive number; supply it in the plan")]
    Administered,
    #[error("an RT Dose image has at most 65535 rows and columns; the grid is {0:?} (k, j, i)")]
    TooLarge([usize; 3]),
    #[error(
        "region numbers must run from 1 without a gap; region `{name}` is number {number} at place {place}"
    )]
    RegionNumbers { name: String, number: u16, place: usize },
    #[error("the segmentation cannot be written: {0}")]
    Segmentation(#[from] SegmentationError),
    #[error("the grid of the dose cannot be made axial: {0}")]
    Grid(#[from] crate::volume::GridError),
    #[error("the pages of the report cannot be made: {0}")]
    Pages(String),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error("cannot write {path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
}

type Object = (Kind, &'static str, DicomFile);

/// What lies on the dose grid.
fn of_voxels(
    result: &CycleResult,
    voxels: &VoxelResult,
    options: &ReportOptions,
) -> Result<Vec<Object>, ReportError> {
    let mut objects = vec![
        (Kind::RtDose, "rt-dose.dcm", rt_dose::write(result, voxels, options)?),
        (Kind::Segmentation, "seg.dcm", seg::write(result, voxels, options)?),
    ];
    if let Some(error_gy) = &voxels.error_gy {
        let object = rt_dose::write_error(result, voxels, error_gy, options)?;
        objects.push((Kind::RtDoseError, "rt-dose-error.dcm", object));
    }
    if let Some(bed) = &voxels.bed {
        let object = rt_dose::write_effective(result, voxels, bed, options)?;
        objects.push((Kind::RtDoseEffective, "rt-dose-bed.dcm", object));
    }
    if options.structure_set {
        let object = structure_set::write(result, voxels, options)?;
        objects.push((Kind::StructureSet, "rt-structure-set.dcm", object));
    }
    for map in &voxels.maps {
        let name = match map.kind {
            Kind::EffectiveHalfLifeMap => "effective-half-life.dcm",
            _ => "time-integrated-activity.dcm",
        };
        objects.push((map.kind, name, parametric_map::write(result, voxels, map, options)?));
    }
    Ok(objects)
}

/// Writes every form of the result below `directory`, which must exist: Part 10 files named by
/// kind, `results.json`, and `report.pdf` where the program can set pages.
pub fn write_all(
    result: &CycleResult,
    directory: &Path,
    options: &ReportOptions,
) -> Result<Vec<Written>, ReportError> {
    if !(result.administered.is_finite() && result.administered.value() > 0.0) {
        return Err(ReportError::Administered);
    }
    let mut objects = match &result.voxels {
        Some(voxels) => of_voxels(result, voxels, options)?,
        None => Vec::new(),
    };
    objects.push((Kind::StructuredReport, "sr.dcm", structured_report::write(result, options)?));
    if let Some(object) = registration::write(result, options)? {
        objects.push((Kind::Registration, "registration.dcm", object));
    }
    if options.dose_reports {
        objects.extend(dose_reports::write(result, options)?);
    }
    if let Some(object) = deformable_registration::write(result, options)? {
        objects.push((Kind::DeformableRegistration, "deformable-registration.dcm", object));
    }
    #[cfg(feature = "pdf")]
    let pages = Some(pdf::write(result, options)?);
    #[cfg(not(feature = "pdf"))]
    let pages: Option<Vec<u8>> = None;
    if let Some(pages) = &pages {
        let object = encapsulated::write(result, options, pages.clone())?;
        objects.push((Kind::Document, "report.dcm", object));
    }
    let mut written = Vec::new();
    for (kind, name, object) in objects {
        let path = directory.join(name);
        object.write_to_file(&path).map_err(|source| WriteError::File {
            path: path.display().to_string(),
            source: Box::new(source),
        })?;
        let uid = |tag| object.get(tag).and_then(|e| Uid::parse(&e.to_str().ok()?).ok());
        let (sop_class, sop_instance) = (uid(tags::SOP_CLASS_UID), uid(tags::SOP_INSTANCE_UID));
        written.push(Written { path, sop_class, sop_instance, kind });
    }
    let text = format!("{:#}\n", json::write(result)).into_bytes();
    let mut plain = vec![(Kind::Json, "results.json", text)];
    plain.extend(pages.map(|pages| (Kind::Pages, "report.pdf", pages)));
    for (kind, name, bytes) in plain {
        let path = directory.join(name);
        std::fs::write(&path, bytes)
            .map_err(|source| ReportError::File { path: path.clone(), source })?;
        written.push(Written { path, sop_class: None, sop_instance: None, kind });
    }
    Ok(written)
}
