//! `imaging:` what is imaged and when.

use super::{Check, Section, Sourced};
use serde::{Deserialize, Serialize};

/// More time points than any protocol images.
pub const TIME_POINTS_MAX: u32 = 20;

/// What whole-body and static views are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlanarUse {
    /// They are no time points.
    #[default]
    None,
    /// Each is a time point with the activities that its two views show.
    Activity,
    /// Hybrid: they give each curve its shape, one SPECT its scale. Without a SPECT as `activity`.
    Shape,
}

/// What SPECT in counts of a camera without a calibration is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UncalibratedUse {
    /// Nothing: the job waits for the calibration.
    #[default]
    None,
    /// They give each curve its shape, the one image in Bq/ml its scale.
    Shape,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Imaging {
    /// Time points that make a cycle's imaging complete.
    pub time_points: Sourced<u32>,
    /// The same by cycle, where cycles differ; the last one stands for those after it.
    pub by_cycle: Option<Sourced<Vec<u32>>>,
    /// Time points without which nothing can be computed.
    pub at_least: Sourced<u32>,
    /// Compute provisionally after each time point from `at_least` on.
    pub provisional: bool,
    /// Images later than this after the administration do not belong to the cycle, h.
    pub window_h: Sourced<f64>,
    #[serde(default)]
    pub planar: PlanarUse,
    #[serde(default)]
    pub uncalibrated_spect: UncalibratedUse,
}

impl Imaging {
    /// Time points that make the imaging of a cycle complete.
    pub fn time_points_of(&self, cycle: u32) -> u32 {
        let own = |listed: &Sourced<Vec<u32>>| {
            let own = listed.value.get((cycle as usize).saturating_sub(1));
            own.or(listed.value.last()).copied()
        };
        self.by_cycle.as_ref().and_then(own).unwrap_or(self.time_points.value)
    }
}

impl Section for Imaging {
    fn check(&self, check: &mut Check<'_>) {
        let points = f64::from(self.time_points.value);
        check.number("time_points", &self.time_points, 1.0..=f64::from(TIME_POINTS_MAX));
        check.number("at_least", &self.at_least, 1.0..=points);
        // A cycle is computed once it is complete, which must not be from too little.
        let range = f64::from(self.at_least.value)..=f64::from(TIME_POINTS_MAX);
        for points in self.by_cycle.iter().flat_map(|listed| &listed.value) {
            check.value(&["by_cycle".into()], f64::from(*points), range.clone());
        }
        if self.by_cycle.as_ref().is_some_and(|listed| listed.value.is_empty()) {
            check.fault(&["by_cycle".into()], "is empty; write a number a cycle, like [3, 1]");
        }
        check.number("window_h", &self.window_h, 1.0..=1e4);
    }
}
