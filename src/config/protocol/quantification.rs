//! `quantification:` from stored numbers to activity.

use super::limits::{covers, words_are_legal};
use super::{Check, Section, ViewSizes};
use serde::{Deserialize, Serialize};

/// How what the blur carries out of a region is made good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartialVolume {
    /// By the camera's recovery curve, where it has one: each region by its volume.
    #[default]
    RecoveryCurve,
    /// By the camera's resolution: all regions and the rest of the body at once, by their shapes.
    Regions,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Quantification {
    pub partial_volume: PartialVolume,
    /// Words, in lower case, of regions that sample the inside of a larger organ: the camera's recovery
    /// curve is not applied to them, since nothing spills out of them that does not spill in.
    pub sampling_regions: Vec<String>,
    /// Of patient and regions, for views without a CT.
    pub views: ViewSizes,
}

impl Quantification {
    /// Does a region of this name sample a larger organ? Lesions in an organ do not.
    pub fn is_sampling(&self, region: &str) -> bool {
        covers(&self.sampling_regions, region)
    }
}

impl Section for Quantification {
    fn check(&self, check: &mut Check<'_>) {
        for (index, word) in self.sampling_regions.iter().enumerate() {
            if !words_are_legal(std::slice::from_ref(word)) {
                let at = ["sampling_regions".into(), index.into()];
                check.fault(&at, "must be a word in lower case, like kidney");
            }
        }
        self.views.check(check);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lesion_in_a_sampled_organ_keeps_its_recovery() {
        let of = |words: &[&str]| Quantification {
            sampling_regions: words.iter().map(|word| (*word).to_owned()).collect(),
            ..Quantification::default()
        };
        let kidney = of(&["kidney", "red marrow"]);
        for region in ["Kidney Left", "kidney", "Red Marrow"] {
            assert!(kidney.is_sampling(region), "{region}");
        }
        for region in ["Kidney lesion", "Kidney_Lesion_1", "Liver", "Marrow"] {
            assert!(!kidney.is_sampling(region), "{region}");
        }
        assert!(of(&["sphere", "lesion"]).is_sampling("Kidney lesion sphere"));
        assert!(!of(&[]).is_sampling("Kidney"));
    }
}
