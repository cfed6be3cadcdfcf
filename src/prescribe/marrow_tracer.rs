//! 153Sm-EDTMP: marrow dose from the skeletal retention of a tracer (two whole-body counts).

use super::PrescribeError;
use super::error::{fraction, positive};
use crate::quantity::{
    Becquerel, Gram, Gray, GrayPerBecquerel, JOULE_PER_EV, KiloElectronvolt, Seconds,
};

/// f = late/early · 2^(Δt/T): counts corrected for decay between the two.
pub fn skeletal_retention(
    early: f64,
    late: f64,
    apart: Seconds,
    half_life: Seconds,
) -> Result<f64, PrescribeError> {
    positive("the early count", early)?;
    positive("the late count", late)?;
    positive("time between the counts (s)", apart.value())?;
    fraction("skeletal retention", late / early * (apart / half_life).exp2())
}

/// A nuclide on bone surfaces (ICRP 30), half of it on trabecular bone, no further loss.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SurfaceSeeker {
    pub half_life: Seconds,
    pub electrons: KiloElectronvolt,
    /// Part of the skeletal activity on trabecular surfaces.
    pub trabecular: f64,
    /// Fraction of the electrons' energy that marrow absorbs from there.
    pub absorbed_fraction: f64,
    pub marrow: Gram,
}

impl SurfaceSeeker {
    /// Marrow dose per activity at a retention.
    pub fn coefficient(&self, retention: f64) -> Result<GrayPerBecquerel, PrescribeError> {
        fraction("skeletal retention", retention)?;
        let kg = positive("marrow mass (g)", self.marrow.value())? / 1000.0;
        let decays = self.half_life.value() / std::f64::consts::LN_2;
        let joule = self.electrons.value() * 1e3 * JOULE_PER_EV;
        let absorbed = self.trabecular * self.absorbed_fraction * joule / kg;
        Ok(GrayPerBecquerel::new(retention * decays * absorbed))
    }

    /// Activity of the therapy: what gives `limit` less what the tracer has given already.
    pub fn therapy(
        &self,
        retention: f64,
        limit: Gray,
        tracer: Becquerel,
    ) -> Result<Becquerel, PrescribeError> {
        let coefficient = self.coefficient(retention)?;
        positive("skeletal retention", retention)?;
        Ok(Becquerel::new((limit / coefficient - tracer).value().max(0.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMARIUM: SurfaceSeeker = SurfaceSeeker {
        half_life: Seconds::from_hours(46.5),
        electrons: KiloElectronvolt::new(269.88),
        trabecular: 0.5,
        absorbed_fraction: 0.5,
        marrow: Gram::new(1120.0),
    };

    #[track_caller]
    fn near(found: f64, wanted: f64) {
        assert!((found / wanted - 1.0).abs() < 5e-5, "{found} is not {wanted}");
    }

    #[test]
    fn v8_samarium_activity_for_2_gy_to_the_marrow() {
        let d = SAMARIUM.coefficient(0.655).unwrap().gy_per_gbq();
        near(d, 1.5268);
        near(SAMARIUM.coefficient(1.0).unwrap().gy_per_gbq(), 2.3310);
        near(d / SAMARIUM.half_life.value() * std::f64::consts::LN_2 / 0.655, 9.6517e-6);
        let none = Becquerel::new(0.0);
        let total = SAMARIUM.therapy(0.655, Gray::new(2.0), none).unwrap();
        near(total.mbq(), 1310.0);
        near(total.mbq() / (37.0 * 70.0), 0.50577);
        near(2.590 * d, 3.9543);
        // The tracer counts toward the limit.
        let after = SAMARIUM.therapy(0.655, Gray::new(2.0), Becquerel::from_mbq(740.0)).unwrap();
        near(after.mbq(), total.mbq() - 740.0);
    }

    #[test]
    fn v8b_retention_of_two_counts() {
        let apart = Seconds::from_hours(4.8333);
        near(skeletal_retention(1.8e6, 1.2e6, apart, SAMARIUM.half_life).unwrap(), 0.71647);
        assert!(skeletal_retention(1.2e6, 1.8e6, apart, SAMARIUM.half_life).is_err());
        let back = Seconds::from_hours(-4.0);
        assert!(skeletal_retention(1.8e6, 1.2e6, back, SAMARIUM.half_life).is_err());
    }
}
