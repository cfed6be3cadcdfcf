//! `quantification: views:` what attenuates photons of regions outlined on planar views, where no CT says it.

use super::{Check, DEFAULT_REGION, Sourced};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is absent is not known, and nothing is assumed for it. Every thickness is along the detectors' line of
/// sight and of soft tissue that attenuates as much: of the chest less than a calliper says.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ViewSizes {
    /// Of the patient at a region or at a background of its name, mm; [`DEFAULT_REGION`] for regions not named. A
    /// transmission scan, where there is
    /// one, is used before it.
    pub body_thickness_mm: BTreeMap<String, Sourced<f64>>,
    /// Of a region itself, mm.
    pub region_thickness_mm: BTreeMap<String, Sourced<f64>>,
    /// Standard uncertainty (k = 1) of the patient's thickness over it.
    pub thickness_relative_uncertainty: Option<Sourced<f64>>,
}

impl ViewSizes {
    /// Thickness of the patient at a region, mm, however its name is capitalised.
    pub fn body_thickness(&self, region: &str) -> Option<&Sourced<f64>> {
        let all = &self.body_thickness_mm;
        named(all, region).or_else(|| all.get(DEFAULT_REGION))
    }

    /// Thickness of the patient at a background (`Kidney background`), mm, where it is stated by its name.
    pub fn background_thickness(&self, background: &str) -> Option<&Sourced<f64>> {
        named(&self.body_thickness_mm, background)
    }

    /// Thickness of a region, mm. None stands for all: organs differ.
    pub fn region_thickness(&self, region: &str) -> Option<&Sourced<f64>> {
        named(&self.region_thickness_mm, region)
    }

    pub(super) fn check(&self, check: &mut Check<'_>) {
        let maps = [
            ("body_thickness_mm", &self.body_thickness_mm),
            ("region_thickness_mm", &self.region_thickness_mm),
        ];
        for (key, map) in maps {
            let mut before = Vec::new();
            for (region, mm) in map {
                let path = ["views".into(), key.into(), region.as_str().into()];
                check.value(&path, mm.value, 1.0..=1000.0);
                let lower = region.to_lowercase();
                if before.contains(&lower) {
                    check.fault(
                        &path,
                        "is stated twice, in capitals and in small letters; keep one",
                    );
                }
                before.push(lower);
            }
        }
        if self.region_thickness_mm.contains_key(DEFAULT_REGION) {
            let path = ["views".into(), "region_thickness_mm".into(), DEFAULT_REGION.into()];
            check.fault(&path, "no thickness stands for all regions; write each by its name");
        }
        for (region, own) in &self.region_thickness_mm {
            if let Some(body) = self.body_thickness(region)
                && own.value > body.value
            {
                let path = ["views".into(), "region_thickness_mm".into(), region.as_str().into()];
                let message = format!("is more than the {} mm of the body there", body.value);
                check.fault(&path, message);
            }
        }
        if let Some(part) = &self.thickness_relative_uncertainty {
            let path = ["views".into(), "thickness_relative_uncertainty".into()];
            check.value(&path, part.value, 0.001..=0.5);
        }
    }
}

fn named<'a>(map: &'a BTreeMap<String, Sourced<f64>>, region: &str) -> Option<&'a Sourced<f64>> {
    let lower = region.to_lowercase();
    map.iter().find(|(name, _)| name.to_lowercase() == lower).map(|(_, mm)| mm)
}

#[cfg(test)]
mod tests {
    use crate::config::protocol::Provenance;
    use crate::config::{Plan, Protocols};

    fn plan(views: &str) -> Result<Plan, Vec<String>> {
        let text = format!(
            "patient: {{ id: P-1 }}\nprotocol: multi-time-point\nnuclide: I-131\ncycles:\n  - {{ number: 1, \
             administered: {{ activity_mbq: 185, at: 2026-01-02T10:00:00Z }} }}\nsettings:\n  quantification:\n    \
             views:\n{views}"
        );
        let read = Plan::read("p.yaml", &text, &Protocols::load(None).unwrap());
        read.map_err(|faults| faults.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn thicknesses_are_found_by_region_and_nothing_is_assumed() {
        let stated = "      body_thickness_mm: { default: 220, Kidney Left: 200 }\n      \
                      region_thickness_mm: { LIVER: { value: 90, provenance: P, source: an ultrasound } }\n";
        let views = plan(stated).unwrap().parameters.quantification.views;
        let body = |region| views.body_thickness(region).map(|mm| mm.value);
        assert_eq!([body("kidney left"), body("Liver")], [Some(200.0), Some(220.0)]);
        assert_eq!(views.body_thickness("liver").unwrap().provenance, Provenance::Site);
        assert_eq!(views.region_thickness("Liver").map(|mm| mm.value), Some(90.0));
        assert_eq!(views.region_thickness("Kidney Left"), None);
        assert_eq!(views.background_thickness("Liver background"), None);
        assert_eq!(views.background_thickness("kidney left").map(|mm| mm.value), Some(200.0));
        assert_eq!(views.thickness_relative_uncertainty, None);
        let none = plan("      thickness_relative_uncertainty: 0.05\n").unwrap();
        let views = none.parameters.quantification.views;
        assert_eq!((views.body_thickness("Liver"), views.region_thickness("Liver")), (None, None));
        assert_eq!(views.thickness_relative_uncertainty.unwrap().value, 0.05);
    }

    #[test]
    fn what_cannot_be_is_a_fault_at_its_place() {
        for (text, wanted) in [
            (
                "      body_thickness_mm: { default: 22000 }\n",
                "p.yaml:9:37: 22000 is out of range; write 1 to 1000",
            ),
            ("      region_thickness_mm: { Liver: 90, liver: 80 }\n", "is stated twice"),
            ("      region_thickness_mm: { default: 90 }\n", "no thickness stands for all regions"),
            (
                "      body_thickness_mm: { default: 80 }\n      region_thickness_mm: { Liver: 90 }\n",
                "p.yaml:10:37: is more than the 80 mm of the body there",
            ),
            ("      thickness_relative_uncertainty: 5\n", "5 is out of range; write 0.001 to 0.5"),
            ("      thickness: 5\n", "unknown key `thickness`"),
        ] {
            let faults = plan(text).unwrap_err();
            assert!(faults.iter().any(|fault| fault.contains(wanted)), "{text}: {faults:?}");
        }
    }
}
