//! `imaging:` what is imaged and when.

use super::{Check, Provenance, Section, Sourced};
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
}

impl Imaging {
    /// Time points that make the imaging of a cycle complete.
    pub fn time_points_of(&self, cycle: u32) -> u32 {
        // A plan that states one number means it for all its cycles.
        let of_plan = |stated: Provenance| stated == Provenance::Site;
        let listed = self
            .by_cycle
            .as_ref()
            .filter(|l| of_plan(l.provenance) || !of_plan(self.time_points.provenance))
            .map(|listed| &listed.value);
        let own = |listed: &Vec<u32>| {
            listed.get((cycle as usize).saturating_sub(1)).or(listed.last()).copied()
        };
        listed.and_then(own).unwrap_or(self.time_points.value)
    }
}

impl Section for Imaging {
    fn check(&self, check: &mut Check<'_>) {
        let points = f64::from(self.time_points.value);
        check.number("time_points", &self.time_points, 1.0..=f64::from(TIME_POINTS_MAX));
        check.number("at_least", &self.at_least, 1.0..=points);
        for points in self.by_cycle.iter().flat_map(|listed| &listed.value) {
            check.value(&["by_cycle".into()], f64::from(*points), 1.0..=f64::from(TIME_POINTS_MAX));
        }
        check.number("window_h", &self.window_h, 1.0..=1e4);
    }
}
