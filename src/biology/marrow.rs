//! Red-marrow dose: by blood, by the marrow's own image, and from the rest of the body (MIRD;
//! Sgouros 1993, Hindorf 2010).
//!
//! D = D_self + D_cross + D_remainder. The self part follows from the concentration in blood times
//! the ratio of concentrations RMBLR; the patient's marrow mass cancels. The remainder's S value is
//! what is left of S(marrow ← total body) when the listed sources are taken out of it.

use super::BiologyError;
use super::organ::{Adult, SValues};
use crate::quantity::nuclide::Nuclide;
use crate::quantity::{BecquerelSecond, Gram, Gray};

/// RMBLR of an agent that stays in the extracellular fluid: RMECFF/(1 − haematocrit).
pub fn marrow_to_blood_ratio(
    extracellular_fraction: f64,
    haematocrit: f64,
) -> Result<f64, BiologyError> {
    let sound = |v: f64| v.is_finite() && (0.0..1.0).contains(&v);
    if !sound(haematocrit) || !sound(extracellular_fraction) {
        return Err(BiologyError::Fraction);
    }
    Ok(extracellular_fraction / (1.0 - haematocrit))
}

/// What is known of one patient's activity over time.
#[derive(Debug, Clone, PartialEq)]
pub struct MarrowSources<'a> {
    pub nuclide: &'a Nuclide,
    pub adult: Adult,
    pub body_mass: Gram,
    /// Decays per gram of blood, Bq·s/g.
    pub blood_per_g: f64,
    /// Concentration in marrow over that in blood.
    pub marrow_to_blood: f64,
    pub whole_body: BecquerelSecond,
    /// Organs that were measured on their own, by the names of the table.
    pub organs: &'a [(&'a str, BecquerelSecond)],
}

/// The three parts.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct MarrowDose {
    pub from_itself: Gray,
    pub from_organs: Gray,
    pub from_remainder: Gray,
}

impl MarrowDose {
    pub fn total(&self) -> Gray {
        self.from_itself + self.from_organs + self.from_remainder
    }

    /// The larger of this and another method's result, which is the value to be safe by.
    pub fn or_larger(&self, by_image: Option<Gray>) -> Gray {
        let own = self.total();
        by_image.filter(|image| *image > own).unwrap_or(own)
    }
}

const MARROW: &str = "red marrow";
const BODY: &str = "total body";

/// Marrow dose by blood, organs and remainder.
///
/// # Errors
/// A number that cannot be, an S value or mass the table has not, more decays in the organs than in
/// the body.
pub fn marrow_dose(
    sources: &MarrowSources<'_>,
    table: &SValues,
) -> Result<MarrowDose, BiologyError> {
    let MarrowSources { nuclide, adult, .. } = *sources;
    let sound = |v: f64| v.is_finite() && v >= 0.0;
    let organs_sound = sources.organs.iter().all(|(_, tia)| sound(tia.value()));
    if !organs_sound || ![sources.blood_per_g, sources.whole_body.value()].into_iter().all(sound) {
        return Err(BiologyError::Curve);
    }
    if !(sources.body_mass.is_finite() && sources.body_mass.value() > 0.0) {
        return Err(BiologyError::NoMass);
    }
    let marrow_mass = table.mass(MARROW, adult)?;
    let body = table.mass(BODY, adult)?;
    let itself = table.s(nuclide, MARROW, MARROW, adult)?;
    let decays = sources.blood_per_g * sources.marrow_to_blood * marrow_mass.value();
    let mut cross = 0.0;
    let mut remainder_mass = body.value() - marrow_mass.value();
    let mut rest = sources.whole_body.value() - decays;
    let mut weighted =
        table.s(nuclide, MARROW, BODY, adult)? * body.value() - itself * marrow_mass.value();
    for (organ, tia) in sources.organs {
        let s = table.s(nuclide, MARROW, organ, adult)?;
        let mass = table.mass(organ, adult)?.value();
        cross += tia.value() * s;
        weighted -= s * mass;
        remainder_mass -= mass;
        rest -= tia.value();
    }
    if rest < 0.0 {
        return Err(BiologyError::MoreThanBody);
    }
    let remainder_s = (weighted / remainder_mass).max(0.0);
    let scaled = remainder_s * (body / sources.body_mass);
    Ok(MarrowDose {
        from_itself: Gray::new(decays * itself),
        from_organs: Gray::new(cross),
        from_remainder: Gray::new(rest * scaled),
    })
}

/// Marrow dose by the concentration seen in vertebrae, Bq·s/g, corrected for its recovery.
pub fn marrow_dose_by_image(
    tia_per_g: f64,
    recovery: f64,
    nuclide: &Nuclide,
    adult: Adult,
    table: &SValues,
) -> Result<Gray, BiologyError> {
    if !(tia_per_g.is_finite() && tia_per_g >= 0.0) {
        return Err(BiologyError::Curve);
    }
    if !(recovery > 0.0 && recovery <= 1.0) {
        return Err(BiologyError::Fraction);
    }
    let mass = table.mass(MARROW, adult)?.value();
    Ok(Gray::new(tia_per_g / recovery * mass * table.s(nuclide, MARROW, MARROW, adult)?))
}

#[cfg(test)]
mod tests {
    use super::super::organ::RADAR;
    use super::*;

    #[track_caller]
    fn near(found: f64, wanted: f64) {
        assert!((found / wanted - 1.0).abs() < 5e-5, "{found} is not {wanted}");
    }

    fn mbq_h(value: f64) -> BecquerelSecond {
        BecquerelSecond::from_mbq_h(value)
    }

    fn sources<'a>(
        nuclide: &'a Nuclide,
        organs: &'a [(&'a str, BecquerelSecond)],
    ) -> MarrowSources<'a> {
        MarrowSources {
            nuclide,
            adult: Adult::Male,
            body_mass: Gram::new(80_000.0),
            blood_per_g: mbq_h(1.2).value(),
            marrow_to_blood: 1.0,
            whole_body: mbq_h(2.2e5),
            organs,
        }
    }

    #[test]
    fn v35_marrow_by_blood_organs_and_remainder() {
        let lu = Nuclide::parse("Lu-177").unwrap();
        let organs = [("kidneys", mbq_h(1.9e4)), ("liver", mbq_h(3e4)), ("spleen", mbq_h(1e4))];
        let dose = marrow_dose(&sources(&lu, &organs), &RADAR).unwrap();
        near(dose.from_itself.value() * 1e3, 58.126);
        near(dose.from_organs.value() * 1e3, 6.9498);
        near(dose.from_remainder.value() * 1e3, 48.799);
        near(dose.total().value() * 1e3, 113.87);
        let rest = 2.2e5 - 5.9e4 - 1.2 * 1170.0;
        let s = dose.from_remainder.value() * 1e3 / rest / 3600.0 * 80.0 / 73.0;
        near(s, 9.3079e-8);
        assert_eq!(dose.or_larger(Some(Gray::new(0.2))).value(), 0.2);
        near(dose.or_larger(Some(Gray::new(0.1))).value() * 1e3, 113.87);
    }

    #[test]
    fn v35_marrow_to_blood_ratios_of_two_haematocrits() {
        near(marrow_to_blood_ratio(0.19, 0.42).unwrap(), 0.32759);
        near(marrow_to_blood_ratio(0.19, 0.47).unwrap(), 0.35849);
        assert!(marrow_to_blood_ratio(0.19, 42.0).is_err(), "percent for a fraction");
    }

    #[test]
    fn organs_with_more_decays_than_the_body_are_refused() {
        let lu = Nuclide::parse("Lu-177").unwrap();
        let organs = [("kidneys", mbq_h(3e5))];
        assert_eq!(marrow_dose(&sources(&lu, &organs), &RADAR), Err(BiologyError::MoreThanBody));
        let unknown = [("heart", mbq_h(1.0))];
        assert!(matches!(
            marrow_dose(&sources(&lu, &unknown), &RADAR),
            Err(BiologyError::NoSValue { .. })
        ));
    }

    #[test]
    fn the_image_s_marrow_dose_counts_its_recovery() {
        let lu = Nuclide::parse("Lu-177").unwrap();
        let dose = |rc| {
            marrow_dose_by_image(mbq_h(1.2).value(), rc, &lu, Adult::Male, &RADAR).unwrap().value()
        };
        near(dose(1.0) * 1e3, 58.126);
        near(dose(0.78) * 1e3, 58.126 / 0.78);
        assert!(marrow_dose_by_image(1.0, 1.5, &lu, Adult::Male, &RADAR).is_err());
    }
}
