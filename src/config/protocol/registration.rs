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

#[cfg(test)]
mod tests {
    use crate::config::protocol::Protocol;

    #[test]
    fn a_deformation_and_curves_of_voxels_exclude_each_other() {
        let text = include_str!("../../../config/protocols/multi-time-point.yaml");
        let text = format!("{text}registration: {{ method: deformable }}\n");
        assert!(Protocol::read("own.yaml", &text, false).is_ok());
        let both = text.replacen("kinetics:\n", "kinetics:\n  voxels: voxel-fit\n", 1);
        assert_ne!(both, text);
        let faults = Protocol::read("own.yaml", &both, false).unwrap_err();
        assert!(faults[0].to_string().contains("write `voxels: region-curve`"), "{faults:?}");
    }
}
