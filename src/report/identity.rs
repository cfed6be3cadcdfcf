//! Names of result objects: UIDs that follow from what went in.

use super::{CycleResult, DoseBits, Kind, ReportOptions};
use crate::dicom::Uid;
use crate::dicom::write::InstanceReference;
use dicom_dictionary_std::uids;

/// Everything that makes one result another one: inputs with their hashes in UID order,
/// parameters, software, cycle, administration, decays simulated and the options of the report.
#[derive(Debug, Clone)]
pub struct Identity {
    seed: Uid,
    study: Uid,
    dose_bits: DoseBits,
    /// What SR and pages say of other cycles, which steers no other object; empty without.
    course: String,
}

impl Identity {
    pub fn of(result: &CycleResult, options: &ReportOptions) -> Self {
        let mut inputs: Vec<String> =
            result.inputs.iter().map(|i| format!("{} {}", i.sop_instance, i.sha256)).collect();
        inputs.sort_unstable();
        let cycle = result.cycle.to_string();
        let completeness = format!("{:?}", result.completeness);
        let administered = format!("{:e} {}", result.administered.value(), result.administered_at);
        let predecessor =
            result.predecessor.as_ref().map_or("", |previous| previous.sop_instance.as_str());
        // Whether registries are told says nothing about the other objects.
        let options_text =
            format!("{:?}", ReportOptions { dose_reports: false, ..options.clone() });
        // A simulation that a time budget ended differs from the next one in this alone.
        let histories = result.engine.histories.map(|n| format!("{n} histories"));
        let mut parts = vec![
            result.software.name,
            result.software.version,
            &result.software.parameters_sha256,
            &result.protocol,
            &result.protocol_version,
            &result.patient.id,
            &result.patient.issuer,
            &cycle,
            &completeness,
            &administered,
            predecessor,
            &options_text,
        ];
        parts.extend(histories.as_deref());
        parts.extend(inputs.iter().map(String::as_str));
        let seed = Uid::derived(&parts);
        let study =
            result.study.study.clone().unwrap_or_else(|| Uid::derived(&["study", seed.as_str()]));
        let mut course = result.prescription.as_ref().map(ToString::to_string).unwrap_or_default();
        for signed in &result.signed_results {
            course += &format!("{signed:?}");
        }
        Self { seed, study, dose_bits: options.dose_bits, course }
    }

    /// The study that results join: the reference study, or one of their own where there is none.
    pub fn study(&self) -> &Uid {
        &self.study
    }

    /// SOP Instance UID of the object of that kind.
    pub fn instance(&self, kind: Kind) -> Uid {
        self.part(match (kind, self.dose_bits) {
            (Kind::Document | Kind::Pages, _) => return self.with_course("document"),
            (Kind::RtDose, DoseBits::Sixteen) => "rt-dose-16",
            (Kind::RtDose, DoseBits::ThirtyTwo) => "rt-dose-32",
            (Kind::RtDoseError, DoseBits::Sixteen) => "rt-dose-error-16",
            (Kind::RtDoseError, DoseBits::ThirtyTwo) => "rt-dose-error-32",
            (Kind::RtDoseEffective, DoseBits::Sixteen) => "rt-dose-bed-16",
            (Kind::RtDoseEffective, DoseBits::ThirtyTwo) => "rt-dose-bed-32",
            (Kind::Segmentation, _) => "segmentation",
            (Kind::StructuredReport, _) => return self.with_course("structured-report"),
            (Kind::StructureSet, _) => "structure-set",
            (Kind::TimeIntegratedActivityMap, _) => "time-integrated-activity-map",
            (Kind::EffectiveHalfLifeMap, _) => "effective-half-life-map",
            (Kind::Registration, _) => "registration",
            (Kind::AdministrationReport, _) => "administration-report",
            (Kind::PatientDoseReport, _) => "patient-dose-report",
            (Kind::DeformableRegistration, _) => "deformable-registration",
            (Kind::Json, _) => "json",
        })
    }

    fn with_course(&self, name: &str) -> Uid {
        match self.course.as_str() {
            "" => self.part(name),
            course => Uid::derived(&[self.seed.as_str(), name, course]),
        }
    }

    /// A UID for a part of this result.
    pub fn part(&self, name: &str) -> Uid {
        Uid::derived(&[self.seed.as_str(), name])
    }

    /// Every object is a series of its own, whose UID follows from the object's, so that a
    /// revision can name its predecessor's series.
    pub fn series_of(instance: &Uid) -> Uid {
        Uid::derived(&["series", instance.as_str()])
    }

    /// A reference to one of this result's own objects.
    pub fn reference(&self, kind: Kind) -> InstanceReference {
        let sop_instance = self.instance(kind);
        InstanceReference {
            study: self.study.clone(),
            series: Self::series_of(&sop_instance),
            sop_class: sop_class(kind),
            sop_instance,
        }
    }
}

/// SOP class of a kind of result object.
pub(super) fn sop_class(kind: Kind) -> Uid {
    let text = match kind {
        Kind::RtDose | Kind::RtDoseError | Kind::RtDoseEffective => uids::RT_DOSE_STORAGE,
        Kind::Segmentation => uids::SEGMENTATION_STORAGE,
        Kind::StructureSet => uids::RT_STRUCTURE_SET_STORAGE,
        Kind::TimeIntegratedActivityMap | Kind::EffectiveHalfLifeMap => {
            uids::PARAMETRIC_MAP_STORAGE
        }
        Kind::Registration => uids::SPATIAL_REGISTRATION_STORAGE,
        Kind::AdministrationReport => uids::RADIOPHARMACEUTICAL_RADIATION_DOSE_SR_STORAGE,
        Kind::PatientDoseReport => uids::PATIENT_RADIATION_DOSE_SR_STORAGE,
        Kind::DeformableRegistration => uids::DEFORMABLE_SPATIAL_REGISTRATION_STORAGE,
        Kind::Document | Kind::Pages => uids::ENCAPSULATED_PDF_STORAGE,
        Kind::StructuredReport | Kind::Json => uids::COMPREHENSIVE3_DSR_STORAGE,
    };
    Uid::parse(text).expect("a UID of the standard's registry is one")
}
