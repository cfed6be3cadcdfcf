//! `registration:` how time points and CT come to one frame.

use super::{Check, Section};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Registration {}

impl Section for Registration {
    fn check(&self, _check: &mut Check<'_>) {}
}
