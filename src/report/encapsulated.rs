//! Encapsulated PDF (PS3.3 A.45.1, C.24): the pages of a result as an object that archives keep.

use super::modules;
use super::{CycleResult, Identity, Kind, ReportError, ReportOptions};
use crate::dicom::write::{Code, DicomFile};
use dicom_core::VR;
use dicom_dictionary_std::tags;

/// What the document is (LOINC).
static TITLE: Code = Code::new("18748-4", "LN", "Diagnostic imaging report");

/// The object around `pdf`. It names the result's own objects and every input as what it was made from.
pub fn write(
    result: &CycleResult,
    options: &ReportOptions,
    pdf: Vec<u8>,
) -> Result<DicomFile, ReportError> {
    let identity = Identity::of(result, options);
    let length = u32::try_from(pdf.len())
        .map_err(|_| ReportError::Pages("the document has more than 4 GiB".into()))?;
    let own = [Kind::RtDose, Kind::Segmentation, Kind::StructuredReport]
        .map(|kind| identity.reference(kind));
    let mut sources = own.to_vec();
    sources.extend(modules::references(result));
    let title = format!("RPT dosimetry report {} C{}", result.nuclide, result.cycle);
    let set = modules::shared(result, options, &identity, Kind::Document)
        .text(tags::MODALITY, VR::CS, "DOC")
        // Made on a workstation from images, not scanned from paper.
        .text(tags::CONVERSION_TYPE, VR::CS, "WSD")
        .empty(tags::ACQUISITION_DATE_TIME, VR::DT)
        // Name and ID stand on every page.
        .text(tags::BURNED_IN_ANNOTATION, VR::CS, "YES")
        .text(tags::VERIFICATION_FLAG, VR::CS, "UNVERIFIED")
        .text(tags::DOCUMENT_TITLE, VR::ST, &title)
        .code(tags::CONCEPT_NAME_CODE_SEQUENCE, &TITLE)
        .sequence(
            tags::SOURCE_INSTANCE_SEQUENCE,
            sources.iter().map(|source| source.item()).collect(),
        )
        .text(tags::MIME_TYPE_OF_ENCAPSULATED_DOCUMENT, VR::LO, "application/pdf")
        .bytes(tags::ENCAPSULATED_DOCUMENT, VR::OB, pdf)
        .unsigned_long(tags::ENCAPSULATED_DOCUMENT_LENGTH, &[length]);
    Ok(set.into_file()?)
}
