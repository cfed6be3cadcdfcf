//! The RT Structure Set beside the SEG, read back by others.

use crate::made::{computed_in, options};
use crate::peer::{python_with, script};
use grayd::phantom::{PhantomOptions, SpectStorage};

#[test]
fn contours_lie_on_the_planes_of_the_image_and_hold_the_regions_volumes() {
    let Some(python) = python_with("SimpleITK, pydicom, numpy") else { return };
    let folder = tempfile::tempdir().unwrap();
    let options = PhantomOptions { storage: SpectStorage::Pet, ..options() };
    let settings = "  dose: { engine: local }\n";
    let (result, _) = computed_in(folder.path(), "multi-time-point", settings, &options);
    // The script refuses a contour beside the planes of the image.
    let reference = result.reference_series.clone();
    let number = 1 + result.time_points.iter().position(|t| t.series == reference).unwrap();
    let image = folder.path().join(format!("patient/spect-{number}"));
    let object = folder.path().join("results/rt-structure-set.dcm");
    let seen = script(&python, "regions_measured.py", &[&image, &object]);
    for who in ["simpleitk", "plastimatch"] {
        let Some(list) = seen[who].as_array() else {
            println!("passed over: {who} is not installed (tests/run installs it)");
            continue;
        };
        // Air around the body is no tissue; plastimatch cannot be asked for a region that is everywhere.
        for region in result.regions.iter().filter(|r| r.name != "Remainder of body") {
            let other = list.iter().find(|o| o["name"] == region.name.as_str());
            let other = other.unwrap_or_else(|| panic!("{who}: no {}: {list:?}", region.name));
            let (ml, wanted) = (other["ml"].as_f64().unwrap(), region.volume.unwrap().value());
            assert!((ml / wanted - 1.0).abs() < 0.01, "{who}, {}: {ml} for {wanted}", region.name);
        }
    }
}
