//! Instances grouped to series, and what a series is good for.

use super::{Role, Waiting, Why};
use crate::archive::Instance;
use crate::dicom::{PatientIdentity, Uid};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// SOP classes by UID (PS3.4 table B.5-1).
mod sop_class {
    pub const NM: &str = "1.2.840.10008.5.1.4.1.1.20";
    pub const PET: [&str; 3] = [
        "1.2.840.10008.5.1.4.1.1.128",
        "1.2.840.10008.5.1.4.1.1.130",
        "1.2.840.10008.5.1.4.1.1.128.1",
    ];
    pub const CT: [&str; 3] =
        ["1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2"];
    /// Secondary Capture and its multi-frame forms share this beginning.
    pub const SECONDARY_CAPTURE: &str = "1.2.840.10008.5.1.4.1.1.7";
    pub const STRUCTURE_SET: &str = "1.2.840.10008.5.1.4.1.1.481.3";
    /// Segmentation and Label Map Segmentation.
    pub const SEGMENTATION: [&str; 2] =
        ["1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"];
    /// Spatial and Deformable Spatial Registration.
    pub const REGISTRATION: [&str; 2] =
        ["1.2.840.10008.5.1.4.1.1.66.1", "1.2.840.10008.5.1.4.1.1.66.3"];
    pub const REAL_WORLD_VALUE_MAPPING: &str = "1.2.840.10008.5.1.4.1.1.67";
    pub const RADIOPHARMACEUTICAL_DOSE_SR: &str = "1.2.840.10008.5.1.4.1.1.88.68";
}

/// What a series is to a computation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeriesKind {
    /// A reconstructed SPECT or PET: a time point.
    Emission,
    /// Whole-body or static views: a time point where the protocol takes planar ones.
    Planar,
    /// Something that was meant as one; says what to send instead.
    NotEmission(&'static str, &'static str),
    Companion(Role),
    /// Kept, of no use to a computation.
    Other,
}

/// All instances of one series, by slice position and UID.
#[derive(Debug, Clone)]
pub struct Series<'a> {
    pub uid: &'a Uid,
    pub instances: Vec<&'a Instance>,
    pub kind: SeriesKind,
}

/// Series by UID; order of arrival leaves no trace.
pub(super) fn group(instances: &[Instance]) -> Vec<Series<'_>> {
    let mut by_uid: BTreeMap<&Uid, Vec<&Instance>> = BTreeMap::new();
    for instance in instances {
        by_uid.entry(&instance.header.series).or_default().push(instance);
    }
    by_uid
        .into_iter()
        .map(|(uid, mut instances)| {
            instances.sort_by(|a, b| a.header.sop_instance.cmp(&b.header.sop_instance));
            let kind = kind(instances[0]);
            Series { uid, instances, kind }
        })
        .collect()
}

fn kind(instance: &Instance) -> SeriesKind {
    let header = &instance.header;
    let class = header.sop_class.as_str();
    let image_type = |index: usize| header.image_type.get(index).map_or("", String::as_str);
    if class == sop_class::NM {
        return match image_type(2) {
            "RECON TOMO" => SeriesKind::Emission,
            "TOMO" | "GATED TOMO" => SeriesKind::NotEmission(
                "holds projections (NM TOMO), not a reconstructed volume",
                "reconstruct it and send the RECON TOMO",
            ),
            "RECON GATED TOMO" => SeriesKind::NotEmission(
                "is gated; doses need the ungated volume",
                "send the RECON TOMO of the whole acquisition",
            ),
            "WHOLE BODY" | "STATIC" if image_type(3) == "TRANSMISSION" => {
                SeriesKind::Companion(Role::Transmission)
            }
            "WHOLE BODY" | "STATIC" => SeriesKind::Planar,
            _ => SeriesKind::NotEmission(
                "is neither a reconstructed volume nor a whole-body or static view",
                "send the SPECT as NM RECON TOMO or as PET",
            ),
        };
    }
    if sop_class::PET.contains(&class) {
        return SeriesKind::Emission;
    }
    if sop_class::CT.contains(&class) {
        let localizer = header.image_type.iter().any(|value| value == "LOCALIZER");
        return if localizer { SeriesKind::Other } else { SeriesKind::Companion(Role::Ct) };
    }
    if class.starts_with(sop_class::SECONDARY_CAPTURE)
        && ["NM", "PT", "ST"].contains(&header.modality.as_str())
    {
        return SeriesKind::NotEmission(
            "is a screen capture (Secondary Capture): its values are colours, not activity",
            "send the original NM RECON TOMO or PET series",
        );
    }
    match class {
        sop_class::STRUCTURE_SET => SeriesKind::Companion(Role::StructureSet),
        sop_class::REAL_WORLD_VALUE_MAPPING => SeriesKind::Companion(Role::RealWorldValueMapping),
        sop_class::RADIOPHARMACEUTICAL_DOSE_SR => SeriesKind::Companion(Role::Administration),
        _ if sop_class::SEGMENTATION.contains(&class) => SeriesKind::Companion(Role::Segmentation),
        _ if sop_class::REGISTRATION.contains(&class) => SeriesKind::Companion(Role::Registration),
        _ => SeriesKind::Other,
    }
}

/// The series of studies that hold one patient; of the others each waits.
pub(super) fn without_mixed_studies<'a>(
    all: &[Series<'a>],
    waiting: &mut Vec<Waiting>,
) -> Vec<Series<'a>> {
    let mut first: BTreeMap<&Uid, &PatientIdentity> = BTreeMap::new();
    let mut mixed: BTreeSet<&Uid> = BTreeSet::new();
    for instance in all.iter().flat_map(|series| &series.instances) {
        let header = &instance.header;
        let known = first.entry(&header.study).or_insert(&header.patient);
        if !known.is_same_person(&header.patient) {
            mixed.insert(&header.study);
        }
    }
    let (bad, sound): (Vec<_>, Vec<_>) = all.iter().cloned().partition(|series| {
        series.instances.iter().any(|instance| mixed.contains(&instance.header.study))
    });
    waiting.extend(bad.iter().map(|series| {
        series.waiting(
            Why::TwoPatients,
            "its study holds images of two patients",
            "correct the Patient ID at the sender and send the study again under new UIDs",
        )
    }));
    sound
}

impl<'a> Series<'a> {
    /// A series is never empty: it is made of its instances.
    pub fn first(&self) -> &'a Instance {
        self.instances[0]
    }

    pub fn patient(&self) -> &'a PatientIdentity {
        &self.first().header.patient
    }

    /// Would somebody miss it if it came to nothing?
    pub(super) fn is_looked_for(&self) -> bool {
        matches!(self.kind, SeriesKind::Emission | SeriesKind::Planar | SeriesKind::NotEmission(..))
    }

    /// Views that scan the whole body.
    pub(super) fn is_whole_body(&self) -> bool {
        let whole = |i: &&Instance| i.header.image_type.get(2).is_some_and(|t| t == "WHOLE BODY");
        self.kind == SeriesKind::Planar && self.instances.iter().all(whole)
    }

    /// Beginning of the acquisition: of the earliest instance.
    pub fn acquired(&self) -> Option<Timestamp> {
        self.instances.iter().filter_map(|instance| instance.header.acquired).min()
    }

    /// When the latest instance came.
    pub fn received(&self) -> Timestamp {
        self.instances.iter().map(|instance| instance.received).max().unwrap_or(Timestamp::MIN)
    }

    pub fn frames_of_reference(&self) -> BTreeSet<&'a Uid> {
        self.instances.iter().filter_map(|i| i.header.frame_of_reference.as_ref()).collect()
    }

    pub fn referenced_series(&self) -> BTreeSet<&'a Uid> {
        self.instances.iter().flat_map(|i| &i.header.referenced_series).collect()
    }

    pub(super) fn waiting(
        &self,
        why: Why,
        reason: impl Into<String>,
        supply: impl Into<String>,
    ) -> Waiting {
        let header = &self.first().header;
        Waiting {
            series: Some(self.uid.clone()),
            study: Some(header.study.clone()),
            course: None,
            cycle: None,
            modality: header.modality.clone(),
            description: header.series_description.clone().unwrap_or_default(),
            patient_id: header.patient.id.clone(),
            instances: self.instances.len(),
            why,
            reason: reason.into(),
            supply: supply.into(),
        }
    }
}
