//! Values become data sets again: the parts that every object written here shares.
//!
//! `dataset` builds a data set within the limits of its VRs, `code` and `content` make coded
//! entries and SR content items, `reference` the references to other instances, and one file
//! stands for each kind of object that more than one author writes (`segmentation`,
//! `structure_set`). Reference: PS3.3, PS3.5 section 6.2.

mod code;
pub mod content;
mod dataset;
mod decimal;
pub mod geometry;
mod keyhole;
mod outline;
pub mod reference;
pub mod segmentation;
pub mod structure_set;

pub use code::Code;
pub use dataset::{DataSet, WriteError, implementation_class_uid};
pub use decimal::{decimal_string, decimal_string_not_below};
pub use keyhole::keyholed;
pub use outline::{Outline, outlines};
pub use reference::InstanceReference;

/// A finished object with its file meta information.
pub type DicomFile = dicom_object::FileDicomObject<dicom_object::InMemDicomObject>;
