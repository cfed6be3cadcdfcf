//! First cycle of the Quebec regime: kidney dose per activity predicted from kidney function and
//! size. The published regression was not available, so its coefficients are the site's to give.

use super::PrescribeError;
use super::error::positive;
use crate::quantity::{Becquerel, Gray, GrayPerBecquerel};

/// d = exp(b₀ + b₁ eGFR + b₂ BSA), Gy/GBq, with eGFR in mL/min/1.73 m² and BSA in m².
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Regression {
    pub intercept: f64,
    pub per_egfr: f64,
    pub per_bsa: f64,
}

impl Regression {
    pub fn coefficient(
        &self,
        egfr_ml_min: f64,
        bsa_m2: f64,
    ) -> Result<GrayPerBecquerel, PrescribeError> {
        positive("eGFR (mL/min)", egfr_ml_min)?;
        positive("body surface area (m2)", bsa_m2)?;
        let d = (self.intercept + self.per_egfr * egfr_ml_min + self.per_bsa * bsa_m2).exp();
        Ok(GrayPerBecquerel::from_gy_per_gbq(positive("the predicted coefficient", d)?))
    }
}

/// Activity that gives `target` at the predicted coefficient.
pub fn fraction_target(
    target: Gray,
    predicted: GrayPerBecquerel,
) -> Result<Becquerel, PrescribeError> {
    positive("the predicted coefficient (Gy/GBq)", predicted.gy_per_gbq())?;
    Ok(target / predicted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v18_first_cycle_of_5_gy_at_a_predicted_0_65_gy_per_gbq() {
        let predicted = GrayPerBecquerel::from_gy_per_gbq(0.65);
        let activity = fraction_target(Gray::new(5.0), predicted).unwrap();
        assert!((activity.gbq() / 7.6923 - 1.0).abs() < 1e-5);
    }

    #[test]
    fn worse_kidneys_are_predicted_a_higher_dose_with_coefficients_of_that_sign() {
        let site = Regression { intercept: 0.5, per_egfr: -0.004, per_bsa: -0.3 };
        let d = |egfr| site.coefficient(egfr, 1.8).unwrap().gy_per_gbq();
        assert!(d(50.0) > d(90.0));
        assert!((d(90.0) / (0.5f64 - 0.36 - 0.54).exp() - 1.0).abs() < 1e-12);
        assert!(site.coefficient(0.0, 1.8).is_err());
    }
}
