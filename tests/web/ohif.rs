//! OHIF in a headless Chromium on the result of a demo: what a physician would see, judged by pixels.

use crate::site::{Site, free_port, have, wait_for};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where `tests/run` unpacks the viewer and what drives the browser.
fn viewer() -> Option<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join(".peers/ohif");
    let folder = std::env::var_os("GRAYD_OHIF").map_or(own, PathBuf::from);
    let whole = folder.join("package/dist/index.html").is_file()
        && folder.join("node_modules/playwright-core").is_dir();
    if !whole {
        println!("passed over: OHIF is not unpacked in .peers/ohif (tests/run does that)");
    }
    whole.then_some(folder)
}

#[test]
fn ohif_shows_studies_ct_spect_over_ct_segments_and_the_dose_over_ct() {
    let Some(folder) = viewer().filter(|_| have("chromium") && have("node")) else { return };
    let port = free_port();
    let dist = folder.join("package/dist");
    let viewer =
        format!("viewer: {{ directory: \"{}\", listen: \"127.0.0.1:{port}\" }}", dist.display());
    let site = Site::start_web_with(
        &viewer,
        &format!("{}intake: {{ settle_seconds: 1, rescan_seconds: 1 }}\n", Site::peers(None)),
    );
    let patient = site.folder.path().join("patient");
    let made = Command::new(env!("CARGO_BIN_EXE_grayd"))
        .args(["phantom", "--output"])
        .arg(&patient)
        .status()
        .unwrap();
    assert!(made.success());
    site.plan("demo.yaml", &std::fs::read_to_string(patient.join("plan.yaml")).unwrap());
    assert!(site.dcmsend_folder(&patient));
    wait_for("the result", || {
        let jobs = crate::http::get(site.web, "/api/jobs").json();
        jobs.as_array()?.iter().any(|job| job["state"] == "done").then_some(())
    });
    let shots = site.folder.path().join("shots");
    std::fs::create_dir(&shots).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/ohif.js");
    let output = Command::new("node")
        .arg(script)
        .arg(format!("http://127.0.0.1:{port}"))
        .arg(&shots)
        .env("NODE_PATH", folder.join("node_modules"))
        .output()
        .unwrap();
    let (said, wrong) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if let Some(keep) = std::env::var_os("GRAYD_SHOTS") {
        for shot in std::fs::read_dir(&shots).unwrap() {
            let shot = shot.unwrap();
            std::fs::copy(shot.path(), Path::new(&keep).join(shot.file_name())).unwrap();
        }
    }
    assert!(output.status.success(), "{said}\n{wrong}");
}
