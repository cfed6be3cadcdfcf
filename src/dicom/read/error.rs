//! Why a reader refuses an object. Every message says what is wrong and what to send or set.

use std::path::PathBuf;

/// A typed refusal: the job that wanted the object is parked with this as its reason.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("{path} cannot be read: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{path} is no DICOM Part 10 file that can be parsed: {reason}")]
    NotDicom { path: PathBuf, reason: String },
    #[error("no instance was given to read; name at least one file of the series")]
    NoInstances,
    #[error("{attribute} is missing; without it {consequence}")]
    Missing { attribute: String, consequence: &'static str },
    #[error("{attribute} cannot be used: {reason}")]
    Malformed { attribute: String, reason: String },
    /// An object of another kind than the reader's.
    #[error("this is {found}; {wanted}")]
    WrongKind { found: String, wanted: &'static str },
    #[error("pixel data is empty; send the instance again with its pixels")]
    EmptyPixels,
    #[error("pixel data of {actual} bytes does not fill {expected} bytes ({what})")]
    PixelLength { expected: u64, actual: u64, what: String },
    #[error(
        "pixel data went through lossy compression ({evidence}); send the original or a \
         losslessly compressed copy"
    )]
    Lossy { evidence: String },
    #[error("transfer syntax {0} cannot be decoded; send Explicit VR Little Endian")]
    TransferSyntax(String),
    #[error("pixel data cannot be decoded: {0}")]
    Codec(String),
    /// Positions, orientation or spacing that make no regular volume.
    #[error("geometry: {0}")]
    Geometry(String),
    /// Instances that contradict each other.
    #[error("instances contradict each other: {0}")]
    Contradiction(String),
    /// Stored values without a usable meaning.
    #[error("units: {0}")]
    Units(String),
}
