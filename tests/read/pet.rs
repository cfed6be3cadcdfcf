//! PET Image and Enhanced PET: slopes, beds, decay statements, whole series.

use crate::build::{Build, codes, read_series};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::{tags, uids};
use grayd::dicom::read::Emission;
use grayd::quantify::{
    Administration, DecayReference, QuantifyError, QuantifyParameters, activity_map,
};
use grayd::quantity::{Becquerel, Seconds};
use proptest::prelude::*;

const SIDE: u16 = 2;
const SLICES: usize = 6;
/// Half-life of the phantom's nuclide, s.
const HALF_LIFE: f64 = 6586.2;
const DURATION: f64 = 180.0;
/// What is in every voxel at the beginning of the series, Bq/ml.
const TRUTH: f64 = 8000.0;

fn lambda() -> f64 {
    std::f64::consts::LN_2 / HALF_LIFE
}

/// Mean of exp(−λt) over a frame that begins at `start`.
fn mean_decay(start: f64) -> f64 {
    let x = lambda() * DURATION;
    (-lambda() * start).exp() * (1.0 - (-x).exp()) / x
}

/// Slices 0-2 are bed 1, 3-5 bed 2, which begins 200 s later.
fn bed_start(k: usize) -> f64 {
    if k < 3 { 0.0 } else { 200.0 }
}

/// What a scanner that corrects by `factor` writes of slice k. `reference_s`: seconds from the
/// series' beginning to the reference.
fn slice(k: usize, correction: &str, reference_s: f64) -> Build {
    let start = bed_start(k);
    let mean = mean_decay(start);
    let factor = match correction {
        "NONE" => 1.0,
        _ => (-lambda() * reference_s).exp() / mean,
    };
    // Stored values fill the range differently in each slice: the slope is the slice's own.
    let peak = 1000 + 100 * k as u16;
    let slope = TRUTH * mean * factor / f64::from(peak);
    let clock = if k < 3 { "100000" } else { "100320" };
    let tracer = Build::item()
        .text(tags::RADIOPHARMACEUTICAL_START_TIME, VR::TM, "090000")
        .ds(tags::RADIONUCLIDE_TOTAL_DOSE, "400000000")
        .ds(tags::RADIONUCLIDE_HALF_LIFE, "6586.2")
        .ds(tags::RADIONUCLIDE_POSITRON_FRACTION, "0.967");
    let image = Build::instance(uids::POSITRON_EMISSION_TOMOGRAPHY_IMAGE_STORAGE, "PT", 10 + k)
        .text(tags::SERIES_DATE, VR::DA, "20260302")
        .text(tags::SERIES_TIME, VR::TM, "100000")
        .text(tags::ACQUISITION_DATE, VR::DA, "20260302")
        .text(tags::ACQUISITION_TIME, VR::TM, clock)
        .text(tags::ACTUAL_FRAME_DURATION, VR::IS, "180000")
        .cs(tags::UNITS, "BQML")
        .cs(tags::SERIES_TYPE, "WHOLE BODY\\IMAGE")
        .cs(tags::DECAY_CORRECTION, correction)
        .ds(tags::PATIENT_WEIGHT, "80")
        .us(tags::NUMBER_OF_SLICES, SLICES as u16)
        .sequence(tags::RADIOPHARMACEUTICAL_INFORMATION_SEQUENCE, vec![tracer])
        .pixels(SIDE, SIDE, 0, 16)
        .ds(tags::PIXEL_SPACING, "4\\4")
        .ds(tags::IMAGE_ORIENTATION_PATIENT, "1\\0\\0\\0\\1\\0")
        .ds(tags::IMAGE_POSITION_PATIENT, &format!("-100\\-100\\{:.2}", 3.27 * k as f64 - 50.0))
        .ds(tags::SLICE_THICKNESS, "3.27")
        .ds(tags::RESCALE_SLOPE, &format!("{slope:.12}"))
        .ds(tags::RESCALE_INTERCEPT, "0")
        .words(&[peak; 4]);
    match correction {
        "NONE" => image.cs(tags::CORRECTED_IMAGE, "ATTN"),
        _ => image
            .cs(tags::CORRECTED_IMAGE, "DECY\\ATTN")
            .ds(tags::DECAY_FACTOR, &format!("{factor:.6}")),
    }
}

fn series(correction: &str, reference_s: f64) -> Vec<Build> {
    (0..SLICES).map(|k| slice(k, correction, reference_s)).collect()
}

fn parameters() -> QuantifyParameters {
    QuantifyParameters::new(Seconds::new(HALF_LIFE))
}

/// Every voxel holds the truth at the beginning of the series to `tolerance`.
fn assert_truth(read: &Emission, parameters: &QuantifyParameters, tolerance: f64) {
    let map = activity_map(&read.image, parameters).unwrap();
    assert_eq!(map.at.to_string(), "2026-03-02T10:00:00Z");
    for &v in map.bq_per_ml.as_slice() {
        assert!((f64::from(v) / TRUTH - 1.0).abs() < tolerance, "{v}");
    }
}

#[test]
fn every_decay_statement_leads_to_the_same_activity() {
    // Injected an hour before.
    for (correction, reference) in [("NONE", 0.0), ("START", 0.0), ("ADMIN", -3600.0)] {
        let read = read_series(&series(correction, reference)).unwrap();
        assert_truth(&read, &parameters(), 2e-6);
        let without: Vec<Build> = series(correction, reference)
            .into_iter()
            .map(|s| s.without(tags::DECAY_FACTOR))
            .collect();
        assert_truth(&read_series(&without).unwrap(), &parameters(), 2e-6);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn the_order_of_instances_changes_no_bit(
        order in Just((0..SLICES).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let all = series("START", 0.0);
        let reference = read_series(&all).unwrap();
        let shuffled: Vec<Build> = order.iter().map(|&n| all[n].clone()).collect();
        let other = read_series(&shuffled).unwrap();
        prop_assert_eq!(&reference.image, &other.image);
        prop_assert_eq!(&reference.sources, &other.sources);
        let map = |read: &Emission| activity_map(&read.image, &parameters());
        prop_assert_eq!(map(&reference), map(&other));
    }
}

#[test]
fn beds_with_one_acquisition_time_are_told_apart_by_frame_reference_time() {
    let all: Vec<Build> = (0..SLICES)
        .map(|k| {
            slice(k, "START", 0.0)
                .text(tags::ACQUISITION_TIME, VR::TM, "100000")
                .ds(tags::FRAME_REFERENCE_TIME, &format!("{}", bed_start(k) * 1000.0 + 89_000.0))
        })
        .collect();
    assert_truth(&read_series(&all).unwrap(), &parameters(), 2e-6);
}

#[test]
fn missing_double_and_mixed_slices_are_refused() {
    let refused = |objects: &[Build]| read_series(objects).unwrap_err().to_string();
    let mut all = series("START", 0.0);
    let hole = all.remove(2);
    assert!(refused(&all).contains("Number of Slices (0054,0081) is 6"));
    let silent: Vec<Build> =
        all.iter().map(|s| s.clone().without(tags::NUMBER_OF_SLICES)).collect();
    assert!(refused(&silent).contains("slices are missing"));
    all.push(hole);
    let twin = slice(2, "START", 0.0).uid(tags::SOP_INSTANCE_UID, "1.2.826.0.1.99");
    assert!(refused(&[all.clone(), vec![twin]].concat()).contains("more than one image lies"));
    all[0] = all[0].clone().cs(tags::UNITS, "CNTS");
    assert!(refused(&all).contains("different units"));
    let gated: Vec<Build> =
        series("START", 0.0).into_iter().map(|s| s.cs(tags::SERIES_TYPE, "GATED\\IMAGE")).collect();
    assert!(refused(&gated).contains("ungated"));
}

#[test]
fn another_half_life_at_the_scanner_is_an_error() {
    let read = read_series(&series("START", 0.0)).unwrap();
    let other = QuantifyParameters::new(Seconds::new(4063.2));
    assert_eq!(
        activity_map(&read.image, &other).unwrap_err(),
        QuantifyError::HalfLife { object: 6586.2, table: 4063.2 }
    );
}

#[test]
fn decay_factors_that_fit_no_reference_time_are_refused_and_another_time_is_warned_of() {
    let wrong: Vec<Build> = (0..SLICES)
        .map(|k| {
            slice(k, "START", 0.0).ds(tags::DECAY_FACTOR, if k < 3 { "1.0095" } else { "1.1" })
        })
        .collect();
    let read = read_series(&wrong).unwrap();
    let error = activity_map(&read.image, &parameters()).unwrap_err();
    assert!(matches!(error, QuantifyError::DecaySpread { .. }), "{error}");

    // Corrected to ten minutes before what START says: factors agree with each other.
    let read = read_series(&series("START", -600.0)).unwrap();
    let map = activity_map(&read.image, &parameters()).unwrap();
    assert_eq!(codes(&map.warnings), ["decay-factor-disagrees"]);
    assert_truth(&read, &parameters(), 2e-6);

    let shrinking: Vec<Build> =
        series("START", 0.0).into_iter().map(|s| s.ds(tags::DECAY_FACTOR, "0.5")).collect();
    let read = read_series(&shrinking).unwrap();
    assert_eq!(activity_map(&read.image, &parameters()), Err(QuantifyError::DecayFactor(0.5)));
}

#[test]
fn statements_that_contradict_each_other_are_refused_until_the_site_decides() {
    let flagged: Vec<Build> = series("NONE", 0.0)
        .into_iter()
        .map(|s| s.cs(tags::CORRECTED_IMAGE, "DECY\\ATTN"))
        .collect();
    let read = read_series(&flagged).unwrap();
    let error = activity_map(&read.image, &parameters()).unwrap_err();
    assert!(matches!(error, QuantifyError::DecayStatements { .. }), "{error}");

    // ADMIN, yet factor 1: an hour of F-18 is too much to choose.
    let one: Vec<Build> =
        series("ADMIN", -3600.0).into_iter().map(|s| s.ds(tags::DECAY_FACTOR, "1")).collect();
    let read = read_series(&one).unwrap();
    let error = activity_map(&read.image, &parameters()).unwrap_err();
    assert!(matches!(error, QuantifyError::DecayContradiction { .. }), "{error}");
    let stated = QuantifyParameters {
        decay_reference: Some(DecayReference::Administration),
        ..parameters()
    };
    assert_truth(&read, &stated, 2e-6);
}

#[test]
fn a_series_saved_anew_takes_its_earliest_acquisition_as_the_reference() {
    let anew: Vec<Build> = series("START", 0.0)
        .into_iter()
        .map(|s| s.text(tags::SERIES_TIME, VR::TM, "153000").without(tags::DECAY_FACTOR))
        .collect();
    let read = read_series(&anew).unwrap();
    let map = activity_map(&read.image, &parameters()).unwrap();
    assert_eq!(codes(&map.warnings), ["series-time-after-acquisition"]);
    assert_truth(&read, &parameters(), 2e-6);
}

/// GE writes the scan's own beginning into its private group; Series Time is that of the last saving.
#[test]
fn a_ge_series_saved_anew_keeps_its_scan_time_as_the_reference() {
    let saved_anew = |creator: &str| -> Vec<Build> {
        series("START", -30.0)
            .into_iter()
            .map(|s| s.without(tags::DECAY_FACTOR).text(tags::SERIES_TIME, VR::TM, "120000"))
            .map(|s| s.text(Tag(0x0009, 0x0010), VR::LO, creator))
            .map(|s| s.text(Tag(0x0009, 0x100D), VR::DT, "20260302095930.00"))
            .collect()
    };
    let read = read_series(&saved_anew("GEMS_PETD_01")).unwrap();
    assert_eq!(read.image.series_start.unwrap().to_string(), "2026-03-02T09:59:30Z");
    assert_truth(&read, &parameters(), 2e-6);
    // The same element of another creator means something else.
    let other = read_series(&saved_anew("ACME_01")).unwrap();
    assert_eq!(other.image.series_start.unwrap().to_string(), "2026-03-02T12:00:00Z");
}

#[test]
fn uptake_values_go_back_to_activity_and_other_units_do_not() {
    // 400 MBq an hour before, 80 kg: Bq/ml = SUV × D e^(−λ·3600 s) / 80000 g.
    let per_suv = 400e6 * (-lambda() * 3600.0).exp() / 80_000.0;
    let suv: Vec<Build> = (0..SLICES)
        .map(|k| {
            let peak = 1000 + 100 * k as u16;
            slice(k, "START", 0.0)
                .cs(tags::UNITS, "GML")
                .cs(tags::SUV_TYPE, "BW")
                .ds(tags::RESCALE_SLOPE, &format!("{:.12}", TRUTH / per_suv / f64::from(peak)))
        })
        .collect();
    assert_truth(&read_series(&suv).unwrap(), &parameters(), 1e-5);
    let light: Vec<Build> = suv.iter().map(|s| s.clone().without(tags::PATIENT_WEIGHT)).collect();
    let read = read_series(&light).unwrap();
    let missing = "Patient's Weight (0010,1030)";
    assert_eq!(activity_map(&read.image, &parameters()), Err(QuantifyError::Suv { missing }));
    let lean: Vec<Build> = suv.iter().map(|s| s.clone().cs(tags::SUV_TYPE, "LBM")).collect();
    assert!(read_series(&lean).unwrap_err().to_string().contains("BQML"));
    let counts: Vec<Build> =
        series("START", 0.0).into_iter().map(|s| s.cs(tags::UNITS, "CNTS")).collect();
    let read = read_series(&counts).unwrap();
    assert_eq!(activity_map(&read.image, &parameters()), Err(QuantifyError::NoCalibration));
}

#[test]
fn a_plan_that_differs_is_warned_of() {
    let read = read_series(&series("START", 0.0)).unwrap();
    let mut with_plan = parameters();
    with_plan.plausible_fraction = [0.0, 1.2];
    let at = "2026-03-02T09:00:00Z".parse().unwrap();
    with_plan.administered = Some(Administration { activity: Becquerel::from_mbq(300.0), at });
    let map = activity_map(&read.image, &with_plan).unwrap();
    assert_eq!(codes(&map.warnings), ["administered-activity-differs"]);
}

/// The same slices as one Enhanced PET, frames in the given order.
fn enhanced(order: &[usize]) -> Build {
    let shared = Build::item()
        .sequence(
            tags::PIXEL_MEASURES_SEQUENCE,
            vec![Build::item().ds(tags::PIXEL_SPACING, "4\\4").ds(tags::SLICE_THICKNESS, "3.27")],
        )
        .sequence(
            tags::PLANE_ORIENTATION_SEQUENCE,
            vec![Build::item().ds(tags::IMAGE_ORIENTATION_PATIENT, "1\\0\\0\\0\\1\\0")],
        );
    let number =
        |object: &Build, tag| object.0.get(tag).unwrap().to_str().unwrap().trim().to_owned();
    let slices = series("START", 0.0);
    let frame = |&k: &usize| {
        let one = &slices[k];
        let clock = number(one, tags::ACQUISITION_TIME);
        let position = one.0.get(tags::IMAGE_POSITION_PATIENT).unwrap();
        let position = position.value().to_multi_str().unwrap().join("\\");
        Build::item()
            .sequence(
                tags::FRAME_CONTENT_SEQUENCE,
                vec![
                    Build::item()
                        .text(
                            tags::FRAME_ACQUISITION_DATE_TIME,
                            VR::DT,
                            &format!("20260302{clock}"),
                        )
                        .fd(tags::FRAME_ACQUISITION_DURATION, &[DURATION * 1000.0]),
                ],
            )
            .sequence(
                tags::PLANE_POSITION_SEQUENCE,
                vec![Build::item().ds(tags::IMAGE_POSITION_PATIENT, &position)],
            )
            .sequence(
                tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE,
                vec![
                    Build::item()
                        .ds(tags::RESCALE_SLOPE, &number(one, tags::RESCALE_SLOPE))
                        .ds(tags::RESCALE_INTERCEPT, "0")
                        .text(tags::RESCALE_TYPE, VR::LO, "BQML"),
                ],
            )
    };
    let words: Vec<u16> = order.iter().flat_map(|&k| [1000 + 100 * k as u16; 4]).collect();
    Build::instance(uids::ENHANCED_PET_IMAGE_STORAGE, "PT", 50)
        .cs(tags::DECAY_CORRECTED, "YES")
        .text(tags::DECAY_CORRECTION_DATE_TIME, VR::DT, "20260302110000+0100")
        .sequence(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![shared])
        .sequence(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, order.iter().map(frame).collect())
        .pixels(SIDE, SIDE, SLICES, 16)
        .words(&words)
}

#[test]
fn enhanced_pet_is_the_same_volume_whatever_the_order_of_its_frames() {
    let legacy = read_series(&series("START", 0.0)).unwrap();
    for order in [[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0], [3, 0, 5, 1, 4, 2]] {
        let read = read_series(&[enhanced(&order)]).unwrap();
        assert_eq!(read.image.values, legacy.image.values);
        assert_truth(&read, &parameters(), 2e-6);
    }
}

/// The same slices as a legacy-converted instance: what has no place in the functional groups
/// stands among the unassigned converted attributes.
fn legacy_converted() -> Build {
    converted(&series("START", 0.0))
}

fn converted(slices: &[Build]) -> Build {
    let copy = |k: usize, attributes: &[dicom_core::Tag]| {
        let mut item = Build::item();
        for &tag in attributes {
            item.0.put(slices[k].0.get(tag).unwrap().clone());
        }
        item
    };
    let shared = Build::item()
        .sequence(tags::PIXEL_MEASURES_SEQUENCE, vec![copy(0, &[tags::PIXEL_SPACING])])
        .sequence(
            tags::PLANE_ORIENTATION_SEQUENCE,
            vec![copy(0, &[tags::IMAGE_ORIENTATION_PATIENT])],
        )
        .sequence(
            tags::UNASSIGNED_SHARED_CONVERTED_ATTRIBUTES_SEQUENCE,
            vec![copy(
                0,
                &[
                    tags::UNITS,
                    tags::DECAY_CORRECTION,
                    tags::CORRECTED_IMAGE,
                    tags::ACTUAL_FRAME_DURATION,
                ],
            )],
        );
    let frame = |k: usize| {
        Build::item()
            .sequence(tags::PLANE_POSITION_SEQUENCE, vec![copy(k, &[tags::IMAGE_POSITION_PATIENT])])
            .sequence(
                tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE,
                vec![copy(k, &[tags::RESCALE_SLOPE, tags::RESCALE_INTERCEPT])],
            )
            .sequence(
                tags::UNASSIGNED_PER_FRAME_CONVERTED_ATTRIBUTES_SEQUENCE,
                vec![copy(
                    k,
                    &[tags::ACQUISITION_DATE, tags::ACQUISITION_TIME, tags::DECAY_FACTOR],
                )],
            )
    };
    let words: Vec<u16> = (0..SLICES).flat_map(|k| [1000 + 100 * k as u16; 4]).collect();
    Build::instance(uids::LEGACY_CONVERTED_ENHANCED_PET_IMAGE_STORAGE, "PT", 60)
        .text(tags::SERIES_DATE, VR::DA, "20260302")
        .text(tags::SERIES_TIME, VR::TM, "100000")
        .sequence(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![shared])
        .sequence(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, (0..SLICES).map(frame).collect())
        .pixels(SIDE, SIDE, SLICES, 16)
        .words(&words)
}

#[test]
fn legacy_converted_pet_keeps_the_slope_and_decay_factor_of_each_frame() {
    let legacy = read_series(&series("START", 0.0)).unwrap();
    let read = read_series(&[legacy_converted()]).unwrap();
    assert_eq!(read.image.values, legacy.image.values);
    assert_eq!(read.image.slices, legacy.image.slices);
    assert_truth(&read, &parameters(), 2e-6);
}

#[test]
fn legacy_converted_pet_keeps_every_correction_that_its_slices_name() {
    let named = |terms: &str| {
        let slices: Vec<Build> = series("START", 0.0)
            .into_iter()
            .map(|slice| slice.cs(tags::CORRECTED_IMAGE, terms))
            .collect();
        read_series(&[converted(&slices)]).unwrap().image.dead_time_corrected
    };
    assert!(named("DECY\\ATTN\\DTIM"));
    assert!(!named("DECY\\ATTN"));
}
