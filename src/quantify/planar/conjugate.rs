//! Activity from two opposite views by their geometric mean (MIRD pamphlet 16, Siegel 1999).
//!
//! For one source in a patient whose thickness and attenuation are stated; regions outlined on views come to
//! it by `outlined`. Where a CT says what lies in front of each voxel, `unmix` is used instead: it needs no
//! thickness, no ROI over the background and no overlap correction.

use crate::quantify::QuantifyError;
use crate::quantity::{Becquerel, Millimetre, PerSecond};

/// One source seen from both sides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConjugateView {
    /// Net rates: without background and scatter.
    pub anterior: PerSecond,
    pub posterior: PerSecond,
    /// Effective attenuation along the line through the source, 1/cm, and the patient's thickness there.
    pub attenuation_per_cm: f64,
    pub thickness: Millimetre,
    /// Thickness of the source itself, with its own attenuation, 1/cm.
    pub source_thickness: Millimetre,
    pub source_attenuation_per_cm: f64,
    /// Counts per second and MBq in air.
    pub sensitivity_cps_per_mbq: f64,
}

impl ConjugateView {
    /// A = √(I_A I_P e^(μT)) · f / C with f = (μ₀t/2)/sinh(μ₀t/2).
    ///
    /// # Errors
    /// [`QuantifyError::ConjugateView`] for rates, thickness or sensitivity that cannot be.
    pub fn activity(&self) -> Result<Becquerel, QuantifyError> {
        let refuse = |what| Err(QuantifyError::ConjugateView { what });
        let (anterior, posterior) = (self.anterior.value(), self.posterior.value());
        if !(anterior >= 0.0 && posterior >= 0.0) {
            return refuse("a net count rate is below zero");
        }
        let depth = self.attenuation_per_cm * self.thickness.value() / 10.0;
        let half = self.source_attenuation_per_cm * self.source_thickness.value() / 20.0;
        if !(depth.is_finite() && depth >= 0.0 && half.is_finite() && half >= 0.0) {
            return refuse("attenuation or thickness is below zero or no number");
        }
        let sensitivity = self.sensitivity_cps_per_mbq;
        if sensitivity.is_nan() || sensitivity <= 0.0 {
            return refuse("the sensitivity is not above zero");
        }
        let mean = (anterior * posterior * depth.exp()).sqrt();
        Ok(Becquerel::from_mbq(mean * self_attenuation(half) / sensitivity))
    }
}

/// f = h/sinh(h), of a source half of whose thickness is `half` mean free paths.
pub(super) fn self_attenuation(half: f64) -> f64 {
    if half > 0.0 { half / half.sinh() } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V31: ConjugateView = ConjugateView {
        anterior: PerSecond::new(120.0),
        posterior: PerSecond::new(95.0),
        attenuation_per_cm: 0.13,
        thickness: Millimetre::new(220.0),
        source_thickness: Millimetre::new(50.0),
        source_attenuation_per_cm: 0.13,
        sensitivity_cps_per_mbq: 9.1,
    };

    #[test]
    fn v31_activity_of_one_source() {
        let mbq = V31.activity().unwrap().mbq();
        assert!((mbq - 48.176).abs() < 5e-4, "{mbq}");
    }

    #[test]
    fn the_depth_of_a_source_does_not_matter() {
        // A slab of 50 mm anywhere in 220 mm, integrated: both views in closed form.
        let (mu, t, activity) = (0.13, 5.0, 48.0);
        for front in [0.0, 4.0, 10.0, 17.0] {
            let seen = |near: f64| {
                let inside = (1.0 - f64::exp(-mu * t)) / (mu * t);
                PerSecond::new(activity * 9.1 * f64::exp(-mu * near) * inside)
            };
            let view =
                ConjugateView { anterior: seen(front), posterior: seen(22.0 - t - front), ..V31 };
            let found = view.activity().unwrap().mbq();
            assert!((found / activity - 1.0).abs() < 1e-12, "{front}: {found}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for view in [
            ConjugateView { anterior: PerSecond::new(-1.0), ..V31 },
            ConjugateView { thickness: Millimetre::new(-1.0), ..V31 },
            ConjugateView { attenuation_per_cm: f64::NAN, ..V31 },
            ConjugateView { sensitivity_cps_per_mbq: 0.0, ..V31 },
        ] {
            assert!(view.activity().is_err(), "{view:?}");
        }
    }
}
