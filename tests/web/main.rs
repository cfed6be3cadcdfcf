//! The real node over HTTP: DICOMweb with its peers, who may do what, hostile requests, and a viewer.
#![allow(clippy::unwrap_used)] // a test that cannot go on fails

#[path = "../site/mod.rs"]
mod site;

mod abuse;
mod access;
mod dicomweb;
mod http;
mod ohif;
