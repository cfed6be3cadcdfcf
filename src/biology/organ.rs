//! Organ doses by the MIRD scheme: D(target) = Σ Ã(source) S(target ← source), reference adults
//! scaled to the patient's masses.
//!
//! The table is `config/organ_s_values.csv` or a site's own of the same columns. Electrons spend
//! their energy where they arise, so a self-dose scales with 1/mass; the photons' part of it with
//! mass^(-2/3); doses across organs stay (MIRD 11, Snyder 1975).

use super::BiologyError;
use crate::quantity::nuclide::Nuclide;
use crate::quantity::{BecquerelSecond, Gram, Gray};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The reference adult.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adult {
    Male,
    Female,
}

/// S values, Gy/(Bq·s), and reference masses.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SValues {
    values: BTreeMap<(String, String, String), [Option<f64>; 2]>,
    masses: BTreeMap<String, [Option<f64>; 2]>,
}

/// The table that comes with the program.
pub static RADAR: LazyLock<SValues> = LazyLock::new(|| {
    SValues::read(include_str!("../../config/organ_s_values.csv"))
        .expect("config/organ_s_values.csv is compiled in and a test reads it")
});

/// Where it comes from, for reports.
pub const RADAR_SOURCE: &str = "RADAR (OLINDA 2) on the reference adults of ICRP 89";

/// Rows of masses carry this word instead of a nuclide.
const MASS: &str = "mass";
const HEADER: &str = "nuclide,target,source,male,female";

impl SValues {
    /// Reads a table: comments (`#`), the header, rows `nuclide,target,source,male,female` in
    /// mGy/(MBq s), masses in g in rows with the nuclide `mass`. An empty cell has no value.
    ///
    /// # Errors
    /// The line that is at fault, and what it should be.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut table = Self::default();
        let lines = text.lines().enumerate().map(|(n, line)| (n + 1, line.trim()));
        let mut lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        match lines.next() {
            Some((_, HEADER)) => {}
            Some((n, _)) => return Err(format!("line {n}: the header must be `{HEADER}`")),
            None => return Err("the table is empty".into()),
        }
        for (n, line) in lines {
            let cells: Vec<&str> = line.split(',').map(str::trim).collect();
            let [nuclide, target, source, male, female] = cells[..] else {
                return Err(format!("line {n}: {} cells; write five, `{HEADER}`", cells.len()));
            };
            let number = |cell: &str| match cell {
                "" => Ok(None),
                cell => match cell.parse::<f64>() {
                    Ok(value) if value.is_finite() && value >= 0.0 => Ok(Some(value)),
                    _ => Err(format!("line {n}: `{cell}` is no S value or mass")),
                },
            };
            let pair = [number(male)?, number(female)?];
            let twice = if nuclide == MASS {
                table.masses.insert(target.to_owned(), pair).is_some()
            } else {
                Nuclide::parse(nuclide).map_err(|error| format!("line {n}: {error}"))?;
                let key = (nuclide.to_owned(), target.to_owned(), source.to_owned());
                table.values.insert(key, pair.map(|v| v.map(|v| v * 1e-9))).is_some()
            };
            if twice {
                return Err(format!("line {n}: stands twice; keep one"));
            }
        }
        Ok(table)
    }

    /// S(target ← source), Gy/(Bq·s).
    ///
    /// # Errors
    /// [`BiologyError::NoSValue`] where the table has none.
    pub fn s(
        &self,
        nuclide: &Nuclide,
        target: &str,
        source: &str,
        adult: Adult,
    ) -> Result<f64, BiologyError> {
        let key = (nuclide.to_string(), target.to_owned(), source.to_owned());
        self.values.get(&key).and_then(|pair| pair[adult as usize]).ok_or_else(|| {
            BiologyError::NoSValue {
                nuclide: nuclide.to_string(),
                target: target.to_owned(),
                source_organ: source.to_owned(),
            }
        })
    }

    /// Mass of a reference organ.
    pub fn mass(&self, organ: &str, adult: Adult) -> Result<Gram, BiologyError> {
        let mass = self.masses.get(organ).and_then(|pair| pair[adult as usize]);
        mass.map(Gram::new).ok_or_else(|| BiologyError::NoReferenceMass(organ.to_owned()))
    }

    /// S(organ ← organ) at the patient's mass, Gy/(Bq·s). `electrons` is the S value of the
    /// electrons alone at the reference mass where they all stay (energy per decay / mass).
    pub fn self_s(
        &self,
        nuclide: &Nuclide,
        organ: &str,
        adult: Adult,
        mass: Gram,
    ) -> Result<f64, BiologyError> {
        let reference = self.mass(organ, adult)?;
        if !(mass.is_finite() && mass.value() > 0.0) {
            return Err(BiologyError::NoMass);
        }
        let s = self.s(nuclide, organ, organ, adult)?;
        let decay = nuclide.decay().map_err(|_| BiologyError::NoSValue {
            nuclide: nuclide.to_string(),
            target: organ.to_owned(),
            source_organ: organ.to_owned(),
        })?;
        let joule = decay.energies.non_penetrating().value() * 1e3 * crate::quantity::JOULE_PER_EV;
        // Where electrons leave the organ (90Y) the table holds less than their full energy.
        let electrons = (joule / (reference.value() / 1000.0)).min(s);
        let ratio = reference / mass;
        Ok(electrons * ratio + (s - electrons) * ratio.powf(2.0 / 3.0))
    }

    /// Dose of an organ from its own activity.
    pub fn self_dose(
        &self,
        nuclide: &Nuclide,
        organ: &str,
        adult: Adult,
        mass: Gram,
        tia: BecquerelSecond,
    ) -> Result<Gray, BiologyError> {
        Ok(Gray::new(self.self_s(nuclide, organ, adult, mass)? * tia.value()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lu() -> Nuclide {
        Nuclide::parse("Lu-177").unwrap()
    }

    #[test]
    fn self_dose_identity_of_177lu_in_the_kidneys() {
        // S × mass × 3600 s = 86.60 mGy·g/(MBq·h), 1.5 % more than the electrons alone (85.318).
        let s = RADAR.s(&lu(), "kidneys", "kidneys", Adult::Male).unwrap() * 1e9;
        let delta = s * RADAR.mass("kidneys", Adult::Male).unwrap().value() * 3600.0;
        assert!((delta - 86.60).abs() < 0.005, "{delta}");
        assert!((delta / 85.318 - 1.015).abs() < 5e-4);
    }

    #[test]
    fn v43_kidneys_from_a_curve_scaled_by_one_spect() {
        let tia = BecquerelSecond::from_mbq_h(3198.1);
        let mass = Gram::new(290.0);
        let linear =
            RADAR.s(&lu(), "kidneys", "kidneys", Adult::Male).unwrap() * tia.value() * 310.0
                / 290.0;
        assert!((linear / 0.95504 - 1.0).abs() < 5e-5, "{linear}");
        // The photons' part scales less: below the printed linear scaling, by under 0.1 %.
        let dose = RADAR.self_dose(&lu(), "kidneys", Adult::Male, mass, tia).unwrap().value();
        assert!(dose < linear && dose > 0.999 * linear, "{dose} {linear}");
    }

    #[test]
    fn self_doses_never_exceed_the_energy_released() {
        for name in ["Lu-177", "Y-90", "I-131", "In-111"] {
            let nuclide = Nuclide::parse(name).unwrap();
            let energies = &nuclide.decay().unwrap().energies;
            let all = energies.non_penetrating().value() + energies.photon.value();
            for organ in ["kidneys", "liver", "spleen", "lungs", "salivary glands", "total body"] {
                let s = RADAR.s(&nuclide, organ, organ, Adult::Male).unwrap();
                let kg = RADAR.mass(organ, Adult::Male).unwrap().value() / 1000.0;
                let kev = s * kg / crate::quantity::JOULE_PER_EV / 1e3;
                assert!(kev < 1.01 * all, "{name} {organ}: {kev} of {all} keV");
                if name == "Lu-177" && organ != "lungs" {
                    let electrons = energies.non_penetrating().value();
                    assert!((kev / electrons - 1.0).abs() < 0.25, "{organ}: {kev}");
                }
            }
        }
    }

    #[test]
    fn a_lighter_organ_gets_more_and_what_the_table_has_not_is_refused() {
        let s = |grams| RADAR.self_s(&lu(), "liver", Adult::Female, Gram::new(grams)).unwrap();
        assert!(s(1000.0) > s(1400.0) && (s(1400.0) / 1.76e-14 - 1.0).abs() < 1e-12);
        let indium = Nuclide::parse("In-111").unwrap();
        assert!(RADAR.s(&indium, "liver", "liver", Adult::Female).is_err());
        assert!(RADAR.s(&lu(), "heart", "heart", Adult::Male).is_err());
    }

    #[test]
    fn a_site_s_table_is_read_with_the_line_of_every_slip() {
        let read = |rows: &str| SValues::read(&format!("{HEADER}\n{rows}"));
        let own = read("mass,kidneys,kidneys,300,270\nLu-177,kidneys,kidneys,8e-5,9e-5").unwrap();
        assert_eq!(own.mass("kidneys", Adult::Female).unwrap().value(), 270.0);
        for (rows, expected) in [
            ("Lu-177,kidneys,kidneys,8e-5", "line 2: 4 cells"),
            ("Lu-177,kidneys,kidneys,x,1", "line 2: `x` is no S value"),
            ("Lu-177,kidneys,kidneys,-1,1", "line 2: `-1` is no S value"),
            ("Xy-1,kidneys,kidneys,1,1", "line 2: "),
            ("Lu-177,a,a,1,1\nLu-177,a,a,1,1", "line 3: stands twice"),
        ] {
            let error = read(rows).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
