//! DICOMweb as others use it: dicomweb-client and pydicom against the running node.

use crate::site::{self, Site};
use std::path::Path;
use std::process::Command;

/// Stores a few objects by STOW-RS and takes one step of `tests/peers/dicomweb.py`.
fn dicomweb_client(step: &str) {
    let python = site::python();
    let has = |module: &str| {
        Command::new(&python).args(["-c", &format!("import {module}")]).output().unwrap().status
    };
    if !has("dicomweb_client, PIL").success() {
        println!("passed over: dicomweb-client is not installed (tests/run installs it)");
        return;
    }
    let site = Site::start("");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/dicomweb.py");
    let url = format!("http://{}/dicom-web", site.web);
    let output = Command::new(python).arg(script).args([&url, step]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{step}: {said}");
}

#[test]
fn dicomweb_client_stores_and_is_told_what_was_refused_and_why() {
    dicomweb_client("store");
}

#[test]
fn dicomweb_client_finds_studies_series_and_instances() {
    dicomweb_client("search");
}

#[test]
fn dicomweb_client_retrieves_what_it_stored_byte_for_byte_or_as_explicit_little_endian() {
    dicomweb_client("retrieve");
}

#[test]
fn dicomweb_client_reads_every_attribute_from_metadata_and_long_values_by_reference() {
    dicomweb_client("metadata");
}

#[test]
fn dicomweb_client_retrieves_frames_native_single_bit_and_compressed() {
    dicomweb_client("frames");
}

#[test]
fn dicomweb_client_sees_pictures_in_the_window_asked_for() {
    dicomweb_client("rendered");
}
