//! Biologically effective dose of a decaying dose rate (MIRD 20; Baechler 2008 for several phases).
//!
//! With the dose rate Σ Rᵢ e^(−λᵢt) and mono-exponential repair at the rate μ:
//! D = Σ Rᵢ/λᵢ,  G = (2/D²) Σᵢ Σⱼ Rᵢ Rⱼ / ((λᵢ + λⱼ)(λᵢ + μ)),  BED = D + G D²/(α/β).
//! G does not depend on the height of the curve: the fitted activity curve serves as it is.
//! Several cycles: BEDs add (repair is complete between them), the BED of the sum does not exist.

use super::BiologyError;
use super::effect::AlphaEffect;
use crate::kinetics::Exponential;
use crate::quantity::{Gray, Seconds};
use crate::report::Bed;
use serde::Deserialize;
use std::sync::LazyLock;

/// Radiobiological parameters of one tissue (`config/biology.yaml`).
#[derive(Debug, Clone, PartialEq)]
pub struct TissueParameters {
    pub tissue: String,
    pub alpha_beta: Gray,
    pub repair_half_time: Seconds,
    /// S, P, D or M; M is not confirmed and every report says so.
    pub provenance: String,
    pub source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    alpha: AlphaEffect,
    tissues: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    tissue: String,
    names: Vec<String>,
    alpha_beta_gy: f64,
    repair_half_time_h: f64,
    provenance: String,
    source: String,
}

fn file() -> File {
    serde_saphyr::from_str(include_str!("../../config/biology.yaml"))
        .expect("config/biology.yaml is compiled in and a test reads it")
}

pub(super) static ALPHA: LazyLock<AlphaEffect> = LazyLock::new(|| file().alpha);

/// (words that name the tissue, its parameters).
static TISSUES: LazyLock<Vec<(Vec<String>, TissueParameters)>> = LazyLock::new(|| {
    file()
        .tissues
        .into_iter()
        .map(|e| {
            let parameters = TissueParameters {
                tissue: e.tissue,
                alpha_beta: Gray::new(e.alpha_beta_gy),
                repair_half_time: Seconds::from_hours(e.repair_half_time_h),
                provenance: e.provenance,
                source: e.source,
            };
            (e.names, parameters)
        })
        .collect()
});

impl TissueParameters {
    /// Parameters for an anatomy in words (`kidney`, `left kidney`, `lesion`). None where no
    /// tissue is named or more than one: then there is no BED, not a guessed one.
    pub fn for_anatomy(anatomy: &str) -> Option<&'static TissueParameters> {
        let lower = anatomy.to_lowercase();
        let words: Vec<&str> = lower.split(|c: char| !c.is_alphabetic()).collect();
        let mut named = TISSUES
            .iter()
            .filter(|(names, _)| names.iter().any(|n| words.contains(&n.as_str())))
            .map(|(_, parameters)| parameters);
        let found = named.next()?;
        named.next().is_none().then_some(found)
    }
}

/// The Lea-Catcheside factor of a dose rate that is proportional to the curve, 0 < G ≤ 1.
pub fn g_factor(curve: &[Exponential], repair_half_time: Seconds) -> Result<f64, BiologyError> {
    let mu = repair_half_time.half_life_to_rate().value();
    if !(mu.is_finite() && mu > 0.0) {
        return Err(BiologyError::Parameters);
    }
    let terms: Vec<(f64, f64)> =
        curve.iter().map(|e| (e.amplitude.value(), e.rate.value())).collect();
    if !terms.iter().all(|(r, l)| r.is_finite() && l.is_finite() && *l > 0.0) {
        return Err(BiologyError::Curve);
    }
    let total: f64 = terms.iter().map(|(r, l)| r / l).sum();
    if !(total.is_finite() && total > 0.0) {
        return Err(BiologyError::Curve);
    }
    let mut sum = 0.0;
    for (ri, li) in &terms {
        for (rj, lj) in &terms {
            sum += (ri / total) * (rj / total) / ((li + lj) * (li + mu));
        }
    }
    Ok(2.0 * sum)
}

/// BED of an absorbed dose that is delivered along the curve.
pub fn bed(
    dose: Gray,
    curve: &[Exponential],
    tissue: &TissueParameters,
) -> Result<Bed, BiologyError> {
    if !(dose.is_finite() && dose.value() >= 0.0) {
        return Err(BiologyError::Dose(dose.value()));
    }
    let (d, alpha_beta) = (dose.value(), tissue.alpha_beta.value());
    if !(alpha_beta.is_finite() && alpha_beta > 0.0) {
        return Err(BiologyError::Parameters);
    }
    let g = g_factor(curve, tissue.repair_half_time)?;
    let value = d + g * d * d / alpha_beta;
    if !value.is_finite() {
        return Err(BiologyError::Dose(d));
    }
    Ok(Bed {
        value: Gray::new(value),
        alpha_beta: tissue.alpha_beta,
        repair_half_time: tissue.repair_half_time,
        provenance: tissue.provenance.clone(),
    })
}

/// The dose in fractions of 2 Gy with the same effect: BED / (1 + 2 Gy / (α/β)).
pub fn eqd2(bed: Gray, alpha_beta: Gray) -> Gray {
    bed / (1.0 + 2.0 / alpha_beta.value())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantity::{Becquerel, PerSecond};
    use proptest::prelude::*;

    /// (height, half-life in hours).
    fn curve(terms: &[(f64, f64)]) -> Vec<Exponential> {
        terms
            .iter()
            .map(|&(height, half)| Exponential {
                amplitude: Becquerel::new(height),
                rate: Seconds::from_hours(half).half_life_to_rate(),
            })
            .collect()
    }

    fn kidney() -> &'static TissueParameters {
        TissueParameters::for_anatomy("kidney").unwrap()
    }

    #[track_caller]
    fn assert_near(found: f64, wanted: f64, relative: f64) {
        assert!((found / wanted - 1.0).abs() <= relative, "{found} is not {wanted}");
    }

    #[test]
    fn tissues_are_found_by_their_words_and_never_guessed() {
        assert_eq!(kidney().alpha_beta.value(), 2.6);
        assert_eq!(TissueParameters::for_anatomy("Left Kidney"), Some(kidney()));
        assert_eq!(TissueParameters::for_anatomy("lesion").unwrap().provenance, "M");
        assert_eq!(TissueParameters::for_anatomy("spleen"), None);
        assert_eq!(TissueParameters::for_anatomy("liver lesion"), None);
        for (_, t) in TISSUES.iter() {
            assert!(["S", "P", "D", "M"].contains(&t.provenance.as_str()) && !t.source.is_empty());
        }
    }

    #[test]
    fn v12_one_cycle_of_5_gy_to_the_kidney() {
        let terms = curve(&[(1.0, 51.0)]);
        assert_near(g_factor(&terms, kidney().repair_half_time).unwrap(), 0.052045, 1e-5);
        let bed = bed(Gray::new(5.0), &terms, kidney()).unwrap();
        assert_near(bed.value.value(), 5.5004, 1e-5);
        assert_near(eqd2(bed.value, bed.alpha_beta).value(), 3.1089, 2e-5);
    }

    #[test]
    fn v12b_one_exposure_is_not_the_sum_of_cycles() {
        let terms = curve(&[(1.0, 51.0)]);
        assert_near(bed(Gray::new(23.0), &terms, kidney()).unwrap().value.value(), 33.589, 1e-5);
    }

    #[test]
    fn v13_four_cycles_add_their_bed() {
        let terms = curve(&[(1.0, 51.0)]);
        let sum: f64 = [5.0, 4.6, 4.8, 4.4]
            .into_iter()
            .map(|d| bed(Gray::new(d), &terms, kidney()).unwrap().value.value())
            .sum();
        assert_near(sum, 20.573, 2.5e-5);
    }

    #[test]
    fn v14_two_phases() {
        let terms = curve(&[(0.08, 20.0), (0.03, 80.0)]);
        let dose = (0.08 * 20.0 + 0.03 * 80.0) / std::f64::consts::LN_2;
        assert_near(dose, 5.7708, 1e-5);
        assert_near(g_factor(&terms, kidney().repair_half_time).unwrap(), 0.056598, 1e-5);
        assert_near(bed(Gray::new(dose), &terms, kidney()).unwrap().value.value(), 6.4957, 1e-5);
    }

    #[test]
    fn v16_tumour_of_60_gy() {
        let tumour = TissueParameters::for_anatomy("tumour").unwrap();
        let bed = bed(Gray::new(60.0), &curve(&[(1.0, 77.0)]), tumour).unwrap();
        assert_near(bed.value.value(), 66.879, 1e-5);
    }

    #[test]
    fn g_equals_its_double_integral_also_with_uptake() {
        // G = (2/D²) ∫ R(t) ∫₀ᵗ R(w) e^(−μ(t−w)) dw dt; the inner integral q obeys q' = R − μ q.
        let mu = std::f64::consts::LN_2 / 2.8;
        for terms in [
            vec![(0.08, 20.0), (0.03, 80.0)],
            vec![(1.0, 60.0), (-1.0, 4.0)],
            vec![(2.0, 30.0), (1.0, 3.0), (-1.5, 1.0)],
        ] {
            let rate = |t: f64| -> f64 {
                terms.iter().map(|(r, half)| r * (-std::f64::consts::LN_2 / half * t).exp()).sum()
            };
            let (step, mut q, mut sum, mut dose) = (0.004, 0.0, 0.0, 0.0);
            for n in 0..500_000 {
                let t = (f64::from(n) + 0.5) * step;
                // Exact over half a step of constant rate on either side of the middle.
                let half = (-mu * step / 2.0).exp();
                q = q * half + rate(t) * (1.0 - half) / mu;
                sum += rate(t) * q * step;
                q = q * half + rate(t) * (1.0 - half) / mu;
                dose += rate(t) * step;
            }
            let numeric = 2.0 * sum / (dose * dose);
            let closed = g_factor(&curve(&terms), Seconds::from_hours(2.8)).unwrap();
            assert_near(closed, numeric, 1e-5);
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let terms = curve(&[(1.0, 51.0)]);
        assert_eq!(g_factor(&[], kidney().repair_half_time), Err(BiologyError::Curve));
        assert_eq!(g_factor(&terms, Seconds::new(0.0)), Err(BiologyError::Parameters));
        let negative = curve(&[(-1.0, 51.0)]);
        assert_eq!(g_factor(&negative, kidney().repair_half_time), Err(BiologyError::Curve));
        assert!(matches!(bed(Gray::new(f64::NAN), &terms, kidney()), Err(BiologyError::Dose(_))));
        assert!(matches!(bed(Gray::new(-1.0), &terms, kidney()), Err(BiologyError::Dose(_))));
        let still = vec![Exponential { amplitude: Becquerel::new(1.0), rate: PerSecond::new(0.0) }];
        assert_eq!(g_factor(&still, kidney().repair_half_time), Err(BiologyError::Curve));
    }

    proptest! {
        #[test]
        fn g_lies_between_0_and_1_and_ignores_the_height(
            a in 0.1f64..10.0, b in 0.0f64..10.0, slow in 10.0f64..200.0, fast in 0.1f64..10.0,
            repair in 0.1f64..10.0, scale in 1e-3f64..1e9,
        ) {
            let repair = Seconds::from_hours(repair);
            let g = g_factor(&curve(&[(a, slow), (b, fast)]), repair).unwrap();
            prop_assert!(g > 0.0 && g <= 1.0);
            let scaled = g_factor(&curve(&[(a * scale, slow), (b * scale, fast)]), repair).unwrap();
            prop_assert!((scaled / g - 1.0).abs() < 1e-12);
        }
    }
}
