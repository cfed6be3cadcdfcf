//! Radioimmunotherapy: 131I-tositumomab by whole-body residence, 90Y-ibritumomab by an 111In tracer.

use super::PrescribeError;
use super::error::positive;
use crate::quantity::{Becquerel, Gram, Gray, JOULE_PER_EV, KiloElectronvolt, PerSecond, Seconds};

/// Activity-hours for a whole-body dose, MBq·h: D M / ((E_el + E_γ φ) e), with the absorbed
/// fraction of the photons φ = φ_ref (M/M_ref)^(1/3).
pub fn activity_hours(
    dose: Gray,
    mass: Gram,
    electrons: KiloElectronvolt,
    photons: KiloElectronvolt,
    absorbed_fraction: f64,
    reference_mass: Gram,
) -> Result<f64, PrescribeError> {
    let kg = positive("body mass (g)", mass.value())? / 1000.0;
    let phi = absorbed_fraction * (mass / reference_mass).cbrt();
    let joule = (electrons.value() + photons.value() * phi) * 1e3 * JOULE_PER_EV;
    Ok(dose.value() * kg / positive("energy per decay (J)", joule)? / 3.6e9)
}

/// The lesser of body mass and `factor` times the lean body mass `at_152_cm + per_cm (h − 152)`, kg.
pub fn maximum_effective_mass(
    weight_kg: f64,
    height_cm: f64,
    at_152_cm: f64,
    per_cm: f64,
    factor: f64,
) -> Result<f64, PrescribeError> {
    let weight = positive("weight (kg)", weight_kg)?;
    let lean = at_152_cm + per_cm * (positive("height (cm)", height_cm)? - 152.0);
    Ok(weight.min(factor * positive("lean body mass (kg)", lean)?))
}

/// A = AH/τ · D/D_ref, where AH (MBq·h) is for D_ref.
pub fn whole_body_activity(
    activity_hours: f64,
    tau: Seconds,
    target: Gray,
    reference: Gray,
) -> Result<Becquerel, PrescribeError> {
    let tau = positive("residence time (h)", tau.hours())?;
    Ok(Becquerel::from_mbq(activity_hours / tau * (target / reference)))
}

/// Residence time with the therapy's physical decay of a curve with these biological terms
/// (fraction, biological rate): τ = Σ aᵢ/(kᵢ + λ).
pub fn surrogate_residence(
    biological: &[(f64, PerSecond)],
    half_life: Seconds,
) -> Result<Seconds, PrescribeError> {
    let physical = half_life.half_life_to_rate().value();
    let mut tau = 0.0;
    for (fraction, rate) in biological {
        let effective = positive("an effective rate (1/s)", rate.value() + physical)?;
        if rate.value() < 0.0 {
            return Err(PrescribeError::Value {
                what: "a biological rate (1/s)",
                wanted: "not negative",
                value: rate.value(),
            });
        }
        tau += fraction / effective;
    }
    Ok(Seconds::new(positive("residence time (s)", tau)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prescribe::{geometric_mean, residence_time, residence_time_37};

    #[track_caller]
    fn near(found: f64, wanted: f64) {
        assert!((found / wanted - 1.0).abs() < 5e-5, "{found} is not {wanted}");
    }

    fn ah(kg: f64) -> f64 {
        activity_hours(
            Gray::new(0.75),
            Gram::new(kg * 1000.0),
            KiloElectronvolt::new(191.85),
            KiloElectronvolt::new(382.74),
            0.35466,
            Gram::new(73_000.0),
        )
        .unwrap()
    }

    #[test]
    fn v_ah_activity_hours_for_three_quarters_of_a_gray() {
        for (kg, mbq_h, mci_h) in [
            (50.0, 2.0871e5, 5640.8),
            (70.0, 2.7946e5, 7552.8),
            (90.0, 3.4684e5, 9374.2),
            (110.0, 4.1164e5, 11125.0),
        ] {
            near(ah(kg), mbq_h);
            near(ah(kg) / 37.0, mci_h);
        }
    }

    #[test]
    fn v7_tositumomab_from_three_whole_body_counts() {
        let net = |a: f64, p: f64| geometric_mean(a - 50000.0, p - 50000.0).unwrap();
        let (first, second, third) =
            (net(1_050_000.0, 950_000.0), net(620_000.0, 570_000.0), net(330_000.0, 300_000.0));
        near(first, 948_683.3);
        near(second, 544_426.3);
        near(third, 264_575.1);
        near(second / first, 0.57388);
        near(third / first, 0.27889);
        let hours = Seconds::from_hours;
        let tau = residence_time(&[(hours(72.0), second / first), (hours(144.0), third / first)]);
        let tau = tau.unwrap();
        near(tau.hours(), 115.78);
        near(residence_time_37(tau).hours(), 115.12);
        let activity =
            whole_body_activity(ah(75.0), tau, Gray::new(0.75), Gray::new(0.75)).unwrap();
        near(activity.mbq(), 2561.5);
        near(activity.mbq() / 37.0, 69.230);
    }

    #[test]
    fn v42_ibritumomab_liver_dose_from_indium() {
        let biological = [(0.18, Seconds::from_hours(150.0).half_life_to_rate())];
        let tau = |hours| surrogate_residence(&biological, Seconds::from_hours(hours)).unwrap();
        near(tau(67.313).hours(), 12.066);
        near(tau(64.10).hours(), 11.662);
        // S(liver from liver) of 90Y, male, 8.05e-5 mGy/(MBq s) for 1800 g.
        let d = tau(64.10).value() * 8.05e-5 * 1800.0 / 1700.0;
        near(d, 3.5785);
        near(24.0 / d, 6.7067);
        near(1000.0 / d / 75.0, 3.7260);
    }

    #[test]
    fn counts_that_cannot_be_are_refused() {
        assert!(geometric_mean(-1.0, 5.0).is_err());
        let hours = Seconds::from_hours;
        assert!(residence_time(&[]).is_err());
        assert!(residence_time(&[(hours(0.0), 0.5)]).is_err(), "no count before voiding");
        assert!(residence_time(&[(hours(-3.0), 0.5)]).is_err());
        assert!(residence_time(&[(hours(72.0), 1.1)]).is_err(), "retention rises");
        let accumulating = [(0.2, PerSecond::new(-1e-6))];
        assert!(surrogate_residence(&accumulating, hours(64.1)).is_err());
    }

    #[test]
    fn obesity_is_capped_by_lean_mass() {
        let mass = |kg| maximum_effective_mass(kg, 175.0, 48.0, 1.06, 1.37).unwrap();
        assert_eq!(mass(75.0), 75.0);
        near(mass(140.0), 1.37 * (48.0 + 1.06 * 23.0));
    }
}
