//! `limits:` what may accumulate in a tissue over the patient's life, by name.

use super::{Check, Section, Sourced};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How several regions of one tissue count (left and right kidney).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Combine {
    #[default]
    Mean,
    Worst,
}

/// One limit; of absorbed dose or of BED, or both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Words of which a region's name holds one: `kidney` is in `Kidney Left`.
    pub words: Vec<String>,
    #[serde(default)]
    pub combine: Combine,
    pub dose_gy: Option<Sourced<f64>>,
    pub bed_gy: Option<Sourced<f64>>,
}

impl Limit {
    /// Is a region of this name part of the tissue? Lesions in an organ are not.
    pub fn covers(&self, region: &str) -> bool {
        covers(&self.words, region)
    }
}

/// Words that make a region a lesion wherever it lies.
const LESIONS: [&str; 5] = ["lesion", "tumour", "tumor", "metastasis", "metastases"];

/// Does a region's name hold one of these words in lower case?
pub fn holds_word(region: &str, words: &[&str]) -> bool {
    let lower = region.to_lowercase();
    lower.split(|c: char| !c.is_alphabetic()).any(|word| words.contains(&word))
}

/// Is a region of this name a lesion, which is to get much, rather than an organ?
pub fn is_lesion(region: &str) -> bool {
    holds_word(region, &LESIONS)
}

/// Does a region's name hold one of the words? `Kidney lesion` is no kidney.
pub fn covers(asked_for: &[String], region: &str) -> bool {
    let lower = region.to_lowercase();
    let words: Vec<&str> = lower.split(|c: char| !c.is_alphabetic()).collect();
    let asked = |word: &str| asked_for.iter().any(|own| own == word);
    let lesion = words.iter().any(|word| LESIONS.contains(word) && !asked(word));
    // A word may itself hold a space: `red marrow`.
    !lesion && asked_for.iter().any(|own| lower == *own || words.contains(&own.as_str()))
}

/// Can the words be compared by [`covers`], and is there one?
pub(super) fn words_are_legal(words: &[String]) -> bool {
    let legal = |word: &String| !word.is_empty() && *word == word.to_lowercase();
    !words.is_empty() && words.iter().all(legal)
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Limits(pub BTreeMap<String, Limit>);

impl Section for Limits {
    fn check(&self, check: &mut Check<'_>) {
        for (name, limit) in &self.0 {
            let at = |key: &'static str| [name.as_str().into(), key.into()];
            for (key, gy) in [("dose_gy", &limit.dose_gy), ("bed_gy", &limit.bed_gy)] {
                if let Some(gy) = gy {
                    check.value(&at(key), gy.value, 0.1..=1000.0);
                }
            }
            if limit.dose_gy.is_none() && limit.bed_gy.is_none() {
                check.fault(&[name.as_str().into()], "has no limit; write `dose_gy` or `bed_gy`");
            }
            if !words_are_legal(&limit.words) {
                check.fault(&at("words"), "must be words in lower case, like [kidney, kidneys]");
            }
        }
    }
}
