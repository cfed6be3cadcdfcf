//! A step that asks the node for absorbed dose: which course and cycle, of which patient, from what.

use super::{Step, items, text};
use crate::dicom::Uid;
use crate::dicom::write::Code;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

/// Scheduled Workitem Code of such a step.
pub const COMPUTE: Code = Code::new("COMPUTE_DOSE", "99RPT", "Compute absorbed dose");
/// Concept of a TEXT item of the Scheduled Processing Parameters: the course, as pages name it.
pub const COURSE: Code = Code::new("COURSE", "99RPT", "Course");
/// Concept of a NUMERIC item: the cycle.
pub const CYCLE: Code = Code::new("CYCLE", "99RPT", "Cycle");

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Patient ID (0010,0020); steps without are nobody's.
    pub patient_id: String,
    /// Absent: the only course of the patient.
    pub course: Option<String>,
    /// Absent: the course's last.
    pub cycle: Option<u32>,
    /// Instances of the Input Information Sequence: the result has to be made from all of them.
    pub instances: Vec<Uid>,
}

impl Order {
    /// Of a step; `None` where it asks somebody else for something else. `Some(Err)`: it asks us, but
    /// not so that it can be done.
    pub fn of(step: &Step) -> Option<Result<Self, &'static str>> {
        let work = items(&step.data, tags::SCHEDULED_WORKITEM_CODE_SEQUENCE);
        work.iter().any(|item| is_code(item, &COMPUTE)).then(|| Self::read(step))
    }

    fn read(step: &Step) -> Result<Self, &'static str> {
        let patient_id = text(&step.data, tags::PATIENT_ID);
        let mut order = Self {
            patient_id: patient_id.ok_or("the step has no Patient ID (0010,0020)")?,
            course: None,
            cycle: None,
            instances: Vec::new(),
        };
        for item in items(&step.data, tags::SCHEDULED_PROCESSING_PARAMETERS_SEQUENCE) {
            let concept = items(item, tags::CONCEPT_NAME_CODE_SEQUENCE);
            let is = |code: &Code| concept.iter().any(|concept| is_code(concept, code));
            if is(&COURSE) {
                order.course = text(item, tags::TEXT_VALUE);
            } else if is(&CYCLE) {
                let number = text(item, tags::NUMERIC_VALUE).and_then(|text| text.parse().ok());
                order.cycle = Some(number.ok_or("the cycle is no whole number")?);
            } else {
                // A parameter that is passed over would be another computation than was asked for.
                return Err("a processing parameter is not known; course and cycle are");
            }
        }
        for input in items(&step.data, tags::INPUT_INFORMATION_SEQUENCE) {
            for reference in items(input, tags::REFERENCED_SOP_SEQUENCE) {
                let uid = text(reference, tags::REFERENCED_SOP_INSTANCE_UID);
                let uid = uid.and_then(|text| Uid::parse(&text).ok());
                order.instances.push(uid.ok_or("an instance of the input has no UID")?);
            }
        }
        Ok(order)
    }
}

fn is_code(item: &InMemDicomObject, code: &Code) -> bool {
    text(item, tags::CODE_VALUE).as_deref() == Some(&*code.value)
        && text(item, tags::CODING_SCHEME_DESIGNATOR).as_deref() == Some(&*code.scheme)
}
