//! Mean doses of organs from their decays: S values of the reference adult at the patient's masses; of a
//! lesion its electrons, which stay.

use super::super::Request;
use super::super::inputs::Inputs;
use crate::biology::organ::{Adult, SValues};
use crate::config::plan::{RegionMass, Sex};
use crate::config::protocol::is_lesion;
use crate::kinetics::Fit;
use crate::quantify::planar::covers_body;
use crate::quantity::nuclide::Nuclide;
use crate::quantity::{Gram, Gray, JOULE_PER_EV, Measured, Warning};
use crate::report::RegionResult;

/// Name of the engine in reports.
pub const ENGINE: &str = "organ-s-values";

/// The organ of the table that a region is, or one of its two.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Organ {
    name: &'static str,
    is_one_of_two: bool,
}

/// Names in the table, words of regions that are them, and whether there are two.
const ORGANS: [(&str, &[&str], bool); 5] = [
    ("kidneys", &["kidney", "kidneys"], true),
    ("liver", &["liver"], false),
    ("spleen", &["spleen"], false),
    ("lungs", &["lung", "lungs"], true),
    ("salivary glands", &["salivary"], false),
];
const WHOLE_BODY: &str = "total body";
/// Words that make one of two of an organ, and words that change nothing.
const SIDES: [&str; 6] = ["left", "right", "lt", "rt", "l", "r"];
const FILLERS: [&str; 2] = ["gland", "glands"];

impl Organ {
    fn of(region: &str) -> Option<Self> {
        if is_lesion(region) {
            return None;
        }
        if covers_body(region) {
            return Some(Self { name: WHOLE_BODY, is_one_of_two: false });
        }
        let lower = region.to_lowercase();
        let words = lower.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty());
        let (sides, rest): (Vec<&str>, Vec<&str>) = words.partition(|word| SIDES.contains(word));
        let rest: Vec<&str> = rest.into_iter().filter(|word| !FILLERS.contains(word)).collect();
        // A lobe of the liver, or the cortex of a kidney, has another mass than the organ.
        let is_all = |own: &[&str]| !rest.is_empty() && rest.iter().all(|word| own.contains(word));
        let (name, _, paired) = ORGANS.iter().find(|(_, own, _)| is_all(own))?;
        let is_one_of_two = !sides.is_empty();
        (*paired || !is_one_of_two).then_some(Self { name, is_one_of_two })
    }
}

/// What doses are made with.
pub struct Doses<'a> {
    adult: Option<Adult>,
    nuclide: &'a Nuclide,
    stated: &'a [RegionMass],
    weight: Option<Gram>,
    table: SValues,
    /// Where masses come from, for the report.
    pub masses: &'static str,
}

impl<'a> Doses<'a> {
    pub fn new(inputs: &Inputs, request: &'a Request) -> Self {
        let facts = &request.plan.patient_facts;
        let of_images = || match inputs.planar.first()?.identity.sex.as_str() {
            "M" => Some(Adult::Male),
            "F" => Some(Adult::Female),
            _ => None,
        };
        let adult = facts.sex.and_then(Sex::adult).or_else(of_images);
        Self {
            adult,
            nuclide: request.nuclide(),
            stated: &request.plan.measured.masses,
            weight: facts.weight_kg.map(|kg| Gram::new(1000.0 * kg)),
            table: request.plan.parameters.biology.s_values(),
            masses: match adult {
                Some(Adult::Male) => "the plan, else the reference adult of the S values (male)",
                Some(Adult::Female) => {
                    "the plan, else the reference adult of the S values (female)"
                }
                None => "the plan",
            },
        }
    }

    /// S of photons over the whole body, Gy/(Bq·s).
    fn photons_over_the_body(&self) -> Option<f64> {
        let adult = self.adult?;
        let all = self.table.s(self.nuclide, WHOLE_BODY, WHOLE_BODY, adult).ok()?;
        let kg = self.table.mass(WHOLE_BODY, adult).ok()?.value() / 1000.0;
        let electrons = self.nuclide.decay().ok()?.energies.non_penetrating().value();
        Some((all - electrons * 1e3 * JOULE_PER_EV / kg).max(0.0))
    }

    /// As stated, else of the reference adult; a warning where neither is known.
    pub fn mass(&self, region: &str, warnings: &mut Vec<Warning>) -> Option<Measured<Gram>> {
        let stated = self.stated.iter().find(|mass| mass.region.eq_ignore_ascii_case(region));
        if let Some(stated) = stated {
            let (value, relative_uncertainty) =
                (Gram::new(stated.mass_g), stated.relative_uncertainty);
            return Some(Measured { value, relative_uncertainty });
        }
        let of_known = |value| Some(Measured { value, relative_uncertainty: None });
        let Some(organ) = Organ::of(region) else {
            warnings.push(Warning::new(
                "no-mass",
                "the S values know no organ of this name, so its mass is not known and no dose is given; state \
                 `measured: masses` in the plan",
            ));
            return None;
        };
        if organ.name == WHOLE_BODY
            && let Some(weight) = self.weight
        {
            return of_known(weight);
        }
        let Some(adult) = self.adult else {
            warnings.push(Warning::new(
                "no-mass",
                "neither plan nor images say whether the patient is male or female, so no reference mass is known \
                 and no dose is given; state `patient_facts: sex` or `measured: masses` in the plan",
            ));
            return None;
        };
        let mass = match self.table.mass(organ.name, adult) {
            Ok(mass) => mass,
            Err(error) => {
                warnings.push(Warning::new("no-mass", error.to_string()));
                return None;
            }
        };
        warnings.push(Warning::new(
            "reference-mass",
            "the mass is that of a reference adult; state the patient's own as `measured: masses` in the plan: the \
             dose goes as its inverse",
        ));
        of_known(if organ.is_one_of_two { mass / 2.0 } else { mass })
    }

    /// Mean dose from the region's own decays.
    pub fn of(
        &self,
        region: &str,
        mass: &Measured<Gram>,
        fit: &Fit,
        warnings: &mut Vec<Warning>,
    ) -> Option<Gray> {
        let tia = fit.time_integrated_activity;
        let by_table = |organ: Organ| {
            let adult = self.adult.ok_or("the patient's sex is not known".to_owned())?;
            let dose = self.table.self_dose(self.nuclide, organ.name, adult, mass.value, tia);
            dose.map_err(|error| error.to_string())
        };
        match Organ::of(region).map(by_table) {
            Some(Ok(dose)) => Some(dose),
            Some(Err(why)) => {
                warnings.push(Warning::new("no-dose", why));
                None
            }
            None => {
                let decay = self.nuclide.decay().ok()?;
                let kev = decay.chain_energies.non_penetrating().value();
                let joule = kev * 1e3 * JOULE_PER_EV;
                warnings.push(Warning::new(
                    "electrons-stay",
                    format!(
                        "no organ of the S values has this name: {kev:.1} keV a decay of electrons (and alphas) \
                         are taken to stay in the stated mass, photons are left out"
                    ),
                ));
                Some(Gray::new(tia.value() * joule / (mass.value.value() / 1000.0)))
            }
        }
    }
}

/// The table has no S values of these organs from others: says what photons from the rest of the body add,
/// by the mean over the body, where its decays were measured.
pub fn warn_of_cross_fire(doses: &Doses<'_>, regions: &mut [RegionResult]) {
    let is_body =
        |region: &RegionResult| Organ::of(&region.name).is_some_and(|o| o.name == WHOLE_BODY);
    let tia = |region: &RegionResult| region.fit.as_ref().map(|fit| fit.time_integrated_activity);
    let whole = regions.iter().find(|region| is_body(region)).and_then(tia);
    let photons = doses.photons_over_the_body();
    for region in regions.iter_mut() {
        if is_body(region) || region.dose.is_none() {
            continue;
        }
        let added = whole.zip(tia(region)).zip(photons).map(|((whole, own), s)| {
            let elsewhere = (whole.value() - own.value()).max(0.0);
            format!(": about {:.2} Gy by the mean over the body", elsewhere * s)
        });
        region.warnings.push(Warning::new(
            "no-cross-fire",
            format!(
                "the dose is by the region's own decays; photons from the rest of the body are left out{}",
                added.unwrap_or_else(|| ", and how much they add is not known: outline the whole body".into())
            ),
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_organ_is_one_by_its_whole_name() {
        let organ = |region| Organ::of(region).map(|organ| (organ.name, organ.is_one_of_two));
        for (region, wanted) in [
            ("Kidney Left", ("kidneys", true)),
            ("kidneys", ("kidneys", false)),
            ("Lung_R", ("lungs", true)),
            ("LIVER", ("liver", false)),
            ("Salivary glands", ("salivary glands", false)),
            ("Whole body", ("total body", false)),
        ] {
            assert_eq!(organ(region), Some(wanted), "{region}");
        }
        // Their masses are not the organ's.
        for region in [
            "Liver left lobe",
            "Liver left",
            "Normal liver",
            "Kidney cortex",
            "Kidney lesion",
            "Adrenal gland",
            "glands",
            "Left",
        ] {
            assert_eq!(organ(region), None, "{region}");
        }
    }
}
