//! `quantification:` from stored numbers to activity.

use super::{Check, Section};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Quantification {
    /// Words, in lower case, of regions that sample the inside of a larger organ: the camera's recovery
    /// curve is not applied to them, since nothing spills out of them that does not spill in.
    pub sampling_regions: Vec<String>,
    /// Rate of the whole spectrum during each SPECT, counts/s in the order of the time points, for
    /// cameras with a dead time whose objects do not carry it.
    pub wide_window_cps: Vec<f64>,
}

impl Quantification {
    /// Does a region of this name sample a larger organ?
    pub fn is_sampling(&self, region: &str) -> bool {
        let lower = region.to_lowercase();
        let mut words = lower.split(|c: char| !c.is_alphanumeric());
        let named = |word: &str| self.sampling_regions.iter().any(|own| own == word);
        named(&lower) || words.any(named)
    }
}

impl Section for Quantification {
    fn check(&self, check: &mut Check<'_>) {
        for (index, cps) in self.wide_window_cps.iter().enumerate() {
            check.value(&["wide_window_cps".into(), index.into()], *cps, 0.0..=1e7);
        }
        for (index, word) in self.sampling_regions.iter().enumerate() {
            if word.is_empty() || *word != word.to_lowercase() {
                let at = ["sampling_regions".into(), index.into()];
                check.fault(&at, "must be a word in lower case, like kidney");
            }
        }
    }
}
