//! Content items of structured reports (PS3.3 C.17.3), all by value.

use super::{Code, DataSet, InstanceReference};
use crate::dicom::Uid;
use dicom_core::VR;
use dicom_dictionary_std::tags;
use jiff::ZonedDateTime;

/// How an item stands to its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relationship {
    Contains,
    HasObsContext,
    HasConceptMod,
    HasAcqContext,
    HasProperties,
    InferredFrom,
}

impl Relationship {
    const fn text(self) -> &'static str {
        match self {
            Self::Contains => "CONTAINS",
            Self::HasObsContext => "HAS OBS CONTEXT",
            Self::HasConceptMod => "HAS CONCEPT MOD",
            Self::HasAcqContext => "HAS ACQ CONTEXT",
            Self::HasProperties => "HAS PROPERTIES",
            Self::InferredFrom => "INFERRED FROM",
        }
    }
}

fn datetime(at: &ZonedDateTime) -> String {
    at.strftime("%Y%m%d%H%M%S%z").to_string()
}

/// One content item with its children.
#[derive(Debug, Clone)]
pub struct Item {
    data: DataSet,
    children: Vec<DataSet>,
}

impl Item {
    fn new(value_type: &str, concept: Option<&Code>) -> Self {
        let data = DataSet::new().text(tags::VALUE_TYPE, VR::CS, value_type);
        let data =
            data.with_some(concept, |set, code| set.code(tags::CONCEPT_NAME_CODE_SEQUENCE, code));
        Self { data, children: Vec::new() }
    }

    fn set(mut self, change: impl FnOnce(DataSet) -> DataSet) -> Self {
        self.data = change(self.data);
        self
    }

    /// A heading; `template` is its identifier in the DICOM content mapping resource.
    pub fn container(concept: &Code, template: Option<&str>) -> Self {
        Self::new("CONTAINER", Some(concept)).set(|set| {
            let set = set.text(tags::CONTINUITY_OF_CONTENT, VR::CS, "SEPARATE");
            set.with_some(template, |set, identifier| {
                let item = DataSet::new().text(tags::MAPPING_RESOURCE, VR::CS, "DCMR").text(
                    tags::TEMPLATE_IDENTIFIER,
                    VR::CS,
                    identifier,
                );
                set.sequence(tags::CONTENT_TEMPLATE_SEQUENCE, vec![item])
            })
        })
    }

    pub fn text(concept: &Code, text: &str) -> Self {
        // Type 1: a text that is empty says so.
        let text = if text.trim().is_empty() { "not stated" } else { text };
        Self::new("TEXT", Some(concept)).set(|set| set.text(tags::TEXT_VALUE, VR::UT, text))
    }

    pub fn code(concept: &Code, value: &Code) -> Self {
        Self::new("CODE", Some(concept)).set(|set| set.code(tags::CONCEPT_CODE_SEQUENCE, value))
    }

    pub fn uid(concept: &Code, uid: &Uid) -> Self {
        Self::new("UIDREF", Some(concept)).set(|set| set.uid(tags::UID, uid))
    }

    pub fn date(concept: &Code, at: &ZonedDateTime) -> Self {
        let text = at.strftime("%Y%m%d").to_string();
        Self::new("DATE", Some(concept)).set(|set| set.text(tags::DATE, VR::DA, &text))
    }

    pub fn time(concept: &Code, at: &ZonedDateTime) -> Self {
        let text = at.strftime("%H%M%S").to_string();
        Self::new("TIME", Some(concept)).set(|set| set.text(tags::TIME, VR::TM, &text))
    }

    pub fn datetime(concept: &Code, at: &ZonedDateTime) -> Self {
        let text = datetime(at);
        Self::new("DATETIME", Some(concept)).set(|set| set.text(tags::DATE_TIME, VR::DT, &text))
    }

    pub fn person(concept: &Code, name: &str) -> Self {
        Self::new("PNAME", Some(concept)).set(|set| set.text(tags::PERSON_NAME, VR::PN, name))
    }

    /// A reference to an object that is no image.
    pub fn composite(concept: &Code, reference: &InstanceReference) -> Self {
        Self::new("COMPOSITE", Some(concept))
            .set(|set| set.sequence(tags::REFERENCED_SOP_SEQUENCE, vec![reference.item()]))
    }

    /// The instant at which what the item says was so.
    pub fn observed(self, at: &ZonedDateTime) -> Self {
        let text = datetime(at);
        self.set(|set| set.text(tags::OBSERVATION_DATE_TIME, VR::DT, &text))
    }

    /// A measurement; `None` for a value that is absent or not finite. (The standard also allows a
    /// measurement without value, but readers fail on it: the report says in words what is missing.)
    pub fn number(concept: &Code, value: Option<f64>, unit: &Code) -> Option<Self> {
        let value = value?;
        let measured = DataSet::new()
            .decimal_texts(tags::NUMERIC_VALUE, vec![super::decimal_string(value)?])
            .double(tags::FLOATING_POINT_VALUE, &[value])
            .code(tags::MEASUREMENT_UNITS_CODE_SEQUENCE, unit);
        let item = Self::new("NUM", Some(concept));
        Some(item.set(|set| set.sequence(tags::MEASURED_VALUE_SEQUENCE, vec![measured])))
    }

    /// A reference to an image, where needed to one segment of it.
    pub fn image(
        concept: Option<&Code>,
        reference: &InstanceReference,
        segment: Option<u16>,
    ) -> Self {
        Self::new("IMAGE", concept).set(|set| {
            let item = reference.item().with_some(segment, |item, number| {
                item.unsigned(tags::REFERENCED_SEGMENT_NUMBER, &[number])
            });
            set.sequence(tags::REFERENCED_SOP_SEQUENCE, vec![item])
        })
    }

    /// Adds a child.
    pub fn child(mut self, relationship: Relationship, child: Item) -> Self {
        let relation = relationship.text();
        self.children.push(child.into_data().text(tags::RELATIONSHIP_TYPE, VR::CS, relation));
        self
    }

    /// Adds children of one relationship.
    pub fn children(
        self,
        relationship: Relationship,
        children: impl IntoIterator<Item = Item>,
    ) -> Self {
        children.into_iter().fold(self, |item, child| item.child(relationship, child))
    }

    /// The item as a data set; the root's elements stand at the top of its document.
    pub fn into_data(self) -> DataSet {
        if self.children.is_empty() {
            self.data
        } else {
            self.data.sequence(tags::CONTENT_SEQUENCE, self.children)
        }
    }
}
