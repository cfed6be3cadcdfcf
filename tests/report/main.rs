//! What we write, read by others: DCMTK, dicom3tools, pydicom, highdicom, plastimatch, SimpleITK.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

mod conformance;
mod course;
mod dose_reports;
mod organs;
#[cfg(feature = "pdf")]
mod pages;
mod peer;
mod phantom;
mod results;
#[path = "../statement/mod.rs"]
mod statement;
