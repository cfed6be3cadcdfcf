//! Statuses that a step is refused with (PS3.4 tables CC.2.1-2 to CC.2.7-1, PS3.7 annex C).

/// A status and what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    pub status: u16,
    /// At most the 64 characters of an Error Comment.
    pub meaning: &'static str,
}

impl Refusal {
    /// The step has ended or is another's meanwhile: there is nothing to be done for it.
    pub(crate) fn is_too_late(self) -> bool {
        let meanwhile = [ALREADY_CANCELED, ALREADY_COMPLETED, ENDED, IN_PROGRESS, UNKNOWN];
        meanwhile.contains(&self)
    }
}

const fn refusal(status: u16, meaning: &'static str) -> Refusal {
    Refusal { status, meaning }
}

pub(super) const INVALID_VALUE: Refusal =
    refusal(0x0106, "an attribute has a value that cannot be");
pub(super) const PROCESSING_FAILURE: Refusal = refusal(0x0110, "the archive failed");
pub(super) const DUPLICATE: Refusal = refusal(0x0111, "there is a step with this UID");
pub(super) const MISSING: Refusal = refusal(0x0120, "an attribute of type 1 is missing or empty");
pub(super) const FULL: Refusal =
    refusal(0x0213, "too many steps are open, or this one is longer than 64 KiB");
pub(super) const ALREADY_CANCELED: Refusal = refusal(0xB304, "the step is canceled already");
pub(super) const ALREADY_COMPLETED: Refusal = refusal(0xB306, "the step is completed already");
pub(super) const ENDED: Refusal = refusal(0xC300, "the step may no longer be updated");
pub(super) const WRONG_TRANSACTION: Refusal =
    refusal(0xC301, "the correct Transaction UID was not provided");
pub(super) const IN_PROGRESS: Refusal = refusal(0xC302, "the step is IN PROGRESS already");
pub(super) const ONLY_BY_CREATION: Refusal =
    refusal(0xC303, "a step becomes SCHEDULED by N-CREATE only");
pub(super) const NOT_FINAL: Refusal =
    refusal(0xC304, "what the final state requires is not all there");
pub(super) const UNKNOWN: Refusal = refusal(0xC307, "no such step is here");
pub(super) const NOT_SCHEDULED: Refusal = refusal(0xC309, "Procedure Step State is not SCHEDULED");
pub(super) const NOT_IN_PROGRESS: Refusal = refusal(0xC310, "the step is not yet IN PROGRESS");
pub(super) const COMPLETED: Refusal = refusal(0xC311, "the step is COMPLETED already");
pub(super) const UNREACHABLE: Refusal =
    refusal(0xC312, "the performer has no way to be asked; talk to it");

/// All of them, ascending.
pub const REFUSALS: &[Refusal] = &[
    INVALID_VALUE,
    PROCESSING_FAILURE,
    DUPLICATE,
    MISSING,
    FULL,
    ALREADY_CANCELED,
    ALREADY_COMPLETED,
    ENDED,
    WRONG_TRANSACTION,
    IN_PROGRESS,
    ONLY_BY_CREATION,
    NOT_FINAL,
    UNKNOWN,
    NOT_SCHEDULED,
    NOT_IN_PROGRESS,
    COMPLETED,
    UNREACHABLE,
];
