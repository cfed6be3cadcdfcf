//! Constants of this stage: `config/quantification.yaml`.

use crate::quantity::constant::{Constant, embedded};
use serde::Deserialize;
use std::sync::LazyLock;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Constants {
    pub least_recovery: Constant,
    pub plausible_part_least: Constant,
    pub plausible_part_least_later: Constant,
    pub plausible_part_most: Constant,
    pub least_spheres: Constant<usize>,
    pub least_dead_time_rates: Constant<usize>,
    pub detectors_apart_warn: Constant,
    pub template_error: Constant,
    pub misfit_warn: Constant,
    pub projection_voxel: Constant,
    pub photopeak_least_intensity: Constant,
    pub photopeak_margin: Constant,
    pub peak_width_most: Constant,
    pub scatter_window_gap: Constant,
    pub scatter_window_width: Constant,
    pub spectrum_window_width: Constant,
    pub least_variance: Constant,
    pub beyond_ct_warn: Constant,
    pub view_explained_min: Constant,
    pub view_elsewhere: Constant,
    pub view_elsewhere_ratio_min: Constant,
    pub outline_free_least: Constant,
    pub outline_within: Constant,
    pub outlined_relative_uncertainty: Constant,
    pub outlined_body_relative_uncertainty: Constant,
    pub background_least_depth: Constant,
    pub net_rate_significant: Constant,
    pub transmission_smoothing: Constant,
    pub transmission_least_counts: Constant,
    pub transmission_of_blank_most: Constant,
    pub hybrid_scale_warn: Constant,
    pub sphere_volume_same: Constant,
    pub sphere_volume_warn: Constant,
}

pub static CONSTANTS: LazyLock<Constants> = LazyLock::new(|| {
    embedded("config/quantification.yaml", include_str!("../../config/quantification.yaml"))
});

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn the_table_of_constants_is_readable_and_tagged() {
        let text = include_str!("../../config/quantification.yaml");
        let all: BTreeMap<String, Constant> = embedded("config/quantification.yaml", text);
        for (name, c) in &all {
            assert!(["S", "P", "D", "M"].contains(&c.provenance.as_str()), "{name}");
            assert!(c.value > 0.0 && !c.source.is_empty() && !c.unit.is_empty(), "{name}");
        }
        assert_eq!(all["least_spheres"].value, CONSTANTS.least_spheres.value as f64);
    }
}
