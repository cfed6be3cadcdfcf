//! One scan's or one nuclide's curve carried over to another's.

use super::*;

#[test]
fn v43_hybrid_planar_shape_through_one_spect() {
    let planar = curve(&sampled(&[(1234.0, 60.0)], &[4.0, 24.0, 72.0, 144.0]), LU_177);
    let shape = fit(&planar, Method::MonoExponential).unwrap();
    let spect = CurvePoint {
        time: Seconds::from_hours(24.0),
        activity: Becquerel::from_mbq(28.0),
        relative_uncertainty: Some(0.05),
    };
    let hybrid = shape.scaled_through(spect).unwrap();
    assert_printed(tia(&hybrid), "3198.1");
    // Kidneys of 290 g, S value of the male reference for 310 g, mGy/(MBq s).
    assert_printed(tia(&hybrid) * 3600.0 * 7.76e-5 * 310.0 / 290.0 / 1000.0, "0.95504");
    // By hand: ln Ã = ln A − ln λ + λt* and λ alone is uncertain, 1/√spread.
    let rate = LN_2 / 60.0;
    let mean = (4.0 + 24.0 + 72.0 + 144.0) / 4.0;
    let spread: f64 = [4.0f64, 24.0, 72.0, 144.0].iter().map(|t| (t - mean).powi(2)).sum();
    let by_rate = (24.0 - 1.0 / rate) * 0.1 / spread.sqrt();
    assert_near(hybrid.relative_uncertainty.unwrap(), by_rate.hypot(0.05), 1e-6);
    let unknown = CurvePoint { relative_uncertainty: None, ..spect };
    assert_eq!(shape.scaled_through(unknown).unwrap().relative_uncertainty, None);
    let before = CurvePoint { time: Seconds::from_hours(-1.0), ..spect };
    assert!(matches!(
        shape.scaled_through(before),
        Err(KineticsError::BeforeAdministration { .. })
    ));
}

#[test]
fn v20_bremsstrahlung_shape_through_one_pet() {
    let shape = sampled(&[(0.6, 6.0), (0.4, 40.0)], &[1.0, 5.0, 6.0, 24.0, 48.0, 72.0]);
    let shape = fit(&curve(&shape, 64.1), Method::BiExponential).unwrap();
    let at_5_h = shape.activity_at(Seconds::from_hours(5.0)).unwrap() / 1e6;
    assert_printed(at_5_h, "0.70354");
    let pet = CurvePoint {
        time: Seconds::from_hours(5.0),
        activity: Becquerel::from_mbq(55.0),
        relative_uncertainty: Some(0.1),
    };
    let scaled = shape.scaled_through(pet).unwrap();
    assert_printed(scaled.terms[0].amplitude.mbq() / 0.4, "78.176");
    assert_printed(tia(&scaled), "2210.6");
    // 300 g, 0.9331 MeV of electrons a decay.
    let delta = 0.9331 * 1.602_176_634e-13 * 3600.0 * 1e12;
    assert_printed(tia(&scaled) * delta / 300.0 / 1000.0, "3.9657");
}

fn per_hour(half_life_h: f64) -> PerSecond {
    Seconds::from_hours(half_life_h).half_life_to_rate()
}

#[test]
fn v42_indium_surrogate_integrated_with_yttrium() {
    let (indium, yttrium) = (67.313, 64.10);
    let effective = 1.0 / (1.0 / 150.0 + 1.0 / indium);
    let hours = [2.0, 4.0, 24.0, 72.0, 144.0];
    // MBq per MBq administered.
    let measured =
        fit(&curve(&sampled(&[(0.18, effective)], &hours), indium), Method::MonoExponential)
            .unwrap();
    assert_printed(tia(&measured), "12.066");
    let therapy = measured.with_nuclide(per_hour(indium), per_hour(yttrium)).unwrap();
    assert_printed(tia(&therapy), "11.662");
    assert!(has(&therapy, "surrogate-nuclide"));
    // Liver of 1700 g, S value of the male reference for 1800 g.
    let d = tia(&therapy) * 3600.0 * 8.05e-5 * 1800.0 / 1700.0;
    assert_printed(d, "3.5785");
    assert_printed(24.0 / d, "6.7067");
    assert_printed(24.0 / d * 1000.0 / 75.0 / 24.0, "3.7260");
    assert!(matches!(
        measured.with_nuclide(per_hour(20.0), per_hour(yttrium)),
        Err(KineticsError::SlowerThanNuclide { .. })
    ));
}

#[test]
fn v24_lesion_from_iodine_124_integrated_with_iodine_131() {
    let (i124, i131) = (100.22, 192.50);
    let effective = |biological: f64| 1.0 / (1.0 / biological + 1.0 / i124);
    for (u0, slow, fast, grams, tau, d) in
        [(0.004, 90.0, 3.0, 5.0, "0.33686", "7.4551"), (0.01, 120.0, 4.0, 4.0, "1.0099", "27.938")]
    {
        let points = sampled(
            &[(u0, effective(slow)), (-u0, effective(fast))],
            &[2.0, 6.0, 24.0, 48.0, 96.0],
        );
        let measured = fit(&curve(&points, i124), Method::UptakeClearance).unwrap();
        let therapy = measured.with_nuclide(per_hour(i124), per_hour(i131)).unwrap();
        assert_printed(tia(&therapy), tau);
        // 0.19185 MeV of electrons a decay.
        let delta = 0.19185 * 1.602_176_634e-13 * 3600.0 * 1e12;
        assert_printed(tia(&therapy) * delta / grams, d);
    }
}

#[test]
fn v28_thorium_kept_in_bone_for_eighty_days() {
    // 1 MBq, no biological loss: decays within 80 days, times 1.92 g/ml and 10 ml.
    let physical = 18.697 * 24.0;
    let fit =
        fit(&curve(&[(1.0, 2f64.powf(-1.0 / physical))], physical), Method::PhysicalOnly).unwrap();
    let within = tia(&fit) * (1.0 - 2f64.powf(-80.0 * 24.0 / physical));
    // Mean alpha energy of 227Th, MeV (ICRP 107); mGy g/(MBq h) per MeV; 1.92 g/ml and 10 ml.
    let dose = within * 5.902 * 576.784 / 19.2 / 1000.0;
    assert_near(dose, 108.43, 0.01);
}

#[test]
fn a_trapezoid_has_no_formula_to_carry_over() {
    let points = curve(&[(4.0, 60.0), (24.0, 42.0)], LU_177);
    let fit = physical_again(&points);
    assert!(matches!(
        fit.with_nuclide(per_hour(LU_177), per_hour(64.1)),
        Err(KineticsError::NoFormula("trapezoid"))
    ));
}

#[test]
fn converted_and_scaled_fits_carry_the_uncertainty_of_another_route() {
    // Amplitude known exactly, rate to u: ln Ã' = ln a − ln(λ − λ₁ + λ₂) by hand.
    let from = per_hour(67.313);
    let points = with_uncertainty(&sampled(&[(1.0, 30.0)], &[2.0, 24.0, 72.0]), 67.313, Some(0.04));
    let measured = fit(&points, Method::MonoExponential).unwrap();
    let therapy = measured.with_nuclide(from, per_hour(64.1)).unwrap();
    let covariance = measured.covariance.clone().unwrap();
    let rate = LN_2 / 30.0;
    let ratio = rate / (rate - LN_2 / 67.313 + LN_2 / 64.1);
    let by_hand = covariance.get(0, 0) - 2.0 * ratio * covariance.get(0, 1)
        + ratio * ratio * covariance.get(1, 1);
    assert_near(therapy.relative_uncertainty.unwrap(), by_hand.sqrt(), 1e-9);
    // Back to the nuclide that was measured.
    let back = therapy.with_nuclide(per_hour(64.1), from).unwrap();
    assert_near(tia(&back), tia(&measured), 1e-12);
    assert_near(back.relative_uncertainty.unwrap(), measured.relative_uncertainty.unwrap(), 1e-9);
}
