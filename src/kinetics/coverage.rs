//! Does a stated 68 % interval hold the truth in 68 of 100 cases? A thousand noisy draws a method.

use super::*;
use crate::phantom::noise::Random;
use std::f64::consts::LN_2;

const LU_177_H: f64 = 159.53;
const DRAWS: usize = 1000;

fn value(terms: &[(f64, f64)], t: f64) -> f64 {
    terms.iter().map(|(a, half)| a * (-LN_2 / half * t).exp()).sum()
}

fn integral(terms: &[(f64, f64)]) -> f64 {
    terms.iter().map(|(a, half)| a * half / LN_2).sum()
}

fn noisy(
    terms: &[(f64, f64)],
    hours: &[f64],
    sigma: f64,
    random: &mut Random,
) -> TimeActivityCurve {
    let point = |&t: &f64| CurvePoint {
        time: Seconds::from_hours(t),
        activity: Becquerel::from_mbq(value(terms, t) * (sigma * random.normal()).exp()),
        relative_uncertainty: Some(sigma),
    };
    TimeActivityCurve {
        points: hours.iter().map(point).collect(),
        physical: Seconds::from_hours(LU_177_H).half_life_to_rate(),
    }
}

/// Of `DRAWS` fits, the part whose interval Ã ± u holds `truth` (MBq·h).
fn covered(truth: f64, mut draw: impl FnMut(&mut Random) -> Fit) -> f64 {
    let mut random = Random::new(20_260_302, 0);
    let inside = (0..DRAWS).filter(|_| {
        let fit = draw(&mut random);
        let tia = fit.time_integrated_activity.mbq_h();
        // An integral whose uncertainty is not stated holds nothing.
        fit.relative_uncertainty.is_some_and(|u| (tia / truth - 1.0).abs() <= u * tia / truth)
    });
    inside.count() as f64 / DRAWS as f64
}

#[track_caller]
fn assert_covers(method: Method, terms: &[(f64, f64)], hours: &[f64], sigma: f64) {
    let part = covered(integral(terms), |random| {
        fit(&noisy(terms, hours, sigma, random), method).unwrap()
    });
    assert!((0.63..=0.73).contains(&part), "{method:?}: {part}");
}

#[test]
fn mono_exponential_intervals_cover_68_of_100() {
    assert_covers(Method::MonoExponential, &[(30.0, 55.0)], &[4.0, 24.0, 96.0, 168.0], 0.1);
}

#[test]
fn physical_decay_intervals_cover_68_of_100() {
    assert_covers(Method::PhysicalOnly, &[(30.0, LU_177_H)], &[4.0, 24.0, 96.0], 0.1);
}

#[test]
fn bi_exponential_intervals_cover_68_of_100() {
    let hours = [1.0, 4.0, 10.0, 24.0, 48.0, 96.0, 168.0];
    assert_covers(Method::BiExponential, &[(30.0, 70.0), (80.0, 6.0)], &hours, 0.05);
}

#[test]
fn tri_exponential_intervals_cover_68_of_100() {
    let hours = [0.3, 0.6, 1.0, 2.0, 4.0, 8.0, 14.0, 24.0, 48.0, 96.0, 168.0, 240.0];
    let terms = [(30.0, 90.0), (60.0, 12.0), (90.0, 1.0)];
    assert_covers(Method::TriExponential, &terms, &hours, 0.03);
}

#[test]
fn uptake_clearance_intervals_cover_68_of_100() {
    let hours = [1.0, 3.0, 8.0, 24.0, 72.0, 168.0];
    assert_covers(Method::UptakeClearance, &[(60.0, 60.0), (-60.0, 4.0)], &hours, 0.05);
}

#[test]
fn spectral_intervals_cover_68_of_100() {
    let hours = [1.0, 4.0, 10.0, 24.0, 48.0, 72.0, 96.0, 120.0, 168.0, 240.0];
    assert_covers(Method::Spectral, &[(30.0, 70.0), (80.0, 6.0)], &hours, 0.05);
}

#[test]
fn trapezoid_intervals_cover_the_noise_free_trapezoid_in_68_of_100() {
    let hours = [4.0, 24.0, 72.0, 168.0];
    for tail in [TrapezoidTail::Physical, TrapezoidTail::LastTwo] {
        let method = Method::Trapezoid { start: TrapezoidStart::Constant, tail };
        let exact = noisy(&[(60.0, 50.0)], &hours, 0.0, &mut Random::new(1, 0));
        let exact = TimeActivityCurve {
            points: exact
                .points
                .into_iter()
                .map(|p| CurvePoint { relative_uncertainty: Some(0.05), ..p })
                .collect(),
            ..exact
        };
        let truth = fit(&exact, method).unwrap().time_integrated_activity.mbq_h();
        let part = covered(truth, |random| {
            fit(&noisy(&[(60.0, 50.0)], &hours, 0.05, random), method).unwrap()
        });
        assert!((0.63..=0.73).contains(&part), "{tail:?}: {part}");
    }
}

#[test]
fn stated_half_lives_of_known_spread_cover_68_of_100() {
    let (half, spread) = (55.0, 0.1);
    for hours in [&[24.0][..], &[96.0][..], &[24.0, 48.0][..]] {
        let part = covered(integral(&[(30.0, half)]), |random| {
            let method = Method::SingleTimePoint {
                effective_half_life: Seconds::from_hours(half * (1.0 + spread * random.normal())),
                relative_uncertainty: Some(spread),
            };
            fit(&noisy(&[(30.0, half)], hours, 0.08, random), method).unwrap()
        });
        assert!((0.63..=0.73).contains(&part), "{hours:?}: {part}");
    }
}

#[test]
fn hybrid_and_surrogate_intervals_cover_68_of_100() {
    let (hours, sigma) = ([4.0, 24.0, 72.0, 144.0], 0.08);
    let part = covered(integral(&[(30.0, 55.0)]), |random| {
        let shape =
            fit(&noisy(&[(5.0, 55.0)], &hours, sigma, random), Method::MonoExponential).unwrap();
        let spect = noisy(&[(30.0, 55.0)], &[24.0], 0.05, random).points[0];
        shape.scaled_through(spect).unwrap()
    });
    assert!((0.63..=0.73).contains(&part), "hybrid: {part}");
    // Biological half-lives stay as they are: 177Lu taken out, 90Y put in.
    let [from, to] = [LU_177_H, 64.1].map(|h| Seconds::from_hours(h).half_life_to_rate());
    let terms = [(60.0, 60.0), (-60.0, 4.0)];
    let therapy = terms.map(|(a, half)| (a, 1.0 / (1.0 / half - 1.0 / LU_177_H + 1.0 / 64.1)));
    let part = covered(integral(&therapy), |random| {
        let curve = noisy(&terms, &[1.0, 3.0, 8.0, 24.0, 72.0, 168.0], 0.05, random);
        fit(&curve, Method::UptakeClearance).unwrap().with_nuclide(from, to).unwrap()
    });
    assert!((0.63..=0.73).contains(&part), "surrogate: {part}");
}
