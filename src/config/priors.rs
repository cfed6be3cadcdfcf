//! `priors:` of a plan or a protocol: earlier objects of the patient that are fetched from a peer.

use serde::{Deserialize, Serialize};

/// Longest window to either side of the treatment: a hundred years.
const DAYS_MAX: u32 = 36_500;
/// More kinds of objects than the node knows.
const MODALITIES_MAX: usize = 16;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Priors {
    /// Name of the peer that is asked.
    pub from: String,
    /// Modalities (0008,0060) of the series that are wanted.
    pub modalities: Vec<String>,
    /// Studies from so many days before the first administration ...
    pub days_before: u32,
    /// ... to so many days after the last.
    #[serde(default)]
    pub days_after: u32,
    #[serde(default)]
    pub retrieve: Retrieve,
}

/// How objects come here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Retrieve {
    /// C-GET: over the association that asks.
    #[default]
    Get,
    /// C-MOVE: the peer calls the node, whose AE title and address it has to know.
    Move,
}

impl Priors {
    /// Key and message of everything that cannot be.
    pub(super) fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        if self.from.trim().is_empty() {
            faults.push(("from", "is empty; write the name of a peer".to_owned()));
        }
        let is_code = |text: &String| {
            (1..=16).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        };
        let count = self.modalities.len();
        if !(1..=MODALITIES_MAX).contains(&count) || !self.modalities.iter().all(is_code) {
            let message =
                format!("lists 1 to {MODALITIES_MAX} modalities, like [NM, CT, RTSTRUCT]");
            faults.push(("modalities", message));
        }
        for (key, days) in [("days_before", self.days_before), ("days_after", self.days_after)] {
            if days > DAYS_MAX {
                faults.push((key, format!("{days} is out of range; write 0 to {DAYS_MAX}")));
            }
        }
        faults
    }
}
