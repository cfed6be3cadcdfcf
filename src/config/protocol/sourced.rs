//! A constant with its source.

use serde::{Deserialize, Serialize};

/// Where a number comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Provenance {
    /// Stated in the review of prospective dosimetry that the regimes follow.
    S,
    /// Read in a public source, which is named.
    P,
    /// Derived from physics or from the form of the model.
    D,
    /// Recalled from professional literature, not re-read: a physicist has to confirm it.
    M,
    /// Stated by the site, which answers for it: a plan's `settings`, or a site's own protocol.
    #[serde(rename = "site")]
    Site,
}

impl Provenance {
    /// As files and reports write it.
    pub fn tag(self) -> &'static str {
        match self {
            Self::S => "S",
            Self::P => "P",
            Self::D => "D",
            Self::M => "M",
            Self::Site => "site",
        }
    }
}

/// A constant with its source. In a protocol `{ value: 72, provenance: P, source: "..." }`; in a
/// plan's `settings` the value alone will do, and then the plan is the source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sourced<T> {
    pub value: T,
    pub provenance: Provenance,
    pub source: String,
}
