//! `results: send_to:` a peer, and which of the results it gets.

use crate::dicom::Uid;
use dicom_dictionary_std::uids;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// Written as the peer's name, or as `{ peer: ..., objects: [...] }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Destination {
    pub peer: String,
    /// None: all but those for dose registries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objects: Option<Vec<ResultObject>>,
}

/// Kinds of result objects as a site tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResultObject {
    /// Dose, and its standard error where there is one.
    RtDose,
    Segmentation,
    StructuredReport,
    RtStructureSet,
    ParametricMap,
    Registration,
    /// Encapsulated PDF.
    Pdf,
    /// Radiopharmaceutical Radiation Dose SR: what was given, where no such report was received.
    AdministrationReport,
    /// Patient Radiation Dose SR: doses of organs and lesions, for dose registries.
    PatientDoseReport,
}

impl ResultObject {
    fn sop_classes(self) -> &'static [&'static str] {
        match self {
            Self::RtDose => &[uids::RT_DOSE_STORAGE],
            Self::Segmentation => &[uids::SEGMENTATION_STORAGE],
            Self::StructuredReport => &[uids::COMPREHENSIVE3_DSR_STORAGE],
            Self::RtStructureSet => &[uids::RT_STRUCTURE_SET_STORAGE],
            Self::ParametricMap => &[uids::PARAMETRIC_MAP_STORAGE],
            Self::Registration => {
                &[uids::SPATIAL_REGISTRATION_STORAGE, uids::DEFORMABLE_SPATIAL_REGISTRATION_STORAGE]
            }
            Self::Pdf => &[uids::ENCAPSULATED_PDF_STORAGE],
            Self::AdministrationReport => &[uids::RADIOPHARMACEUTICAL_RADIATION_DOSE_SR_STORAGE],
            Self::PatientDoseReport => &[uids::PATIENT_RADIATION_DOSE_SR_STORAGE],
        }
    }
}

/// Kinds that are written, and sent, only where a destination names them.
const FOR_REGISTRIES: [ResultObject; 2] =
    [ResultObject::AdministrationReport, ResultObject::PatientDoseReport];

impl Destination {
    /// Does it name a report for dose registries?
    pub fn is_registry(&self) -> bool {
        self.objects.iter().flatten().any(|object| FOR_REGISTRIES.contains(object))
    }

    /// Does an object of this SOP class go there?
    pub fn gets(&self, sop_class: &Uid) -> bool {
        let named = |objects: &Vec<ResultObject>| {
            objects.iter().any(|object| object.sop_classes().contains(&sop_class.as_str()))
        };
        let is_asked_for =
            FOR_REGISTRIES.iter().any(|kind| kind.sop_classes().contains(&sop_class.as_str()));
        self.objects.as_ref().map_or(!is_asked_for, named)
    }
}

impl<'de> Deserialize<'de> for Destination {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Written)
    }
}

struct Written;

impl<'de> Visitor<'de> for Written {
    type Value = Destination;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the name of a peer, or `{ peer: NAME, objects: [rt-dose, ...] }`")
    }

    fn visit_str<E: de::Error>(self, peer: &str) -> Result<Destination, E> {
        Ok(Destination { peer: peer.to_owned(), objects: None })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Destination, A::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Long {
            peer: String,
            objects: Option<Vec<ResultObject>>,
        }
        let long = Long::deserialize(de::value::MapAccessDeserializer::new(map))?;
        Ok(Destination { peer: long.peer, objects: long.objects })
    }
}
