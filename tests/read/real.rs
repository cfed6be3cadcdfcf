//! The real objects of the shared data folder, with the numbers that its README states.

use grayd::dicom::read::{
    self, Emission, EmissionContext, ReadError, administration, ct, emission, rwvm, segmentation,
    structure_set,
};
use grayd::quantify::planar::{Exposure, View};
use grayd::quantify::{Administration, QuantifyParameters, activity_map, suv_scale};
use grayd::quantity::{Becquerel, Seconds};
use grayd::segment::contour::ContourKind;
use jiff::tz::TimeZone;
use std::path::{Path, PathBuf};

/// Lu-177 as the scanner of the Michigan series has it (574300 s; evaluated: 6.647 d).
const LU177: Seconds = Seconds::new(6.647 * 86_400.0);

pub fn folder(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/images").join(name);
    if !path.is_dir() {
        println!("passed over: ../shared/data/images/{name} is not at hand");
        return None;
    }
    Some(path)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("folder of the test data");
    let mut found: Vec<PathBuf> = entries.map(|e| e.expect("entry").path()).collect();
    found.sort();
    found
}

fn only(folder: &Path) -> PathBuf {
    files(folder).pop().expect("one file")
}

fn read_series(paths: &[PathBuf], maps: &[PathBuf]) -> Result<Emission, ReadError> {
    emission(paths, &EmissionContext { rwvm: maps, default_zone: TimeZone::UTC })
}

#[test]
fn michigan_spect_stored_as_pet_holds_its_field_of_view_and_its_contradiction_is_told() {
    let Some(scan) = folder("lu177_spect_michigan/SCAN_001") else { return };
    let series = read_series(&files(&scan.join("image")), &[]).unwrap();
    let grid = series.image.values.grid();
    assert_eq!(grid.shape(), [199, 256, 256]);
    let stored: f64 = series.image.values.as_slice().iter().map(|&v| f64::from(v)).sum();
    let as_stored = stored * grid.voxel_volume().value() / 1e6;
    assert!((as_stored / 1350.55 - 1.0).abs() < 1e-5, "{as_stored}");

    let mut parameters = QuantifyParameters::new(LU177);
    parameters.administered = Some(Administration {
        activity: Becquerel::new(7.210_425_599_639_5e9),
        at: series.image.injection.start.unwrap(),
    });
    let map = activity_map(&series.image, &parameters).unwrap();
    println!("as stored {as_stored:.3} MBq, at the beginning {:.3} MBq", map.field_of_view.mbq());
    assert!((map.field_of_view.mbq() / 1350.55 - 1.0).abs() < 0.005, "{}", map.field_of_view);
    // 3.7 h after the administration, as the data set's description says.
    let hours = map.at.duration_since(parameters.administered.unwrap().at).as_secs_f64() / 3600.0;
    assert!((hours - 3.741).abs() < 0.001, "{hours}");
    let codes: Vec<&str> = map.warnings.iter().map(|w| w.code.as_str()).collect();
    assert_eq!(codes, ["decay-factor-contradiction"]);
}

#[test]
fn michigan_lesions_are_two_sound_regions_in_the_space_of_the_series() {
    let Some(scan) = folder("lu177_spect_michigan/SCAN_001") else { return };
    let set = structure_set(&only(&scan.join("mask"))).unwrap();
    let series = read_series(&files(&scan.join("image")), &[]).unwrap();
    assert!(set.identity.is_same_person(&series.identity));
    assert_eq!(set.rois.len(), 2);
    for roi in &set.rois {
        assert_eq!(roi.rejected, Vec::<String>::new(), "{}", roi.name);
        assert_eq!(roi.frame_of_reference, series.frame_of_reference);
        assert!(roi.contours.iter().all(|c| c.kind == ContourKind::ClosedPlanar));
        let grid = series.image.values.grid();
        let [k, j, i] = grid.shape().map(|n| n as f64);
        for point in roi.contours.iter().flat_map(|c| &c.points_lps_mm) {
            let v = grid.lps_to_voxel(*point);
            let inside = [i, j, k].iter().zip(v).all(|(n, v)| (-0.5..n - 0.5).contains(&v));
            assert!(inside, "{v:?}");
        }
    }
}

#[test]
fn acrin_pet_gives_the_suv_factor_of_its_own_real_world_value_map() {
    let Some(case) = folder("acrin_petct_seg_rwv") else { return };
    let maps = files(&case.join("RWV_PET_SUV_Factors_829512"));
    let series = read_series(&files(&case.join("PT_PET_AC_081015")), &maps).unwrap();
    assert_eq!(series.image.values.grid().shape(), [135, 128, 128]);
    let beds: std::collections::BTreeSet<_> = series.image.slices.iter().map(|s| s.start).collect();
    assert_eq!(beds.len(), 3, "three beds begin at three times");

    let oracle = rwvm(&maps[0]).unwrap().items[0].maps[0].clone();
    assert!(oracle.unit.value.contains("SUVbw"));
    let factor = oracle.value(1).unwrap();
    assert_eq!(factor, 0.00042111);
    // With the scanner's own half-life of F-18, of which that factor was made.
    let scanner = suv_scale(&series.image, &QuantifyParameters::new(Seconds::new(6588.0))).unwrap();
    assert!((scanner.g_per_bq / factor - 1.0).abs() < 1e-4, "{}", scanner.g_per_bq);
    // With the evaluated one (109.77 min) the longer decay since injection shows, and no more.
    let ours = suv_scale(&series.image, &QuantifyParameters::new(Seconds::new(6586.2))).unwrap();
    println!("SUVbw factor {:.7e} g/Bq, of the map {factor:.7e}", scanner.g_per_bq);
    assert!((ours.g_per_bq / factor - 1.0).abs() < 5e-4, "{}", ours.g_per_bq);

    // Decay handling moves values to the beginning of the first bed, where START put them: each
    // bed to 1e-4, although the beds' own decay factors differ by 6.6 %.
    let mut parameters = QuantifyParameters::new(Seconds::new(6588.0));
    parameters.plausible_fraction = [0.0, 2.0];
    let map = activity_map(&series.image, &parameters).unwrap();
    assert_eq!(map.warnings, []);
    for (stored, ours) in series.image.values.as_slice().iter().zip(map.bq_per_ml.as_slice()) {
        assert!((ours - stored).abs() <= 1e-4 * stored.abs(), "{stored} {ours}");
    }
}

#[test]
fn acrin_ct_and_segmentation_lie_where_their_pet_lies() {
    let Some(case) = folder("acrin_petct_seg_rwv") else { return };
    let ct = ct(&files(&case.join("CT_CT_IMAGES_858561"))).unwrap();
    assert_eq!(ct.hu.grid().shape()[0], 135);
    assert!(ct.hu.as_slice().iter().all(|&hu| (-1000.0..4000.0).contains(&hu)));
    assert!(ct.warnings.is_empty());
    let seg = segmentation(&only(&case.join("SEG_PT_Segmentation_504365"))).unwrap();
    let pet = read_series(&files(&case.join("PT_PET_AC_081015")), &[]).unwrap();
    assert_eq!(seg.frame_of_reference, pet.frame_of_reference);
    assert_eq!(seg.segments.iter().map(|s| s.occupancy.len()).sum::<usize>(), 26_278);
    assert_eq!(ct.frame_of_reference, pet.frame_of_reference);
}

#[test]
fn openrem_dose_report_says_what_was_given_and_when() {
    let Some(openrem) = folder("openrem_nm") else { return };
    let report = administration(&openrem.join("NM-RRDSR-Siemens.dcm"), &TimeZone::UTC).unwrap();
    assert_eq!(report.start.to_string(), "2022-02-24T10:40:30Z");
    assert_eq!(report.administered(Seconds::new(6586.2)).unwrap().mbq(), 394.0);
    assert_eq!(report.radionuclide.unwrap().meaning, "^18^Fluorine");
    assert_eq!(report.agent.unwrap().meaning, "Fluorodeoxyglucose F^18^");
    assert_eq!(report.event.unwrap().as_str(), "1.3.12.2.1107.5.1.4.11090.20220224104830.0");
    assert_eq!(report.intent.unwrap().value, "R-408C3");
}

#[test]
fn openrem_planar_projections_and_single_slices_are_refused_with_what_to_send() {
    let Some(openrem) = folder("openrem_nm") else { return };
    let refused = |name: &str| read_series(&[openrem.join(name)], &[]).unwrap_err().to_string();
    for name in ["NM-NmIm-Siemens-s1-1.dcm", "NM-NmIm-Siemens-s1-2.dcm"] {
        let error = refused(name);
        assert!(error.contains("send"), "{name}: {error}");
    }
    assert!(refused("NM-NmIm-Siemens.dcm").contains("planar"));
    let slice = refused("NM-PetIm-GE.dcm");
    assert!(slice.contains("Number of Slices (0054,0081) is 313"), "{slice}");
}

#[test]
fn openrem_planar_counts_are_those_of_the_file() {
    let Some(openrem) = folder("openrem_nm") else { return };
    let object = dicom_object::open_file(openrem.join("NM-NmIm-Siemens.dcm")).unwrap();
    let pixels = read::pixels::decode(&object).unwrap();
    let counts = |frame| pixels.frame(frame).iter().sum::<i64>();
    assert_eq!([counts(0), counts(1)], [1_655_650, 1_343_424]);
    let empty = dicom_object::open_file(openrem.join("NM-NmIm-Siemens-s1-1.dcm")).unwrap();
    assert!(matches!(read::pixels::decode(&empty), Err(ReadError::EmptyPixels)));
}

#[test]
fn openrem_whole_body_scan_has_its_views_by_angle_and_orientation() {
    let Some(openrem) = folder("openrem_nm") else { return };
    let scan = read::planar(&[openrem.join("NM-NmIm-Siemens.dcm")], &TimeZone::UTC).unwrap();
    let image = &scan.image;
    let total = |view| image.frame(view, 0).unwrap().counts.iter().map(|&c| f64::from(c)).sum();
    let counts: [f64; 2] = View::BOTH.map(total);
    assert_eq!(counts, [1_655_650.0, 1_343_424.0]);
    assert_eq!((image.raster.rows, image.raster.columns), (1024, 256));
    assert_eq!(image.raster.origin_lps_mm, None, "its Image Position is empty");
    assert_eq!(scan.device.collimator.as_deref(), Some("@18893971"));
    let Exposure::Scanning { velocity, duration, field_of_view_mm, .. } = image.exposure else {
        panic!("{:?}", image.exposure);
    };
    assert!((velocity - 25.0 / 3.0).abs() < 1e-9 && field_of_view_mm.is_none());
    assert_eq!(duration, Some(Seconds::new(265.485)));
    let [low, high] = image.windows[0].ends();
    assert!((low - 129.028).abs() < 1e-3 && (high - 149.952).abs() < 1e-3);
}

#[test]
fn legacy_nuclear_medicine_is_refused_for_what_it_lacks() {
    let Some(legacy) = folder("nm_legacy") else { return };
    let refused = |name: &str| read_series(&[legacy.join(name)], &[]).unwrap_err().to_string();
    let capture = refused("NM1_UNC");
    assert!(capture.contains("modality NM in SOP class") && capture.contains("RECON TOMO"));
    let old = refused("NM-MONO2-16-13x-heart");
    assert!(old.contains("Image Position (Patient)"), "{old}");
}

#[test]
fn highdicom_segmentations_hold_as_many_voxels_as_their_writer_set() {
    let Some(seg) = folder("highdicom_seg") else { return };
    let sizes = |name: &str| -> Vec<usize> {
        let read = segmentation(&seg.join(name)).unwrap();
        read.segments.iter().map(|s| s.occupancy.len()).collect()
    };
    assert_eq!(sizes("seg_image_ct_binary.dcm"), [638]);
    assert_eq!(sizes("seg_image_ct_binary_fractional.dcm"), [162_690 / 255]);
    assert_eq!(sizes("seg_image_ct_binary_overlap.dcm").iter().sum::<usize>(), 80);
    assert_eq!(sizes("seg_image_ct_binary_single_frame.dcm"), [1832]);
    // PROBABILITY: every voxel from one half upward counts wholly.
    let read = segmentation(&seg.join("seg_image_ct_true_fractional.dcm")).unwrap();
    assert!(read.segments[0].occupancy.iter().all(|(_, f)| f == 1.0));
}

#[test]
fn dcmqi_map_and_segmentation_are_read() {
    let Some(dcmqi) = folder("dcmqi_sr") else { return };
    let map = rwvm(&dcmqi.join("rwvm.dcm")).unwrap();
    assert!(!map.items.is_empty() && !map.items[0].images.is_empty());
    let seg = segmentation(&dcmqi.join("seg.dcm")).unwrap();
    assert!(seg.segments.iter().all(|s| !s.occupancy.is_empty()));
}
