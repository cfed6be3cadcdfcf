mod carried_over;

use super::*;
use proptest::prelude::*;
use std::f64::consts::LN_2;

const LU_177: f64 = 159.53;

fn curve(points: &[(f64, f64)], physical_half_life_h: f64) -> TimeActivityCurve {
    with_uncertainty(points, physical_half_life_h, None)
}

fn with_uncertainty(
    points: &[(f64, f64)],
    physical_half_life_h: f64,
    relative_uncertainty: Option<f64>,
) -> TimeActivityCurve {
    TimeActivityCurve {
        points: points
            .iter()
            .map(|&(h, mbq)| CurvePoint {
                time: Seconds::from_hours(h),
                activity: Becquerel::from_mbq(mbq),
                relative_uncertainty,
            })
            .collect(),
        physical: Seconds::from_hours(physical_half_life_h).half_life_to_rate(),
    }
}

fn tia(fit: &Fit) -> f64 {
    fit.time_integrated_activity.mbq_h()
}

fn half_life(fit: &Fit) -> f64 {
    fit.effective_half_life.unwrap().hours()
}

#[track_caller]
fn assert_near(found: f64, wanted: f64, relative: f64) {
    assert!((found / wanted - 1.0).abs() <= relative, "{found} is not {wanted}");
}

/// Agrees with a printed number to half a unit of its last digit.
#[track_caller]
fn assert_printed(found: f64, printed: &str) {
    let decimals = printed.split_once('.').map_or(0, |(_, after)| after.len());
    let half_unit = 0.5 * 10f64.powi(-(decimals as i32));
    let wanted: f64 = printed.parse().unwrap();
    assert!((found - wanted).abs() <= half_unit * 1.001, "{found} is not {printed}");
}

fn has(fit: &Fit, code: &str) -> bool {
    fit.warnings.iter().any(|w| w.code == code)
}

fn single(half_life_h: f64) -> Method<'static> {
    Method::SingleTimePoint {
        effective_half_life: Seconds::from_hours(half_life_h),
        relative_uncertainty: Some(0.1),
    }
}

#[test]
fn the_table_of_constants_is_readable_and_tagged() {
    for c in CONSTANTS.all() {
        assert!(["S", "P", "D", "M"].contains(&c.provenance.as_str()));
        assert!(c.value > 0.0 && !c.source.is_empty() && !c.unit.is_empty());
    }
}

#[test]
fn v10_uppsala_kidney_concentration_gives_3_6042_gy() {
    // MBq/ml; density 1.05 g/ml and 85.32 mGy g/(MBq h) as the protocol states them.
    let fit = fit(
        &curve(&[(24.0, 0.42), (96.0, 0.165), (168.0, 0.066)], LU_177),
        Method::MonoExponential,
    )
    .unwrap();
    assert_printed(fit.terms[0].amplitude.mbq(), "0.57003");
    assert_printed(half_life(&fit), "53.936");
    assert_printed(tia(&fit) / 1.05, "42.243");
    assert_printed(tia(&fit) / 1.05 * 85.32e-3, "3.6042");
}

#[test]
fn v11_next_cycle_from_one_point_and_the_earlier_half_life() {
    let fit = fit(&curve(&[(24.0, 0.39)], LU_177), single(53.936)).unwrap();
    assert_printed(tia(&fit) / 1.05 * 85.32e-3, "3.3568");
}

#[test]
fn v26_two_times_approximation_and_its_truths() {
    let point = curve(&[(96.0, 30.0)], LU_177);
    let two = fit(&point, Method::TwoTimes).unwrap();
    assert_printed(tia(&two), "8309.9");
    assert!(has(&two, "two-times-approximation"));
    for (half_life, truth) in
        [(40.0, "9137.5"), (51.0, "8137.9"), (67.0, "7828.8"), (77.0, "7908.5")]
    {
        assert_printed(tia(&fit(&point, single(half_life)).unwrap()), truth);
    }
}

#[test]
fn v27_population_half_life_underestimates_on_both_sides() {
    for (truth, ratio) in [(40.0, "0.97418"), (51.0, "1.0000"), (60.0, "0.98439")] {
        let rate = LN_2 / truth;
        let point = curve(&[(72.0, (-rate * 72.0).exp())], LU_177);
        let estimate = tia(&fit(&point, single(51.0)).unwrap());
        assert_printed(estimate * rate, ratio);
    }
}

#[test]
fn v37_mono_exponential_through_four_points() {
    let points = [(4.0, 60.0), (24.0, 42.0), (72.0, 20.0), (168.0, 4.5)];
    let fit = fit(&curve(&points, LU_177), Method::MonoExponential).unwrap();
    assert_printed(tia(&fit), "3979.6");
    assert_printed(half_life(&fit), "44.170");
}

#[test]
fn v38_a_better_fit_can_lose() {
    let mono = aicc(6, 12.0, 3).unwrap();
    let bi = aicc(6, 1.1, 4).unwrap();
    assert!((mono - 22.159).abs() < 5e-4 && (bi - 37.821).abs() < 5e-4);
    assert!((akaike_weights(&[mono, bi])[0] - 0.99960).abs() < 5e-6);
    assert_eq!(aicc(4, 1.0, 3), None);
    assert_eq!(aicc(0, 1.0, 3), None);
}

#[test]
fn v40_two_points_carry_their_uncertainty_to_the_integral() {
    let fit = fit(
        &with_uncertainty(&[(24.0, 42.0), (168.0, 6.0)], LU_177, Some(0.05)),
        Method::MonoExponential,
    )
    .unwrap();
    assert_printed(fit.terms[0].rate.value() * 3600.0, "0.013513");
    assert_printed(tia(&fit), "4298.7");
    assert_printed(fit.relative_uncertainty.unwrap(), "0.036969");
}

#[test]
fn a_rise_that_noise_explains_is_clamped_to_physical_decay_and_says_so() {
    let level = curve(&[(4.0, 10.0), (24.0, 9.0), (72.0, 10.5)], LU_177);
    let fit = fit(&level, Method::MonoExponential).unwrap();
    assert_near(half_life(&fit), LU_177, 1e-9);
    assert!(has(&fit, "rate-at-physical"));
    assert!(fit.relative_uncertainty.unwrap() > 0.0);
}

#[test]
fn a_rising_curve_has_no_tail_that_could_be_stood_by() {
    let points =
        [(4.0, 10.0), (24.0, 20.0), (72.0, 30.0), (96.0, 40.0), (120.0, 50.0), (144.0, 55.0)];
    let rising = curve(&points[..3], LU_177);
    for method in [Method::MonoExponential, Method::SelectByAicc] {
        let error = fit(&rising, method).unwrap_err();
        assert!(matches!(error, KineticsError::Rising { .. }), "{error}");
        assert!(error.to_string().contains("add later time points"));
    }
    // An uptake explains the rise; that its clearance is not seen is a warning.
    let uptake = fit(&curve(&points, LU_177), Method::SelectByAicc).unwrap();
    assert_eq!(uptake.model, "uptake-clearance");
    assert!(has(&uptake, "rate-at-physical") && has(&uptake, "extrapolated-fraction"));
}

#[test]
fn a_single_half_life_above_the_physical_one_is_clamped_and_says_so() {
    let fit = fit(&curve(&[(24.0, 1.0)], LU_177), single(300.0)).unwrap();
    assert_near(half_life(&fit), LU_177, 1e-9);
    assert!(has(&fit, "half-life-above-physical"));
}

#[test]
fn an_unknown_half_life_uncertainty_is_not_guessed() {
    let method = Method::SingleTimePoint {
        effective_half_life: Seconds::from_hours(50.0),
        relative_uncertainty: None,
    };
    let fit = fit(&curve(&[(24.0, 1.0)], LU_177), method).unwrap();
    assert_eq!(fit.relative_uncertainty, None);
    assert!(has(&fit, "half-life-uncertainty-unknown"));
}

#[test]
fn extrapolation_beyond_a_fifth_is_a_warning() {
    let early = curve(&[(1.0, 10.0), (4.0, 9.6)], LU_177);
    let fit = fit(&early, Method::MonoExponential).unwrap();
    assert!(fit.extrapolated_fraction > 0.9 && has(&fit, "extrapolated-fraction"));
}

#[test]
fn meaningless_curves_are_refused() {
    let refused = |points: &[(f64, f64)], method| fit(&curve(points, LU_177), method).unwrap_err();
    let mono = Method::MonoExponential;
    assert_eq!(refused(&[], mono), KineticsError::NoPoint);
    assert!(matches!(refused(&[(1.0, 1.0)], mono), KineticsError::TooFewPoints { .. }));
    assert!(matches!(
        refused(&[(1.0, 1.0)], Method::SelectByAicc),
        KineticsError::TooFewPoints { .. }
    ));
    let three = [(1.0, 3.0), (2.0, 2.0), (3.0, 1.0)];
    assert!(matches!(refused(&three, Method::BiExponential), KineticsError::TooFewPoints { .. }));
    assert!(matches!(refused(&[(1., 1.), (1., 2.)], mono), KineticsError::NotAscending { .. }));
    assert!(matches!(refused(&[(2., 1.), (1., 2.)], mono), KineticsError::NotAscending { .. }));
    assert!(matches!(
        refused(&[(-1., 1.), (1., 2.)], mono),
        KineticsError::BeforeAdministration { .. }
    ));
    assert!(matches!(refused(&[(1., 0.), (2., 2.)], mono), KineticsError::NotPositive { .. }));
    assert!(matches!(refused(&[(1., -3.), (2., 2.)], mono), KineticsError::NotPositive { .. }));
    assert!(matches!(refused(&[(1., f64::NAN), (2., 2.)], mono), KineticsError::NotFinite { .. }));
    assert!(matches!(refused(&[(f64::INFINITY, 1.)], mono), KineticsError::NotFinite { .. }));
    assert!(matches!(refused(&[(24., 1.)], single(-1.0)), KineticsError::HalfLife(_)));
    assert!(matches!(
        refused(&[(200., 1.)], Method::TwoTimes),
        KineticsError::BeyondPhysicalHalfLife { .. }
    ));
    assert!(matches!(
        fit(&with_uncertainty(&three, LU_177, Some(0.0)), mono),
        Err(KineticsError::Uncertainty { .. })
    ));
    assert!(matches!(fit(&curve(&three, -1.0), mono), Err(KineticsError::PhysicalRate(_))));
}

fn sampled(terms: &[(f64, f64)], hours: &[f64]) -> Vec<(f64, f64)> {
    hours
        .iter()
        .map(|&t| (t, terms.iter().map(|(a, half)| a * (-LN_2 / half * t).exp()).sum()))
        .collect()
}

#[test]
fn noise_free_two_phases_are_recovered_to_a_millionth() {
    let truth = [(30.0, 70.0), (80.0, 6.0)];
    for hours in [&[1.0, 4.0, 24.0, 96.0][..], &[1.0, 4.0, 10.0, 24.0, 48.0, 96.0, 168.0][..]] {
        let fit = fit(&curve(&sampled(&truth, hours), LU_177), Method::BiExponential).unwrap();
        assert_eq!(fit.model, "bi-exponential");
        assert_near(tia(&fit), (30.0 * 70.0 + 80.0 * 6.0) / LN_2, 1e-6);
        for (term, (a, half)) in fit.terms.iter().zip(truth) {
            assert_near(term.amplitude.mbq(), a, 1e-6);
            assert_near(term.rate.half_life().hours(), half, 1e-6);
        }
    }
}

#[test]
fn noise_free_uptake_is_recovered_and_starts_from_nothing() {
    let hours = [0.5, 2.0, 6.0, 24.0, 72.0, 168.0];
    let points = sampled(&[(100.0, 80.0), (-100.0, 3.0)], &hours);
    for method in [Method::BiExponential, Method::SelectByAicc] {
        let fit = fit(&curve(&points, LU_177), method).unwrap();
        assert_eq!(fit.model, "uptake-clearance");
        assert_near(tia(&fit), 100.0 * (80.0 - 3.0) / LN_2, 1e-6);
        assert_eq!(fit.terms[0].amplitude.value() + fit.terms[1].amplitude.value(), 0.0);
    }
}

#[test]
fn selection_takes_what_the_points_support_and_lists_what_it_tried() {
    let hours = [1.0, 4.0, 10.0, 24.0, 48.0, 96.0, 168.0];
    let two = curve(&sampled(&[(30.0, 70.0), (80.0, 6.0)], &hours), LU_177);
    let chosen = fit(&two, Method::SelectByAicc).unwrap();
    assert_eq!(chosen.model, "bi-exponential");
    assert!(chosen.candidates.len() >= 2);
    assert_near(chosen.candidates.iter().map(|c| c.weight).sum::<f64>(), 1.0, 1e-12);
    let one = curve(&sampled(&[(30.0, 70.0)], &hours), LU_177);
    assert_eq!(fit(&one, Method::SelectByAicc).unwrap().model, "mono-exponential");
    let four = curve(&sampled(&[(30.0, 70.0)], &hours[..4]), LU_177);
    let few = fit(&four, Method::SelectByAicc).unwrap();
    assert!(few.model == "mono-exponential" && has(&few, "model-not-selected"));
}

#[test]
fn one_phase_under_a_two_phase_fit_stays_one_phase() {
    let hours = [1.0, 24.0, 48.0, 96.0, 168.0];
    let fit =
        fit(&curve(&sampled(&[(30.0, 70.0)], &hours), LU_177), Method::BiExponential).unwrap();
    assert_eq!(fit.model, "mono-exponential");
    assert!(has(&fit, "second-phase-not-seen"));
    assert_near(half_life(&fit), 70.0, 1e-9);
}

/// One phase, each point off by up to a hundred-thousandth as stored values are.
#[test]
fn phases_that_the_points_leave_open_are_one_with_an_uncertainty() {
    let mut state = 7u64;
    for _ in 0..40 {
        let mut points = sampled(&[(30.0, 45.0)], &[1.0, 4.0, 24.0, 72.0, 144.0]);
        for (_, value) in &mut points {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *value *= 1.0 + 2e-5 * ((state >> 33) as f64 / (1u64 << 31) as f64 - 0.5);
        }
        for method in [Method::BiExponential, Method::TwoClearances] {
            let fit = fit(&curve(&points, LU_177), method).unwrap();
            assert!(fit.relative_uncertainty.is_some(), "{fit:?}");
            assert_near(tia(&fit), 30.0 * 45.0 / LN_2, 1e-2);
        }
    }
}

#[test]
fn no_phase_outlives_the_nuclide() {
    let hours = [1.0, 4.0, 24.0, 96.0, 168.0, 240.0, 336.0];
    let points = sampled(&[(30.0, 400.0), (80.0, 6.0)], &hours);
    let fit = fit(&curve(&points, LU_177), Method::BiExponential).unwrap();
    assert!(half_life(&fit) <= LU_177 * (1.0 + 1e-9));
    assert!(has(&fit, "rate-at-physical"));
}

#[test]
fn noise_free_three_phases_are_recovered_to_a_thousandth() {
    let hours = [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 24.0, 48.0, 96.0, 168.0, 240.0];
    let truth = [(30.0, 90.0), (60.0, 15.0), (50.0, 1.5)];
    let integral = truth.iter().map(|(a, half)| a * half).sum::<f64>() / LN_2;
    for method in [Method::TriExponential, Method::SelectByAicc] {
        let fit = fit(&curve(&sampled(&truth, &hours), LU_177), method).unwrap();
        assert_eq!(fit.model, "tri-exponential");
        assert_near(tia(&fit), integral, 1e-3);
    }
    let two = curve(&sampled(&truth[..2], &hours), LU_177);
    let fewer = fit(&two, Method::TriExponential).unwrap();
    assert!(fewer.model == "bi-exponential" && has(&fewer, "third-phase-not-seen"));
    assert!(matches!(
        fit(&curve(&sampled(&truth, &hours[..5]), LU_177), Method::TriExponential),
        Err(KineticsError::TooFewPoints { needed: 6, .. })
    ));
}

#[test]
fn uptake_from_three_points_is_exact_and_one_phase_stays_one() {
    let points = sampled(&[(100.0, 80.0), (-100.0, 3.0)], &[2.0, 24.0, 96.0]);
    let found = fit(&curve(&points, LU_177), Method::UptakeClearance).unwrap();
    assert_near(tia(&found), 100.0 * 77.0 / LN_2, 1e-6);
    let falling = sampled(&[(100.0, 80.0)], &[2.0, 24.0, 96.0, 168.0]);
    let one = fit(&curve(&falling, LU_177), Method::UptakeClearance).unwrap();
    assert!(one.model == "mono-exponential" && has(&one, "second-phase-not-seen"));
}

#[test]
fn noise_free_spectra_are_recovered_to_a_thousandth() {
    // A mono-exponential whose rate lies between two of the basis, and two phases.
    let hours = [1.0, 4.0, 10.0, 24.0, 48.0, 96.0, 168.0, 240.0];
    for truth in [&[(30.0, 70.0)][..], &[(30.0, 70.0), (80.0, 6.0)][..]] {
        let fit = fit(&curve(&sampled(truth, &hours), LU_177), Method::Spectral).unwrap();
        let integral = truth.iter().map(|(a, half)| a * half).sum::<f64>() / LN_2;
        assert_near(tia(&fit), integral, 1e-3);
        assert!(fit.terms.iter().all(|t| t.amplitude.value() > 0.0));
    }
}

#[test]
fn v37_trapezoids_by_choice_of_start_and_tail() {
    let points = curve(&[(4.0, 60.0), (24.0, 42.0), (72.0, 20.0), (168.0, 4.5)], LU_177);
    let with = |start, tail| fit(&points, Method::Trapezoid { start, tail }).unwrap();
    let physical = with(TrapezoidStart::Constant, TrapezoidTail::Physical);
    assert_printed(tia(&physical), "4959.7");
    let tail = tia(&physical) * physical.extrapolated_fraction;
    assert_printed(tail, "1035.7");
    assert_near(tia(&physical) * physical.interpolated_fraction, 240.0, 1e-9);
    assert_near(tia(&physical) - tail - 240.0, 3684.0, 1e-9);
    let fitted = with(TrapezoidStart::Constant, TrapezoidTail::LastTwo);
    assert_printed(tia(&fitted) * fitted.extrapolated_fraction, "289.61");
    let from_zero = with(TrapezoidStart::FromZero, TrapezoidTail::Physical);
    assert_near(tia(&physical) - tia(&from_zero), 120.0, 1e-9);
    assert!(
        physical.bias.unwrap().high > 0.0 && has(&physical_again(&points), "extrapolated-fraction")
    );
}

fn physical_again(points: &TimeActivityCurve) -> Fit {
    let method =
        Method::Trapezoid { start: TrapezoidStart::Constant, tail: TrapezoidTail::Physical };
    fit(points, method).unwrap()
}

#[test]
fn a_trapezoid_of_many_points_approaches_the_integral_from_above() {
    let hours: Vec<f64> = (0..200).map(|n| f64::from(n) * 2.0).collect();
    let points = curve(&sampled(&[(30.0, 70.0)], &hours), LU_177);
    let method =
        Method::Trapezoid { start: TrapezoidStart::Constant, tail: TrapezoidTail::LastTwo };
    let fit = fit(&points, method).unwrap();
    let excess = tia(&fit) / (30.0 * 70.0 / LN_2) - 1.0;
    // (λ Δt)²/12 for lines between points of an exponential.
    assert_near(excess, (LN_2 / 70.0 * 2.0f64).powi(2) / 12.0, 0.03);
    assert_near(fit.bias.unwrap().high, excess, 0.03);
}

#[test]
fn bias_of_one_point_has_the_signs_of_madsen_and_haenscheid() {
    // x = t/T of .75, 1, 1.4427, 2, 2.5: 2x·2^(−x) = .89191, 1, 1.0615, 1, .88388.
    let two = fit(&curve(&[(60.0, 1.0)], LU_177), Method::TwoTimes).unwrap().bias.unwrap();
    assert_near(two.low, 0.88388 - 1.0, 1e-4);
    assert_near(two.high, 1.0615 - 1.0, 1e-3);
    // At t = 1/λ both sides underestimate.
    let stated = fit(&curve(&[(51.0 / LN_2, 1.0)], LU_177), single(51.0)).unwrap();
    let bias = stated.bias.unwrap();
    assert!(bias.low < 0.0 && bias.high.abs() < 1e-3, "{bias:?}");
    // Physical decay in place of a faster one: too high from an early image.
    let physical = fit(&curve(&[(4.0, 1.0)], LU_177), Method::PhysicalOnly).unwrap();
    assert!(physical.bias.unwrap().high > 0.5);
    // Several points have no such bias.
    let many = curve(&sampled(&[(1.0, 50.0)], &[4.0, 24.0]), LU_177);
    assert_eq!(fit(&many, Method::MonoExponential).unwrap().bias, None);
}

fn library() -> CurveLibrary {
    let curve = |terms: &[(f64, f64)]| {
        terms
            .iter()
            .map(|&(fraction, effective_half_life_h)| LibraryTerm {
                fraction,
                effective_half_life_h,
            })
            .collect()
    };
    CurveLibrary {
        source: "three made-up patients".into(),
        curves: vec![
            curve(&[(1.0, 40.0)]),
            curve(&[(2.0, 50.0)]),
            curve(&[(1.0, 60.0), (-1.0, 2.0)]),
        ],
    }
}

#[test]
fn a_library_gives_the_mean_of_its_curves_through_the_point() {
    let fit = fit(&curve(&[(72.0, 30.0)], LU_177), Method::Library(&library())).unwrap();
    let exponential = |half: f64| half / LN_2 * 2f64.powf(72.0 / half);
    let uptake = 58.0 / LN_2 / (2f64.powf(-72.0 / 60.0) - 2f64.powf(-36.0));
    let each = [exponential(40.0), exponential(50.0), uptake];
    let mean = each.iter().sum::<f64>() / 3.0;
    assert_near(tia(&fit), 30.0 * mean, 1e-9);
    let sd = (each.iter().map(|r| (r / mean - 1.0).powi(2)).sum::<f64>() / 2.0).sqrt();
    assert_near(fit.relative_uncertainty.unwrap(), sd.hypot(0.1), 1e-9);
    assert_near(fit.activity_at(Seconds::from_hours(72.0)).unwrap(), 30e6, 1e-9);
    // The curve that is the truth of a patient is off by no more than the stated bias.
    let bias = fit.bias.unwrap();
    for truth in each {
        let off = mean / truth - 1.0;
        assert!(off >= bias.low - 1e-12 && off <= bias.high + 1e-12, "{off} {bias:?}");
    }
}

#[test]
fn a_library_that_cannot_be_is_refused() {
    let point = curve(&[(72.0, 30.0)], LU_177);
    let refused = |library: &CurveLibrary| {
        matches!(fit(&point, Method::Library(library)), Err(KineticsError::Library { .. }))
    };
    let mut one = library();
    one.curves.truncate(1);
    let mut slow = library();
    slow.curves[0][0].effective_half_life_h = 200.0;
    let mut negative = library();
    negative.curves[1][0].fraction = -1.0;
    assert!(refused(&one) && refused(&slow) && refused(&negative));
}

#[test]
fn what_nukfit_asks_of_parameters_is_reported() {
    let hours = [1.0, 4.0, 24.0, 48.0, 96.0, 168.0];
    let clear = curve(&sampled(&[(30.0, 70.0)], &hours), LU_177);
    let checks = fit(&clear, Method::MonoExponential).unwrap().checks.unwrap();
    assert!(checks.uncertainty_passed && checks.largest_relative_uncertainty < 0.2);
    // Phases so close that only their sum is known.
    let close = curve(&sampled(&[(30.0, 70.0), (30.0, 40.0)], &hours), LU_177);
    let two = fit(&close, Method::BiExponential).unwrap();
    let checks = two.checks.unwrap();
    assert!(!checks.uncertainty_passed && !checks.correlation_passed);
    assert!(has(&two, "parameter-not-determined"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn noise_free_mono_is_recovered(
        a in 1e-3f64..1e4, half in 5.0f64..159.0,
        times in prop::collection::btree_set(1u32..300, 2..8),
    ) {
        let hours: Vec<f64> = times.into_iter().map(f64::from).collect();
        let fit = fit(&curve(&sampled(&[(a, half)], &hours), LU_177), Method::MonoExponential)
            .unwrap();
        prop_assert!((tia(&fit) / (a * half / LN_2) - 1.0).abs() < 1e-6);
        prop_assert!((half_life(&fit) / half - 1.0).abs() < 1e-6);
    }

    #[test]
    fn noise_free_bi_is_recovered(
        a in 1.0f64..100.0, slow in 40.0f64..150.0, b in 1.0f64..100.0, fast in 3.0f64..12.0,
    ) {
        let hours = [1.0, 4.0, 8.0, 24.0, 48.0, 96.0, 168.0];
        let fit = fit(
            &curve(&sampled(&[(a, slow), (b, fast)], &hours), LU_177), Method::BiExponential,
        ).unwrap();
        let truth = (a * slow + b * fast) / LN_2;
        prop_assert!((tia(&fit) / truth - 1.0).abs() < 1e-6, "{} {}", tia(&fit), truth);
    }

    #[test]
    fn whatever_the_points_the_answer_is_finite_positive_and_repeatable(
        points in prop::collection::vec((0.0f64..300.0, -12.0f64..12.0), 1..9),
        physical in 0.5f64..2000.0,
    ) {
        let mut points: Vec<(f64, f64)> =
            points.into_iter().map(|(t, p)| (t, 10f64.powf(p))).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let curve = curve(&points, physical);
        for method in [
            Method::MonoExponential, Method::BiExponential, Method::SelectByAicc,
            Method::PhysicalOnly, single(30.0), Method::TwoTimes, Method::Spectral,
            Method::UptakeClearance,
            Method::Trapezoid { start: TrapezoidStart::FromZero, tail: TrapezoidTail::LastTwo },
        ] {
            if let Ok(f) = fit(&curve, method) {
                prop_assert!(tia(&f).is_finite() && tia(&f) > 0.0);
                prop_assert!((0.0..=1.0).contains(&f.extrapolated_fraction));
                prop_assert!(f.relative_uncertainty.is_none_or(|u| u.is_finite() && u >= 0.0));
                for term in &f.terms {
                    prop_assert!(term.amplitude.is_finite());
                    prop_assert!(term.rate.value() >= curve.physical.value() * (1.0 - 1e-9));
                }
                prop_assert_eq!(fit(&curve, method), Ok(f));
            }
        }
    }

    #[test]
    fn doubling_activity_doubles_the_integral(scale in 0.1f64..10.0) {
        let base = [(1.0, 50.0), (4.0, 40.0), (24.0, 30.0), (96.0, 9.0), (168.0, 4.0)];
        let scaled = base.map(|(t, a)| (t, a * scale));
        let [one, other] = [base, scaled]
            .map(|p| tia(&fit(&curve(&p, LU_177), Method::BiExponential).unwrap()));
        prop_assert!((other / one / scale - 1.0).abs() < 1e-6);
    }
}
