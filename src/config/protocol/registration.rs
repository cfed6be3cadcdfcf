//! `registration:` how time points and CT come to one frame.

use super::{Check, Section};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Registration {
    pub method: RegistrationMethod,
}

/// What is done with time points that neither a common frame of reference nor a registration object
/// brings together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RegistrationMethod {
    /// They wait for a registration object: an alignment that nobody has seen is no default.
    #[default]
    None,
    /// Rigid, by their CTs where both have one, else by the emission images themselves.
    Rigid,
    /// As `rigid`, with stretch and shear between CTs.
    Affine,
    /// Rigid, then CT onto CT as organs move and bend; every time point needs its CT.
    Deformable,
}

impl Section for Registration {
    fn check(&self, _check: &mut Check<'_>) {}
}
