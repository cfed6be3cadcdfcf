use super::*;
use crate::phantom::noise::Random;
use crate::quantity::Millilitre;

fn outline(ml: f64, voxel: f64, fwhm: f64) -> Outline {
    Outline {
        volume: Millilitre::new(ml),
        voxel: Millimetre::new(voxel),
        fwhm: Millimetre::new(fwhm),
    }
}

#[track_caller]
fn assert_printed(found: f64, printed: &str) {
    let decimals = printed.split_once('.').map_or(0, |(_, after)| after.len());
    let half_unit = 0.5 * 10f64.powi(-(decimals as i32));
    let wanted: f64 = printed.parse().unwrap();
    assert!((found - wanted).abs() <= half_unit * 1.001, "{found} is not {printed}");
}

#[test]
fn v39_volume_of_thirty_millilitres_drawn_on_spect() {
    let outline = outline(30.0, 4.42, 12.0);
    assert_printed(outline.diameter().value(), "38.551");
    assert_printed(outline.diameter_uncertainty().value(), "7.4292");
    assert_printed(outline.relative_uncertainty(), "0.57813");
}

#[test]
fn v41_independent_sources_add_in_quadrature() {
    let chain =
        Chain { calibration: Some(0.06), fit: Some(0.12), dose: Some(0.04), ..Chain::default() };
    let budget = budget(&chain);
    assert_printed(budget.absorbed_dose.unwrap(), "0.14000");
    assert_eq!(budget.unknown, ["volume"]);
    let shares: f64 = budget.contributions.iter().map(|c| c.share_of_dose_variance).sum();
    assert!((shares - 1.0).abs() < 1e-12);
    let fit = budget.contributions.iter().find(|c| c.source == "fit").unwrap();
    assert!((fit.share_of_dose_variance - 0.0144 / 0.0196).abs() < 1e-12);
}

#[test]
fn a_large_region_barely_notices_its_outline_in_the_activity_but_in_the_mass() {
    // Nothing is blurred out: the counts inside grow by half the edge's concentration.
    let chain = Chain {
        outline: Some(outline(1800.0, 2.0, 2.0)),
        emission_fwhm: Some(Millimetre::new(1.0)),
        fit: Some(0.0),
        calibration: Some(0.0),
        dose: Some(0.0),
        ..Chain::default()
    };
    let budget = budget(&chain);
    let u = chain.outline.unwrap().relative_uncertainty();
    assert!((budget.time_integrated_activity.unwrap() / (0.5 * u) - 1.0).abs() < 0.03);
    assert!((budget.absorbed_dose.unwrap() / (0.5 * u) - 1.0).abs() < 0.03);
}

#[test]
fn what_is_not_known_is_named_and_not_counted_as_nothing() {
    let nothing = budget(&Chain::default());
    assert_eq!(nothing.unknown, ["volume", "calibration", "fit", "dose"]);
    assert_eq!((nothing.absorbed_dose, nothing.contributions.len()), (None, 0));
    // An outline without the emission image's resolution does not say what its edge holds.
    let chain = Chain { outline: Some(outline(30.0, 1.0, 1.0)), ..Chain::default() };
    assert!(budget(&chain).unknown.contains(&"volume"));
}

/// Counts inside a sphere of radius `r` around a blurred sphere of radius `truth` (both in mm).
fn counts_inside(r: f64, truth: f64, sigma: f64) -> f64 {
    let (x, big) = (r / sigma, truth / sigma);
    let steps = 400;
    let h = x / f64::from(steps);
    let profile = |x: f64| {
        let erf = |t: f64| {
            // Trapezoid of the Gaussian: plain, and apart from the code under test.
            let n = 200;
            let step = t / f64::from(n);
            (0..n).map(|k| (-((f64::from(k) + 0.5) * step).powi(2)).exp() * step).sum::<f64>() * 2.0
                / std::f64::consts::PI.sqrt()
        };
        let two = 2f64.sqrt();
        0.5 * (erf((big - x) / two) + erf((big + x) / two))
            - ((-(big - x).powi(2) / 2.0).exp() - (-(big + x).powi(2) / 2.0).exp())
                / (x * (2.0 * std::f64::consts::PI).sqrt())
    };
    (0..steps).map(|n| (f64::from(n) + 0.5) * h).map(|x| x * x * profile(x) * h).sum()
}

#[test]
fn the_jacobian_agrees_with_sampling_the_whole_chain() {
    // A kidney of 150 ml outlined on CT, 10 mm emission blur, recovery curve RC(V) as applied.
    let outline = outline(150.0, 1.0, 3.0);
    let (beta, gamma) = (4.0, 1.1);
    let recovery = |ml: f64| 1.0 / (1.0 + (beta / ml).powf(gamma));
    let slope = {
        let h = 1e-5f64;
        ((recovery(150.0 * h.exp())).ln() - (recovery(150.0 * (-h).exp())).ln()) / (2.0 * h)
    };
    let chain = Chain {
        outline: Some(outline),
        emission_fwhm: Some(Millimetre::new(10.0)),
        recovery: Some(Recovery { slope, relative_uncertainty: Some(0.03) }),
        calibration: Some(0.05),
        fit: Some(0.04),
        dose: Some(0.02),
    };
    let budget = budget(&chain);
    let radius = outline.diameter().value() / 2.0;
    let sigma = 10.0 / (8.0 * std::f64::consts::LN_2).sqrt();
    // Counts as a function of the drawn radius, tabulated about the true one.
    let spread = outline.diameter_uncertainty().value() / 2.0;
    let table: Vec<f64> = (-60..=60)
        .map(|n| counts_inside(radius + f64::from(n) * spread / 10.0, radius, sigma))
        .collect();
    let counts = |z: f64| {
        let place = ((z + 6.0) * 10.0).clamp(0.0, 119.999);
        let (n, part) = (place as usize, place.fract());
        table[n] * (1.0 - part) + table[n + 1] * part
    };
    let mut random = Random::new(1, 0);
    let draws: Vec<[f64; 2]> = (0..10_000)
        .map(|_| {
            let z = random.normal();
            let ml = 150.0 * ((radius + z * spread) / radius).powi(3);
            let tia = counts(z)
                / counts(0.0)
                / (recovery(ml) / recovery(150.0) * (1.0 + 0.03 * random.normal()))
                / (1.0 + 0.05 * random.normal())
                * (1.0 + 0.04 * random.normal());
            [tia, tia / ml * 150.0 * (1.0 + 0.02 * random.normal())]
        })
        .collect();
    for (which, stated) in
        [budget.time_integrated_activity, budget.absorbed_dose].into_iter().enumerate()
    {
        let mean = draws.iter().map(|d| d[which]).sum::<f64>() / 1e4;
        let variance = draws.iter().map(|d| (d[which] / mean - 1.0).powi(2)).sum::<f64>() / 1e4;
        let sampled = variance.sqrt();
        assert!((stated.unwrap() / sampled - 1.0).abs() < 0.05, "{which}: {stated:?} {sampled}");
    }
    // Added blindly in quadrature, the three places of the volume would say far more.
    let u = outline.relative_uncertainty();
    let volume = budget.contributions.iter().find(|c| c.source == "volume").unwrap();
    assert!(volume.absorbed_dose.abs() < 0.6 * u);
}

#[test]
fn a_dose_at_its_limit_is_above_it_as_often_as_not() {
    let above = |value, u, limit| probability_above(value, u, limit).unwrap();
    assert!((above(23.0, 2.3, 23.0) - 0.5).abs() < 1e-12);
    // Standard normal distribution at 1, 2 and 1.959964.
    assert!((above(20.7, 2.3, 23.0) - 0.158_655_253_9).abs() < 1e-9);
    assert!((above(27.6, 2.3, 23.0) - 0.977_249_868_1).abs() < 1e-9);
    assert!((above(0.0, 1.0, 1.959_964) - 0.025).abs() < 1e-7);
    assert_eq!(probability_above(20.0, 0.0, 23.0), None);
}
