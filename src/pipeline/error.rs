//! How a run can end without a result.

use crate::dicom::read::ReadError;
use crate::kinetics::KineticsError;
use crate::quantify::QuantifyError;
use crate::quantity::nuclide::NuclideError;
use crate::segment::SegmentError;
use crate::volume::transform::TransformError;

/// Parked: a person must supply something, and the text says what. Failed: the machine did.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    #[error("{0}")]
    Parked(String),
    #[error("{0}")]
    Failed(String),
}

/// What is wrong with which object, for a person.
pub(super) fn parked(what: impl std::fmt::Display, why: impl std::fmt::Display) -> PipelineError {
    PipelineError::Parked(format!("{what}: {why}"))
}

impl PipelineError {
    /// A reader's refusal of one series or object: the file system's faults are the machine's.
    pub(super) fn of_read(what: &str, error: ReadError) -> Self {
        match error {
            ReadError::Io { .. } => Self::Failed(format!("{what}: {error}")),
            other => parked(what, other),
        }
    }
    pub(super) fn of_quantify(what: &str, error: QuantifyError) -> Self {
        parked(what, error)
    }
    pub(super) fn of_segment(region: &str, error: SegmentError) -> Self {
        parked(format_args!("region {region}"), error)
    }
    pub(super) fn of_kinetics(region: &str, error: KineticsError) -> Self {
        parked(format_args!("curve of region {region}"), error)
    }
}

impl From<NuclideError> for PipelineError {
    fn from(error: NuclideError) -> Self {
        Self::Parked(error.to_string())
    }
}

impl From<QuantifyError> for PipelineError {
    fn from(error: QuantifyError) -> Self {
        Self::Parked(error.to_string())
    }
}

impl From<TransformError> for PipelineError {
    fn from(error: TransformError) -> Self {
        parked("spatial registration", error)
    }
}

impl From<crate::report::ReportError> for PipelineError {
    fn from(error: crate::report::ReportError) -> Self {
        Self::Failed(error.to_string())
    }
}
