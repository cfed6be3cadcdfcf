//! The DICOM node: associations, C-ECHO and C-STORE in both directions, and the delivery queue.

pub mod settings;
