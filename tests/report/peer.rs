//! Foreign programs that read what we write.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The path of a peer, or `None` with one clear line.
pub fn peer(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path).map(|dir| dir.join(name)).find(|p| p.is_file());
    if found.is_none() {
        println!("passed over: {name} is not installed (tests/run installs it)");
    }
    found
}

/// A Python that has `module`, or `None` with one clear line.
pub fn python_with(module: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = std::env::var_os("GRAYD_PYTHON")
        .map(PathBuf::from)
        .or_else(|| Some(root.join(".peers/bin/python")).filter(|p| p.is_file()))
        .or_else(|| Some(PathBuf::from("/opt/grayd-peers/bin/python")).filter(|p| p.is_file()))
        .unwrap_or_else(|| "python3".into());
    let has = Command::new(&python).args(["-c", &format!("import {module}")]).output();
    if has.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    println!("passed over: {module} is not installed (tests/run installs it)");
    None
}

/// Standard output and error of a command that has to succeed.
pub fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{command:?}: {text}");
    text
}

/// Runs `tests/peers/<script>` and takes its JSON.
pub fn script(python: &Path, name: &str, arguments: &[&Path]) -> serde_json::Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(name);
    let output = Command::new(python).arg(path).args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {errors}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{name}: {e}: {errors}"))
}

/// What dciodvfy says about an object beyond the lines in `normal` (fragments of warnings, each
/// with its reason) and the name of the IOD.
pub fn dciodvfy_faults(dciodvfy: &Path, object: &Path, normal: &[(&str, &str)]) -> Vec<String> {
    /// The line that names the IOD which the validator recognised.
    const RECOGNISED: &[&str] = &[
        "RTDose",
        "Segmentation",
        "Comprehensive3DSR",
        "RTStructureSet",
        "SpatialRegistration",
        "DeformableSpatialRegistration",
        "ParametricMap",
        "NMImage",
        "CTImage",
        "PETImage",
        "EncapsulatedPDF",
        "RadiopharmaceuticalRadiationDoseSR",
    ];
    let output = Command::new(dciodvfy).arg("-new").arg(object).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    let odd = text.lines().map(str::trim).filter(|line| {
        let known = normal.iter().any(|(fragment, _)| line.contains(fragment));
        // An RT Dose of type ERROR is two's complement (C.8.8.3.4.6); the validator knows the others.
        let signed = object.ends_with("rt-dose-error.dcm")
            && line
                .contains("</PixelRepresentation(0028,0103)[1]> - Unrecognized enumerated value");
        !(line.is_empty()
            || signed
            || RECOGNISED.contains(line)
            || line.starts_with("Warning") && known)
    });
    odd.map(|line| format!("{}: {line}", object.display())).collect()
}
