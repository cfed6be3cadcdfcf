//! What the node accepts: SOP classes and, for each, transfer syntaxes in our order of preference
//! (PS3.8 section 9.3.3.2).
//!
//! Lossy compression is never accepted: a dose computed from it would be wrong by an unknown
//! amount. Deflated is never accepted: its expanded size is not known beforehand.

use super::command::field;
use super::settings::{Peer, Service};
use dicom_dictionary_std::uids;
use dicom_ul::pdu::{
    PresentationContextProposed, PresentationContextResult,
    PresentationContextResultReason as Reason,
};

/// Of anything without pixel data, and of pixel data that has no compressed form.
pub(super) const NATIVE: &[&str] =
    &[uids::EXPLICIT_VR_LITTLE_ENDIAN, uids::IMPLICIT_VR_LITTLE_ENDIAN];

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

/// One SOP class that we are SCP of.
pub struct Offer {
    /// As the dictionary calls it.
    pub name: &'static str,
    pub sop_class: &'static str,
    /// Most preferred first.
    pub transfer_syntaxes: &'static [&'static str],
    /// What a peer has to be allowed; `None` where everybody is who may call.
    pub service: Option<Service>,
    /// Requests that belong to the class.
    pub operations: &'static [u16],
}

macro_rules! offer {
    ($class:ident, $transfer_syntaxes:expr, $service:expr, $operations:expr $(,)?) => {
        Offer {
            name: stringify!($class),
            sop_class: uids::$class,
            transfer_syntaxes: $transfer_syntaxes,
            service: $service,
            operations: $operations,
        }
    };
}

macro_rules! storage {
    ($class:ident, $transfer_syntaxes:expr) => {
        offer!($class, $transfer_syntaxes, Some(Service::Store), &[field::C_STORE_RQ])
    };
}

const UPS_PUSH: &[u16] = &[field::N_CREATE_RQ, field::N_GET_RQ, field::N_ACTION_RQ];
const UPS_PULL: &[u16] = &[field::C_FIND_RQ, field::N_GET_RQ, field::N_SET_RQ, field::N_ACTION_RQ];
const UPS_QUERY: &[u16] = &[field::C_FIND_RQ, field::N_GET_RQ];

/// All that is accepted, by kind; the conformance statement prints it.
pub const OFFERS: &[Offer] = &[
    offer!(VERIFICATION, NATIVE, None, &[field::C_ECHO_RQ]),
    // Query, retrieval, commitment.
    offer!(
        PATIENT_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_FIND,
        NATIVE,
        Some(Service::Query),
        &[field::C_FIND_RQ],
    ),
    offer!(
        PATIENT_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_MOVE,
        NATIVE,
        Some(Service::Retrieve),
        &[field::C_MOVE_RQ],
    ),
    offer!(
        PATIENT_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_GET,
        NATIVE,
        Some(Service::Retrieve),
        &[field::C_GET_RQ],
    ),
    offer!(
        STUDY_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_FIND,
        NATIVE,
        Some(Service::Query),
        &[field::C_FIND_RQ],
    ),
    offer!(
        STUDY_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_MOVE,
        NATIVE,
        Some(Service::Retrieve),
        &[field::C_MOVE_RQ],
    ),
    offer!(
        STUDY_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_GET,
        NATIVE,
        Some(Service::Retrieve),
        &[field::C_GET_RQ],
    ),
    offer!(
        STORAGE_COMMITMENT_PUSH_MODEL,
        NATIVE,
        Some(Service::Commit),
        &[field::N_ACTION_RQ, field::N_EVENT_REPORT_RQ],
    ),
    // Worklist (PS3.4 annex CC).
    offer!(UNIFIED_PROCEDURE_STEP_PUSH, NATIVE, Some(Service::Worklist), UPS_PUSH),
    offer!(UNIFIED_PROCEDURE_STEP_PULL, NATIVE, Some(Service::Worklist), UPS_PULL),
    offer!(UNIFIED_PROCEDURE_STEP_QUERY, NATIVE, Some(Service::Worklist), UPS_QUERY),
    // Activity.
    storage!(NUCLEAR_MEDICINE_IMAGE_STORAGE, LOSSLESS),
    storage!(POSITRON_EMISSION_TOMOGRAPHY_IMAGE_STORAGE, LOSSLESS),
    storage!(LEGACY_CONVERTED_ENHANCED_PET_IMAGE_STORAGE, LOSSLESS),
    storage!(ENHANCED_PET_IMAGE_STORAGE, LOSSLESS),
    // Anatomy.
    storage!(CT_IMAGE_STORAGE, LOSSLESS),
    storage!(ENHANCED_CT_IMAGE_STORAGE, LOSSLESS),
    storage!(LEGACY_CONVERTED_ENHANCED_CT_IMAGE_STORAGE, LOSSLESS),
    // Regions, doses, plans.
    storage!(RT_STRUCTURE_SET_STORAGE, NATIVE),
    storage!(RT_DOSE_STORAGE, LOSSLESS),
    storage!(RT_PLAN_STORAGE, NATIVE),
    storage!(SEGMENTATION_STORAGE, LOSSLESS),
    storage!(LABEL_MAP_SEGMENTATION_STORAGE, LOSSLESS),
    // Where and what.
    storage!(SPATIAL_REGISTRATION_STORAGE, NATIVE),
    storage!(DEFORMABLE_SPATIAL_REGISTRATION_STORAGE, NATIVE),
    storage!(REAL_WORLD_VALUE_MAPPING_STORAGE, NATIVE),
    // Reports.
    storage!(BASIC_TEXT_SR_STORAGE, NATIVE),
    storage!(ENHANCED_SR_STORAGE, NATIVE),
    storage!(COMPREHENSIVE_SR_STORAGE, NATIVE),
    storage!(COMPREHENSIVE3_DSR_STORAGE, NATIVE),
    storage!(EXTENSIBLE_SR_STORAGE, NATIVE),
    storage!(X_RAY_RADIATION_DOSE_SR_STORAGE, NATIVE),
    storage!(RADIOPHARMACEUTICAL_RADIATION_DOSE_SR_STORAGE, NATIVE),
    storage!(PATIENT_RADIATION_DOSE_SR_STORAGE, NATIVE),
    storage!(KEY_OBJECT_SELECTION_DOCUMENT_STORAGE, NATIVE),
    // Maps, documents, captures, presentation.
    storage!(PARAMETRIC_MAP_STORAGE, NATIVE),
    storage!(ENCAPSULATED_PDF_STORAGE, NATIVE),
    storage!(SECONDARY_CAPTURE_IMAGE_STORAGE, LOSSLESS),
    storage!(MULTI_FRAME_SINGLE_BIT_SECONDARY_CAPTURE_IMAGE_STORAGE, NATIVE),
    storage!(MULTI_FRAME_GRAYSCALE_BYTE_SECONDARY_CAPTURE_IMAGE_STORAGE, LOSSLESS),
    storage!(MULTI_FRAME_GRAYSCALE_WORD_SECONDARY_CAPTURE_IMAGE_STORAGE, LOSSLESS),
    storage!(MULTI_FRAME_TRUE_COLOR_SECONDARY_CAPTURE_IMAGE_STORAGE, LOSSLESS),
    storage!(GRAYSCALE_SOFTCOPY_PRESENTATION_STATE_STORAGE, NATIVE),
    storage!(ADVANCED_BLENDING_PRESENTATION_STATE_STORAGE, NATIVE),
];

fn offered(sop_class: &str) -> Option<&'static Offer> {
    OFFERS.iter().find(|offer| offer.sop_class == sop_class)
}

/// The transfer syntaxes accepted for a SOP class, most preferred first; `None` where the class
/// is not accepted at all.
pub fn transfer_syntaxes(sop_class: &str) -> Option<&'static [&'static str]> {
    offered(sop_class).map(|offer| offer.transfer_syntaxes)
}

/// What a peer has to be allowed to be given a presentation context of this class.
pub fn service(sop_class: &str) -> Option<Service> {
    offered(sop_class).and_then(|offer| offer.service)
}

/// Whether this operation is one of the service with this SOP class.
pub fn belongs(operation: u16, sop_class: &str) -> bool {
    offered(sop_class).is_some_and(|offer| offer.operations.contains(&operation))
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
        for offer in OFFERS.iter().filter(|o| o.service.is_some_and(|s| s != Service::Store)) {
            let class = offer.sop_class;
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
        for offer in OFFERS {
            assert_eq!(
                asked(&proposal(offer.sop_class, &never)).reason,
                Reason::TransferSyntaxesNotSupported
            );
        }
    }

    #[test]
    fn other_services_are_refused_by_abstract_syntax_and_none_stands_twice() {
        let worklist = "1.2.840.10008.5.1.4.31";
        assert_eq!(asked(&proposal(worklist, NATIVE)).reason, Reason::AbstractSyntaxNotSupported);
        let classes: std::collections::BTreeSet<_> = OFFERS.iter().map(|o| o.sop_class).collect();
        assert_eq!(classes.len(), OFFERS.len());
    }
}
