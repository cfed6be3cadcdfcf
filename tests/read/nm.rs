//! NM RECON TOMO: geometry with every sign and order, units, decay, refusals.

use crate::build::{Build, codes, read_series};
use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};
use grayd::quantify::{
    Administration, Calibration, DecayReference, ImageUnit, QuantifyError, QuantifyParameters,
    activity_map,
};
use grayd::quantity::{Becquerel, Seconds};
use proptest::prelude::*;

const ROWS: u16 = 3;
const COLUMNS: u16 = 4;
const SLICES: usize = 5;
const STEP: f64 = 4.7952;
const FIRST: [f64; 3] = [-249.02, -410.5, 1156.93];

/// Stored value at (k, j, i), k counted along +n.
fn stored(k: usize, j: usize, i: usize) -> u16 {
    (1000 * k + 100 * j + 10 * i + 7) as u16
}

fn slice(k: usize) -> Vec<u16> {
    (0..ROWS as usize).flat_map(|j| (0..COLUMNS as usize).map(move |i| stored(k, j, i))).collect()
}

/// A volume whose frame f holds the slice number `vector[f]` (1-based), counted from the first
/// slice with the signed step.
fn image(step: f64, vector: &[u16]) -> Build {
    let number_to_k = |s: u16| {
        if step > 0.0 { usize::from(s) - 1 } else { SLICES - usize::from(s) }
    };
    let frames: Vec<u16> = vector.iter().flat_map(|&s| slice(number_to_k(s))).collect();
    let z = if step > 0.0 { FIRST[2] } else { FIRST[2] + STEP * (SLICES - 1) as f64 };
    let detector = Build::item()
        .ds(tags::IMAGE_POSITION_PATIENT, &format!("{}\\{}\\{z:.4}", FIRST[0], FIRST[1]))
        .ds(tags::IMAGE_ORIENTATION_PATIENT, "1\\0\\0\\0\\1\\0");
    Build::instance(uids::NUCLEAR_MEDICINE_IMAGE_STORAGE, "NM", 1)
        .cs(tags::IMAGE_TYPE, "ORIGINAL\\PRIMARY\\RECON TOMO\\EMISSION")
        .text(tags::ACQUISITION_DATE, VR::DA, "20260302")
        .text(tags::ACQUISITION_TIME, VR::TM, "101500")
        .pixels(ROWS, COLUMNS, SLICES, 16)
        .at(tags::FRAME_INCREMENT_POINTER, &[tags::SLICE_VECTOR])
        .us_list(tags::SLICE_VECTOR, vector)
        .ds(tags::PIXEL_SPACING, "4.8\\2.4")
        .ds(tags::SPACING_BETWEEN_SLICES, &step.to_string())
        .ds(tags::SLICE_THICKNESS, &step.abs().to_string())
        .sequence(tags::DETECTOR_INFORMATION_SEQUENCE, vec![detector])
        .cs(tags::UNITS, "BQML")
        .ds(tags::RESCALE_SLOPE, "2.5")
        .words(&frames)
}

const ORDERED: [u16; SLICES] = [1, 2, 3, 4, 5];

fn plain() -> Build {
    image(STEP, &ORDERED)
}

/// The same, in counts, over 30 views of 20 s on one rotation.
fn in_counts() -> Build {
    let rotation = Build::item()
        .text(tags::ACTUAL_FRAME_DURATION, VR::IS, "20000")
        .us(tags::NUMBER_OF_FRAMES_IN_ROTATION, 30);
    plain()
        .without(tags::UNITS)
        .without(tags::RESCALE_SLOPE)
        .sequence(tags::ROTATION_INFORMATION_SEQUENCE, vec![rotation])
}

fn mapped(unit: &str, slope: f64) -> Build {
    Build::item()
        .code(tags::MEASUREMENT_UNITS_CODE_SEQUENCE, unit, "UCUM", unit)
        .us(tags::REAL_WORLD_VALUE_FIRST_VALUE_MAPPED, 0)
        .us(tags::REAL_WORLD_VALUE_LAST_VALUE_MAPPED, 65_535)
        .fd(tags::REAL_WORLD_VALUE_SLOPE, &[slope])
        .fd(tags::REAL_WORLD_VALUE_INTERCEPT, &[0.0])
}

#[test]
fn a_voxel_is_where_position_orientation_and_spacing_say() {
    let read = read_series(&[plain()]).unwrap();
    let grid = read.image.values.grid();
    assert_eq!(grid.shape(), [SLICES, ROWS as usize, COLUMNS as usize]);
    assert_eq!(grid.spacing_mm(), [2.4, 4.8, STEP]);
    let p = grid.voxel_to_lps([3.0, 2.0, 4.0]);
    for (found, wanted) in p.iter().zip([-249.02 + 7.2, -410.5 + 9.6, 1156.93 + 4.0 * STEP]) {
        assert!((found - wanted).abs() < 1e-6, "{p:?}");
    }
    assert_eq!(read.image.values.values()[[4, 2, 3]], 2.5 * f32::from(stored(4, 2, 3)));
    assert_eq!(read.acquired.to_string(), "2026-03-02T10:15:00Z");
    assert_eq!(read.sources.len(), 1);
    assert_eq!(read.sources[0].sha256.len(), 64);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn sign_and_frame_order_change_no_bit_of_the_volume(
        vector in Just(ORDERED.to_vec()).prop_shuffle(),
        negative: bool,
    ) {
        let reference = read_series(&[plain()]).unwrap().image.values;
        let step = if negative { -STEP } else { STEP };
        let other = read_series(&[image(step, &vector)]).unwrap().image.values;
        prop_assert_eq!(reference, other);
    }
}

#[test]
fn what_leaves_the_orientation_open_is_refused_and_what_is_assumed_is_said() {
    let refused = |b: Build| read_series(&[b]).unwrap_err().to_string();
    let empty =
        Build::item().ds(tags::IMAGE_POSITION_PATIENT, "").ds(tags::IMAGE_ORIENTATION_PATIENT, "");
    let no_place = plain().sequence(tags::DETECTOR_INFORMATION_SEQUENCE, vec![empty]);
    assert!(refused(no_place.clone()).contains("orientation of the patient"));
    let at_root = no_place
        .ds(tags::IMAGE_POSITION_PATIENT, "-249.02\\-410.5\\1156.93")
        .ds(tags::IMAGE_ORIENTATION_PATIENT, "1\\0\\0\\0\\1\\0");
    let read = read_series(&[at_root]).unwrap();
    assert_eq!(codes(&read.image.warnings), ["geometry-at-root"]);

    let no_step = plain().without(tags::SPACING_BETWEEN_SLICES);
    let read = read_series(std::slice::from_ref(&no_step)).unwrap();
    assert_eq!(codes(&read.image.warnings), ["slice-direction-assumed"]);
    assert!(refused(no_step.without(tags::SLICE_THICKNESS)).contains("SpacingBetweenSlices"));

    let read = read_series(&[plain().without(tags::SLICE_VECTOR)]).unwrap();
    assert_eq!(codes(&read.image.warnings), ["slice-vector-absent"]);
    for bad in [[1, 2, 3, 4, 4], [0, 1, 2, 3, 4], [2, 3, 4, 5, 6]] {
        assert!(refused(plain().us_list(tags::SLICE_VECTOR, &bad)).contains("SliceVector"));
    }
    let tilted = Build::item()
        .ds(tags::IMAGE_POSITION_PATIENT, "0\\0\\0")
        .ds(tags::IMAGE_ORIENTATION_PATIENT, "1\\0\\0\\0.6\\0.8\\0");
    let tilted = plain().sequence(tags::DETECTOR_INFORMATION_SEQUENCE, vec![tilted]);
    assert!(refused(tilted).contains("perpendicular"));
}

#[test]
fn the_collimator_is_that_of_the_image_or_else_of_its_detector() {
    let detector = Build::item()
        .ds(tags::IMAGE_POSITION_PATIENT, "0\\0\\0")
        .ds(tags::IMAGE_ORIENTATION_PATIENT, "1\\0\\0\\0\\1\\0")
        .text(tags::COLLIMATOR_GRID_NAME, VR::SH, "MELP");
    let image = plain().sequence(tags::DETECTOR_INFORMATION_SEQUENCE, vec![detector]);
    let collimator = |image: Build| read_series(&[image]).unwrap().device.collimator;
    assert_eq!(collimator(image.clone()).as_deref(), Some("MELP"));
    let named = image.text(tags::COLLIMATOR_GRID_NAME, VR::SH, "LEHR");
    assert_eq!(collimator(named).as_deref(), Some("LEHR"));
    assert_eq!(collimator(plain()), None);
}

#[test]
fn what_is_no_reconstructed_activity_is_refused_with_what_to_send() {
    let of = |image_type: &str| plain().cs(tags::IMAGE_TYPE, image_type);
    for (object, word) in [
        (of("ORIGINAL\\PRIMARY\\RECON TOMO\\TRANSMISSION"), "mu-map"),
        (of("ORIGINAL\\PRIMARY\\TOMO\\EMISSION"), "reconstruct"),
        (of("ORIGINAL\\PRIMARY\\RECON GATED TOMO\\EMISSION"), "ungated"),
        (of("ORIGINAL\\PRIMARY\\WHOLE BODY\\EMISSION"), "planar"),
        (plain().uid(tags::SOP_CLASS_UID, uids::SECONDARY_CAPTURE_IMAGE_STORAGE), "RECON TOMO"),
        (plain().without(tags::PIXEL_DATA), "empty"),
        (plain().cs(tags::LOSSY_IMAGE_COMPRESSION, "01"), "lossy"),
        (plain().words(&[1, 2, 3]), "holds 6 bytes of pixels where 120 are described"),
        (plain().us(tags::ROWS, 60_000).us(tags::COLUMNS, 60_000), "36000000000 are described"),
        (plain().us_list(tags::ENERGY_WINDOW_VECTOR, &[1, 1, 1, 2, 2]), "energy window"),
        (plain().at(tags::FRAME_INCREMENT_POINTER, &[tags::TIME_SLOT_VECTOR]), "step through"),
        (plain().ds(tags::SPACING_BETWEEN_SLICES, "4,8"), "decimal comma"),
        (plain().without(tags::ACQUISITION_DATE).without(tags::ACQUISITION_TIME), "placed in time"),
    ] {
        let error = read_series(&[object]).unwrap_err().to_string();
        assert!(error.contains(word), "{word}: {error}");
    }
    let second = plain().uid(tags::SOP_INSTANCE_UID, "1.2.826.0.1.2");
    let two = read_series(&[plain(), second]).unwrap_err().to_string();
    assert!(two.contains("2 NM volumes"), "{two}");
    let stranger =
        plain().uid(tags::SOP_INSTANCE_UID, "1.2.826.0.1.2").text(tags::PATIENT_ID, VR::LO, "P-2");
    assert!(read_series(&[plain(), stranger]).unwrap_err().to_string().contains("one patient"));
}

#[test]
fn the_mapping_of_the_image_goes_before_its_rescale_and_never_both() {
    let map = |unit, slope| vec![mapped("g/ml{SUVbw}", 9.0), mapped(unit, slope)];
    let sequence = tags::REAL_WORLD_VALUE_MAPPING_SEQUENCE;
    let read = read_series(&[plain().sequence(sequence, map("kBq/ml", 0.5))]).unwrap();
    assert_eq!(read.image.values.values()[[0, 0, 0]], 3500.0);
    assert_eq!(codes(&read.image.warnings), ["rescale-and-mapping-differ"]);

    let counts = in_counts().ds(tags::RESCALE_SLOPE, "2");
    let read = read_series(&[counts.sequence(sequence, map("{counts}", 0.25))]).unwrap();
    assert_eq!(read.image.unit, ImageUnit::Counts);
    assert_eq!(read.image.values.values()[[0, 0, 0]], 1.75);
}

/// Sum over the volume times the voxel's volume in ml.
fn integral(values: &[f32], ml: f64) -> f64 {
    values.iter().map(|&v| f64::from(v)).sum::<f64>() * ml
}

#[test]
fn counts_become_activity_by_calibration_and_decay_during_the_scan() {
    let read = read_series(&[in_counts()]).unwrap();
    assert_eq!(read.image.slices[0].duration, Some(Seconds::new(600.0)));
    let half_life = Seconds::from_hours(6.0);
    let mut parameters = QuantifyParameters::new(half_life);
    assert_eq!(activity_map(&read.image, &parameters), Err(QuantifyError::NoCalibration));
    parameters.calibration =
        Some(Calibration { cps_per_mbq: 9.3, relative_uncertainty: Some(0.05) });
    let map = activity_map(&read.image, &parameters).unwrap();
    let counts: f64 = (0..SLICES).flat_map(slice).map(f64::from).sum();
    let x = half_life.half_life_to_rate().value() * 600.0;
    let expected = counts / 600.0 / 9.3 * x / (1.0 - (-x).exp());
    assert!((map.field_of_view.mbq() / expected - 1.0).abs() < 1e-6, "{}", map.field_of_view);
    assert_eq!(map.relative_uncertainty, Some(0.05));
    let rate = parameters.calibration.clone().map(|c| Calibration { cps_per_mbq: 0.0, ..c });
    parameters.calibration = rate;
    assert_eq!(activity_map(&read.image, &parameters), Err(QuantifyError::Calibration(0.0)));
}

#[test]
fn decay_correction_without_a_reference_time_is_assumed_aloud_or_stated_by_the_site() {
    let corrected = plain().cs(tags::CORRECTED_IMAGE, "UNIF\\DECY");
    let read = read_series(&[corrected]).unwrap();
    let mut parameters = QuantifyParameters::new(Seconds::from_hours(12.0));
    let ml = read.image.values.grid().voxel_volume().value();
    let as_stored = integral(read.image.values.as_slice(), ml);
    let map = activity_map(&read.image, &parameters).unwrap();
    assert_eq!(codes(&map.warnings), ["decay-reference-assumed"]);
    assert!((map.field_of_view.value() / as_stored - 1.0).abs() < 1e-6);

    parameters.decay_reference = Some(DecayReference::Administration);
    assert_eq!(activity_map(&read.image, &parameters), Err(QuantifyError::NoAdministration));
    parameters.administered = Some(Administration {
        activity: Becquerel::new(8.0 * as_stored),
        at: "2026-03-01T22:15:00Z".parse().unwrap(),
    });
    let map = activity_map(&read.image, &parameters).unwrap();
    assert!((map.field_of_view.value() / as_stored - 0.5).abs() < 1e-6);
    assert_eq!(map.warnings, []);
}

#[test]
fn a_scan_time_that_is_not_known_matters_for_short_half_lives_only() {
    let read = read_series(&[plain()]).unwrap();
    let long = activity_map(&read.image, &QuantifyParameters::new(Seconds::from_hours(160.0)));
    assert_eq!(codes(&long.unwrap().warnings), ["scan-time-unknown"]);
    let short = activity_map(&read.image, &QuantifyParameters::new(Seconds::from_hours(6.0)));
    assert!(matches!(short, Err(QuantifyError::NoDurationForDecay { .. })));
}

fn injected(total: &str) -> Build {
    let item = Build::item()
        .text(tags::RADIOPHARMACEUTICAL_START_TIME, VR::TM, "091500")
        .ds(tags::RADIONUCLIDE_TOTAL_DOSE, total)
        .code(tags::RADIONUCLIDE_CODE_SEQUENCE, "447553000", "SCT", "^177^Lutetium");
    plain().sequence(tags::RADIOPHARMACEUTICAL_INFORMATION_SEQUENCE, vec![item])
}

#[test]
fn an_injection_time_without_a_date_is_no_instant() {
    let read = read_series(&[injected("7400")]).unwrap();
    let injection = read.radiopharmaceutical.injection;
    assert_eq!((injection.start, injection.start_within_a_day), (None, None));
    assert_eq!(injection.total, Some(Becquerel::from_mbq(7400.0)));
    assert_eq!(read.radiopharmaceutical.nuclide.unwrap().meaning, "^177^Lutetium");
}

#[test]
fn units_of_the_administered_activity_are_doubted_where_they_cannot_be() {
    let total = |text: &str| {
        let read = read_series(&[injected(text)]).unwrap();
        (read.image.injection.total, codes(&read.image.warnings).len())
    };
    assert_eq!(total("7400000000"), (Some(Becquerel::new(7.4e9)), 1));
    assert_eq!(total("200"), (None, 1));
    assert_eq!(total("0"), (None, 0));

    // The plan in mCi typed as MBq, beside an object that has it right.
    let read = read_series(&[injected("7400")]).unwrap();
    let mut parameters = QuantifyParameters::new(Seconds::from_hours(160.0));
    let at = "2026-03-02T09:15:00Z".parse().unwrap();
    parameters.administered = Some(Administration { activity: Becquerel::from_mbq(200.0), at });
    let error = activity_map(&read.image, &parameters).unwrap_err();
    assert!(matches!(error, QuantifyError::Millicurie { .. }), "{error}");
}

#[test]
fn activity_that_cannot_be_in_the_patient_is_refused() {
    let read = read_series(&[plain()]).unwrap();
    let ml = read.image.values.grid().voxel_volume().value();
    let held = integral(read.image.values.as_slice(), ml);
    let map = |part: f64, at: &str| {
        let mut parameters = QuantifyParameters::new(Seconds::from_hours(160.0));
        let activity = Becquerel::new(held / part);
        parameters.administered = Some(Administration { activity, at: at.parse().unwrap() });
        activity_map(&read.image, &parameters)
    };
    let at = "2026-03-02T10:14:59Z";
    assert!(map(0.5, at).is_ok() && map(1.19, at).is_ok() && map(0.051, at).is_ok());
    assert!(matches!(map(1.25, at), Err(QuantifyError::Implausible { .. })));
    assert!(matches!(map(0.04, at), Err(QuantifyError::Implausible { .. })));
    let later = map(0.5, "2026-03-02T12:15:00Z");
    assert_eq!(later, Err(QuantifyError::BeforeAdministration { hours: 2.0 }));
}

#[test]
fn extreme_numbers_are_refused_or_lead_to_finite_activity() {
    let numbers = ["0", "-1", "1e308", "-1e308", "1e-308", "4.9e-324", "65536", "4294967296"];
    let tags_of_numbers = [
        (tags::SPACING_BETWEEN_SLICES, VR::DS),
        (tags::SLICE_THICKNESS, VR::DS),
        (tags::RESCALE_SLOPE, VR::DS),
        (tags::RESCALE_INTERCEPT, VR::DS),
        (tags::DECAY_FACTOR, VR::DS),
        (tags::ACTUAL_FRAME_DURATION, VR::IS),
        (tags::NUMBER_OF_FRAMES, VR::IS),
        (tags::PATIENT_WEIGHT, VR::DS),
        (tags::PIXEL_PADDING_VALUE, VR::IS),
    ];
    let mut survived = 0;
    for (tag, vr) in tags_of_numbers {
        for text in numbers {
            let Ok(read) = read_series(&[plain().text(tag, vr, text)]) else { continue };
            for hours in [1e-6, 12.0, 1e6] {
                let parameters = QuantifyParameters::new(Seconds::from_hours(hours));
                let Ok(map) = activity_map(&read.image, &parameters) else { continue };
                assert!(map.bq_per_ml.as_slice().iter().all(|v| v.is_finite()), "{tag} {text}");
                assert!(map.field_of_view.is_finite());
                survived += 1;
            }
        }
    }
    assert!(survived > 20, "most harmless values must be read, not {survived}");
    for vector in [[0u16; SLICES], [u16::MAX; SLICES]] {
        assert!(read_series(&[plain().us_list(tags::SLICE_VECTOR, &vector)]).is_err());
    }
}
