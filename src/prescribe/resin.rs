//! 90Y resin microspheres: body surface area, partition by tumour-to-normal ratio (Ho 1996), and
//! partition by the ratio of activities (Kao 2013).

use super::PrescribeError;
use super::error::{fraction, not_negative, positive};
use super::proposal::Hold;
use crate::quantity::{Becquerel, Gram, Gray};

/// Body surface area, m² (Du Bois in the form of the product's label): c h^p w^q.
pub fn body_surface_area(
    height_cm: f64,
    weight_kg: f64,
    [factor, height_power, weight_power]: [f64; 3],
) -> Result<f64, PrescribeError> {
    let height = positive("height (cm)", height_cm)? / 100.0;
    let weight = positive("weight (kg)", weight_kg)?;
    Ok(factor * height.powf(height_power) * weight.powf(weight_power))
}

/// A = (BSA − 0.2) + tumour volume / liver volume, GBq; masses in any common unit.
pub fn bsa_activity(
    bsa_m2: f64,
    offset_m2: f64,
    tumour: Gram,
    normal: Gram,
) -> Result<Becquerel, PrescribeError> {
    not_negative("the tumour's volume", tumour.value())?;
    positive("the normal liver's volume", normal.value())?;
    let involved = tumour / (tumour + normal);
    Ok(Becquerel::from_gbq(positive("activity", bsa_m2 - offset_m2 + involved)?))
}

/// Factor on the activity by lung shunt: `steps` are (from this shunt on, factor), ascending; from
/// `none_from` on there is no treatment.
pub fn shunt_reduction(
    shunt: f64,
    steps: &[(f64, f64)],
    none_from: f64,
) -> Result<Result<f64, Hold>, PrescribeError> {
    fraction("the lung shunt fraction", shunt)?;
    if shunt >= none_from {
        return Ok(Err(Hold::new(
            "lung-shunt",
            format!(
                "the lung shunt is {:.1} %; resin is not given from {:.0} % on",
                100.0 * shunt,
                100.0 * none_from
            ),
        )));
    }
    let step = steps.iter().rev().find(|(from, _)| shunt >= *from);
    Ok(Ok(step.map_or(1.0, |(_, factor)| *factor)))
}

/// Partition by the tumour-to-normal concentration ratio.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Partition {
    /// Gy·kg/GBq.
    pub gy_kg_per_gbq: f64,
    pub tumour: Gram,
    pub normal: Gram,
    /// Concentration in the tumour over that in the normal liver.
    pub ratio: f64,
    pub shunt: f64,
}

impl Partition {
    /// Activity for a dose to the normal liver.
    pub fn activity(&self, normal_dose: Gray) -> Result<Becquerel, PrescribeError> {
        positive("the tumour-to-normal ratio", self.ratio)?;
        fraction("the lung shunt fraction", self.shunt)?;
        if self.shunt >= 1.0 {
            return Err(PrescribeError::Shunt(self.shunt));
        }
        let weighted = self.ratio * self.tumour.value() + self.normal.value();
        let kg = positive("the liver's mass (g)", weighted)? / 1000.0;
        let gbq = normal_dose.value() * kg / (self.gy_kg_per_gbq * (1.0 - self.shunt));
        Ok(Becquerel::from_gbq(gbq))
    }

    /// Dose to the tumour where the normal liver gets `normal_dose`.
    pub fn tumour_dose(&self, normal_dose: Gray) -> Gray {
        normal_dose * self.ratio
    }
}

/// Partition by activities: tumour, normal liver (through their ratio) and lungs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ActivityRatio {
    pub tumour: Becquerel,
    pub normal: Becquerel,
    pub lungs: Becquerel,
}

impl ActivityRatio {
    /// For a dose to the tumour; `ratio` is of activities, not concentrations, and the lungs get
    /// their part from the tumour alone.
    pub fn for_tumour_dose(
        dose: Gray,
        mass: Gram,
        ratio: f64,
        tumour_shunt: f64,
        gy_kg_per_gbq: f64,
    ) -> Result<Self, PrescribeError> {
        positive("the ratio of activities", ratio)?;
        positive("the tumour's mass (g)", mass.value())?;
        fraction("the tumour's lung shunt", tumour_shunt)?;
        if tumour_shunt >= 1.0 {
            return Err(PrescribeError::Shunt(tumour_shunt));
        }
        let tumour = Becquerel::from_gbq(dose.value() * mass.value() / 1000.0 / gy_kg_per_gbq);
        let lungs = tumour * (tumour_shunt / (1.0 - tumour_shunt));
        Ok(Self { tumour, normal: tumour / ratio, lungs })
    }

    pub fn total(&self) -> Becquerel {
        self.tumour + self.normal + self.lungs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABEL: [f64; 3] = [0.20247, 0.725, 0.425];
    const STEPS: [(f64, f64); 2] = [(0.10, 0.8), (0.15, 0.6)];

    #[track_caller]
    fn near(found: f64, wanted: f64) {
        assert!((found / wanted - 1.0).abs() < 5e-5, "{found} is not {wanted}");
    }

    #[test]
    fn v4_partition_by_the_tumour_to_normal_ratio() {
        let partition = Partition {
            gy_kg_per_gbq: 49.67,
            tumour: Gram::new(300.0),
            normal: Gram::new(1200.0),
            ratio: 5.0,
            shunt: 0.06,
        };
        near(partition.activity(Gray::new(80.0)).unwrap().gbq(), 4.6263);
        near(partition.tumour_dose(Gray::new(80.0)).value(), 400.0);
    }

    #[test]
    fn v5_body_surface_area_and_reduction_by_shunt() {
        let bsa = body_surface_area(175.0, 80.0, LABEL).unwrap();
        near(bsa, 1.9560);
        let activity = bsa_activity(bsa, 0.2, Gram::new(300.0), Gram::new(1500.0)).unwrap();
        near(activity.gbq(), 1.9227);
        let factor = shunt_reduction(0.12, &STEPS, 0.20).unwrap().unwrap();
        near(activity.gbq() * factor, 1.5382);
    }

    #[test]
    fn v6_partition_by_the_ratio_of_activities() {
        let parts =
            ActivityRatio::for_tumour_dose(Gray::new(120.0), Gram::new(250.0), 1.5, 0.04, 50.0)
                .unwrap();
        near(parts.tumour.gbq(), 0.6);
        near(parts.normal.gbq(), 0.4);
        near(parts.lungs.gbq(), 0.025);
        near(parts.total().gbq(), 1.025);
    }

    #[test]
    fn resin_is_held_from_a_shunt_of_a_fifth_on() {
        assert_eq!(shunt_reduction(0.05, &STEPS, 0.20).unwrap(), Ok(1.0));
        assert_eq!(shunt_reduction(0.15, &STEPS, 0.20).unwrap(), Ok(0.6));
        assert_eq!(shunt_reduction(0.20, &STEPS, 0.20).unwrap().unwrap_err().code, "lung-shunt");
        assert!(shunt_reduction(1.2, &STEPS, 0.20).is_err());
    }
}
