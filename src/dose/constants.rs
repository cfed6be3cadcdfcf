//! `config/dose.yaml`: the constants of the engines and of the choice between them.

use crate::quantity::constant::{Constant, embedded};
use serde::Deserialize;
use std::sync::LazyLock;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Constants {
    pub air_below_density: Constant,
    pub kept_out_fraction_warn: Constant,
    pub local_own_voxel_fraction: Constant,
    pub edge_energy_fraction: Constant,
    pub photon_energy_fraction: Constant,
    pub edge_density_ratio: Constant,
    pub monte_carlo_relative_uncertainty: Constant,
    pub monte_carlo_steering_volume: Constant,
    pub monte_carlo_max_histories: Constant,
}

pub(crate) static CONSTANTS: LazyLock<Constants> =
    LazyLock::new(|| embedded("config/dose.yaml", include_str!("../../config/dose.yaml")));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_constants_are_read_and_possible() {
        let c = &*CONSTANTS;
        for part in [
            &c.kept_out_fraction_warn,
            &c.local_own_voxel_fraction,
            &c.edge_energy_fraction,
            &c.photon_energy_fraction,
            &c.monte_carlo_relative_uncertainty,
        ] {
            assert!(part.value > 0.0 && part.value < 1.0, "{}", part.source);
        }
        assert!(c.edge_density_ratio.value > 1.0 && c.monte_carlo_max_histories.value >= 1e6);
    }
}
