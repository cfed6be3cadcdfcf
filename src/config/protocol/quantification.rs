//! `quantification:` from stored numbers to activity.

use super::{Check, Section};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Quantification {}

impl Section for Quantification {
    fn check(&self, _check: &mut Check<'_>) {}
}
