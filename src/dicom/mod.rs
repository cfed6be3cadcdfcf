//! DICOM at the edge: bytes become values that are valid by construction, and results become
//! data sets again. Nothing beyond this module and `report` handles a DICOM attribute.
//!
//! `gate` bounds untrusted bytes before any parser sees them; `read` holds one file a kind of
//! object; `write` likewise. Reference: PS3.3, PS3.5.

pub mod gate;
pub mod header;
pub mod uid;
mod utf8;
mod visible;
pub mod read;
pub mod write;

pub use header::{InstanceHeader, PatientIdentity};
pub use uid::{Uid, UidError};
pub(crate) use utf8::to_utf_8;
pub use visible::visible;
