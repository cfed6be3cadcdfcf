//! `regions:` what gets a curve and a dose.

use super::limits::{covers, words_are_legal};
use super::{Check, Section, Sourced};
use crate::config::yaml::Step;
use crate::segment::{CtTissue, Level};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Regions {
    /// Names of regions, first wins where they overlap in the voxel map; the rest follow by
    /// their number.
    pub order: Vec<String>,
    /// Does the remainder of the body get a curve and a dose?
    pub remainder: bool,
    /// Name of the peer that segments: it is sent the CT, and its RTSTRUCT or SEG is waited for.
    pub from: Option<String>,
    /// How long after the last image, h.
    pub time_limit_h: Option<Sourced<f64>>,
    /// Regions that are made here, by name. Those made within drawn regions are called by both names:
    /// `sample` within `Kidney Left` is `Kidney Left sample`.
    #[serde(default)]
    pub derived: BTreeMap<String, Derived>,
}

/// How a region is made; exactly one way stands there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Derived {
    pub spheres: Option<SpheresWithin>,
    pub threshold: Option<ThresholdWithin>,
    /// Of the CT of the reference time point.
    pub ct: Option<CtTissue>,
}

/// Spheres in the hottest part of each region whose name holds one of the words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpheresWithin {
    /// As in `limits`: `kidney` is in `Kidney Left`.
    pub within: Vec<String>,
    pub diameter_mm: Sourced<f64>,
    /// In each region; fewer where fewer fit.
    pub count: Sourced<u32>,
    /// The region's activity is the spheres' mean concentration times its volume.
    #[serde(default)]
    pub stand_for_region: bool,
}

/// The part of each region, whose name holds one of the words, from a level on; one level stands
/// there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThresholdWithin {
    pub within: Vec<String>,
    /// At the beginning of the reference acquisition.
    pub at_least_kbq_per_ml: Option<Sourced<f64>>,
    /// Part of the region's maximum.
    pub of_maximum: Option<Sourced<f64>>,
    /// Part of the way from the region's background to its hottest part.
    pub above_background: Option<Sourced<f64>>,
}

impl SpheresWithin {
    pub fn covers(&self, region: &str) -> bool {
        covers(&self.within, region)
    }
}

impl ThresholdWithin {
    pub fn covers(&self, region: &str) -> bool {
        covers(&self.within, region)
    }

    fn levels(&self) -> Vec<Level> {
        let all = [
            self.at_least_kbq_per_ml.as_ref().map(|level| Level::Value(level.value * 1000.0)),
            self.of_maximum.as_ref().map(|part| Level::OfMaximum(part.value)),
            self.above_background.as_ref().map(|part| Level::AboveBackground(part.value)),
        ];
        all.into_iter().flatten().collect()
    }

    /// The level, in Bq/ml where it is a concentration.
    pub fn level(&self) -> Option<Level> {
        self.levels().first().copied()
    }
}

impl Regions {
    /// Keys of the spheres that stand for their regions.
    pub fn standing(&self) -> impl Iterator<Item = &str> {
        let standing = self.derived.iter().filter(|(_, derived)| {
            derived.spheres.as_ref().is_some_and(|spheres| spheres.stand_for_region)
        });
        standing.map(|(name, _)| name.as_str())
    }
}

impl Section for Regions {
    fn check(&self, check: &mut Check<'_>) {
        check.optional("time_limit_h", self.time_limit_h.as_ref(), 0.1..=1000.0);
        if self.from.is_some() != self.time_limit_h.is_some() {
            let message = "wants both `from: PEER` and `time_limit_h`; write the other one too";
            let given = if self.from.is_some() { "from" } else { "time_limit_h" };
            check.fault(&[given.into()], message);
        }
        for (name, derived) in &self.derived {
            let at = [Step::from("derived"), name.as_str().into()];
            if name.trim().is_empty() || name.len() > 32 {
                check.fault(&at, "must have a name of 1 to 32 characters");
            }
            let below = |keys: &[&'static str]| -> Vec<Step<'_>> {
                at.into_iter().chain(keys.iter().map(|key| Step::from(*key))).collect()
            };
            let ways =
                [derived.spheres.is_some(), derived.threshold.is_some(), derived.ct.is_some()];
            if ways.iter().filter(|stands| **stands).count() != 1 {
                check.fault(&at, "must be made in one way; write `spheres`, `threshold` or `ct`");
            }
            let within = [
                ("spheres", derived.spheres.as_ref().map(|spheres| &spheres.within)),
                ("threshold", derived.threshold.as_ref().map(|threshold| &threshold.within)),
            ];
            for (way, words) in within {
                if words.is_some_and(|words| !words_are_legal(words)) {
                    let message = "must be words in lower case, like [kidney, kidneys]";
                    check.fault(&below(&[way, "within"]), message);
                }
            }
            if let Some(spheres) = &derived.spheres {
                let diameter = spheres.diameter_mm.value;
                check.value(&below(&["spheres", "diameter_mm"]), diameter, 2.0..=100.0);
                let count = f64::from(spheres.count.value);
                check.value(&below(&["spheres", "count"]), count, 1.0..=20.0);
            }
            if let Some(threshold) = &derived.threshold {
                if threshold.levels().len() != 1 {
                    let message = "must have one level; write `at_least_kbq_per_ml`, `of_maximum` or \
                                   `above_background`";
                    check.fault(&below(&["threshold"]), message);
                }
                for (key, level, range) in [
                    ("at_least_kbq_per_ml", &threshold.at_least_kbq_per_ml, 1e-6..=1e9),
                    ("of_maximum", &threshold.of_maximum, 0.01..=0.99),
                    ("above_background", &threshold.above_background, 0.01..=0.99),
                ] {
                    if let Some(level) = level {
                        check.value(&below(&["threshold", key]), level.value, range);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::protocol::{Protocol, Protocols};

    const TEXT: &str = include_str!("../../../config/protocols/multi-time-point.yaml");

    fn faults(derived: &str) -> Vec<String> {
        let text = TEXT.replace("  remainder: true\n", &format!("  remainder: true\n{derived}"));
        assert_ne!(text, TEXT);
        match Protocol::read("own.yaml", &text, false) {
            Ok(_) => Vec::new(),
            Err(faults) => faults.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn every_way_is_read_and_every_slip_has_its_line() {
        let sourced = |value: &str| format!("{{ value: {value}, provenance: D, source: test }}");
        let (twenty, three, half) = (sourced("20"), sourced("3"), sourced("0.5"));
        let sound = format!(
            "  derived:\n    sample: {{ spheres: {{ within: [kidney], diameter_mm: {twenty}, count: {three} }} }}\n    \
             hot: {{ threshold: {{ within: [lesion], above_background: {half} }} }}\n    body: {{ ct: body }}\n"
        );
        assert_eq!(faults(&sound), Vec::<String>::new());
        let line = 2 + TEXT.lines().position(|l| l == "  remainder: true").unwrap();
        let none = faults("  derived:\n    sample: {}\n");
        assert_eq!(
            none,
            [format!(
                "own.yaml:{}:13: must be made in one way; write `spheres`, `threshold` or `ct`",
                line + 1
            )]
        );
        let wide = sound.replace(&twenty, &sourced("2000"));
        assert!(faults(&wide)[0].contains("2000 is out of range; write 2 to 100"), "{wide}");
        let two =
            sound.replace("above_background:", &format!("of_maximum: {half}, above_background:"));
        assert!(faults(&two)[0].contains("must have one level"));
        assert!(faults(&sound.replace("[kidney]", "[Kidney]"))[0].contains("lower case"));
        assert!(!faults(&sound.replace("ct: body", "ct: fat")).is_empty());
    }

    #[test]
    fn a_sample_that_stands_for_its_region_and_curves_of_voxels_exclude_each_other() {
        let protocols = Protocols::load(None).unwrap();
        let uppsala = &protocols.find("lu177-uppsala").unwrap().parameters;
        assert_eq!(uppsala.regions.standing().collect::<Vec<_>>(), ["sample"]);
        let text = include_str!("../../../config/protocols/lu177-uppsala.yaml").replace(
            "  method: mono-exponential\n",
            "  method: mono-exponential\n  voxels: voxel-fit\n",
        );
        let faults = Protocol::read("own.yaml", &text, false).unwrap_err();
        assert!(faults[0].to_string().contains("write `voxels: region-curve`"), "{faults:?}");
    }
}
