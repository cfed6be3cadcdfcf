//! 131I in differentiated thyroid cancer: blood dose (Benua 1962, Lassmann 2008, Hänscheid 2009),
//! whole-body retention at 48 h, lesions by 124I PET.

use super::PrescribeError;
use super::error::{fraction, positive};
use crate::quantity::{Becquerel, Gram, GrayPerBecquerel, Seconds};
use std::f64::consts::LN_2;

/// Coefficients of the blood dose, from the protocol.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BloodModel {
    /// Gy/GBq per hour of residence in 1 mL of blood.
    pub beta_per_ml: f64,
    /// Gy/GBq per hour of residence in the body, times kg^(2/3).
    pub gamma: f64,
    /// Part of the whole-body activity that is in the blood, where no blood was taken.
    pub blood_fraction: f64,
}

impl BloodModel {
    /// From blood and whole body: τ in 1 mL of whole blood and τ of the whole body.
    pub fn full(
        &self,
        tau_ml: Seconds,
        tau_body: Seconds,
        weight_kg: f64,
    ) -> Result<GrayPerBecquerel, PrescribeError> {
        let blood = positive("residence time in 1 mL of blood (h)", tau_ml.hours())?;
        let body = positive("residence time of the whole body (h)", tau_body.hours())?;
        let weight = positive("weight (kg)", weight_kg)?;
        let beta = self.beta_per_ml * blood;
        Ok(GrayPerBecquerel::from_gy_per_gbq(beta + self.gamma * body / weight.powf(2.0 / 3.0)))
    }

    /// From the whole body alone, blood volume in mL.
    pub fn whole_body(
        &self,
        tau_body: Seconds,
        blood_volume_ml: f64,
        weight_kg: f64,
    ) -> Result<GrayPerBecquerel, PrescribeError> {
        let volume = positive("blood volume (mL)", blood_volume_ml)?;
        self.full(tau_body * (self.blood_fraction / volume), tau_body, weight_kg)
    }
}

/// Blood volume, mL: [per cm, per kg, offset].
pub fn blood_volume(
    height_cm: f64,
    weight_kg: f64,
    [per_cm, per_kg, offset]: [f64; 3],
) -> Result<f64, PrescribeError> {
    positive("height (cm)", height_cm)?;
    positive("weight (kg)", weight_kg)?;
    positive("blood volume (mL)", per_cm * height_cm + per_kg * weight_kg + offset)
}

/// τ = −t/ln R of a single retention R at t.
pub fn residence_of_one(at: Seconds, retention: f64) -> Result<Seconds, PrescribeError> {
    positive("time of the count (s)", at.value())?;
    fraction("retention", positive("retention", retention)?)?;
    Ok(Seconds::new(positive("residence time (s)", -at.value() / retention.ln())?))
}

/// Activity that leaves `at_48_h` in the body after 48 h.
pub fn rule_of_48_h(at_48_h: Becquerel, retention_48_h: f64) -> Result<Becquerel, PrescribeError> {
    let retention = fraction("retention at 48 h", positive("retention at 48 h", retention_48_h)?)?;
    Ok(at_48_h / retention)
}

/// Uptake and clearance in a lesion seen with 124I: U₀(e^(−k_b t) − e^(−k_u t)), biological.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LesionUptake {
    pub height: f64,
    pub clearance: Seconds,
    pub uptake: Seconds,
    pub mass: Gram,
}

impl LesionUptake {
    /// Residence time of the therapy nuclide.
    pub fn residence(&self, half_life: Seconds) -> Result<Seconds, PrescribeError> {
        fraction("uptake", positive("uptake", self.height)?)?;
        let physical = half_life.half_life_to_rate().value();
        let rate = |half: Seconds, what| -> Result<f64, PrescribeError> {
            Ok(LN_2 / positive(what, half.value())? + physical)
        };
        let slow = rate(self.clearance, "half-life of clearance (s)")?;
        let fast = rate(self.uptake, "half-life of uptake (s)")?;
        let tau = self.height * (1.0 / slow - 1.0 / fast);
        Ok(Seconds::new(positive("the lesion's residence time (s)", tau)?))
    }

    /// Dose per activity; `delta` is the electrons' energy in g·mGy/(MBq·h), all absorbed.
    pub fn coefficient(
        &self,
        half_life: Seconds,
        delta: f64,
    ) -> Result<GrayPerBecquerel, PrescribeError> {
        let mass = positive("the lesion's mass (g)", self.mass.value())?;
        let tau = self.residence(half_life)?.hours();
        Ok(GrayPerBecquerel::from_gy_per_gbq(tau * delta / mass))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantity::Gray;

    const MODEL: BloodModel =
        BloodModel { beta_per_ml: 108.0, gamma: 0.0188, blood_fraction: 0.14 };
    const MEN: [f64; 3] = [31.9, 26.3, -2402.0];
    const WOMEN: [f64; 3] = [56.9, 14.1, -6460.0];

    #[track_caller]
    fn near(found: f64, wanted: f64) {
        assert!((found / wanted - 1.0).abs() < 5e-5, "{found} is not {wanted}");
    }

    fn hours(hours: f64) -> Seconds {
        Seconds::from_hours(hours)
    }

    fn for_2_gy(d: GrayPerBecquerel) -> f64 {
        (Gray::new(2.0) / d).gbq()
    }

    #[test]
    fn v22_blood_and_whole_body() {
        let d = MODEL.full(hours(6e-4), hours(22.0), 70.0).unwrap();
        near(d.gy_per_gbq(), 0.089151);
        near(for_2_gy(d), 22.434);
    }

    #[test]
    fn v22b_means_of_a_published_cohort() {
        let d = MODEL.full(hours(3.2 / 5000.0), hours(31.0), 70.0).unwrap().gy_per_gbq();
        near(d, 0.10343);
        near(108.0 * 3.2 / 5000.0 / d, 0.66826);
        // Published mean 0.11 Gy/GBq, beta share 70 %.
        assert!((d / 0.11 - 1.0).abs() < 0.10);
    }

    #[test]
    fn v23_a_woman_by_one_retention() {
        let volume = blood_volume(160.0, 58.0, WOMEN).unwrap();
        near(volume, 3461.8);
        let tau = residence_of_one(hours(48.0), 0.112).unwrap();
        near(tau.hours(), 21.925);
        let d = MODEL.whole_body(tau, volume, 58.0).unwrap();
        near(d.gy_per_gbq(), 0.12327);
        near(for_2_gy(d), 16.224);
        // 4.4 and 3.0 GBq as the review rounds them.
        near(rule_of_48_h(Becquerel::from_gbq(4.4), 0.112).unwrap().gbq(), 39.286);
        near(rule_of_48_h(Becquerel::from_gbq(3.0), 0.112).unwrap().gbq(), 26.786);
        // Published 0.118 ± 0.025.
        assert!((d.gy_per_gbq() - 0.118).abs() < 0.025);
    }

    #[test]
    fn v23b_a_man_by_one_retention() {
        let volume = blood_volume(178.0, 82.0, MEN).unwrap();
        near(volume, 5432.8);
        let tau = residence_of_one(hours(48.0), 0.16).unwrap();
        near(tau.hours(), 26.193);
        let d = MODEL.whole_body(tau, volume, 82.0).unwrap();
        near(d.gy_per_gbq(), 0.098986);
        near(for_2_gy(d), 20.205);
        near(rule_of_48_h(Becquerel::from_gbq(4.4), 0.16).unwrap().gbq(), 27.5);
        near(rule_of_48_h(Becquerel::from_gbq(3.0), 0.16).unwrap().gbq(), 18.75);
    }

    #[test]
    fn v24_and_v24b_lesions_by_124i() {
        let lesion = |height, clearance, uptake, grams| LesionUptake {
            height,
            clearance: hours(clearance),
            uptake: hours(uptake),
            mass: Gram::new(grams),
        };
        let soft = lesion(0.004, 90.0, 3.0, 5.0);
        near(soft.residence(hours(192.50)).unwrap().hours(), 0.33686);
        let d = soft.coefficient(hours(192.50), 110.66).unwrap();
        near(d.gy_per_gbq(), 7.4551);
        near((Gray::new(80.0) / d).gbq(), 10.731);
        let bone = lesion(0.01, 120.0, 4.0, 4.0);
        near(bone.residence(hours(192.50)).unwrap().hours(), 1.0099);
        let d = bone.coefficient(hours(192.50), 110.66).unwrap();
        near(d.gy_per_gbq(), 27.938);
        near((Gray::new(650.0) / d).gbq(), 23.266);
    }

    #[test]
    fn retention_must_be_one() {
        assert!(residence_of_one(hours(48.0), 1.0).is_err());
        assert!(residence_of_one(hours(48.0), 16.0).is_err(), "percent for a fraction");
        assert!(residence_of_one(hours(0.0), 0.2).is_err());
        assert!(rule_of_48_h(Becquerel::from_gbq(4.44), 0.0).is_err());
    }
}
