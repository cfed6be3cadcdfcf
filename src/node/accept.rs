//! What the node accepts: SOP classes and, for each, transfer syntaxes in our order of preference
//! (PS3.8 section 9.3.3.2).
//!
//! Lossy compression is never accepted: a dose computed from it would be wrong by an unknown
//! amount. Deflated is never accepted: its expanded size is not known beforehand.

use super::settings::{Peer, Service};
use dicom_dictionary_std::uids;
use dicom_ul::pdu::{
    PresentationContextProposed, PresentationContextResult,
    PresentationContextResultReason as Reason,
};

/// Of anything without pixel data, and of pixel data that has no compressed form.
const NATIVE: &[&str] = &[uids::EXPLICIT_VR_LITTLE_ENDIAN, uids::IMPLICIT_VR_LITTLE_ENDIAN];

/// Of images: native first, since it needs no decoder; then what our decoders read without loss.
const LOSSLESS: &[&str] = &[
    uids::EXPLICIT_VR_LITTLE_ENDIAN,
    uids::IMPLICIT_VR_LITTLE_ENDIAN,
    uids::RLE_LOSSLESS,
    uids::JPEG_LOSSLESS_SV1,
    uids::JPEG_LOSSLESS,
    uids::JPEGLS_LOSSLESS,
    uids::JPEG2000_LOSSLESS,
];

/// SOP class and transfer syntaxes, by kind.
const TABLE: &[(&str, &[&str])] = &[
    (uids::VERIFICATION, NATIVE),
    // Query, retrieval, commitment.
    (uids::PATIENT_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_FIND, NATIVE),
    (uids::PATIENT_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_MOVE, NATIVE),
    (uids::PATIENT_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_GET, NATIVE),
    (uids::STUDY_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_FIND, NATIVE),
    (uids::STUDY_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_MOVE, NATIVE),
    (uids::STUDY_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_GET, NATIVE),
    (uids::STORAGE_COMMITMENT_PUSH_MODEL, NATIVE),
    // Activity.
    (uids::NUCLEAR_MEDICINE_IMAGE_STORAGE, LOSSLESS),
    (uids::POSITRON_EMISSION_TOMOGRAPHY_IMAGE_STORAGE, LOSSLESS),
    (uids::LEGACY_CONVERTED_ENHANCED_PET_IMAGE_STORAGE, LOSSLESS),
    (uids::ENHANCED_PET_IMAGE_STORAGE, LOSSLESS),
    // Anatomy.
    (uids::CT_IMAGE_STORAGE, LOSSLESS),
    (uids::ENHANCED_CT_IMAGE_STORAGE, LOSSLESS),
    (uids::LEGACY_CONVERTED_ENHANCED_CT_IMAGE_STORAGE, LOSSLESS),
    // Regions, doses, plans.
    (uids::RT_STRUCTURE_SET_STORAGE, NATIVE),
    (uids::RT_DOSE_STORAGE, LOSSLESS),
    (uids::RT_PLAN_STORAGE, NATIVE),
    (uids::SEGMENTATION_STORAGE, LOSSLESS),
    (uids::LABEL_MAP_SEGMENTATION_STORAGE, LOSSLESS),
    // Where and what.
    (uids::SPATIAL_REGISTRATION_STORAGE, NATIVE),
    (uids::DEFORMABLE_SPATIAL_REGISTRATION_STORAGE, NATIVE),
    (uids::REAL_WORLD_VALUE_MAPPING_STORAGE, NATIVE),
    // Reports.
    (uids::BASIC_TEXT_SR_STORAGE, NATIVE),
    (uids::ENHANCED_SR_STORAGE, NATIVE),
    (uids::COMPREHENSIVE_SR_STORAGE, NATIVE),
    (uids::COMPREHENSIVE3_DSR_STORAGE, NATIVE),
    (uids::EXTENSIBLE_SR_STORAGE, NATIVE),
    (uids::X_RAY_RADIATION_DOSE_SR_STORAGE, NATIVE),
    (uids::RADIOPHARMACEUTICAL_RADIATION_DOSE_SR_STORAGE, NATIVE),
    (uids::PATIENT_RADIATION_DOSE_SR_STORAGE, NATIVE),
    (uids::KEY_OBJECT_SELECTION_DOCUMENT_STORAGE, NATIVE),
    // Maps, documents, captures, presentation.
    (uids::PARAMETRIC_MAP_STORAGE, NATIVE),
    (uids::ENCAPSULATED_PDF_STORAGE, NATIVE),
    (uids::SECONDARY_CAPTURE_IMAGE_STORAGE, LOSSLESS),
    (uids::MULTI_FRAME_SINGLE_BIT_SECONDARY_CAPTURE_IMAGE_STORAGE, NATIVE),
    (uids::MULTI_FRAME_GRAYSCALE_BYTE_SECONDARY_CAPTURE_IMAGE_STORAGE, LOSSLESS),
    (uids::MULTI_FRAME_GRAYSCALE_WORD_SECONDARY_CAPTURE_IMAGE_STORAGE, LOSSLESS),
    (uids::MULTI_FRAME_TRUE_COLOR_SECONDARY_CAPTURE_IMAGE_STORAGE, LOSSLESS),
    (uids::GRAYSCALE_SOFTCOPY_PRESENTATION_STATE_STORAGE, NATIVE),
    (uids::ADVANCED_BLENDING_PRESENTATION_STATE_STORAGE, NATIVE),
];

/// The transfer syntaxes accepted for a SOP class, most preferred first; `None` where the class
/// is not accepted at all.
pub fn transfer_syntaxes(sop_class: &str) -> Option<&'static [&'static str]> {
    TABLE.iter().find(|(class, _)| *class == sop_class).map(|(_, syntaxes)| *syntaxes)
}

/// Every SOP class that is accepted, Verification included.
pub fn sop_classes() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|(class, _)| *class)
}

/// What a peer has to be allowed to be given a presentation context of this class; `None` for
/// Verification, which everybody who may call is.
pub fn service(sop_class: &str) -> Option<Service> {
    match sop_class {
        uids::VERIFICATION => None,
        uids::PATIENT_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_FIND
        | uids::STUDY_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_FIND => Some(Service::Query),
        uids::PATIENT_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_MOVE
        | uids::STUDY_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_MOVE
        | uids::PATIENT_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_GET
        | uids::STUDY_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_GET => Some(Service::Retrieve),
        uids::STORAGE_COMMITMENT_PUSH_MODEL => Some(Service::Commit),
        _ => Some(Service::Store),
    }
}

/// Our answer to one proposed presentation context of a peer. Storage is also negotiated for
/// retrieval, where the peer is the receiver.
pub fn negotiate(proposed: &PresentationContextProposed, peer: &Peer) -> PresentationContextResult {
    let text = |uid: &str| uid.trim_end_matches(['\0', ' ']).to_owned();
    let offered: Vec<String> = proposed.transfer_syntaxes.iter().map(|uid| text(uid)).collect();
    let refused = |reason| PresentationContextResult {
        id: proposed.id,
        reason,
        // Not significant in a refusal, but has to be there (PS3.8 section 9.3.3.2).
        transfer_syntax: uids::IMPLICIT_VR_LITTLE_ENDIAN.to_owned(),
    };
    let class = text(&proposed.abstract_syntax);
    let Some(ours) = transfer_syntaxes(&class) else {
        return refused(Reason::AbstractSyntaxNotSupported);
    };
    let allowed = |service| match service {
        Service::Store => peer.may(Service::Store) || peer.may(Service::Retrieve),
        // Also negotiated to report to us what we have asked for.
        Service::Commit => peer.may(Service::Commit) || peer.commitment,
        other => peer.may(other),
    };
    if !service(&class).is_none_or(allowed) {
        return refused(Reason::UserRejection);
    }
    match ours.iter().find(|syntax| offered.iter().any(|offer| offer == *syntax)) {
        Some(syntax) => PresentationContextResult {
            id: proposed.id,
            reason: Reason::Acceptance,
            transfer_syntax: (*syntax).to_owned(),
        },
        None => refused(Reason::TransferSyntaxesNotSupported),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proposal(class: &str, syntaxes: &[&str]) -> PresentationContextProposed {
        PresentationContextProposed {
            id: 1,
            abstract_syntax: class.to_owned(),
            transfer_syntaxes: syntaxes.iter().map(|s| (*s).to_owned()).collect(),
        }
    }

    fn asked(proposed: &PresentationContextProposed) -> PresentationContextResult {
        negotiate(proposed, &Peer::default())
    }

    #[test]
    fn a_peer_is_given_only_what_it_is_allowed() {
        let scanner = Peer { allow: Some(vec![Service::Store]), ..Peer::default() };
        let answer = |class| negotiate(&proposal(class, NATIVE), &scanner).reason;
        assert_eq!(answer(uids::VERIFICATION), Reason::Acceptance);
        assert_eq!(answer(uids::CT_IMAGE_STORAGE), Reason::Acceptance);
        for class in sop_classes().filter(|c| service(c).is_some_and(|s| s != Service::Store)) {
            assert_eq!(answer(class), Reason::UserRejection, "{class}");
        }
    }

    #[test]
    fn our_order_decides_not_the_caller_s() {
        let answer = asked(&proposal(
            uids::CT_IMAGE_STORAGE,
            &[uids::JPEG2000_LOSSLESS, uids::IMPLICIT_VR_LITTLE_ENDIAN, "1.2.840.10008.1.2.1\0"],
        ));
        assert_eq!(answer.reason, Reason::Acceptance);
        assert_eq!(answer.transfer_syntax, uids::EXPLICIT_VR_LITTLE_ENDIAN);
    }

    #[test]
    fn lossy_and_deflated_are_refused_for_every_class() {
        let never = [
            "1.2.840.10008.1.2.1.99",
            "1.2.840.10008.1.2.4.50",
            "1.2.840.10008.1.2.4.51",
            "1.2.840.10008.1.2.4.81",
            "1.2.840.10008.1.2.4.91",
            "1.2.840.10008.1.2.2",
        ];
        for class in sop_classes() {
            assert_eq!(
                asked(&proposal(class, &never)).reason,
                Reason::TransferSyntaxesNotSupported
            );
        }
    }

    #[test]
    fn other_services_are_refused_by_abstract_syntax_and_none_stands_twice() {
        let worklist = "1.2.840.10008.5.1.4.31";
        assert_eq!(asked(&proposal(worklist, NATIVE)).reason, Reason::AbstractSyntaxNotSupported);
        let classes: std::collections::BTreeSet<_> = sop_classes().collect();
        assert_eq!(classes.len(), TABLE.len());
    }
}
