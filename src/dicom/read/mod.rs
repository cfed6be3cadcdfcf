//! Readers: files on disk to typed values, one file a kind of object.
//!
//! Bytes are parsed once, here. What a reader returns is valid in itself: grids are regular and
//! right-handed, units are stated, instants are UTC. What cannot be read so is a [`ReadError`] that
//! says what to send instead. Order of the files given never matters. References: PS3.3, PS3.5.

mod administration;
mod attribute;
mod codestream;
mod ct;
mod emission;
mod error;
mod frame;
mod instance;
pub mod pixels;
mod planar;
mod radiopharmaceutical;
mod registration;
mod rwvm;
mod segmentation;
mod stack;
mod structure_set;
mod time;
mod units;
mod view_outlines;

pub use administration::{AdministrationReport, Assay, administration};
pub use attribute::Code;
pub(crate) use attribute::items;
pub use ct::{Ct, ct};
pub use emission::{Device, Emission, EmissionContext, Scan, emission};
pub use error::ReadError;
pub use planar::{Planar, StoredView, Transmission, planar, transmission};
pub use radiopharmaceutical::Radiopharmaceutical;
pub use registration::{
    Deformation, DeformationGrid, MatrixKind, MatrixTransform, Registration, registration,
};
pub use rwvm::{RealWorldScale, RealWorldValueMap, RealWorldValueMapping, ReferencedMaps, rwvm};
pub use segmentation::{Segment, Segmentation, segmentation};
pub use structure_set::{Roi, StructureSet, structure_set};
pub use view_outlines::{
    OutlinedFrame, OutlinedRegion, OutlinedSegment, SourceFrame, ViewOutlines, outlines_on,
    segmented_instances, view_outlines,
};
