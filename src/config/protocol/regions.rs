//! `regions:` what gets a curve and a dose.

use super::{Check, Section};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Regions {
    /// Names of regions, first wins where they overlap in the voxel map; the rest follow by
    /// their number.
    pub order: Vec<String>,
    /// Does the remainder of the body get a curve and a dose?
    pub remainder: bool,
}

impl Section for Regions {
    fn check(&self, _check: &mut Check<'_>) {}
}
