//! SPECT and PET series: one series, one volume, in the unit that the objects state.

pub(in crate::dicom::read) mod acquisition;
mod nm;
mod pet;

pub(super) use nm::value_rule;

use super::attribute::{Object, first_item, number, text, texts};
use super::error::ReadError;
use super::instance::{Instance, open_series};
use super::pixels::{self, Pixels};
use super::planar::StoredView;
use super::radiopharmaceutical::Radiopharmaceutical;
use super::rwvm::{RealWorldValueMapping, rwvm};
use super::time::TimeSource;
use super::units::ValueRule;
use crate::dicom::{PatientIdentity, Uid};
use crate::quantify::{EmissionImage, ImageUnit};
use crate::quantity::{Gram, Warning};
use crate::report::{Acquisition, InputInstance, StudyIdentity};
use crate::volume::{Grid, Volume};
use dicom_dictionary_std::{tags, uids};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use ndarray::{Array3, Axis};
use rayon::prelude::*;
use std::path::PathBuf;

/// What a series needs beside itself.
pub struct EmissionContext<'a> {
    /// Separate Real World Value Mapping objects that may name its images.
    pub rwvm: &'a [PathBuf],
    /// Zone of dates and times of instances without Timezone Offset From UTC (0008,0201).
    pub default_zone: TimeZone,
}

/// The device, for calibrations and rules.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Device {
    pub manufacturer: Option<String>,
    pub model: Option<String>,
    pub station_name: Option<String>,
    /// Collimator/grid Name (0018,1180).
    pub collimator: Option<String>,
}

/// One series, ready for quantification, with what is said of it beside its image.
#[derive(Debug, Clone)]
pub struct Scan<I> {
    pub image: I,
    pub identity: PatientIdentity,
    pub study: StudyIdentity,
    /// `None`: the series shares its space with nothing.
    pub frame_of_reference: Option<Uid>,
    pub series: Uid,
    pub series_description: Option<String>,
    /// `NM` or `PT`.
    pub modality: String,
    pub device: Device,
    /// For the report.
    pub acquisition: Acquisition,
    /// Beginning of the acquisition, UTC.
    pub acquired: Timestamp,
    pub radiopharmaceutical: Radiopharmaceutical,
    /// Every instance read, in order of SOP Instance UID.
    pub sources: Vec<InputInstance>,
    /// Views: how each stored frame came to lie on the scan's raster. None of a volume.
    pub stored: Vec<StoredView>,
}

/// A SPECT or PET series.
pub type Emission = Scan<EmissionImage>;

impl<I> Scan<I> {
    /// The same scan with another image.
    pub fn with_image<J>(&self, image: J) -> Scan<J> {
        Scan {
            image,
            identity: self.identity.clone(),
            study: self.study.clone(),
            frame_of_reference: self.frame_of_reference.clone(),
            series: self.series.clone(),
            series_description: self.series_description.clone(),
            modality: self.modality.clone(),
            device: self.device.clone(),
            acquisition: self.acquisition.clone(),
            acquired: self.acquired,
            radiopharmaceutical: self.radiopharmaceutical.clone(),
            sources: self.sources.clone(),
            stored: self.stored.clone(),
        }
    }
}

/// Reads the instances of one SPECT or PET series, given in any order.
///
/// # Errors
/// [`ReadError::WrongKind`] for what holds no reconstructed activity (planar, projections, gated,
/// mu-map, secondary capture); geometry, units and pixels that leave anything open.
pub fn emission(paths: &[PathBuf], context: &EmissionContext) -> Result<Emission, ReadError> {
    let instances = open_series(paths)?;
    let maps = context.rwvm.iter().map(|path| rwvm(path)).collect::<Result<Vec<_>, _>>()?;
    let first = instances.first().ok_or(ReadError::NoInstances)?;
    if let Some(other) = maps.iter().find(|m| !m.identity.is_same_person(&first.identity())) {
        return Err(ReadError::Contradiction(format!(
            "the Real World Value Mapping {} is of another patient",
            other.sop_instance
        )));
    }
    match first.sop_class.as_str() {
        uids::NUCLEAR_MEDICINE_IMAGE_STORAGE => nm::read(&instances, &maps, context),
        uids::POSITRON_EMISSION_TOMOGRAPHY_IMAGE_STORAGE
        | uids::ENHANCED_PET_IMAGE_STORAGE
        | uids::LEGACY_CONVERTED_ENHANCED_PET_IMAGE_STORAGE => {
            pet::read(&instances, &maps, context)
        }
        other => Err(ReadError::WrongKind {
            found: match text(first.data_set(), tags::MODALITY) {
                Some(m) if m == "NM" || m == "PT" => {
                    format!(
                        "modality {m} in SOP class {other}, a picture without geometry or units"
                    )
                }
                _ => format!("an instance of SOP class {other}"),
            },
            wanted: "send the reconstructed series itself as Nuclear Medicine Image (RECON TOMO) \
                     or PET Image",
        }),
    }
}

/// Where one slice of the volume comes from.
struct SliceSource {
    instance: usize,
    frame: usize,
    rule: ValueRule,
}

fn decode_all(instances: &[Instance]) -> Result<Vec<Pixels>, ReadError> {
    instances.par_iter().map(|i| pixels::decode(&i.object)).collect()
}

/// Fills a volume from its slices, k ascending.
fn fill(
    grid: Grid,
    slices: &[SliceSource],
    instances: &[Instance],
    decoded: &[Pixels],
) -> Result<Volume<f32>, ReadError> {
    let mut values = Array3::<f32>::zeros(grid.dim());
    values.axis_iter_mut(Axis(0)).into_par_iter().zip(slices).try_for_each(
        |(mut slice, source)| {
            let padding = padding(instances[source.instance].data_set())?;
            let mut unmapped = None;
            let out = slice.as_slice_mut().expect("slices of a standard array are contiguous");
            decoded[source.instance].for_each(source.frame, |n, stored| {
                if padding == Some(stored) {
                    return;
                }
                match source.rule.value(stored) {
                    Some(value) if value.is_finite() => out[n] = value as f32,
                    _ => unmapped = Some(stored),
                }
            });
            match unmapped {
                None => Ok(()),
                Some(stored) => Err(ReadError::Units(format!(
                    "stored value {stored} lies outside what Real World Value Mapping covers; \
                     correct the mapping's first and last value mapped"
                ))),
            }
        },
    )?;
    Ok(Volume::new(grid, values))
}

/// Pixel Padding Value (0028,0120): outside the field of view, no activity.
fn padding(root: &Object) -> Result<Option<i64>, ReadError> {
    let signed = number(root, tags::PIXEL_REPRESENTATION)? == Some(1.0);
    Ok(number(root, tags::PIXEL_PADDING_VALUE)?.map(|v| {
        let v = v as i64;
        if signed && v > i64::from(i16::MAX) { v - 65_536 } else { v }
    }))
}

/// The unit that all slices share.
fn common_unit(slices: &[SliceSource]) -> Result<(ImageUnit, &'static str), ReadError> {
    let Some(first) = slices.first() else { return Err(ReadError::NoInstances) };
    if slices.iter().all(|s| s.rule.unit == first.rule.unit) {
        Ok((first.rule.unit, first.rule.origin))
    } else {
        Err(ReadError::Units("slices of one series are in different units".into()))
    }
}

/// The mappings of separate objects that name a frame (1-based).
fn separate_maps(
    maps: &[RealWorldValueMapping],
    sop_instance: &Uid,
    frame: u32,
) -> Vec<super::rwvm::RealWorldValueMap> {
    maps.iter().flat_map(|m| m.for_frame(sop_instance, frame)).collect()
}

fn weight(root: &Object) -> Result<Option<Gram>, ReadError> {
    Ok(number(root, tags::PATIENT_WEIGHT)?.filter(|kg| *kg > 0.0).map(|kg| Gram::new(kg * 1000.0)))
}

/// The device; NM images name the collimator of each detector, not of the image.
pub(super) fn device(root: &Object) -> Device {
    let of_detector = || {
        let detector = first_item(root, tags::DETECTOR_INFORMATION_SEQUENCE)?;
        text(detector, tags::COLLIMATOR_GRID_NAME)
    };
    Device {
        manufacturer: text(root, tags::MANUFACTURER),
        model: text(root, tags::MANUFACTURER_MODEL_NAME),
        station_name: text(root, tags::STATION_NAME),
        collimator: text(root, tags::COLLIMATOR_GRID_NAME).or_else(of_detector),
    }
}

/// Does Corrected Image (0028,0051) name this correction?
pub(super) fn is_corrected(root: &Object, correction: &str) -> bool {
    texts(root, tags::CORRECTED_IMAGE).iter().any(|term| term == correction)
}

pub(super) fn warn_of_time_source(source: TimeSource, warnings: &mut Vec<Warning>) {
    let from = match source {
        TimeSource::Acquisition => return,
        TimeSource::Content => "Content",
        TimeSource::Series => "Series",
        TimeSource::Study => "Study",
    };
    warnings.push(Warning::new(
        "acquisition-time-absent",
        format!("Acquisition Time (0008,0032) is absent; {from} Date and Time were taken instead"),
    ));
}

pub(super) fn sources(instances: &[Instance]) -> Vec<InputInstance> {
    instances.iter().map(|i| i.source.clone()).collect()
}
